"""psi(theta) times a power of two, where psi itself leaves the range of doubles."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from odemom.propagator.double import add_identity, polynomials, prepared, propagate
from odemom.propagator.doubling import Doubling
from odemom.propagator.plans import Plan, schedule

__all__ = ["propagate_scaled"]

# Where the largest entry of psi is so, it has lost nothing to the range of doubles.
IN_RANGE = (1e-250, 1e300)
# A double times two to this power is 0.
VANISHES = -2200


@dataclass(frozen=True)
class Multiple:
    """A matrix times 2^exponent."""

    matrix: np.ndarray
    exponent: int

    @classmethod
    def of(cls, matrix: np.ndarray, exponent: int = 0) -> Multiple:
        """The same multiple, the largest entry of the matrix in [1/2, 1) or 0."""
        shift = math.frexp(float(np.abs(matrix).max()))[1]
        return cls(np.ldexp(matrix, -shift), exponent + shift)

    def __rmul__(self, factor: float) -> Multiple:
        return Multiple.of(factor * self.matrix, self.exponent)


@dataclass(frozen=True)
class Decay:
    """A number ``factor`` exp(-rate), of which the exponential may be below the doubles."""

    factor: float
    rate: float

    def __rmul__(self, factor: float) -> Decay:
        return Decay(factor * self.factor, self.rate)

    @property
    def exponent(self) -> int:
        """That of the power of two just above exp(-rate)."""
        return math.ceil(-min(self.rate, 1e300) / math.log(2))

    def over(self, exponent: int) -> float:
        """The number in units of 2^exponent, which is no less than `exponent`."""
        return self.factor * math.exp(-self.rate - exponent * math.log(2))


def product(left: Multiple, right: Multiple) -> Multiple:
    """The product, brought near 1."""
    return Multiple.of(left.matrix @ right.matrix, left.exponent + right.exponent)


def shift(multiple: Multiple, decay: Decay) -> Multiple:
    """``multiple`` plus ``decay`` times I, in units of the larger of the two."""
    if decay.exponent < multiple.exponent + VANISHES:
        return multiple
    matrix, unit = multiple.matrix, max(multiple.exponent, decay.exponent)
    if unit > multiple.exponent:
        matrix = np.ldexp(matrix, max(multiple.exponent - unit, VANISHES))
    # In range as it is: the next product is brought near 1 again.
    return Multiple(add_identity(matrix, decay.over(unit)), unit)


DOUBLING = Doubling(product, shift)


def decays_of(plan: Plan, eps: float) -> tuple[Decay, ...] | tuple[float, ...]:
    """The exp(-h/eps) that the doublings subtract, h = 2^-s, ..., 1/2; "slow" subtracts nothing."""
    if plan.mode == "slow":
        return plan.decays
    steps = range(len(plan.decays), 0, -1)
    return tuple(Decay(1.0, 0.0 if eps == math.inf else 2.0**-j / eps) for j in steps)


def propagate_scaled(theta: np.ndarray, eps: float, field: float) -> tuple[np.ndarray, np.ndarray]:
    """The matrices psi(theta) exp(-shift) and their shifts, one for every matrix of a stack.

    Parameters
    ----------
    theta : ndarray of float64, shape (..., d, d)
    eps : float in [0, inf]
    field : float
        x'(0) = field theta x0.

    Returns
    -------
    matrices : ndarray of float64, shape (..., d, d)
        Of largest entry in [1/2, 1), or 0.
    shifts : ndarray of float64, shape (...,)
    """
    stack = theta.reshape(-1, *theta.shape[-2:])
    result, shifts = propagate(theta, eps, field).reshape(stack.shape), np.empty(len(stack))
    for i, matrix in enumerate(stack):
        if IN_RANGE[0] <= np.abs(result[i]).max() <= IN_RANGE[1]:
            psi = Multiple.of(result[i])
            result[i], shifts[i] = psi.matrix, psi.exponent * math.log(2)
            continue
        plan, powers, known, unit = prepared(matrix, schedule(eps, field))
        parts = [Multiple.of(part) for part in polynomials(plan, powers, known, unit)]
        psi = DOUBLING.finish(plan, parts, decays_of(plan, eps))
        psi = Multiple.of(psi.matrix, psi.exponent)
        result[i], shifts[i] = psi.matrix, psi.exponent * math.log(2)
    return result.reshape(theta.shape), shifts.reshape(theta.shape[:-2])
