"""psi together with its Fréchet derivatives, by the recipe of `double` differentiated.

It is followed on pairs (value, derivative), with (A, dA)(B, dB) = (AB, dA B + A dB): three products
where psi takes one (Al-Mohy and Higham, SIAM J. Matrix Anal. Appl. 30, 2009, for the exponential).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from odemom.propagator.double import add_identity, prepared
from odemom.propagator.doubling import Doubling
from odemom.propagator.plans import DOUBLE_ROUNDOFF, Plan, schedule

__all__ = ["propagate_derivatives"]

# The terms of the differentiated series are n/alpha times those of the series, n <= 22: its tail so
# stays below 1.4 u C(0)/alpha.
DERIVATIVE_ROUNDOFF = DOUBLE_ROUNDOFF / 8


@dataclass(frozen=True)
class Pair:
    """A matrix (d, d) and its derivatives in directions (n, d, d)."""

    value: np.ndarray
    change: np.ndarray

    def __rmul__(self, factor: float) -> Pair:
        return Pair(factor * self.value, factor * self.change)

    def __add__(self, other: Pair) -> Pair:
        return Pair(self.value + other.value, self.change + other.change)


def product(left: Pair, right: Pair) -> Pair:
    """The product, by Leibniz' rule."""
    change = left.change @ right.value
    change += left.value @ right.change
    return Pair(left.value @ right.value, change)


def shift(pair: Pair, multiple: float) -> Pair:
    """The pair plus a multiple of I, which is constant."""
    return Pair(add_identity(pair.value, multiple), pair.change)


DOUBLING = Doubling(product, shift)


def combination(row: np.ndarray, constant: float, powers: list[Pair]) -> Pair:
    """The sum constant I + sum row[k] X^(k+1)."""
    total = row[0] * powers[0]
    for factor, power in zip(row[1:], powers[1:], strict=False):
        total = total + factor * power
    return shift(total, constant)


def pair_of_powers(
    theta: np.ndarray, directions: np.ndarray, unit: float, count: int
) -> list[Pair]:
    """The powers of theta/unit up to the ``count``-th, with their derivatives."""
    powers = [Pair(theta / unit, directions / unit)]
    while len(powers) < count:
        n = len(powers)
        powers.append(product(powers[n // 2], powers[(n - 1) // 2]))
    return powers


def polynomials(plan: Plan, powers: list[Pair], unit: float) -> list[Pair]:
    """Those of the plan, by Paterson and Stockmeyer's scheme."""
    table, constants = plan.arranged_for(unit)
    parts = []
    for first in range(0, len(table), plan.chunks):
        rows = range(first + plan.chunks - 1, first - 1, -1)
        total = None
        for row in rows:
            chunk = combination(table[row], float(constants[row, 0]), powers)
            total = chunk if total is None else product(total, powers[plan.powers - 1]) + chunk
        parts.append(total)
    return parts


def propagate_derivatives(
    theta: np.ndarray, directions: np.ndarray, eps: float, field: float
) -> tuple[np.ndarray, np.ndarray]:
    """The matrix psi(theta), and its derivatives L(theta, E) in several directions E.

    Parameters
    ----------
    theta : ndarray of float64, shape (d, d)
    directions : ndarray of float64, shape (n, d, d)
    eps : float in [0, inf]
    field : float
        x'(0) = field theta x0.

    Returns
    -------
    value : ndarray of float64, shape (d, d)
    changes : ndarray of float64, shape (n, d, d)
    """
    plan, _, _, unit = prepared(theta, schedule(eps, field, DERIVATIVE_ROUNDOFF), refine=False)
    powers = pair_of_powers(theta, directions, unit, plan.powers)
    parts = DOUBLING.finish(plan, polynomials(plan, powers, unit))
    return parts.value, parts.change
