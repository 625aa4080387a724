"""Tensors that a value depends on though nobody passed them, and whether tensors have changed."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

__all__ = ["fingerprint", "foreign_leaf"]


def foreign_leaf(values: Iterable[Tensor], known: Iterable[Tensor]) -> Tensor | None:
    """A leaf of the graph of ``values`` that is none of ``known``, if there is one.

    Examples
    --------
    >>> x, c = torch.ones(2, requires_grad=True), torch.zeros(3, requires_grad=True)
    >>> foreign_leaf([2 * x, x + c.sum()], [x]) is c, foreign_leaf([2 * x], [x])
    (True, None)
    """
    ids = {id(t) for t in known}
    pending = [v if v.grad_fn is None else v.grad_fn for v in values if v.requires_grad]
    seen = set()
    while pending:
        node = pending.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        leaf = node if isinstance(node, Tensor) else getattr(node, "variable", None)
        if leaf is not None and id(leaf) not in ids:
            return leaf
        if not isinstance(node, Tensor):
            pending += [following for following, _ in node.next_functions]
    return None


@torch.no_grad()
def fingerprint(tensor: Tensor) -> Tensor:
    """A number that changes when any bit of ``tensor`` does, all but surely; int64, shape ().

    Sums of the bits along rows and columns, weighted by odd numbers: unlike a plain sum it notices
    entries exchanged and signs flipped.

    Examples
    --------
    >>> w = torch.tensor([[1.0, -1.0], [2.0, -2.0]])
    >>> any(bool(fingerprint(w) == fingerprint(other)) for other in (-w, w.T, w.flip(0)))
    False
    """
    dense = tensor.detach()
    if dense.layout != torch.strided:
        dense = dense.to_dense()
    if dense.is_complex():
        dense = torch.view_as_real(dense)
    if dense.dtype == torch.bool:
        dense = dense.to(torch.int8)
    if dense.is_floating_point():
        words = {1: torch.int8, 2: torch.int16, 4: torch.int32, 8: torch.int64}
        dense = dense.contiguous().view(words[dense.element_size()])
    matrix = dense.reshape(len(dense), -1) if dense.dim() > 1 else dense.reshape(1, -1)
    total = torch.full((), dense.numel(), dtype=torch.int64, device=dense.device)
    for axis, seed in ((0, 1), (1, 3)):
        sums = matrix.sum(axis, dtype=torch.int64)
        odd = torch.arange(seed, seed + 2 * len(sums), 2, device=dense.device)
        total = 31 * total + (sums * odd * odd).sum()
    return total
