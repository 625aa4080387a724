"""The hooks that are in force for the tensors that autograd saves, for a pair that goes before."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.autograd.graph import saved_tensors_hooks

__all__ = ["hooks_before"]

Pack = Callable[[Tensor], Any]
Unpack = Callable[[Any], Tensor]


@contextmanager
def hooks_before(make: Callable[[Pack, Unpack], tuple[Pack, Unpack]]) -> Iterator[None]:
    """Hooks that see what is saved and hand it on to those that are in force; none where none are.

    Parameters
    ----------
    make : callable
        From the pair in force, pack and unpack, to the pair that goes before.

    Examples
    --------
    >>> sizes, x = [], torch.ones(3, requires_grad=True)
    >>> def counted(pack, unpack):
    ...     return lambda t: sizes.append(t.numel()) or pack(t), unpack
    >>> with saved_tensors_hooks(lambda t: 2 * t, lambda t: t), hooks_before(counted):
    ...     y = x.exp().sum()
    >>> y.backward()
    >>> sizes, bool((x.grad == 2 * x.detach().exp()).all())
    ([3], True)
    """
    current: Any = torch._C._autograd  # type: ignore[attr-defined]
    if hasattr(current, "_top_saved_tensors_default_hooks"):
        pair = current._top_saved_tensors_default_hooks(False)
    else:
        pair = _Behind(current)
    if pair is None:
        yield
        return
    before = make(*pair)
    if isinstance(pair, _Behind):
        pair.before = before
    with saved_tensors_hooks(*before):
        yield


class _Behind:
    """The pair in force, of a PyTorch that does not show it, by a tensor that is saved by it."""

    def __init__(self, current: Any) -> None:
        self._current = current
        self.before: tuple[Pack, Unpack] | None = None

    def __iter__(self) -> Iterator[Any]:
        yield self.pack
        yield self.unpack

    def pack(self, t: Tensor) -> Tensor:
        """Save a tensor as it would be without the pair that goes before."""
        self._current._pop_saved_tensors_default_hooks()
        try:
            with torch.enable_grad():
                return _Saved.apply(torch.empty(0, requires_grad=True), t)
        finally:
            self._current._push_saved_tensors_default_hooks(*self.before or ())

    def unpack(self, held: Tensor) -> Tensor:
        """What was saved."""
        node: Any = held.grad_fn
        return node.saved_tensors[0]


class _Saved(torch.autograd.Function):
    """Nothing, which has saved a tensor."""

    @staticmethod
    def forward(ctx: Any, anchor: Tensor, t: Tensor) -> Tensor:
        ctx.save_for_backward(t)
        return torch.empty_like(anchor)

    @staticmethod
    def backward(ctx: Any, *cotangents: Tensor) -> tuple[None, None]:
        return None, None
