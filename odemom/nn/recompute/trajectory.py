"""One pass of a reversible network: the state, where it stands, and how to move it back."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from odemom.checks import invalid
from odemom.errors import ReversibilityError
from odemom.nn.recompute.calls import Extras, call_function, where
from odemom.nn.recompute.second_call import Autocast, FunctionCall, RandomStates, Slot
from odemom.nn.reversible.eager import LARGEST_INCREMENT
from odemom.nn.reversible.fixed_point import OUT_OF_RANGE
from odemom.nn.reversible.state import ReversibleState

__all__ = ["Trajectory", "parameter_at"]


def parameter_slots(function: nn.Module) -> list[Slot]:
    """Every place in ``function`` that holds a parameter, shared ones as often as they occur."""
    return [
        (part, name)
        for part in function.modules()
        for name, parameter in part._parameters.items()
        if parameter is not None
    ]


class Trajectory:
    """The state of one pass and what is needed to move it back.

    Parameters
    ----------
    functions : sequence of Module
    state : ReversibleState
    extras : Extras
    dtype : torch.dtype
        That of the functions' input.
    record : bool
        Whether to keep what going back needs.
    """

    def __init__(
        self,
        functions: Sequence[nn.Module],
        state: ReversibleState,
        extras: Extras,
        dtype: torch.dtype,
        *,
        record: bool = True,
    ) -> None:
        self.functions = list(functions)
        self.state: ReversibleState | None = state
        self.extras = extras
        self.dtype = dtype
        self.record = record
        self.position = 0
        self.first: int | None = None  # the first layer that a backward pass reaches
        self.autocast = Autocast.current(state.device)
        self._random = RandomStates.current(state.device) if record else None
        self._calls: list[FunctionCall] = []
        self._stats: list[Tensor] = []
        self._checksums: list[int | Tensor] = []
        slots: dict[int, list[Slot]] = {id(f): parameter_slots(f) for f in self.functions}
        self.slots = [slots[id(f)] for f in self.functions]
        self.parameters = [tuple(parameter_at(s) for s in slots) for slots in self.slots]

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
                "The state of this pass was released by a backward pass; call backward with "
                "retain_graph=True to go back more than once."
            )
        return self.state

    def advance(self, shown: Tensor) -> Tensor:
        """Move over the next function; its successor's input, in the carrier dtype."""
        n, function = self.position, self.functions[self.position]
        if not self.record:
            f = self._called(n, shown.to(self.dtype), self.extras.tensors)
        else:
            f = self._first_value(n, function, shown)
        out, stats = self.require_state().advance(f)
        self._keep(n, stats, f)
        self.position += 1
        return out

    def advance_to_the_end(self) -> Tensor:
        """Move over all functions that are left; the last x, in the carrier dtype."""
        shown = self.shown()
        while self.position < len(self.functions):
            shown = self.advance(shown)
        return shown

    def _first_value(self, n: int, function: nn.Module, shown: Tensor) -> Tensor:
        # Gradient mode is on, as it will be the second time: kernels may depend on it.
        x, extras = shown.detach().to(self.dtype).requires_grad_(), self.extras.detached()
        assert self._random is not None
        with torch.enable_grad(), FunctionCall.recording(function, self._random) as call:
            f = self._called(n, x, extras)
        self._check_leaves(n, f, [x, *extras])
        self._random = call.after
        self._calls.append(call)
        return f.detach()

    def _called(self, n: int, x: Tensor, extras: Sequence[Tensor]) -> Tensor:
        return call_function(
            self.functions[n], x, self.extras, extras, where(self.functions, n), self.autocast
        )

    def _check_leaves(self, n: int, f: Tensor, known: list[Tensor]) -> None:
        """Refuse functions whose value depends on a tensor that no gradient would reach."""
        ids = {id(t) for t in (*known, *self.parameters[n])}
        stop = {p.grad_fn for p in self.parameters[n] if p.grad_fn is not None}
        pending, seen = [f.grad_fn], set(stop)
        while pending:
            node = pending.pop()
            if node is None or node in seen:
                continue
            seen.add(node)
            leaf = getattr(node, "variable", None)
            if leaf is not None and id(leaf) not in ids:
                raise invalid(
                    where(self.functions, n),
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
            self._checksums.append(checksum)
        else:  # no wait for the device here: `settle` looks at them all at the end
            self._stats.append(stats)
            self._checksums.append(stats[0])

    def _escaped(self, n: int, peak: int, f: Tensor | None) -> Exception:
        size = peak * self.require_state().format.unit
        if peak > OUT_OF_RANGE + LARGEST_INCREMENT and f is not None and f.numel():
            size = max(f.detach().abs().max().double().item(), size)
            if f.isnan().any():
                size = float("nan")
        return self.require_state().format.escape(f"layer {n}, {where(self.functions, n)}", size)

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
        if not _same(checksum, self._checksums[n]):
            self.state = None
            raise ReversibilityError(
                f"{where(self.functions, n)}, layer {n}: the function did not recompute the "
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
        tensors = self.parameters[n] if parameters is None else parameters
        places: dict[Slot, Tensor | None] = {
            slot: tensor
            for slot, tensor in zip(self.slots[n], tensors, strict=True)
            if parameter_at(slot) is not tensor
        }
        extras = self.extras.detached() if extras is None else extras
        with (
            torch.enable_grad(),
            self._calls[n].again(self.functions[n], places),
            self.autocast.again(),
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
