"""Copies of modules that share their parameters and children, and of classes with other bases."""

from __future__ import annotations

import copy
import functools
import types
from collections.abc import Container
from typing import Any

from torch import nn
from torch.nn.utils.parametrize import is_parametrized

__all__ = ["copied", "derived", "mentions", "rebind", "with_replacements"]


def copied(module: Any) -> Any:
    """A copy of a module itself: its parameters and children are the same, its hooks its own.

    As other copies of modules it is not compiled.
    """
    kind: Any = type(module)
    parametrized = is_parametrized(module)  # which objects to being copied in the ordinary way
    twin = kind.__new__(kind) if parametrized else copy.copy(module)
    twin.__dict__ = dict(module.__dict__)
    twin.__dict__.pop("_compiled_call_impl", None)
    for name, value in module.__dict__.items():
        if name == "_modules" or ("_hooks" in name and isinstance(value, dict)):
            twin.__dict__[name] = type(value)(value) if name != "_modules" else dict(value)
    rebind(twin, module)
    return twin


def rebind(new: Any, old: Any) -> None:
    """Bind the methods among the attributes of ``new`` that are bound to ``old``."""
    for name, value in new.__dict__.items():
        if isinstance(value, types.MethodType) and value.__self__ is old:
            new.__dict__[name] = types.MethodType(_method(value.__func__, new, old), new)
        elif isinstance(value, functools.partial) and old in value.args:
            args = [new if argument is old else argument for argument in value.args]
            new.__dict__[name] = functools.partial(value.func, *args, **value.keywords)


def _method(function: Any, new: Any, old: Any) -> Any:
    name = getattr(function, "__name__", "")
    ours = getattr(type(old), name, None) is function
    return getattr(type(new), name) if ours and hasattr(type(new), name) else function


def derived(kind: type[Any], bases: list[type[Any]]) -> type[Any]:
    """The same class with other bases."""
    own = {k: v for k, v in vars(kind).items() if k not in ("__dict__", "__weakref__")}
    return types.new_class(kind.__name__, tuple(bases), {}, lambda space: space.update(own))


def mentions(module: nn.Module, wanted: Container[int]) -> bool:
    """Whether a module holds one of those of the identities ``wanted``, as a child or elsewhere."""
    waiting, seen = list(vars(module).values()), set()
    while waiting:
        value = waiting.pop()
        if isinstance(value, types.MethodType):
            value = value.__self__
        if isinstance(value, nn.Module):
            if id(value) in wanted and value is not module:
                return True
        elif isinstance(value, HOLDERS) and id(value) not in seen:
            seen.add(id(value))
            waiting += _parts(value)
    return False


HOLDERS = (list, tuple, dict, functools.partial, types.FunctionType)
"""What is looked into for modules; into functions for what they close over."""


def _parts(held: Any) -> list[Any]:
    """What is in a list, tuple, dict, partial or function."""
    if isinstance(held, functools.partial):
        return [held.func, held.args, held.keywords]
    if isinstance(held, types.FunctionType):
        return [_content(cell) for cell in held.__closure__ or ()]
    return list(held.values() if isinstance(held, dict) else held)


def _content(cell: types.CellType) -> Any:
    """The module, method or function that a function closes over; None for anything else.

    A list among them is the user's own, and stays it.
    """
    try:
        found = cell.cell_contents
    except ValueError:  # not assigned yet
        return None
    ours = isinstance(found, nn.Module | types.MethodType | types.FunctionType)
    return found if ours else None


def with_replacements(
    value: Any, done: dict[int, nn.Module], above: frozenset[int] = frozenset()
) -> Any:
    """``value`` with modules and their methods replaced, in lists, dicts and functions too.

    Parameters
    ----------
    value : object
    done : dict
        A module in place of the one of that identity.
    above : frozenset of int
        The identities of what holds the value, in which it is not looked for again.

    Returns
    -------
    object
        ``value`` itself where nothing in it is replaced.
    """
    if isinstance(value, nn.Module):
        return done.get(id(value), value)
    if isinstance(value, types.MethodType) and id(value.__self__) in done:
        there = getattr(done[id(value.__self__)], value.__func__.__name__, None)
        return there if isinstance(there, types.MethodType) else value
    held: Any = value
    if not isinstance(held, HOLDERS) or id(held) in above:
        return held
    parts = _parts(held)
    inside = above | {id(held)}
    found = [with_replacements(part, done, inside) for part in parts]
    if all(a is b for a, b in zip(found, parts, strict=True)):
        return held
    if isinstance(held, types.FunctionType):
        return _closing_over(held, found)
    if isinstance(held, functools.partial):
        made: Any = functools.partial(found[0], *found[1], **found[2])
        made.__dict__.update(held.__dict__)
    elif isinstance(held, tuple):
        made = type(held)(*found) if hasattr(held, "_fields") else type(held)(found)
    elif isinstance(held, dict):
        made = copy.copy(held)
        made.update(zip(held, found, strict=True))
    else:
        made = copy.copy(held)
        made[:] = found
    return made


def _closing_over(function: types.FunctionType, found: list[Any]) -> types.FunctionType:
    """The same function, which finds other modules where ``found`` has any."""
    cells = tuple(
        cell if new is None or new is cell.cell_contents else types.CellType(new)
        for cell, new in zip(function.__closure__ or (), found, strict=True)
    )
    made = types.FunctionType(
        function.__code__, function.__globals__, function.__name__, function.__defaults__, cells
    )
    made.__kwdefaults__, made.__doc__ = function.__kwdefaults__, function.__doc__
    made.__dict__.update(function.__dict__)
    return made
