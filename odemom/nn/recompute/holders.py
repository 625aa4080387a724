"""What mutable values hold at a moment, and putting it back without another copy of anything.

A function may keep things where its next call finds them: in a list, a dict or an object among its
arguments (a key-value cache), or in an attribute of its own. A `Snapshot` remembers, by reference,
what all of these held; `as_it_was` puts that back into the very same lists and objects for a
while, with other tensors in place of some, and afterwards what they held before.
"""

from __future__ import annotations

import enum
import functools
import operator
import types
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

__all__ = ["Snapshot", "as_it_was", "replaced"]

OF_EVERY_MODULE = frozenset(vars(nn.Module()))
"""Attributes that every module has: its parameters, buffers, submodules, hooks and mode."""

HOLDS_NOTHING = frozenset({int, float, complex, bool, str, bytes, type(None), slice, range})
HOLDS_NOTHING |= {torch.dtype, torch.device, torch.Size, torch.layout, torch.memory_format}

NOT_WALKED = (
    nn.Module, type, types.ModuleType, types.FunctionType, types.BuiltinFunctionType,
    types.MethodType, functools.partial, enum.Enum,
)  # fmt: skip
"""Objects that are no place where a call keeps things, or whose tensors are their own."""


class Kind(NamedTuple):
    """How to read what a holder of one kind holds, and how to write it."""

    read: Callable[[Any], Any]
    write: Callable[[Any, Any], None]


def _write_list(holder: list[Any], content: list[Any]) -> None:
    list.__setitem__(holder, slice(None), content)


def _write_deque(holder: deque[Any], content: list[Any]) -> None:
    holder.clear()
    holder.extend(content)


def _write_set(holder: set[Any], content: list[Any]) -> None:
    set.clear(holder)
    set.update(holder, content)


def _write_dict(holder: dict[Any, Any], content: dict[Any, Any]) -> None:
    # The methods of the base: those of a subclass may refuse, or keep books of their own.
    base: Any = OrderedDict if isinstance(holder, OrderedDict) else dict
    base.clear(holder)
    for key, value in content.items():
        base.__setitem__(holder, key, value)


def _read_attributes(holder: Any) -> dict[str, Any]:
    return dict(vars(holder))


def _write_attributes(holder: Any, content: dict[str, Any]) -> None:
    vars(holder).clear()
    vars(holder).update(content)


def _own(attributes: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in attributes.items() if name not in OF_EVERY_MODULE}


def _write_own(module: nn.Module, content: dict[str, Any]) -> None:
    for name in _own(vars(module)).keys() - content.keys():
        del vars(module)[name]
    vars(module).update(_own(content))


@functools.cache
def _slots(kind: type) -> tuple[str, ...]:
    named = [vars(base).get("__slots__", ()) for base in kind.__mro__]
    each = [name for slots in named for name in ((slots,) if isinstance(slots, str) else slots)]
    return tuple(name for name in each if name not in ("__dict__", "__weakref__"))


def _read_slots(holder: Any) -> dict[str, Any]:
    return {s: getattr(holder, s) for s in _slots(type(holder)) if hasattr(holder, s)}


def _write_slots(holder: Any, content: dict[str, Any]) -> None:
    for name in _slots(type(holder)):
        if name in content:
            object.__setattr__(holder, name, content[name])
        elif hasattr(holder, name):
            object.__delattr__(holder, name)


LIST = Kind(list, _write_list)
DEQUE = Kind(list, _write_deque)
SET = Kind(list, _write_set)
DICT = Kind(dict, _write_dict)
ATTRIBUTES = Kind(_read_attributes, _write_attributes)
SLOTS = Kind(_read_slots, _write_slots)
OWN = Kind(_read_attributes, _write_own)

Held = tuple[Any, Kind, Any]


class Snapshot:
    """What lists, dicts, objects and modules held at a moment, by reference.

    Parameters
    ----------
    values : iterable
        Everything mutable that is reached from these is looked into: lists, tuples, dicts, sets,
        deques, and objects with attributes that are no modules or functions.
    modules : iterable of Module
        Their own attributes, and the lists, dicts, sets and deques held there; parameters, buffers
        and submodules are left out.

    Attributes
    ----------
    tensors : tuple of Tensor
        Those met, each once.
    """

    def __init__(self, values: Iterable[Any] = (), modules: Iterable[nn.Module] = ()) -> None:
        self._held: list[Held] = []
        seen: dict[int, Any] = {}
        for value in values:
            self._visit(value, seen, objects=True)
        for module in modules:
            for name, value in self._hold(module, OWN).items():
                if type(value) not in HOLDS_NOTHING and name not in OF_EVERY_MODULE:
                    self._visit(value, seen, objects=False)
        self.tensors: tuple[Tensor, ...] = tuple(t for t in seen.values() if isinstance(t, Tensor))
        self._versions = [_version(t) for t in self.tensors]

    def __bool__(self) -> bool:
        """Whether anything is held."""
        return bool(self._held) or bool(self.tensors)

    def _hold(self, holder: Any, kind: Kind) -> Any:
        content = kind.read(holder)
        self._held.append((holder, kind, content))
        return content

    def _visit(self, value: Any, seen: dict[int, Any], *, objects: bool) -> None:
        if type(value) in HOLDS_NOTHING or id(value) in seen:
            return
        seen[id(value)] = value
        if isinstance(value, Tensor):
            return
        parts: list[Any] = []
        if isinstance(value, tuple | frozenset):
            parts += value
        elif isinstance(value, list):
            parts += self._hold(value, LIST)
        elif isinstance(value, dict):
            parts += self._hold(value, DICT).values()
        elif isinstance(value, deque):
            parts += self._hold(value, DEQUE)
        elif isinstance(value, set):
            parts += self._hold(value, SET)
        if objects and not isinstance(value, NOT_WALKED):
            if hasattr(value, "__dict__"):
                parts += self._hold(value, ATTRIBUTES).values()
            if _slots(type(value)):
                parts += self._hold(value, SLOTS).values()
        for part in parts:
            self._visit(part, seen, objects=objects)

    def changed(self) -> Snapshot:
        """Of those that hold something else now."""
        result = Snapshot()
        result._held = [h for h in self._held if not _same(h[1], h[2], h[1].read(h[0]))]
        return result

    def changed_in_place(self) -> bool:
        """Whether one of the tensors was."""
        return self._versions != [_version(t) for t in self.tensors]

    def now(self) -> Snapshot:
        """What the same ones hold now."""
        result = Snapshot()
        result._held = [(holder, kind, kind.read(holder)) for holder, kind, _ in self._held]
        return result

    def put_back(self, others: Mapping[int, Tensor]) -> None:
        """Make them hold it again, with ``others[id(t)]`` in place of a tensor t."""
        for holder, kind, content in self._held:
            if others and isinstance(content, dict):
                content = {key: replaced(value, others) for key, value in content.items()}
            elif others:
                content = [replaced(value, others) for value in content]
            if not _same(kind, content, kind.read(holder)):
                kind.write(holder, content)


@contextmanager
def as_it_was(
    arguments: Snapshot,
    attributes: Snapshot,
    modules: Iterable[nn.Module],
    others: Mapping[int, Tensor],
) -> Iterator[None]:
    """Put two snapshots back for a while; ``modules`` are those that a call inside may change."""
    before = arguments.now(), attributes.now(), Snapshot(modules=modules)
    try:
        arguments.put_back(others)
        attributes.put_back(others)
        yield
    finally:
        for snapshot in reversed(before):
            snapshot.put_back({})


def replaced(value: Any, others: Mapping[int, Tensor]) -> Any:
    """``value`` with ``others[id(t)]`` for a tensor t, also in tuples, which are made anew."""
    if isinstance(value, Tensor):
        return others.get(id(value), value)
    if not isinstance(value, tuple) or type(value) in HOLDS_NOTHING:
        return value
    parts = [replaced(part, others) for part in value]
    if all(a is b for a, b in zip(parts, value, strict=True)):
        return value
    kind = type(value)
    # Only their own constructor makes the tuples of torch.return_types.
    return kind(parts) if hasattr(kind, "n_fields") else tuple.__new__(kind, parts)


def _same(kind: Kind, a: Any, b: Any) -> bool:
    if isinstance(a, dict):
        if a.keys() == b.keys() and all(map(operator.is_, a.values(), map(b.get, a))):
            return True
        return (
            kind is OWN
            and (len(a), len(b)) != (len(_own(a)), len(_own(b)))
            and _same(ATTRIBUTES, _own(a), _own(b))
        )
    return len(a) == len(b) and all(map(operator.is_, a, b))


def _version(tensor: Tensor) -> int | None:
    return None if tensor.is_inference() else tensor._version
