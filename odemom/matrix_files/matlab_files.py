"""MATLAB's .mat files of versions 4 to 7, full and sparse.

Read here, as https://www.mathworks.com/help/pdf_doc/matlab/matfile_format.pdf describes them: the
reader of SciPy 1.17 trusts the indices of a damaged sparse matrix, and Python ends with it.
"""

from __future__ import annotations

import math
import struct
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from odemom.matrix_files.choice import chosen
from odemom.matrix_files.registry import reads
from odemom.matrix_files.source import MOST_BYTES, Source

__all__ = ["read_mat"]

HDF5 = b"\x89HDF\r\n\x1a\n"
HEADER = 128
BYTES, MATRIX, COMPRESSED = 2, 14, 15
SPARSE, LOGICAL, COMPLEX = 5, 0x0200, 0x0800
# The types in which numbers are stored, and the classes of arrays: a double may be stored as int8.
STORED = {
    1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8",
}  # fmt: skip
CLASSES = {
    SPARSE: "f8", 6: "f8", 7: "f4",
    8: "i1", 9: "u1", 10: "i2", 11: "u2", 12: "i4", 13: "u4", 14: "i8", 15: "u8",
}  # fmt: skip
# Of version 4: the digit for the type.
STORED_4 = ("f8", "f4", "i4", "i2", "u2", "u1")


@dataclass(frozen=True)
class _Variable:
    """An array of numbers in the file: its numbers are made an array when it is the one."""

    name: str
    shape: tuple[int, ...]
    array: Callable[[], np.ndarray]


@reads(".mat", kind="binary")
def read_mat(source: Source, exact: bool | None) -> Any:
    """The only matrix, the one called matrix or D, or the only square one; sparse ones filled."""
    del exact  # a .mat file holds no text
    content = source.content
    if HDF5 in content[:520]:
        raise source.unreadable(
            "a .mat file of version 7.3, which is HDF5; save it with save(..., '-v7')"
        )
    what = ".mat file"
    with source.read_elsewhere(what):
        version_4 = 0 in content[:4] or len(content) < HEADER
        found: dict[str, _Variable] = {}
        for variable in (_variables_4 if version_4 else _variables_5)(content):
            if variable.name in found:
                raise ValueError(f"the name {variable.name} occurs twice")
            found[variable.name] = variable
    variable = found[chosen(source, {name: found[name].shape for name in found})]
    source.require_entries(math.prod(variable.shape))
    with source.read_elsewhere(what):
        return variable.array()


def _require(condition: bool, what: str) -> None:
    """What `Source.read_elsewhere` makes an error of the file."""
    if not condition:
        raise ValueError(what)


# --- version 5 -------------------------------------------------------------------------------


def _variables_5(content: bytes) -> Iterator[_Variable]:
    order = {b"IM": "<", b"MI": ">"}.get(content[126:128])
    _require(order is not None, "the header names no byte order")
    room = MOST_BYTES["binary"]
    for kind, payload in _elements(memoryview(content)[HEADER:], str(order)):
        element = (kind, payload)
        if kind == COMPRESSED:
            stream = zlib.decompressobj()
            unpacked = stream.decompress(payload, room)
            _require(stream.eof, "what is compressed in it is too large, or not complete")
            room -= len(unpacked)
            element = _next(_elements(memoryview(unpacked), str(order)))
        if element[0] == MATRIX and len(element[1]):
            variable = _variable(element[1], str(order))
            if variable is not None:
                yield variable


def _elements(data: memoryview, order: str) -> Iterator[tuple[int, memoryview]]:
    """The type and the bytes of each element; small ones stand within their tag."""
    at = 0
    while at < len(data):
        kind, size = struct.unpack_from(order + "II", data, at)
        start, end = at + 8, at + 8 + size
        if kind >> 16:
            kind, size = kind & 0xFFFF, kind >> 16
            _require(size <= 4, "a small element of more than 4 bytes")
            start, end, at = at + 4, at + 4 + size, at + 8
        else:
            at = end if kind == COMPRESSED else end + -size % 8
        _require(end <= len(data), "an element ends after the file")
        yield kind, data[start:end]


def _next(elements: Iterator[tuple[int, memoryview]]) -> tuple[int, memoryview]:
    element = next(elements, None)
    if element is None:
        raise ValueError("parts of an array are missing")
    return element


def _numbers(element: tuple[int, memoryview], order: str) -> np.ndarray:
    kind, payload = element
    _require(kind in STORED, f"numbers of the unknown type {kind}")
    return np.frombuffer(payload, dtype=order + STORED[kind])


def _variable(payload: memoryview, order: str) -> _Variable | None:
    """A variable of numbers; None of text, cells, structures, functions and objects."""
    parts = _elements(payload, order)
    flags = _numbers(_next(parts), order)
    _require(flags.size == 2 and flags.dtype.kind == "u", "no flags of an array")
    kind = int(flags[0]) & 0xFF
    if kind not in CLASSES:
        return None
    shape = tuple(int(side) for side in _numbers(_next(parts), order))
    _require(len(shape) >= 2 and min(shape) >= 0, f"the shape {shape}")
    name = bytes(_next(parts)[1]).decode("ascii")
    if not name:  # the workspace of functions
        return None
    rest = list(parts)

    def array() -> np.ndarray:
        _require(not flags[0] & COMPLEX, "its matrix is complex, and outside the theory")
        _require(len(rest) == (3 if kind == SPARSE else 1), "parts of an array are missing")
        logical = bool(flags[0] & LOGICAL)
        if kind == SPARSE:
            places = _places(shape, _numbers(rest[0], order), _numbers(rest[1], order))
            stored = rest[2]
            if logical and len(stored[1]) < 8 * len(places[0]):
                stored = (BYTES, stored[1])  # MATLAB announces doubles there, and writes bytes
            return _filled(shape, *places, _cast(_numbers(stored, order), "?" if logical else "f8"))
        values = _cast(_numbers(rest[0], order), "?" if logical else CLASSES[kind])
        _require(values.size == math.prod(shape), f"{values.size} numbers of the shape {shape}")
        return values.reshape(shape, order="F")

    return _Variable(name, shape, array)


def _cast(values: np.ndarray, dtype: str) -> np.ndarray:
    """The values in the type of their class, which holds each of them."""
    with np.errstate(all="ignore"):
        cast = values.astype(dtype)
    same = (cast == values) | ((cast != cast) & (values != values))
    _require(bool(same.all()), f"numbers that are none of the type {cast.dtype}")
    return cast


def _places(
    shape: tuple[int, ...], rows: np.ndarray, ends: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The places of the entries that are stored column by column; ``ends`` counts them."""
    _require(len(shape) == 2 and ends.size == shape[1] + 1, "not as many columns as announced")
    counts = np.diff(ends.astype(np.int64))
    _require(ends[0] == 0 and bool((counts >= 0).all()), "columns that end before they begin")
    _require(int(ends[-1]) <= rows.size, "fewer entries than announced")
    return rows[: int(ends[-1])], np.repeat(np.arange(shape[1]), counts)


def _filled(
    shape: tuple[int, ...], rows: np.ndarray, columns: np.ndarray, values: np.ndarray
) -> np.ndarray:
    """The matrix with these entries; there may be room for more of them, as MATLAB leaves it."""
    _require(values.size >= rows.size, "fewer numbers than entries")
    inside = (rows >= 0) & (rows < shape[0]) & (columns >= 0) & (columns < shape[1])
    _require(bool(inside.all()), f"an entry outside the shape {shape}")
    places = rows.astype(np.int64) * shape[1] + columns.astype(np.int64)
    _require(np.unique(places).size == places.size, "two entries at one place")
    filled = np.zeros(shape, dtype=values.dtype)
    filled.flat[places] = values[: rows.size]
    return filled


# --- version 4 -------------------------------------------------------------------------------


def _variables_4(content: bytes) -> Iterator[_Variable]:
    at = 0
    while at < len(content):
        order = "<" if struct.unpack_from("<i", content, at)[0] in range(100) else ">"
        code, rows, columns, imaginary, length = struct.unpack_from(order + "5i", content, at)
        byte_order, _, stored, kind = (code // 10**k % 10 for k in (3, 2, 1, 0))
        _require(
            0 <= code < 2000 and byte_order == (order == ">") and stored < len(STORED_4),
            f"not a matrix of version 4, nor the header of version 5 (type {code})",
        )
        _require(min(rows, columns, length) >= 0 and kind < 3, "a negative size")
        dtype = np.dtype(order + STORED_4[stored])
        start = at + 20 + length
        at = start + dtype.itemsize * rows * columns * (2 if imaginary else 1)
        _require(at <= len(content), "a matrix ends after the file")
        name = content[start - length : start].rstrip(b"\0").decode("ascii")
        if kind != 1:  # of text
            numbers = np.frombuffer(content, dtype, rows * columns, start)
            table = numbers.reshape((rows, columns), order="F")
            yield _variable_4(name, table, sparse=kind == 2, imaginary=imaginary != 0)


def _variable_4(name: str, table: np.ndarray, *, sparse: bool, imaginary: bool) -> _Variable:
    """A matrix; or a table with row, column, value of each entry, and the shape in its last row."""
    shape = table.shape
    if sparse:
        _require(shape[0] > 0 and shape[1] in {3, 4}, "no table of the entries of a sparse matrix")
        sides = table[-1, :2]
        _require(bool(((sides >= 0) & (sides < 2**31)).all()), "a sparse matrix without a shape")
        shape = tuple(int(side) for side in sides)

    def array() -> np.ndarray:
        _require(
            not imaginary and not (sparse and table.shape[1] == 4),
            "its matrix is complex, and outside the theory",
        )
        if not sparse:
            return table
        places = _cast(table[:-1, :2], "i8") - 1
        return _filled(shape, places[:, 0], places[:, 1], table[:-1, 2])

    return _Variable(name, shape, array)
