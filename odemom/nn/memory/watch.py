"""The bytes of tensors that live, counted as they come and go."""

from __future__ import annotations

import weakref
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules import module as hooks_of_all
from torch.utils import _pytree as pytree
from torch.utils._python_dispatch import TorchDispatchMode

from odemom.nn.memory.constants import device_asked
from odemom.nn.memory.workspace import workspace
from odemom.nn.transform.calls import BlockFunction

__all__ = ["BACKWARD", "ELSEWHERE", "WORKSPACE", "Watch"]

BACKWARD = "the backward pass"
"""Where gradients on their way are, and what is computed again outside of submodules."""

ELSEWHERE = "the model itself"
"""What is made in no part of it."""

WORKSPACE = "inside a convolution"
"""What a convolution takes and gives back while it runs."""


class Watch(TorchDispatchMode):
    """While it is entered, every storage that an operation makes is counted until it is let go.

    So is, for the moment of the operation, the `workspace` that it takes.

    Parameters
    ----------
    owners : mapping of int to str
        The part of the network that a module, by its id, belongs to. What is made in its call is
        counted there, in the innermost call of such a module.

    Attributes
    ----------
    live : int
        Bytes now.
    series : list of int
        Bytes after each storage that was made.
    peak : int
        The largest of them.
    parts : dict of str to int
        Where they were then.
    """

    def __init__(self, owners: Mapping[int, str]) -> None:
        super().__init__()
        self.live = self.peak = 0
        self.series: list[int] = []
        self.parts: dict[str, int] = {}
        self._owners = owners
        self._now: dict[str, int] = {}
        self._calls: list[str | None] = []
        self._storages: dict[int, weakref.ref[Any]] = {}

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        """Run an operation and count what it made."""
        if (device := device_asked(func, args)) is not None:
            return device
        value = func(*args, **(kwargs or {}))
        for leaf in pytree.tree_leaves(value):
            if isinstance(leaf, Tensor):
                self._note(leaf)
        self._touch(workspace(func, args, value))
        return value

    def leave_out(self, tensors: Iterable[Tensor]) -> None:
        """Do not count these, which were there before."""
        for tensor in tensors:
            self._hold(tensor.untyped_storage(), ELSEWHERE, 0)

    def _note(self, tensor: Tensor) -> None:
        if tensor.layout != torch.strided:
            return
        storage = tensor.untyped_storage()
        if id(storage) not in self._storages:
            self._hold(storage, self._place(), storage.nbytes())

    def _hold(self, storage: Any, place: str, size: int) -> None:
        key = id(storage)

        def gone(_: Any) -> None:
            del self._storages[key]
            self.live -= size
            self._now[place] -= size

        self._storages[key] = weakref.ref(storage, gone)
        self.live += size
        self._now[place] = self._now.get(place, 0) + size
        if size:
            self._seen(self.live)

    def _touch(self, size: int) -> None:
        """Count bytes that are taken and given back at once."""
        if size:
            self._seen(self.live + size, {WORKSPACE: size})

    def _seen(self, bytes_now: int, beside: Mapping[str, int] = MappingProxyType({})) -> None:
        self.series.append(bytes_now)
        if bytes_now > self.peak:
            self.peak = bytes_now
            self.parts = {p: n for p, n in {**self._now, **beside}.items() if n}

    def _place(self) -> str:
        for owner in reversed(self._calls):
            if owner is not None:
                return owner
        return BACKWARD if torch._C._current_graph_task_id() != -1 else ELSEWHERE

    @contextmanager
    def calls(self) -> Iterator[None]:
        """Follow which module is called; hooks of the network's own modules stay as they are."""

        def enter(module: nn.Module, _: Any) -> None:
            inner = module.block if isinstance(module, BlockFunction) else module
            self._calls.append(self._owners.get(id(inner)))

        def leave(*_: Any) -> None:
            self._calls.pop()

        before = hooks_of_all.register_module_forward_pre_hook(enter)
        after = hooks_of_all.register_module_forward_hook(leave, always_call=True)
        try:
            yield
        finally:
            before.remove()
            after.remove()
