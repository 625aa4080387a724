"""What all blocks of a twin share: whether any went on with a row, and which call of the twin runs.

A row is of one call. What a twin returned, given to it again, carries no velocity on, so that a
twin is a function of its input. Two hooks tell where a call begins and ends.
"""

from __future__ import annotations

import dataclasses
import warnings
from dataclasses import dataclass
from threading import get_ident
from typing import Any

import torch
from torch import nn

__all__ = ["Whole", "forget_calls", "watch_calls"]


@dataclass(eq=False)
class Whole:
    """What all blocks of a twin share.

    Attributes
    ----------
    waiting : set of str or None
        The blocks that were not called yet; None once there is no more to say.
    several : bool
        Whether there is more than one; a single one may be called again.
    running : dict of int to list
        The calls of the twin that run, by thread; the innermost last.
    """

    waiting: set[str] | None = dataclasses.field(default_factory=set)
    several: bool = False
    running: dict[int, list[object]] = dataclasses.field(default_factory=dict)

    @property
    def call(self) -> object | None:
        """The call of the twin that runs in this thread; compiled code cannot tell."""
        if torch.compiler.is_compiling():
            return None
        calls = self.running.get(get_ident())
        return calls[-1] if calls else None

    def begin(self) -> None:
        """Note that a call begins."""
        self.running.setdefault(get_ident(), []).append(object())

    def end(self) -> None:
        """Note that it ends."""
        calls = self.running.get(get_ident(), [])
        if calls:
            calls.pop()
        if not calls:
            self.running.pop(get_ident(), None)

    def __deepcopy__(self, memo: dict[int, Any]) -> Whole:
        """Shared by the copies of a block, which may join the row of the block itself."""
        return self

    def __getstate__(self) -> dict[str, Any]:
        """Where it is saved, no call runs."""
        return {**vars(self), "running": {}}

    def add(self, name: str) -> None:
        """A further block."""
        if self.waiting is not None:
            self.several = bool(self.waiting)
            self.waiting.add(name)

    def note(self, name: str, *, joined: bool) -> None:
        """A call of a block; say so if all were called, and none went on with a row."""
        if joined:
            self.waiting = None
        if self.waiting is None:
            return
        self.waiting.discard(name)
        if self.several and not self.waiting:
            self.waiting = None
            warnings.warn(
                "No block of the twin went on with the velocity of another one, so it is no "
                "momentum network; odemom.nn.twin_report(model) says why.",
                stacklevel=2,
            )


class _Begins:
    """A hook before the forward pass of a twin."""

    def __init__(self, whole: Whole) -> None:
        self.whole = whole

    def __call__(self, module: nn.Module, args: Any) -> None:
        """Note that a call begins; compiled code notes nothing."""
        if not torch.compiler.is_compiling():
            self.whole.begin()


class _Ends:
    """A hook behind it, also where it fails."""

    def __init__(self, whole: Whole) -> None:
        self.whole = whole

    def __call__(self, module: nn.Module, args: Any, output: Any) -> None:
        """Note that a call ends."""
        if not torch.compiler.is_compiling():
            self.whole.end()


def watch_calls(twin: nn.Module, whole: Whole) -> None:
    """Let ``whole`` know of the calls of a twin."""
    twin.register_forward_pre_hook(_Begins(whole), prepend=True)
    twin.register_forward_hook(_Ends(whole), always_call=True)


def forget_calls(module: nn.Module) -> None:
    """Take the hooks of `watch_calls` away."""
    for hooks in (module._forward_pre_hooks, module._forward_hooks):
        for key in [k for k, hook in hooks.items() if isinstance(hook, _Begins | _Ends)]:
            del hooks[key]
            module._forward_hooks_always_called.pop(key, None)
