"""A backward pass for a batch of gradients, as `is_grads_batched` and `jacobian` give them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

__all__ = ["one_by_one", "random_numbers_allowed"]

Gradients = tuple[Tensor | None, ...]

PRIVATE: Any = torch
LEVELS = range(1, 65)
"""Of batches within batches, as many as PyTorch has."""


def one_by_one(
    backward: Callable[[Gradients], Sequence[Tensor | None]], grads: Gradients
) -> Sequence[Tensor | None]:
    """``backward(grads)``, once for each where they are a batch.

    A solver that chooses its steps by the size of a gradient cannot take several together.
    """
    batch = next((g for g in grads if _is_batch(g)), None)
    if batch is None:
        return backward(grads)
    level = next(n for n in LEVELS if not _is_batch(_opened(batch, n)))
    # One that is no batch itself is the same for all.
    rows = [_opened(g, level) if g is not None and _is_batch(g) else None for g in grads]
    size = next(len(row) for row in rows if row is not None)
    with random_numbers_allowed():
        found = []
        for n in range(size):
            pairs = zip(rows, grads, strict=True)
            found.append(backward(tuple(g if row is None else row[n] for row, g in pairs)))
        stacked = [None if s[0] is None else torch.stack(s) for s in zip(*found, strict=True)]
    return [None if s is None else PRIVATE._add_batch_dim(s, 0, level) for s in stacked]


def _is_batch(gradient: Tensor | None) -> bool:
    return gradient is not None and PRIVATE._C._functorch.is_legacy_batchedtensor(gradient)


def _opened(batch: Tensor, level: int) -> Tensor:
    """The gradients of a batch of that level along the first axis."""
    return PRIVATE._remove_batch_dim(batch, level, 1, 0)


@contextmanager
def random_numbers_allowed() -> Iterator[None]:
    """Leave the mode in which PyTorch refuses random numbers: a field's are of no batch."""
    depth = PRIVATE._C._vmapmode_increment_nesting() - 1
    PRIVATE._C._vmapmode_decrement_nesting()
    for _ in range(depth):
        PRIVATE._C._vmapmode_decrement_nesting()
    try:
        yield
    finally:
        for _ in range(depth):
            PRIVATE._C._vmapmode_increment_nesting()
