"""Text: a row a line, between white space or separators, or in brackets; ``#`` begins a comment."""

from __future__ import annotations

import re
from typing import Any

from odemom.checks import shown
from odemom.matrix_files.brackets import rows_in_brackets, without_name
from odemom.matrix_files.registry import reads
from odemom.matrix_files.source import MOST_ENTRIES, Source
from odemom.matrix_files.tables import without_labels
from odemom.matrix_files.tokens import numbers_of_rows

__all__ = ["read_csv", "read_text"]


@reads(".txt", ".dat", "", kind="text")
def read_text(source: Source, exact: bool | None) -> Any:
    """Rows of entries between white space or separators, or a matrix in brackets."""
    lines = _lines(source)
    return _numbers(source, lines, exact, next((s for s in ",;" if lines and s in lines[0]), None))


@reads(".csv", kind="text")
def read_csv(source: Source, exact: bool | None) -> Any:
    """Rows of entries between commas, semicolons or tabs; a header and an index are left out."""
    lines = _lines(source)
    return _numbers(source, lines, exact, next((s for s in ",;\t" if lines and s in lines[0]), ","))


def _numbers(source: Source, lines: list[str], exact: bool | None, separator: str | None) -> Any:
    rows = rows_in_brackets(source, lines)
    if rows is None:
        rows = without_labels(source, _split(source, lines, separator))
    return numbers_of_rows(source, rows, exact)


def _lines(source: Source) -> list[str]:
    """The lines that are neither empty nor comments only."""
    text = source.text()
    source.require_entries(text.count("\n"))
    lines = (line.partition("#")[0].strip(" \t\f\v") for line in re.split(r"\r\n|\n|\r", text))
    filled = without_name([line for line in lines if line])
    if filled and re.fullmatch(r"\S+\s*\*", filled[0]):
        raise source.error(
            f"got the scale factor {shown(filled[0])} before numbers of few digits; expected the "
            "numbers themselves, as MATLAB's mat2str(D) gives them."
        )
    return filled


def _split(source: Source, lines: list[str], separator: str | None) -> list[list[str]]:
    """The rows of the lines, split as long as there are not too many entries."""
    rows, count = [], 0
    for line in lines:
        if separator is not None:
            source.require_entries(count + line.count(separator) + 1)
        cells = line.split(separator, MOST_ENTRIES)
        count += len(cells)
        source.require_entries(count)
        rows.append(cells if separator is None else [cell.strip() for cell in cells])
        if '"' in line:
            rows[-1] = [_unquoted(cell) for cell in rows[-1]]
    return rows


def _unquoted(cell: str) -> str:
    quoted = len(cell) > 1 and cell[0] == cell[-1] == '"'
    return cell[1:-1].strip() if quoted else cell
