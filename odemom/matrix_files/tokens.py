"""Numbers of a text file: each is the one that its token spells, exact or the nearest double."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Collection, Mapping
from fractions import Fraction

from odemom.checks import (
    SpellingError,
    counted,
    exponent_of,
    is_integer_text,
    is_rational_text,
    shown,
    spelt_double,
    spelt_exactly,
)
from odemom.matrix_files.source import Source

__all__ = ["Number", "numbers_of_rows", "numbers_of_tokens", "spelt_as_exact"]

IN_BRACKETS = "[-1 1; 0 -1], or [[-1, 1], [0, -1]]"
Number = int | Fraction | float
LARGEST_EXPONENT = 100_000
# Of all exact numbers of a file that have exponents: 1e100000 is short, and its value is not.
MOST_DIGITS = 10**8


def spelt_as_exact(tokens: Collection[str]) -> bool:
    """Whether numbers so spelt are exact: integers only, or rationals among them."""
    return all(map(is_integer_text, tokens)) or any(map(is_rational_text, tokens))


def numbers_of_rows(
    source: Source, rows: list[list[str]], exact: bool | None
) -> list[list[Number]]:
    """The matrix whose rows are spelt so.

    Raises
    ------
    MatrixFileError
        If there are no rows, or rows of different lengths, or a token spells no finite number.
    """
    if not rows:
        raise source.error("got no rows; expected a square matrix.")
    for i, row in enumerate(rows):
        if len(row) != len(rows[0]):
            raise source.error(
                f"got {counted(len(row), 'entry', 'entries')} in row {i + 1} and {len(rows[0])} in "
                "row 1; "
                "expected rows of equal length. Is the file complete?"
            )

    def place(token: str) -> str:
        i, row = next((i, row) for i, row in enumerate(rows) if token in row)
        return f"row {i + 1}, column {row.index(token) + 1}"

    tokens = dict.fromkeys(token for row in rows for token in row)
    numbers = numbers_of_tokens(source, tokens, exact, place)
    return [[numbers[token] for token in row] for row in rows]


def numbers_of_tokens(
    source: Source, tokens: Mapping[str, object], exact: bool | None, place: Callable[[str], str]
) -> dict[str, Number]:
    """The number of each token; ``place`` says where in the file a token first stands.

    Parameters
    ----------
    tokens : mapping
        Its keys are the tokens, each once.
    exact : bool or None
        None: exact if `spelt_as_exact`.
    """
    if exact is None:
        exact = spelt_as_exact(tokens.keys())
    # Longer exponents are refused one by one.
    exponents = (min(exponent_of(token), LARGEST_EXPONENT + 1) for token in tokens if exact)
    if sum(e for e in exponents if e <= LARGEST_EXPONENT) > MOST_DIGITS:
        raise source.error(
            f"got numbers of more than {MOST_DIGITS:,} digits in all, written with exponents; "
            "expected shorter exact numbers, or floats."
        )
    read = _exact if exact else _double
    return {token: read(source, token, place) for token in tokens}


def _exact(source: Source, token: str, place: Callable[[str], str]) -> Number:
    try:
        return spelt_exactly(token, LARGEST_EXPONENT)
    except SpellingError as error:
        expected = "an integer, a rational p/q or a decimal"
        raise source.error(_bad_entry(token, place(token), expected, error)) from None


def _double(source: Source, token: str, place: Callable[[str], str]) -> Number:
    try:
        value = spelt_double(token)
    except SpellingError as error:
        finite = "finite" if _not_finite(token) else "real"
        raise source.error(_bad_entry(token, place(token), f"a {finite} number", error)) from None
    if not math.isfinite(value):
        expected = "a finite number, within the doubles"
        raise source.error(_bad_entry(token, place(token), expected, SpellingError()))
    if value == 0 and re.search("[1-9]", re.split("[eE/]", token)[0]):
        expected = "a number within the doubles, which is not rounded to 0, or exact=True (--exact)"
        raise source.error(_bad_entry(token, place(token), expected, SpellingError()))
    return value


def _not_finite(token: str) -> bool:
    return token.lower().lstrip("+-") in {"nan", "inf", "infinity"}


def _bad_entry(token: str, place: str, expected: str, error: SpellingError) -> str:
    hint = ""
    if re.search(r"\d[ij]\b", token):
        hint = " Complex matrices are outside the theory."
    elif token == "":
        hint = " Does the line begin or end with a separator?"
    elif re.search(r"\d_\d", token):
        hint = " Write digits without underscores."
    elif re.match("[\"']", token):
        hint = " Write it without quotes, or name the file .json if it is one."
    elif re.search(r"[\[\];]", token):
        hint = (
            " A matrix in brackets begins and ends with them: [-1 1; 0 -1], or [[-1, 1], [0, -1]]."
        )
    elif place.startswith("row 1,") and re.match(r"[A-Za-z_]", token) and not _not_finite(token):
        hint = " Remove the header, or begin its line with #."
    limit = f", with {error.limit}" if error.limit else ""
    return f"got {shown(token)} in {place}; expected {expected}{limit}.{hint}"
