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
import sys
import types
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

__all__ = ["Snapshot", "as_it_was", "found_again", "replaced", "version_of"]

OF_EVERY_MODULE = frozenset(vars(nn.Module())) - {"training"}
"""Attributes that every module has: its parameters, buffers, submodules and hooks."""

HOLDS_NOTHING = frozenset({int, float, complex, bool, str, bytes, type(None), slice, range})
HOLDS_NOTHING |= {torch.dtype, torch.device, torch.Size, torch.layout, torch.memory_format}

NOT_WALKED = (
    nn.Module, type, types.ModuleType, types.FunctionType, types.BuiltinFunctionType,
    types.MethodType, functools.partial, enum.Enum,
)  # fmt: skip
"""Objects that are no place where a call keeps things, or whose tensors are their own."""

FOLLOWED = 10_000
"""Values of attributes that are looked at for objects: these may lead anywhere."""


class Kind(NamedTuple):
    """How to read what a holder of one kind holds, to look at it uncopied, and to write it."""

    read: Callable[[Any], Any]
    look: Callable[[Any], Any]
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


def _read_mode(module: nn.Module) -> list[bool]:
    return [module.training]


def _write_mode(module: nn.Module, content: list[bool]) -> None:
    module.training = content[0]


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


def _itself(holder: Any) -> Any:
    return holder


LIST = Kind(list, _itself, _write_list)
DEQUE = Kind(list, _itself, _write_deque)
SET = Kind(list, list, _write_set)
DICT = Kind(dict, _itself, _write_dict)
ATTRIBUTES = Kind(_read_attributes, vars, _write_attributes)
SLOTS = Kind(_read_slots, _read_slots, _write_slots)
OWN = Kind(_read_attributes, vars, _write_own)
MODE = Kind(_read_mode, _read_mode, _write_mode)
"""Of modules that keep it elsewhere than among their attributes."""

Held = tuple[Any, Kind, Any]


class Snapshot:
    """What lists, dicts, objects and modules held at a moment, by reference.

    Parameters
    ----------
    values : iterable
        Everything mutable that is reached from these is looked into: lists, tuples, dicts, sets,
        deques, and objects with attributes that are no modules or functions.
    modules : iterable of Module
        Their own attributes and modes, and the lists, dicts, sets and deques held there;
        parameters, buffers, submodules and hooks are left out.
    objects : bool
        Whether objects in attributes of ``modules`` are looked into as well, and what they lead to,
        as far as `FOLLOWED` values go.

    Attributes
    ----------
    tensors : tuple of Tensor
        Those met, each once.
    """

    def __init__(
        self,
        values: Iterable[Any] = (),
        modules: Iterable[nn.Module] = (),
        *,
        objects: bool = False,
    ) -> None:
        self._held: list[Held] = []
        seen: dict[int, Any] = {}
        self._visit(deque(values), seen, objects=True)
        attributes: deque[Any] = deque()
        for module in modules:
            content = self._hold(module, OWN)
            if "training" not in content:
                self._hold(module, MODE)
            for name, value in content.items():
                if type(value) not in HOLDS_NOTHING and name not in OF_EVERY_MODULE:
                    attributes.append(value)
        if objects:
            self._visit(attributes.copy(), {}, objects=True, most=FOLLOWED)
        self._visit(attributes, seen, objects=False)
        self.tensors: tuple[Tensor, ...] = tuple(t for t in seen.values() if isinstance(t, Tensor))
        self._versions = [version_of(t) for t in self.tensors]

    def __bool__(self) -> bool:
        """Whether anything is held."""
        return bool(self._held) or bool(self.tensors)

    def _hold(self, holder: Any, kind: Kind) -> Any:
        content = kind.read(holder)
        self._held.append((holder, kind, content))
        return content

    def _visit(
        self, pending: deque[Any], seen: dict[int, Any], *, objects: bool, most: int = sys.maxsize
    ) -> None:
        while pending and most > 0:
            value, most = pending.popleft(), most - 1
            if type(value) in HOLDS_NOTHING or id(value) in seen:
                continue
            seen[id(value)] = value
            if not isinstance(value, Tensor):
                pending.extend(self._parts(value, objects=objects))

    def _parts(self, value: Any, *, objects: bool) -> list[Any]:
        """What a value holds, after it is noted."""
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
        return parts

    def changed(self, besides: Snapshot | None = None) -> Snapshot:
        """Of those that hold something else now, and of those in an earlier answer ``besides``."""
        known = set() if besides is None else {id(h) for h in besides._held}
        result = Snapshot()
        result._held = [h for h in self._held if id(h) in known or not _unchanged(h)]
        return result

    def changed_in_place(self) -> bool:
        """Whether one of the tensors was."""
        return self._versions != [version_of(t) for t in self.tensors]

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
            if not _same(kind, content, kind.look(holder)):
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


def found_again(
    arguments: Snapshot,
    attributes: Snapshot,
    moved: Snapshot,
    modules: Iterable[nn.Module],
    others: Mapping[int, Tensor],
) -> AbstractContextManager[None]:
    """`as_it_was` where anything is not; ``moved`` is what the call to be repeated had changed."""
    changed = attributes.changed(moved)
    if not arguments and not changed:
        return nullcontext()
    return as_it_was(arguments, changed, modules, others)


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


def _unchanged(held: Held) -> bool:
    holder, kind, content = held
    return _same(kind, content, kind.look(holder))


def _same(kind: Kind, a: Any, b: Any) -> bool:
    if not isinstance(a, dict):
        return len(a) == len(b) and all(map(operator.is_, a, b))
    if a.keys() == b.keys():
        # Their order is looked at first: it hardly ever changes, and is faster than to look up.
        if all(map(operator.is_, a.values(), b.values())):
            return True
        if all(map(operator.is_, a.values(), map(b.get, a))):
            return True
    return (
        kind is OWN
        and (len(a), len(b)) != (len(_own(a)), len(_own(b)))
        and _same(ATTRIBUTES, _own(a), _own(b))
    )


def version_of(tensor: Tensor) -> int | None:
    """How often a tensor was changed in place; None where that is not counted."""
    return None if tensor.is_inference() else tensor._version
