"""The damping gamma as a fraction.

Only a fraction n/d can be multiplied into integers and undone. The fraction taken is the one of
least denominator within ``GAMMA_TOLERANCE * min(gamma, 1 - gamma)`` of the number asked for, so 0.9
is 9/10, 0.99 is 99/100 and 1 - 1/50000 is 49999/50000: what was meant, not its nearest double. The
plain forward pass uses the same fraction, so that both passes are one network.
"""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

from odemom.checks import as_number, expect, shown

__all__ = ["GAMMA_TOLERANCE", "LARGEST_DENOMINATOR", "rational_gamma", "simplest_between"]

GAMMA_TOLERANCE = Fraction(1, 2**20)
"""Largest departure from the gamma asked for, relative to gamma and to 1 - gamma."""

LARGEST_DENOMINATOR = 2**24
"""With it, one layer's remainder and 2^37 states of the buffer still share one 64-bit word."""


def simplest_between(low: Fraction, high: Fraction) -> Fraction:
    """The fraction of least denominator in [low, high], 0 < low <= high (Stern-Brocot).

    Examples
    --------
    >>> from fractions import Fraction
    >>> simplest_between(Fraction("0.3141"), Fraction("0.3142"))
    Fraction(49, 156)
    """
    floor = low.numerator // low.denominator
    if floor == low:
        return Fraction(floor)
    if floor + 1 <= high:
        return Fraction(floor + 1)
    return floor + 1 / simplest_between(1 / (high - floor), 1 / (low - floor))


def rational_gamma(gamma: Any, *, reversible: bool = True) -> Fraction:
    """The fraction that a network with damping ``gamma`` uses.

    Parameters
    ----------
    gamma : float, int, Fraction or str
        In (0, 1]; 0 too when ``reversible`` is false. Exact numbers are taken as they are.
    reversible : bool
        Whether multiplications by it will be undone.

    Returns
    -------
    Fraction

    Raises
    ------
    InvalidInputError
        If gamma is outside the interval, or no fraction with a denominator up to 2^24 is near it.

    Examples
    --------
    >>> rational_gamma(0.9), rational_gamma(1 - 1 / 50_000)
    (Fraction(9, 10), Fraction(49999, 50000))
    """
    expected = "a number in (0, 1]" if reversible else "a number in [0, 1]"
    asked = as_number(gamma, "gamma", expected)
    expect(math.isfinite(asked) and 0 <= asked <= 1, "gamma", got=shown(gamma), expected=expected)
    expect(
        asked != 0 or not reversible,
        "gamma",
        got="0 with reversible=True",
        expected=expected,
        fix="With gamma = 0 a layer forgets its velocity and there is nothing to invert: "
        "pass reversible=False, or a positive gamma.",
    )
    value = asked if isinstance(asked, Fraction) else _nearby(Fraction(asked))
    expect(
        value.denominator <= LARGEST_DENOMINATOR or not reversible,
        "gamma",
        got=f"{shown(gamma)}, whose fraction needs the denominator {value.denominator}",
        expected="a number near a fraction with a denominator up to 2^24",
        fix="Pass 1 for no damping, a simpler fraction, or reversible=False.",
    )
    return value


def _nearby(asked: Fraction) -> Fraction:
    slack = GAMMA_TOLERANCE * min(asked, 1 - asked)
    return simplest_between(asked - slack, asked + slack) if slack else asked
