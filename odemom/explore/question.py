"""What the fields of the page hold: a matrix, a mass and a depth; or a sentence on what is not."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from odemom.checks import (
    SpellingError,
    as_number,
    eps_or_gamma,
    expect,
    exponent_of,
    invalid,
    shown,
    spelt_exactly,
)

__all__ = ["LARGEST_DIMENSION", "Question", "question_of"]

LARGEST_DIMENSION = 4
LARGEST_DEPTH = 64
# So that every answer takes milliseconds: numbers of a few dozen digits, and pictures of a size
# that one can look at. The command line and Python take any numbers.
LONGEST_TEXT = 40
LARGEST_EXPONENT = 30
LARGEST_ENTRY = 10**6
EPS_RANGE = (Fraction(1, 10_000), 10_000)
MASSES = "a number from 1/10000 to 10000, or 0, or inf"
MOMENTA = "a number from 0 to 0.9999, or 1"
FIELDS = {"matrix", "eps", "gamma", "layers", "floats"}


@dataclass(frozen=True)
class Question:
    """A matrix, a flow, and a net to set beside it.

    Attributes
    ----------
    matrix : tuple of tuple of (int or Fraction)
        Square, with one to four rows.
    eps : Fraction or float
        The mass, 0, inf or from 1/10000 to 10000.
    layers : int
        Of the net, from 1 to 64.
    floats : bool
        Whether the entries are taken as doubles, which are uncertain, not as exact numbers.
    """

    matrix: tuple[tuple[int | Fraction, ...], ...]
    eps: Fraction | float
    layers: int = 12
    floats: bool = False

    @property
    def dimension(self) -> int:
        """The number of rows."""
        return len(self.matrix)

    @property
    def given(self) -> list[list[Any]]:
        """The matrix as the library is asked about it."""
        kind = float if self.floats else lambda entry: entry
        return [[kind(entry) for entry in row] for row in self.matrix]

    @property
    def gamma(self) -> Fraction | None:
        """The momentum 1 - 1/eps of the paper; None at eps = 0, where it is none."""
        if self.eps == 0:
            return None
        return Fraction(1) if self.eps == math.inf else 1 - 1 / Fraction(self.eps)


def question_of(fields: Any) -> Question:
    """The question that the fields of a page ask.

    Parameters
    ----------
    fields : mapping
        ``"matrix"``: rows of texts, each an integer, a rational or a decimal, taken exactly.
        ``"eps"``, or ``"gamma"`` in its place: text. ``"layers"``: text. ``"floats"``: bool.

    Raises
    ------
    InvalidInputError
        If a field is missing, or holds something else, or a number beyond the limits of the page.

    Examples
    --------
    >>> question_of({"matrix": [["-3/4", "1"], ["0", "-0.75"]], "gamma": "1/2"}).eps
    Fraction(2, 1)
    """
    expect(
        isinstance(fields, Mapping) and fields.keys() <= FIELDS,
        "the page's fields",
        got=shown(list(fields) if isinstance(fields, Mapping) else fields),
        expected=f"some of {', '.join(sorted(FIELDS))}",
    )
    floats = fields.get("floats", False)
    expect(isinstance(floats, bool), "floats", got=shown(floats), expected="true or false")
    return Question(
        matrix=_matrix(fields.get("matrix")),
        eps=_mass(fields.get("eps"), fields.get("gamma")),
        layers=_layers(fields.get("layers", "12")),
        floats=floats,
    )


def _matrix(rows: Any) -> tuple[tuple[int | Fraction, ...], ...]:
    expect(
        isinstance(rows, list)
        and 1 <= len(rows) <= LARGEST_DIMENSION
        and all(isinstance(row, list) and len(row) == len(rows) for row in rows),
        "the matrix",
        got=shown(rows),
        expected="one to four rows, and as many entries in each",
    )
    return tuple(
        tuple(_entry(text, f"row {i}, column {j}") for j, text in enumerate(row, 1))
        for i, row in enumerate(rows, 1)
    )


def _entry(text: Any, place: str) -> int | Fraction:
    expected = f"an integer, a rational such as -3/4 or a decimal, of size up to {LARGEST_ENTRY:,}"
    text = _short(text, place, expected)
    if text.endswith(("i", "j")) and text[:1] in "+-0123456789.ij":
        fix = "A real matrix has complex eigenvalues by its entries: [0 -1; 1 0] has i and -i."
        raise invalid(place, got=shown(text), expected=expected, fix=fix)
    try:
        value = spelt_exactly(text, LARGEST_EXPONENT)
    except SpellingError as error:
        limit = f", with {error.limit}" if error.limit else ""
        raise invalid(place, got=shown(text), expected=expected + limit) from None
    expect(abs(value) <= LARGEST_ENTRY, place, got=shown(text), expected=expected)
    return value


def _short(text: Any, place: str, expected: str) -> str:
    expect(isinstance(text, str), place, got=shown(text), expected=expected)
    text = text.strip()
    expect(text != "", place, got="nothing", expected=expected)
    limit = f"{expected}, in at most {LONGEST_TEXT} characters"
    expect(len(text) <= LONGEST_TEXT, place, got=shown(text), expected=limit)
    return text


def _mass(eps: Any, gamma: Any) -> Fraction | float:
    name, given, expected = ("eps", eps, MASSES) if gamma is None else ("gamma", gamma, MOMENTA)
    text = _short(given, name, expected).replace("\N{INFINITY}", "inf")
    expect(exponent_of(text) <= LARGEST_EXPONENT, name, got=shown(text), expected=expected)
    mass = as_number(text, name, expected)
    if gamma is not None:
        expect(0 <= mass <= 1, name, got=shown(text), expected=expected)
        mass = eps_or_gamma(eps, text)
    low, high = EPS_RANGE
    expect(
        mass in (0, math.inf) or low <= mass <= high,
        name,
        got=shown(text),
        expected=expected,
        fix="A negative mass has no meaning here; the sign of theta is free."
        if mass < 0
        else "Beyond these pictures show nothing; odemom check takes any mass.",
    )
    return mass


def _layers(text: Any) -> int:
    expected = f"an integer from 1 to {LARGEST_DEPTH}"
    digits = _short(text, "layers", expected)
    fits = digits.isascii() and digits.isdecimal() and 1 <= int(digits) <= LARGEST_DEPTH
    expect(fits, "layers", got=shown(text), expected=expected)
    return int(digits)
