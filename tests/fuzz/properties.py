"""What holds of every input: only errors of odemom, and no number that the text does not say.

The oracle reads the text a second time, by means of its own: it cuts it into tokens at everything
that no number holds, and gives each the value that `Fraction` does.
"""

from __future__ import annotations

import contextlib
import math
import re
import warnings
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from odemom.errors import OdemomError
from odemom.matrix_files.read import READERS
from odemom.matrix_files.source import Source
from tests.fuzz import page

__all__ = ["CORPUS", "FORMATS", "check", "corpus_of"]

CORPUS = Path(__file__).parent / "corpus"
TEXT = ("txt", "csv", "json", "mtx")
FORMATS = (*TEXT, "npy", "npz", "mat", "pt", "page")
HUGE = 200_000  # an exponent with which a rational is no longer written out


def corpus_of(suffix: str) -> list[bytes]:
    """The contents of the files of a format, in order."""
    return [path.read_bytes() for path in sorted((CORPUS / suffix).iterdir())]


def check(suffix: str, content: bytes) -> bool:
    """Read a content as a file with the suffix; whether there is a matrix in it.

    What the page of `odemom explore` sends is a format too: see `tests.fuzz.page`.

    Raises
    ------
    AssertionError
        If the matrix holds what the text does not say. Any other exception than `OdemomError` is
        not caught: it is a find.
    """
    if suffix == "page":
        return page.check(content)
    refused = ""
    matrix: Any = None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            matrix = READERS[f".{suffix}"].read(Source(f"fuzz.{suffix}", content), None)
        except OdemomError as error:
            refused = str(error)
    if refused:
        assert "\n" not in refused, "a message of several lines"
        assert len(refused) < 1000, "a message of more than a thousand characters"
        return False
    if suffix == "mtx":
        assert_said_by_coordinates_or_columns(rows_of(matrix), content.decode("utf-8-sig"))
    elif suffix in TEXT:
        text = content.decode("utf-8-sig")
        text = without_escapes(text) if suffix == "json" else re.sub("#[^\r\n]*", "", text)
        assert_said_in_order(rows_of(matrix), text)
    return True


def without_escapes(text: str) -> str:
    """JSON may write any character of a string as an escape: "-3\\/4", "\\u0033"."""
    return re.sub(
        r"\\(?:u([0-9a-fA-F]{4})|(.))",
        lambda m: chr(int(m[1], 16)) if m[1] else m[2] if m[2] in '/"' else " ",
        text,
    )


def rows_of(matrix: Any) -> list[Any]:
    """The entries, of rows of equal length: nothing but ints, Fractions, finite floats."""
    matrix = matrix.tolist() if isinstance(matrix, np.ndarray) else matrix
    assert all(len(row) == len(matrix[0]) for row in matrix)
    for entry in (entry for row in matrix for entry in row):
        assert type(entry) in {int, Fraction} or (type(entry) is float and math.isfinite(entry))
    return matrix


def value(token: str) -> Fraction | float | None:
    """What a token spells: digits, a sign, one of . / e; nothing where it spells no number."""
    token = token.replace("\u2212", "-")
    if not token.isascii() or re.search(r"[^0-9+\-./eE]", token):
        return None
    exponent = re.search(r"[eE]([+-]?[0-9]+)$", token)
    huge = exponent and (len(exponent[1]) > 9 or abs(int(exponent[1])) > HUGE)
    with contextlib.suppress(ValueError, ZeroDivisionError):
        if not huge:
            return Fraction(token)
    try:
        return float(token)  # of more digits than Python makes an integer of
    except ValueError:
        return None


def same(entry: Any, said: Fraction | float | None) -> bool:
    """Whether an entry is the number said, or the double nearest to it."""
    if said is None:
        return False
    if isinstance(entry, float):
        try:
            return entry == (said.numerator / said.denominator if type(said) is Fraction else said)
        except OverflowError:
            return False
    return type(said) is Fraction and entry == said


def assert_said_in_order(rows: list[Any], text: str) -> None:
    """The entries, row by row, are numbers of the text in its order; rows apart hold no label."""
    tokens = [value(token) for token in re.split(r"""[\s,;\[\]"{}:=]+""", text) if token]
    if re.search("true|false", text) and not re.search("[0-9]", text):  # booleans of JSON
        tokens = [Fraction(word == "true") for word in re.findall("true|false", text)]
    said = iter(tokens)
    for entry in (entry for row in rows for entry in row):
        assert any(same(entry, token) for token in said), f"{entry!r} is not said there"


def assert_said_by_coordinates_or_columns(rows: list[Any], text: str) -> None:
    """A Matrix Market file, read again in the plainest way; entries at one place are added."""
    lines = re.split(r"\r\n|\n|\r", text)
    layout, field, symmetry = lines[0].lower().split()[2:5]
    body = [line.split() for line in lines[1:] if line.strip() and not line.startswith("%")]
    height, width = int(body[0][0]), int(body[0][1])
    assert len(rows) == height
    assert all(len(row) == width for row in rows)
    if layout == "coordinate":
        places = [(int(line[0]) - 1, int(line[1]) - 1) for line in body[1:]]
        tokens = ["1" if field == "pattern" else line[2] for line in body[1:]]
    else:
        lowest = {"general": lambda _: 0, "symmetric": int, "skew-symmetric": lambda j: j + 1}
        places = [(i, j) for j in range(width) for i in range(lowest[symmetry](j), height)]
        tokens = [token for line in body[1:] for token in line]
    assert len(places) == len(tokens)
    sums: dict[tuple[int, int], Any] = {}
    for (i, j), token in zip(places, tokens, strict=True):
        said = value(token)
        assert said is not None, f"{token!r} is no number"
        sums[i, j] = sums[i, j] + said if (i, j) in sums else said
    if symmetry != "general":
        sign = -1 if symmetry == "skew-symmetric" else 1
        sums |= {(j, i): sign * said for (i, j), said in sums.items() if i != j}
    for i, row in enumerate(rows):
        for j, entry in enumerate(row):
            assert same(entry, sums.get((i, j), Fraction(0))), f"{entry!r} at {i}, {j}"
