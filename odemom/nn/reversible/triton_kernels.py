"""The integer work of one momentum layer on CUDA, in Triton; its bits are those of `eager`.

Integer division in Triton truncates, so remainders are settled by sign. A double below 2^52
is rounded half to even by adding and subtracting 2^52 with its sign; larger ones are integers.

The module can be read without Triton (by tools that import everything), but not used: `available`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from odemom.nn.reversible.eager import LayerConstants

if TYPE_CHECKING:
    import triton
    import triton.language as tl
else:
    try:
        import triton
        import triton.language as tl
    except ImportError:
        triton = tl = None

__all__ = ["advance", "available", "expose", "retreat"]

BLOCK: Any = 1024


def available() -> bool:
    """Whether Triton is installed."""
    return triton is not None


def _compiled(kernel: Callable[..., Any]) -> Any:
    """The kernel as Triton compiles it, where there is Triton."""
    return triton.jit(kernel) if available() else kernel


@_compiled
def _increment(f, scale):
    real = f.to(tl.float64) * scale
    shift = tl.where(real < 0, -4503599627370496.0, 4503599627370496.0).to(tl.float64)
    rounded = tl.where(tl.abs(real) < 4503599627370496.0, (real + shift) - shift, real)
    return tl.where(tl.abs(rounded) <= 2305843009213693952.0, rounded, 9.0e18).to(tl.int64)


@_compiled
def _floor_div(a, m):
    q = a // m
    return q - tl.where(a - q * m < 0, 1, 0)


@_compiled
def _advance(
    x_ptr, v_ptr, word_ptr, f_ptr, out_ptr, stats_ptr, size, n, d, before, after,
    scale_ptr, FREE: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    j = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    mask = j < size
    scale, unit = tl.load(scale_ptr), tl.load(scale_ptr + 1)
    v = tl.load(v_ptr + j, mask=mask, other=0)
    checksum = tl.sum(v * (2 * j + 1))
    w = _increment(tl.load(f_ptr + j, mask=mask, other=0.0), scale)
    if not FREE:
        q = _floor_div(v, d)
        joint = (v - q * d) * before + tl.load(word_ptr + j, mask=mask, other=0)
        s = joint // after
        tl.store(word_ptr + j, joint - s * after, mask=mask)
        v = q * n + s
    v = v + w
    x = tl.load(x_ptr + j, mask=mask, other=0) + v
    tl.store(v_ptr + j, v, mask=mask)
    tl.store(x_ptr + j, x, mask=mask)
    kind = out_ptr.dtype.element_ty
    tl.store(out_ptr + j, x.to(kind) * unit.to(kind), mask=mask)
    peak = tl.maximum(tl.abs(w), tl.maximum(tl.abs(v), tl.abs(x)))
    tl.atomic_add(stats_ptr, checksum)
    tl.atomic_max(stats_ptr + 1, tl.max(tl.where(mask, peak, 0)))


@_compiled
def _expose(x_ptr, v_ptr, out_ptr, size, unit_ptr, BLOCK: tl.constexpr):
    j = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    mask = j < size
    x = tl.load(x_ptr + j, mask=mask, other=0) - tl.load(v_ptr + j, mask=mask, other=0)
    tl.store(x_ptr + j, x, mask=mask)
    kind = out_ptr.dtype.element_ty
    tl.store(out_ptr + j, x.to(kind) * tl.load(unit_ptr).to(kind), mask=mask)


@_compiled
def _retreat(
    v_ptr, word_ptr, f_ptr, stats_ptr, size, n, d, before, after,
    scale_ptr, FREE: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    j = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    mask = j < size
    w = _increment(tl.load(f_ptr + j, mask=mask, other=0.0), tl.load(scale_ptr))
    v = tl.load(v_ptr + j, mask=mask, other=0) - w
    if not FREE:
        q = _floor_div(v, n)
        joint = (v - q * n) * after + tl.load(word_ptr + j, mask=mask, other=0)
        r = joint // before
        tl.store(word_ptr + j, joint - r * before, mask=mask)
        v = q * d + r
    tl.store(v_ptr + j, v, mask=mask)
    tl.atomic_add(stats_ptr, tl.sum(tl.where(mask, v * (2 * j + 1), 0)))


def _constant(value: bool) -> Any:
    """As the type checker wants it: Triton turns arguments into its constants itself."""
    return value


def _reals(device: torch.device, *values: float) -> Tensor:
    # A Python float argument would reach the kernel in single precision.
    return torch.tensor(values, dtype=torch.float64).to(device, non_blocking=True)


def advance(
    x: Tensor, v: Tensor, word: Tensor | None, f: Tensor, out: Tensor, c: LayerConstants
) -> Tensor:
    """As `eager.advance`."""
    stats = torch.zeros(2, dtype=torch.int64, device=x.device)
    _advance[(triton.cdiv(x.numel(), BLOCK),)](
        x, v, v if word is None else word, f, out, stats, x.numel(), c.n, c.d, c.before, c.after,
        _reals(x.device, c.scale, c.unit), FREE=_constant(word is None), BLOCK=BLOCK,
    )  # fmt: skip
    return stats


def expose(x: Tensor, v: Tensor, out: Tensor, unit: float) -> None:
    """As `eager.expose`."""
    _expose[(triton.cdiv(x.numel(), BLOCK),)](
        x, v, out, x.numel(), _reals(x.device, unit), BLOCK=BLOCK
    )


def retreat(v: Tensor, word: Tensor | None, f: Tensor, c: LayerConstants) -> Tensor:
    """As `eager.retreat`."""
    stats = torch.zeros(1, dtype=torch.int64, device=v.device)
    _retreat[(triton.cdiv(v.numel(), BLOCK),)](
        v, v if word is None else word, f, stats, v.numel(), c.n, c.d, c.before, c.after,
        _reals(v.device, c.scale), FREE=_constant(word is None), BLOCK=BLOCK,
    )  # fmt: skip
    return stats
