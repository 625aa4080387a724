"""Calls of the user's functions: their extra arguments, and what their values must be."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from odemom.checks import invalid
from odemom.nn.recompute.holders import Snapshot, replaced
from odemom.nn.recompute.refusals import moved_input
from odemom.nn.recompute.second_call import Autocast

__all__ = ["Extras", "call_function", "where"]


def where(function: nn.Module, n: int) -> str:
    """The name of function number ``n`` for messages."""
    label = getattr(function, "label", None)
    return label if isinstance(label, str) else f"functions[{n}] ({type(function).__name__})"


def call_function(
    function: nn.Module,
    x: Tensor,
    extras: Extras,
    name: str,
    autocast: Autocast | None = None,
    others: Mapping[int, Tensor] | None = None,
) -> Tensor:
    """``function(x, *extras)``, refused unless it can be added to ``x`` and left ``x`` alone.

    ``autocast`` is that in force, looked up where it matters if it is None.

    Raises
    ------
    InvalidInputError
        If the value is no tensor, or changes the shape or the dtype of the input (under autocast a
        narrower float type is expected); if the function changes its input in place.
    """
    # Compiled code has no version counters.
    watched = not torch.compiler.is_compiling() and not x.is_inference()
    version = x._version if watched else 0
    try:
        f = extras.call(function, x, others)
    except RuntimeError as error:
        if "a leaf Variable that requires grad" in str(error) and x.is_leaf:
            raise moved_input(name) from error
        raise
    if watched and x._version != version:
        raise moved_input(name)
    if isinstance(f, Tensor) and f.shape == x.shape and f.dtype == x.dtype:
        return f
    expected = f"one tensor of shape {tuple(x.shape)} and dtype {x.dtype}, like its input"
    if not isinstance(f, Tensor):
        fix = "Return the residual alone." if isinstance(f, tuple | list) else ""
        raise invalid(name, got=f"a value of type {type(f).__name__}", expected=expected, fix=fix)
    if f.shape != x.shape:
        raise invalid(name, got=f"a value of shape {tuple(f.shape)}", expected=expected)
    narrower = f.is_floating_point() and f.dtype.itemsize <= x.dtype.itemsize
    if not (narrower and (autocast or Autocast.current(x.device)).enabled):
        raise invalid(name, got=f"a value of dtype {f.dtype}", expected=expected)
    return f


class Extras:
    """The arguments of the functions besides x, which are the caller's own."""

    def __init__(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        self._args = args
        self._kwargs = kwargs

    def snapshot(self) -> Snapshot:
        """What they hold now; a function may put something into them."""
        return Snapshot((*self._args, *self._kwargs.values()))

    def call(
        self, function: Callable[..., Any], x: Tensor, others: Mapping[int, Tensor] | None = None
    ) -> Any:
        """``function(x, *args, **kwargs)`` with ``others[id(t)]`` in place of a tensor t.

        Tensors in lists, dicts and objects are not replaced here but by `holders.as_it_was`.
        """
        args, kwargs = self._args, self._kwargs
        if others:
            args = replaced(args, others)
            kwargs = {name: replaced(value, others) for name, value in kwargs.items()}
        return function(x, *args, **kwargs)
