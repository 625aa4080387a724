"""psi(theta) of the damped flow eps x'' + x' = theta x on [0, 1], in double precision.

Throughout a = 1/(2 eps), W = theta/eps + a² I. These are the two forms of the paper, by name; what
`odemom.psi` does unless told otherwise is in `odemom.flows.propagator`.
"""

from __future__ import annotations

import numpy as np

from odemom.flows.wave_kernels import (
    damped_wave_kernels,
    doublings_for,
    in_groups,
    weighted_series,
)

__all__ = ["damped_closed", "damped_series"]


def shifted(theta: np.ndarray, eps: float) -> np.ndarray:
    """W = theta/eps + I/(4 eps²)."""
    return theta / eps + np.eye(theta.shape[-1]) / (4 * (eps * eps))


def damped_closed(theta: np.ndarray, eps: float, field: bool) -> np.ndarray:
    """The closed form exp(-a) (cosh sqrt(W) + (a I [+ theta]) sinhc sqrt(W))."""
    a = 0.5 / eps

    def evaluate(part: np.ndarray, doublings: float) -> np.ndarray:
        if not np.isfinite([a, doublings]).all():
            return np.full(part.shape, np.nan)
        cosh, sinhc = damped_wave_kernels(shifted(part, eps), a, int(doublings))
        psi = cosh + a * sinhc
        return psi + part @ sinhc if field else psi

    return in_groups(theta, doublings_for(shifted(theta, eps)), evaluate)


def damped_series(theta: np.ndarray, eps: float, field: bool) -> np.ndarray:
    """The series of Proposition 4."""
    a = 0.5 / eps
    identity = np.eye(theta.shape[-1])
    weight = a * identity + theta if field else a * identity
    return weighted_series(shifted(theta, eps), identity, weight, -a)
