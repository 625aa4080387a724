"""Bytes of the tensors that are alive during a training step, counted storage by storage."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from torch import Tensor
from torch.utils import _pytree as pytree
from torch.utils._python_dispatch import TorchDispatchMode

__all__ = ["Step", "training_step"]


class Live(TorchDispatchMode):
    """Counts the storages that operations make, until they are freed."""

    def __init__(self, known: Iterable[Tensor]) -> None:
        super().__init__()
        self.bytes = self.peak = 0
        self._seen: set[int] = set()
        self._old = [t.untyped_storage() for t in known]
        self._seen |= {s._cdata for s in self._old}

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:  # numpydoc ignore=GL08
        value = func(*args, **(kwargs or {}))
        for leaf in pytree.tree_leaves(value):
            if isinstance(leaf, Tensor):
                self._note(leaf.untyped_storage())
        return value

    def _note(self, storage: Any) -> None:
        key = storage._cdata
        if key in self._seen:
            return
        self._seen.add(key)
        self.bytes += storage.nbytes()
        self.peak = max(self.peak, self.bytes)
        weakref.finalize(storage, self._gone, key, storage.nbytes())

    def _gone(self, key: int, size: int) -> None:
        self._seen.discard(key)
        self.bytes -= size


@dataclass(frozen=True)
class Step:
    """Bytes beside parameters and inputs.

    Attributes
    ----------
    kept : int
        Alive between the forward and the backward pass.
    peak : int
        At the most, gradients included.
    """

    kept: int
    peak: int


def training_step(loss: Callable[[], Tensor], known: Iterable[Tensor]) -> Step:
    """Forward and backward pass of ``loss``."""
    with Live(known) as live:
        value = loss()
        kept = live.bytes
        value.backward()
        return Step(kept, live.peak)
