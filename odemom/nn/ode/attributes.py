"""The attributes of a field, held from a forward pass to its backward pass.

A field may read numbers, tensors and functions that it keeps as attributes (the control of an
equation, a strength of regularisation, the mode that `train` and `eval` switch), and these may be
others when a gradient goes back. What a call leaves as it is, is put back for its backward pass;
what it moves itself, such as a counter of its evaluations, is its own affair.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, MutableMapping
from contextlib import contextmanager
from typing import Any

from torch import Tensor, nn

from odemom.errors import ReversibilityError
from odemom.nn.recompute.holders import NOT_WALKED, OF_EVERY_MODULE, version_of

__all__ = ["Attributes"]

LEVELS = 2
"""How deep objects, dicts and lists in attributes are looked into."""

MOST = 64
"""Entries of an object, dict or list that is looked into."""

PLAIN = frozenset({bool, int, float, complex, str, type(None)})
NOT_OWN = OF_EVERY_MODULE - {"training"}
GONE = object()
"""In place of what is not there."""


class Attributes:
    """What modules have as attributes, and the numbers and tensors in objects that stand there.

    Parameters
    ----------
    modules : iterable of Module
        Of their submodules it is held which ones they are; parameters and buffers are left out.
    """

    def __init__(self, modules: Iterable[nn.Module]) -> None:
        self._places: list[_Place] = []
        seen: set[int] = set()
        for module in modules:
            kind, content = type(module).__name__, vars(module)
            own = {k: content[k] for k in content.keys() - NOT_OWN}
            self._places.append(_Place(kind, content, own, attributes=True))
            if module._modules:
                parts = dict(module._modules)
                self._places.append(_Place(kind, module._modules, parts, attributes=False))
            for name, value in own.items():
                if type(value) not in PLAIN:
                    self._look_into(f"{kind}.{name}", value, LEVELS, seen)

    def _look_into(self, name: str, value: Any, levels: int, seen: set[int]) -> None:
        content = _content(value)
        if content is None or len(content) > MOST or id(value) in seen:
            return
        seen.add(id(value))
        numbers = {k: v for k, v in content.items() if _is_number(v)}
        self._places.append(_Place(name, content, numbers, attributes=False))
        for key in content.keys() - numbers.keys() if levels > 1 else ():
            self._look_into(f"{name}.{key}", content[key], levels - 1, seen)

    def end_of_forward(self) -> None:
        """Let go of what the call has moved; the rest is held."""
        for place in self._places:
            place.keep_unmoved()

    @contextmanager
    def put_back(self) -> Iterator[None]:
        """Put back for a while what is held.

        Raises
        ------
        ReversibilityError
            If a tensor was changed in place.
        """
        for place in self._places:
            place.require_same_tensors()
        undone = [(place, others) for place in self._places if (others := place.put_back())]
        try:
            yield
        finally:
            for place, others in undone:
                place.restore(others)


class _Place:
    """The attributes of a module, or what an object, dict or list there holds, at a moment."""

    def __init__(
        self,
        name: str,
        content: MutableMapping[Any, Any],
        held: dict[Any, Any],
        *,
        attributes: bool,
    ) -> None:
        self._name, self._content, self._held = name, content, held
        self._attributes = attributes
        self._known = held.keys()
        self._versions = {k: version_of(v) for k, v in held.items() if isinstance(v, Tensor)}

    def keep_unmoved(self) -> None:
        """Hold what still is what it was."""
        now, versions = self._content, self._versions
        if self._attributes:
            self._known = self._known | (now.keys() - NOT_OWN)
        self._held = {
            k: v
            for k, v in self._held.items()
            if _same(now.get(k, GONE), v) and (k not in versions or versions[k] == version_of(v))
        }

    def require_same_tensors(self) -> None:
        """Raise if one of those held was changed in place."""
        for key, version in self._versions.items():
            tensor = self._held.get(key)
            if tensor is not None and version_of(tensor) != version:
                raise ReversibilityError(
                    f"f is not the field of the forward pass: {self._name}.{key} was changed in "
                    "place since. Put another tensor there instead, or build the block with "
                    "gradient='backprop'."
                )

    def put_back(self) -> dict[Any, tuple[Any, Any]]:
        """Put back what is held; what was put and what stood there, by key."""
        now, others = self._content, {}
        for key, value in self._held.items():
            there = now.get(key, GONE)
            if not _same(there, value) and (self._attributes or there is not GONE):
                others[key] = value, there
                now[key] = value
        if self._attributes:
            for key in now.keys() - NOT_OWN - self._known:
                others[key] = GONE, now.pop(key)
        return others

    def restore(self, others: dict[Any, tuple[Any, Any]]) -> None:
        """Undo `put_back`, but for what has changed meanwhile."""
        now = self._content
        for key, (put, before) in others.items():
            if now.get(key, GONE) is not put:
                continue
            if before is GONE:
                del now[key]
            else:
                now[key] = before


class _Entries(MutableMapping[int, Any]):
    """A list as a mapping from its places."""

    def __init__(self, entries: list[Any]) -> None:
        self._entries = entries

    def __getitem__(self, key: int) -> Any:
        if key >= len(self._entries):
            raise KeyError(key)
        return self._entries[key]

    def __setitem__(self, key: int, value: Any) -> None:
        self._entries[key] = value

    def __delitem__(self, key: int) -> None:
        del self._entries[key]

    def __iter__(self) -> Iterator[int]:
        return iter(range(len(self._entries)))

    def __len__(self) -> int:
        return len(self._entries)


def _content(value: Any) -> MutableMapping[Any, Any] | None:
    """What a list, dict or plain object holds, to be read and written."""
    if type(value) is list:
        return _Entries(value)
    if type(value) is dict:
        return value
    if isinstance(value, (*NOT_WALKED, Tensor, list, dict, tuple, set, frozenset)):
        return None
    return getattr(value, "__dict__", None)


def _is_number(value: Any) -> bool:
    return type(value) in PLAIN or isinstance(value, Tensor)


def _same(now: Any, before: Any) -> bool:
    if now is before:
        return True
    return type(now) is type(before) and type(now) in PLAIN and repr(now) == repr(before)
