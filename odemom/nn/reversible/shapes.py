"""States without values: what a reversible pass would hold, found on shapes alone.

Inside `on_shapes` a state is made of tensors without values (`torch._subclasses.FakeTensor`). Its
format is that of ordinary numbers, and its integer work, which moves the state in place, is left
out: it allocates nothing that lasts. `odemom.nn.memory_report` counts what is allocated.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import _disable_current_modes

from odemom.nn.reversible.eager import carried, force

__all__ = ["advance", "are_alone", "carried", "expose", "force", "on_shapes", "retreat"]

_alone: ContextVar[bool] = ContextVar("odemom_shapes_alone", default=False)

with _disable_current_modes():  # this module may be imported where tensors have no values
    FORWARD = torch.zeros(2, dtype=torch.int64, device="cpu")
    BACK = torch.zeros(1, dtype=torch.int64, device="cpu")
"""Checksums that are always found again, and a largest magnitude inside every range."""


@contextmanager
def on_shapes() -> Iterator[None]:
    """Have the states that are made inside a ``with`` block know shapes alone."""
    token = _alone.set(True)
    try:
        yield
    finally:
        _alone.reset(token)


def are_alone() -> bool:
    """Whether shapes are all that is known here."""
    return _alone.get()


def advance(
    x: Tensor, v: Tensor, word: Tensor | None, f: Tensor, out: Tensor, c: Any,
    less: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """In place of `eager.advance`."""
    del x, v, word, f, out, c, less
    return FORWARD


def expose(x: Tensor, v: Tensor, out: Tensor, unit: float | Tensor) -> None:
    """In place of `eager.expose`."""
    del x, v, out, unit


def retreat(
    v: Tensor, word: Tensor | None, f: Tensor, c: Any, less: Tensor | None = None
) -> Tensor:
    """In place of `eager.retreat`."""
    del v, word, f, c, less
    return BACK
