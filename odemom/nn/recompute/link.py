"""A reversible pass as a chain of functions of autograd, one per layer.

Each link takes its layer's parameters and the extra arguments as inputs and returns their
gradients, so that autograd itself accumulates them as soon as they are known, adds up those of
shared parameters, skips frozen ones and calls the hooks of DistributedDataParallel. The links
share one `Trajectory`, which holds the only state; going back, it moves layer by layer.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.graph import GradientEdge, get_gradient_edge

from odemom.errors import DoubleBackwardError
from odemom.nn.recompute.refusals import hooked_input
from odemom.nn.recompute.slots import Slot, parameter_at
from odemom.nn.recompute.trajectory import Trajectory

__all__ = ["Link", "linked", "token"]

REFUSED = {
    "through the graph a second time": (
        "it keeps a tensor that was computed from its parameters once, for several layers, and "
        "each layer goes back through its graph. Compute it in each call."
    ),
    "When use_reentrant=True": (
        "it holds a checkpoint with use_reentrant=True, which gives its gradients to no caller. "
        "Use use_reentrant=False there, or none: the layer is computed again as it is."
    ),
}
"""What PyTorch says of a function's own graph, and what it means here."""

EDGES_OWN = "ownership_token" in GradientEdge._fields
"""Whether an edge keeps a node of Python's own alive: before PyTorch 2.7 using one that has lost
its tensor ends the program."""

X_INPUT = 1
"""Position of the function's input among the inputs of a link."""


class Link(torch.autograd.Function):
    """One layer of a `Trajectory`: the pair (x, h) in, the pair after the layer out.

    The values live in the trajectory. A companion h that no one looks at stands in the graph as a
    `token`; the last layer shows it.
    """

    @staticmethod
    def forward(ctx: Any, run: Trajectory, x: Tensor, h: Tensor, *tensors: Tensor) -> Any:
        """Move over the next function; ``tensors`` are its parameters and the extra arguments.

        The function gets x with the graph that it has here: a tensor that leaves the function
        keeps it, so that its gradient comes back, and so does what hooks do to the gradient of x.
        """
        del h
        ctx.set_materialize_grads(False)
        ctx.run, ctx.n, ctx.pass_number = run, run.position, run.number
        if run.first is None and any(ctx.needs_input_grad):
            run.first, run.wants_x = run.position, ctx.needs_input_grad[X_INPUT]
        ctx.save_for_backward(*tensors)  # finds parameters changed in place before backward
        entered = ctx.n or getattr(x.grad_fn, "pass_number", None) == run.number
        with torch.enable_grad():
            shown = x if entered else Entrance.apply(run, x)
        out = run.advance(shown)
        if shown is not x and shown._backward_hooks:
            raise hooked_input(run.name(ctx.n), run.dtype)
        at_the_end = run.closed and run.position == len(run.layers)
        return out, run.require_state().companion() if at_the_end else token(out)

    @staticmethod
    def backward(ctx: Any, gx: Tensor | None, gh: Tensor | None) -> Any:  # type: ignore[override]
        """Move back over the function, and apply the adjoint of the state's rule."""
        _refuse_double(ctx)
        with torch.inference_mode(False), torch.no_grad():
            return Link._backward(ctx, gx, gh)

    @staticmethod
    def _backward(ctx: Any, gx: Tensor | None, gh: Tensor | None) -> Any:
        ctx.run.settle()
        state = ctx.run.require_state()
        cotangent = state.force(gx, gh)
        through_f, others = _pull_back(ctx, cotangent)
        # A block's value holds x itself, which the cotangent of the increment does not.
        adds = ctx.run.layers[ctx.n].adds_input and ctx.needs_input_grad[X_INPUT]
        twice = cotangent if adds else None
        del cotangent
        # Only now: while the function is computed again, memory is short.
        gx, gh = state.carried(gx, gh, through_f, twice)
        if ctx.n == ctx.run.first and not _graph_is_kept():
            ctx.run.release()
        return None, gx, gh, *others


class Entrance(torch.autograd.Function):
    """The first x, which came from outside, as the fixed point holds it for the first function."""

    @staticmethod
    def forward(ctx: Any, run: Trajectory, x: Tensor) -> Tensor:
        """The rounded x."""
        ctx.n, ctx.pass_number = 0, run.number
        return run.shown()

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[None, Tensor]:
        """The gradient for x."""
        return None, gradients[0]


def linked(run: Trajectory, x: Tensor, h: Tensor | None) -> tuple[Tensor, Tensor]:
    """The pair after the layers left, as a chain of links from (x, h); h = None is zero."""
    first = Entrance.apply(run, x) if x.requires_grad else x
    pair = first, token(x) if h is None else h
    for layer in run.layers[run.position :]:
        tensors = run.arguments().tensors
        pair = Link.apply(run, *pair, *layer.parameters, *tensors)
    return pair


def token(x: Tensor) -> Tensor:
    """A tensor of x's shape without memory of its own, to stand in the graph for another."""
    return torch.zeros((), dtype=x.dtype, device=x.device).expand(x.shape)


def _pull_back(ctx: Any, cotangent: Tensor) -> tuple[Tensor | None, list[Tensor | None]]:
    """The gradients that ``cotangent``, that for f, has for x, the parameters and the extras.

    None is zero.
    """
    run, n, saved = ctx.run, ctx.n, _saved(ctx)
    run.seek(n + 1)
    slots = run.layers[n].slots
    parameters = [_usable(p, s) for p, s in zip(saved[: len(slots)], slots, strict=True)]
    inputs, value = run.retreat(parameters)
    wanted = {id(t): t for t in inputs if t.requires_grad}
    if not ctx.needs_input_grad[X_INPUT]:
        del wanted[id(inputs[0])]
    if not wanted or not value.requires_grad:
        return None, [None] * (len(inputs) - 1)
    _without_hooks(inputs, run.layers[n].parameters)
    given = cotangent.to(value.dtype)
    root = get_gradient_edge(value) if EDGES_OWN and value.grad_fn is not None else value
    del value  # its graph alone is needed: at the peak of memory every tensor counts
    with _graphs_of_its_own(ctx):
        found = torch.autograd.grad(root, [*wanted.values()], given, allow_unused=True)
    by_id = dict(zip(wanted, found, strict=True))
    # A parameter that fills several places is one input repeated: its gradient goes in once.
    through, *others = [by_id.pop(id(t), None) for t in inputs]
    return None if through is None else through.to(cotangent.dtype), others


def _saved(ctx: Any) -> tuple[Tensor, ...]:
    """The parameters and extra arguments of the link, unless one was changed in place."""
    try:
        return ctx.saved_tensors
    except RuntimeError as error:
        if "modified by an inplace operation" not in str(error):
            raise
        what = "a parameter or an argument was modified by an inplace operation after it was used."
        raise ctx.run.changed(ctx.n, what) from error


def _without_hooks(inputs: list[Tensor], parameters: tuple[Tensor, ...]) -> None:
    """Take off the hooks that the second call put on its leaves; those of the first call run."""
    for tensor in inputs:
        if tensor._backward_hooks and all(tensor is not p for p in parameters):
            tensor._backward_hooks.clear()


@contextmanager
def _graphs_of_its_own(ctx: Any) -> Iterator[None]:
    """Say which function uses a graph that another layer has used up."""
    try:
        yield
    except RuntimeError as error:
        what = next((said for part, said in REFUSED.items() if part in str(error)), None)
        if what is None:
            raise
        raise ctx.run.changed(ctx.n, what) from error


def _refuse_double(ctx: Any) -> None:
    """Raise if this backward pass is itself recorded."""
    if torch.is_grad_enabled():
        ctx.run.release()
        raise DoubleBackwardError(
            "A reversible pass has no second derivative: got create_graph=True; expected a "
            "first-order backward. Build the network with reversible=False for it."
        )


def _usable(saved: Tensor, slot: Slot) -> Tensor:
    """A leaf with the saved parameter's values.

    The parameter itself where the module still holds it and it has no hooks, which must run once,
    when the outer pass accumulates; else a leaf of its own on the same memory.
    """
    if saved is parameter_at(slot) and saved.is_leaf and not saved._backward_hooks:
        return saved
    return nn.Parameter(saved.detach(), requires_grad=saved.requires_grad)


def _graph_is_kept() -> bool:
    """Whether the backward pass under way was called with retain_graph=True."""
    return torch._C._autograd._get_current_graph_task_keep_graph()  # type: ignore[attr-defined]
