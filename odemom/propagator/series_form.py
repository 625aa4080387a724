"""The power series of psi in W = theta/eps + I/(4 eps²), summed term by term (Proposition 4)."""

from __future__ import annotations

import math

import numpy as np

from odemom.propagator.closed_form import shifted
from odemom.propagator.norms import norms1

__all__ = ["cosh_series", "damped_series"]


def weighted_series(w: np.ndarray, c: np.ndarray, s: np.ndarray, log_scale: float) -> np.ndarray:
    """The sum exp(log_scale) sum_n W^n (c/(2n)! + s/(2n+1)!), truncated below one roundoff.

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


def damped_series(theta: np.ndarray, eps: float, field: float) -> np.ndarray:
    """The series of Proposition 4."""
    a = 0.5 / eps
    identity = np.eye(theta.shape[-1])
    weight = a * identity + field * theta
    return weighted_series(shifted(theta, eps), identity, weight, -a)


def cosh_series(w: np.ndarray, field: float = 0.0) -> np.ndarray:
    """Cosh sqrt(W) + field sqrt(W) sinh sqrt(W) by its series; `weighted_series` has the bound."""
    identity = np.eye(w.shape[-1])
    return weighted_series(w, identity, field * w, 0.0)
