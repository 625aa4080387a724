"""One pass of a reversible network: the state, where it stands, and how to move it back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from odemom.checks import invalid
from odemom.errors import ReversibilityError
from odemom.nn.recompute.calls import Extras, call_function, taken_others, where
from odemom.nn.recompute.second_call import Autocast, FunctionCall, RandomStates, Slot
from odemom.nn.reversible.eager import LARGEST_INCREMENT
from odemom.nn.reversible.fixed_point import OUT_OF_RANGE
from odemom.nn.reversible.state import LayerState, ReversibleState

__all__ = ["Trajectory", "parameter_at"]


def parameter_slots(function: nn.Module) -> list[Slot]:
    """Every place in ``function`` that holds a parameter, shared ones as often as they occur."""
    return [
        (part, name)
        for part in function.modules()
        for name, parameter in part._parameters.items()
        if parameter is not None
    ]


@dataclass
class Layer:
    """One function of a trajectory, with all that its second call needs.

    Attributes
    ----------
    function : Module
    extras : Extras
    autocast : Autocast
    slots, parameters
        Where its parameters are, and the tensors that were there.
    call : FunctionCall or None
        The first call, once made under `Trajectory.record`.
    checksum : int or Tensor
        Of the state before the layer.
    """

    function: nn.Module
    extras: Extras
    autocast: Autocast
    slots: list[Slot]
    parameters: tuple[Tensor, ...]
    call: FunctionCall | None = None
    checksum: int | Tensor = 0


class Trajectory:
    """The state of one pass and what is needed to move it back.

    Parameters
    ----------
    state : LayerState
    dtype : torch.dtype
        That of the functions' input.
    record : bool
        Whether to keep what going back needs.
    """

    def __init__(self, state: LayerState, dtype: torch.dtype, *, record: bool = True) -> None:
        self.state: LayerState | None = state
        self.device = state.device
        self.dtype = dtype
        self.record = record
        self.closed = False  # whether no layer will be appended
        self.others: tuple[Tensor, ...] = ()  # what the last call computed beside its value
        self.layers: list[Layer] = []
        self.position = 0
        self.first: int | None = None  # the first layer that a backward pass reaches
        self._stats: list[Tensor] = []
        self._slots: dict[int, list[Slot]] = {}
        self._random: RandomStates | None = None  # after the last call, if nothing came between

    def append(self, function: nn.Module, extras: Extras) -> Layer:
        """A further function, to be called as things stand now."""
        slots = self._slots.get(id(function))
        if slots is None:
            slots = self._slots[id(function)] = parameter_slots(function)
        parameters = tuple(parameter_at(slot) for slot in slots)
        layer = Layer(function, extras, Autocast.current(self.device), slots, parameters)
        self.layers.append(layer)
        self._random = None
        return layer

    # --- forward -------------------------------------------------------------------------------

    def shown(self) -> Tensor:
        """The input of the next function, in the carrier dtype."""
        return self.require_state().shown()

    def require_state(self) -> LayerState:
        """The state.

        Raises
        ------
        ReversibilityError
            If a backward pass has released it.
        """
        if self.state is None:
            raise ReversibilityError(
                "The state of this pass was released by a backward pass; call backward with "
                "retain_graph=True to go back more than once."
            )
        return self.state

    def advance(self, shown: Tensor) -> Tensor:
        """Move over the next function; its successor's input, in the carrier dtype."""
        n = self.position
        if self.record:
            f = self._first_value(n, shown)
        else:
            f = self._called(n, shown.to(self.dtype), self.layers[n].extras.tensors)
        out, stats = self.require_state().advance(f)
        self._keep(n, stats, f)
        self.position += 1
        return out

    def advance_to_the_end(self) -> Tensor:
        """Move over all functions that are left; the last x, in the carrier dtype."""
        shown = self.shown()
        while self.position < len(self.layers):
            shown = self.advance(shown)
        return shown

    def _first_value(self, n: int, shown: Tensor) -> Tensor:
        # Gradient mode is on, as it will be the second time: kernels may depend on it.
        layer = self.layers[n]
        x, extras = shown.detach().to(self.dtype).requires_grad_(), layer.extras.detached()
        random = self._random or RandomStates.current(self.device)
        with torch.enable_grad(), FunctionCall.recording(layer.function, random) as call:
            f = self._called(n, x, extras)
        self._check_leaves(n, f, [x, *extras])
        layer.call, self._random = call, call.after
        return f.detach()

    def name(self, n: int) -> str:
        """The name of function ``n`` for messages."""
        return where([layer.function for layer in self.layers], n)

    def _called(self, n: int, x: Tensor, extras: Sequence[Tensor]) -> Tensor:
        layer = self.layers[n]
        f = call_function(
            layer.function, x, layer.extras, extras, self.name(n), layer.autocast,
            same_shape=self.require_state().keeps_shape,
        )  # fmt: skip
        self.others = taken_others(layer.function)
        return f

    def _check_leaves(self, n: int, f: Tensor, known: list[Tensor]) -> None:
        """Refuse functions whose value depends on a tensor that no gradient would reach."""
        ids = {id(t) for t in (*known, *self.layers[n].parameters)}
        stop = {p.grad_fn for p in self.layers[n].parameters if p.grad_fn is not None}
        pending, seen = [f.grad_fn], set(stop)
        while pending:
            node = pending.pop()
            if node is None or node in seen:
                continue
            seen.add(node)
            leaf = getattr(node, "variable", None)
            if leaf is not None and id(leaf) not in ids:
                raise invalid(
                    self.name(n),
                    got=f"a value that depends on a tensor of shape {tuple(leaf.shape)} which "
                    "requires a gradient and is neither the function's parameter nor an argument",
                    expected="a function of its arguments and its own parameters",
                    fix="Pass the tensor to the network's call, or register it as a parameter.",
                )
            pending += [following for following, _ in node.next_functions]

    def _keep(self, n: int, stats: Tensor, f: Tensor) -> None:
        if stats.device.type == "cpu":
            checksum, peak = stats.tolist()
            if peak >= OUT_OF_RANGE:
                raise self._escaped(n, peak, f)
            self.layers[n].checksum = checksum
        else:  # no wait for the device here: `settle` looks at them all at the end
            self._stats.append(stats)
            self.layers[n].checksum = stats[0]

    def _escaped(self, n: int, peak: int, f: Tensor | None) -> Exception:
        state = self.require_state()
        assert isinstance(state, ReversibleState)
        size = peak * state.format.unit
        if peak > OUT_OF_RANGE + LARGEST_INCREMENT and f is not None and f.numel():
            size = max(f.detach().abs().max().double().item(), size)
            if f.isnan().any():
                size = float("nan")
        return state.format.escape(f"layer {n}, {self.name(n)}", size)

    def settle(self) -> None:
        """Raise if any layer left the range; for devices on which that is looked up late."""
        if self._stats:
            peaks = torch.stack(self._stats)[:, 1].tolist()
            for n, peak in enumerate(peaks):
                if peak >= OUT_OF_RANGE:
                    raise self._escaped(n, peak, None)
            self._stats.clear()

    # --- back ----------------------------------------------------------------------------------

    def retreat(
        self, parameters: Sequence[Tensor] | None = None, extras: Sequence[Tensor] | None = None
    ) -> tuple[Tensor, Tensor]:
        """Move back over the last function; its input, as a leaf, and its value on it.

        Raises
        ------
        ReversibilityError
            If the velocity recovered is not the one of the forward pass.
        """
        n = self.position - 1
        x = self.require_state().expose().to(self.dtype).requires_grad_()
        f = self._value_again(n, x, parameters, extras)
        checksum = self.require_state().retreat(f)
        self.position = n
        if not _same(checksum, self.layers[n].checksum):
            self.state = None
            raise ReversibilityError(
                f"{self.name(n)}, layer {n}: the function did not recompute the "
                "bits of its forward pass, so no gradient can be trusted. Autocast, buffers and "
                "PyTorch's random numbers are restored; look for other state: a generator of its "
                "own, NumPy's, a counter, a parameter changed since, an operation that is not "
                "deterministic (torch.use_deterministic_algorithms)."
            )
        return x, f

    def _value_again(
        self,
        n: int,
        x: Tensor,
        parameters: Sequence[Tensor] | None,
        extras: Sequence[Tensor] | None,
    ) -> Tensor:
        layer = self.layers[n]
        tensors = layer.parameters if parameters is None else parameters
        places: dict[Slot, Tensor | None] = {
            slot: tensor
            for slot, tensor in zip(layer.slots, tensors, strict=True)
            if parameter_at(slot) is not tensor
        }
        extras = layer.extras.detached() if extras is None else extras
        assert layer.call is not None
        with (
            torch.enable_grad(),
            layer.call.again(layer.function, places),
            layer.autocast.again(),
        ):
            return self._called(n, x, extras)

    def seek(self, position: int) -> None:
        """Move to ``position``, for a second backward pass."""
        while self.position > position:
            self.retreat()
        while self.position < position:
            x = self.shown().to(self.dtype).requires_grad_()
            self.require_state().advance(self._value_again(self.position, x, None, None).detach())
            self.position += 1

    def fork(self) -> Trajectory:
        """A trajectory that can be moved without moving this one."""
        twin = object.__new__(Trajectory)
        twin.__dict__ = dict(self.__dict__)
        twin.state = self.require_state().clone()
        return twin

    def forget(self, n: int) -> None:
        """Let go of what only the layers from ``n`` on needed to go back; all, if it is the first.

        Without ``retain_graph`` they are not gone back over again.
        """
        if n == self.first:
            self.state = None
        elif self.state is not None:
            self.state.forget()

    def release(self) -> None:
        """Let the state go."""
        self.state = None


def parameter_at(slot: Slot) -> Tensor:
    """The parameter that a module holds in a place."""
    module, name = slot
    parameter = module._parameters[name]
    assert parameter is not None
    return parameter


def _same(checksum: Tensor, kept: int | Tensor) -> bool:
    return checksum.item() == (kept if isinstance(kept, int) else kept.item())
