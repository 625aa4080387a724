"""Figure 1: x -> -x³ with tied layers: whose paths cross, who fails, and who turns in every layer.

Increasing maps of [-1, 1] come no closer to -x³ than the constant 0 does, whose mean square error
is 1/7 for x uniform. A ResNet stays increasing as long as no layer turns the line around, which is
certain where what a layer adds has a Lipschitz constant below 1; a Momentum ResNet does not.

Every model has 16 hidden units per layer, one f for all layers, and the same effort: each rate of
the same list with the same seeds, Adam with a cosine schedule, full batches. The mean square error
is an integral by Gauss-Legendre quadrature, with other nodes for the test than for the training;
the rate with the lowest mean over the seeds is reported.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from odemom.checks import as_integer, counted, expect, shown
from odemom.experiments._batched_nets import (
    Nets,
    increment_bound,
    initial_parameters,
    step_jacobians,
    trajectory,
)
from odemom.experiments._row_adam import check_training, one_thread, train_rows
from odemom.experiments._spread import deviation
from odemom.experiments.frame import Claim, Experiment
from odemom.records import check_fields

__all__ = ["BOUND", "EXPERIMENT", "INCREASING", "Config", "Family", "Figure1"]

BOUND = 0.9  # the Lipschitz constant of what a bounded layer adds
GAMMAS = (0.0, 0.9, 0.99)
INCREASING = 1 / 7  # the mean of x^6: the least error of an increasing map
ESCAPED = INCREASING / 2
TRAINING_NODES, TEST_NODES = 48, 400
ROUNDING = 1e-13  # of an integral: a sum of 400 terms in double precision
NEIGHBOURS = 101
TOUCHING = 1e-12  # gaps that rounding alone can close or reverse
ENOUGH_STEPS = 1000  # shorter trainings are not judged


@dataclass(frozen=True)
class Config:
    """Which networks are trained.

    Parameters
    ----------
    depth : int
        Odd; free ResNets of depth - 1, depth + 1 and depth + 2 are trained beside it.
    seeds : int
        Networks per model and rate.
    rates : tuple of float
        Of Adam, the same for every model.
    steps, hidden : int
    device : str

    Raises
    ------
    InvalidInputError
        If a parameter is outside its domain.
    """

    depth: int = 15
    seeds: int = 20
    rates: tuple[float, ...] = (0.003, 0.01, 0.03, 0.1)
    steps: int = 2000
    hidden: int = 16
    device: str = "cpu"

    def __post_init__(self) -> None:
        check_fields(self)
        as_integer(self.depth, "depth", 3)
        expect(self.depth % 2 == 1, "depth", got=shown(self.depth), expected="an odd number")
        for name in ("seeds", "steps", "hidden"):
            as_integer(getattr(self, name), name, 1)
        check_training(self.rates, self.device)


@dataclass(frozen=True)
class Task:
    """All networks of one model: every rate with seeds 0, 1, ..."""

    gamma: float
    depth: int
    bound: float
    seeds: int
    rates: tuple[float, ...]
    steps: int
    hidden: int
    device: str


@dataclass(frozen=True)
class Family:
    """The networks of one model.

    Attributes
    ----------
    gamma : float
        0: ResNet.
    depth : int
    bound : float
        The Lipschitz constant within which a layer's increments were kept; inf: free.
    rates : tuple of float
    losses : tuple of tuple of float
        The mean square error, a row per rate, a column per seed.
    crossings : tuple of tuple of int
        How often neighbouring paths change their order, over 100 pairs; rows and columns as above.
    flips : tuple of tuple of bool
        Whether every layer turns the line around: 1 + f' < 0 all along the paths. Never for
        momentum, whose layers are no maps of x alone.
    steepest : float
        The largest Lipschitz bound of the increments among the networks of the best rate.
    path : tuple of tuple of float
        The network with the lowest error at the best rate: x after each layer, a row per layer.
    """

    gamma: float
    depth: int
    bound: float
    rates: tuple[float, ...]
    losses: tuple[tuple[float, ...], ...]
    crossings: tuple[tuple[int, ...], ...]
    flips: tuple[tuple[bool, ...], ...]
    steepest: float
    path: tuple[tuple[float, ...], ...]

    @property
    def best(self) -> int:
        """The rate with the lowest mean error: its place in ``rates``."""
        return int(np.mean(self.losses, axis=1).argmin())

    @property
    def best_losses(self) -> np.ndarray:
        """The errors at the best rate, seed by seed."""
        return np.array(self.losses[self.best])

    @property
    def name(self) -> str:
        """What the model is called."""
        return "ResNet" if self.gamma == 0 else f"γ = {self.gamma:g}"


@dataclass(frozen=True)
class Figure1:
    """All models.

    Attributes
    ----------
    steps : int
        Of the trainings.
    bounded : tuple of Family
        gamma = 0, 0.9 and 0.99, what a layer adds within the bound.
    free : tuple of Family
        ResNets without a bound, of the same depth and of neighbouring ones.
    """

    steps: int
    bounded: tuple[Family, ...]
    free: tuple[Family, ...]

    @property
    def flipping(self) -> Family:
        """The free ResNets of the depth of the others."""
        return next(f for f in self.free if f.depth == self.bounded[0].depth)


class Quadrature(NamedTuple):
    """Gauss-Legendre nodes in [-1, 1], and weights of sum 1."""

    nodes: Tensor
    weights: Tensor

    def error(self, y: Tensor) -> Tensor:
        """The mean square distance of y from -x³; the nodes run along the last axis."""
        return (y + self.nodes**3).square() @ self.weights


def quadrature(points: int, dtype: torch.dtype, device: str) -> Quadrature:
    """Exact for polynomials of degree below 2 ``points``."""
    nodes, weights = np.polynomial.legendre.leggauss(points)
    return Quadrature(*(torch.tensor(a, dtype=dtype, device=device) for a in (nodes, weights / 2)))


def crossings(positions: np.ndarray) -> np.ndarray:
    """How often neighbours change their order, layer after layer.

    Parameters
    ----------
    positions : array_like
        (layers, ..., points). Neighbours closer than `TOUCHING` keep the order they had.

    Returns
    -------
    ndarray of int
        (...), summed over pairs of neighbours and layers.

    Examples
    --------
    >>> int(crossings(np.array([[0.0, 1.0], [0.5, 0.5], [1.0, 0.0]])))
    1
    """
    gaps = np.diff(positions, axis=-1)
    order, changes = np.sign(gaps[0]), np.zeros(gaps.shape[1:], dtype=int)
    for gap in gaps[1:]:
        now = np.where(np.abs(gap) <= TOUCHING, order, np.sign(gap))
        changes += now != order
        order = now
    return changes.sum(axis=-1)


def tasks(config: Config) -> list[Task]:
    """One task per model: the bounded ones, then the free ResNets."""
    rest = config.seeds, config.rates, config.steps, config.hidden, config.device
    models = [(gamma, config.depth, BOUND) for gamma in GAMMAS]
    models += [(0.0, config.depth + more, math.inf) for more in (-1, 0, 1, 2)]
    return [Task(*model, *rest) for model in models]


def run(task: Task) -> Family:
    """Train all networks of a model."""
    nets = Nets(1, task.hidden, task.depth, task.gamma, bound=task.bound)
    seeds = list(range(task.seeds)) * len(task.rates)
    rates = [rate for rate in task.rates for _ in range(task.seeds)]
    rule = quadrature(TRAINING_NODES, torch.float32, task.device)
    x = rule.nodes.expand(len(seeds), 1, -1).contiguous()
    start = initial_parameters(nets, seeds, task.device)
    with one_thread():
        trained = train_rows(
            start,
            rates,
            task.steps,
            lambda parameters: rule.error(trajectory(nets, parameters, x)[-1][:, 0]),
        )
        return _measured(task, nets, trained.double())


def _measured(task: Task, nets: Nets, parameters: Tensor) -> Family:
    shape = len(task.rates), task.seeds
    rule = quadrature(TEST_NODES, torch.float64, task.device)
    x = rule.nodes.expand(len(parameters), 1, -1)
    losses = rule.error(trajectory(nets, parameters, x)[-1][:, 0]).view(shape)
    flips = torch.zeros(shape, dtype=torch.bool)
    if nets.gamma == 0:
        flips = (step_jacobians(nets, parameters, x) < 0).all(dim=(0, 2, 3, 4)).view(shape)
    even = torch.linspace(-1, 1, NEIGHBOURS, dtype=torch.float64, device=task.device)
    path = trajectory(nets, parameters, even.expand(len(parameters), 1, -1))
    positions = torch.stack(path)[:, :, 0].cpu().numpy()
    best = int(losses.mean(dim=1).argmin())
    net = best * task.seeds + int(losses[best].argmin())
    return Family(
        task.gamma,
        task.depth,
        task.bound,
        task.rates,
        tuple(map(tuple, losses.tolist())),
        tuple(map(tuple, crossings(positions).reshape(shape).tolist())),
        tuple(map(tuple, flips.tolist())),
        float(increment_bound(nets, parameters).view(shape)[best].max()),
        tuple(tuple(round(v, 4) for v in row) for row in positions[:, net, ::4].tolist()),
    )


def gather(config: Config, families: Sequence[Family]) -> Figure1:
    """All models together."""
    bounded, free = families[: len(GAMMAS)], families[len(GAMMAS) :]
    return Figure1(config.steps, tuple(bounded), tuple(free))


# --- claims ------------------------------------------------------------------------------------


def claims(figure: Figure1) -> list[Claim]:
    """What the trainings show of Figure 1."""
    return [
        _increasing(figure.bounded[0]),
        _momentum(figure),
        _fails_without_a_bound(figure),
        _flips(figure),
        _even_depth(figure),
    ]


def _increasing(resnet: Family) -> Claim:
    losses, crossed = np.array(resnet.losses), int(np.sum(resnet.crossings))
    return Claim.judged(
        "a ResNet whose layers act like steps of an ODE (each adds a map of Lipschitz constant at "
        f"most {BOUND:g}) has paths that do not cross, so its error on x -> -x³ is at least that "
        "of the best increasing map, 1/7",
        "Figure 1, left; Section 4",
        f"least error 1/7 + {losses.min() - INCREASING:.0e} over "
        f"{counted(losses.size, 'network')} (every rate and seed), {crossed} crossings",
        bool((losses >= INCREASING - ROUNDING).all() and crossed == 0),
    )


def _momentum(figure: Figure1) -> Claim:
    found = "; ".join(
        f"γ = {f.gamma:g}: {_spread(f.best_losses)} at rate {f.rates[f.best]:g}, "
        f"{min(f.crossings[f.best])} to {max(f.crossings[f.best])} crossings"
        for f in figure.bounded[1:]
    )
    limits = {0.9: 4e-2, 0.99: 2e-3}
    reached = all((f.best_losses <= limits[f.gamma]).all() for f in figure.bounded[1:])
    return Claim.judged(
        "under the same bound a Momentum ResNet learns x -> -x³, on every seed: error at most 0.04 "
        "with γ = 0.9, 0.002 with γ = 0.99",
        "Figure 1, right",
        found,
        reached if figure.steps >= ENOUGH_STEPS else None,
    )


def _fails_without_a_bound(figure: Figure1) -> Claim:
    resnet = figure.flipping
    return Claim.judged(
        f"a ResNet of depth {resnet.depth} with tied layers fails on x -> -x³",
        "Figure 1, as stated: without a bound on the layers",
        f"error below 1/14 for {_per_rate(resnet)}; at the best rate {_spread(resnet.best_losses)}",
        not _escaped(resnet).any() if figure.steps >= ENOUGH_STEPS else None,
    )


def _flips(figure: Figure1) -> Claim:
    odd = [f for f in figure.free if f.depth % 2]
    escaped = np.array([_escaped(f) for f in odd])
    flipping = np.array([f.flips for f in odd])[escaped].sum()
    judged = escaped.any() and figure.steps >= ENOUGH_STEPS
    return Claim.judged(
        "the ResNets that succeed, at odd depth, turn the line around in every layer (1 + f' < 0 "
        "all along the paths), as no step of an ODE does",
        "beyond the paper",
        f"{flipping} of the {escaped.sum()} with an error below 1/14, depths {_depths(odd)}",
        bool(flipping == escaped.sum()) if judged else None,
    )


def _even_depth(figure: Figure1) -> Claim:
    even = [f for f in figure.free if f.depth % 2 == 0]
    escaped = [int(_escaped(f).sum()) for f in even]
    found = ", ".join(
        f"{n} of {_escaped(f).size} at depth {f.depth}" for n, f in zip(escaped, even, strict=True)
    )
    return Claim.judged(
        f"at even depth ({_depths(even)}) no training succeeds: an even number of turns is none",
        "beyond the paper",
        f"error below 1/14: {found}, all rates together",
        not any(escaped) if figure.steps >= ENOUGH_STEPS else None,
    )


def _depths(families: Sequence[Family]) -> str:
    return " and ".join(str(f.depth) for f in families)


def _escaped(family: Family) -> np.ndarray:
    return np.array(family.losses) < ESCAPED


def _per_rate(family: Family) -> str:
    counts = _escaped(family).sum(axis=1)
    seeds = len(family.losses[0])
    return ", ".join(
        f"{n} of {seeds} at rate {rate:g}" for n, rate in zip(counts, family.rates, strict=True)
    )


def _spread(losses: np.ndarray) -> str:
    return (
        f"{losses.mean():.1e} ± {deviation(losses):.0e}, worst {losses.max():.1e} of "
        f"{counted(losses.size, 'seed')}"
    )


EXPERIMENT = Experiment(
    config=Config,
    quick=Config(seeds=2, rates=(0.03,), steps=20),
    tasks=tasks,
    run=run,
    gather=gather,
    claims=claims,
)
