"""From a path, a stream or text to a matrix: which reader it is for, by suffix or by content."""

from __future__ import annotations

import re
from pathlib import Path
from typing import IO, Any

from odemom.checks import expect, shown

# Each of these registers its readers.
from odemom.matrix_files import json_rows as json_rows
from odemom.matrix_files import matlab_files as matlab_files
from odemom.matrix_files import matrix_market as matrix_market
from odemom.matrix_files import numpy_files as numpy_files
from odemom.matrix_files import text as text
from odemom.matrix_files import torch_files as torch_files
from odemom.matrix_files.registry import READERS, Reader
from odemom.matrix_files.source import (
    FORMATS,
    MatrixFileNote,
    Source,
    source_of_file,
    source_of_stream,
)

__all__ = ["MatrixFileNote", "parse_matrix", "read_matrix", "read_stream"]

UNREAD = {".h5", ".hdf5", ".pkl", ".pickle", ".xls", ".xlsx", ".parquet", ".feather", ".gz", ".zip"}
BEGINNINGS = (
    (rb"\x93NUMPY", ".npy"),
    (rb"PK\x03\x04.*?data\.pkl", ".pt"),
    (rb"PK\x03\x04", ".npz"),
    (rb"MATLAB \d|\x89HDF", ".mat"),
    (rb"(\xef\xbb\xbf)?%%MatrixMarket", ".mtx"),
    (rb"(\xef\xbb\xbf)?\s*\{", ".json"),
)


def read_matrix(path: str | Path, *, exact: bool | None = None) -> Any:
    r"""Read a real matrix from a file.

    Parameters
    ----------
    path : str or Path
        The suffix tells the format: ``.npy`` and ``.npz`` (NumPy), ``.mat`` (MATLAB, up to version
        7), ``.pt`` (PyTorch, weights only), ``.csv`` (commas, semicolons or tabs), ``.json`` (a
        nested list, or an object with the key "matrix" or "D"), ``.mtx`` (Matrix Market); of
        anything else the content does. Text is a row a line, entries between white space or commas,
        or a matrix in brackets, ``[-1 1; 0 -1]`` or ``[[-1, 1], [0, -1]]``. In .csv and text, ``#``
        begins a comment.
    exact : bool, optional
        True: decimals in text, csv, json and mtx are the rationals that they spell. False:
        everything is floating. None: see the package.

    Returns
    -------
    ndarray or nested list
        float64, integer or boolean arrays, or lists of ints and Fractions, as `odemom.analyze`
        takes them.

    Raises
    ------
    MatrixFileError
        If the file cannot be read, is larger than 256 MiB of text or 1 GiB, or does not hold a
        rectangular array of real numbers.

    Warns
    -----
    MatrixFileNote
        If there is more in the file than the matrix: a header and an index column, other arrays.

    Examples
    --------
    >>> import tempfile, pathlib
    >>> path = pathlib.Path(tempfile.mkdtemp(), "a.txt")
    >>> _ = path.write_text("-3/4  1\n0  -3/4  # a Jordan block\n")
    >>> read_matrix(path)
    [[Fraction(-3, 4), 1], [0, Fraction(-3, 4)]]
    """
    path = _as_path(path)
    suffix = path.suffix.lower()
    reader = READERS.get(suffix)
    source = source_of_file(path, "text" if reader is None else reader.kind)
    if suffix in UNREAD:
        raise source.unreadable(f"{suffix} is not read")
    if reader is None or reader.read is text.read_text:
        reader = _reader_by_content(source.content)
    return reader.read(source, exact)


def read_stream(stream: IO[bytes], name: str, *, exact: bool | None = None) -> Any:
    """Read a real matrix from a stream of bytes, of any format: see `read_matrix`.

    Parameters
    ----------
    stream : binary file
        What it still gives is read, up to 256 MiB.
    name : str
        What messages call it.
    exact : bool, optional
    """
    source = source_of_stream(stream, name, "text")
    return _reader_by_content(source.content).read(source, exact)


def parse_matrix(matrix: str, name: str = "the text", *, exact: bool | None = None) -> Any:
    """Read a real matrix from text, of any text format: see `read_matrix`.

    Examples
    --------
    >>> parse_matrix("[-1 1; 0 -3/4]")
    [[-1, 1], [0, Fraction(-3, 4)]]
    """
    source = Source(name, matrix.encode("utf-8", "surrogateescape"))
    return _reader_by_content(source.content).read(source, exact)


def _as_path(path: str | Path) -> Path:
    expect(
        isinstance(path, str | Path),
        "path",
        got=f"{shown(path)} of type {type(path).__name__}",
        expected=f"the path of a matrix in {FORMATS}",
    )
    return Path(path)


def _reader_by_content(content: bytes) -> Reader:
    for beginning, suffix in BEGINNINGS:
        if re.match(beginning, content[:4096], re.DOTALL):
            return READERS[suffix]
    return READERS[".txt"]
