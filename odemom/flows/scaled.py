"""psi(theta) times a power of two, where psi itself leaves the range of doubles."""

from __future__ import annotations

import math

import numpy as np

from odemom.flows.plans import Plan, schedule
from odemom.flows.propagator import add_identity, polynomials, prepared, propagate

__all__ = ["propagate_scaled"]

# Where the largest entry of psi is so, it has lost nothing to the range of doubles.
IN_RANGE = (1e-250, 1e300)


def propagate_scaled(theta: np.ndarray, eps: float, field: bool) -> tuple[np.ndarray, np.ndarray]:
    """psi(theta) exp(-shift) and shift, one for every matrix of a stack.

    Parameters
    ----------
    theta : ndarray of float64, shape (..., d, d)
    eps : float in [0, inf]
    field : bool

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
            (result[i],), exponent = normalised([result[i]], 0)
            shifts[i] = exponent * math.log(2)
            continue
        plan, powers, known, unit = prepared(matrix, schedule(eps, field))
        parts = list(polynomials(plan, powers, known, unit))
        finish = slow if plan.mode == "slow" else doubled
        result[i], exponent = finish(plan, eps, parts)
        shifts[i] = exponent * math.log(2)
    return result.reshape(theta.shape), shifts.reshape(theta.shape[:-2])


def normalised(parts: list[np.ndarray], exponent: int) -> tuple[list[np.ndarray], int]:
    """The same matrices times 2^exponent, the largest entry near 1."""
    shift = math.frexp(max(float(np.abs(part).max()) for part in parts))[1]
    return [np.ldexp(part, -shift) for part in parts], exponent + shift


def doubled(plan: Plan, eps: float, parts: list[np.ndarray]) -> tuple[np.ndarray, int]:
    """The double angles of `Doubling`, 2 C and psi carried as multiples of 2^exponent."""
    parts, exponent = normalised(parts, 0)
    for j in range(len(plan.decays), 0, -1):
        # exp(-h/eps) in units of 2^(2 exponent); no less than 0 where it is far below them.
        rate = 0.0 if eps == math.inf else 2.0**-j / eps
        decay = math.exp(min(-rate - 2 * exponent * math.log(2), 709.0))
        if len(parts) == 1:
            parts = [add_identity(2 * (parts[0] @ parts[0]), -decay)]
        else:
            c2, psi = parts
            parts = [add_identity(c2 @ c2, -2 * decay), add_identity(c2 @ psi, -decay)]
        parts, exponent = normalised(parts, 2 * exponent)
    (psi,), exponent = normalised(parts[-1:], exponent)
    return psi, exponent


def slow(plan: Plan, eps: float, parts: list[np.ndarray]) -> tuple[np.ndarray, int]:
    """(2 C)^(2^s) psi, the factors carried as multiples of powers of two."""
    del eps
    (rising,), exponent = normalised(parts[:1], 0)
    for _ in plan.decays:
        (rising,), exponent = normalised([rising @ rising], 2 * exponent)
    (psi,), exponent = normalised([rising @ parts[1]], exponent)
    return psi, exponent
