"""Tables with labels: the header and the index column that pandas and R write beside a matrix."""

from __future__ import annotations

from odemom.checks import SpellingError, shown, spelt_double
from odemom.matrix_files.source import Source

__all__ = ["without_labels"]


def without_labels(source: Source, rows: list[list[str]]) -> list[list[str]]:
    """The rows without header and index column, where they surely are such; and a note of it.

    They are where what remains is square, and all labels are words, or all count 0, 1, 2, ...
    (pandas) or 1, 2, 3, ... (R). A header of numbers without an index is never one, and never is a
    word in the first column of a matrix that has no header.

    Parameters
    ----------
    rows : list of list of str
        The cells. The first row may have one cell fewer than the others, as R writes it.
    """
    if len(rows) < 2:
        return rows
    header, body = rows[0], rows[1:]
    d = len(body)
    if all(len(row) == d for row in rows) and _are_words(header):
        source.note(f"the header {shown(', '.join(header))} is no part of the matrix.")
        return body
    if any(len(row) != d + 1 for row in body) or len(header) not in {d, d + 1}:
        return rows
    corner, columns = header[:-d], header[-d:]
    index = [row[0] for row in body]
    # Of two rows only an empty corner tells a header: "a,b" over "1,2" may lack its second row.
    named = corner == [""] or (d > 1 and all(map(_is_word, corner)))
    if named and _are_labels(columns) and _are_labels(index):
        source.note(
            f"the header {shown(', '.join(columns))} and the index column "
            f"{shown(', '.join(index))} are no part of the matrix."
        )
        return [row[1:] for row in body]
    return rows


def _are_labels(cells: list[str]) -> bool:
    counts = [[str(i + first) for i in range(len(cells))] for first in (0, 1)]
    return cells in counts or _are_words(cells)


def _are_words(cells: list[str]) -> bool:
    return all(cell and _is_word(cell) for cell in cells) and len(set(cells)) == len(cells)


def _is_word(cell: str) -> bool:
    """Whether the cell spells no number, not even one that is not finite or misspelt."""
    try:
        spelt_double(cell)
    except SpellingError:
        return not cell or (
            cell[0].isalpha() and cell.lower() not in {"nan", "inf", "infinity", "na"}
        )
    return False
