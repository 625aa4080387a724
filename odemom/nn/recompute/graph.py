"""What the autograd graph of a function's value reaches.

Both calls of a function are looked through: what the value depends on must be the function's
input, its parameters and its arguments, and the same ones in both calls. A tensor that the first
call left somewhere has the right numbers in the second call too, but a gradient that flows to it
does not come back.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from torch import Tensor

__all__ = ["Reach", "edges", "foreign_leaf", "reach", "repeated"]

Edge = tuple[Any, int]

NO_PASS = -1
"""Below the number of any pass: all graphs are walked through."""


def _edge(tensor: Tensor) -> Edge:
    """Where the graph of what is computed from ``tensor`` arrives at it."""
    if tensor.grad_fn is None:
        return "leaf", id(tensor)
    return tensor.grad_fn, tensor.output_nr


def edges(tensors: Iterable[Tensor]) -> dict[Edge, int]:
    """The edges of those that require a gradient, and their places; the first of repeated ones."""
    found: dict[Edge, int] = {}
    for place, tensor in enumerate(tensors):
        if tensor.requires_grad:
            found.setdefault(_edge(tensor), place)
    return found


def repeated(tensors: Iterable[Tensor], known: dict[Edge, int]) -> dict[int, int]:
    """The places of those that stand at another place of `edges`, too, and that place.

    Examples
    --------
    >>> import torch
    >>> x, c = torch.ones(2, requires_grad=True), torch.zeros(3, requires_grad=True)
    >>> repeated([x, c, x], edges([x, c, x]))
    {2: 0}
    """
    places = {i: known.get(_edge(t), i) for i, t in enumerate(tensors) if t.requires_grad}
    return {i: place for i, place in places.items() if i != place}


@dataclass(frozen=True)
class Reach:
    """What a graph reaches.

    Attributes
    ----------
    known : frozenset of int
        Places of the tensors known.
    leaf : Tensor or None
        A leaf that requires a gradient and is not one of them.
    layer : int or None
        A layer of the same pass, or of an earlier one, whose part of the graph is reached.
    """

    known: frozenset[int]
    leaf: Tensor | None = None
    layer: int | None = None

    @property
    def stranger(self) -> bool:
        """Whether anything else is reached."""
        return self.leaf is not None or self.layer is not None


def reach(f: Tensor, known: dict[Edge, int], pass_number: int) -> Reach:
    """Walk the graph of ``f`` as far as the edges ``known``.

    Passes are numbered as they begin: those inside the function have larger numbers than
    ``pass_number``, and are walked through.
    """
    places: set[int] = set()
    stray: Tensor | None = None
    pending: list[Edge] = [_edge(f)] if f.requires_grad else []
    seen: set[Any] = set()
    while pending:
        edge = pending.pop()
        node: Any = edge[0]
        leaf = f if edge[0] == "leaf" else getattr(node, "variable", None)
        if leaf is not None:
            edge = "leaf", id(leaf)
        if edge in known:
            places.add(known[edge])
        elif leaf is not None:
            stray = leaf  # a layer, if one is reached too, says more
        elif node is not None and node not in seen:
            number = getattr(node, "pass_number", None)
            if number is not None and number <= pass_number:
                return Reach(frozenset(places), stray, node.n)
            seen.add(node)
            pending += node.next_functions
    return Reach(frozenset(places), stray)


def foreign_leaf(values: Iterable[Tensor], known: Iterable[Tensor]) -> Tensor | None:
    """A leaf of the graph of ``values`` that is none of ``known``, if there is one.

    Examples
    --------
    >>> import torch
    >>> x, c = torch.ones(2, requires_grad=True), torch.zeros(3, requires_grad=True)
    >>> foreign_leaf([2 * x, x + c.sum()], [x]) is c, foreign_leaf([2 * x], [x])
    (True, None)
    """
    places = edges(known)
    leaves = (reach(value, places, NO_PASS).leaf for value in values)
    return next((leaf for leaf in leaves if leaf is not None), None)
