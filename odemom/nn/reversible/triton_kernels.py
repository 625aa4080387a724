"""The integer work of one momentum layer on CUDA, in Triton; its bits are those of `eager`.

Integer division in Triton truncates, so remainders are settled by sign. A double below 2^52
is rounded half to even by adding and subtracting 2^52 with its sign; larger ones are integers.

The module can be read without Triton (by tools that import everything), but not used: `available`.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from odemom.nn.reversible.capture import capturing
from odemom.nn.reversible.eager import LEAST_PEAK, LayerConstants, carried, flat, force

if TYPE_CHECKING:
    import triton
    import triton.language as tl
else:
    try:
        import triton
        import triton.language as tl
    except ImportError:
        triton = tl = None

__all__ = ["advance", "available", "carried", "expose", "force", "retreat"]

BLOCK: Any = 1024

# A product and a sum fused into one rounding would not have the bits of `eager`.
UNFUSED: Any = {"enable_fp_fusion": False}


def available() -> bool:
    """Whether Triton is installed."""
    return triton is not None


def _compiled(kernel: Callable[..., Any]) -> Any:
    """The kernel as Triton compiles it, where there is Triton."""
    return triton.jit(kernel) if available() else kernel


@_compiled
def _rounded(real):
    shift = tl.where(real < 0, -4503599627370496.0, 4503599627370496.0).to(tl.float64)
    return tl.where(tl.abs(real) < 4503599627370496.0, (real + shift) - shift, real)


@_compiled
def _held(real):
    return tl.where(tl.abs(real) <= 2305843009213693952.0, real, 9.0e18)


@_compiled
def _floor_div(a, m):
    q = a // m
    return q - tl.where(a - q * m < 0, 1, 0)


@_compiled
def _report(stats_ptr, mask, w, v, x):
    peak = tl.maximum(tl.abs(w), tl.maximum(tl.abs(v), tl.abs(x)))
    tl.atomic_max(stats_ptr + 1, tl.max(tl.where(mask, peak, 0)))


@_compiled
def _advance(
    x_ptr, v_ptr, word_ptr, f_ptr, out_ptr, stats_ptr, size, row, n, d, before, after,
    scale_ptr, unit_ptr, FREE: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    j = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    mask = j < size
    scale = tl.load(scale_ptr + j // row, mask=mask, other=0.0)
    unit = tl.load(unit_ptr + j // row, mask=mask, other=0.0)
    v = tl.load(v_ptr + j, mask=mask, other=0)
    checksum = tl.sum(v * (2 * j + 1))
    f = tl.load(f_ptr + j, mask=mask, other=0.0).to(tl.float64)
    w = _held(_rounded(f * scale)).to(tl.int64)
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
    tl.atomic_add(stats_ptr, checksum)
    _report(stats_ptr, mask, w, v, x)


@_compiled
def _expose(x_ptr, v_ptr, out_ptr, size, row, unit_ptr, BLOCK: tl.constexpr):
    j = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    mask = j < size
    x = tl.load(x_ptr + j, mask=mask, other=0) - tl.load(v_ptr + j, mask=mask, other=0)
    tl.store(x_ptr + j, x, mask=mask)
    kind = out_ptr.dtype.element_ty
    unit = tl.load(unit_ptr + j // row, mask=mask, other=0.0)
    tl.store(out_ptr + j, x.to(kind) * unit.to(kind), mask=mask)


@_compiled
def _retreat(
    v_ptr, word_ptr, f_ptr, stats_ptr, size, row, n, d, before, after,
    scale_ptr, FREE: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    j = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    mask = j < size
    scale = tl.load(scale_ptr + j // row, mask=mask, other=0.0)
    f = tl.load(f_ptr + j, mask=mask, other=0.0).to(tl.float64)
    v = tl.load(v_ptr + j, mask=mask, other=0) - _held(_rounded(f * scale)).to(tl.int64)
    if not FREE:
        q = _floor_div(v, n)
        joint = (v - q * n) * after + tl.load(word_ptr + j, mask=mask, other=0)
        r = joint // before
        tl.store(word_ptr + j, joint - r * before, mask=mask)
        v = q * d + r
    tl.store(v_ptr + j, v, mask=mask)
    tl.atomic_add(stats_ptr, tl.sum(tl.where(mask, v * (2 * j + 1), 0)))


# --- two words a number (`two_words`): digits (high, middle, low) in base 2^32 -------------------


@_compiled
def _load_digits(ptr, j, size, mask):
    lo = tl.load(ptr + size + j, mask=mask, other=0)
    return tl.load(ptr + j, mask=mask, other=0), (lo >> 32) & 4294967295, lo & 4294967295


@_compiled
def _carried(high, middle, low):
    middle = middle + (low >> 32)
    return high + (middle >> 32), middle & 4294967295, low & 4294967295


@_compiled
def _store_digits(ptr, j, size, mask, high, middle, low):
    tl.store(ptr + j, high, mask=mask)
    tl.store(ptr + size + j, (middle << 32) + low, mask=mask)


@_compiled
def _split(real):
    real = _held(_rounded(real * 18446744073709551616.0) * 5.421010862427522e-20)
    high = real.to(tl.int64)
    rest = (real - high.to(tl.float64)) * 4294967296.0
    middle = rest.to(tl.int64)
    low = ((rest - middle.to(tl.float64)) * 4294967296.0).to(tl.int64)
    middle = middle + (low >> 32)
    return high + (middle >> 32), middle & 4294967295, low & 4294967295


@_compiled
def _join(high, middle, low):
    lo = (middle << 32) + low
    signed = (high + tl.where(lo < 0, 1, 0)).to(tl.float64)
    return signed + lo.to(tl.float64) * 5.421010862427522e-20


@_compiled
def _rescaled(high, middle, low, m, before, word_ptr, j, mask, after, m_new):
    q_high = _floor_div(high, m)
    rest = ((high - q_high * m) << 32) + middle
    q_middle = rest // m
    rest = ((rest - q_middle * m) << 32) + low
    q_low = rest // m
    joint = (rest - q_low * m) * before + tl.load(word_ptr + j, mask=mask, other=0)
    s = joint // after
    tl.store(word_ptr + j, joint - s * after, mask=mask)
    return _carried(q_high * m_new, q_middle * m_new, q_low * m_new + s)


@_compiled
def _checked(high, middle, low, j):
    return tl.sum((3 * high + (middle << 32) + low) * (2 * j + 1))


@_compiled
def _advance_two(
    x_ptr, v_ptr, word_ptr, f_ptr, out_ptr, stats_ptr, size, row, n, d, before, after,
    scale_ptr, unit_ptr, FREE: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    j = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    mask = j < size
    scale = tl.load(scale_ptr + j // row, mask=mask, other=0.0)
    unit = tl.load(unit_ptr + j // row, mask=mask, other=0.0)
    high, middle, low = _load_digits(v_ptr, j, size, mask)
    tl.atomic_add(stats_ptr, _checked(high, middle, low, j))
    w_high, w_middle, w_low = _split(
        tl.load(f_ptr + j, mask=mask, other=0.0).to(tl.float64) * scale
    )
    if not FREE:
        high, middle, low = _rescaled(high, middle, low, d, before, word_ptr, j, mask, after, n)
    high, middle, low = _carried(high + w_high, middle + w_middle, low + w_low)
    _store_digits(v_ptr, j, size, mask, high, middle, low)
    x_high, x_middle, x_low = _load_digits(x_ptr, j, size, mask)
    x_high, x_middle, x_low = _carried(x_high + high, x_middle + middle, x_low + low)
    _store_digits(x_ptr, j, size, mask, x_high, x_middle, x_low)
    kind = out_ptr.dtype.element_ty
    tl.store(out_ptr + j, _join(x_high, x_middle, x_low).to(kind) * unit.to(kind), mask=mask)
    _report(stats_ptr, mask, w_high, high, x_high)


@_compiled
def _expose_two(x_ptr, v_ptr, out_ptr, size, row, unit_ptr, BLOCK: tl.constexpr):
    j = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    mask = j < size
    high, middle, low = _load_digits(v_ptr, j, size, mask)
    x_high, x_middle, x_low = _load_digits(x_ptr, j, size, mask)
    x_high, x_middle, x_low = _carried(x_high - high, x_middle - middle, x_low - low)
    _store_digits(x_ptr, j, size, mask, x_high, x_middle, x_low)
    kind = out_ptr.dtype.element_ty
    unit = tl.load(unit_ptr + j // row, mask=mask, other=0.0)
    tl.store(out_ptr + j, _join(x_high, x_middle, x_low).to(kind) * unit.to(kind), mask=mask)


@_compiled
def _retreat_two(
    v_ptr, word_ptr, f_ptr, stats_ptr, size, row, n, d, before, after,
    scale_ptr, FREE: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    j = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    mask = j < size
    scale = tl.load(scale_ptr + j // row, mask=mask, other=0.0)
    high, middle, low = _load_digits(v_ptr, j, size, mask)
    w_high, w_middle, w_low = _split(
        tl.load(f_ptr + j, mask=mask, other=0.0).to(tl.float64) * scale
    )
    high, middle, low = _carried(high - w_high, middle - w_middle, low - w_low)
    if not FREE:
        high, middle, low = _rescaled(high, middle, low, n, after, word_ptr, j, mask, before, d)
    _store_digits(v_ptr, j, size, mask, high, middle, low)
    weighted = tl.where(mask, (3 * high + (middle << 32) + low) * (2 * j + 1), 0)
    tl.atomic_add(stats_ptr, tl.sum(weighted))


def _constant(value: bool) -> Any:
    """As the type checker wants it: Triton turns arguments into its constants itself."""
    return value


def _per_sample(x: Tensor, values: Tensor | float | None, value: float = 0.0) -> Tensor:
    # A Python float argument would reach the kernel in single precision.
    if isinstance(values, Tensor):
        return values
    one = value if values is None else values
    # What is made while a graph is captured has its value in replays alone.
    return (_one if capturing() else _one_kept)(one, x.device)


def _one(value: float, device: torch.device) -> Tensor:
    return torch.full((1,), value, dtype=torch.float64, device=device)


_one_kept = functools.lru_cache(maxsize=1024)(_one)


def advance(
    x: Tensor, v: Tensor, word: Tensor | None, f: Tensor, out: Tensor, c: LayerConstants,
    less: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """As `eager.advance`."""
    f = flat(f) if less is None else flat(f) - flat(less)
    out = flat(out)
    stats = torch.zeros(2, dtype=torch.int64, device=x.device)
    stats[1].fill_(LEAST_PEAK)
    scales, units = _per_sample(x, c.scales, c.scale), _per_sample(x, c.units, c.unit)
    size = f.numel()
    (_advance if x.dim() == 1 else _advance_two)[(triton.cdiv(size, BLOCK),)](
        x, v, v if word is None else word, f, out, stats, size, _row(size, units), c.n, c.d,
        c.before, c.after, scales, units, FREE=_constant(word is None), BLOCK=BLOCK, **UNFUSED,
    )  # fmt: skip
    return stats


def expose(x: Tensor, v: Tensor, out: Tensor, unit: float | Tensor) -> None:
    """As `eager.expose`."""
    units, size, out = _per_sample(x, unit), out.numel(), flat(out)
    (_expose if x.dim() == 1 else _expose_two)[(triton.cdiv(size, BLOCK),)](
        x, v, out, size, _row(size, units), units, BLOCK=BLOCK, **UNFUSED
    )


def retreat(
    v: Tensor, word: Tensor | None, f: Tensor, c: LayerConstants, less: Tensor | None = None
) -> Tensor:
    """As `eager.retreat`."""
    f = flat(f) if less is None else flat(f) - flat(less)
    stats = torch.zeros(1, dtype=torch.int64, device=v.device)
    scales, size = _per_sample(v, c.scales, c.scale), f.numel()
    (_retreat if v.dim() == 1 else _retreat_two)[(triton.cdiv(size, BLOCK),)](
        v, v if word is None else word, f, stats, size, _row(size, scales), c.n, c.d, c.before,
        c.after, scales, FREE=_constant(word is None), BLOCK=BLOCK, **UNFUSED,
    )  # fmt: skip
    return stats


def _row(size: int, per_sample: Tensor) -> int:
    """Entries of a sample."""
    return max(size // len(per_sample), 1)
