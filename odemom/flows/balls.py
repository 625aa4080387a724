"""Rigorous enclosures of simple roots, in ball arithmetic, and balls in words."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import flint

__all__ = ["ball_text", "enclose_root"]


def ball_text(ball: flint.arb) -> str:
    """The middle of a ball to six digits, also where that is beyond the doubles."""
    import mpmath

    value = float(ball.mid())
    if value != 0 and math.isfinite(value):
        return f"{value:.6g}"
    mantissa, exponent = (int(part) for part in ball.mid().man_exp())
    if abs(exponent) < 1 << 40:
        return str(mpmath.nstr(mpmath.ldexp(mpmath.mpf(mantissa), exponent), 6))
    size = mpmath.nstr(exponent * mpmath.log10(2), 6)
    return f"{'-' if mantissa < 0 else ''}10^({size})"


def enclose_root(
    rigorous: Callable[[flint.arb], flint.arb],
    start: float,
    precision: int,
    spread: float = 1e-8,
) -> flint.arb:
    """A ball of about ``precision`` bits in which ``rigorous`` provably changes its sign.

    Parameters
    ----------
    rigorous : callable
        The function on balls, which is to be regular at the root.
    start : float
        The root to double precision.
    precision : int
        Bits to work at.
    spread : float
        Distance of the second starting point of the secant method.

    Returns
    -------
    flint.arb
        [root - r, root + r] with opposite, proven signs at the ends.
    """
    import flint

    with flint.ctx.workprec(precision):
        before, middle = flint.arb(start), flint.arb(start + spread)
        at_before = rigorous(before).mid()
        for _ in range(200):
            at_middle = rigorous(middle).mid()
            slope = at_middle - at_before
            if slope == 0:
                break
            step = (at_middle * (middle - before) / slope).mid()
            before, at_before, middle = middle, at_middle, (middle - step).mid()
            if abs(step) <= abs(middle) * flint.arb(2) ** (10 - precision):
                break
        radius = flint.arb(2) ** (20 - precision)
        while True:
            low, high = middle - radius, middle + radius
            if rigorous(low) * rigorous(high) < 0:
                return low.union(high)
            radius *= 1024
