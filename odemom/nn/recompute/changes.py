"""What was changed in a function between its two calls and is not put back, for messages.

Attributes and modes are put back (`holders`), and so they are the cause of nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from torch import nn

__all__ = ["Facts"]

SHOWN = 4
"""Changes that a message names."""


@dataclass(frozen=True, slots=True)
class Part:
    """One module at a moment: its hooks, parameters and buffers."""

    module: nn.Module
    hooks: tuple[Any, ...]
    parameters: dict[str, tuple[Any, ...]]
    buffers: dict[str, Any]

    @classmethod
    def of(cls, module: nn.Module) -> Part:
        """As it is now."""
        hooks = (*module._forward_pre_hooks, *module._forward_hooks)
        parameters = {
            name: (id(p), p.dtype, p.requires_grad, None if p.is_inference() else p._version)
            for name, p in module._parameters.items()
            if p is not None
        }
        buffers = {name: b.dtype for name, b in module._buffers.items() if b is not None}
        return cls(module, hooks, parameters, buffers)


class Facts:
    """What is known of a function at a moment.

    Parameters
    ----------
    function : Module
    modules : iterable of Module
        It and all its parts.
    """

    def __init__(self, function: nn.Module, modules: Iterable[nn.Module]) -> None:
        self._function = function
        self._parts = [Part.of(module) for module in modules]

    def changes(self) -> str:
        """A sentence on what is different now; empty if nothing is."""
        found = list(self._changes())
        if not found:
            return ""
        more = f", and {len(found) - SHOWN} more changes" if len(found) > SHOWN else ""
        return f"Since its forward pass {', '.join(found[:SHOWN])}{more}."

    def _changes(self) -> Iterator[str]:
        paths = {id(module): path for path, module in self._function.named_modules()}
        known = {id(part.module) for part in self._parts}
        for part in self._parts:
            kind = type(part.module).__name__
            if id(part.module) in paths:
                yield from _differences(paths[id(part.module)], part, Part.of(part.module))
            else:
                yield f"a {kind} was removed from it"
        for path, module in self._function.named_modules():
            if id(module) not in known:
                yield f"{path} ({type(module).__name__}) was added"


def _differences(path: str, old: Part, new: Part) -> Iterator[str]:
    dot = f"{path}." if path else ""
    if old.hooks != new.hooks:
        yield f"forward hooks of {path or 'it'} were added or removed"
    for name in dict.fromkeys((*old.parameters, *new.parameters)):
        change = _parameter_change(old.parameters.get(name), new.parameters.get(name))
        if change:
            yield f"{dot}{name} {change}"
    for name in old.buffers.keys() & new.buffers.keys():
        if old.buffers[name] != new.buffers[name]:
            yield f"{dot}{name} went from {old.buffers[name]} to {new.buffers[name]}"


def _parameter_change(old: tuple[Any, ...] | None, new: tuple[Any, ...] | None) -> str:
    if old == new:
        return ""
    if old is None or new is None:
        return "was added" if old is None else "was removed"
    if old[0] != new[0]:
        return "was replaced"
    if old[1] != new[1]:
        return f"went from {old[1]} to {new[1]}"
    if old[2] != new[2]:
        return f"had requires_grad switched to {new[2]}"
    return "was changed in place"
