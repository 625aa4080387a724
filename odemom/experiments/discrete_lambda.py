"""The threshold of Momentum ResNets of even depth against that of the ODE which they discretise.

A net of momentum gamma and N layers takes N steps of length 1 of eps x'' + x' = theta x with
eps = 1/(1 - gamma). Its ODE therefore runs on [0, N], where psi(z) = psi_{eps/N}(N z): a horizon
changes z and not the values, and the threshold to compare with is lambda_{eps/N}.

The ODE takes its least value at its rightmost critical point. The net has a counterpart there, its
first minimum, which tends to lambda_{eps/N} as the step goes to 0 (gamma -> 1 with (1 - gamma) N
fixed). From depth 4 on it also has deeper minima at large negative z, where its state turns
by more than a quarter turn a layer: artefacts of the discretisation, which the threshold counts
none the less. Nets of odd depth have no least value.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from odemom.checks import as_integer, expect, shown
from odemom.experiments.frame import Claim, Experiment
from odemom.flows.discrete import MomentumResNet
from odemom.flows.momentum_threshold import MomentumThreshold
from odemom.flows.second_order import SecondOrder
from odemom.flows.threshold import lambda_eps
from odemom.records import check_fields

__all__ = ["EXPERIMENT", "Config", "DiscreteLambda", "NetGraph", "NetThresholds"]

GAMMAS = ("1/2", "9/10", "99/100")
DEPTHS = (2, 4, 6, 8, 10, 12, 16, 20, 26, 32, 40, 50, 64, 80, 100, 126, 160, 200)
EXAMPLE = ("9/10", 20)
REFINED = (50, 100, 200)
ORDER_ERROR = 0.05  # the second-order term is a few per cent of the first at these depths


@dataclass(frozen=True)
class NetThresholds:
    """The thresholds of the nets of one momentum; the tuples follow ``depths``.

    Attributes
    ----------
    gamma : Fraction
    depths : tuple of int
        Even.
    net : tuple of float
        The least value of psi on the real line: the threshold of the decision.
    artefact : tuple of bool
        Whether it is taken where the net turns too fast to resemble the ODE.
    first_minimum : tuple of float
        psi at its rightmost critical point.
    ode : tuple of float
        lambda_{eps/N}, eps = 1/(1 - gamma): the threshold of the ODE on [0, N].
    """

    gamma: Fraction
    depths: tuple[int, ...]
    net: tuple[float, ...]
    artefact: tuple[bool, ...]
    first_minimum: tuple[float, ...]
    ode: tuple[float, ...]


@dataclass(frozen=True)
class NetGraph:
    """psi of one net, and of its ODE at the same z.

    Attributes
    ----------
    gamma : Fraction
    depth : int
    angle : tuple of float
        By how much the state turns from layer to layer, in radians, in (0, pi).
    z : tuple of float
        The eigenvalue of theta that turns it so; decreasing.
    net, ode : tuple of float
        psi(z).
    minimum, first_minimum : tuple of float
        Angle and value of the two minima.
    """

    gamma: Fraction
    depth: int
    angle: tuple[float, ...]
    z: tuple[float, ...]
    net: tuple[float, ...]
    ode: tuple[float, ...]
    minimum: tuple[float, float]
    first_minimum: tuple[float, float]


@dataclass(frozen=True)
class DiscreteLambda:
    """The numbers of the figure.

    Attributes
    ----------
    curves : tuple of NetThresholds
        One for every momentum.
    example : NetGraph
        Where the minima of one net lie.
    gaps : tuple of float
        The distance of the first minimum from lambda_{eps/N} at (1 - gamma) N = 2, where the ODE's
        is lambda_{1/2}, for the depths `REFINED`.
    """

    curves: tuple[NetThresholds, ...]
    example: NetGraph
    gaps: tuple[float, ...]


@dataclass(frozen=True)
class Config:
    """What is computed.

    Parameters
    ----------
    gammas : sequence of numbers or str
        Momenta in (0, 1).
    depths : sequence of int
        Even numbers of layers.
    points : int
        Of the graph of psi, at least 2.

    Raises
    ------
    InvalidInputError
        If a list is empty or a parameter is outside its domain.
    """

    gammas: tuple[Fraction | float | str, ...] = GAMMAS
    depths: tuple[int, ...] = DEPTHS
    points: int = 801

    def __post_init__(self) -> None:
        check_fields(self)
        for name in ("gammas", "depths"):
            expect(len(getattr(self, name)) > 0, name, got="none", expected="a list, not empty")
        as_integer(self.points, "points", 2)
        for depth in self.depths:
            expect(
                MomentumResNet("1/2", depth).real_image.threshold is not None,
                "depths",
                got=shown(depth),
                expected="even numbers of layers",
                fix="A net of odd depth takes every real value: it has no threshold.",
            )
        nets = [MomentumResNet(gamma, 2) for gamma in self.gammas]
        object.__setattr__(self, "gammas", tuple(Fraction(net.gamma) for net in nets))


@dataclass(frozen=True)
class CurveTask:
    """The thresholds of the nets of one momentum."""

    gamma: Fraction
    depths: tuple[int, ...]


def tasks(config: Config) -> list[CurveTask]:
    """One task per momentum."""
    return [CurveTask(Fraction(gamma), config.depths) for gamma in config.gammas]


def run(task: CurveTask) -> NetThresholds:
    """The thresholds of one momentum."""
    return _curve(task.gamma, task.depths)


def gather(config: Config, curves: Sequence[NetThresholds]) -> DiscreteLambda:
    """The figure from its curves."""
    refined = [_curve(1 - Fraction(2, depth), (depth,)) for depth in REFINED]
    gaps = tuple(abs(curve.first_minimum[0] - curve.ode[0]) for curve in refined)
    return DiscreteLambda(tuple(curves), _graph(*EXAMPLE, config.points), gaps)


def claims(figure: DiscreteLambda) -> list[Claim]:
    """How far a net of even depth reaches, beside its ODE."""
    nets = [pair for curve in figure.curves for pair in zip(curve.net, curve.ode, strict=True)]
    deeper = sum(net < ode for net, ode in nets)
    orders = [math.log2(a / b) for a, b in itertools.pairwise(figure.gaps)]
    return [
        Claim.judged(
            "a Momentum ResNet of even depth represents more than its ODE",
            "beyond the paper",
            f"{deeper} of {len(nets)} nets have a lower threshold, at large negative z, where the "
            "step is too long for the ODE",
            deeper == len(nets),
        ),
        Claim.judged(
            "the first minimum of psi tends to lambda_eps of the ODE, with the first order of the "
            "step",
            "beyond the paper",
            f"distances {', '.join(f'{gap:.2g}' for gap in figure.gaps)} at depths "
            f"{', '.join(map(str, REFINED))}, (1 - gamma) N = 2: orders "
            f"{', '.join(f'{order:.2f}' for order in orders)}",
            all(abs(order - 1) < ORDER_ERROR for order in orders),
        ),
    ]


def _curve(gamma: Fraction, depths: tuple[int, ...]) -> NetThresholds:
    nets = [MomentumResNet(gamma, depth) for depth in depths]
    thresholds = [MomentumThreshold(Fraction(net.gamma), net.depth) for net in nets]
    return NetThresholds(
        Fraction(nets[0].gamma),
        depths,
        tuple(threshold.value for threshold in thresholds),
        tuple(threshold.is_artefact for threshold in thresholds),
        tuple(threshold.first_minimum for threshold in thresholds),
        tuple(float(lambda_eps(float(net.eps / net.depth))) for net in nets),
    )


def _graph(gamma: str, depth: int, points: int) -> NetGraph:
    net = MomentumResNet(gamma, depth)
    threshold = MomentumThreshold(Fraction(gamma), depth)
    angle = np.linspace(0, math.pi, points + 2)[1:-1]
    z = threshold.point_at(angle)
    return NetGraph(
        threshold.gamma,
        depth,
        tuple(angle.tolist()),
        tuple(z.tolist()),
        tuple(net.scalar(z).tolist()),
        tuple(SecondOrder(net.eps, horizon=depth).scalar(z).tolist()),
        (threshold.angle, threshold.value),
        (threshold.first_angle, threshold.first_minimum),
    )


EXPERIMENT = Experiment(
    config=Config,
    quick=Config(gammas=("1/2", "9/10"), depths=(2, 4, 10, 20), points=101),
    tasks=tasks,
    run=run,
    gather=gather,
    claims=claims,
)
