"""The mirror diag(1, -1) and the half turn -I: how a plane gets there, and which order can.

At first order det x(t) stays positive: a plane can turn, but never open mirrored. At eps = inf it
folds flat and opens on the other side. In between it stops at lambda_eps; two constant pieces of
theta, one after the other, reach the mirror at any eps.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy.linalg
import scipy.optimize

import odemom
from odemom.checks import as_integer, as_positive, expect, shown
from odemom.experiments.frame import Claim, Experiment
from odemom.records import check_fields

__all__ = ["EXPERIMENT", "Config", "Mirror", "Path", "Task"]

Matrix = tuple[tuple[float, float], tuple[float, float]]

PATHS = ("turn", "collapse", "fold", "stop", "pieces")
KICK = -16.0  # theta of the first of two pieces, on the second coordinate: through 0 before T/2
ROUNDING = 1e-12  # of a chain of some ten products of condition below 100


@dataclass(frozen=True)
class Config:
    """What is drawn.

    Parameters
    ----------
    eps : float
        The mass at which the plane stops, in [0.05, 1000].
    frames : int
        Times, evenly spaced on [0, 1], at least 3; an odd number, so that 1/2 is one of them.

    Raises
    ------
    InvalidInputError
        If a parameter is outside its domain.
    """

    eps: float = 0.5
    frames: int = 61

    def __post_init__(self) -> None:
        check_fields(self)
        as_positive(self.eps, "eps", 1e3)
        expect(self.eps >= 0.05, "eps", got=shown(self.eps), expected="a number in [0.05, 1000]")
        as_integer(self.frames, "frames", 3)


@dataclass(frozen=True)
class Task:
    """One path of the plane, by its name in `PATHS`."""

    path: str
    eps: float
    frames: int


@dataclass(frozen=True)
class Path:
    """How the plane moves under one theta, or two.

    Attributes
    ----------
    name : str
    eps : float
    target : Matrix
        The map that is asked for.
    thetas : tuple of Matrix
        One piece on [0, 1], or two of equal length.
    times : tuple of float
    maps : tuple of Matrix
        x(t) = maps[i] x(0) at times[i].
    """

    name: str
    eps: float
    target: Matrix
    thetas: tuple[Matrix, ...]
    times: tuple[float, ...]
    maps: tuple[Matrix, ...]

    @property
    def determinants(self) -> np.ndarray:
        """Det of the maps, shape (frames,)."""
        return np.linalg.det(np.array(self.maps))

    @property
    def missed(self) -> float:
        """The largest entry of the last map minus the target."""
        return float(np.abs(np.array(self.maps[-1]) - np.array(self.target)).max())


@dataclass(frozen=True)
class Mirror:
    """The paths, in the order of `PATHS`."""

    paths: tuple[Path, ...]

    def path(self, name: str) -> Path:
        """The path of a name."""
        return next(path for path in self.paths if path.name == name)


def tasks(config: Config) -> list[Task]:
    """One task per path."""
    return [Task(name, config.eps, config.frames) for name in PATHS]


def run(task: Task) -> Path:
    """Follow the plane along one path."""
    half_turn, mirror = -np.eye(2), np.diag([1.0, -1.0])
    times = np.linspace(0, 1, task.frames)
    if task.path == "pieces":
        thetas = _two_pieces(task.eps)
        maps = [_map_of_pieces(thetas, task.eps, t) for t in times]
        return _path(task.path, task.eps, mirror, thetas, times, maps)
    eps, target, reached = {
        "turn": (0.0, half_turn, half_turn),
        "collapse": (math.inf, half_turn, half_turn),
        "fold": (math.inf, mirror, mirror),
        "stop": (task.eps, mirror, np.diag([1.0, odemom.lambda_eps(task.eps) * (1 - 1e-12)])),
    }[task.path]
    if task.path == "collapse":
        theta = -(math.pi**2) * np.eye(2)  # a function of -I; represent would turn the plane
    else:
        theta = odemom.represent(reached, eps)
    maps = [odemom.psi(theta, eps, horizon=t) if t > 0 else np.eye(2) for t in times]
    return _path(task.path, eps, target, [theta], times, maps)


def _path(
    name: str,
    eps: float,
    target: np.ndarray,
    thetas: Sequence[np.ndarray],
    times: np.ndarray,
    maps: Sequence[np.ndarray],
) -> Path:
    return Path(
        name,
        eps,
        _matrix(target),
        tuple(map(_matrix, thetas)),
        tuple(times.tolist()),
        tuple(map(_matrix, maps)),
    )


def _matrix(m: np.ndarray) -> Matrix:
    (a, b), (c, d) = m.tolist()
    return (a, b), (c, d)


def _propagated(state: np.ndarray, theta: float, eps: float, t: float) -> np.ndarray:
    """(x, x') after the time t under eps x'' + x' = theta x."""
    return scipy.linalg.expm(t * np.array([[0.0, 1.0], [theta / eps, -1 / eps]])) @ state


def _two_pieces(eps: float) -> list[np.ndarray]:
    """Two constant pieces that take the second coordinate from 1 to -1, the first one resting."""
    first = KICK * max(1.0, eps)
    middle = _propagated(np.array([1.0, 0.0]), first, eps, 0.5)

    def missed(theta: float) -> float:
        return float(_propagated(middle, theta, eps, 0.5)[0] + 1)

    low, high = -1.0, 1.0
    while missed(low) * missed(high) > 0:  # beyond its minimum x(1) falls, or grows, without bound
        low, high = 2 * low, 2 * high
    second = scipy.optimize.root_scalar(missed, bracket=(low, high), xtol=1e-14, rtol=1e-15).root
    return [np.diag([0.0, first]), np.diag([0.0, second])]


def _map_of_pieces(thetas: Sequence[np.ndarray], eps: float, t: float) -> np.ndarray:
    state = _propagated(np.array([1.0, 0.0]), float(thetas[0][1, 1]), eps, min(t, 0.5))
    if t > 0.5:
        state = _propagated(state, float(thetas[1][1, 1]), eps, t - 0.5)
    return np.diag([1.0, float(state[0])])


def gather(config: Config, paths: Sequence[Path]) -> Mirror:
    """The paths together."""
    del config
    return Mirror(tuple(paths))


def claims(mirror: Mirror) -> list[Claim]:
    """What the paths show."""
    turn, collapse, fold, stop, pieces = (mirror.path(name) for name in PATHS)
    middle = len(collapse.times) // 2
    smallest = float(np.abs(np.array(collapse.maps[middle])).max())
    lowest = float(np.array(stop.maps[-1])[1, 1])
    return [
        Claim.judged(
            "at first order det x(t) stays positive: trajectories never cross and the mirror is "
            "out of reach",
            "Section 4",
            f"smallest det {turn.determinants.min():.6f} on the way to -I",
            bool(turn.determinants.min() > 0),
        ),
        Claim.judged(
            "at eps = inf the plane folds flat, det x(t) changes sign, and the mirror is reached",
            "Theorem 1",
            f"det from {fold.determinants[0]:.3f} to {fold.determinants[-1]:.3f}, mirror missed by "
            f"{fold.missed:.1e}",
            bool(fold.determinants.min() < 0 and fold.missed < ROUNDING),
        ),
        Claim.judged(
            "at eps = inf, -I is also reached by a collapse: all trajectories cross in one point",
            "Theorem 1",
            f"at t = 1/2 the largest entry of the map is {smallest:.1e}",
            smallest < ROUNDING if collapse.times[middle] == 0.5 else None,
        ),
        Claim.judged(
            "at a finite eps one constant theta stops at lambda_eps",
            "Theorem 1",
            f"eps = {stop.eps:g}: {lowest:.6f}, lambda_eps = {odemom.lambda_eps(stop.eps):.6f}",
            bool(abs(lowest - odemom.lambda_eps(stop.eps)) < 1e-9),
        ),
        Claim.judged(
            "two constant pieces reach the mirror at the same eps",
            "beyond the paper",
            f"eps = {pieces.eps:g}, theta_22 = {pieces.thetas[0][1][1]:.3g}, then "
            f"{pieces.thetas[1][1][1]:.3g}: missed by {pieces.missed:.1e}",
            pieces.missed < ROUNDING,
        ),
    ]


EXPERIMENT = Experiment(
    config=Config,
    quick=Config(frames=9),
    tasks=tasks,
    run=run,
    gather=gather,
    claims=claims,
)
