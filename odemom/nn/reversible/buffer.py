"""The information buffer: what a multiplication by gamma < 1 would forget.

A layer maps v = q d + r (0 <= r < d) to about gamma v = n v / d, which merges d values into n. The
pair (r, b) of the remainder and the buffer's content b < M takes d M values; J = r M + b is split
anew into s = J // M' < n and b' = J mod M' < M', with M' = ceil(d M / n), and v' = q n + s. The
buffer's *radix* M, the number of values it may hold, is the same for every element, depends on no
data and is known before the pass: M grows by the factor 1/gamma, log2(1/gamma) bits, per layer.

This departs from Maclaurin, Duvenaud and Adams (2015) in the order of the digits. They push r as
the *low* digit of the buffer and pop s from there, so s is unrelated to r and each layer adds a
noise of n units. Here r is the *high* digit of J, so s = floor((r + b/M) n/d (1 - O(1/M))) follows
gamma r: the noise is about one unit of the fixed point whatever the denominator d is. With the
radix starting at 16 d, the rounding up in M' costs less than a sixteenth of a unit, and log2(16 d)
bits once.
"""

from __future__ import annotations

import math
from fractions import Fraction

import torch
from torch import Tensor

__all__ = ["InformationBuffer", "radices", "spilled_words"]

JOINT_CAPACITY = 2**62
"""Bound of d M, so that J and its quotients stay inside signed 64-bit integers."""

SPILL_BITS = 32

NARROW = (torch.int16, torch.int32)
"""Types that hold a content of few bits, the smallest first."""

FIRST_RADIX_PER_DENOMINATOR = 16


def radices(gamma: Fraction, radix: int) -> tuple[bool, int, int]:
    """Whether the buffer spills before the next layer, and its radix before and after that layer.

    Parameters
    ----------
    gamma : Fraction
    radix : int
        The current radix.

    Examples
    --------
    >>> radices(Fraction(9, 10), 180)
    (False, 180, 200)
    """
    spill = gamma.denominator * radix > JOINT_CAPACITY
    if spill:
        radix = ((radix - 1) >> SPILL_BITS) + 1
    return spill, radix, -(-gamma.denominator * radix // gamma.numerator)


def first_radix(gamma: Fraction) -> int:
    """The radix of an empty buffer (see the module's text)."""
    return FIRST_RADIX_PER_DENOMINATOR * gamma.denominator


def spilled_words(gamma: Fraction, depth: int) -> int:
    """How many 32-bit words have been spilled per element after ``depth`` layers."""
    if gamma == 1:
        return 0
    radix, words = first_radix(gamma), 0
    for _ in range(depth):
        spill, _, radix = radices(gamma, radix)
        words += spill
    return words


class InformationBuffer:
    """One word per element, of 64 bits or as few as hold it, and the 32-bit words spilled from it.

    Parameters
    ----------
    gamma : Fraction
        Smaller than 1.
    size : int
        Number of elements.
    device : torch.device
    keep : bool
        Whether spilled words are kept. Without them the layers cannot be undone, but the forward
        pass has the same bits.

    Attributes
    ----------
    word : Tensor, shape (size,)
        Current content, in [0, radix), to be changed in place: int64, or as `hold_narrow` says.
    radix : int
    spilled : list of Tensor of int32, shape (size,)
    """

    def __init__(self, gamma: Fraction, size: int, device: torch.device, *, keep: bool) -> None:
        self.gamma = gamma
        self.keep = keep
        self.word = torch.zeros(size, dtype=torch.int64, device=device)
        self._narrow = False
        self.radix = first_radix(gamma)
        self.spilled: list[Tensor] = []
        self._history: list[tuple[bool, int]] = []

    def hold_narrow(self) -> None:
        """Hold the content in the smallest type that the radix allows, from now on.

        It takes less memory, and less of it is moved a layer.
        """
        self._narrow = True
        self._fit()

    def _fit(self) -> None:
        fits = (dtype for dtype in NARROW if self.radix <= torch.iinfo(dtype).max)
        dtype = next(fits, torch.int64) if self._narrow else torch.int64
        if self.word.dtype != dtype:
            self.word = self.word.to(dtype)

    def grow(self) -> tuple[int, int]:
        """Make room for one layer; the radices before and after it."""
        spill, before, after = radices(self.gamma, self.radix)
        self._history.append((spill, self.radix))
        if spill:
            self._spill()
        self.radix = after
        self._fit()
        return before, after

    def shrink(self) -> tuple[int, int]:
        """The radices before and after the layer that is about to be undone."""
        _, before, after = radices(self.gamma, self._history[-1][1])
        return before, after

    def undo_grow(self) -> None:
        """Take the last spilled word back, if the layer just undone had spilled one."""
        spill, self.radix = self._history.pop()
        self._fit()
        if spill:
            low = self.spilled.pop().to(torch.int64).add_(1 << (SPILL_BITS - 1))
            self.word.bitwise_left_shift_(SPILL_BITS).bitwise_or_(low)

    def _spill(self) -> None:
        if self.keep:
            low = self.word.bitwise_and((1 << SPILL_BITS) - 1)
            self.spilled.append(low.sub_(1 << (SPILL_BITS - 1)).to(torch.int32))
        self.word.bitwise_right_shift_(SPILL_BITS)

    @property
    def nbytes(self) -> int:
        """Bytes held now."""
        return self.word.nbytes + sum(word.nbytes for word in self.spilled)

    @property
    def bits(self) -> float:
        """Information held, in bits per element."""
        return math.log2(self.radix) + SPILL_BITS * len(self.spilled)

    def clone(self) -> InformationBuffer:
        """A buffer that can be moved without moving this one."""
        twin = object.__new__(InformationBuffer)
        twin.__dict__ = dict(self.__dict__)
        twin.word = self.word.clone()
        twin.spilled = list(self.spilled)
        twin._history = list(self._history)
        return twin
