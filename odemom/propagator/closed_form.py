"""The closed form of psi by the wave kernels cosh sqrt(W) and sinhc sqrt(W) = sinh sqrt(W)/sqrt(W).

With a = 1/(2 eps) and W = theta/eps + a² I, psi = exp(-a) (cosh sqrt(W) + (a I + w theta)
sinhc sqrt(W)) where x'(0) = w theta x0. Both kernels are entire and even in the square root, so no
branch matters and no matrix needs a root. They are Taylor polynomials over a step h = 2^-s, which
brings W to W/4^s, followed by double angles (Nadukandi and Higham, SIAM J. Sci. Comput. 2018,
section 3)::

    cosh sqrt(4X) = 2 cosh² sqrt(X) - I        sinhc sqrt(4X) = sinhc sqrt(X) cosh sqrt(X)

which, for the two parts C and psi of the flow over a step, are those of `doubling`. Every function
works on stacks (..., d, d) without a Python loop over the matrices.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from odemom.propagator.double import DOUBLING
from odemom.propagator.norms import norms1

__all__ = ["cosh_root", "damped_closed", "shifted"]

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


def shifted(theta: np.ndarray, eps: float) -> np.ndarray:
    """The matrix W = theta/eps + I/(4 eps²)."""
    return theta / eps + np.eye(theta.shape[-1]) / (4 * (eps * eps))


def step_kernels(w: np.ndarray, doublings: int) -> tuple[np.ndarray, np.ndarray]:
    """The kernels cosh sqrt(X) and sinhc sqrt(X) over a step, X = W/4^doublings."""
    x = np.ldexp(w, -2 * doublings)
    square = x @ x
    powers = [np.broadcast_to(np.eye(w.shape[-1]), w.shape), x, square, square @ x]
    return polynomial(COSH_COEFFICIENTS, powers), polynomial(SINHC_COEFFICIENTS, powers)


def damped_closed(theta: np.ndarray, eps: float, field: float) -> np.ndarray:
    """The closed form exp(-a) (cosh sqrt(W) + (a I + field theta) sinhc sqrt(W)), eps in (0, inf).

    The factor exp(-a) is spread over the steps, so that an intermediate result overflows only if
    the final one does.

    Parameters
    ----------
    theta : ndarray of float64, shape (..., d, d)
    eps : float
    field : float
        x'(0) = field theta x0.
    """
    a = 0.5 / eps

    def evaluate(part: np.ndarray, doublings: float) -> np.ndarray:
        if not np.isfinite([a, doublings]).all():
            return np.full(part.shape, np.nan)
        s = int(doublings)
        h = 2.0**-s
        cosh, sinhc = step_kernels(shifted(part, eps), s)
        psi = cosh + (h * a) * sinhc
        if field:
            psi = psi + (field * h) * (part @ sinhc)
        decay = math.exp(-a * h)
        if s == 0:
            return decay * psi
        decays = tuple(math.exp(-2 * a * 2.0**-j) for j in range(s, 0, -1))
        return DOUBLING.double(decays, 2 * decay * cosh, decay * psi)

    return in_groups(theta, doublings_for(shifted(theta, eps)), evaluate)


def cosh_root(w: np.ndarray, field: float = 0.0) -> np.ndarray:
    """Cosh sqrt(W) + field sqrt(W) sinh sqrt(W), (..., d, d); nan where a norm is infinite."""

    def evaluate(part: np.ndarray, doublings: float) -> np.ndarray:
        if math.isinf(doublings):
            return np.full(part.shape, math.nan)
        s = int(doublings)
        cosh, sinhc = step_kernels(part, s)
        if not field:
            return DOUBLING.cosine((1.0,) * s, cosh)
        psi = cosh + (field * 2.0**-s) * (part @ sinhc)
        return DOUBLING.double((1.0,) * s, 2 * cosh, psi) if s else psi

    return in_groups(w, doublings_for(w), evaluate)
