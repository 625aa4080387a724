"""The integer work of one momentum layer in PyTorch operations: the reference, for any device.

`native` (C) and `triton_kernels` (CUDA) do the same in one pass, bit for bit.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = ["LayerConstants", "advance", "expose", "retreat"]

CPU_CHUNK = 1 << 16
"""Elements at a time on the CPU, so that temporaries stay in its cache."""

LARGEST_INCREMENT = float(2**61)
"""In units. It leaves room for sums: |v| < 2^62 and |w| <= 2^61 cannot wrap a 64-bit integer."""

LOST = 9.0e18
"""Stands for an increment outside the range; larger than any value inside it."""


@dataclass(frozen=True)
class LayerConstants:
    """What one layer needs besides its tensors.

    Attributes
    ----------
    n, d : int
        gamma = n/d.
    before, after : int
        Radices of the information buffer before and after the layer; unused when n = d.
    scale : float
        (1 - gamma) over the unit of the fixed point.
    unit : float
        A power of two.
    """

    n: int
    d: int
    before: int
    after: int
    scale: float
    unit: float


def _pieces(size: int, device: torch.device) -> list[slice]:
    step = CPU_CHUNK if device.type == "cpu" else max(size, 1)
    return [slice(first, min(first + step, size)) for first in range(0, size, step)]


def _increment(f: Tensor, scale: float) -> Tensor:
    """(1 - gamma) f in units, and `LOST` where it is not finite or does not fit."""
    real = f.to(torch.float64, copy=True).mul_(scale).round_()
    misfit = (real.abs() <= LARGEST_INCREMENT).logical_not_()  # true for nan
    return real.masked_fill_(misfit, LOST).to(torch.int64)


def _weighted_sum(v: Tensor, first: int) -> Tensor:
    weight = torch.arange(2 * first + 1, 2 * (first + v.numel()) + 1, 2, device=v.device)
    return weight.mul_(v).sum()


def advance(
    x: Tensor, v: Tensor, word: Tensor | None, f: Tensor, out: Tensor, c: LayerConstants
) -> Tensor:
    """v <- gamma v + (1 - gamma) f, x <- x + v in place, and x as floats into ``out``.

    Parameters
    ----------
    x, v : Tensor of int64, shape (size,)
    word : Tensor of int64, shape (size,), or None when gamma = 1
    f, out : Tensor of float32 or float64, shape (size,)
    c : LayerConstants

    Returns
    -------
    Tensor of int64, shape (2,)
        The checksum of v before the layer (the sum of v_j (2j + 1) modulo 2^64), and the largest
        magnitude of increments and of the state after it (9e18 if an increment did not fit).
    """
    checksum = torch.zeros((), dtype=torch.int64, device=x.device)
    peak = torch.zeros((), dtype=torch.int64, device=x.device)
    for piece in _pieces(x.numel(), x.device):
        xs, vs = x[piece], v[piece]
        checksum += _weighted_sum(vs, piece.start)
        if word is not None:
            q = torch.div(vs, c.d, rounding_mode="floor")
            joint = vs.sub_(q, alpha=c.d).mul_(c.before).add_(word[piece])
            s = torch.div(joint, c.after, rounding_mode="floor")
            torch.sub(joint, s, alpha=c.after, out=word[piece])
            torch.add(s, q, alpha=c.n, out=vs)
        w = _increment(f[piece], c.scale)
        vs.add_(w)
        xs.add_(vs)
        out[piece].copy_(xs).mul_(c.unit)
        for bound in (*torch.aminmax(w), *torch.aminmax(vs), *torch.aminmax(xs)):
            peak = torch.maximum(peak, bound.abs())
    return torch.stack((checksum, peak))


def expose(x: Tensor, v: Tensor, out: Tensor, unit: float) -> None:
    """Undo x <- x + v in place, and write x as floats into ``out``."""
    for piece in _pieces(x.numel(), x.device):
        out[piece].copy_(x[piece].sub_(v[piece])).mul_(unit)


def retreat(v: Tensor, word: Tensor | None, f: Tensor, c: LayerConstants) -> Tensor:
    """Undo v <- gamma v + (1 - gamma) f in place, buffer included.

    Returns
    -------
    Tensor of int64, shape (1,)
        The checksum of the velocity recovered.
    """
    checksum = torch.zeros(1, dtype=torch.int64, device=v.device)
    for piece in _pieces(v.numel(), v.device):
        vs = v[piece]
        w = _increment(f[piece], c.scale)
        vs.sub_(w)
        if word is not None:
            q = torch.div(vs, c.n, rounding_mode="floor")
            joint = vs.sub_(q, alpha=c.n).mul_(c.after).add_(word[piece])
            r = torch.div(joint, c.before, rounding_mode="floor")
            torch.sub(joint, r, alpha=c.before, out=word[piece])
            torch.add(r, q, alpha=c.d, out=vs)
        checksum += _weighted_sum(vs, piece.start)
    return checksum
