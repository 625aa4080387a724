"""The places in modules where parameters and buffers are, and putting others there for a while."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field

from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase  # the common base of all batch norms

__all__ = ["Buffers", "Slot", "buffer_slots", "buffers_put_aside", "parameter_at",
           "parameter_slots", "parameters_at", "swapped"]  # fmt: skip

Slot = tuple[nn.Module, str]

FEW = 16
"""Entries of a buffer whose values are kept in any case: a strength, a step, a temperature."""

LIBRARIES = ("torch.", "timm.", "torchvision.")
"""Whose batch norms normalise by the batch alone while they train."""


def parameter_slots(modules: Iterable[nn.Module]) -> list[Slot]:
    """Every place in ``modules`` that holds a parameter, shared ones as often as they occur."""
    return [
        (part, name)
        for part in modules
        for name, parameter in part._parameters.items()
        if parameter is not None
    ]


def parameters_at(slots: Iterable[Slot]) -> tuple[Tensor, ...]:
    """The parameters that modules hold in places where there are some."""
    there = (parameter_at(slot) for slot in slots)
    return tuple(parameter for parameter in there if parameter is not None)


def parameter_at(slot: Slot) -> Tensor | None:
    """The parameter that a module holds in a place; None if it is gone."""
    module, name = slot
    return module._parameters.get(name)


@contextmanager
def swapped(tensors: Mapping[Slot, Tensor | None], place: str) -> Iterator[None]:
    """Exchange entries of modules' ``_parameters`` or ``_buffers`` (``place``) for a while."""
    before: list[tuple[dict[str, Tensor | None], str, bool, Tensor | None]] = []
    try:
        for (module, name), tensor in tensors.items():
            held = getattr(module, place)
            before.append((held, name, name in held, held.get(name)))
            held[name] = tensor
        yield
    finally:
        for held, name, was_there, tensor in before:
            if was_there:
                held[name] = tensor
            else:
                held.pop(name, None)


@functools.cache
def _is_batch_norm(kind: type) -> bool:
    """Whether modules of this class only write their buffers in training, and only read else.

    What is derived from a batch norm may read them in training, too (batch renormalisation).
    """
    return issubclass(kind, _NormBase) and kind.forward.__module__.startswith(LIBRARIES)


def buffer_slots(modules: Iterable[nn.Module]) -> list[Slot]:
    """Where the buffers are that a call may move: those of a batch norm only when it trains."""
    return [
        (part, name)
        for part in modules
        if not _is_batch_norm(type(part)) or (part.training and part.track_running_stats)
        for name, buffer in part._buffers.items()
        if buffer is not None
    ]


@contextmanager
def buffers_put_aside(modules: Iterable[nn.Module]) -> Iterator[None]:
    """Let calls of ``modules`` move copies of their buffers, which are then forgotten."""
    slots = buffer_slots(modules)
    copies: dict[Slot, Tensor | None] = {(m, name): copied(m._buffers[name]) for m, name in slots}
    with swapped(copies, "_buffers"):
        yield


def copied(buffer: Tensor | None) -> Tensor:
    """A buffer's values in a tensor of its own."""
    assert buffer is not None
    return buffer.detach().clone()


@dataclass
class Buffers:
    """The buffers that a call finds, to be found again by a second one.

    Attributes
    ----------
    moved : dict
        The values, before the call, of those that it moved. Batch norms in training are left out:
        their values do not depend on their buffers.
    held : dict
        The others, which the caller may exchange.
    few : dict
        Version and values of the small ones among these, which the caller may change in place.
    """

    moved: dict[Slot, Tensor] = field(default_factory=dict)
    held: dict[Slot, Tensor] = field(default_factory=dict)
    few: dict[Slot, tuple[int, Tensor]] = field(default_factory=dict)

    @classmethod
    @contextmanager
    def recording(cls, modules: Iterable[nn.Module]) -> Iterator[Buffers]:
        """Record the call made inside."""
        parts = [m for m in modules if m._buffers]
        own = [s for s in buffer_slots(parts) if not _is_batch_norm(type(s[0]))]
        copies = {slot: (there, copied(there)) for slot in own if (there := _at(slot)) is not None}
        versions = {slot: there._version for slot, (there, _) in copies.items()}
        still = [m for m in parts if _is_batch_norm(type(m)) and not m.training]
        buffers = cls(
            held={(m, k): b for m in still for k, b in m._buffers.items() if b is not None}
        )
        yield buffers
        for slot, (there, copy) in copies.items():
            now = _at(slot)
            if now is there and there._version == versions[slot]:
                buffers.held[slot] = there
                if copy.numel() <= FEW:
                    buffers.few[slot] = versions[slot], copy
            else:
                buffers.moved[slot] = copy

    @contextmanager
    def again(self, modules: Iterable[nn.Module]) -> Iterator[None]:
        """Put them back for the call made inside, and let it move copies."""
        fresh = {slot: copied(copy) for slot, copy in self.moved.items()}
        fresh |= {slot: held for slot, held in self.held.items() if _at(slot) is not held}
        fresh |= {
            slot: copied(copy)
            for slot, (version, copy) in self.few.items()
            if self.held[slot]._version != version
        }
        with ExitStack() as stack:
            stack.enter_context(buffers_put_aside(modules))
            stack.enter_context(swapped(fresh, "_buffers"))
            yield


def _at(slot: Slot) -> Tensor | None:
    module, name = slot
    return module._buffers.get(name)
