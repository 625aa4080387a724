"""Fixed point: integers times a power of two, chosen per tensor.

Additions are exact, so they can be undone. ``bits`` is the number of binary places: the unit is
2^-bits, the range 2^(62 - bits).

The unit has to put the noise of a layer, about one unit (`odemom.nn.reversible.buffer`), well below
the rounding of the float type: 43 bits for float32 (unit roundoff 2^-24) resolve activations a
thousandth of 1 in size to 2^-33 of them and reach 5e5; 48 bits for float64 reach 1.6e4. A tensor
with entries beyond 16 gets a coarser unit in proportion, for its own rounding is coarser too.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from odemom.checks import expect, invalid, shown
from odemom.errors import FixedPointRangeError

__all__ = ["FixedPoint", "carrier_dtype", "choose"]

RANGE_BITS = 62
OUT_OF_RANGE = 2**RANGE_BITS
"""Magnitudes below it, in units, are held: two of the 64 bits keep sums from wrapping."""

DEFAULT_BITS = {torch.float32: 43, torch.float64: 48}
FULL_RESOLUTION_UP_TO = 16.0


def carrier_dtype(dtype: torch.dtype) -> torch.dtype:
    """The float type in which a state is shown and gradients are carried: float32 for halves."""
    return torch.float64 if dtype == torch.float64 else torch.float32


@dataclass(frozen=True)
class FixedPoint:
    """The format of a state.

    Attributes
    ----------
    bits : int
        Binary places.
    """

    bits: int

    @property
    def unit(self) -> float:
        """2^-bits."""
        return math.ldexp(1.0, -self.bits)

    @property
    def reach(self) -> float:
        """2^(62 - bits): magnitudes below it are held."""
        return math.ldexp(1.0, RANGE_BITS - self.bits)

    def encode(self, x: Tensor) -> Tensor:
        """The nearest multiples of the unit, as int64, same shape and memory order."""
        units = x.to(torch.float64, copy=True).mul_(math.ldexp(1.0, self.bits))
        return units.round_().to(torch.int64)

    def decode(self, x: Tensor, dtype: torch.dtype) -> Tensor:
        """The nearest floats."""
        return x.to(dtype).mul_(self.unit)

    def escape(self, where: str, size: float) -> FixedPointRangeError:
        """The error for a magnitude ``size`` beyond the range."""
        if not math.isfinite(size):
            return FixedPointRangeError(
                f"{where}: got a value that is not finite; expected finite activations. "
                "Look at that layer's inputs and weights."
            )
        needed = max(1, RANGE_BITS - math.ceil(math.log2(max(size, 1.0))) - 4)
        return FixedPointRangeError(
            f"{where}: got a magnitude of {size:.6g}; the fixed point with resolution={self.bits} "
            f"holds magnitudes below {self.reach:.6g}. Scale the input or the functions down, or "
            f"pass a coarser resolution, for example resolution={min(needed, self.bits - 1)}."
        )


def choose(largest: float, dtype: torch.dtype, resolution: int | None) -> FixedPoint:
    """The format for tensors whose largest magnitude is ``largest``.

    Parameters
    ----------
    largest : float
    dtype : torch.dtype
        The carrier, float32 or float64.
    resolution : int or None
        Binary places; None takes the default of the dtype, less the bits by which ``largest``
        exceeds 16.

    Raises
    ------
    InvalidInputError
        If ``resolution`` is no integer in [1, 61].
    FixedPointRangeError
        If ``largest`` is not finite or beyond the range.

    Examples
    --------
    >>> choose(1.0, torch.float32, None).bits, choose(100.0, torch.float32, None).bits
    (43, 40)
    """
    if resolution is None:
        if not math.isfinite(largest):
            raise FixedPoint(DEFAULT_BITS[dtype]).escape("the input", largest)
        excess = math.ceil(math.log2(max(largest / FULL_RESOLUTION_UP_TO, 1.0)))
        return FixedPoint(DEFAULT_BITS[dtype] - excess)
    check_resolution(resolution)
    chosen = FixedPoint(int(resolution))
    if not largest < chosen.reach:
        raise chosen.escape("the input", largest)
    return chosen


def check_resolution(resolution: object) -> None:
    """Raise unless ``resolution`` is None or an integer in [1, 61]."""
    if resolution is None:
        return
    expected = "None or an integer number of binary places in [1, 61]"
    if isinstance(resolution, bool) or not isinstance(resolution, int):
        raise invalid("resolution", got=shown(resolution), expected=expected)
    expect(1 <= resolution <= 61, "resolution", got=str(resolution), expected=expected)
