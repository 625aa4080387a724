"""Matrices in files: .npy, .csv, .json, Matrix Market .mtx, and text with white space.

Numbers in text keep their exactness: ints and rationals such as ``-3/4`` are exact. A text matrix
in which decimals occur is floating input, unless a rational occurs too or exactness is asked for;
then each decimal is the rational that it spells.
"""

from __future__ import annotations

import io
import json
import math
import re
import warnings
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from odemom.checks import expect, shown
from odemom.errors import MatrixFileError
from odemom.records import write_bytes_atomic, write_json, write_text_atomic

__all__ = ["matrix_text", "read_matrix", "write_matrix"]

INTEGER = re.compile(r"[+-]?\d+")
RATIONAL = re.compile(r"[+-]?\d+/\d+")
LONG = re.compile(r"\d{4301}")
TOO_LONG = (
    "got an integer of more than 4300 digits, which Python does not read; expected shorter "
    "numbers, or decimals with an exponent."
)
BINARY = {".npz", ".mat", ".h5", ".hdf5", ".pkl", ".xlsx"}
SUFFIXES = ".npy, .csv, .json, .mtx, or text with white space (.txt, .dat, none)"


def read_matrix(path: str | Path, *, exact: bool | None = None) -> Any:
    r"""Read a real matrix from a file.

    Parameters
    ----------
    path : str or Path
        The suffix tells the format: ``.npy`` (NumPy), ``.csv`` (commas, semicolons or tabs),
        ``.json`` (a nested list, or an object with the key "matrix" or "D"), ``.mtx`` (Matrix
        Market); anything else is text, a row a line, entries separated by white space. In .csv and
        text, ``#`` begins a comment.
    exact : bool, optional
        True: decimals in text, csv and json are the rationals that they spell. False: everything is
        floating. None: see the module.

    Returns
    -------
    ndarray or nested list
        float64 or integer arrays, or lists of ints and Fractions, as `odemom.analyze` takes them.

    Raises
    ------
    MatrixFileError
        If the file cannot be read, or does not hold a rectangular array of real numbers.

    Examples
    --------
    >>> import tempfile, pathlib
    >>> path = pathlib.Path(tempfile.mkdtemp(), "a.txt")
    >>> _ = path.write_text("-3/4  1\n0  -3/4  # a Jordan block\n")
    >>> read_matrix(path)
    [[Fraction(-3, 4), 1], [0, Fraction(-3, 4)]]
    """
    path = Path(path)
    readers: dict[str, Callable[[Path, bool | None], Any]] = {
        ".npy": _read_npy,
        ".csv": _read_csv,
        ".json": _read_json,
        ".mtx": _read_mtx,
    }
    reader = readers.get(path.suffix.lower(), _read_text)
    if path.is_dir():
        raise _unreadable(path, "it is a folder")
    try:
        return reader(path, exact)
    except FileNotFoundError:
        raise _unreadable(path, "there is no such file") from None
    except OSError as error:
        raise _unreadable(path, error.strerror or str(error)) from None


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
    """
    suffix = Path(path).suffix.lower()
    expect(
        suffix not in BINARY, "path", got=str(path), expected=f"the suffix of a matrix: {SUFFIXES}"
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


def _unreadable(path: Path, why: str) -> MatrixFileError:
    return MatrixFileError(f"{path}: cannot be read: {why}. Expected a matrix in {SUFFIXES}.")


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise _unreadable(path, "it is not text; is the suffix right?") from None


# --- formats -----------------------------------------------------------------------------------


def _read_npy(path: Path, exact: bool | None) -> Any:
    del exact  # a .npy file holds no text: odemom.analyze reads its floats exactly when asked
    with path.open("rb") as stream:
        try:
            return np.lib.format.read_array(stream, allow_pickle=False)
        except (ValueError, EOFError, MemoryError) as error:
            hint = (
                "it holds Python objects, which are not loaded from files; save exact numbers as "
                "text"
                if "Object arrays" in str(error)
                else f"not a complete .npy file ({shown(str(error), 100)})"
            )
            raise _unreadable(path, hint) from None


def _read_mtx(path: Path, exact: bool | None) -> Any:
    del exact
    import scipy.io

    if not _text(path).startswith("%%MatrixMarket"):
        raise _unreadable(path, "a Matrix Market file begins with %%MatrixMarket")
    try:
        with warnings.catch_warnings():
            # Which kind of sparse matrix is to be made: either becomes an ndarray here.
            warnings.simplefilter("ignore", DeprecationWarning)
            matrix = scipy.io.mmread(path)
        return matrix if isinstance(matrix, np.ndarray) else matrix.toarray()
    except MemoryError as error:
        raise _unreadable(path, f"too large ({shown(str(error), 100)})") from None
    except (ValueError, OverflowError, EOFError) as error:
        raise _unreadable(path, f"not a complete .mtx file ({shown(str(error), 100)})") from None


def _read_json(path: Path, exact: bool | None) -> Any:
    # Decimals are kept as they are spelt until it is known whether they are to be exact.
    try:
        data = json.loads(_text(path), parse_float=_Decimal, parse_constant=_refuse_constant)
    except json.JSONDecodeError as error:
        raise _unreadable(path, f"not valid JSON ({error})") from None
    except _NotFiniteError as error:
        raise MatrixFileError(f"{path}: got {error}; expected finite numbers.") from None
    except MatrixFileError:
        raise
    except ValueError:  # of Python's int()
        raise MatrixFileError(f"{path}: {TOO_LONG}") from None
    except RecursionError:
        raise _unreadable(path, "it is nested too deeply for a matrix") from None
    if isinstance(data, dict):
        keys = [key for key in ("matrix", "D") if key in data]
        if not keys:
            raise MatrixFileError(
                f"{path}: got an object with the keys {shown(sorted(data))}; expected a "
                'nested list or the key "matrix" or "D".'
            )
        data = data[keys[0]]
    if not isinstance(data, list) or not all(isinstance(row, list) for row in data):
        raise MatrixFileError(f"{path}: got {shown(data)}; expected a list of rows.")
    rows = [[_json_token(path, i, j, x) for j, x in enumerate(row)] for i, row in enumerate(data)]
    return _numbers(path, rows, exact)


def _read_csv(path: Path, exact: bool | None) -> Any:
    rows = []
    for line in _lines(path):
        separator = next((s for s in (",", ";", "\t") if s in line), ",")
        rows.append([token.strip().strip('"') for token in line.split(separator)])
    return _numbers(path, rows, exact)


def _read_text(path: Path, exact: bool | None) -> Any:
    return _numbers(path, [line.split() for line in _lines(path)], exact)


def _lines(path: Path) -> list[str]:
    text = _text(path).replace("\u2212", "-")  # the minus sign of typeset text
    lines = (line.partition("#")[0].strip() for line in text.splitlines())
    return [line for line in lines if line]


# --- numbers -----------------------------------------------------------------------------------


class _Decimal(str):
    """A JSON number with a point or an exponent, as it is spelt."""


class _NotFiniteError(Exception):
    pass


def _refuse_constant(name: str) -> None:
    raise _NotFiniteError(name)


def _json_token(path: Path, i: int, j: int, value: Any) -> str:
    if isinstance(value, str):
        return value.strip()
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    raise MatrixFileError(
        f"{path}: got {shown(value)} in row {i + 1}, column {j + 1}; expected a number, or a "
        'rational in quotes, "-3/4".'
    )


def _numbers(path: Path, rows: list[list[str]], exact: bool | None) -> Any:
    if not rows:
        raise MatrixFileError(f"{path}: got no rows; expected a square matrix.")
    for i, row in enumerate(rows):
        if len(row) != len(rows[0]):
            raise MatrixFileError(
                f"{path}: got {len(row)} entries in row {i + 1} and {len(rows[0])} in row 1; "
                "expected rows of equal length. Is the file complete?"
            )
    tokens = [token for row in rows for token in row]
    if exact is None:
        exact = all(map(INTEGER.fullmatch, tokens)) or any(map(RATIONAL.fullmatch, tokens))
    parse = _exact_number if exact else _float
    return [
        [parse(path, i + 1, j + 1, token) for j, token in enumerate(row)]
        for i, row in enumerate(rows)
    ]


def _exact_number(path: Path, i: int, j: int, token: str) -> int | Fraction:
    try:
        if INTEGER.fullmatch(token):
            return int(token)
        if abs(int((re.findall(r"[eE]([+-]?\d+)$", token) or ["0"])[0])) > 100_000:
            raise ValueError("exponent")
        return Fraction(token)
    except (ValueError, ZeroDivisionError):
        if LONG.search(token):
            raise MatrixFileError(f"{path}, row {i}, column {j}: {TOO_LONG}") from None
        raise _bad_entry(path, i, j, token, "an integer, a rational p/q or a decimal") from None


def _float(path: Path, i: int, j: int, token: str) -> float:
    try:
        value = float(Fraction(token)) if RATIONAL.fullmatch(token) else float(token)
    except (ValueError, ZeroDivisionError, OverflowError):
        raise _bad_entry(path, i, j, token, "a real number") from None
    if not math.isfinite(value):
        raise _bad_entry(path, i, j, token, "a finite number")
    return value


def _bad_entry(path: Path, i: int, j: int, token: str, expected: str) -> MatrixFileError:
    hint = ""
    if re.search(r"\d[ij]\b", token):
        hint = " Complex matrices are outside the theory."
    elif token == "":
        hint = " Does the line begin or end with a separator?"
    elif re.search(r"[\[\];]", token):
        hint = " A nested list is read from a .json file."
    elif i == 1 and re.match(r"[A-Za-z_]", token) and token.lower() not in {"nan", "inf"}:
        hint = " Remove the header, or begin its line with #."
    return MatrixFileError(
        f"{path}: got {shown(token)} in row {i}, column {j}; expected {expected}.{hint}"
    )
