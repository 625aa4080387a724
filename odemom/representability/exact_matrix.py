"""Exact matrices: which input counts as exact, and its form for exact arithmetic."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from odemom.checks import (
    as_array,
    as_float_matrices,
    as_fraction,
    expect,
    is_exact_number,
    refuse_all_but_numbers,
    require_finite,
    require_square,
    shown,
)
from odemom.representability.blocks import Blocks

if TYPE_CHECKING:
    import flint

__all__ = ["ExactMatrix", "read_matrices"]

MAX_BITS = 1 << 32  # 512 MiB
EXPECTED = "a real square matrix (d, d)"


@dataclass(frozen=True)
class ExactMatrix:
    """The rational matrix ``numerator / denominator``.

    Attributes
    ----------
    numerator : flint.fmpz_mat, shape (d, d)
    denominator : int
        Positive.
    """

    numerator: flint.fmpz_mat
    denominator: int

    def __reduce__(self) -> tuple[Any, ...]:
        rows = [[int(x) for x in row] for row in self.numerator.tolist()]
        return _restored, (rows, self.denominator)

    @property
    def dimension(self) -> int:
        """The number of rows."""
        return self.numerator.nrows()

    @cached_property
    def blocks(self) -> Blocks:
        """The strongly connected components of the numerator."""
        return Blocks(self.numerator)

    @classmethod
    def from_entries(cls, rows: list[list[Any]], max_bits: int | None = None) -> ExactMatrix:
        """From ints, Fractions or finite floats, which are read as dyadic rationals.

        The characteristic polynomial has d coefficients of at most about d times the bits of an
        entry, over the common denominator; beyond ``max_bits`` in all, the matrix is refused.
        """
        import flint

        budget = _per_entry(len(rows), as_max_bits(max_bits))
        if all(type(entry) is int for row in rows for entry in row):
            for row in rows:
                _require_bits(max(map(abs, row)).bit_length(), budget)
            return cls(flint.fmpz_mat(rows), 1)
        fractions = [[as_fraction(entry) for entry in row] for row in rows]
        denominator = 1
        for row in fractions:
            denominator = math.lcm(denominator, *(entry.denominator for entry in row))
            _require_bits(denominator.bit_length(), budget)
        scaled = [[int(entry * denominator) for entry in row] for row in fractions]
        for row in scaled:
            _require_bits(max(map(abs, row)).bit_length(), budget)
        return cls(flint.fmpz_mat(scaled), denominator)

    def rows(self) -> list[list[Fraction]]:
        """The entries."""
        known: dict[int, Fraction] = {}  # mostly zeros and small integers, in a large matrix

        def entry(numerator: int) -> Fraction:
            if numerator not in known:
                known[numerator] = Fraction(numerator, self.denominator)
            return known[numerator]

        return [[entry(x) for x in map(int, row)] for row in self.numerator.tolist()]


def _restored(rows: list[list[int]], denominator: int) -> ExactMatrix:
    import flint

    return ExactMatrix(flint.fmpz_mat(rows), denominator)


def as_max_bits(max_bits: Any) -> int:
    """A budget in bits; `MAX_BITS` by default."""
    if max_bits is None:
        return MAX_BITS
    fits = isinstance(max_bits, int | np.integer) and not isinstance(max_bits, bool)
    expect(
        fits and 0 < max_bits < 2**63,
        "max_bits",
        got=shown(max_bits),
        expected="an integer from 1 to 2^63 - 1",
    )
    return int(max_bits)


def _per_entry(d: int, max_bits: int) -> int:
    return max_bits // (d * d)


def _require_bits(bits: int, budget: int) -> None:
    expect(
        bits <= budget,
        "D",
        got=f"entries of {bits} bits over the common denominator",
        expected=f"at most {budget} bits for a matrix of this size",
        fix="Raise max_bits if the memory is there, scale D, or pass exact=False.",
    )


def read_matrices(
    value: Any, exact: bool | None, name: str = "D", *, stacks: bool = True
) -> np.ndarray:
    """A matrix or a stack of them: float64, or objects where exact arithmetic is to decide.

    Parameters
    ----------
    value : array_like, shape (..., d, d)
    exact : bool or None
        None: exact if and only if every entry is an exact number. True: floats are read as the
        dyadic rationals that they are. False: everything is rounded to double precision.
    name : str
        The argument's name, for the message.
    stacks : bool
        Whether leading axes are allowed.

    Returns
    -------
    ndarray of float64, or of object or integers (exact numbers, or floats to be read exactly)

    Raises
    ------
    InvalidInputError
    """
    expect(
        exact is None or isinstance(exact, bool | np.bool_),
        "exact",
        got=shown(exact),
        expected="None, True or False",
    )
    array = as_array(value, name, EXPECTED, entries=bool(exact))
    if exact is False or (exact is None and array.dtype.kind == "f"):
        return as_float_matrices(array, name, stacks=stacks)
    if array.dtype.kind in "iub":
        require_square(array.shape, name, stacks=stacks)
        return array
    if array.dtype.kind == "f":
        require_square(array.shape, name, stacks=stacks)
        require_finite(array, name)
        return array.astype(object) if array.dtype.itemsize <= 8 else _objects(array)
    if array.dtype.kind == "O" and (exact or any(isinstance(x, float) for x in array.flat)):
        refuse_all_but_numbers(array, name, floats=bool(exact))
        require_square(array.shape, name, stacks=stacks)
        return array
    if array.dtype.kind == "O" and all(is_exact_number(x) for x in array.flat):
        require_square(array.shape, name, stacks=stacks)
        return array
    return as_float_matrices(array, name, stacks=stacks)  # refuses the rest by name


def _objects(array: np.ndarray) -> np.ndarray:
    """An object array of the entries themselves: tolist would round long doubles."""
    objects = np.empty(array.shape, dtype=object)
    for where in np.ndindex(array.shape):
        objects[where] = array[where]
    return objects


def matrices_of(array: np.ndarray) -> Iterator[tuple[tuple[int, ...], np.ndarray]]:
    """The matrices of a stack, each with its index."""
    for where in np.ndindex(array.shape[:-2]):
        yield where, array[where]
