"""Arrays at the public edge: real, finite, square, and what NumPy would disguise refused."""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from math import isfinite
from typing import Any

import numpy as np
from numpy import vdot

from odemom.checks.foreign import (
    MOST_NESTED,
    plain_entry,
    plain_lists,
    refuse_booleans_beside_numbers,
)
from odemom.checks.messages import counted, expect, invalid, shown
from odemom.checks.numbers import as_fraction, is_exact_number, nearest_double

__all__ = [
    "all_finite",
    "as_array",
    "as_float_array",
    "as_float_matrices",
    "refuse_all_but_numbers",
    "require_finite",
    "require_square",
]


def _refuse_disguised_arrays(value: Any, name: str) -> None:
    """Name the containers that NumPy would turn into something else without a word."""
    if isinstance(value, np.ma.MaskedArray) and np.ma.is_masked(value):
        raise invalid(
            name,
            got="a masked array with masked entries",
            expected="a matrix whose every entry is known",
            fix="Fill the entries first: array.filled(value).",
        )
    sparse = sys.modules.get("scipy.sparse")
    if sparse is not None and sparse.issparse(value):
        raise invalid(
            name,
            got="a SciPy sparse matrix",
            expected="a dense real matrix",
            fix="Pass matrix.toarray().",
        )


def _refuse_dtype(array: np.ndarray, name: str, expected: str) -> None:
    kind = array.dtype.kind
    if kind == "c":
        raise invalid(
            name,
            got=f"a complex array ({array.dtype})",
            expected=expected,
            fix="The theory is about real matrices; pass the real part if the imaginary one is 0.",
        )
    if kind == "O" and array.ndim == 0:
        entry = array.item()
        raise invalid(name, got=f"{shown(entry)} ({type(entry).__name__})", expected=expected)
    if kind == "O":
        where, entry = next(
            ((i, x) for i, x in np.ndenumerate(array) if not is_exact_number(x)), ((), None)
        )
        raise invalid(
            name,
            got=f"an object array with the entry {shown(entry)} ({type(entry).__name__}) at "
            f"{list(where)}",
            expected=expected,
            fix="An object array may hold exact numbers only: int, Fraction, SymPy rational.",
        )
    if kind not in "biuf":
        raise invalid(name, got=f"an array of dtype {array.dtype}", expected=expected)


def as_array(value: Any, name: str, expected: str, *, entries: bool = False) -> np.ndarray:
    """``value`` as an array of any dtype, with ragged and disguised input refused by name.

    Tensors of PyTorch are detached; text within lists and arrays is the number that it spells, and
    numbers of SymPy and mpmath are Python's own. With ``entries`` nested lists become object
    arrays of the very numbers they hold: NumPy would round a large int beside a float.
    """
    _refuse_disguised_arrays(value, name)
    value = plain_lists(value, name, exactly=entries)
    array = _as_any_array(value, name, expected, entries)
    return _without_foreign_entries(array, name, entries)


def _without_foreign_entries(array: np.ndarray, name: str, exactly: bool) -> np.ndarray:
    """The array, with text and numbers of other packages in Python's own numbers."""
    if array.dtype.kind not in "OU" or array.ndim == 0:
        return array
    plain = np.empty(array.shape, dtype=object)
    for where, entry in np.ndenumerate(array):
        plain[where] = plain_entry(entry, name, where, exactly=exactly)
    refuse_booleans_beside_numbers(set(map(type, plain.flat)), name)
    return plain


def _as_any_array(value: Any, name: str, expected: str, entries: bool) -> np.ndarray:
    if isinstance(value, np.ndarray):
        return np.asarray(value)
    try:
        array = np.asarray(value)
        if entries and array.dtype.kind in "iuf" and isinstance(value, list | tuple):
            return np.array(value, dtype=object)
        if array.dtype.kind in "fUS" and isinstance(value, list | tuple):
            # NumPy turns Fractions beside floats into objects, but large ints into floats and
            # numbers beside text into text: look at the entries themselves.
            array = _settle_mixed(np.array(value, dtype=object), array)
        return array
    except (ValueError, TypeError, RuntimeError, OverflowError) as error:
        why = f"{type(value).__name__} that is no rectangular array ({shown(str(error), 200)})"
        raise invalid(name, got=_uneven(value) or why, expected=expected) from None


def _uneven(value: Any, where: tuple[int, ...] = ()) -> str:
    """Where nested lists have another length than those before them; nothing where none has."""
    if not isinstance(value, list | tuple) or len(where) >= MOST_NESTED:
        return ""
    for i, row in enumerate(value):
        deeper = _uneven(row, (*where, i))
        if deeper:
            return deeper
    shapes = list(map(_shape, value))
    other = next((i for i, shape in enumerate(shapes) if shape != shapes[0]), None)
    if other is None:
        return ""
    first, second = _size(shapes[0]), _size(shapes[other])
    return f"rows of different lengths: {first} at {[*where, 0]}, {second} at {[*where, other]}"


def _shape(row: Any) -> tuple[int, ...]:
    """That of nested lists, by the first of each."""
    if isinstance(row, list | tuple):
        return (len(row), *(_shape(row[0]) if row else ()))
    return tuple(getattr(row, "shape", ()))


def _size(shape: tuple[int, ...]) -> str:
    if len(shape) > 1:
        return "rows of shape " + " x ".join(map(str, shape))
    return counted(shape[0], "entry", "entries") if shape else "no row but an entry"


def _settle_mixed(objects: np.ndarray, array: np.ndarray) -> np.ndarray:
    """The objects where all of them are exact numbers, and there are any."""
    if array.dtype.kind == "f" and not all(is_exact_number(x) for x in objects.flat):
        return array
    return objects if objects.size else array


def refuse_all_but_numbers(array: np.ndarray, name: str, *, floats: bool) -> None:
    """Raise unless an object array holds exact numbers only, or ``floats`` that are finite too."""
    for where, entry in np.ndenumerate(array):
        is_float = isinstance(entry, float | np.floating)
        if is_exact_number(entry) or (is_float and floats and math.isfinite(entry)):
            continue
        fix = "exact=True reads finite floats as the rationals that they are."
        raise invalid(
            name,
            got=f"the entry {shown(entry)} ({type(entry).__name__}) at {list(where)} of an object "
            "array",
            expected="exact numbers only: int, Fraction, SymPy rational",
            fix=fix if is_float and not floats else "",
        )


def require_square(shape: Sequence[int], name: str, *, stacks: bool) -> None:
    """Raise unless ``shape`` is that of a non-empty square matrix (or of a stack of them)."""
    one_or_more = len(shape) == 2 or (stacks and len(shape) > 2)
    if one_or_more and shape[-1] == shape[-2] and 0 not in shape:
        return  # the usual case, without the messages of the others
    expected = "a square matrix (d, d)" + (" or a stack of them (..., d, d)" if stacks else "")
    empty = "an empty array" if 0 in shape else "an array"
    expect(len(shape) >= 2, name, got=f"{empty} of shape {shape}", expected=expected)
    if not stacks and len(shape) > 2:
        raise invalid(
            name,
            got=f"an array of shape {shape}",
            expected=expected,
            fix="Loop over the leading axes.",
        )
    rows, columns = shape[-2], shape[-1]
    expect(
        rows == columns,
        name,
        got=f"{counted(rows, 'row')} and {counted(columns, 'column')} (shape {shape})",
        expected=expected,
    )
    expect(0 not in shape, name, got=f"an empty array of shape {shape}", expected=expected)


def all_finite(array: np.ndarray) -> bool:
    """Whether every entry is finite."""
    # A sum of squares, which the largest entries overflow, takes half the time of counting, and
    # counting half that of ``all``.
    if array.flags.c_contiguous and isfinite(vdot(array, array)):
        return True
    return int(np.count_nonzero(np.isfinite(array))) == array.size


def require_finite(array: np.ndarray, name: str) -> None:
    """Raise, naming the first entry, unless every entry of a float array is finite."""
    if not all_finite(array):
        where = tuple(int(i) for i in np.argwhere(~np.isfinite(array))[0])
        raise invalid(
            name,
            got=f"the entry {array[where]} at {list(where)}",
            expected="finite entries",
        )


def as_float_matrices(value: Any, name: str, *, stacks: bool = True) -> np.ndarray:
    """A real matrix, or a stack of them, as float64.

    Parameters
    ----------
    value : array_like, shape (..., d, d)
        Floats, integers, or exact numbers, which are rounded to double precision.
    name : str
        The argument's name, for the message.
    stacks : bool
        Whether leading axes are allowed.

    Returns
    -------
    ndarray of float64, shape (..., d, d)

    Raises
    ------
    InvalidInputError
        If the input is non-square, empty, non-finite, complex, or holds anything but numbers.
    """
    if type(value) is np.ndarray and value.dtype == np.float64:
        # The usual case, without the messages of the others.
        shape = value.shape
        if len(shape) == 2 and shape[0] == shape[1] > 0 and all_finite(value):
            return value
    expected = "a real square matrix (d, d)"
    array = _real_array(value, name, expected)
    require_square(array.shape, name, stacks=stacks)
    return _finite_doubles(array, name)


def as_float_array(value: Any, name: str, expected: str) -> np.ndarray:
    """Finite real numbers as float64, of any shape; exact ones are rounded.

    Raises
    ------
    InvalidInputError
        If there is anything but finite real numbers in ``value``.
    """
    return _finite_doubles(_real_array(value, name, expected), name)


def _real_array(value: Any, name: str, expected: str) -> np.ndarray:
    """Of floats or integers; exact numbers are rounded."""
    array = as_array(value, name, expected)
    if array.dtype.kind == "O" and all(is_exact_number(x) for x in array.flat):
        array = _round_exact(array, name)
    _refuse_dtype(array, name, expected)
    return array


def _finite_doubles(array: np.ndarray, name: str) -> np.ndarray:
    with np.errstate(over="ignore"):  # a long double beyond the range becomes inf: refused below
        doubles = np.asarray(array, dtype=np.float64)
    require_finite(doubles, name)
    if array.dtype.itemsize > doubles.dtype.itemsize:
        for where in np.argwhere((doubles == 0) & (array != 0))[:1].tolist():
            raise invalid(
                name,
                got=f"the entry {shown(array[tuple(where)])} at {where}, of which doubles make 0",
                expected="entries within the doubles, or exact ones",
                fix="Set what rounding has left to 0, or pass rationals.",
            )
    return doubles


def _round_exact(array: np.ndarray, name: str) -> np.ndarray:
    rounded = np.empty(array.shape)
    for where, entry in np.ndenumerate(array):
        rounded[where] = nearest_double(as_fraction(entry))
        if np.isinf(rounded[where]):
            raise invalid(
                name,
                got=f"an exact number beyond the range of doubles at {list(where)}",
                expected="entries that fit a double",
            )
    return rounded
