"""Rigorous enclosures of simple roots, in ball arithmetic, and balls in words."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

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
    numerical: Callable[[Any], Any],
    rigorous: Callable[[flint.arb], flint.arb],
    start: float,
    precision: int,
    spread: float = 1e-8,
) -> flint.arb:
    """A ball of about ``precision`` bits in which ``rigorous`` provably changes its sign.

    Parameters
    ----------
    numerical : callable
        The function on mpmath numbers, for the secant method.
    rigorous : callable
        The same function on balls.
    start : float
        The root to double precision; the function is to be regular there.
    precision : int
        Bits to work at.
    spread : float
        Distance of the second starting point.

    Returns
    -------
    flint.arb
        [root - r, root + r] with opposite, proven signs at the ends.
    """
    import flint
    import mpmath

    with mpmath.workprec(precision):
        root = mpmath.findroot(
            numerical, (start, start + spread), solver="secant", verify=False, maxsteps=200
        )
        mantissa, exponent = int(root.man), int(root.exp)
        if root < 0:
            mantissa = -abs(mantissa)
    with flint.ctx.workprec(precision):
        middle = flint.arb(mantissa) * flint.arb(2) ** exponent
        radius = flint.arb(2) ** (20 - precision)
        while True:
            low, high = middle - radius, middle + radius
            if rigorous(low) * rigorous(high) < 0:
                return low.union(high)
            radius *= 1024
