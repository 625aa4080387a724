"""psi(theta) X for a stiff theta, by solves with I - pole theta: shift-and-invert Krylov spaces.

Of a psi that decays as theta -> -inf, the products of Taylor or Chebyshev methods grow with the
size of theta and these solves do not: some forty serve any theta whose field of values stays near
the left half of the plane (Moret and Novati, BIT 44, 2004; van den Eshof and Hochbruck, SIAM J.
Sci. Comput. 27, 2006).
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from odemom.propagator.double import propagate
from odemom.propagator.plans import DOUBLE_ROUNDOFF

__all__ = ["POLE", "decays", "solve_by_krylov"]

MOST_SOLVES = 80
# The best rational approximation of exp on the negative line with one pole, of degree m, has it at
# m over the square root of 2 (Andersson, J. Approx. Theory 32, 1981): 1/POLE is that of m = 40.
POLE = math.sqrt(2) / 40
# Approximations are compared after so many solves each.
STRIDE = 4
TOLERANCE = 1e-13
# The norms of psi in which the estimates are trusted.
SOUND = (1e-3, 1e2)


def decays(eps: float, size: float, field: float) -> bool:
    """Whether what oscillates in psi, of size exp(-1/(2 eps)), is below roundoff.

    ``size`` bounds theta: with x'(0) = field theta x0 the amplitude grows with its root.
    """
    if eps == 0:
        return True
    if eps == math.inf:
        return False
    a = 0.5 / eps
    weight = 1 + a + field * (math.sqrt(size * eps) + size / (1 + a))
    return a - math.log(weight) > -math.log(DOUBLE_ROUNDOFF / 16)


def solve_by_krylov(
    solve: Callable[[np.ndarray], np.ndarray], vector: np.ndarray, eps: float, field: float
) -> tuple[np.ndarray | None, float]:
    """psi(theta) times a vector on [0, 1], if psi is of the order of 1 on the field of values.

    Parameters
    ----------
    solve : callable
        The product of (I - POLE theta)^-1 with a vector.
    vector : ndarray of float64, shape (d,)
    eps : float in [0, inf)
    field : float
        x'(0) = field theta x0.

    Returns
    -------
    result : ndarray of float64, shape (d,), or None
        Within about `TOLERANCE` of ||psi(theta)|| ||vector||, by two estimates that must agree
        twice: the change from `STRIDE` solves before, and the residual of the differential equation
        times (I - POLE theta)^-1. Four times, where the roundoff of theta leaves them no smaller
        than 8 u ||theta||. None where they do not, or where psi grows or is too small: then
        the spaces may hold nothing of what matters, and no estimate knows.
    size : float
        The norm of psi of the projected theta, nan where there is none.
    """
    length, count = float(np.linalg.norm(vector)), min(MOST_SOLVES, len(vector))
    if length == 0:
        return np.zeros_like(vector), 1.0
    basis = np.empty((count + 1, len(vector)))
    hessenberg = np.zeros((count + 1, count))
    basis[0] = vector / length
    before, agreed, quiet, size = np.zeros(0), 0, 0, math.nan
    for m in range(1, count + 1):
        complete = add_direction(solve, basis, hessenberg, m)
        if not (complete or m % STRIDE == 0 or m == count):
            continue
        found = of_projected(hessenberg[:m, :m], eps, field)
        if found is None:
            return None, size
        column, size, noise = found
        change = column.copy()
        change[: len(before)] -= before
        last = np.linalg.solve(hessenberg[:m, :m].T, np.eye(m)[-1])
        residual = abs(hessenberg[m, m - 1] * float(last @ column))
        moved = max(float(np.linalg.norm(change)), residual) / size
        agreed = agreed + 1 if moved <= TOLERANCE else 0
        quiet = quiet + 1 if moved <= max(TOLERANCE, noise) else 0
        if complete or agreed == 2 or quiet == 4:
            sound = SOUND[0] <= size <= SOUND[1]
            return (length * (column @ basis[:m]) if sound else None), size
        before = column
    return None, size


def add_direction(
    solve: Callable[[np.ndarray], np.ndarray], basis: np.ndarray, hessenberg: np.ndarray, m: int
) -> bool:
    """Arnoldi's step from m vectors to m + 1; whether the m already span all that follows."""
    image = solve(basis[m - 1])
    size = float(np.linalg.norm(image))
    for _ in range(2):  # twice is enough for orthogonality to roundoff
        part = basis[:m] @ image
        image = image - part @ basis[:m]
        hessenberg[:m, m - 1] += part
    rest = float(np.linalg.norm(image))
    complete = not rest > 8 * m * DOUBLE_ROUNDOFF * size
    hessenberg[m, m - 1] = 0.0 if complete else rest
    if not complete:
        basis[m] = image / rest
    return complete


def of_projected(
    inverse: np.ndarray, eps: float, field: float
) -> tuple[np.ndarray, float, float] | None:
    """The first column of psi of the theta of which ``inverse`` is (I - POLE theta)^-1.

    With the norm of psi and the roundoff of its largest values, relative to that norm; or None
    where they leave the doubles.
    """
    try:
        projected = (np.eye(len(inverse)) - np.linalg.inv(inverse)) / POLE
    except np.linalg.LinAlgError:
        return None
    psi = propagate(projected, eps, field)
    if not np.isfinite(psi).all() or not psi.any():
        return None
    noise = 8 * DOUBLE_ROUNDOFF * float(np.linalg.norm(projected))
    return psi[:, 0], float(np.linalg.norm(psi, 2)), noise
