"""Which of t, x and v a field takes, and in which order."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import partial
from typing import Any

from torch import nn

from odemom.checks import expect, shown

__all__ = ["modules_of", "roles_of", "takes"]

NAMES = {"t": ("t", "time"), "x": ("x",), "v": ("v", "velocity")}


def roles_of(f: Any, order: int, asked: str | None) -> tuple[str, ...]:
    """The roles of the first arguments of ``f``: ("x",), ("t", "x"), ("x", "v"), ("t", "x", "v").

    Parameters
    ----------
    f : nn.Module or callable
    order : int
        Only a second-order field has a velocity.
    asked : str or None
        The roles in words, "t, x"; None reads the names of the arguments that have no default.

    Examples
    --------
    >>> roles_of(lambda x: -x, 2, None), roles_of(lambda t, y: -t * y, 1, None)
    (('x',), ('t', 'x'))
    >>> roles_of(lambda x, v: -x - v, 2, None), roles_of(lambda x, c: -x + c, 2, None)
    (('x', 'v'), ('x',))
    """
    if asked is not None:
        return _as_roles(asked, order)
    names = _required(f)
    if len(names) < 2:
        return ("x",)
    known = ("t", "v") if order == 2 else ("t",)
    kinds = [next((r for r in known if name in NAMES[r]), "") for name in names[:3]]
    roles = ["t", "x"] if kinds[0] == "t" else ["x"]
    for kind in kinds[len(roles) :]:
        if not kind or kind in roles:
            break
        roles.append(kind)
    return tuple(roles)


def _as_roles(asked: Any, order: int) -> tuple[str, ...]:
    expected = "some of t, x and (for order 2) v in the order of f's arguments, such as 't, x'"
    roles = tuple(asked.replace(",", " ").split()) if isinstance(asked, str) else ()
    allowed = {"t", "x", "v"} if order == 2 else {"t", "x"}
    fits = "x" in roles and set(roles) <= allowed and len(set(roles)) == len(roles)
    expect(fits, "arguments", got=shown(asked), expected=expected)
    return roles


def _signature(f: Any) -> inspect.Signature | None:
    target = getattr(f, "_orig_mod", f)  # a compiled module hides its own
    try:
        return inspect.signature(target.forward if isinstance(target, nn.Module) else target)
    except (TypeError, ValueError):
        return None


def _required(f: Any) -> list[str]:
    signature = _signature(f)
    places = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    parameters = signature.parameters.values() if signature else ()
    return [p.name for p in parameters if p.kind in places and p.default is p.empty]


def takes(f: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
    """Whether ``f(*args, **kwargs)`` fits its signature."""
    signature = _signature(f)
    if signature is None:
        return True
    try:
        signature.bind(*args, **kwargs)
    except TypeError:
        return False
    return True


def modules_of(f: Callable[..., Any]) -> list[nn.Module]:
    """The modules that a field calls, as far as they are seen: itself, or those a function names.

    Examples
    --------
    >>> net = nn.Linear(2, 2)
    >>> modules_of(net) == modules_of(lambda x: net(x)) == modules_of(net.forward) == [net]
    True
    """
    if isinstance(f, nn.Module):
        return [f]
    if isinstance(f, partial):
        return [m for part in (f.func, *f.args) if callable(part) for m in modules_of(part)]
    found = [getattr(f, "__self__", None)]
    function = getattr(f, "__func__", f)
    for cell in getattr(function, "__closure__", None) or ():
        try:
            found.append(cell.cell_contents)
        except ValueError:  # a name that is not bound yet
            continue
    code = getattr(function, "__code__", None)
    found += [function.__globals__.get(name) for name in code.co_names] if code else []
    return [m for m in found if isinstance(m, nn.Module)]
