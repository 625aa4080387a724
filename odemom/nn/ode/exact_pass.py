"""Gradients of a reversible scheme: the backward pass moves the exact state back, step by step.

One function of autograd holds the whole pass, so that nothing grows with the number of steps but
the information buffer. Going back, every evaluation of f is made again on the bits that it had, and
its gradient is taken: the result is what plain autograd gives for the same scheme, up to the
rounding of the fixed point.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from odemom.errors import ReversibilityError
from odemom.nn.ode.borrowed import Borrowed, modes_of, refuse_double, refuse_foreign
from odemom.nn.ode.reports import Reports
from odemom.nn.ode.schemes import Derivative, Parts, Scheme
from odemom.nn.ode.vector_field import VectorField
from odemom.nn.recompute.link import _graph_is_kept
from odemom.nn.reversible.state import ReversibleState

__all__ = ["ExactRun", "exact_solution"]

WAY = "reversible"


def exact_solution(
    scheme: Scheme,
    field: VectorField,
    slope: Derivative,
    borrowed: Borrowed,
    parts: Parts,
    resolution: int | None,
) -> Parts:
    """What ``scheme`` makes of ``parts``, with gradients by going back.

    ``slope`` is the function of the field that the scheme calls.
    """
    inputs = (*parts, *borrowed.inputs, *field.extras.tensors)
    record = torch.is_grad_enabled() and any(t.requires_grad for t in inputs)
    run = ExactRun(scheme, field, slope, borrowed, resolution, record=record)
    if not record:
        with torch.no_grad():
            return run.forward(parts)
    return _Exact.apply(run, len(parts), *inputs)


class ExactRun:
    """One forward pass and its backward passes."""

    def __init__(
        self,
        scheme: Scheme,
        field: VectorField,
        slope: Derivative,
        borrowed: Borrowed,
        resolution: int | None,
        *,
        record: bool,
    ) -> None:
        self.scheme, self.field, self.slope, self.borrowed = scheme, field, slope, borrowed
        self.resolution, self.record = resolution, record
        self.states: list[ReversibleState] | None = None
        self._reports: Reports | None = None
        self._modes = modes_of(field.f)
        # A field that knows the time may take another tensor later.
        self._look_always = "t" in field.roles

    def forward(self, parts: Parts) -> Parts:
        """The result, and the state after it kept."""
        scheme, field = self.scheme, self.field
        states = scheme.exact(parts, resolution=self.resolution, keep=self.record)
        reports = Reports(scheme.moves, states, field.device)
        leaves = self.borrowed.leaves(requires_grad=self.record)
        # Gradient mode is on, as it will be the second time: kernels may depend on it.
        with torch.set_grad_enabled(self.record), self.borrowed.in_place(leaves):
            field.tensors = field.extras.detached() if self.record else field.extras.tensors
            shown = tuple(s.shown() for s in states)
            for n in range(scheme.moves):
                shown = self._leaves(shown)
                values = scheme.value(n, self.slope, shown)
                if self.record and (n == 0 or self._look_always):
                    refuse_foreign(values, (*shown, *leaves, *field.tensors), WAY)
                moved = [s.advance(v.detach()) for s, v in zip(states, values, strict=True)]
                shown = tuple(out for out, _ in moved)
                reports.forward(n, [stats for _, stats in moved], values)
            field.tensors = field.extras.tensors
        reports.end_of_forward()
        if self.record:
            self.states, self._reports = states, reports
        return scheme.read(states)

    def _leaves(self, shown: Parts) -> Parts:
        return tuple(x.detach().requires_grad_(self.record) for x in shown)

    def backward(self, grads: tuple[Tensor | None, ...], kept: bool) -> list[Any]:
        """The gradients for the parts, the parameters and the further arguments."""
        reports = self._reports
        if self.states is None or reports is None:
            raise ReversibilityError(
                "The state of this pass was released by a backward pass; call backward with "
                "retain_graph=True to go back more than once."
            )
        scheme, field, states = self.scheme, self.field, self.states
        self.states = [s.clone() for s in states] if kept else None
        leaves, extras = self.borrowed.leaves(requires_grad=True), field.extras.detached()
        wanted = [t for t in (*leaves, *extras) if t.requires_grad]
        filled = [
            torch.zeros_like(s.shown()) if g is None else g for g, s in _padded(grads, states)
        ]
        pairs = scheme.gradients_at_end(tuple(g.to(s.carrier) for g, s in _padded(filled, states)))
        reports.start_back()
        with field.autocast.again(), self.borrowed.in_place(leaves):
            field.tensors = extras
            try:
                for n in reversed(range(scheme.moves)):
                    pulled = [s.adjoint(gx, gh) for s, (gx, gh) in zip(states, pairs, strict=True)]
                    shown = self._leaves(tuple(s.expose() for s in states))
                    with torch.enable_grad():
                        values = scheme.value(n, self.slope, shown)
                    pairings = zip(states, values, strict=True)
                    if not reports.found_again(n, [s.retreat(v.detach()) for s, v in pairings]):
                        raise self._another_function(n)
                    _pull_back(values, [gf for gf, _, _ in pulled], (*shown, *wanted))
                    pairs = [
                        (_sum(gx, x.grad), gh) for (_, gx, gh), x in zip(pulled, shown, strict=True)
                    ]
            finally:
                field.tensors = field.extras.tensors
        mismatch = reports.last_mismatch()
        if mismatch is not None:
            raise self._another_function(mismatch)
        return [*scheme.gradients_at_start(pairs), *(t.grad for t in (*leaves, *extras))]

    def _another_function(self, n: int) -> ReversibilityError:
        cause = "look for a parameter changed since, an attribute, a counter, a generator of its "
        cause += "own, an operation that is not deterministic (torch.use_deterministic_algorithms)"
        if modes_of(self.field.f) != self._modes:
            cause = "train() or eval() was called between the passes"
        return ReversibilityError(
            f"f, at move {n} of {self.scheme.moves}, did not recompute the bits of its "
            f"forward pass, so no gradient can be trusted: {cause}."
        )


def _padded(grads: Any, states: list[ReversibleState]) -> list[tuple[Any, ReversibleState]]:
    """Every gradient with the state that it belongs to; a leapfrog has two of one state."""
    return [(g, states[min(i, len(states) - 1)]) for i, g in enumerate(grads)]


def _pull_back(values: Parts, cotangents: list[Tensor], leaves: Parts) -> None:
    """Add to the gradients of ``leaves`` what comes to them through ``values``."""
    used = [(v, c.to(v.dtype)) for v, c in zip(values, cotangents, strict=True) if v.requires_grad]
    if used:
        outputs, weights = zip(*used, strict=True)
        torch.autograd.backward(outputs, weights, inputs=leaves)


def _sum(one: Tensor | None, other: Tensor | None) -> Tensor | None:
    if one is None or other is None:
        return other if one is None else one
    return one + other


class _Exact(torch.autograd.Function):
    """An `ExactRun` as a function of autograd."""

    @staticmethod
    def forward(ctx: Any, run: ExactRun, parts: int, *inputs: Tensor) -> Any:
        ctx.run = run
        ctx.set_materialize_grads(False)
        return run.forward(inputs[:parts])

    @staticmethod
    def backward(ctx: Any, *grads: Tensor | None) -> Any:
        refuse_double(WAY)
        with torch.inference_mode(False), torch.no_grad():
            return None, None, *ctx.run.backward(grads, _graph_is_kept())
