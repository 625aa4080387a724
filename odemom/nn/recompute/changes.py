"""What was changed in a function between its two calls, for messages."""

from __future__ import annotations

from typing import Any

from torch import nn

from odemom.checks import shown

__all__ = ["Facts"]

PLAIN = frozenset({bool, int, float, str, type(None)})
"""Types of attributes that are compared by value, alone or in tuples."""

SHOWN = 4
"""Changes that a message names."""

Fact = tuple[str, str]


class Facts:
    """What is known of a function at a moment.

    Parameters
    ----------
    function : Module
    """

    def __init__(self, function: nn.Module) -> None:
        self._function = function
        self._known = _facts(function)

    def changes(self) -> str:
        """A sentence on what is different now; empty if nothing is."""
        now, found = _facts(self._function), list[str]()
        for fact in self._known | now:
            if fact not in self._known:
                found.append(f"{_name(fact)} was added")
            elif fact not in now:
                found.append(f"{_name(fact)} was removed")
            elif repr(self._known[fact]) != repr(now[fact]):
                found.append(_change(fact, self._known[fact], now[fact]))
        if not found:
            return ""
        more = f", and {len(found) - SHOWN} more changes" if len(found) > SHOWN else ""
        return f"Since its forward pass {', '.join(found[:SHOWN])}{more}."


def _facts(function: nn.Module) -> dict[Fact, Any]:
    found: dict[Fact, Any] = {}
    for path, module in function.named_modules():
        for name, value in vars(module).items():
            if type(value) in PLAIN or _is_plain_tuple(value):
                found[path, name] = value
        found[path, "its forward hooks"] = (*module._forward_pre_hooks, *module._forward_hooks)
        for name, p in module._parameters.items():
            if p is not None:
                about = id(p), p.requires_grad, p.dtype, None if p.is_inference() else p._version
                found[path, name] = about
        for name, buffer in module._buffers.items():
            if buffer is not None:
                found[path, name] = buffer.dtype
    return found


def _name(fact: Fact) -> str:
    return ".".join(part for part in fact if part)


def _is_plain_tuple(value: Any) -> bool:
    return type(value) is tuple and all(type(part) in PLAIN for part in value)


def _change(fact: Fact, old: Any, new: Any) -> str:
    path, name = fact
    if name == "training":
        switch = "from train() to eval()" if old else "from eval() to train()"
        return f"{path or 'it'} was switched {switch}"
    if name == "its forward hooks":
        return f"forward hooks of {path or 'it'} were added or removed"
    if isinstance(new, tuple) and len(new) == 4 and isinstance(new[1], bool):
        return f"{_name(fact)} {_parameter_change(old, new)}"
    return f"{_name(fact)} went from {shown(old)} to {shown(new)}"


def _parameter_change(old: Any, new: Any) -> str:
    if old[0] != new[0]:
        return "was replaced"
    if old[2] != new[2]:
        return f"went from {old[2]} to {new[2]}"
    if old[1] != new[1]:
        return f"had requires_grad switched to {new[1]}"
    return "was changed in place"
