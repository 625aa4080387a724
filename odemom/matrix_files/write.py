"""Matrices to files, so that what is read back are the same numbers."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np

from odemom.checks import expect
from odemom.records import write_bytes_atomic, write_json, write_text_atomic

__all__ = ["matrix_text", "write_matrix"]

WRITTEN = ".npy, .csv, .json, .mtx, or text with white space (.txt, .dat, none)"
BINARY = {".npz", ".mat", ".pt", ".pth", ".h5", ".hdf5", ".pkl", ".xlsx"}


def write_matrix(path: str | Path, matrix: np.ndarray) -> Path:
    """Write a float64 matrix, so that `read_matrix` gives back the same numbers.

    Parameters
    ----------
    path : str or Path
        The suffix tells the format: ``.npy``, ``.csv``, ``.json``, ``.mtx``, or else text.
    matrix : ndarray of float64, shape (m, n)

    Returns
    -------
    Path

    Raises
    ------
    InvalidInputError
        If ``path`` is a folder, cannot be written, or has the suffix of another binary format.

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np
    >>> from odemom.matrix_files import read_matrix
    >>> third = np.array([[1 / 3, -2.0]])
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     files = [write_matrix(f"{folder}/x{kind}", third) for kind in (".npy", ".txt", ".mtx")]
    ...     [np.array_equal(read_matrix(path), third) for path in files]
    [True, True, True]
    """
    suffix = Path(path).suffix.lower()
    expect(
        suffix not in BINARY, "path", got=str(path), expected=f"the suffix of a matrix: {WRITTEN}"
    )
    if suffix == ".json":
        return write_json(path, matrix.tolist())
    buffer = io.BytesIO()
    if suffix == ".npy":
        np.save(buffer, matrix)
        return write_bytes_atomic(path, buffer.getvalue())
    if suffix == ".mtx":
        import scipy.io

        scipy.io.mmwrite(buffer, matrix, precision=17, symmetry="general")
        return write_bytes_atomic(path, buffer.getvalue())
    return write_text_atomic(path, matrix_text(matrix, "," if suffix == ".csv" else " "))


def matrix_text(matrix: np.ndarray, separator: str = " ") -> str:
    r"""A matrix as text, a row a line; the shortest decimals that give back every bit.

    Examples
    --------
    >>> matrix_text(np.array([[0.1, -2.0]]))
    '0.1 -2.0\n'
    """
    return "".join(separator.join(map(repr, row)) + "\n" for row in matrix.tolist())
