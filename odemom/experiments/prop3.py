"""Proposition 3: every first-order trajectory is a second-order one, of another field.

A solution of x' = f(x) has x'' = f'(x) f(x). It therefore solves eps x'' + x' = g(x) with
g = f + eps f' f and x'(0) = f(x0), whatever eps. Random fields are integrated as both equations, by
SciPy's DOP853 along [0, 1], and by `odemom.nn.ODEBlock` up to 1. Beside it stands what is lost when
either part is left out: the velocity f(x0), or the term eps f' f.

The converse fails: a damped oscillator passes the same place with different velocities, which no
x' = h(x) does.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.func import jvp

from odemom.checks import as_integer
from odemom.experiments._fields import RandomField, second_order, solved
from odemom.experiments.frame import Claim, Experiment
from odemom.nn import ODEBlock
from odemom.records import check_fields

__all__ = ["EXPERIMENT", "Agreement", "Config", "Oscillator", "SecondOrderTwins"]

LEAST_EPS, MOST_EPS = 0.1, 10.0
DIMENSION = 3
STARTS = 8  # points per field
TOLERANCE = 1e-12  # relative and absolute, of the ODE block
AGREES = 1e-9
SHOWN_EPS = (0.1, 1.0, 10.0)
SHOWN_HORIZON, SHOWN_FIELD = 3.0, 6  # a plane field whose trajectories bend
OSCILLATOR = (-40.0, 1.0)  # theta and eps
DIGITS = 7  # that are kept


@dataclass(frozen=True)
class Agreement:
    """Largest distances from the first-order trajectories of one field, on [0, 1].

    Attributes
    ----------
    seed : int
    both : tuple of float
        Of the second-order trajectories of f + eps f' f from v0 = f(x0), along
        `SecondOrderTwins.eps`.
    block : tuple of float
        The same at time 1, by the ODE block.
    no_velocity : tuple of float
        With v0 = 0.
    no_term : tuple of float
        With f in place of f + eps f' f.
    """

    seed: int
    both: tuple[float, ...]
    block: tuple[float, ...]
    no_velocity: tuple[float, ...]
    no_term: tuple[float, ...]


@dataclass(frozen=True)
class Oscillator:
    """x and x' of eps x'' + x' = theta x, x(0) = 1, x'(0) = 0, at evenly spaced times in [0, 1]."""

    x: tuple[float, ...]
    v: tuple[float, ...]

    def velocities_at(self, place: float) -> list[float]:
        """The velocities with which it passes a place, by linear interpolation."""
        x, v = np.array(self.x) - place, np.array(self.v)
        passes = np.nonzero(x[:-1] * x[1:] < 0)[0]
        share = x[passes] / (x[passes] - x[passes + 1])
        return (v[passes] + share * (v[passes + 1] - v[passes])).tolist()


@dataclass(frozen=True)
class SecondOrderTwins:
    """The numbers of the figure.

    Attributes
    ----------
    eps : tuple of float
    fields : tuple of Agreement
    first : tuple of tuple of tuple of float
        First-order trajectories in a plane: start, time, coordinate.
    second : tuple of tuple of tuple of tuple of float
        The same of the second order, one for each eps of `SHOWN_EPS`, at fewer times.
    no_velocity : tuple of tuple of tuple of float
        The same as ``first`` with v0 = 0, eps = 1.
    oscillator : Oscillator
    """

    eps: tuple[float, ...]
    fields: tuple[Agreement, ...]
    first: tuple[tuple[tuple[float, ...], ...], ...]
    second: tuple[tuple[tuple[tuple[float, ...], ...], ...], ...]
    no_velocity: tuple[tuple[tuple[float, ...], ...], ...]
    oscillator: Oscillator


@dataclass(frozen=True)
class Config:
    """What is computed.

    Parameters
    ----------
    seeds : int
        Random fields.
    masses : int
        Values of eps, spaced evenly in log eps on [0.1, 10]; at least 2.
    points : int
        Times at which trajectories are compared; at least 2.

    Raises
    ------
    InvalidInputError
        If a parameter is outside its domain.
    """

    seeds: int = 5
    masses: int = 9
    points: int = 41

    def __post_init__(self) -> None:
        check_fields(self)
        for name, least in (("seeds", 1), ("masses", 2), ("points", 2)):
            as_integer(getattr(self, name), name, least)

    def eps(self) -> list[float]:
        """The masses."""
        return np.geomspace(LEAST_EPS, MOST_EPS, self.masses).tolist()


@dataclass(frozen=True)
class Task:
    """One field at all masses."""

    seed: int
    masses: int
    points: int


class TorchField(nn.Module):
    """A `RandomField` for tensors, and its second-order twin f + eps f' f."""

    def __init__(self, field: RandomField, eps: float = 0.0) -> None:
        super().__init__()
        self.a, self.b, self.c = (torch.from_numpy(part) for part in field.draw()[:3])
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        """f(x) + eps f'(x) f(x)."""
        value = self.first(x)
        if self.eps == 0:
            return value
        return value + self.eps * jvp(self.first, (x,), (value,))[1]

    def first(self, x: Tensor) -> Tensor:
        """f(x)."""
        return torch.tanh(x @ self.b.mT + self.c) @ self.a.mT


def tasks(config: Config) -> list[Task]:
    """One task per field."""
    return [Task(seed, config.masses, config.points) for seed in range(config.seeds)]


def run(task: Task) -> Agreement:
    """The distances of one field."""
    field = RandomField(DIMENSION, task.seed)
    x0 = np.random.default_rng([task.seed, 1]).normal(size=(STARTS, DIMENSION))
    times = np.linspace(0, 1, task.points)
    first = solved(field.functions()[0], x0, times)
    masses = Config(1, task.masses, task.points).eps()

    def distances(*, twin: bool, moving: bool) -> tuple[float, ...]:
        found = [_second(field, eps, x0, times, twin=twin, moving=moving) for eps in masses]
        return _kept([_largest(states - first) for states in found])

    return Agreement(
        task.seed,
        distances(twin=True, moving=True),
        _kept([_largest(_through_block(field, eps, x0) - first[-1]) for eps in masses]),
        distances(twin=True, moving=False),
        distances(twin=False, moving=True),
    )


def _largest(difference: np.ndarray) -> float:
    return float(np.linalg.norm(difference, axis=-1).max())


def _second(
    field: RandomField,
    eps: float,
    x0: np.ndarray,
    times: np.ndarray,
    *,
    twin: bool = True,
    moving: bool = True,
) -> np.ndarray:
    """Second-order trajectories of the twin, or of f, from v0 = f(x0) or 0."""
    f, along = field.functions()

    def g(x: np.ndarray) -> np.ndarray:
        value = f(x)
        return value + eps * along(x, value) if twin else value

    return second_order(g, eps, x0, f(x0) if moving else 0 * x0, times)[0]


def _through_block(field: RandomField, eps: float, x0: np.ndarray) -> np.ndarray:
    """The twin's states at time 1, shape of x0."""
    block = ODEBlock(
        TorchField(field, eps),
        eps=eps,
        initial_velocity=TorchField(field),
        method="dopri8",
        rtol=TOLERANCE,
        atol=TOLERANCE,
        # A step ends there: interpolation, of order 4, would cost five of the digits.
        options={"step_t": torch.ones(1, dtype=torch.float64)},
    )
    with torch.no_grad():
        return block(torch.from_numpy(x0)).numpy()


def gather(config: Config, fields: Sequence[Agreement]) -> SecondOrderTwins:
    """The fields together, and the trajectories that are drawn."""
    plane = RandomField(2, SHOWN_FIELD)
    angles = 2 * math.pi * np.arange(4) / 4
    x0 = 1.5 * np.stack([np.cos(angles), np.sin(angles)], -1)
    fine, coarse = (np.linspace(0, SHOWN_HORIZON, n) for n in (61, 11))
    theta, eps = OSCILLATOR
    block = ODEBlock(lambda x: theta * x, eps=eps, rtol=1e-9, atol=1e-9)
    x, v = block.trajectory(
        torch.ones(1, dtype=torch.float64), np.linspace(0, 1, 201), return_velocity=True
    )
    return SecondOrderTwins(
        tuple(config.eps()),
        tuple(fields),
        _curves(solved(plane.functions()[0], x0, fine)),
        tuple(_curves(_second(plane, mass, x0, coarse)) for mass in SHOWN_EPS),
        _curves(_second(plane, 1.0, x0, fine, moving=False)),
        Oscillator(_kept(x[:, 0].tolist()), _kept(v[:, 0].tolist())),
    )


def _curves(states: np.ndarray) -> tuple[tuple[tuple[float, ...], ...], ...]:
    return tuple(tuple(_kept(point) for point in curve) for curve in states.swapaxes(0, 1))


def _kept(values: Sequence[float] | np.ndarray) -> tuple[float, ...]:
    return tuple(float(f"{value:.{DIGITS}g}") for value in values)


def claims(twins: SecondOrderTwins) -> list[Claim]:
    """What holds of Proposition 3."""
    both, block, no_velocity, no_term = (
        np.array([getattr(agreement, name) for agreement in twins.fields])
        for name in ("both", "block", "no_velocity", "no_term")
    )
    velocities = twins.oscillator.velocities_at(0.0)
    theta, eps = OSCILLATOR
    span = f"eps from {twins.eps[0]:g} to {twins.eps[-1]:g}"
    return [
        Claim.judged(
            "a solution of x' = f(x) is the solution of eps x'' + x' = f + eps f' f with "
            "x'(0) = f(x0), for every eps",
            "Proposition 3",
            f"largest distance {both.max():.1e} on [0, 1], and {block.max():.1e} at 1 through "
            f"ODEBlock, over {len(both)} fields, {STARTS} starts each, {span}",
            bool(max(both.max(), block.max()) < AGREES),
        ),
        Claim.judged(
            "both the velocity and the term eps f' f are needed",
            "beyond the paper",
            f"least distance over the fields, {span}: {no_velocity.min():.2g} with x'(0) = 0, "
            f"{no_term.min():.2g} with f alone",
            bool(min(no_velocity.min(), no_term.min()) > 1e3 * both.max()),
        ),
        Claim.judged(
            "there are second-order trajectories that no first-order equation x' = h(x) has",
            "Proposition 3",
            f"with theta = {theta:g}, eps = {eps:g} the state passes 0 with velocities "
            + ", ".join(f"{velocity:.3f}" for velocity in velocities),
            len(velocities) > 1 and max(velocities) > 0 > min(velocities),
        ),
    ]


EXPERIMENT = Experiment(
    config=Config,
    quick=Config(seeds=1, masses=2, points=11),
    tasks=tasks,
    run=run,
    gather=gather,
    claims=claims,
)
