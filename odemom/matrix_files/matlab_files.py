"""MATLAB's .mat files up to version 7, through SciPy."""

from __future__ import annotations

import io
import math
from typing import Any

from odemom.matrix_files.choice import chosen
from odemom.matrix_files.registry import reads
from odemom.matrix_files.source import Source

__all__ = ["read_mat"]

HDF5 = b"\x89HDF\r\n\x1a\n"
NUMERIC = {
    "double", "single", "logical", "sparse",
    "int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64",
}  # fmt: skip


@reads(".mat", kind="binary")
def read_mat(source: Source, exact: bool | None) -> Any:
    """The only matrix, the one called matrix or D, or the only square one; sparse ones filled."""
    del exact  # a .mat file holds no text
    import scipy.io

    if HDF5 in source.content[:520]:
        raise source.unreadable(
            "a .mat file of version 7.3, which is HDF5; save it with save(..., '-v7')"
        )
    what = ".mat file"
    with source.read_elsewhere(what):
        variables = scipy.io.whosmat(io.BytesIO(source.content))
    shapes = {name: tuple(shape) for name, shape, kind in variables if kind in NUMERIC}
    name = chosen(source, shapes)
    source.require_entries(math.prod(map(int, shapes[name])))
    with source.read_elsewhere(what):
        loaded = scipy.io.loadmat(io.BytesIO(source.content), variable_names=[name])[name]
        if scipy.sparse.issparse(loaded):
            source.require_entries(math.prod(loaded.shape))
            loaded.check_format(full_check=True)  # indices beyond the shape would crash Python
            loaded = loaded.toarray()
        return loaded
