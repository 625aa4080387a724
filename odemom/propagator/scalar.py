"""psi of numbers, real or complex, without cancellation and without overflow of its parts."""

from __future__ import annotations

import math

import numpy as np

__all__ = ["psi_of_points"]


def psi_of_points(z: np.ndarray, eps: float, field: float) -> np.ndarray:
    """psi(z) on [0, 1].

    Parameters
    ----------
    z : ndarray of float64 or complex128
    eps : float in [0, inf]
    field : float
        x'(0) = field theta x0.

    Returns
    -------
    ndarray of the shape and dtype of ``z``
    """
    if eps == 0:
        return np.exp(z)
    if eps == math.inf:
        root = np.sqrt(z.astype(np.complex128))
        values = np.cosh(root)
        if field:
            values = values + field * (root * np.sinh(root))
    else:
        cosh, a_sinhc = scaled_kernels(z, eps)
        values = cosh + a_sinhc
        if field:
            values = values + 2 * field * z * (eps * a_sinhc)  # 2 eps z alone may overflow
    return values if z.dtype.kind == "c" else np.real(values)


def scaled_kernels(z: np.ndarray, eps: float) -> tuple[np.ndarray, np.ndarray]:
    """exp(-a) cosh s and exp(-a) a sinh(s)/s as complex arrays, a = 1/(2 eps), s² = z/eps + a².

    exp(-a) never meets exp(s): their quotient is exp(s - a) = exp(2 z/(1 + R)), R = s/a =
    sqrt(1 + 4 eps z). Where |s| < 1 the difference of the two exponentials, divided by s, would
    cancel: sinh is taken there.
    """
    a = 0.5 / eps if eps > 1e-308 else math.inf
    z = z.astype(np.complex128)
    with np.errstate(over="ignore", under="ignore", invalid="ignore", divide="ignore"):
        if eps <= 1:
            ratio = np.sqrt(1 + 4 * eps * z)
            rising = np.exp(2 * z / (1 + ratio))
            falling = np.exp(-a * (1 + ratio)) if math.isfinite(a) else np.zeros_like(z)
            s = a * ratio if math.isfinite(a) else np.full_like(z, np.inf)
        else:
            s = np.sqrt(z / eps + a * a)
            rising, falling = np.exp(s - a), np.exp(-s - a)
            ratio = 2 * eps * s
        near = np.abs(s) < 1
        safe = np.where(near & (s == 0), 1, s)
        cosh = (rising + falling) / 2
        a_sinhc = np.where(
            near,
            np.where(s == 0, 1, np.sinh(np.where(near, safe, 0)) / safe)
            * (a * math.exp(-a) if math.isfinite(a) else 0.0),
            (rising - falling) / (2 * np.where(near, 1, ratio)),
        )
    return cosh, a_sinhc
