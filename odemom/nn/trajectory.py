"""One pass of a reversible network as a chain of autograd functions, one a layer.

Each link takes its layer's parameters and the extra arguments as inputs and returns their
gradients, so that autograd itself accumulates them as soon as they are known, adds up those of
shared parameters, skips frozen ones and calls the hooks of DistributedDataParallel. The links
share one `Trajectory`, which holds the only state; going back, it moves layer by layer.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils import _pytree as pytree

from odemom.checks import invalid
from odemom.errors import DoubleBackwardError, InvalidInputError, ReversibilityError
from odemom.nn.recompute import Autocast, FunctionCall, RandomStates, Slot
from odemom.nn.reversible.fixed_point import LIMIT
from odemom.nn.reversible.state import ReversibleState

__all__ = ["Extras", "Link", "Trajectory", "call_function", "where"]


def where(functions: Sequence[nn.Module], n: int) -> str:
    """The name of function ``n`` for messages."""
    return f"functions[{n}] ({type(functions[n]).__name__})"


def call_function(
    function: nn.Module,
    x: Tensor,
    extras: Extras,
    tensors: Sequence[Tensor],
    name: str,
    autocast: Autocast,
) -> Tensor:
    """``function(x, *extras)``, refused unless it can be added to ``x`` and left ``x`` alone.

    Raises
    ------
    InvalidInputError
        If the value is no tensor, or changes the shape or the dtype of the input (under autocast a
        narrower float type is expected); if the function changes its input in place.
    """
    version = None if x.is_inference() else x._version
    try:
        f = extras.call(function, x, tensors)
    except RuntimeError as error:
        if "a leaf Variable that requires grad" in str(error) and x.is_leaf:
            raise _moved_input(name) from error
        raise
    if version is not None and x._version != version:
        raise _moved_input(name)
    expected = f"one tensor of shape {tuple(x.shape)} and dtype {x.dtype}, like its input"
    if not isinstance(f, Tensor):
        fix = "Return the residual alone." if isinstance(f, tuple | list) else ""
        raise invalid(name, got=f"a value of type {type(f).__name__}", expected=expected, fix=fix)
    if f.shape != x.shape:
        raise invalid(name, got=f"a value of shape {tuple(f.shape)}", expected=expected)
    narrower = f.is_floating_point() and f.dtype.itemsize <= x.dtype.itemsize
    if f.dtype != x.dtype and not (autocast.enabled and narrower):
        raise invalid(name, got=f"a value of dtype {f.dtype}", expected=expected)
    return f


def _moved_input(name: str) -> InvalidInputError:
    return invalid(
        name,
        got="a function that changes its input in place",
        expected="a function that leaves x as it is, for x + v needs it",
        fix="Make its first operation out of place, for example ReLU(inplace=False).",
    )


class Extras:
    """The arguments of the functions besides x, with their tensors taken out and put back."""

    def __init__(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        leaves, self._spec = pytree.tree_flatten((args, kwargs))
        self._where = [i for i, leaf in enumerate(leaves) if isinstance(leaf, Tensor)]
        self.tensors: tuple[Tensor, ...] = tuple(leaves[i] for i in self._where)
        self._leaves = leaves

    def detached(self) -> list[Tensor]:
        """The tensors as leaves that collect gradients where the originals did."""
        return [t.detach().requires_grad_(t.requires_grad) for t in self.tensors]

    def call(self, function: Callable[..., Any], x: Tensor, tensors: Sequence[Tensor]) -> Any:
        """``function(x, *args, **kwargs)`` with ``tensors`` in place of the original ones."""
        leaves = list(self._leaves)
        for i, tensor in zip(self._where, tensors, strict=True):
            leaves[i] = tensor
        args, kwargs = pytree.tree_unflatten(leaves, self._spec)
        return function(x, *args, **kwargs)


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
        self.parameters = [tuple(_parameter(s) for s in slots) for slots in self.slots]

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
                    "requires a gradient and is neither a parameter of the function nor an argument",
                    expected="a function of its arguments and its own parameters",
                    fix="Pass the tensor to the network's call, or register it as a parameter.",
                )
            pending += [following for following, _ in node.next_functions]

    def _keep(self, n: int, stats: Tensor, f: Tensor) -> None:
        if stats.device.type == "cpu":
            checksum, peak = stats.tolist()
            if peak >= LIMIT:
                raise self._escaped(n, peak, f)
            self._checksums.append(checksum)
        else:  # no wait for the device here: `settle` looks at them all at the end
            self._stats.append(stats)
            self._checksums.append(stats[0])

    def _escaped(self, n: int, peak: int, f: Tensor | None) -> Exception:
        size = peak * self.require_state().format.unit
        if peak > 2**62 + 2**61 and f is not None and f.numel():
            size = max(f.detach().abs().max().double().item(), size)
            if f.isnan().any():
                size = float("nan")
        return self.require_state().format.escape(f"layer {n}, {where(self.functions, n)}", size)

    def settle(self) -> None:
        """Raise if any layer left the range; for devices on which that is looked up late."""
        if self._stats:
            peaks = torch.stack(self._stats)[:, 1].tolist()
            for n, peak in enumerate(peaks):
                if peak >= LIMIT:
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
                f"{where(self.functions, n)}, layer {n}: the function did not recompute the bits of its "
                "forward pass, so no gradient can be trusted. Random numbers of PyTorch, autocast "
                "and buffers are restored; look for other state: a generator of its own, NumPy's, "
                "a counter, a parameter changed since, an operation that is not deterministic "
                "(torch.use_deterministic_algorithms)."
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
            if _parameter(slot) is not tensor
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


def _parameter(slot: Slot) -> Tensor:
    module, name = slot
    parameter = module._parameters[name]
    assert parameter is not None
    return parameter


def _same(checksum: Tensor, kept: int | Tensor) -> bool:
    return checksum.item() == (kept if isinstance(kept, int) else kept.item())


X_INPUT = 1
"""Position of the function's input among the inputs of a link."""


class Link(torch.autograd.Function):
    """One layer: tokens in, tokens out; the values live in the trajectory.

    A subclass says, in `forward` and `backward`, how the scheme's two quantities depend on f.
    """

    @staticmethod
    def save(ctx: Any, run: Trajectory, tensors: tuple[Tensor, ...]) -> int:
        """Remember the layer; its number."""
        ctx.set_materialize_grads(False)
        ctx.run, ctx.n = run, run.position
        if run.first is None and any(ctx.needs_input_grad):
            run.first = run.position
        ctx.save_for_backward(*tensors)  # finds parameters changed in place before backward
        return run.position

    @staticmethod
    def pull_back(ctx: Any, cotangent: Tensor) -> tuple[Tensor | None, list[Tensor | None]]:
        """The gradients for the layer's input, its parameters and the extras; None is zero.

        Parameters
        ----------
        ctx : context of the link
        cotangent : Tensor
            The gradient for f.
        """
        run, n, saved = ctx.run, ctx.n, ctx.saved_tensors
        run.seek(n + 1)
        count = len(run.slots[n])
        parameters = [_usable(p, s) for p, s in zip(saved[:count], run.slots[n], strict=True)]
        extras = run.extras.detached()
        x, f = run.retreat(parameters, extras)
        inputs: list[Tensor] = [x, *parameters, *extras]
        wanted = {id(t): t for t in inputs if t.requires_grad}
        if not ctx.needs_input_grad[X_INPUT]:
            del wanted[id(x)]
        if not wanted or not f.requires_grad:
            return None, [None] * (len(inputs) - 1)
        found = torch.autograd.grad(
            f, list(wanted.values()), cotangent.to(f.dtype), allow_unused=True
        )
        by_id = dict(zip(wanted, found, strict=True))
        # A parameter that fills several places is one input repeated: its gradient goes in once.
        grads: list[Tensor | None] = [by_id.pop(id(t), None) for t in inputs]
        if grads[0] is not None:
            grads[0] = grads[0].to(cotangent.dtype)
        return grads[0], grads[1:]

    @staticmethod
    def refuse_double(ctx: Any) -> None:
        """Raise if this backward pass is itself recorded.

        Raises
        ------
        DoubleBackwardError
        """
        if torch.is_grad_enabled():
            ctx.run.release()
            raise DoubleBackwardError(
                "A reversible pass has no second derivative: got create_graph=True; expected a "
                "first-order backward. Build the network with reversible=False for it."
            )

    @staticmethod
    def finish(ctx: Any) -> None:
        """Release the state after the last layer reached, unless the graph is kept for another pass."""
        if ctx.n == ctx.run.first and not torch._C._autograd._get_current_graph_task_keep_graph():
            ctx.run.release()


def _usable(saved: Tensor, slot: Slot) -> Tensor:
    """A leaf with the saved parameter's values.

    The parameter itself where the module still holds it and it has no hooks, which must run once,
    when the outer pass accumulates; else a leaf of its own on the same memory.
    """
    if saved is _parameter(slot) and saved.is_leaf and not saved._backward_hooks:
        return saved
    return nn.Parameter(saved.detach(), requires_grad=saved.requires_grad)

