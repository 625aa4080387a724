"""Matrices in brackets: ``[-1 1; 0 -1]`` as in MATLAB, ``[[-1, 1], [0, -1]]`` as in Python."""

from __future__ import annotations

import re

from odemom.matrix_files.source import Source
from odemom.matrix_files.tokens import IN_BRACKETS

__all__ = ["rows_in_brackets", "without_name"]

NAME = re.compile(r"[A-Za-z]\w*\s*=\s*", re.ASCII)
INNER = re.compile(r"\[([^\[\]]*)\]")


def without_name(lines: list[str]) -> list[str]:
    """The lines without ``D =``, which a program writes, and MATLAB prints, before a matrix."""
    name = NAME.match(lines[0]) if lines else None
    if name is None:
        return lines
    rest = lines[0][name.end() :]
    return [rest, *lines[1:]] if rest else lines[1:]


def rows_in_brackets(source: Source, lines: list[str]) -> list[list[str]] | None:
    """The tokens of a matrix in brackets, a list for each row; None of text that has no brackets.

    Rows stand between semicolons or line ends, or in brackets of their own; entries between commas
    or white space. A semicolon behind the matrix, as in a line of a program, does not matter.

    Raises
    ------
    MatrixFileError
        If the brackets do not match.
    """
    if not lines or not lines[0].startswith("["):
        return None
    text = "\n".join(lines).rstrip("; \t\n")
    if not text.endswith("]"):
        raise source.error(
            "got a matrix that begins with [ and does not end with ]; expected "
            f"{IN_BRACKETS}. Is the text complete?"
        )
    inside = text[1:-1].strip()
    source.require_entries(len(re.findall(r"[,;\s]+", inside)))
    if "[" in inside or "]" in inside:
        return _rows_of_lists(source, inside)
    return [_entries(row) for row in re.split(r"[;\n]", inside.rstrip(";")) if row.strip()]


def _rows_of_lists(source: Source, inside: str) -> list[list[str]]:
    """The rows of ``[1, 2], [3, 4]``, or of NumPy's form, which has no commas."""
    between = INNER.sub(" ", inside)
    commas = INNER.sub("x", inside)
    regular = re.fullmatch(r"x(?:\s*,\s*x)*|x(?:\s+x)*", commas)
    if between.replace(",", "").strip() or not regular:
        raise source.error(f"got brackets that are no list of rows; expected {IN_BRACKETS}.")
    return [_entries(row) for row in INNER.findall(inside)]


def _entries(row: str) -> list[str]:
    """Between commas or white space; nothing between two commas is an entry that spells nothing."""
    if not row.strip():
        return []
    return [token for part in row.split(",") for token in part.split() or [""]]
