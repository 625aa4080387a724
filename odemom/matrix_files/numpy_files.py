"""NumPy's .npy, and .npz with one matrix in it."""

from __future__ import annotations

import io
import math
import zipfile
from typing import Any

import numpy as np

from odemom.matrix_files.choice import chosen
from odemom.matrix_files.registry import reads
from odemom.matrix_files.source import MOST_BYTES, MOST_ENTRIES, Source

__all__ = ["read_npy", "read_npz"]

MAGIC = b"\x93NUMPY"
HEADERS = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}


@reads(".npy", kind="binary")
def read_npy(source: Source, exact: bool | None) -> Any:
    """The array as it is: `odemom.analyze` reads its floats exactly when asked."""
    del exact  # a .npy file holds no text
    return _array(source, ".npy file")


@reads(".npz", kind="binary")
def read_npz(source: Source, exact: bool | None) -> Any:
    """The only array, the one called matrix or D, or the only square one."""
    del exact
    with source.read_elsewhere(".npz file"), zipfile.ZipFile(io.BytesIO(source.content)) as archive:
        members = {
            info.filename.removesuffix(".npy"): Source(
                f"{source.name}, {info.filename}", _member(source, archive, info)
            )
            for info in archive.infolist()
            if info.filename.endswith(".npy")
        }
        if {"format", "shape", "data"} <= members.keys():
            raise source.unreadable("it holds a sparse matrix of SciPy; save matrix.toarray()")
        shapes = {name: _shape_and_dtype(member)[0] for name, member in members.items()}
    return _array(members[chosen(source, shapes)], ".npy file")


def _member(source: Source, archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> bytes:
    """Its bytes, unless it grows beyond what is read of one file."""
    if sum(other.file_size for other in archive.infolist()) > MOST_BYTES["binary"]:
        raise source.unreadable("what is compressed in it is too large")
    return archive.read(info)


def _shape_and_dtype(source: Source) -> tuple[tuple[int, ...], np.dtype]:
    stream = io.BytesIO(source.content)
    version = np.lib.format.read_magic(stream)
    shape, _, dtype = HEADERS[version](stream)
    return shape, dtype


def _array(source: Source, what: str) -> np.ndarray:
    with source.read_elsewhere(what):
        if not source.content.startswith(MAGIC):
            raise source.unreadable(f"not a complete {what}: it does not begin as one")
        shape, dtype = _shape_and_dtype(source)
        if dtype.hasobject:
            raise source.unreadable(
                "it holds Python objects, which are not loaded from files; save exact numbers as "
                "text"
            )
        if dtype.kind not in "biufc" or dtype.itemsize == 0:
            raise source.error(f"got an array of dtype {dtype}; expected real numbers.")
        # NumPy multiplies them without looking for overflow.
        if any(side < 0 for side in shape) or math.prod(shape) > 8 * MOST_ENTRIES:
            raise source.unreadable(f"not an array that fits: its shape is {shape}")
        stream = io.BytesIO(source.content)
        array = np.lib.format.read_array(stream, allow_pickle=False)
        if stream.read(1):
            raise source.unreadable("there is more in it after its first array")
        return array
