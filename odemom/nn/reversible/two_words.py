"""Numbers of two words: a first one of 64 bits and 64 more binary places behind it.

A number is hi + lo 2^-64 in units of the first word, ``hi`` signed, ``lo`` the bits of an unsigned
integer; a tensor of such numbers is one of int64 with both words along axis 0. Sums carry. A
product with a fraction n/d goes digit by digit in base 2^32, from the top down for the quotient
and from the bottom up for the product, as by hand: with d <= 2^24 no digit's remainder times 2^32
leaves a word.
"""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["add", "divide", "join", "multiply", "negate_", "split", "subtract"]

DIGIT = 32
LOW = (1 << DIGIT) - 1
BASE = float(1 << DIGIT)

Digits = tuple[Tensor, Tensor, Tensor]
"""High (signed), middle and low: high 2^64 + middle 2^32 + low, the last two in [0, 2^32)."""


def split(real: Tensor) -> Tensor:
    """The words of the multiples of 2^-64 nearest to ``real`` (float64, below 2^62 in size)."""
    real = (real * BASE**2).round_().div_(BASE**2)
    high = real.trunc()
    rest = (real - high) * BASE  # exact, and so is all that follows: of the sign of `real`
    middle = rest.trunc()
    low = ((rest - middle) * BASE).to(torch.int64)
    lo = (middle.to(torch.int64) << DIGIT) + low
    return torch.stack((high.to(torch.int64) - (rest < 0).to(torch.int64), lo))


def join(number: Tensor) -> Tensor:
    """The numbers as float64, in units of the first word."""
    hi, lo = number
    # The lower word as a signed one, so that numbers around zero do not cancel.
    return (hi + (lo < 0)).to(torch.float64) + lo.to(torch.float64) / BASE**2


def digits(number: Tensor) -> Digits:
    """The digits of the numbers."""
    hi, lo = number
    return hi, (lo >> DIGIT) & LOW, lo & LOW


def _carried(high: Tensor, middle: Tensor, low: Tensor) -> Tensor:
    """The number of digits that have outgrown [0, 2^32)."""
    middle = middle + (low >> DIGIT)
    return torch.stack((high + (middle >> DIGIT), (middle << DIGIT) + (low & LOW)))


def add(a: Tensor, b: Tensor) -> Tensor:
    """The sums a + b."""
    high, middle, low = (s + t for s, t in zip(digits(a), digits(b), strict=True))
    return _carried(high, middle, low)


def subtract(a: Tensor, b: Tensor) -> Tensor:
    """The differences a - b."""
    high, middle, low = (s - t for s, t in zip(digits(a), digits(b), strict=True))
    return _carried(high, middle, low)


def negate_(number: Tensor) -> Tensor:
    """-a, in place; of one word too."""
    number.neg_()
    if number.dim() == 2:
        number[0] -= (number[1] != 0).to(number.dtype)
    return number


def divide(number: Tensor, m: int) -> tuple[Digits, Tensor]:
    """Quotient and remainder in [0, m), in units of 2^-64; m <= 2^24."""
    high, middle, low = digits(number)
    q_high = torch.div(high, m, rounding_mode="floor")
    rest = ((high - q_high * m) << DIGIT) + middle
    q_middle = torch.div(rest, m, rounding_mode="floor")
    rest = ((rest - q_middle * m) << DIGIT) + low
    q_low = torch.div(rest, m, rounding_mode="floor")
    return (q_high, q_middle, q_low), rest - q_low * m


def multiply(quotient: Digits, m: int, rest: Tensor) -> Tensor:
    """The quotient times m, and ``rest`` added to its last place: what `divide` undoes."""
    high, middle, low = quotient
    return _carried(high * m, middle * m, low * m + rest)
