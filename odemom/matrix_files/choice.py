"""Which of several arrays in one file is the matrix."""

from __future__ import annotations

from collections.abc import Mapping

from odemom.checks import shown
from odemom.matrix_files.source import Source

__all__ = ["chosen"]

KEYS = ("matrix", "D")


def chosen(source: Source, shapes: Mapping[str, tuple[int, ...]]) -> str:
    """The name of the only array; or of "matrix" or "D"; or of the only square matrix among them.

    Where there are others a note says what was taken.

    Parameters
    ----------
    shapes : mapping
        The shapes of the arrays of numbers, by their names.

    Raises
    ------
    MatrixFileError
        If there is no array, or more than one that may be meant.
    """
    if not shapes:
        raise source.unreadable("there is no array of numbers in it")
    if len(shapes) == 1:
        return next(iter(shapes))
    named = [name for name in KEYS if name in shapes]
    square = [n for n, shape in shapes.items() if len(shape) == 2 and shape[0] == shape[1] > 1]
    for names in (named, square):
        if len(names) == 1:
            others = ", ".join(name for name in shapes if name != names[0])
            source.note(f"{names[0]} is taken as the matrix, of it and {shown(others)}.")
            return names[0]
    listed = ", ".join(f"{name} {shape}" for name, shape in shapes.items())
    raise source.error(
        f"got the arrays {shown(listed, 200)}; expected one, or one that is called matrix or D."
    )
