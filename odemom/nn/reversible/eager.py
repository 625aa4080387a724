"""The integer work of one momentum layer in PyTorch operations, for any device.

`native` (C) and `triton_kernels` (CUDA) do the same in one pass, bit for bit.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from odemom.nn.reversible import two_words

__all__ = [
    "LayerConstants",
    "advance",
    "carried",
    "expose",
    "flat",
    "force",
    "retreat",
    "summed",
]

CPU_CHUNK = 1 << 16
"""Elements at once on the CPU, so that temporaries stay in its cache."""

LARGEST_INCREMENT = float(2**61)
"""In units. It leaves room for sums: |v| < 2^62 and |w| <= 2^61 cannot wrap a 64-bit integer."""

LOST = 9.0e18
"""Stands for an increment outside the range; larger than any value inside it."""

LEAST_PEAK = 2**51
"""Stands for all smaller magnitudes, none of which is near the end of the range."""


class LayerConstants(NamedTuple):
    """What one layer needs besides its tensors.

    Attributes
    ----------
    n, d : int
        gamma = n/d.
    before, after : int
        Radices of the information buffer before and after the layer; unused when n = d.
    scale : float
        What multiplies f, such as 1 - gamma, over the unit of the fixed point.
    unit : float
        A power of two.
    scales, units : Tensor of float64, shape (samples,), or None
        Scale and unit in each of as many equal parts of the entries; None: the same in all.
    """

    n: int
    d: int
    before: int
    after: int
    scale: float
    unit: float
    scales: Tensor | None = None
    units: Tensor | None = None


def flat(x: Tensor) -> Tensor:
    """The entries of a dense tensor as they lie in memory, along one axis."""
    return x.as_strided((x.numel(),), (1,))


def _at(values: float | Tensor, piece: slice, size: int) -> float | Tensor:
    """The values of the samples that the entries of ``piece`` belong to, of ``size`` in all."""
    if not isinstance(values, Tensor):
        return values
    entries = torch.arange(piece.start, piece.stop, device=values.device)
    return values[entries // (size // len(values))]


class _Scratch:
    """Memory for the temporaries of one piece, allocated once per call."""

    def __init__(self, size: int, device: torch.device) -> None:
        self.step = min(size, CPU_CHUNK) if device.type == "cpu" else size
        self.size = size
        self.integers = torch.empty(3, self.step, dtype=torch.int64, device=device)
        self.reals = torch.empty(2, self.step, dtype=torch.float64, device=device)
        self.flags = torch.empty(self.step, dtype=torch.bool, device=device)

    def pieces(self) -> Iterator[tuple[slice, slice]]:
        """Where the pieces are, and the part of the scratch that each needs."""
        for first in range(0, self.size, max(self.step, 1)):
            last = min(first + self.step, self.size)
            yield slice(first, last), slice(0, last - first)

    def increment(self, f: Tensor, scale: float | Tensor, part: slice) -> Tensor:
        """(1 - gamma) f in units, and `LOST` where it is not finite or does not fit."""
        real, size, misfit = self.reals[0, part], self.reals[1, part], self.flags[part]
        torch.abs(real.copy_(f).mul_(scale).round_(), out=size)
        torch.le(size, LARGEST_INCREMENT, out=misfit).logical_not_()  # true for nan
        return self.integers[0, part].copy_(real.masked_fill_(misfit, LOST))

    def weighted_sum(self, v: Tensor, first: int, part: slice) -> Tensor:
        """The sum of v_j (2j + 1), j counted from ``first``."""
        weight = self.integers[1, part]
        torch.arange(
            2 * first + 1, 2 * (first + v.numel()) + 1, 2, out=weight, device=weight.device
        )
        return weight.mul_(v).sum()


def advance(
    x: Tensor, v: Tensor, word: Tensor | None, f: Tensor, out: Tensor, c: LayerConstants,
    less: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """A layer forward in place: v <- gamma v + (1 - gamma) f, x <- x + v; x as floats into ``out``.

    Parameters
    ----------
    x, v : Tensor of int64, shape (size,), or (2, size) for numbers of two words
    word : Tensor of int16, int32 or int64, shape (size,), or None when gamma = 1
    f, out : Tensor of float32 or float64, with ``size`` entries
        Of any shape, dense; entries are counted as they lie in memory, alike in both.
    c : LayerConstants
    less : Tensor as f, optional
        Taken off f.

    Returns
    -------
    Tensor of int64, shape (2,)
        The checksum of v before the layer (the sum of v_j (2j + 1) modulo 2^64), and the largest
        magnitude of increments and of the state after it (9e18 if an increment did not fit), or
        `LEAST_PEAK` if that is larger. Of numbers of two words, v_j is three times the first plus
        the second, and the magnitude that of the first.
    """
    f = flat(f) if less is None else flat(f) - flat(less)
    out = flat(out)
    if x.dim() == 2:
        return _advance_two_words(x, v, word, f, out, c)
    scale, unit = _per_sample(c)
    checksum = torch.zeros((), dtype=torch.int64, device=x.device)
    peak = torch.full((), LEAST_PEAK, dtype=torch.int64, device=x.device)
    scratch = _Scratch(x.numel(), x.device)
    for piece, part in scratch.pieces():
        xs, vs = x[piece], v[piece]
        checksum += scratch.weighted_sum(vs, piece.start, part)
        if word is not None:
            q, s = scratch.integers[1:, part]
            torch.div(vs, c.d, rounding_mode="floor", out=q)
            joint = vs.sub_(q, alpha=c.d).mul_(c.before).add_(word[piece])
            torch.div(joint, c.after, rounding_mode="floor", out=s)
            torch.sub(joint, s, alpha=c.after, out=word[piece])
            torch.add(s, q, alpha=c.n, out=vs)
        w = scratch.increment(f[piece], _at(scale, piece, f.numel()), part)
        vs.add_(w)
        xs.add_(vs)
        out[piece].copy_(xs).mul_(_at(unit, piece, f.numel()))
        for bound in (*torch.aminmax(w), *torch.aminmax(vs), *torch.aminmax(xs)):
            peak = torch.maximum(peak, bound.abs())
    return torch.stack((checksum, peak))


def expose(x: Tensor, v: Tensor, out: Tensor, unit: float | Tensor) -> None:
    """Undo x <- x + v in place, and write x as floats into ``out``; a unit may be per sample."""
    out = flat(out)
    if x.dim() == 2:
        real = two_words.join(x.copy_(two_words.subtract(x, v)))
    else:
        real = x.sub_(v)
    out.copy_(real).mul_(_at(unit, slice(0, out.numel()), out.numel()))


def retreat(
    v: Tensor, word: Tensor | None, f: Tensor, c: LayerConstants, less: Tensor | None = None
) -> Tensor:
    """Undo v <- gamma v + (1 - gamma) f in place, buffer included.

    Returns
    -------
    Tensor of int64, shape (1,)
        The checksum of the velocity recovered.
    """
    f = flat(f) if less is None else flat(f) - flat(less)
    if v.dim() == 2:
        return _retreat_two_words(v, word, f, c)
    scale, _ = _per_sample(c)
    checksum = torch.zeros(1, dtype=torch.int64, device=v.device)
    scratch = _Scratch(v.numel(), v.device)
    for piece, part in scratch.pieces():
        vs = v[piece]
        vs.sub_(scratch.increment(f[piece], _at(scale, piece, f.numel()), part))
        if word is not None:
            q, r = scratch.integers[1:, part]
            torch.div(vs, c.n, rounding_mode="floor", out=q)
            joint = vs.sub_(q, alpha=c.n).mul_(c.after).add_(word[piece])
            torch.div(joint, c.before, rounding_mode="floor", out=r)
            torch.sub(joint, r, alpha=c.before, out=word[piece])
            torch.add(r, q, alpha=c.d, out=vs)
        checksum += scratch.weighted_sum(vs, piece.start, part)
    return checksum


def force(gx: Tensor | None, gh: Tensor | None, weight: float) -> Tensor:
    """The gradient weight (gx + gh) for f, from those for x and v after a layer; None is zero.

    Parameters
    ----------
    gx, gh : Tensor of float32 or float64, same shape, or None, not both None
        They are not changed.
    weight : float
        What multiplies f in the layer, 1 - gamma.

    Returns
    -------
    Tensor of the same shape and dtype

    References
    ----------
    Sander et al. 2021, section 3: the adjoint of the forward rule.
    """
    if gx is not None and gh is not None:
        return torch.add(gx, gh).mul_(weight)
    one = gx if gh is None else gh
    assert one is not None
    return one * weight


def carried(
    gx: Tensor | None,
    gh: Tensor | None,
    through: Tensor | None,
    less: Tensor | None,
    gamma: float,
) -> tuple[Tensor | None, Tensor]:
    """The gradients gx + through - less and gamma (gx + gh) for x and v before a layer.

    Parameters
    ----------
    gx, gh
        As in `force`.
    through : Tensor of the same shape and dtype, or None
        What comes to x through f.
    less : Tensor of the same shape and dtype, or None
        What is taken off again where the function's value holds x itself.
    gamma : float

    Returns
    -------
    gx, gh : Tensor or None, Tensor
    """
    return summed(gx, through, less), force(gx, gh, gamma)


def summed(gx: Tensor | None, through: Tensor | None, less: Tensor | None) -> Tensor | None:
    """The sum gx + through - less, of which None is zero; none of them is changed."""
    if gx is not None and through is not None:
        total = gx + through
        return total if less is None else total.sub_(less)
    one = through if gx is None else gx
    if less is None:
        return one
    return -less if one is None else one - less


# --- two words a number ------------------------------------------------------------------------


def _advance_two_words(
    x: Tensor, v: Tensor, word: Tensor | None, f: Tensor, out: Tensor, c: LayerConstants
) -> Tensor:
    checksum = _checksum_two_words(v)
    if word is not None:
        quotient, r = two_words.divide(v, c.d)
        joint = r.mul_(c.before).add_(word)
        s = torch.div(joint, c.after, rounding_mode="floor")
        torch.sub(joint, s, alpha=c.after, out=word)
        v.copy_(two_words.multiply(quotient, c.n, s))
    w = _increment_two_words(f, c)
    v.copy_(two_words.add(v, w))
    x.copy_(two_words.add(x, v))
    out.copy_(two_words.join(x)).mul_(_at(_per_sample(c)[1], slice(0, f.numel()), f.numel()))
    peak = torch.full_like(checksum, LEAST_PEAK)
    for bound in torch.stack((w[0], v[0], x[0])).aminmax() if f.numel() else ():
        peak = torch.maximum(peak, bound.abs())
    return torch.stack((checksum, peak))


def _retreat_two_words(v: Tensor, word: Tensor | None, f: Tensor, c: LayerConstants) -> Tensor:
    v.copy_(two_words.subtract(v, _increment_two_words(f, c)))
    if word is not None:
        quotient, s = two_words.divide(v, c.n)
        joint = s.mul_(c.after).add_(word)
        r = torch.div(joint, c.before, rounding_mode="floor")
        torch.sub(joint, r, alpha=c.before, out=word)
        v.copy_(two_words.multiply(quotient, c.d, r))
    return _checksum_two_words(v)[None]


def _increment_two_words(f: Tensor, c: LayerConstants) -> Tensor:
    real = f.to(torch.float64) * _at(_per_sample(c)[0], slice(0, f.numel()), f.numel())
    return two_words.split(real.masked_fill_(~(real.abs() <= LARGEST_INCREMENT), LOST))


def _checksum_two_words(v: Tensor) -> Tensor:
    weight = torch.arange(1, 2 * v.shape[1] + 1, 2, device=v.device)
    return weight.mul_(v[0] * 3 + v[1]).sum()


def _per_sample(c: LayerConstants) -> tuple[float | Tensor, float | Tensor]:
    """Scale and unit, one for each sample where these differ."""
    return c.scale if c.scales is None else c.scales, c.unit if c.units is None else c.units
