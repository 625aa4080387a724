"""Figure 3 of the paper: ResNet, neural ODE, Momentum ResNet, second-order ODE, from net to ODE.

With the time of the ODE on [0, 1] and a field F, the N layers of a net are steps of length 1/N:

    ResNet           x_{n+1} = x_n + F(x_n)/N                                    -> x' = F(x)
    Momentum ResNet  v_{n+1} = gamma v_n + (1 - gamma) F(x_n)/N,  x_{n+1} = x_n + v_{n+1}
                     with gamma = 1 - 1/(N eps)                           -> eps x'' + x' = F(x)

both from v_0 = 0. Counted in layers the net's eps is 1/(1 - gamma), as the paper writes it; counted
in the time of the ODE it is 1/(N (1 - gamma)). A net that is made deeper at one and the same gamma
therefore loses its inertia: its limit is the *first-order* ODE. All three limits are measured on
random fields F(x) = B tanh(A x + b) in three dimensions; the trajectories drawn are those of
F(x) = -6 x/(1 + x²) in one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.integrate import solve_ivp

from odemom.checks import as_integer, as_positive, expect, shown
from odemom.experiments._spread import deviation
from odemom.experiments.frame import Claim, Experiment
from odemom.records import check_fields

__all__ = ["EXPERIMENT", "Config", "Convergence", "Figure3", "momentum_net", "residual_net"]

Field = Callable[[np.ndarray], np.ndarray]
Rows = tuple[tuple[float, ...], ...]

DIMENSION, SCALE = 3, 2.0
FIXED_GAMMA = 0.9
STARTS = tuple(np.linspace(-1, 1, 9).tolist())
INSTANTS = 121
"""Of the ODEs' trajectories on the picture."""

TOLERANCE = 1e-12
SLOPE = 0.05
"""How far the measured order, over the last factor of four in depth, may be from 1: the next term
of the error is smaller by a few times eps/N, eps in layers, at most a few times 1/100."""


@dataclass(frozen=True)
class Config:
    """What is simulated.

    Parameters
    ----------
    eps : float
        Of the second-order ODE on [0, 1].
    shown : sequence of int
        Depths of the nets on the picture; N eps >= 1, so that gamma >= 0.
    film : sequence of int
        Depths of the nets of the animation, likewise.
    depths : sequence of int
        Depths at which the distance to the ODE is measured; 3 or more, rising, N eps >= 1.
    seeds : int
        Random fields.

    Raises
    ------
    InvalidInputError
        If a parameter is outside its domain.
    """

    eps: float = 0.5
    shown: tuple[int, ...] = (4, 8, 32)
    film: tuple[int, ...] = (2, 3, 4, 5, 6, 7, 8, 10, 12, 14, 16, 20, 24, 32, 48, 64)
    depths: tuple[int, ...] = (8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096)
    seeds: int = 10

    def __post_init__(self) -> None:
        check_fields(self)
        as_positive(self.eps, "eps")
        as_integer(self.seeds, "seeds", 1)
        least = int(np.ceil(1 / self.eps))
        for name, count in (("shown", 1), ("film", 1), ("depths", 3)):
            values = getattr(self, name)
            for depth in values:
                as_integer(depth, name, least)
            rising = len(values) >= count and all(np.diff(values) > 0)
            expect(rising, name, got=shown(values), expected=f"{count} or more depths, rising")


@dataclass(frozen=True)
class FieldTask:
    """One random field."""

    seed: int
    eps: float
    depths: tuple[int, ...]


@dataclass(frozen=True)
class Convergence:
    """The distances of nets from ODEs for one field.

    Attributes
    ----------
    seed : int
    first, second : tuple of float
        Of the ResNet from the first-order ODE, and of the Momentum ResNet with
        gamma = 1 - 1/(N eps) from the second-order ODE, one per depth: the largest over the layers
        and the coordinates.
    fixed : tuple of float
        Of the Momentum ResNet with gamma = 0.9 at every depth, from the first-order ODE.
    fixed_second : tuple of float
        The same net from the second-order ODE.
    """

    seed: int
    first: tuple[float, ...]
    second: tuple[float, ...]
    fixed: tuple[float, ...]
    fixed_second: tuple[float, ...]


@dataclass(frozen=True)
class Paths:
    """The trajectories of a net, or of an ODE at evenly spaced instants.

    Attributes
    ----------
    depth : int
        Layers; 0 for an ODE.
    first, second : tuple of tuple of float
        Of first and of second order: one row per start of `STARTS`, from time 0 to 1.
    """

    depth: int
    first: Rows
    second: Rows


@dataclass(frozen=True)
class Figure3:
    """The numbers of Figure 3.

    Attributes
    ----------
    eps : float
    depths : tuple of int
    convergence : tuple of Convergence
        One per field.
    nets, film : tuple of Paths
    ode : Paths
    """

    eps: float
    depths: tuple[int, ...]
    convergence: tuple[Convergence, ...]
    nets: tuple[Paths, ...]
    film: tuple[Paths, ...]
    ode: Paths


def residual_net(field: Field, x: np.ndarray, depth: int) -> np.ndarray:
    """All layers of the ResNet x <- x + F(x)/N.

    Examples
    --------
    >>> residual_net(lambda x: -x, np.ones(1), 2)[:, 0].tolist()
    [1.0, 0.5, 0.25]
    """
    layers = [x]
    for _ in range(depth):
        layers.append(layers[-1] + field(layers[-1]) / depth)
    return np.array(layers)


def momentum_net(field: Field, x: np.ndarray, depth: int, gamma: float) -> np.ndarray:
    """All layers of the Momentum ResNet v <- gamma v + (1 - gamma) F(x)/N, x <- x + v.

    Examples
    --------
    >>> momentum_net(lambda x: -x, np.ones(1), 2, 0.0)[:, 0].tolist()
    [1.0, 0.5, 0.25]
    """
    layers, v = [x], np.zeros_like(x)
    for _ in range(depth):
        v = gamma * v + (1 - gamma) * field(layers[-1]) / depth
        layers.append(layers[-1] + v)
    return np.array(layers)


def gamma_of(depth: int, eps: float) -> float:
    """The gamma of the net of N layers that is near eps x'' + x' = F(x) on [0, 1]."""
    return 1 - 1 / (depth * eps)


def _ode(field: Field, x: np.ndarray, eps: float, instants: int) -> np.ndarray:
    """The solution at evenly spaced instants; eps = 0 is the first order."""
    d, times = x.size, np.linspace(0, 1, instants)

    def rate(_: float, state: np.ndarray) -> np.ndarray:
        if eps == 0:
            return field(state)
        position, velocity = state[:d], state[d:]
        return np.concatenate([velocity, (field(position) - velocity) / eps])

    start = x if eps == 0 else np.concatenate([x, np.zeros(d)])
    solution = solve_ivp(
        rate, (0, 1), start, method="DOP853", t_eval=times, rtol=TOLERANCE, atol=TOLERANCE
    )
    return solution.y[:d].T


def tasks(config: Config) -> list[FieldTask]:
    """One task per random field."""
    return [FieldTask(seed, config.eps, config.depths) for seed in range(config.seeds)]


def run(task: FieldTask) -> Convergence:
    """Measure the distances for one field."""
    rng = np.random.default_rng(task.seed)
    a, b = SCALE * rng.standard_normal((2, DIMENSION, DIMENSION)) / np.sqrt(DIMENSION)
    c, x = rng.standard_normal((2, DIMENSION))

    def field(y: np.ndarray) -> np.ndarray:
        return b @ np.tanh(a @ y + c)

    exact = [{n: _ode(field, x, eps, n + 1) for n in task.depths} for eps in (0.0, task.eps)]
    rows: list[list[float]] = [[], [], [], []]
    for n in task.depths:
        first = residual_net(field, x, n)
        second = momentum_net(field, x, n, gamma_of(n, task.eps))
        fixed = momentum_net(field, x, n, FIXED_GAMMA)
        pairs = ((first, 0), (second, 1), (fixed, 0), (fixed, 1))
        for row, (net, order) in zip(rows, pairs, strict=True):
            row.append(float(f"{np.abs(net - exact[order][n]).max():.6g}"))
    return Convergence(task.seed, *map(tuple, rows))


def _drawn_field(x: np.ndarray) -> np.ndarray:
    return -6 * x / (1 + x**2)


def gather(config: Config, found: Sequence[Convergence]) -> Figure3:
    """The figure from its fields, with the trajectories to be drawn."""
    x = np.array(STARTS)

    def rows(layers: np.ndarray) -> Rows:
        return tuple(tuple(row) for row in np.round(layers.T, 5).tolist())

    def net(depth: int) -> Paths:
        second = momentum_net(_drawn_field, x, depth, gamma_of(depth, config.eps))
        return Paths(depth, rows(residual_net(_drawn_field, x, depth)), rows(second))

    ode = Paths(0, *(rows(_ode(_drawn_field, x, eps, INSTANTS)) for eps in (0.0, config.eps)))
    nets, film = (tuple(net(depth) for depth in depths) for depths in (config.shown, config.film))
    return Figure3(config.eps, config.depths, tuple(found), nets, film, ode)


def crossings(rows: Rows) -> int:
    """How often neighbouring trajectories change their order, beyond the rounding of `rows`."""
    order = np.diff(np.array(rows), axis=0)
    signs = np.sign(np.where(np.abs(order) > 1e-4, order, 0))
    return sum(int((np.diff(row[row != 0]) != 0).sum()) for row in signs)


def claims(data: Figure3) -> list[Claim]:
    """What the figure shows of the relation between nets and ODEs."""
    count = len(data.convergence)

    def order(name: str, layers: float) -> tuple[str, bool | None]:
        fits = data.depths[-3] >= 50 * layers  # the first term of the error stands alone
        errors = np.array([getattr(c, name) for c in data.convergence])
        slopes = np.log(errors[:, -3] / errors[:, -1]) / np.log(data.depths[-1] / data.depths[-3])
        text = (
            f"order {slopes.mean():.3f} ± {deviation(slopes):.3f} over {count} fields, depths "
            f"{data.depths[-3]} to {data.depths[-1]}, largest distance {errors[:, -1].max():.1e}"
        )
        return text, bool(np.abs(slopes - 1).max() <= SLOPE) if fits else None

    first, second = order("first", 1), order("second", 1)
    fixed = order("fixed", 1 / (1 - FIXED_GAMMA))
    away = np.array([c.fixed_second[-1] for c in data.convergence])
    once, twice = crossings(data.ode.first), crossings(data.ode.second)
    return [
        Claim.judged(
            "a ResNet is a discretised first-order ODE: it tends to the neural ODE with the depth",
            "Figure 3",
            *first,
        ),
        Claim.judged(
            "a Momentum ResNet is a discretised second-order ODE with eps = 1/(1 - gamma), in "
            "layers: at gamma = 1 - 1/(N eps) it tends to eps x'' + x' = f(x) on [0, 1]",
            "Section 3, Figure 3",
            f"eps = {data.eps:g}: {second[0]}",
            second[1],
        ),
        Claim.judged(
            "trajectories of a first-order ODE in one dimension never cross, those of a "
            "second-order ODE can",
            "Figure 1",
            f"{once} and {twice} changes of order among {len(STARTS)} trajectories of "
            "x -> -6 x/(1 + x²)",
            once == 0 and twice > 0,
        ),
        Claim.judged(
            "with gamma held fixed a deeper Momentum ResNet tends to the first-order ODE, not to "
            "the second-order one: its eps on [0, 1] is 1/(N (1 - gamma))",
            "beyond the paper",
            f"gamma = {FIXED_GAMMA:g}: {fixed[0]}; from the second-order ODE it stays "
            f"{away.min():.2f} to {away.max():.2f} away",
            fixed[1],
        ),
    ]


EXPERIMENT = Experiment(
    config=Config,
    quick=Config(shown=(4, 16), film=(4, 8), depths=(64, 128, 256), seeds=2),
    tasks=tasks,
    run=run,
    gather=gather,
    claims=claims,
)
