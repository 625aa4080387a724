"""Figure 4 of the paper: lambda_eps against eps, and the representable plane of eigenvalue pairs.

The left panel is `odemom.lambda_eps`. The right panel is decided, not drawn from the theorem: every
diag(mu_1, mu_2) of a rational grid goes through `odemom.is_representable` in exact arithmetic.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from odemom.checks import as_integer
from odemom.experiments.frame import Claim, Experiment
from odemom.flows.by_eps import flow_of
from odemom.flows.threshold import lambda_eps
from odemom.representability.analyze import is_representable

__all__ = ["EXPERIMENT", "Config", "Figure4", "Plane"]

LIMITS = {"points": (2, 100_000), "per_unit": (1, 100), "extent": (1, 100)}
PLANE_EPS = (0.0, 0.5, math.inf)


@dataclass(frozen=True)
class Plane:
    """Which diag(mu_1, mu_2) are representable, at one eps.

    Attributes
    ----------
    eps : float
    threshold : float
        lambda_eps: 0 at eps = 0, -1 at eps = inf.
    threshold_included : bool
        Whether mu = lambda_eps itself is representable: not at eps = 0, where exp never vanishes.
    representable : tuple of tuple of bool
        The decision for (mu_1, mu_2) = (axis[j], axis[i]), row i, column j.
    """

    eps: float
    threshold: float
    threshold_included: bool
    representable: tuple[tuple[bool, ...], ...]


@dataclass(frozen=True)
class Figure4:
    """The numbers of Figure 4.

    Attributes
    ----------
    eps, lambda_eps : tuple of float
        The curve of the left panel.
    axis : tuple of float
        The values of mu_1 and of mu_2 at which the right panel was decided.
    planes : tuple of Plane
        The right panel, one for every eps of `PLANE_EPS`.
    """

    eps: tuple[float, ...]
    lambda_eps: tuple[float, ...]
    axis: tuple[float, ...]
    planes: tuple[Plane, ...]


@dataclass(frozen=True)
class Config:
    """What is computed.

    Parameters
    ----------
    points : int
        Points of the curve, spaced evenly in log eps on [1e-2, 1e2]; from 2 to 100,000.
    per_unit, extent : int
        The plane is decided at the multiples of 1/per_unit in [-extent, extent], exactly; from 1
        to 100 each.

    Raises
    ------
    InvalidInputError
        If a parameter is no integer, or outside its limits.
    """

    points: int = 401
    per_unit: int = 8
    extent: int = 2

    def __post_init__(self) -> None:
        for name, (least, most) in LIMITS.items():
            as_integer(getattr(self, name), name, least, most)


@dataclass(frozen=True)
class PlaneTask:
    """One plane: all diag(mu_1, mu_2) of the grid, at one eps."""

    eps: float
    per_unit: int
    extent: int

    @property
    def axis(self) -> list[Fraction]:
        """The values of mu_1 and of mu_2."""
        reach = self.extent * self.per_unit
        return [Fraction(k, self.per_unit) for k in range(-reach, reach + 1)]


def tasks(config: Config) -> list[PlaneTask]:
    """One task per plane."""
    return [PlaneTask(eps, config.per_unit, config.extent) for eps in PLANE_EPS]


def run(task: PlaneTask) -> Plane:
    """Decide a plane."""
    image = flow_of(task.eps).real_image
    assert image.threshold is not None  # the flows of PLANE_EPS have one
    decided = tuple(
        tuple(bool(is_representable([[mu1, 0], [0, mu2]], task.eps)) for mu1 in task.axis)
        for mu2 in task.axis
    )
    return Plane(task.eps, image.threshold.value, image.at.kind != "never", decided)


def gather(config: Config, planes: Sequence[Plane]) -> Figure4:
    """The figure from its planes."""
    eps = np.logspace(-2, 2, config.points)
    axis = tasks(config)[0].axis
    return Figure4(
        tuple(eps.tolist()),
        tuple(lambda_eps(eps).tolist()),
        tuple(float(mu) for mu in axis),
        tuple(planes),
    )


def claims(figure: Figure4) -> list[Claim]:
    """What the figure shows of Theorem 1."""
    falls = np.diff(figure.lambda_eps)
    wrong = sum(_disagreements(plane, np.array(figure.axis)) for plane in figure.planes)
    cells = len(figure.planes) * len(figure.axis) ** 2
    return [
        Claim.judged(
            "lambda_eps decreases from 0 to -1 as eps grows",
            "Section 4, Figure 4, left",
            f"{figure.lambda_eps[0]:.2g} at eps = {figure.eps[0]:g}, "
            f"{figure.lambda_eps[-1]:.4f} at {figure.eps[-1]:g}, "
            f"{int((falls < 0).sum())} of {len(falls)} steps fall",
            bool((falls < 0).all()),
        ),
        Claim.judged(
            "diag(l1, l2) is representable where both are above lambda_eps, or equal",
            "Theorem 1, Figure 4, right",
            f"{cells - wrong} of {cells} exact decisions agree",
            wrong == 0,
        ),
    ]


def _disagreements(plane: Plane, mu: np.ndarray) -> int:
    above = mu >= plane.threshold if plane.threshold_included else mu > plane.threshold
    paired = np.eye(mu.size, dtype=bool) & (mu < plane.threshold)
    expected = above[:, None] & above[None, :] | paired
    return int((np.array(plane.representable) != expected).sum())


EXPERIMENT = Experiment(
    config=Config,
    quick=Config(points=41, per_unit=3),
    tasks=tasks,
    run=run,
    gather=gather,
    claims=claims,
)
