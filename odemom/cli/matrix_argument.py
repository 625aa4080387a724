"""The matrix that a command is about: a file, standard input, or the argument itself."""

from __future__ import annotations

import os
import sys
import warnings
from typing import Any

from odemom.cli.shared import note

__all__ = ["matrix_of"]


def matrix_of(argument: str, exact: bool | None) -> Any:
    """The matrix in a file; in standard input for ``-``; in the argument if it begins with [.

    What the reader took as the matrix, where there was more, is said on the error stream.
    """
    from odemom.matrix_files import MatrixFileNote

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", MatrixFileNote)
        matrix = _read(argument, exact)
    for warning in caught:
        note(f"note: {warning.message}")
    return matrix


def _read(argument: str, exact: bool | None) -> Any:
    from odemom.checks import invalid
    from odemom.matrix_files import parse_matrix, read_matrix, read_stream

    in_brackets = argument.lstrip().startswith("[")
    if in_brackets and (argument.rstrip().endswith("]") or not os.path.exists(argument)):
        return parse_matrix(argument, "the argument", exact=exact)
    if argument != "-":
        return read_matrix(argument, exact=exact)
    if sys.stdin is None or sys.stdin.closed:
        raise invalid("-", got="a closed standard input", expected="a matrix there, or in a file")
    return read_stream(sys.stdin.buffer, "standard input", exact=exact)
