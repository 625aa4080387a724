"""One layer of a reversible pass: its function, and what the second call of it needs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor, nn

from odemom.nn.recompute.calls import Extras
from odemom.nn.recompute.changes import Facts
from odemom.nn.recompute.holders import Snapshot
from odemom.nn.recompute.second_call import Autocast, FunctionCall
from odemom.nn.recompute.slots import Slot
from odemom.nn.reversible.state import ReversibleState

__all__ = ["FirstCall", "Layer", "is_heavy"]

HEAVY = 1_000_000
"""Parameters of a function beside whose own time, on a CPU, that of holding less is nothing."""


def is_heavy(parameters: Sequence[Tensor]) -> bool:
    """Whether a function has so many."""
    return sum(p.numel() for p in parameters) >= HEAVY


@dataclass(frozen=True)
class FirstCall:
    """The first call of one layer's function.

    Attributes
    ----------
    call : FunctionCall
    arguments : Snapshot
        What the extra arguments held before it.
    reached : frozenset of int
        What the graph of its value reaches of x, the parameters and the arguments, in this order.
    wanted : frozenset of int
        Which of them required a gradient.
    repeated : dict
        Which of them were one with an earlier one, as x in a list among the arguments: the second
        call gets a tensor for each.
    """

    call: FunctionCall
    arguments: Snapshot
    reached: frozenset[int]
    wanted: frozenset[int]
    repeated: dict[int, int]


@dataclass
class Layer:
    """One function of a trajectory, and what its second call needs.

    Attributes
    ----------
    function : Module
    modules : tuple of Module
        It and all its parts.
    extras : Extras
        Its arguments besides x.
    autocast : Autocast
        In force at its call.
    slots, parameters
        Where its parameters are, and the tensors that were there.
    adds_input : bool
        Whether its value is x + f(x) in place of f(x), as that of a whole residual block.
    norms : tuple of float
        Of its layer norms that are computed again (`norms.spared_norms`).
    facts : Facts or None
        What is known of it before its call; None where nothing is recorded.
    first : FirstCall or None
        Once it was called.
    checksum : int or Tensor
        Of the state, to be found again.
    """

    function: nn.Module
    modules: tuple[nn.Module, ...]
    extras: Extras
    autocast: Autocast
    slots: list[Slot]
    parameters: tuple[Tensor, ...]
    adds_input: bool
    norms: tuple[float, ...]
    facts: Facts | None
    first: FirstCall | None = None
    checksum: int | Tensor = 0

    def increment(self, value: Tensor, x: Tensor) -> Tensor:
        """f(x) of the function's value at x, without its graph."""
        return value.detach() - x.detach() if self.adds_input else value.detach()

    def advance(self, state: ReversibleState, value: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
        """Move the state over the function, whose value at x is given."""
        return state.advance_block(value, x) if self.adds_input else state.advance(value)

    def retreat(self, state: ReversibleState, value: Tensor, x: Tensor) -> Tensor:
        """Move it back, after its `expose`."""
        return state.retreat_block(value, x) if self.adds_input else state.retreat(value)
