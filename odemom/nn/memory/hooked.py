"""What the hooks of a model keep outside of it, in lists and dicts that they know."""

from __future__ import annotations

import functools
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from torch import nn

__all__ = ["put_back_what_hooks_keep"]

KEEPERS = (list, dict, set, deque)


@contextmanager
def put_back_what_hooks_keep(modules: Iterable[nn.Module]) -> Iterator[None]:
    """Afterwards the lists, dicts, sets and deques that hooks append to hold what they held.

    Those in closures of the hooks, and globals that they name.
    """
    keepers = {id(keeper): keeper for hook in _hooks(modules) for keeper in _kept_by(hook)}
    before = [(keeper, keeper.copy()) for keeper in keepers.values()]
    try:
        yield
    finally:
        for keeper, content in before:
            if len(keeper) != len(content) or not _same(keeper, content):
                keeper.clear()
                (keeper.extend if isinstance(keeper, list | deque) else keeper.update)(content)


def _hooks(modules: Iterable[nn.Module]) -> Iterator[Callable[..., Any]]:
    for module in modules:
        for name, hooks in vars(module).items():
            if name.endswith("_hooks") and isinstance(hooks, dict):
                yield from hooks.values()


def _kept_by(hook: Any) -> Iterator[Any]:
    while isinstance(hook, functools.partial):
        yield from (a for a in (*hook.args, *hook.keywords.values()) if isinstance(a, KEEPERS))
        hook = hook.func
    function = getattr(hook, "__func__", hook)
    code = getattr(function, "__code__", None)
    if code is None:
        return
    for cell in function.__closure__ or ():
        try:
            value = cell.cell_contents
        except ValueError:  # not filled yet
            continue
        if type(value) in KEEPERS:
            yield value
    known = function.__globals__
    yield from (known[name] for name in code.co_names if type(known.get(name)) in KEEPERS)


def _same(keeper: Any, content: Any) -> bool:
    if isinstance(keeper, dict):
        return all(key in keeper and keeper[key] is value for key, value in content.items())
    return isinstance(keeper, set) or all(a is b for a, b in zip(keeper, content, strict=True))
