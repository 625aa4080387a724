"""What reversible networks share: a pass that keeps its last state and moves back from it."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable
from typing import Any, Generic, TypeVar

import torch
from torch import Tensor, nn
from torch._compile import _disable_dynamo  # the public one imports the compiler at once

from odemom.nn.nets.layered import Carry, LayeredNet, check_dense_input
from odemom.nn.nets.surroundings import (
    check_functions_are_whole,
    check_is_no_replica,
    check_surroundings,
    is_exporting,
    refused,
)
from odemom.nn.recompute.calls import Extras
from odemom.nn.recompute.link import linked
from odemom.nn.recompute.trajectory import Trajectory
from odemom.nn.reversible.fixed_point import check_resolution
from odemom.nn.reversible.state import ReversibleState

__all__ = ["ReversibleNet"]

UNCOMPILED = (
    "A reversible network of odemom runs outside of compiled code, for its two passes must compute "
    "the same bits. Its functions are compiled each by itself by net.compile(), before "
    "torch.compile; a network built with reversible=False is compiled whole."
)

BREAKS_SAY_WHY = tuple(int(part) for part in torch.__version__.split(".")[:2]) >= (2, 7)

State = TypeVar("State", bound=ReversibleState)


class ReversibleNet(LayeredNet, Generic[State]):
    """A network whose layers can be undone, so that its backward pass recomputes them.

    A subclass fills in its rule twice: in floats, as every `LayeredNet`, with a carry (x, h) or
    (x,) for h = 0, where ``x`` is what the next function sees; and in fixed point, as the
    `ReversibleState` that `exact` makes of that carry.

    Parameters
    ----------
    functions : iterable of Module
    reversible : bool
        Whether to recompute or to remember.
    resolution : int or None
        Binary places of the fixed point; None chooses.
    """

    def __init__(
        self, functions: Iterable[nn.Module], *, reversible: bool, resolution: int | None
    ) -> None:
        super().__init__(functions)
        check_resolution(resolution)
        self.reversible = reversible
        self.resolution = resolution

    @abstractmethod
    def exact(self, carry: Carry, *, keep: bool) -> State:
        """The state that holds ``carry`` in fixed point; ``keep`` what is needed to go back."""

    def forward(self, x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        """The value at ``x``; further arguments go to every function (`LayeredNet.forward`)."""
        if not self.reversible:
            return self.plain(x, args, kwargs)
        if is_exporting():
            raise refused("torch.export")
        if torch.compiler.is_compiling():
            if BREAKS_SAY_WHY:
                torch._dynamo.graph_break(msg=UNCOMPILED)
            else:
                torch._dynamo.graph_break()
            return uncompiled(self, x, args, kwargs)
        return self.recomputing(x, args, kwargs)

    def recomputing(self, x: Tensor, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Tensor:
        """`forward` of a reversible network."""
        check_surroundings(x, self)
        check_is_no_replica(self)
        check_dense_input(x)
        extras, carry = Extras(args, kwargs), self.begin(x)
        inputs = (*carry, *extras.snapshot().tensors, *self.parameters())
        record = torch.is_grad_enabled() and any(t.requires_grad for t in inputs)
        if record:
            check_functions_are_whole(self.functions)
        run, state = self._run(carry, extras, x.dtype, record=record)
        if record:
            first, *companion = carry
            carry = linked(run, first, companion[0] if companion else None)
        else:
            carry = run.advance_to_the_end(), state.companion()
        run.settle()
        return self.end(carry, x.dtype)

    def compile(self, *args: Any, **kwargs: Any) -> None:
        """Compile the network in place, as `torch.nn.Module.compile`.

        Of a reversible network each function is compiled by itself, so that the forward pass and
        the recomputation run the same code.
        """
        if not self.reversible:
            super().compile(*args, **kwargs)
            return
        for function in dict.fromkeys(self.functions):
            function.compile(*args, **kwargs)

    def _run(
        self, carry: Carry, extras: Extras, dtype: torch.dtype, *, record: bool
    ) -> tuple[Trajectory, State]:
        state = self.exact(carry, keep=record)
        run = Trajectory(state, dtype, record=record)
        for function in self.functions:
            run.append(function, extras)
        run.closed = True
        return run, state


@_disable_dynamo
def uncompiled(
    net: ReversibleNet[Any], x: Tensor, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Tensor:
    """The reversible pass, hidden from torch.compile."""
    return net.recomputing(x, args, kwargs)
