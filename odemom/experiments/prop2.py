"""Proposition 2 with its rates: small mass gives the neural ODE, large mass a straight line.

For random fields f the solution of eps x'' + x' = f(x), x(0) = x0, x'(0) = v0 is compared on [0, 1]
with what it tends to, for v0 = 0, v0 = f(x0) and a random v0:

- eps -> 0: the solution x_* of x' = f(x), x(0) = x0. The next term is
  eps (y + (f(x0) - v0) e^{-t/eps}), y' = f'(x_*) (y - f(x_*)), y(0) = v0 - f(x0);
- eps -> inf: x0 + v0 t. The next term is w/eps, w'' = f(x0 + v0 t) - v0, w(0) = w'(0) = 0. With
  eps f in place of f: the solution of x'' = f(x), the undamped flow.

An order is the slope of log error against log eps over the last decade.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from odemom.checks import as_integer
from odemom.experiments._fields import RandomField, second_order, solved
from odemom.experiments.frame import Claim, Experiment
from odemom.records import check_fields

__all__ = ["EXPERIMENT", "VELOCITIES", "Config", "Limits", "Rates"]

VELOCITIES = ("zero", "field", "random")
DIMENSION = 3
LAYER_EPS = (0.1, 0.03, 0.01)  # whose velocities are drawn
LAYER = 12.0  # e^-12 is below what is measured there
ORDER_ERROR = 0.01  # per order: the terms that follow are below a hundredth over the last decade
DIGITS = 6  # that are kept
MOST_DECADES = 5  # an explicit method steps by eps, and its tolerance must be below eps²


@dataclass(frozen=True)
class Rates:
    """Largest distances on [0, 1] for one field.

    Attributes
    ----------
    seed : int
    small : tuple of tuple of float
        max |x_eps - x_*|, one row per velocity of `VELOCITIES`, along `Limits.small_eps`.
    small_corrected : tuple of tuple of float
        The same with the next term.
    large, large_corrected : tuple of tuple of float
        The same against x0 + v0 t, along `Limits.large_eps`.
    rescaled : tuple of tuple of float
        max |x_eps - x_inf| for eps x'' + x' = eps f(x), x_inf'' = f(x_inf).
    velocity, velocity_later : tuple of tuple of float
        max |x_eps' - f(x_*)| over [0, 1], and after the layer, over [12 eps log(1/eps), 1] (at most
        from 1/2 on); along `Limits.small_eps`.
    times : tuple of float
        Of the velocities that are drawn.
    layers : tuple of tuple of float
        The component of x_eps' along v0 - f(x0) in units of |v0 - f(x0)|, v0 random, for the eps of
        `LAYER_EPS`.
    limit : tuple of float
        That of f(x_*).
    """

    seed: int
    small: tuple[tuple[float, ...], ...]
    small_corrected: tuple[tuple[float, ...], ...]
    large: tuple[tuple[float, ...], ...]
    large_corrected: tuple[tuple[float, ...], ...]
    rescaled: tuple[tuple[float, ...], ...]
    velocity: tuple[tuple[float, ...], ...]
    velocity_later: tuple[tuple[float, ...], ...]
    times: tuple[float, ...]
    layers: tuple[tuple[float, ...], ...]
    limit: tuple[float, ...]


@dataclass(frozen=True)
class Limits:
    """The distances of all fields.

    Attributes
    ----------
    small_eps : tuple of float
        Decreasing from 1.
    large_eps : tuple of float
        Increasing from 1.
    fields : tuple of Rates
    """

    small_eps: tuple[float, ...]
    large_eps: tuple[float, ...]
    fields: tuple[Rates, ...]

    def orders(self, name: str) -> np.ndarray:
        """Slopes over the last decade of the errors of a name; shape (fields, velocities)."""
        eps = np.array(self.large_eps if name.startswith(("large", "rescaled")) else self.small_eps)
        last = np.abs(np.log10(eps)) >= np.abs(np.log10(eps)).max() - 1 - 1e-9
        errors = np.array([getattr(rates, name) for rates in self.fields])
        fits = np.polyfit(np.log(eps[last]), np.log(errors[..., last]).reshape(-1, last.sum()).T, 1)
        return fits[0].reshape(errors.shape[:2])


@dataclass(frozen=True)
class Config:
    """What is computed.

    Parameters
    ----------
    seeds : int
        Random fields.
    decades, per_decade : int
        eps runs over so many decades down from 1, and up, with so many values each (at least 2);
        every further decade takes ten times as long, and 5 are the most.
    points : int
        Times, evenly spaced in [0, 1] and again in the boundary layer; at least 2.

    Raises
    ------
    InvalidInputError
        If a parameter is outside its domain.
    """

    seeds: int = 3
    decades: int = 4
    per_decade: int = 4
    points: int = 101

    def __post_init__(self) -> None:
        check_fields(self)
        for name, least in (("seeds", 1), ("per_decade", 2), ("points", 2)):
            as_integer(getattr(self, name), name, least)
        as_integer(self.decades, "decades", 1, MOST_DECADES)

    def masses(self) -> np.ndarray:
        """The masses from 1 on."""
        return np.logspace(0, self.decades, self.decades * self.per_decade + 1)


@dataclass(frozen=True)
class Task:
    """All distances of one field."""

    seed: int
    config: Config


def tasks(config: Config) -> list[Task]:
    """One task per field."""
    return [Task(seed, replace(config, seeds=1)) for seed in range(config.seeds)]


@dataclass(frozen=True)
class Problem:
    """A field with its three starts, one row per velocity of `VELOCITIES`."""

    field: RandomField

    def starts(self) -> tuple[np.ndarray, np.ndarray]:
        """x0 and v0, shapes (3, d)."""
        f, _ = self.field.functions()
        *_, (point, velocity) = self.field.draw()
        x0 = np.broadcast_to(point, (len(VELOCITIES), point.size))
        return x0, np.stack([np.zeros_like(point), f(point), velocity])

    def first_order(self, times: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """x_* and y of the module's docstring, shapes (n, 3, d)."""
        f, along = self.field.functions()
        x0, v0 = self.starts()

        def rate(state: np.ndarray) -> np.ndarray:
            x, y = state
            return np.stack([f(x), along(x, y - f(x))])

        states = solved(rate, np.stack([x0, v0 - f(x0)]), times)
        return states[:, 0], states[:, 1]

    def straight(self, times: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """x0 + v0 t and w of the module's docstring, shapes (n, 3, d)."""
        f, _ = self.field.functions()
        x0, v0 = self.starts()

        def rate(state: np.ndarray) -> np.ndarray:
            line, _, speed = state
            return np.stack([v0, speed, f(line) - v0])

        states = solved(rate, np.stack([x0, 0 * x0, 0 * x0]), times)
        return states[:, 0], states[:, 1]


def run(task: Task) -> Rates:
    """The distances of one field."""
    problem = Problem(RandomField(DIMENSION, task.seed))
    masses, points = task.config.masses(), task.config.points
    small = [_small(problem, 1 / mass, points) for mass in masses]
    large = [_large(problem, mass, points) for mass in masses]
    distances = {
        name: _rows([row[name] for row in rows]) for rows in (small, large) for name in rows[0]
    }
    times, layers, limit = _layers(problem, points)
    return Rates(task.seed, **distances, times=times, layers=layers, limit=limit)


def _small(problem: Problem, eps: float, points: int) -> dict[str, np.ndarray]:
    """Distances of x_eps from its limit and from the next one, and of its velocity."""
    f, _ = problem.field.functions()
    inside = np.linspace(0, min(LAYER * eps, 1.0), points)
    times = np.union1d(inside, np.linspace(0, 1, points))
    x0, v0 = problem.starts()
    x, v = second_order(f, eps, x0, v0, times)
    limit, y = problem.first_order(times)
    decay = np.exp(-times / eps)[:, None, None]
    later = times >= min(LAYER * eps * (1 - np.log(eps)), 0.5)
    slip = v - f(limit)
    return {
        "small": _largest(x - limit),
        "small_corrected": _largest(x - limit - eps * (y + (f(x0) - v0) * decay)),
        "velocity": _largest(slip),
        "velocity_later": _largest(slip[later]),
    }


def _large(problem: Problem, eps: float, points: int) -> dict[str, np.ndarray]:
    """Distances of x_eps from its limit and the next one, and with the field rescaled."""
    f, _ = problem.field.functions()
    times = np.linspace(0, 1, points)
    x0, v0 = problem.starts()
    x, _ = second_order(f, eps, x0, v0, times)
    line, w = problem.straight(times)
    rescaled, _ = second_order(lambda x: eps * f(x), eps, x0, v0, times)
    undamped = solved(lambda state: np.stack([state[1], f(state[0])]), np.stack([x0, v0]), times)[
        :, 0
    ]
    return {
        "large": _largest(x - line),
        "large_corrected": _largest(x - line - w / eps),
        "rescaled": _largest(rescaled - undamped),
    }


def _layers(
    problem: Problem, points: int
) -> tuple[tuple[float, ...], tuple[tuple[float, ...], ...], tuple[float, ...]]:
    """Times, velocities along v0 - f(x0), and their limit, for the random v0."""
    f, _ = problem.field.functions()
    x0, v0 = problem.starts()
    jump = (v0 - f(x0))[-1]
    unit = jump / (jump @ jump)
    times = np.union1d(np.linspace(0, 1, points), np.linspace(0, 0.3, points))
    velocities = [second_order(f, eps, x0, v0, times)[1][:, -1] @ unit for eps in LAYER_EPS]
    limit = f(problem.first_order(times)[0][:, -1]) @ unit
    return _kept(times), tuple(_kept(row) for row in velocities), _kept(limit)


def _largest(difference: np.ndarray) -> np.ndarray:
    """The largest norm over time, one per velocity."""
    return np.linalg.norm(difference, axis=-1).max(axis=0)


def _rows(columns: list[np.ndarray]) -> tuple[tuple[float, ...], ...]:
    return tuple(_kept(row) for row in np.stack(columns, axis=-1))


def _kept(values: np.ndarray) -> tuple[float, ...]:
    return tuple(float(f"{value:.{DIGITS}g}") for value in values)


def gather(config: Config, fields: Sequence[Rates]) -> Limits:
    """The fields together."""
    masses = config.masses()
    return Limits(_kept(1 / masses), _kept(masses), tuple(fields))


def claims(limits: Limits) -> list[Claim]:
    """What holds of the two limits."""
    count = len(limits.fields)
    ends = np.array([rates.small for rates in limits.fields])
    whole = np.array([rates.velocity for rates in limits.fields])[..., -1]
    later = np.array([rates.velocity_later for rates in limits.fields])[..., -1]
    falling = bool((np.diff(ends, axis=-1) < 0).all())
    return [
        Claim.judged(
            "as eps -> 0 the solution of eps x'' + x' = f(x) tends to that of x' = f(x), uniformly "
            "on [0, 1], whatever the initial velocity",
            "Proposition 2",
            f"the largest distance falls with eps for {count} fields and 3 velocities, from at "
            f"most {ends[..., 0].max():.2g} at eps = 1 to {ends[..., -1].max():.2g} at "
            f"{limits.small_eps[-1]:g}",
            falling and ends[..., -1].max() < ends[..., 0].min() / 100,
        ),
        _order(limits, "small", 1, "the order of that convergence is 1, whatever the velocity"),
        _order(
            limits,
            "small_corrected",
            2,
            "with the next term eps (y + (f(x0) - v0) e^{-t/eps}) it is 2",
        ),
        Claim.judged(
            "the velocity tends to f(x_*) after a boundary layer of width eps, and uniformly only "
            "for v0 = f(x0)",
            "beyond the paper",
            f"at eps = {limits.small_eps[-1]:g} the largest |x' - f(x_*)| over {count} fields is "
            + ", ".join(
                f"{whole[:, i].max():.2g} ({later[:, i].max():.2g} after the layer) for v0 = {name}"
                for i, name in enumerate(("0", "f(x0)", "random"))
            ),
            bool(whole[:, 1].max() < 0.01 and later.max() < 0.01 and whole[:, ::2].min() > 0.1),
        ),
        _order(
            limits,
            "large",
            -1,
            "as eps -> inf the solution tends to the straight line x0 + v0 t, with order -1",
            "Proposition 2; the order beyond the paper",
        ),
        _order(limits, "large_corrected", -2, "with the next term w/eps the order is -2"),
        _order(
            limits,
            "rescaled",
            -1,
            "with eps f in place of f it tends to the solution of x'' = f(x), with order -1",
        ),
    ]


def _order(
    limits: Limits, name: str, order: int, words: str, where: str = "beyond the paper"
) -> Claim:
    found = limits.orders(name)
    return Claim.judged(
        words,
        where,
        f"slopes over the last decade from {found.min():.4f} to {found.max():.4f} "
        f"({found.shape[0]} fields, v0 = 0, f(x0) and random)",
        bool(np.abs(found - order).max() <= ORDER_ERROR * abs(order)),
    )


EXPERIMENT = Experiment(
    config=Config,
    quick=Config(seeds=1, decades=2, per_decade=2, points=11),
    tasks=tasks,
    run=run,
    gather=gather,
    claims=claims,
)
