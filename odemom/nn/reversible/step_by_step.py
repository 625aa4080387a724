"""The exactly reversible momentum step on one page, to be read beside the papers.

A layer is v' = gamma v + (1 - gamma) f(x), x' = x + v' (Sander et al. 2021, eq. 4). Three ideas
make it exact (Maclaurin, Duvenaud and Adams 2015, section 2; docs/mathematics/reversible.md).

1. *Fixed point.* x and v are integers, in units of 2^-bits. Sums are exact, so x = x' - v' undoes
   x' = x + v', and what f(x) rounds to is added to v and subtracted again as the same integer.
2. *Rational gamma = n/d.* With v = q d + r, 0 <= r < d, the product gamma v is q n plus an s < n
   that stands for gamma r. It takes d values of r to n values of s: it forgets log2(d/n) bits.
3. *The information buffer.* It keeps them, as the digits of one integer b < M per element, M being
   its radix. The pair (r, b) is one number J = r M + b < d M; read with the radix M' = ceil(d M/n),
   J = s M' + b', it is the pair (s, b') with s < n. Back, J = s M' + b' = r M + b gives (r, b).
   M grows by d/n per layer. When d M would pass 2^62, the low 32 bits of b spill to a list.

`MomentumState` computes them with fused kernels, in units chosen by sample, and checks functions.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction

import torch
from torch import Tensor

from odemom.checks import expect, shown
from odemom.errors import FixedPointRangeError

__all__ = ["StepByStep"]


class StepByStep:
    """Position x, velocity v and buffer b of a momentum network, moved layer by layer.

    Parameters
    ----------
    x, v : Tensor of float32 or float64, same shape
        They are rounded to multiples of 2^-bits.
    gamma : Fraction
        n/d in (0, 1], d <= 2^24.
    bits : int
        Binary places.

    Raises
    ------
    InvalidInputError
        If gamma is none of these.
    FixedPointRangeError
        If an entry leaves the range of 2^(62 - bits).

    Examples
    --------
    >>> x, v = torch.tensor([0.5, -0.25]), torch.zeros(2)
    >>> net = StepByStep(x, v, Fraction(9, 10))
    >>> for n in range(100):
    ...     net.forward(torch.sin(n * net.position()))
    >>> for n in reversed(range(100)):
    ...     net.inverse(lambda x: torch.sin(n * x))
    >>> torch.equal(net.position(), x), torch.equal(net.velocity(), v), net.spilled
    (True, True, [])
    """

    def __init__(self, x: Tensor, v: Tensor, gamma: Fraction, bits: int = 43) -> None:
        fits = isinstance(gamma, Fraction) and 0 < gamma <= 1 and gamma.denominator <= 2**24
        expect(fits, "gamma", got=shown(gamma), expected="a Fraction n/d in (0, 1], d <= 2^24")
        self.n, self.d = gamma.numerator, gamma.denominator
        self.weight, self.unit, self.dtype = float(1 - gamma), 2.0**-bits, x.dtype
        self.x, self.v = self._units(x), self._units(v)
        self.b, self.radix = torch.zeros_like(self.x), 16 * self.d
        self.spilled: list[Tensor] = []
        self.radices: list[int] = []  # M before each layer, to find it on the way back

    def position(self) -> Tensor:
        """The position x as floats: what the next function sees."""
        return self.x.to(self.dtype) * self.unit

    def velocity(self) -> Tensor:
        """The velocity v as floats."""
        return self.v.to(self.dtype) * self.unit

    def forward(self, f: Tensor) -> None:
        """One layer: v' = gamma v + (1 - gamma) f, x' = x + v'."""
        self.radices.append(self.radix)
        if self.d * self.radix > 2**62:
            self.spilled.append(self.b % 2**32)
            self.b, self.radix = self.b // 2**32, -(-self.radix // 2**32)
        before, after = self.radix, -(-self.d * self.radix // self.n)  # M and M'
        q, r = self.v // self.d, self.v % self.d
        joint = r * before + self.b
        s, self.b, self.radix = joint // after, joint % after, after
        self.v = q * self.n + s + self._units(f.double() * self.weight)
        self._check(self.v)
        self.x = self.x + self.v
        self._check(self.x)

    def inverse(self, function: Callable[[Tensor], Tensor]) -> None:
        """The same layer undone, with the function that gave f."""
        self.x = self.x - self.v
        v = self.v - self._units(function(self.position()).double() * self.weight)
        radix = self.radices.pop()
        spills = self.d * radix > 2**62
        before, after = -(-radix // 2**32) if spills else radix, self.radix
        q, s = v // self.n, v % self.n
        joint = s * after + self.b
        r, self.b, self.radix = joint // before, joint % before, radix
        self.v = q * self.d + r
        if spills:
            self.b = self.b * 2**32 + self.spilled.pop()

    def _units(self, real: Tensor) -> Tensor:
        units = torch.round(real.double() / self.unit)
        self._check(units)
        return units.to(torch.int64)

    def _check(self, units: Tensor) -> None:
        if not bool((units.abs() < 2**62).all()):  # so sums do not wrap; nan is refused, too
            raise FixedPointRangeError(
                f"a value left the range: expected magnitudes below {2**62 * self.unit:.6g}; "
                "take fewer bits, or scale the input or the functions down."
            )
