"""Figure 4 of the paper: lambda_eps against eps, and the representable plane of eigenvalue pairs.

The left panel is `odemom.lambda_eps`. The right panel is decided, not drawn from the theorem: every
diag(mu_1, mu_2) of a rational grid goes through `odemom.is_representable` in exact arithmetic.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from odemom.checks import expect, shown
from odemom.flows.psi import flow_of
from odemom.flows.threshold import lambda_eps
from odemom.representability.analyze import is_representable

__all__ = ["Figure4", "Plane", "compute"]

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

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Figure4:
        """From the parsed JSON of a figure on disk."""
        planes = tuple(
            Plane(
                float(plane["eps"]),
                float(plane["threshold"]),
                plane["threshold_included"],
                tuple(tuple(row) for row in plane["representable"]),
            )
            for plane in data["planes"]
        )
        return cls(tuple(data["eps"]), tuple(data["lambda_eps"]), tuple(data["axis"]), planes)


def compute(*, points: int = 401, per_unit: int = 8, extent: int = 2) -> Figure4:
    """Compute the numbers of Figure 4.

    Parameters
    ----------
    points : int
        Points of the curve, spaced evenly in log eps on [1e-2, 1e2].
    per_unit, extent : int
        The plane is decided at the multiples of 1/per_unit in [-extent, extent], exactly.

    Returns
    -------
    Figure4

    Raises
    ------
    InvalidInputError
        If a parameter is not a positive integer, or ``points`` is less than 2.

    Examples
    --------
    >>> figure = compute(points=3, per_unit=1, extent=1)
    >>> figure.planes[0].representable     # eps = 0: both positive, or equal and negative
    ((True, False, False), (False, False, False), (False, False, True))
    """
    for name, value, least in (
        ("points", points, 2),
        ("per_unit", per_unit, 1),
        ("extent", extent, 1),
    ):
        expect(
            isinstance(value, int) and value >= least,
            name,
            got=shown(value),
            expected=f"an integer >= {least}",
        )
    eps = np.logspace(-2, 2, points)
    reach = extent * per_unit
    axis = [Fraction(k, per_unit) for k in range(-reach, reach + 1)]
    return Figure4(
        tuple(eps.tolist()),
        tuple(lambda_eps(eps).tolist()),
        tuple(float(mu) for mu in axis),
        tuple(_plane(value, axis) for value in PLANE_EPS),
    )


def _plane(eps: float, axis: list[Fraction]) -> Plane:
    image = flow_of(eps).real_image
    assert image.threshold is not None  # the flows of PLANE_EPS have one
    decided = tuple(
        tuple(bool(is_representable([[mu1, 0], [0, mu2]], eps)) for mu1 in axis) for mu2 in axis
    )
    return Plane(eps, image.threshold.value, image.at.kind != "never", decided)
