"""Matrix Market: https://math.nist.gov/MatrixMarket/formats.html, read strictly and exactly.

Beyond the format a number may be a rational p/q, in files declared "real" or "rational"; they are
exact then. "double" and "unsigned-integer", which some programs write, are "real" and "integer".
Entries of a coordinate file that stand at one place are added, as rationals, and rounded once.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from odemom.checks import (
    SpellingError,
    counted,
    is_integer_text,
    is_rational_text,
    nearest_double,
    shown,
    spelt_exactly,
)
from odemom.matrix_files.registry import reads
from odemom.matrix_files.source import MOST_ENTRIES, Source
from odemom.matrix_files.tokens import LARGEST_EXPONENT, Number, numbers_of_tokens

__all__ = ["read_matrix_market"]

BANNER = "%%MatrixMarket"
FIELDS = {
    "real": "real",
    "double": "real",
    "rational": "rational",
    "integer": "integer",
    "unsigned-integer": "integer",
    "pattern": "pattern",
}
SYMMETRIES = ("general", "symmetric", "skew-symmetric")
COUNT = re.compile(r"\d{1,18}", re.ASCII)
MOST_DENOMINATOR_BITS = 2**15  # of the sum of all entries that stand at one place


@dataclass(frozen=True)
class _Header:
    """The banner and the sizes; ``body`` is the number of lines before the entries."""

    coordinate: bool
    field: str
    symmetry: str
    rows: int
    columns: int
    entries: int
    body: int


@reads(".mtx", ".mm", kind="text")
def read_matrix_market(source: Source, exact: bool | None) -> Any:
    """The matrix: float64 or int64 arrays, or nested lists where they do not hold its numbers."""
    lines = re.split(r"\r\n|\n|\r", source.text())
    source.require_entries(len(lines))
    header = _header(source, lines)
    places, tokens = (_coordinates if header.coordinate else _columns)(source, header, lines)
    distinct = dict.fromkeys(tokens)
    place = _line_of(header, lines)
    if header.field == "integer":
        _require_integers(source, distinct, place)
    if exact is None:
        exact = header.field != "real" or any(map(is_rational_text, distinct))
    numbers = numbers_of_tokens(source, distinct, exact, place)
    flat: list[Number] = [0] * (header.rows * header.columns)
    sign = {"general": 0, "symmetric": 1, "skew-symmetric": -1}[header.symmetry]
    for k, value in _values(source, places, tokens, numbers, exact):
        flat[k] = value
        i, j = divmod(k, header.columns)
        if sign and i != j:
            flat[j * header.columns + i] = sign * value
    return _as_matrix(flat, header.rows, header.columns, exact)


def _as_matrix(flat: list[Number], rows: int, columns: int, exact: bool) -> Any:
    if not exact:
        return np.array(flat, dtype=np.float64).reshape(rows, columns)
    if all(type(value) is int and abs(value) < 2**63 for value in flat):
        return np.array(flat, dtype=np.int64).reshape(rows, columns)
    return [flat[i * columns : (i + 1) * columns] for i in range(rows)]


# --- the header ------------------------------------------------------------------------------


def _header(source: Source, lines: list[str]) -> _Header:
    layout, field, symmetry = _banner(source, lines[0])
    at = next((n for n, x in enumerate(lines) if x.strip() and not x.startswith("%")), len(lines))
    sizes = lines[at].split() if at < len(lines) else []
    coordinate = layout == "coordinate"
    if len(sizes) != 2 + coordinate or not all(map(COUNT.fullmatch, sizes)):
        raise source.unreadable(
            f"not a complete .mtx file (line {at + 1} should give the numbers of rows"
            f"{', columns and entries' if coordinate else ' and columns'})"
        )
    rows, columns = int(sizes[0]), int(sizes[1])
    source.require_entries(max(rows, 1) * max(columns, 1))
    if symmetry != "general" and rows != columns:
        raise source.error(
            f"got {counted(rows, 'row')} and {counted(columns, 'column')}; expected as many of a "
            f"{symmetry} matrix."
        )
    entries = int(sizes[2]) if coordinate else _size_of_array(symmetry, rows, columns)
    return _Header(coordinate, field, symmetry, rows, columns, entries, at + 1)


def _banner(source: Source, line: str) -> tuple[str, str, str]:
    """The format, the field and the symmetry that the first line declares."""
    first, *words = line.lower().split() or [""]
    if first != BANNER.lower():
        raise source.unreadable(f"a Matrix Market file begins with {BANNER}")
    if len(words) != 4:
        raise source.error(
            f"got the banner {shown(line)}; expected {BANNER} matrix FORMAT FIELD SYMMETRY."
        )
    kind, layout, field, symmetry = words
    _require_one_of(source, kind, ("matrix",), "object")
    _require_one_of(source, layout, ("coordinate", "array"), "format")
    for word in (field, symmetry):
        if word in {"complex", "hermitian"}:
            raise source.error(
                f"got a {word} matrix; expected a real one. Complex matrices are outside the "
                "theory."
            )
    _require_one_of(source, field, tuple(FIELDS), "field")
    _require_one_of(source, symmetry, SYMMETRIES, "symmetry")
    if field == "pattern" and (layout == "array" or symmetry == "skew-symmetric"):
        raise source.error(
            f"got a pattern of the format {layout}, {symmetry}; expected coordinates, general or "
            "symmetric."
        )
    return layout, FIELDS[field], symmetry


def _require_one_of(source: Source, word: str, known: tuple[str, ...], what: str) -> None:
    if word not in known:
        raise source.error(f"got the {what} {shown(word)}; expected {' or '.join(known)}.")


def _size_of_array(symmetry: str, rows: int, columns: int) -> int:
    if symmetry == "general":
        return rows * columns
    return rows * (rows + 1) // 2 if symmetry == "symmetric" else rows * (rows - 1) // 2


# --- the entries: their places, row by row from 0, and their tokens -----------------------------


def _filled(header: _Header, lines: list[str]) -> Iterator[tuple[int, list[str]]]:
    """The lines of the body that are not blank, as tokens, each with its number from 1."""
    for number, line in enumerate(lines[header.body :], header.body + 1):
        tokens = line.split(None, MOST_ENTRIES)
        if tokens:
            yield number, tokens


def _line_of(header: _Header, lines: list[str]) -> Callable[[str], str]:
    """Where a token first stands as the number of an entry."""
    first = 2 if header.coordinate else 0
    return lambda token: (
        f"line {next(n for n, row in _filled(header, lines) if token in row[first:])}"
    )


def _require_count(source: Source, header: _Header, count: int) -> None:
    if count != header.entries:
        raise source.unreadable(
            "not a complete .mtx file (it announces "
            f"{counted(header.entries, 'entry', 'entries')} and holds {count})"
        )


def _coordinates(source: Source, header: _Header, lines: list[str]) -> tuple[list[int], list[str]]:
    width = 2 if header.field == "pattern" else 3
    above = {"general": -header.columns, "symmetric": 0, "skew-symmetric": 1}[header.symmetry]
    places, numbers = [], []
    for line, tokens in _filled(header, lines):
        if len(tokens) != width or not all(map(COUNT.fullmatch, tokens[:2])):
            raise source.error(
                f"got {shown(' '.join(tokens[:9]))} in line {line}; expected a row and a column"
                f"{'' if width == 2 else ', and one number'}."
            )
        i, j = int(tokens[0]) - 1, int(tokens[1]) - 1
        if not (0 <= i < header.rows and 0 <= j < header.columns):
            raise source.error(
                f"got row {i + 1} and column {j + 1} in line {line}; expected rows from 1 to "
                f"{header.rows} and columns from 1 to {header.columns}."
            )
        if i - j < above:
            raise source.error(
                f"got row {i + 1} and column {j + 1} in line {line}; expected entries below the "
                f"diagonal{' or on it' if above == 0 else ''}: the matrix is {header.symmetry}."
            )
        places.append(i * header.columns + j)
        numbers.append("1" if width == 2 else tokens[2])
    _require_count(source, header, len(places))
    return places, numbers


def _columns(source: Source, header: _Header, lines: list[str]) -> tuple[list[int], list[str]]:
    """Of an array, whose entries stand column by column."""
    below = {"symmetric": 0, "skew-symmetric": 1}.get(header.symmetry)
    places = [
        i * header.columns + j
        for j in range(header.columns)
        for i in range(0 if below is None else j + below, header.rows)
    ]
    numbers: list[str] = []
    for _, tokens in _filled(header, lines):
        numbers.extend(tokens)
        if len(numbers) > header.entries:
            break
    _require_count(source, header, len(numbers))
    return places, numbers


# --- the numbers -----------------------------------------------------------------------------


def _require_integers(source: Source, tokens: dict[str, Any], place: Callable[[str], str]) -> None:
    for token in tokens:
        if not is_integer_text(token):
            raise source.error(
                f"got {shown(token)} in {place(token)}; expected an integer, as the file declares."
            )


def _values(
    source: Source,
    places: list[int],
    tokens: list[str],
    numbers: dict[str, Number],
    exact: bool,
) -> Iterator[tuple[int, Number]]:
    """The number at each place: that of the one token there, or the sum of several."""
    first: dict[int, str] = {}
    repeated: dict[int, list[str]] = {}
    for place, token in zip(places, tokens, strict=True):
        if place in first:
            repeated.setdefault(place, [first[place]]).append(token)
        else:
            first[place] = token
    for place, token in first.items():
        several = repeated.get(place)
        yield place, numbers[token] if several is None else _sum(source, several, exact)


def _sum(source: Source, tokens: list[str], exact: bool) -> Number:
    """The sum of the numbers spelt, over their common denominator, rounded once if at all."""
    denominator = 1
    terms = []
    for token, times in Counter(tokens).items():
        try:
            term = times * Fraction(spelt_exactly(token, LARGEST_EXPONENT))
        except SpellingError as error:
            raise source.error(
                f"got {shown(token)} among entries at one place; expected {error.limit}."
            ) from None
        terms.append(term)
        denominator = math.lcm(denominator, term.denominator)
        if denominator.bit_length() > MOST_DENOMINATOR_BITS:
            raise source.error(
                "got several entries at one place with a sum that is too long; expected their sum."
            )
    total = sum(term.numerator * (denominator // term.denominator) for term in terms)
    if exact:
        return Fraction(total, denominator) if total % denominator else total // denominator
    value = nearest_double(Fraction(total, denominator))
    if not math.isfinite(value):
        raise source.error("got entries at one place with a sum beyond the doubles.")
    return value
