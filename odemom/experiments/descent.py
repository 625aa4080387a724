"""Does gradient descent find maps of negative determinant? Linear nets, 20 layers, from theta = 0.

Linear residual and Momentum residual nets, tied and untied, are trained on ||map - D||²/2 by
gradient descent from zero weights: D = -1/2, -1, -3 in one dimension, and random D of negative
determinant. A residual net that starts at the identity keeps det > 0 until it is singular, where
its gradient is tiny (Bartlett, Helmbold, Long, 2018). A momentum net passes through 0 with a
velocity. A tied one obeys the ODE's threshold: from zero weights it comes to the first minimum of
psi and not to the lower ones far to the left (docs/discrete.md).

Every model gets the same learning rates; the figures are those of the one with the least median
loss at the end.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from typing import Literal

import numpy as np

from odemom.checks import as_integer, as_number, expect, shown
from odemom.experiments.frame import Claim, Experiment
from odemom.flows.base import exact
from odemom.flows.momentum_threshold import MomentumThreshold
from odemom.records import check_fields

__all__ = ["EXPERIMENT", "Config", "Curve", "Descent"]

Model = Literal["ResNet", "Momentum ResNet"]
MODELS: tuple[Model, ...] = ("ResNet", "Momentum ResNet")
TARGETS = (-0.5, -1.0, -3.0)
RATES = (1.0, 0.3, 0.1, 0.03, 0.01, 0.003)
REACHED = 1e-8  # the loss from which on D counts as reached
MOMENTS = 60


@dataclass(frozen=True)
class Curve:
    """The trainings of one model on one kind of target, at its best learning rate.

    Attributes
    ----------
    model : {"ResNet", "Momentum ResNet"}
    tied : bool
    dimension : int
    rate : float
        The learning rate, over the number of layers for tied weights.
    steps : tuple of int
        Where the losses are known.
    losses : tuple of tuples of float
        One for every target; 1e300 once it has diverged.
    first_reached : tuple of int
        The step at which the loss is below 1e-8; -1 if none is.
    values : tuple of float
        The map in one dimension, at the end; empty otherwise.
    paths : tuple of tuples of (float, float)
        Of the first target, real and imaginary parts of the eigenvalues of the map at these steps.
    goal : tuple of (float, float)
        Of the first target, those of D.
    """

    model: Model
    tied: bool
    dimension: int
    rate: float
    steps: tuple[int, ...]
    losses: tuple[tuple[float, ...], ...]
    first_reached: tuple[int, ...]
    values: tuple[float, ...]
    paths: tuple[tuple[tuple[float, float], ...], ...]
    goal: tuple[tuple[float, float], ...]

    @property
    def reached(self) -> int:
        """How many of the targets are reached."""
        return sum(step >= 0 for step in self.first_reached)


@dataclass(frozen=True)
class Descent:
    """The result.

    Attributes
    ----------
    depth : int
    gamma : float
    first_minimum : float
        The value of psi of the tied momentum net at its rightmost critical point.
    curves : tuple of Curve
    """

    depth: int
    gamma: float
    first_minimum: float
    curves: tuple[Curve, ...]


@dataclass(frozen=True)
class Config:
    """What is trained.

    Parameters
    ----------
    dimensions : sequence of int
        1 stands for the targets -1/2, -1, -3, others for random D with det D < 0.
    depth : int
        Even.
    gamma : number or str
    steps : int
    seeds : int
        How many random D.

    Raises
    ------
    InvalidInputError
        If a parameter is outside its domain.
    """

    dimensions: tuple[int, ...] = (1, 2, 3, 5)
    depth: int = 20
    gamma: str = "9/10"
    steps: int = 10_000
    seeds: int = 10

    def __post_init__(self) -> None:
        check_fields(self)
        for d in self.dimensions:
            as_integer(d, "dimensions", 1)
        expect(len(self.dimensions) > 0, "dimensions", got="none", expected="at least one")
        depth = as_integer(self.depth, "depth", 2)
        expect(depth % 2 == 0, "depth", got=shown(depth), expected="an even number")
        gamma = as_number(self.gamma, "gamma", "a number in (0, 1)")
        expect(0 < gamma < 1, "gamma", got=shown(self.gamma), expected="a number in (0, 1)")
        as_integer(self.steps, "steps", 10)
        as_integer(self.seeds, "seeds", 1)


@dataclass(frozen=True)
class DescentTask:
    """One model on one kind of target."""

    model: Model
    tied: bool
    dimension: int
    depth: int
    gamma: str
    steps: int
    seeds: int


def tasks(config: Config) -> list[DescentTask]:
    """Both models, tied and untied, in every dimension."""
    c = config
    return [
        DescentTask(model, tied, d, c.depth, c.gamma, c.steps, c.seeds)
        for d in c.dimensions
        for model in MODELS
        for tied in (True, False)
    ]


def targets_of(dimension: int, seeds: int) -> np.ndarray:
    """The matrices D, shape (n, d, d)."""
    if dimension == 1:
        return np.array(TARGETS)[:, None, None]
    found = []
    for seed in range(seeds):
        d = np.random.default_rng(seed).standard_normal((dimension, dimension))
        d[0] *= -np.sign(np.linalg.det(d))
        found.append(d / np.sqrt(dimension))
    return np.stack(found)


def map_of(theta: np.ndarray, gamma: float) -> tuple[np.ndarray, list[np.ndarray]]:
    """The map of a net, and the states before each layer.

    Parameters
    ----------
    theta : ndarray of float64, shape (n, depth, d, d)
    gamma : float
        0 is the ResNet.

    Returns
    -------
    ndarray of float64, shape (n, d, d)
    list of ndarray of that shape
    """
    x = np.broadcast_to(np.eye(theta.shape[-1]), (len(theta), *theta.shape[2:])).copy()
    v, states = np.zeros_like(x), []
    for layer in range(theta.shape[1]):
        states.append(x)
        v = gamma * v + (1 - gamma) * (theta[:, layer] @ x)
        x = x + v
    return x, states


def gradient(
    theta: np.ndarray, gamma: float, goal: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The map, the loss ||map - D||²/2 of each net, and its gradient in the layers."""
    x, states = map_of(theta, gamma)
    missed = x - goal
    of_x, of_v, slopes = missed, np.zeros_like(missed), np.empty_like(theta)
    for layer in range(theta.shape[1] - 1, -1, -1):
        of_v = of_v + of_x  # x_{n+1} = x_n + v_{n+1}
        slopes[:, layer] = (1 - gamma) * of_v @ states[layer].transpose(0, 2, 1)
        of_x = of_x + (1 - gamma) * theta[:, layer].transpose(0, 2, 1) @ of_v
        of_v = gamma * of_v
    return x, np.einsum("nij,nij->n", missed, missed) / 2, slopes


def run(task: DescentTask) -> Curve:
    """Train with every learning rate, all targets together, and keep the best rate."""
    goals = targets_of(task.dimension, task.seeds)
    gamma = float(exact(task.gamma)) if task.model == "Momentum ResNet" else 0.0
    n, rates = len(goals), np.repeat(RATES, len(goals))[:, None, None, None]
    repeated = np.tile(goals, (len(RATES), 1, 1))
    theta = np.zeros((len(repeated), task.depth, task.dimension, task.dimension))
    moments = sorted({*np.geomspace(1, task.steps, MOMENTS).astype(int).tolist(), 0})
    losses, maps = [], []
    first = np.full(len(repeated), -1)
    with np.errstate(all="ignore"):
        for step in range(task.steps + 1):
            x, loss, slopes = gradient(theta, gamma, repeated)
            first = np.where((first < 0) & (loss < REACHED), step, first)
            if step in moments:
                losses.append(np.nan_to_num(loss, nan=1e300, posinf=1e300))
                maps.append(x.copy())
            if task.tied:  # one theta: the layers' gradients add up, over their number
                slopes = np.broadcast_to(slopes.mean(axis=1, keepdims=True), slopes.shape)
            theta = theta - rates * slopes
    table = np.minimum(np.array(losses), 1e300).reshape(len(moments), len(RATES), n)
    best = int(np.argmin(np.median(table[-1], axis=1)))
    end = np.array(maps).reshape(len(moments), len(RATES), n, task.dimension, task.dimension)
    kept = end[:, best, 0]
    return Curve(
        task.model,
        task.tied,
        task.dimension,
        RATES[best],
        tuple(moments),
        tuple(tuple(float(f"{x:.4g}") for x in table[:, best, k]) for k in range(n)),
        tuple(int(s) for s in first.reshape(len(RATES), n)[best]),
        tuple(end[-1, best, :, 0, 0].tolist()) if task.dimension == 1 else (),
        tuple(_eigenvalues(m) for m in kept),
        _eigenvalues(goals[0]),
    )


def _eigenvalues(matrix: np.ndarray) -> tuple[tuple[float, float], ...]:
    """Real and imaginary parts, rounded for the picture; none of what has diverged."""
    if not np.isfinite(matrix).all():
        return ()
    values = sorted(np.linalg.eigvals(matrix), key=lambda z: (z.real, z.imag))
    return tuple((float(f"{z.real:.5g}"), float(f"{z.imag:.5g}")) for z in values)


def gather(config: Config, curves: Sequence[Curve]) -> Descent:
    """The result from the trainings."""
    gamma = exact(config.gamma)
    return Descent(config.depth, float(gamma), _first_minimum(gamma, config.depth), tuple(curves))


@cache
def _first_minimum(gamma: Fraction, depth: int) -> float:
    return MomentumThreshold(gamma, depth).first_minimum


def claims(data: Descent) -> list[Claim]:
    """What is reached, and what is not."""
    return [_resnets(data), _in_one_dimension(data), _tied(data), _in_more_dimensions(data)]


def _chosen(data: Descent, model: Model, tied: tuple[bool, ...], one: bool) -> list[Curve]:
    return [
        c for c in data.curves if c.model == model and c.tied in tied and (c.dimension == 1) == one
    ]


def _counted(curves: Sequence[Curve]) -> str:
    return "; ".join(
        f"d = {c.dimension}{', tied' if c.tied else ''}: {c.reached} of {len(c.losses)}"
        for c in curves
    )


def _resnets(data: Descent) -> Claim:
    both = [c for one in (True, False) for c in _chosen(data, "ResNet", (True, False), one)]
    return Claim.judged(
        "gradient descent from zero weights never takes a linear ResNet to a map of negative "
        "determinant",
        "beyond the paper (for symmetric maps: Bartlett, Helmbold, Long 2018)",
        f"reached to a loss of {REACHED:g}: {_counted(both)}",
        all(c.reached == 0 for c in both) if both else None,
    )


def _in_one_dimension(data: Descent) -> Claim:
    curves = _chosen(data, "Momentum ResNet", (False,), True)
    found = [step for c in curves for step in c.first_reached]
    return Claim.judged(
        "an untied linear Momentum ResNet goes to -1/2, -1 and -3",
        "beyond the paper",
        f"loss below {REACHED:g} after {', '.join(map(str, found))} steps (-1: never)",
        all(step >= 0 for step in found) if found else None,
    )


def _tied(data: Descent) -> Claim:
    curves = _chosen(data, "Momentum ResNet", (True,), True)
    gaps = [abs(x - data.first_minimum) for c in curves for x in c.values]
    return Claim.judged(
        "a tied one stops at the first minimum of psi, the counterpart of the ODE's lambda, though "
        "lower values are representable",
        "beyond the paper",
        f"first minimum {data.first_minimum:.4f}, the maps at the end are within "
        f"{max(gaps, default=0):.1g} of it",
        max(gaps) < 1e-2 if gaps else None,
    )


def _in_more_dimensions(data: Descent) -> Claim:
    curves = _chosen(data, "Momentum ResNet", (True, False), False)
    untied = [c for c in curves if not c.tied]
    return Claim.judged(
        "in more dimensions untied linear Momentum ResNets go to every map of negative determinant",
        "beyond the paper",
        f"reached to a loss of {REACHED:g}: {_counted(curves)}" if curves else "not run",
        all(c.reached == len(c.losses) for c in untied) if untied else None,
    )


EXPERIMENT = Experiment(
    config=Config,
    quick=Config(dimensions=(1, 2), steps=100, seeds=2),
    tasks=tasks,
    run=run,
    gather=gather,
    claims=claims,
)
