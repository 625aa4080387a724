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

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from odemom.checks import expect, shown
from odemom.flows.discrete import MomentumResNet
from odemom.flows.momentum_threshold import MomentumThreshold
from odemom.flows.second_order import SecondOrder
from odemom.flows.threshold import lambda_eps

__all__ = ["DiscreteLambda", "NetGraph", "NetThresholds", "compute"]

GAMMAS = ("1/2", "9/10", "99/100")
DEPTHS = (2, 4, 6, 8, 10, 12, 16, 20, 26, 32, 40, 50, 64, 80, 100, 126, 160, 200)
EXAMPLE = ("9/10", 20)


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
    """

    curves: tuple[NetThresholds, ...]
    example: NetGraph

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> DiscreteLambda:
        """From the parsed JSON of a figure on disk."""
        curves = tuple(NetThresholds(**_parsed(curve)) for curve in data["curves"])
        return cls(curves, NetGraph(**_parsed(data["example"])))


def _parsed(data: Mapping[str, Any]) -> dict[str, Any]:
    found = {k: tuple(v) if isinstance(v, list) else v for k, v in data.items()}
    return {**found, "gamma": Fraction(data["gamma"])}


def compute(
    *, gammas: Sequence[Any] = GAMMAS, depths: Sequence[int] = DEPTHS, points: int = 801
) -> DiscreteLambda:
    """Compute the numbers of the figure.

    Parameters
    ----------
    gammas : sequence of numbers or str
        Momenta in (0, 1).
    depths : sequence of int
        Even numbers of layers.
    points : int
        Of the graph of psi, at least 2.

    Returns
    -------
    DiscreteLambda

    Raises
    ------
    InvalidInputError
        If a list is empty or a parameter is outside its domain.

    Examples
    --------
    >>> curve = compute(gammas=["9/10"], depths=[2, 20], points=2).curves[0]
    >>> [round(value, 3) for value in curve.net], curve.artefact
    ([-1.103, -3.034], (False, True))
    >>> [round(value, 3) for value in curve.ode]     # lambda_5 and lambda_{1/2}
    [-0.905, -0.383]
    """
    for name, values in (("gammas", gammas), ("depths", depths)):
        listed = isinstance(values, Sequence) and not isinstance(values, str) and len(values) > 0
        expect(listed, name, got=shown(values), expected="a list, not empty")
    expect(
        isinstance(points, int) and points >= 2,
        "points",
        got=shown(points),
        expected="an integer >= 2",
    )
    for depth in depths:
        expect(
            MomentumResNet("1/2", depth).real_image.threshold is not None,
            "depths",
            got=shown(depth),
            expected="even numbers of layers",
            fix="A net of odd depth takes every real value: it has no threshold.",
        )
    curves = tuple(_curve(gamma, tuple(map(int, depths))) for gamma in gammas)
    return DiscreteLambda(curves, _graph(*EXAMPLE, points))


def _curve(gamma: Any, depths: tuple[int, ...]) -> NetThresholds:
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
