"""Numbers in text: one grammar for files, options and lists; the number that is spelt, or none.

A number is an integer, a rational p/q, or a decimal with or without an exponent, in the digits 0
to 9. What Python's own readers take besides (underscores, blanks within, the digits of other
scripts, words) is no number here.
"""

from __future__ import annotations

import math
import re
import sys
from fractions import Fraction

__all__ = [
    "LARGEST_EXPONENT",
    "MOST_DIGITS",
    "SpellingError",
    "exponent_of",
    "is_integer_text",
    "is_rational_text",
    "spelt_double",
    "spelt_exactly",
]

NUMBER = re.compile(
    r"[+-]?(?:(?P<integer>\d++)(?:/(?P<denominator>\d++))?"
    r"|(?P<decimal>\d++(?:\.\d*+)?|\.\d++)(?:[eE](?P<exponent>[+-]?\d++))?)",
    re.ASCII,
)
MINUS = "\u2212"  # the minus sign of typeset text
# Of a decimal that is taken exactly: its value has that many digits.
LARGEST_EXPONENT = 10_000
# Of an integer: Python's own limit by default, as reading takes time quadratic in them.
MOST_DIGITS = 4300
BEYOND = 10**9  # in place of an exponent that is itself too long to be read


class SpellingError(ValueError):
    """The text spells no number, or one beyond a limit, which ``limit`` names."""

    def __init__(self, limit: str = "") -> None:
        super().__init__(limit)
        self.limit = limit


def is_integer_text(text: str) -> bool:
    """Whether the text spells an integer without point or exponent."""
    match = _match(text)
    return match is not None and match["integer"] is not None and match["denominator"] is None


def is_rational_text(text: str) -> bool:
    """Whether the text spells a rational p/q."""
    match = _match(text) if "/" in text else None
    return match is not None and match["denominator"] is not None


def exponent_of(text: str) -> int:
    """The absolute exponent of ten that the text spells; 0 of what has none."""
    match = _match(text)
    exponent = None if match is None else match["exponent"]
    return 0 if exponent is None else abs(_exponent(exponent))


def spelt_exactly(text: str, largest_exponent: int = LARGEST_EXPONENT) -> int | Fraction:
    """The number that the text spells: an int where it spells an integer, else a Fraction.

    Raises
    ------
    SpellingError

    Examples
    --------
    >>> spelt_exactly(" -0.75 ") == spelt_exactly("-3/4")
    True
    """
    match = _required(text)
    if match["exponent"] is not None and abs(_exponent(match["exponent"])) > largest_exponent:
        raise SpellingError(f"an exponent of at most {largest_exponent}")
    if match["integer"] is None:
        _require_digits(match["decimal"])
        return Fraction(match[0])
    return _integer_or_ratio(match)


def spelt_double(text: str) -> float:
    """The double nearest to the number that the text spells; infinite beyond the doubles.

    Raises
    ------
    SpellingError

    Examples
    --------
    >>> spelt_double("1/3") == 1 / 3
    True
    """
    match = _required(text)
    if match["denominator"] is None:
        return float(match[0])
    value = Fraction(_integer_or_ratio(match))
    try:
        return value.numerator / value.denominator
    except OverflowError:
        return math.inf if value > 0 else -math.inf


def _match(text: str) -> re.Match[str] | None:
    return NUMBER.fullmatch(text) or NUMBER.fullmatch(text.strip().replace(MINUS, "-"))


def _required(text: str) -> re.Match[str]:
    match = _match(text)
    if match is None:
        raise SpellingError
    return match


def _exponent(text: str) -> int:
    return int(text) if len(text) < 20 else BEYOND


def _require_digits(*texts: str) -> None:
    most = min(MOST_DIGITS, sys.get_int_max_str_digits() or MOST_DIGITS)
    if any(len(text) > most for text in texts):
        raise SpellingError(f"at most {most} digits")


def _integer_or_ratio(match: re.Match[str]) -> int | Fraction:
    numerator, denominator = match["integer"], match["denominator"] or "1"
    _require_digits(numerator, denominator)
    signed = -int(numerator) if match[0].startswith("-") else int(numerator)
    if match["denominator"] is None:
        return signed
    if int(denominator) == 0:
        raise SpellingError("a denominator other than 0")
    return Fraction(signed, int(denominator))
