"""psi(theta) X for symmetric theta, by products with theta alone: an expansion in Chebyshev's T_k.

Tal-Ezer and Kosloff, J. Chem. Phys. 81, 1984.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import scipy.fft

from odemom.checks import invalid
from odemom.propagator.plans import DOUBLE_ROUNDOFF, LARGEST
from odemom.propagator.scalar import psi_of_points

__all__ = ["expansion", "expansion_coefficients", "noise_of", "usual_terms", "widened"]

LARGEST_EXPANSION = 2**20
# Of a psi below, what falls out of the doubles is no noise to be followed.
SMALLEST_PSI = 1e-300
# Of a symmetric theta whose spectrum lies in the interval, ||T_k X|| <= ||X||; outside T_k grows
# like exp(k (2 distance)^(1/2)), in the direction of X or of its roundoff. Beyond this factor the
# interval is wrong; below it, the error is as small as it would be inside, up to this factor.
LARGEST_GROWTH = 2.0
# A component too small to be seen in one product is in eight: it grows with the power of each.
LEAST_PRODUCTS = 8


def expansion_coefficients(
    low: float, high: float, eps: float, field: float, most: int = LARGEST_EXPANSION
) -> np.ndarray | None:
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
    most : int
        How many at most.

    Returns
    -------
    ndarray of float64, shape (number of terms,), or None
        None where a polynomial of ``most`` terms does not follow psi.
    """
    if low == high:
        return psi_of_points(np.array([low]), eps, field)
    # So many nodes see psi at the upper end, where it may be all that is left of it, and its turns.
    steep = (high - low) * steepness(high, eps)
    nodes = 2 * math.sqrt(min(steep, LARGEST)) + min(phase_of(low, high, eps), LARGEST) + 1
    count = 2 ** max(5, math.ceil(math.log2(nodes)))
    while count <= min(2 * most, LARGEST_EXPANSION):
        half_angles = np.pi * (np.arange(count) + 0.5) / (2 * count)
        from_high = (high - low) * np.sin(half_angles) ** 2
        from_low = (high - low) * np.cos(half_angles) ** 2
        # Each from its nearer end: psi varies with the distance from the upper one.
        points = np.where(from_high < from_low, high - from_high, low + from_low)
        values = psi_of_points(points, eps, field)
        largest = float(np.abs(values).max())
        if largest < SMALLEST_PSI:
            # What falls out of the doubles shows no end of the expansion; as many terms as it has
            # elsewhere show whether the interval is right.
            return np.zeros(min(most, 2 + round(usual_terms(low, high, eps))))
        unit = math.ldexp(0.5, math.frexp(largest)[1]) if math.isfinite(largest) else 1.0
        c = np.asarray(scipy.fft.dct(values / unit, type=2)) / count
        c[0] /= 2
        noise = noise_of(low, high, eps, largest, field)
        kept = np.flatnonzero(np.abs(c) > noise * (largest / unit))
        last = int(kept[-1]) + 1 if kept.size else 1
        if last <= 3 * count // 4 or not math.isfinite(largest):
            return unit * c[:last] if last <= most and noise < 1 else None
        count *= 2
    return None


def noise_of(low: float, high: float, eps: float, largest: float, field: float = 0.0) -> float:
    """The roundoff of values of psi, relative to the ``largest``: from the points and the phases.

    The upper end is rounded by u |high|, which changes psi by as much times its steepness, and the
    phases of what oscillates by u times themselves.
    """
    turned = 16 * phase_of(low, high, eps, largest, field)
    return DOUBLE_ROUNDOFF * (1 + abs(high) * steepness(high, eps) + turned)


def steepness(high: float, eps: float) -> float:
    """About the slope of log psi at the upper end: that of the larger rate, (r - 1)/(2 eps).

    r = (1 + 4 eps high)^(1/2), so that it is 1/r for high >= 0; below, where psi is near 1 or
    turns, at most 1 and about 1/eps.

    Parameters
    ----------
    high : float
        The upper end of the interval, of theta on [0, 1].
    eps : float in [0, inf]
        inf: x'' = theta x.
    """
    mass = 1.0 if eps == math.inf else eps
    return 1 / math.sqrt(1 + 4 * mass * high) if high > 0 else 1 / max(1.0, mass)


def phase_of(
    low: float, high: float, eps: float, largest: float = 1.0, field: float = 0.0
) -> float:
    """The largest angle of the oscillation of psi there, times its amplitude over ``largest``."""
    if eps == 0:
        return 0.0
    speed = max(-low, high)
    angle = math.sqrt(speed if eps == math.inf else speed / eps) if speed > 0 else 0.0
    # A velocity theta x0 adds exp(-a) z sin(angle)/angle, a = 1/(2 eps).
    grown = 1 + field * angle * (1.0 if eps == math.inf else eps)
    return angle * min(1.0, math.exp(-min(0.5 / eps, 700.0)) * grown / largest)


def usual_terms(low: float, high: float, eps: float) -> float:
    """About how many terms the expansion has: those of the growth, and one for every radian."""
    return 6 * math.sqrt((high - low) * steepness(high, eps)) + phase_of(low, high, eps)


def widened(low: float, high: float) -> tuple[float, float]:
    """The interval, no narrower than what roundoff makes of a product with theta."""
    margin = 2**10 * DOUBLE_ROUNDOFF * max(abs(low), abs(high)) + 1e-290
    return (low, high) if high - low > margin else (low - margin, high + margin)


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
        The interval of the theta that ``apply`` multiplies with, from `widened`.

    Raises
    ------
    InvalidInputError
        If the T_k X grow, so that theta is not symmetric with its spectrum in the interval.
    """
    middle, half = (low + high) / 2, (high - low) / 2
    previous, current = block.copy(), (apply(block) - middle * block) / half
    total, allowed = coefficients[0] * block, LARGEST_GROWTH * column_norms(block)
    work = np.empty_like(block)
    count = max(len(coefficients) - 1, LEAST_PRODUCTS)
    for k in range(1, count + 1):
        if k > 1:
            following = apply(current)
            following *= 2 / half
            np.multiply(current, 2 * middle / half, out=work)
            following -= work
            following -= previous
            previous, current = current, following
        if k < len(coefficients):
            np.multiply(current, coefficients[k], out=work)
            total += work
        if (k % LEAST_PRODUCTS == 0 or k == count) and not (column_norms(current) <= allowed).all():
            refuse_growth(apply, block, current, low, high)
    return total


def column_norms(block: np.ndarray) -> np.ndarray:
    """The 2-norms of the columns."""
    return np.sqrt(np.einsum("ij,ij->j", block, block))


def refuse_growth(
    apply: Callable[[np.ndarray], np.ndarray],
    block: np.ndarray,
    grown: np.ndarray,
    low: float,
    high: float,
) -> None:
    """Say that the interval does not hold the spectrum, and how far that reaches if it tells."""
    found = ""
    norms = column_norms(grown)
    if np.isfinite(norms).all() and np.isfinite(block).all():
        # What has grown is mostly the eigenvector of the eigenvalue farthest outside.
        vector = grown[:, [int(norms.argmax())]] / norms.max()
        seen = float((vector * apply(vector)).sum())
        if not low <= seen <= high:
            found = f", such as one with {seen:.6g} inside"
    raise invalid(
        "interval",
        got=f"[{low:.6g}, {high:.6g}], outside which theta acts on X, or a theta that is not "
        "symmetric",
        expected=f"an interval that contains the spectrum of a symmetric theta{found}",
        fix="Leave it out if theta is not symmetric.",
    )
