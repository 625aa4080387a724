"""A few entries of every tensor that a call saves, by which a second call is known for the first.

Each tensor gives its own: what comes last need not depend on all before, as the branches of a
parallel block show. Taking them is one operation a tensor, and nothing of a tensor is kept.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterable, Iterator

import torch
from torch import Tensor, nn

from odemom.nn.reversible import capture, shapes

__all__ = ["ENTRIES", "Kept", "Samples", "alike", "sample"]

ENTRIES = 64
"""Of a tensor that are compared."""

OF_THE_BATCH = 16
"""Of these in different places of the first axis, where they do not lie in a row."""

FLOATS = frozenset({torch.float16, torch.bfloat16, torch.float32, torch.float64,
                    torch.complex64, torch.complex128})  # fmt: skip

EXACT = frozenset({torch.bool, torch.int16, torch.int32, torch.int64})
"""Bytes are left out: they are workspaces of kernels, which write what they like there."""

ROW = 32  # queries of memory-efficient attention that are worked on together

SEEDS = 2
"""Integers that are no more than these are seeds of kernels, which may be set or not."""


class Samples:
    """Those of one call, by the number of the tensor.

    Parameters
    ----------
    first : Kept or None
        Of the call to compare with.
    """

    def __init__(self, first: Kept | None = None) -> None:
        self._first = None if first is None else first.by_number()
        self._in_order: dict[int, bool] = {}
        self._taken: dict[int, Tensor] = {}

    def note(self, n: int, t: Tensor) -> None:
        """Take those of tensor ``n``."""
        if not _can_be_compared(t):
            return
        if self._first is None:
            in_order = t.is_contiguous()
        elif n in self._first:
            in_order, _ = self._first[n]
        else:
            return
        self._in_order[n] = in_order
        self._taken[n] = sample(t, in_order=in_order)

    def kept(self) -> Kept:
        """All of them, to be kept from the first call to the others; here they are gone."""
        taken, in_order = self._taken, self._in_order
        self._taken, self._in_order = {}, {}
        return Kept(taken, in_order)

    def unlike(self) -> Iterator[Tensor]:
        """Whether tensors are others than in the first call; shape () each, true if any is."""
        assert self._first is not None
        if shapes.are_alone():
            return
        pairs = [(self._first[n][1], t) for n, t in self._taken.items()]
        groups: dict[tuple[object, ...], list[tuple[Tensor, Tensor]]] = {}
        for one, other in pairs:
            if one.shape != other.shape or one.dtype != other.dtype:
                yield torch.ones((), dtype=torch.bool, device=one.device)
            elif capture.waits_late(one.device):
                groups.setdefault((one.device, one.dtype, one.shape), []).append((one, other))
            elif not (torch.equal(one, other) or bool(alike(one, other))):
                yield torch.ones((), dtype=torch.bool, device=one.device)
        for group in groups.values():
            ones, others = zip(*group, strict=True)
            yield ~alike(torch.stack(ones), torch.stack(others))


class Kept:
    """Samples in few tensors: one each would take as much memory again, in every call."""

    def __init__(self, taken: dict[int, Tensor], in_order: dict[int, bool]) -> None:
        kinds: dict[tuple[torch.device, torch.dtype], list[int]] = {}
        for n, t in taken.items():
            kinds.setdefault((t.device, t.dtype), []).append(n)
        self._stored = [torch.cat([taken[n].flatten() for n in group]) for group in kinds.values()]
        self._numbers = [array("q", group) for group in kinds.values()]
        self._in_order = bytes(in_order[n] for group in kinds.values() for n in group)
        self._lengths = array("H", (taken[n].numel() for g in kinds.values() for n in g))
        self._grids = {n: t.shape for n, t in taken.items() if t.dim() != 1}

    def by_number(self) -> dict[int, tuple[bool, Tensor]]:
        """Whether the entries of a tensor lay in a row, and the sample."""
        found = {}
        entries = zip(self._in_order, self._lengths, strict=True)
        for stored, numbers in zip(self._stored, self._numbers, strict=True):
            first = 0
            for n in numbers:
                order, length = next(entries)
                part = stored[first : first + length]
                found[n] = bool(order), part.view(self._grids.get(n, part.shape))
                first += length
        return found


def _can_be_compared(t: Tensor) -> bool:
    if not shapes.are_alone() and (type(t) not in (Tensor, nn.Parameter) or t.is_meta):
        return False
    size = t.numel()
    compared = t.dtype in FLOATS or (t.dtype in EXACT and size > SEEDS)
    if t.layout != torch.strided or t.is_nested or may_be_padded(t):
        return False
    return compared and size > 0


def may_be_padded(t: Tensor) -> bool:
    """Whether it may be the log-sum-exp of memory-efficient attention on a GPU.

    Its rows are as long as the next multiple of `ROW`, and their ends are not written.
    """
    rows = t.dim() == 3 and t.dtype == torch.float32 and t.shape[-1] % ROW == 0
    return rows and t.device.type != "cpu" and not t.requires_grad


def sample(t: Tensor, *, in_order: bool) -> Tensor:
    """Entries from all over a tensor: every so many, or a grid where they have no order."""
    t = t.detach()
    if not in_order:
        return t.as_strided(*_grid(t.shape, t.stride())).clone()
    size = t.numel()
    step = max(1, size // ENTRIES) | 1
    t = t if t.is_contiguous() else t.contiguous()
    return t.as_strided((-(-size // step),), (step,)).clone()


def _grid(shape: Iterable[int], strides: Iterable[int]) -> tuple[list[int], list[int]]:
    """Sizes and strides of at most `ENTRIES` places in a tensor."""
    wide = [(size, stride) for size, stride in zip(shape, strides, strict=True) if size > 1]
    left, sizes, steps = ENTRIES, [], []
    for axis, (size, stride) in enumerate(wide):
        axes = len(wide) - axis
        share = OF_THE_BATCH if axis == 0 and axes > 1 else math.ceil(left ** (1 / axes))
        count = min(size, share, left)
        left = left // count
        sizes.append(count)
        steps.append(stride * (size // count))
    return sizes, steps


@torch.no_grad()
def alike(one: Tensor, other: Tensor, spacing: float = 0.0) -> Tensor:
    """Whether samples of one length, or stacks of them, are the same but for rounding; shape ().

    Kernels may add in any order; ``spacing`` is that of a coarser type in which they compute.
    """
    if one.dtype in EXACT:
        return (one == other).all()
    bound = max(math.sqrt(torch.finfo(one.dtype).eps), spacing)
    size = one.abs().nan_to_num(0.0, 0.0)
    size = size.amax(-1, keepdim=True) if size.dim() else size
    same = ((one - other).abs() <= bound * size) | (one == other) | (one.isnan() & other.isnan())
    return same.all()
