"""One call integrates one function: what would change f between its evaluations is held.

A solver evaluates f at many states, some of which it rejects; the backward pass evaluates it again.
These must be evaluations of one function, or no step size is small enough for the error estimate
and the gradient is that of another field. So every evaluation of a call starts from the same state
of PyTorch's random generators (one dropout mask a call) and from the same buffers. Afterwards the
generators and the buffers stand as after one evaluation; running statistics of batch norms, which
the function's value does not depend on in training, move once, by the mean over the evaluations of
the forward pass.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase

from odemom.nn.recompute.second_call import RandomStates
from odemom.nn.recompute.slots import Slot, buffer_slots, swapped

__all__ = ["Steady"]


def _stamp(buffer: Tensor) -> tuple[int, int]:
    return id(buffer), 0 if buffer.is_inference() else buffer._version


class Steady:
    """The random state and the buffers from which every evaluation of one call starts.

    Parameters
    ----------
    modules : sequence of Module
        Those that the field is made of, with all their parts.
    device : torch.device
    """

    def __init__(self, modules: Sequence[nn.Module], device: torch.device) -> None:
        self._random = RandomStates.current(device)
        self._drawn = False
        slots = dict.fromkeys(buffer_slots(modules))
        self._start = {slot: _buffer(slot).detach().clone() for slot in slots}
        self._held = {slot: _stamp(_buffer(slot)) for slot in slots if not _is_statistic(slot)}
        self._means: dict[Slot, Tensor] = {s: self._start[s] for s in slots if _is_statistic(s)}
        self._moving = set(self._means)
        self._count = 0
        self._forward = True

    def evaluate(self, f: Callable[..., Any], *args: Any) -> Any:
        """The value of ``f(*args)``, from the start of all evaluations."""
        if self._moving or self._drawn:
            value = self._evaluate_again(f, *args)
        else:
            value = f(*args)
        if self._forward:
            self._look_for_moves()
        return value

    def repeat(self, f: Callable[..., Any], *args: Any) -> Any:
        """The same for an evaluation made once more, of which nothing is taken down."""
        forward, self._forward = self._forward, False
        try:
            return self.evaluate(f, *args)
        finally:
            self._forward = forward

    def _evaluate_again(self, f: Callable[..., Any], *args: Any) -> Any:
        copies: dict[Slot, Tensor | None] = {s: self._start[s].clone() for s in self._moving}
        again = self._random.again() if self._drawn else nullcontext()
        with swapped(copies, "_buffers"), again:
            value = f(*args)
            if self._forward and self._means:
                self._collect()
        return value

    def _look_for_moves(self) -> None:
        """Find out whether the evaluation, which began at the start of all, drew or moved."""
        if not self._drawn and not self._random.stands():
            self._drawn = True
        for slot, stamp in self._held.items():
            if slot not in self._moving and _stamp(_buffer(slot)) != stamp:
                self._moving.add(slot)

    def end_of_forward(self) -> None:
        """Let batch norms move, once."""
        self._held.clear()
        if self._forward and self._count:
            with torch.no_grad():
                for slot, mean in self._means.items():
                    _buffer(slot).copy_(mean)
        self._forward = False

    @property
    def moving(self) -> set[Slot]:
        """Where the buffers are that evaluations move."""
        return self._moving

    def _collect(self) -> None:
        self._count += 1
        with torch.no_grad():
            for slot, mean in self._means.items():
                now = _buffer(slot).detach()
                step = (now - mean) / self._count if mean.is_floating_point() else now - mean
                self._means[slot] = mean + step


def _buffer(slot: Slot) -> Tensor:
    module, name = slot
    buffer = module._buffers[name]
    assert buffer is not None
    return buffer


def _is_statistic(slot: Slot) -> bool:
    return isinstance(slot[0], _NormBase)
