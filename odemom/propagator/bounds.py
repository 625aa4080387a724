"""The bounds that a plan holds by: of the terms left out, of the sizes of powers, of the growth."""

from __future__ import annotations

import math
from collections.abc import Sequence

__all__ = ["growth_radius", "radius", "sharp_alpha"]


def radius(coefficients: list[float], degree: int, roundoff: float) -> float:
    """The largest alpha whose tail sum_{n > degree} c_n alpha^n <= min(c_0, c_1 alpha) u/2.

    Quotients of consecutive coefficients decrease, so a geometric series bounds the tail.
    """
    constant, linear, lead, following = (
        float(coefficients[n]) for n in (0, 1, degree + 1, degree + 2)
    )
    if lead <= 0:
        return math.inf
    alpha = 0.0
    for _ in range(3):
        allowed = roundoff / 2 * max(1 - following / lead * alpha, 0.1)
        alpha = min(
            (allowed * constant / lead) ** (1 / (degree + 1)),
            (allowed * linear / lead) ** (1 / degree),
        )
    return alpha * 0.999 if following / lead * alpha < 0.9 else 0.9 * lead / following


def sharp_alpha(roots: Sequence[float], degree: int) -> float:
    """An alpha for the terms beyond ``degree``, with as few factors theta^(p-1) as there can be.

    Every n is p a + (p - 1) b with b < p, where n >= (p - 1)²: so ||theta^n||^(1/n) is at most
    root_p (root_(p-1)/root_p)^((p - 1)²/n), or root_p if that is the larger root.
    """
    best = roots[0]
    for p in range(2, len(roots) + 1):
        few, last, n = roots[p - 2], roots[p - 1], degree + 1
        if (p - 1) ** 2 <= n and last > 0:
            best = min(best, last * max(1.0, few / last) ** ((p - 1) ** 2 / n))
    return best


def growth_radius(a: float, growth: float) -> float:
    """The alpha, in the variable of `kernel_coefficients`, at which C has grown by ``growth``."""
    log = math.log(growth)
    if a == math.inf:
        return log
    more = math.acosh(growth * math.cosh(a)) - a if a < 300 else log
    difference = more * (2 * a + more)
    return difference if a < 1 else difference / (2 * a)
