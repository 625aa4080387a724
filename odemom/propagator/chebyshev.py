"""psi(theta) X for symmetric theta, by products with theta alone: an expansion in Chebyshev's T_k.

Tal-Ezer and Kosloff, J. Chem. Phys. 81, 1984.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import scipy.fft

from odemom.checks import expect
from odemom.propagator.plans import DOUBLE_ROUNDOFF, LARGEST
from odemom.propagator.scalar import psi_of_points

__all__ = ["expansion", "expansion_coefficients"]

LARGEST_EXPANSION = 2**20


def expansion_coefficients(low: float, high: float, eps: float, field: float) -> np.ndarray:
    """Those of psi on [low, high], as far as they exceed the roundoff of max |psi|.

    Where psi oscillates, with phases up to (||theta||/eps)^(1/2), its values are only as good as u
    times the phase.

    Parameters
    ----------
    low, high : float
        Ends that enclose the spectrum, of theta on [0, 1].
    eps : float in [0, inf]
    field : float
        x'(0) = field theta x0.

    Returns
    -------
    ndarray of float64, shape (number of terms,)

    Raises
    ------
    InvalidInputError
        If no polynomial of degree 2^20 follows psi there.
    """
    if low == high:
        return psi_of_points(np.array([low]), eps, field)
    phase = 0.0
    if eps > 1e-3:  # below, exp(-1/(2 eps)) leaves nothing of the oscillation
        speed = max(-low, high)
        phase = math.sqrt(speed if eps == math.inf else speed / eps) * math.exp(-0.5 / eps)
    noise = DOUBLE_ROUNDOFF * (1 + 16 * phase)
    # psi grows no faster than exp(theta): so many nodes see it at the upper end, where it may be
    # all that is left of it.
    nodes = 2 * math.sqrt(min(high - low, LARGEST)) + 1
    count = 2 ** max(5, math.ceil(math.log2(nodes)))
    while True:
        expect(
            count <= LARGEST_EXPANSION and noise < 1,
            "theta",
            got=f"a spectrum in [{low:.3g}, {high:.3g}] over the horizon, where psi varies beyond "
            "reach",
            expected=f"one where a polynomial of degree {LARGEST_EXPANSION} follows it",
            fix="Take psi of the dense matrix.",
        )
        half_angles = np.pi * (np.arange(count) + 0.5) / (2 * count)
        from_high = (high - low) * np.sin(half_angles) ** 2
        from_low = (high - low) * np.cos(half_angles) ** 2
        # Each from its nearer end: psi varies with the distance from the upper one.
        points = np.where(from_high < from_low, high - from_high, low + from_low)
        values = psi_of_points(points, eps, field)
        c = np.asarray(scipy.fft.dct(values, type=2)) / count
        c[0] /= 2
        kept = np.flatnonzero(np.abs(c) > noise * np.abs(values).max())
        last = int(kept[-1]) + 1 if kept.size else 1
        if last <= 3 * count // 4 or not np.isfinite(values).all():
            return c[:last]
        count *= 2


def expansion(
    apply: Callable[[np.ndarray], np.ndarray],
    block: np.ndarray,
    coefficients: np.ndarray,
    low: float,
    high: float,
) -> np.ndarray:
    """Sum c_k T_k((2 theta - (low + high) I)/(high - low)) X, by the three-term recurrence.

    Parameters
    ----------
    apply : callable
        The product of theta with a block of vectors.
    block : ndarray of float64, shape (d, k)
    coefficients : ndarray of float64
        From `expansion_coefficients`, for the interval times the horizon.
    low, high : float
        The interval of the theta that ``apply`` multiplies with.
    """
    total = coefficients[0] * block
    if len(coefficients) == 1:
        return total
    middle, half = (low + high) / 2, (high - low) / 2
    previous, current = block.copy(), (apply(block) - middle * block) / half
    total += coefficients[1] * current
    work = np.empty_like(block)
    for value in coefficients[2:]:
        following = apply(current)
        following *= 2 / half
        np.multiply(current, 2 * middle / half, out=work)
        following -= work
        following -= previous
        np.multiply(following, value, out=work)
        total += work
        previous, current = current, following
    return total
