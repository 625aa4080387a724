"""Fixed point: integers times a power of two, chosen per sample.

Additions are exact, so they can be undone. ``bits`` is the number of binary places: the unit is
2^-bits, the range 2^(62 - bits). Samples, the slices along the first axis, are independent in a
network, so each has a unit of its own: entries of one cost another no digits.

How the unit is chosen (`fit`). The noise of a layer, about a unit (`odemom.nn.reversible.buffer`),
has to stay well below the rounding of the float type, and functions may have values far larger than
x. One word with 43 binary places does that for float32 (unit roundoff 2^-24): samples as small as
2^-15 keep `GUARD` bits more than their own digits, and the range is 5e5. A sample with entries
beyond 16 gets a coarser unit in proportion, for its own rounding is coarser too.

Where 62 bits are not enough, every number has a second word, 64 binary places more (`two_words`):
for float64, always, for float32 if a sample is smaller than that, or if more than one in
`TOLERATED` of its entries would be kept to fewer digits than a float32 has (a time in seconds since
1970 beside ordinary numbers, or samples along another axis). The range stays, so the functions need
not be small where x is.

What is promised. An entry keeps all digits of its type if it is at least 2^-64 (float32) or 2^-58
(float64) in size; beside entries beyond 16, at least 2^-87 or 2^-63 of the largest one of its
sample. Smaller ones are kept to 2^-107 or 2^-112 absolutely, or in proportion to the largest.
Where that would cost digits of ordinary entries, because the largest one is enormous, and where a
whole sample is too small to be kept to its digits, the first layer is not reached:
`FixedPointRangeError`. A chosen resolution is one word with so many binary places in all samples.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from odemom.checks import expect, invalid, shown
from odemom.errors import FixedPointRangeError
from odemom.nn.reversible import capture, shapes, two_words

__all__ = ["FixedPoint", "carrier_dtype", "choose", "fit", "words_for"]

RANGE_BITS = 62
OUT_OF_RANGE = 2**RANGE_BITS
"""Magnitudes below it, in units, are held: two of the 64 bits keep sums from wrapping."""

DEFAULT_BITS = {torch.float32: 43, torch.float64: 48}
"""Of the first word."""

FULL_RESOLUTION_UP_TO = 16.0
SECOND_WORD_BITS = 64
DIGITS = {torch.float32: 24, torch.float64: 53}

GUARD = 4
"""Bits that the largest entry of a sample keeps beyond its own digits."""

TOLERATED = 64
"""One entry in so many may keep fewer digits: some of a million random numbers are near zero."""

ORDINARY = 2.0**-24
"""Entries above it keep their digits, or the input is refused."""

FINEST_BITS = 53
"""Of the first word, for a sample that is smaller still: a range of 512 remains."""


def carrier_dtype(dtype: torch.dtype) -> torch.dtype:
    """The float type in which a state is shown and gradients are carried: float32 for halves."""
    return torch.float64 if dtype == torch.float64 else torch.float32


def words_for(dtype: torch.dtype, resolution: int | None) -> int:
    """Words a number of a state of carrier ``dtype``; small float32 samples may take one more."""
    return 2 if dtype == torch.float64 and resolution is None else 1


@dataclass(frozen=True)
class FixedPoint:
    """The format of a state.

    Attributes
    ----------
    bits : int
        Binary places of the first word, in the sample with the coarsest unit.
    words : int
        1 or 2: the second holds 64 binary places more.
    units : Tensor of float64, shape (samples,), or None
        The first word's unit in each sample; None: 2^-bits in all of them.
    """

    bits: int
    words: int = 1
    units: Tensor | None = None

    @property
    def unit(self) -> float:
        """2^-bits."""
        return math.ldexp(1.0, -self.bits)

    @property
    def reach(self) -> float:
        """2^(62 - bits): magnitudes below it are held, in the sample with the coarsest unit."""
        return math.ldexp(1.0, RANGE_BITS - self.bits)

    def encode(self, x: Tensor) -> Tensor:
        """The nearest multiples of the unit, as int64, same shape and memory order.

        With two words they are stacked along a new first axis.
        """
        real = x.to(torch.float64, copy=True)
        real = real.mul_(1.0 / self.unit) if self.units is None else real.div_(self._like(x))
        return real.round_().to(torch.int64) if self.words == 1 else two_words.split(real)

    def decode(self, x: Tensor, dtype: torch.dtype) -> Tensor:
        """The nearest floats."""
        real = (x if self.words == 1 else two_words.join(x)).to(dtype)
        return real.mul_(self.unit if self.units is None else self._like(real))

    def _like(self, x: Tensor) -> Tensor:
        assert self.units is not None
        return self.units.view(-1, *[1] * (x.dim() - 1))

    def escape(self, where: str, size: float | None) -> FixedPointRangeError:
        """The error for a magnitude ``size`` beyond the range; None: nobody knows which."""
        if size is None:
            return FixedPointRangeError(
                f"{where}: got a value that is not finite, or larger than the fixed point with "
                f"resolution={self.bits} holds. Look at the inputs and weights of the function "
                "there: scale them down, or pass a coarser resolution."
            )
        return self._too_large(where, "a magnitude", size, "holds magnitudes", self.reach)

    def escape_of_increment(self, where: str, size: float) -> FixedPointRangeError:
        """The error for an increment ``size`` that is more than can be added at once."""
        return self._too_large(where, "an increment", size, "adds increments", self.reach / 2)

    def _too_large(
        self, where: str, what: str, size: float, does: str, bound: float
    ) -> FixedPointRangeError:
        if not math.isfinite(size):
            return FixedPointRangeError(
                f"{where}: got a value that is not finite; expected finite activations. "
                "Look at the inputs and weights of the function there."
            )
        needed = RANGE_BITS - math.ceil(math.log2(max(size, 1.0))) - 4
        coarser = min(needed, self.bits - 1)
        way_out = "Scale the input or the functions down"
        if coarser >= 1:
            way_out += f", or pass a coarser resolution, for example resolution={coarser}"
        return FixedPointRangeError(
            f"{where}: got {what} of {size:.6g}; the fixed point with resolution={self.bits} "
            f"{does} below {bound:.6g}. {way_out}."
        )


OR_COARSE = (
    "Scale the input, or pass a resolution, for example resolution=43, which rounds entries to "
    "multiples of 2^-43 and holds magnitudes below 524288."
)


def choose(largest: float, dtype: torch.dtype, resolution: int | None) -> FixedPoint:
    """One word and one unit for tensors whose largest magnitude is ``largest``.

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


def fit(pair: Sequence[Tensor], resolution: int | None) -> FixedPoint:
    """The format of a state that begins with the tensors of ``pair``, of one shape and dtype.

    Parameters
    ----------
    pair : sequence of Tensor of float32 or float64, same shape
    resolution : int or None
        Binary places of one word, in all samples; None chooses (see the module's text).

    Raises
    ------
    InvalidInputError
        If ``resolution`` is no integer in [1, 61].
    FixedPointRangeError
        If an entry is not finite or beyond the range, a whole sample too small, or ordinary entries
        too small beside an enormous one.

    Examples
    --------
    >>> x = torch.tensor([[1.0, 2.0], [1e12, -3e12]])
    >>> fit([x], None).units.log2()
    tensor([-43., -5.], dtype=torch.float64)
    >>> fit([x.double() * 1e-8], None).words
    2
    """
    rows = [t.detach().flatten(1) if t.dim() > 1 else t.detach().reshape(1, -1) for t in pair]
    dtype = rows[0].dtype
    if shapes.are_alone():
        return FixedPoint(choose(0.0, dtype, resolution).bits, words_for(dtype, resolution))
    if rows[0].numel() == 0:
        return choose(0.0, dtype, resolution)
    largest = torch.stack([r.abs().amax(1) for r in rows]).amax(0).double()
    if capture.capturing():
        return _fit_unread(rows, largest, resolution)
    top = largest.max().item()
    if resolution is not None or not math.isfinite(top):
        return choose(top, dtype, resolution)
    bits, needed = _places(largest, dtype)
    words = words_for(dtype, None)
    if words == 1 and bool(_needs_two_words(rows, bits, needed)):
        words = 2
    if words == 2:
        _expect_all_digits(rows, largest, needed, bits)
        bits = torch.maximum(bits, needed - SECOND_WORD_BITS)
    coarsest, finest = torch.stack(torch.aminmax(bits)).tolist()
    return FixedPoint(coarsest, words, _power_of_two(-bits) if finest > coarsest else None)


def _places(largest: Tensor, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Binary places of the first word in each sample, and how many its largest entry needs."""
    # largest <= 2^exponent, the next power of two
    fraction, exponent = torch.frexp(largest)
    exponent = torch.where(largest > 0, exponent - (fraction == 0.5).int(), 0)
    bits = DEFAULT_BITS[dtype] - (exponent - round(math.log2(FULL_RESOLUTION_UP_TO))).clamp(min=0)
    return bits, torch.where(largest > 0, DIGITS[dtype] + GUARD - exponent, 0)


def _needs_two_words(rows: Sequence[Tensor], bits: Tensor, needed: Tensor) -> Tensor:
    """Whether one word would not hold a sample to its digits."""
    return torch.logical_or(bits < needed, _blurred(rows, bits)).any()


def _fit_unread(rows: Sequence[Tensor], largest: Tensor, resolution: int | None) -> FixedPoint:
    """`fit` without a look at the numbers: where it would take other words, replays stop.

    Its bits are those of a sample of ordinary size; what the samples have stands in the units.
    """
    dtype = rows[0].dtype
    if resolution is not None:
        check_resolution(resolution)
        chosen = FixedPoint(int(resolution))
        capture.require((largest < chosen.reach).all())
        return chosen
    bits, needed = _places(largest, dtype)
    words = words_for(dtype, None)
    if words == 1:
        misfit = _needs_two_words(rows, bits, needed)
    else:
        small, dwarfed = _too_coarse(rows, needed, bits)
        misfit = torch.logical_or(small, dwarfed).any()
        bits = torch.maximum(bits, needed - SECOND_WORD_BITS)
    capture.require(largest.isfinite().all() & ~misfit)
    return FixedPoint(DEFAULT_BITS[dtype], words, _power_of_two(-bits))


def _power_of_two(exponent: Tensor) -> Tensor:
    """2^exponent as float64, exactly: its bits. The largest one stands for those beyond."""
    return ((exponent.to(torch.int64).clamp(max=1023) + 1023) << 52).view(torch.float64)


def _blurred(rows: Sequence[Tensor], places: Tensor, above: float = 0.0) -> Tensor:
    """In which samples too many entries beyond ``above`` have digits past the last place."""
    dtype = rows[0].dtype
    edge = _power_of_two(DIGITS[dtype] - places).to(dtype)[:, None]
    sizes = [row.abs() for row in rows]
    blurred = [(size < edge).logical_and_(size > above).sum(1) for size in sizes]
    entries = [row.count_nonzero(1) for row in rows]
    return torch.stack(blurred).sum(0) * TOLERATED > torch.stack(entries).sum(0)


def _expect_all_digits(
    rows: Sequence[Tensor], largest: Tensor, needed: Tensor, bits: Tensor
) -> None:
    """Raise where even two words keep a sample to fewer digits than its floats have."""
    dtype = rows[0].dtype
    if not bool(torch.logical_or(*_at_the_ends(needed, bits, dtype)).any()):
        return
    small, dwarfed = _too_coarse(rows, needed, bits)
    for kind, bad in (("small", small), ("dwarfed", dwarfed)):
        if bool(bad.any()):
            sample = int(bad.nonzero()[0])
            size = f"{largest[sample].item():.6g}"
            digits = DIGITS[dtype]
            got = {
                "small": f"entries of at most {size}",
                "dwarfed": f"a largest entry of {size} beside ordinary ones",
            }[kind]
            raise FixedPointRangeError(
                f"the input: got {got} in sample {sample} (along the first axis), of which the "
                f"fixed point would keep fewer than the {digits} binary digits of its floats. "
                f"{OR_COARSE}{' Here they become 0.' if kind == 'small' else ''}"
            )


def _too_coarse(rows: Sequence[Tensor], needed: Tensor, bits: Tensor) -> tuple[Tensor, Tensor]:
    """Samples too small for two words, and those whose largest entry takes others' digits."""
    small, coarse = _at_the_ends(needed, bits, rows[0].dtype)
    return small, _blurred(rows, bits + SECOND_WORD_BITS, ORDINARY).logical_and_(coarse)


def _at_the_ends(needed: Tensor, bits: Tensor, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Samples too small for two words, and those with a coarser unit than is usual."""
    return needed > FINEST_BITS + SECOND_WORD_BITS, bits < DEFAULT_BITS[dtype]


def check_resolution(resolution: object) -> None:
    """Raise unless ``resolution`` is None or an integer in [1, 61]."""
    if resolution is None:
        return
    expected = "None or an integer number of binary places in [1, 61]"
    if isinstance(resolution, bool) or not isinstance(resolution, int):
        raise invalid("resolution", got=shown(resolution), expected=expected)
    expect(1 <= resolution <= 61, "resolution", got=str(resolution), expected=expected)
