"""psi of a triangular matrix, its diagonal and first superdiagonal in extended precision.

Both are functions of the diagonal and first superdiagonal of theta alone, in O(d) operations a
product. Setting them after every doubling, as Al-Mohy and Higham do for the exponential (SIAM J.
Matrix Anal. Appl. 31, 2009), keeps the doublings from magnifying their errors, and those of the
entries above that they would spread to.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from odemom.propagator.doubling import Doubling
from odemom.propagator.plans import EXTENDED_ROUNDOFF, Plan, schedule

__all__ = ["finish_triangular", "is_upper"]


@dataclass(frozen=True)
class Band:
    """The diagonal of an upper triangular matrix and the one above, in `numpy.longdouble`."""

    diagonal: np.ndarray
    above: np.ndarray

    def __rmul__(self, factor: Any) -> Band:
        return Band(factor * self.diagonal, factor * self.above)

    def __matmul__(self, other: Band) -> Band:
        above = self.diagonal[:-1] * other.above + self.above * other.diagonal[1:]
        return Band(self.diagonal * other.diagonal, above)

    def plus(self, multiple: Any) -> Band:
        """The band plus a multiple of I."""
        return Band(self.diagonal + multiple, self.above)


@dataclass(frozen=True)
class Triangular:
    """An upper triangular matrix in doubles, and its band."""

    matrix: np.ndarray
    band: Band

    @classmethod
    def of(cls, matrix: np.ndarray, band: Band) -> Triangular:
        """The matrix with the band written into it."""
        d = len(matrix)
        matrix.reshape(-1)[:: d + 1] = band.diagonal
        matrix.reshape(-1)[1 :: d + 1] = band.above
        return cls(matrix, band)

    def __rmul__(self, factor: Any) -> Triangular:
        return Triangular(float(factor) * self.matrix, factor * self.band)


def product(left: Triangular, right: Triangular) -> Triangular:
    """The product, its band that of the bands."""
    return Triangular.of(left.matrix @ right.matrix, left.band @ right.band)


def shift(element: Triangular, multiple: Any) -> Triangular:
    """The element plus a multiple of I."""
    return Triangular.of(element.matrix, element.band.plus(multiple))


DOUBLING = Doubling(product, shift)


def is_upper(theta: np.ndarray) -> bool:
    """Whether a matrix of size 2 or more is upper triangular."""
    return theta[-1, 0] == 0 == theta[1, 0] and not np.tril(theta, -1).any()


def finish_triangular(
    theta: np.ndarray, plan: Plan, parts: np.ndarray, eps: float, field: float
) -> np.ndarray:
    """Psi of an upper triangular theta from the polynomials of its plan over a step.

    Parameters
    ----------
    theta : ndarray of float64, shape (d, d)
    plan : Plan
    parts : ndarray of float64, shape (polynomials, d, d)
        Overwritten.
    eps : float in [0, inf]
    field : float
        x'(0) = field theta x0.
    """
    flow, s = schedule(eps, field, EXTENDED_ROUNDOFF), len(plan.decays)
    h = flow.real(1) / (2.0**s + 1 if plan.mode == "slow" else 2.0**s)
    polynomials, scale = flow.step_polynomials(plan.mode, h)
    x = Band(np.diagonal(theta).astype(flow.real), np.diagonal(theta, 1).astype(flow.real))
    x = scale * x
    zero = 0 * x
    elements = []
    for matrix, coefficients in zip(parts, polynomials, strict=True):
        band = zero
        for coefficient in reversed(coefficients):
            band = (band @ x).plus(coefficient)
        elements.append(Triangular.of(matrix, band))
    if plan.mode == "square":
        (psi,) = elements
        for _ in range(s):
            psi = product(psi, psi)
        return psi.matrix
    decays = flow.decays(s) if plan.mode == "double" else plan.decays
    return DOUBLING.finish(plan, elements, decays).matrix
