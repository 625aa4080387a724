"""Equality and hash of results that hold arrays: by value, as of all other results."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

__all__ = ["ByValue"]


class ByValue:
    """A base of frozen dataclasses that hold arrays: ``@dataclass(frozen=True, eq=False)``.

    Two are equal if they have one type and equal fields: arrays of the same dtype, shape and
    entries, numbers that are equal or both nan, tuples of such. Fields with ``compare=False`` do
    not count. The hash agrees with that, as long as no array is changed in place.

    Examples
    --------
    >>> import copy, odemom
    >>> near = odemom.nearest_representable([[-2, 0], [0, 1]], "1/2")
    >>> near == copy.deepcopy(near), hash(near) == hash(copy.deepcopy(near))
    (True, True)
    """

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        pairs = zip(_compared(self), _compared(other), strict=True)
        return all(_are_equal(one, two) for one, two in pairs)

    def __hash__(self) -> int:
        return hash((type(self), *map(_key, _compared(self))))


def _compared(result: Any) -> list[Any]:
    """The values of the fields that count."""
    own: DataclassInstance = result
    return [getattr(own, f.name) for f in fields(own) if f.compare]


def _are_equal(one: Any, two: Any) -> bool:
    if isinstance(one, np.ndarray) and isinstance(two, np.ndarray):
        nan = one.dtype.kind in "fc"
        return one.dtype == two.dtype and np.array_equal(one, two, equal_nan=nan)
    if isinstance(one, tuple) and isinstance(two, tuple):
        return len(one) == len(two) and all(map(_are_equal, one, two))
    if isinstance(one, np.ndarray) or isinstance(two, np.ndarray):
        return False
    return bool(one == two) or (_is_nan(one) and _is_nan(two))


def _key(value: Any) -> Any:
    """What equal values have in common, and can be hashed; a nan as text, -0.0 as 0.0."""
    if isinstance(value, np.ndarray):
        return value.dtype.str, value.shape, tuple(map(_key, value.ravel().tolist()))
    if isinstance(value, tuple):
        return tuple(map(_key, value))
    return "nan" if _is_nan(value) else value


def _is_nan(value: Any) -> bool:
    return isinstance(value, float) and value != value
