"""The wave kernels cosh sqrt(W) and sinhc sqrt(W) = sinh sqrt(W) / sqrt(W) of real matrices.

Both are entire and even in the square root, so no branch matters and no matrix needs a root. The
evaluator is a Taylor polynomial after scaling by a power of 4, followed by double angles
(Nadukandi and Higham, SIAM J. Sci. Comput. 2018, section 3)::

    cosh sqrt(4X) = 2 cosh² sqrt(X) - I        sinhc sqrt(4X) = sinhc sqrt(X) cosh sqrt(X)

Every function works on stacks (..., d, d) without a Python loop over the matrices.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from odemom.flows.norms import norms1

__all__ = [
    "cosh_root",
    "cosh_series",
    "damped_wave_kernels",
    "doublings_for",
    "in_groups",
]

# sum_{k > 10} x^k/(2k)! < 1.2 u for 0 <= x <= 1.5; the same sum for sinhc is smaller.
TAYLOR_DEGREE = 10
TAYLOR_RADIUS = 1.5
COSH_COEFFICIENTS = [1 / math.factorial(2 * k) for k in range(TAYLOR_DEGREE + 1)]
SINHC_COEFFICIENTS = [1 / math.factorial(2 * k + 1) for k in range(TAYLOR_DEGREE + 1)]


def in_groups(
    matrices: np.ndarray, keys: np.ndarray, evaluate: Callable[[np.ndarray, Any], np.ndarray]
) -> np.ndarray:
    """``evaluate(part, key)`` of the parts of a stack that share a key, put together again.

    Each matrix is so evaluated as if it were alone, whatever its neighbours.
    """
    if matrices.ndim == 2 or keys.size == 0 or (keys == keys.flat[0]).all():
        return evaluate(matrices, keys.flat[0] if keys.size else 0)
    result = np.empty_like(matrices)
    for key in np.unique(keys):
        chosen = keys == key
        result[chosen] = evaluate(matrices[chosen], key)
    return result


def doublings_for(w: np.ndarray) -> np.ndarray:
    """How many double angles bring ||W||/4^s below the radius of the Taylor polynomial."""
    norms = np.maximum(norms1(w) / TAYLOR_RADIUS, 1.0)
    return np.ceil(np.log2(norms) / 2)


def polynomial(coefficients: list[float], powers: list[np.ndarray]) -> np.ndarray:
    """A matrix polynomial by Paterson and Stockmeyer's scheme; ``powers`` are I, X, ..., X^q."""
    q = len(powers) - 1
    total = np.zeros_like(powers[0])
    for start in range((len(coefficients) - 1) // q * q, -1, -q):
        chunk = coefficients[start : start + q]
        total = total @ powers[q] if start + q < len(coefficients) else total
        for coefficient, power in zip(chunk, powers, strict=False):
            total = total + coefficient * power
    return total


def damped_wave_kernels(w: np.ndarray, a: float, doublings: int) -> tuple[np.ndarray, np.ndarray]:
    """exp(-a) cosh sqrt(W) and exp(-a) sinhc sqrt(W).

    The factor is spread over the double-angle steps (exp(-a/2^j) at step j), so that an
    intermediate result overflows only if the final one does.

    Parameters
    ----------
    w : ndarray of float64, shape (..., d, d)
    a : float
        The exponent, in [0, inf).
    doublings : int
        From `doublings_for`, the same for all matrices.

    Returns
    -------
    tuple of two ndarrays of float64, shape (..., d, d)
    """
    x = np.ldexp(w, -2 * doublings)
    identity = np.broadcast_to(np.eye(w.shape[-1]), w.shape)
    square = x @ x
    powers = [identity, x, square, square @ x]
    decay = math.exp(-a / 2.0**doublings)
    cosh = decay * polynomial(COSH_COEFFICIENTS, powers)
    sinhc = decay * polynomial(SINHC_COEFFICIENTS, powers)
    for step in range(doublings):
        sinhc = sinhc @ cosh
        cosh = 2 * (cosh @ cosh) - math.exp(-a / 2.0 ** (doublings - step - 1)) * identity
    return cosh, sinhc


def cosh_root(w: np.ndarray) -> np.ndarray:
    """Cosh sqrt(W) of matrices, shape (..., d, d); nan where a norm is infinite."""
    keys = doublings_for(w)

    def evaluate(part: np.ndarray, doublings: float) -> np.ndarray:
        if math.isinf(doublings):
            return np.full(part.shape, math.nan)
        return damped_wave_kernels(part, 0.0, int(doublings))[0]

    return in_groups(w, keys, evaluate)


def weighted_series(w: np.ndarray, c: np.ndarray, s: np.ndarray, log_scale: float) -> np.ndarray:
    """exp(log_scale) sum_n W^n (c/(2n)! + s/(2n+1)!), truncated below one unit roundoff.

    ``c`` and ``s`` are matrices that commute with W, or multiples of I. The remainder after the
    term n is at most ||term n|| q/(1 - q), q = ||W||/((2n+1)(2n+2)), once q < 1; the sum stops
    when that is below u times the partial sum of the norms. Where that sum overflows, or
    exp(log_scale) underflows, the result is nan.
    """
    if log_scale < -700:  # exp(log_scale) would be subnormal or 0
        return np.full(w.shape, math.nan)
    norm = float(norms1(w).max())
    power = np.broadcast_to(np.eye(w.shape[-1]), w.shape) * math.exp(log_scale)
    total = power @ (c + s)
    scale, majorant, n = math.exp(log_scale), math.exp(log_scale), 0
    while True:
        n += 1
        quotient = norm / ((2 * n - 1) * (2 * n))
        power = power @ w / ((2 * n - 1) * (2 * n))
        scale *= quotient
        majorant += scale
        total = total + power @ (c + s / (2 * n + 1))
        following = norm / ((2 * n + 1) * (2 * n + 2))
        remainder = scale * following / (1 - following) if following < 1 else math.inf
        if not math.isfinite(majorant):
            return np.full(w.shape, math.nan)
        if remainder <= np.finfo(float).eps / 2 * majorant:
            return total


def cosh_series(w: np.ndarray) -> np.ndarray:
    """Cosh sqrt(W) by its power series; see `weighted_series` for the truncation bound."""
    identity = np.eye(w.shape[-1])
    return weighted_series(w, identity, 0 * identity, 0.0)
