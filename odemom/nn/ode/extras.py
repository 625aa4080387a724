"""The further arguments of a field, with their tensors taken out and put back."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from torch import Tensor
from torch.utils import _pytree as pytree

__all__ = ["FieldExtras"]


class FieldExtras:
    """The arguments of a field besides time and state.

    A solver calls its field often and in no order of layers, so it replaces the tensors that it
    finds in them and leaves the rest alone.
    """

    def __init__(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        leaves, self._spec = pytree.tree_flatten((args, kwargs))
        self._where = [i for i, leaf in enumerate(leaves) if isinstance(leaf, Tensor)]
        self.tensors: tuple[Tensor, ...] = tuple(leaves[i] for i in self._where)
        self._leaves = leaves

    def detached(self) -> list[Tensor]:
        """The tensors as leaves that collect gradients where the originals did."""
        return [t.detach().requires_grad_(t.requires_grad) for t in self.tensors]

    def call(self, function: Callable[..., Any], x: Tensor, tensors: Sequence[Tensor]) -> Any:
        """``function(x, *args, **kwargs)`` with ``tensors`` in place of the original ones."""
        leaves = list(self._leaves)
        for i, tensor in zip(self._where, tensors, strict=True):
            leaves[i] = tensor
        args, kwargs = pytree.tree_unflatten(leaves, self._spec)
        return function(x, *args, **kwargs)
