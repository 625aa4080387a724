"""psi(theta) of the damped flow eps x'' + x' = theta x on [0, 1], in double precision.

Throughout a = 1/(2 eps), W = theta/eps + a² I, R = (I + 4 eps theta)^{1/2}.
"""

from __future__ import annotations

import numpy as np
import scipy.linalg

from odemom.flows.wave_kernels import (
    damped_wave_kernels,
    doublings_for,
    in_groups,
    norms1,
    weighted_series,
)

__all__ = ["damped_auto", "damped_closed", "damped_series"]

# The root form is taken where 4 eps ||theta|| <= 1/2, so that R is near I and well conditioned, and
# eps <= 1/20; elsewhere ||W|| is at most 3 ||theta||/eps or at most 400, and the double angles
# amplify roundoff by no more than sqrt(||W||).
ROOT_RADIUS = 0.5
ROOT_EPS = 0.05


def shifted(theta: np.ndarray, eps: float) -> np.ndarray:
    """W = theta/eps + I/(4 eps²)."""
    return theta / eps + np.eye(theta.shape[-1]) / (4 * eps**2)


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


def damped_root(theta: np.ndarray, eps: float, field: bool) -> np.ndarray:
    """The small-eps form ((I + R^{-1}) E_+ + (I - R^{-1}) E_-)/2; the limit eps = 0 is exp(theta).

    E_+ = exp(2 theta (I + R)^{-1}), E_- = exp(-(I + R)/(2 eps)); with x'(0) = theta x0, R^{-1} is
    replaced by (I + 2 eps theta) R^{-1}. Needs 4 eps ||theta|| < 1.
    """
    identity = np.eye(theta.shape[-1])
    root, inverse = square_root_near_identity(identity + 4 * eps * theta)
    weight = (identity + 2 * eps * theta) @ inverse if field else inverse
    rising = scipy.linalg.expm(2 * np.linalg.solve(identity + root, theta))
    psi = (identity + weight) @ rising / 2
    # Re Sp(R) >= sqrt(1/2), so E_- is far below the smallest subnormal beyond this point.
    if eps > 1e-3:
        psi += (identity - weight) @ scipy.linalg.expm(-(identity + root) / (2 * eps)) / 2
    return psi


def square_root_near_identity(m: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """M^{1/2} and M^{-1/2} by the coupled Newton iteration of Denman and Beavers.

    For ||M - I|| <= 1/2 it converges quadratically; 7 steps bring 1/2 below u.
    """
    root, inverse = m, np.broadcast_to(np.eye(m.shape[-1]), m.shape)
    for _ in range(7):
        root, inverse = (root + np.linalg.inv(inverse)) / 2, (inverse + np.linalg.inv(root)) / 2
    return root, inverse


def damped_auto(theta: np.ndarray, eps: float, field: bool) -> np.ndarray:
    """The form that keeps the error near roundoff; see the constants above."""
    if eps > ROOT_EPS:
        return damped_closed(theta, eps, field)
    small = norms1(theta) <= ROOT_RADIUS / (4 * eps)
    return in_groups(
        theta,
        small,
        lambda part, root: (damped_root if root else damped_closed)(part, eps, field),
    )
