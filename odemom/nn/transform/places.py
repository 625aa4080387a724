"""Where a block stands, and what its calls have shown."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from fractions import Fraction
from threading import get_ident
from typing import Any

import torch
from torch import Tensor, nn

from odemom.nn.transform import rows
from odemom.nn.transform.whole import Whole

__all__ = ["PLACE", "Container", "Place", "place_of"]

PLACE = "_momentum_place"
"""Where a twin block holds its place."""


@dataclass(eq=False)
class Container:
    """What the blocks of one list share.

    Attributes
    ----------
    name : str
        Of the list in its model.
    gamma : Fraction
    reversible : bool or "auto"
    checkpoint_rest : bool
        Whether blocks that belong to no row recompute their inside.
    whole : Whole
    field : bool
        Whether rows start with v0 = f(x0) rather than 0.
    latest : (int, int) or None
        Thread and index of the block that was called last, if it is in a row.
    joined : bool
        Whether neighbours have been joined as far as is known.
    warned_of_caches, warned_of_input, warned_of_checkpoints : bool
        Whether it was said that caches stay empty, that the first argument is no state, and that
        the model's own checkpoints are not made.
    weights : (float, float)
        Gamma and 1 - gamma, which older compilers cannot round themselves.
    """

    name: str
    gamma: Fraction
    reversible: bool | str
    checkpoint_rest: bool
    whole: Whole
    field: bool = False
    latest: tuple[int, int] | None = None
    joined: bool = True
    warned_of_caches: bool = False
    warned_of_input: bool = False
    warned_of_checkpoints: bool = False
    weights: tuple[float, float] = dataclasses.field(init=False)

    def __deepcopy__(self, memo: dict[int, Any]) -> Container:
        """Shared by the copies of a block, as those of a list that grows."""
        return self

    def __post_init__(self) -> None:
        self.weights = float(self.gamma), float(1 - self.gamma)

    def mode(self, ahead: int, x: Any) -> str:
        """How a row that starts with a block, the first of ``ahead``, is to be held."""
        if self.reversible is False or not isinstance(x, Tensor):
            return "plain"
        if self.reversible is True:
            return "exact"
        return rows.cheaper_mode(ahead if self.joined else 1, self.gamma, x.dtype)


@dataclass(eq=False)
class Place:
    """Where a block stands, and what its calls have shown.

    Attributes
    ----------
    container : Container
    name : str
        Of the block in its model.
    index : int
        In the container.
    ahead : int
        The block and those that follow it in the container without a gap.
    original : Module
        The block whose twin this is.
    skips : bool
        Whether it adds its input to its value, as far as is known.
    changes_shape : bool or None
        None until a call has shown it.
    value_dtype : torch.dtype or None
        Of its value under autocast for an input of half precision; None until a call has shown it.
    called : bool
        Whether it ever was.
    carried, started : bool
        Whether it ever went on with a row, and whether it ever started one: a block that the model
        calls several times does both.
    row : RowRecord or None
        What there is to say about the row of the latest call.
    entries : int
        Of its latest value.
    start : str
        Why the latest call started a row; empty if it went on with one.
    """

    container: Container
    name: str
    index: int
    ahead: int
    original: nn.Module
    skips: bool = True
    changes_shape: bool | None = None
    value_dtype: torch.dtype | None = None
    called: bool = False
    carried: bool = False
    started: bool = False
    row: rows.RowRecord | None = None
    entries: int = 0
    start: str = ""
    label: str = dataclasses.field(init=False)

    def __post_init__(self) -> None:
        self.label = f"{self.name} ({type(self.original).__name__})"

    @property
    def alone(self) -> bool:
        """Whether it belongs to no row."""
        return bool(self.changes_shape) or not self.skips

    @property
    def follows(self) -> bool:
        """Whether the block before it in the list was the one called last."""
        return self.index > 0 and self.container.latest == (get_ident(), self.index - 1)

    def may_widen(self, x: Tensor) -> bool:
        """Whether a row starts here whose values may be wider than x: under autocast.

        So are those of blocks that scale their residual by a parameter in float32. Later inputs of
        the row have their dtype.
        """
        kind = x.device.type
        if x.dtype.itemsize > 2 or not torch.amp.is_autocast_available(kind):
            return False
        if not torch.is_autocast_enabled(kind):
            return False
        carry = rows.carry_of(x)
        return carry is None or carry.row.owner is not self.container

    def widened(self, x: Tensor) -> Tensor:
        """``x`` in the dtype of the values, where these are wider."""
        wider = self.value_dtype is not None and self.value_dtype.itemsize > x.dtype.itemsize
        return x.to(self.value_dtype) if wider and self.may_widen(x) else x

    def learn(self, x: Tensor, first: Tensor) -> None:
        """Note what the hidden state ``first`` of a call's value shows of later ones."""
        self.changes_shape = first.shape != x.shape
        if self.may_widen(x):
            self.value_dtype = torch.promote_types(x.dtype, first.dtype)

    def note_shape(self, value: Tensor, *, changes: bool) -> None:
        """What a call's hidden state has shown."""
        if torch.compiler.is_compiling():
            return
        self.changes_shape = changes
        self.entries = value.numel()
        if changes:
            self.note(None, "it changes the shape of its input")
        elif not self.skips:
            self.note(None, "it does not add its input to its value")

    def note(self, row: rows.Row | None, start: str) -> None:
        """What a call has shown; nothing is written down while a graph is compiled."""
        if torch.compiler.is_compiling():
            return
        self.row = None if row is None else row.record
        self.called = True
        self.carried |= row is not None and not start
        self.started |= row is not None and bool(start)
        self.start = start
        self.container.latest = None if row is None else (get_ident(), self.index)
        self.container.whole.note(self.name, joined=row is not None and not start)


def place_of(module: nn.Module) -> Place | None:
    """The place of a twin block; None for other modules."""
    return module.__dict__.get(PLACE)
