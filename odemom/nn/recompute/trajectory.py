"""One pass of a reversible network: the state, where it stands, and how to move it back."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from odemom.errors import OdemomError, ReversibilityError
from odemom.nn.recompute import refusals
from odemom.nn.recompute.calls import Extras, call_function, where
from odemom.nn.recompute.changes import Facts
from odemom.nn.recompute.graph import edges, reach, repeated
from odemom.nn.recompute.holders import Snapshot
from odemom.nn.recompute.layer import FirstCall, Layer, is_heavy
from odemom.nn.recompute.norms import norms_computed_again, spared_norms
from odemom.nn.recompute.second_call import Autocast, FunctionCall, RandomStates, repeatable
from odemom.nn.recompute.slots import Slot, parameter_at, parameter_slots, parameters_at
from odemom.nn.reversible import capture
from odemom.nn.reversible.fixed_point import OUT_OF_RANGE
from odemom.nn.reversible.state import ReversibleState

__all__ = ["Trajectory"]


PASSES = itertools.count()


class Trajectory:
    """The state of one pass and what is needed to move it back.

    Parameters
    ----------
    state : ReversibleState
    dtype : torch.dtype
        That of the functions' input.
    record : bool
        Whether to keep what going back needs.

    Attributes
    ----------
    layers : list of Layer
    closed : bool
        Whether no layer will be appended: the last one shows the companion.
    position : int
        Layers passed.
    first : int or None
        The first layer that a backward pass reaches.
    wants_x : bool
        Whether it goes on to that layer's input.
    number : int
        Passes are numbered as they begin.
    """

    def __init__(self, state: ReversibleState, dtype: torch.dtype, *, record: bool = True) -> None:
        self.state: ReversibleState | None = state
        self.device = state.device
        self.dtype = dtype
        self.record = record
        self.layers: list[Layer] = []
        self.closed = False
        self.position = 0
        self.first: int | None = None
        self.wants_x = False
        self.number = next(PASSES)
        self._random: RandomStates | None = None  # after the last call, if nothing came between
        self._arguments: Snapshot | None = None
        self._stats: list[tuple[int, Tensor]] = []
        self._found: list[tuple[int, Tensor]] = []
        self._known: dict[int, tuple[tuple[nn.Module, ...], list[Slot], Any, Facts | None]] = {}
        self._attributes: dict[int, Snapshot] = {}  # of functions that stand at several places

    def append(self, function: nn.Module, extras: Extras) -> Layer:
        """A further function, to be called as things stand now."""
        known = self._known.get(id(function))
        if known is None:
            modules = tuple(function.modules())
            facts = Facts(function, modules) if self.record else None
            slots = parameter_slots(modules)
            heavy = self.record and is_heavy(parameters_at(slots))
            norms = spared_norms(modules) if heavy else ()
            known = self._known[id(function)] = modules, slots, norms, facts
            if heavy and self.device.type == "cpu":
                self.require_state().hold_narrow()
        modules, slots, norms, facts = known
        autocast = Autocast.current(self.device)
        parameters = parameters_at(slots)
        adds_input = getattr(function, "adds_input", False) is True
        layer = Layer(
            function, modules, extras, autocast, slots, parameters, adds_input, norms, facts
        )
        self.layers.append(layer)
        self._random = None
        return layer

    # --- forward -------------------------------------------------------------------------------

    def shown(self) -> Tensor:
        """The input of the next function, in the carrier dtype."""
        return self.require_state().shown()

    def require_state(self) -> ReversibleState:
        """The state.

        Raises
        ------
        ReversibilityError
            If a backward pass has released it.
        """
        if self.state is None:
            raise ReversibilityError(
                "The state of this pass was released by a backward pass that ended, or failed; "
                "call the network again, or backward with retain_graph=True to go back more than "
                "once."
            )
        return self.state

    def arguments(self) -> Snapshot:
        """What the extra arguments hold before the call of the next function."""
        self._arguments = self.layers[self.position].extras.snapshot()
        return self._arguments

    def advance(self, shown: Tensor) -> Tensor:
        """Move over the next function; its successor's input, in the carrier dtype.

        ``shown`` is this function's input; where it has a graph, a tensor that the function leaves
        somewhere keeps it.
        """
        n = self.position
        x, value = self._first_value(n, shown) if self.record else self._value(n, shown)
        out, stats = self.layers[n].advance(self.require_state(), value, x)
        self._keep(n, stats, value, x)
        self.position += 1
        return out

    def advance_to_the_end(self) -> Tensor:
        """Move over all functions that are left; the last x, in the carrier dtype."""
        shown = self.shown()
        while self.position < len(self.layers):
            shown = self.advance(shown)
        return shown

    def _value(self, n: int, shown: Tensor) -> tuple[Tensor, Tensor]:
        x = shown.to(self.dtype)
        return x, self._called(n, x)

    def _first_value(self, n: int, shown: Tensor) -> tuple[Tensor, Tensor]:
        layer = self.layers[n]
        arguments = self._arguments or self.arguments()
        self._arguments = None
        random = self._random or RandomStates.current(self.device)
        # Gradient mode is on, as it will be the second time: kernels may depend on it.
        with torch.enable_grad():
            x = shown.to(self.dtype)
            if not x.requires_grad:
                x = x.detach().requires_grad_()
            tensors = [x, *layer.parameters, *arguments.tensors]
            known = edges(tensors)
            before = self._attributes.get(id(layer.function))
            with FunctionCall.recording(layer.modules, random, before) as call:
                value = self._called(n, x)
            self._attributes[id(layer.function)] = call.attributes
        if shown.requires_grad and x is not shown and x._backward_hooks:
            raise refusals.hooked_input(self.name(n), self.dtype)
        if call.in_place or arguments.changed_in_place():
            place = "attributes" if call.in_place else "arguments"
            raise refusals.changed_in_place(self.name(n), place)
        found = reach(value, known, self.number)
        if found.stranger:
            raise refusals.stranger(self.name(n), found)
        wanted = frozenset(i for i, t in enumerate(tensors) if t.requires_grad)
        same = repeated(tensors, known) if len(known) < len(wanted) else {}
        layer.first = FirstCall(call, arguments, found.known, wanted, same)
        self._random = call.after
        return x, value.detach()

    def _called(self, n: int, x: Tensor, others: Mapping[int, Tensor] | None = None) -> Tensor:
        layer, name = self.layers[n], self.name(n)
        # Around both calls: under it, code that torch.compile has made is not used.
        with repeatable(self.device), capture.random_numbers_refused(name):
            return call_function(layer.function, x, layer.extras, name, layer.autocast, others)

    def name(self, n: int) -> str:
        """The name of function ``n`` for messages."""
        return where(self.layers[n].function, n)

    def _keep(self, n: int, stats: Tensor, value: Tensor, x: Tensor) -> None:
        if not capture.waits_late(self.device):
            checksum, peak = stats.tolist()
            if peak >= OUT_OF_RANGE:
                raise self._escaped(n, peak, self.layers[n].increment(value, x))
            self.layers[n].checksum = checksum
        else:  # `settle` looks at them all
            self._stats.append((n, stats))
            self.layers[n].checksum = stats[0]

    def _escaped(self, n: int, peak: int, f: Tensor | None) -> Exception:
        state = self.require_state()
        return state.escape(f"layer {n}, {self.name(n)}", peak, f)

    def settle(self) -> None:
        """Raise if any layer left the range; for devices on which that is looked up late."""
        if self._stats:
            layers, stats = zip(*self._stats, strict=True)
            self._stats.clear()
            peaks = torch.stack(stats)[:, 1]
            if capture.holds((peaks < OUT_OF_RANGE).all()):
                return
            for n, peak in zip(layers, peaks.tolist(), strict=True):
                if peak >= OUT_OF_RANGE:
                    raise self._escaped(n, peak, None)

    # --- back ----------------------------------------------------------------------------------

    def retreat(self, parameters: Sequence[Tensor] | None = None) -> tuple[list[Tensor], Tensor]:
        """Move back over the last function, which is called with ``parameters``.

        Returns
        -------
        inputs : list of Tensor
            The function's input, its parameters, and the tensors among its arguments, as leaves.
        value : Tensor
            Its value.

        Raises
        ------
        ReversibilityError
            If the velocity recovered is not the one of the forward pass, or the value depends on
            other tensors than there.
        """
        n, state = self.position - 1, self.require_state()
        self.state = None  # while it stands between two layers
        x = state.expose().to(self.dtype).requires_grad_()
        inputs, value = self._value_again(n, x, parameters)
        checksum = self.layers[n].retreat(state, value, x)
        self.state, self.position = state, n
        self._found.append((n, checksum))
        if not (capture.waits_late(self.device) and refusals.in_backward()):
            self.verify()
        elif len(self._found) == 1:
            torch.autograd.Variable._execution_engine.queue_callback(self.verify)
        self._check_reach(n, inputs, value)
        return inputs, value

    def verify(self) -> None:
        """Raise unless the velocities recovered are those of the forward pass."""
        found, self._found = self._found, []
        if not found:
            return
        again = torch.cat([checksum for _, checksum in found])
        sums = [self.layers[n].checksum for n, _ in found]
        kept = torch.stack([torch.as_tensor(s, device=again.device) for s in sums])
        if capture.holds((kept == again).all()):
            return
        for (n, _), same in zip(found, (kept == again).tolist(), strict=True):
            if not same:
                raise self._failed(n, *refusals.OTHER_BITS)

    def _check_reach(self, n: int, inputs: list[Tensor], value: Tensor) -> None:
        """Raise unless the gradient of ``value`` goes where that of the forward pass would."""
        found, first = reach(value, edges(inputs), self.number), self.layers[n].first
        assert first is not None
        wanted = {first.repeated.get(i, i) for i, t in enumerate(inputs) if t.requires_grad}
        known = {first.repeated.get(i, i) for i in found.known}
        if found.stranger or known & first.wanted != first.reached & wanted:
            raise self._failed(n, *refusals.OTHER_TENSORS)

    def _failed(self, n: int, what: str, otherwise: str) -> ReversibilityError:
        """The error of layer ``n``, which ends the pass."""
        self.state = None
        why = self._changes(n) or otherwise
        return ReversibilityError(f"{self.name(n)}, layer {n}: {what} {why}")

    def _changes(self, n: int) -> str:
        facts = self.layers[n].facts
        return "" if facts is None else facts.changes()

    def changed(self, n: int, what: str) -> ReversibilityError:
        """The error that something of layer ``n`` is not as it was."""
        return self._failed(n, what, "")

    def _value_again(
        self, n: int, x: Tensor, parameters: Sequence[Tensor] | None
    ) -> tuple[list[Tensor], Tensor]:
        layer = self.layers[n]
        originals, first = layer.parameters, layer.first
        assert first is not None
        tensors = originals if parameters is None else parameters
        others = {
            id(p): other for p, other in zip(originals, tensors, strict=True) if other is not p
        }
        own = {id(p) for p in originals}
        for t in first.arguments.tensors:
            if id(t) not in own:
                others[id(t)] = t.detach().requires_grad_(t.requires_grad)
        places: dict[Slot, Tensor | None] = {
            slot: tensor
            for slot, tensor in zip(layer.slots, tensors, strict=True)
            if parameter_at(slot) is not tensor
        }
        again = first.call.again(layer.modules, places, first.arguments, others)
        try:
            # Where its input wants no gradient, a norm may have kept nothing.
            spared = layer.norms if self.wants_x or n != self.first else ()
            norms = norms_computed_again(spared, self.device)
            with torch.enable_grad(), again, layer.autocast.again(), norms:
                value = self._called(n, x, others)
        except (torch.OutOfMemoryError, OdemomError):
            raise
        except Exception as error:
            self.verify()
            raise self._failed(n, *refusals.second_call_failed(error)) from error
        return [x, *tensors, *(others.get(id(t), t) for t in first.arguments.tensors)], value

    def seek(self, position: int) -> None:
        """Move to ``position``, for a second backward pass."""
        while self.position > position:
            self.retreat()
        while self.position < position:
            x = self.shown().to(self.dtype).requires_grad_()
            _, value = self._value_again(self.position, x, None)
            self.layers[self.position].advance(self.require_state(), value, x)
            self.position += 1

    def fork(self) -> Trajectory:
        """A trajectory that can be moved without moving this one."""
        twin = object.__new__(Trajectory)
        twin.__dict__ = dict(self.__dict__)
        twin.state, twin._found = self.require_state().clone(), []
        return twin

    def release(self) -> None:
        """Let the state go, and what the calls found: an attribute of then may keep its graph."""
        self.state = None
        self._attributes.clear()
        for layer in self.layers:
            layer.first = None
