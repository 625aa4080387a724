"""Gradients of a reversible scheme: the backward pass moves the exact state back, step by step.

One function of autograd holds the whole pass, so that nothing grows with the number of steps but
the information buffer and a checksum a move. Going back, every evaluation of f is made again on the
bits that it had, and its gradient is taken: the result is what plain autograd gives for the same
scheme, up to the rounding of the fixed point.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from odemom.errors import ReversibilityError
from odemom.nn.ode.attributes import Attributes
from odemom.nn.ode.batches import random_numbers_allowed
from odemom.nn.ode.borrowed import Borrowed, refuse_double, refuse_foreign
from odemom.nn.ode.reports import Reports, reports_for
from odemom.nn.ode.schemes import Derivative, Parts, Scheme
from odemom.nn.ode.vector_field import VectorField
from odemom.nn.recompute.link import _graph_is_kept
from odemom.nn.reversible.state import ReversibleState

__all__ = ["ExactRun", "exact_solution"]

WAY = "reversible"
ENGINE: Any = torch.autograd.Variable._execution_engine
Pairs = list[tuple[Tensor | None, Tensor | None]]


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
        self._kept: tuple[list[ReversibleState], Reports] | None = None
        self._attributes = Attributes(field.modules if record else ())
        # A field that knows the time may take another tensor later.
        self._look_always = "t" in field.roles

    def forward(self, parts: Parts) -> Parts:
        """The result, and the state after it kept."""
        scheme, field = self.scheme, self.field
        states = scheme.exact(parts, resolution=self.resolution, keep=self.record)
        reports = reports_for(scheme.moves, len(states), field.device)
        leaves = self.borrowed.leaves(requires_grad=self.record)
        # Gradient mode is on, as it will be the second time: kernels may depend on it.
        with torch.set_grad_enabled(self.record), self.borrowed.in_place(leaves):
            field.tensors = field.extras.detached() if self.record else field.extras.tensors
            shown = self._leaves([s.shown() for s in states])
            for n in range(scheme.moves):
                values = scheme.value(n, self.slope, shown)
                if self.record and (n == 0 or self._look_always):
                    refuse_foreign(values, (*shown, *leaves, *field.tensors), WAY)
                if self.record and n == 0 and scheme.moves > 1:
                    # What the first evaluations leave belongs to the call.
                    self._attributes = Attributes(field.modules)
                moved = [s.advance(v) for s, v in zip(states, values, strict=True)]
                shown = self._leaves([out for out, _ in moved])
                stats = [found for _, found in moved]
                reports.forward(n, list(zip(states, stats, values, strict=True)))
                del values  # with its graph
            field.tensors = field.extras.tensors
        reports.end_of_forward(states)
        self._attributes.end_of_forward()
        self._kept = (states, reports) if self.record else None
        return scheme.read(states)

    def _leaves(self, shown: list[Tensor]) -> Parts:
        """What states show, which is new, as what gradients are taken for."""
        return tuple([x.requires_grad_(self.record) for x in shown])

    def backward(self, grads: tuple[Tensor | None, ...], kept: bool) -> list[Any]:
        """The gradients for the parts, the parameters and the further arguments."""
        if self._kept is None:
            raise ReversibilityError(
                "The state of this pass was released by a backward pass; call backward with "
                "retain_graph=True to go back more than once."
            )
        scheme, field, (states, reports) = self.scheme, self.field, self._kept
        self._kept = ([s.clone() for s in states], reports) if kept else None
        leaves, extras = self.borrowed.leaves(requires_grad=True), field.extras.detached()
        wanted = [t for t in (*leaves, *extras) if t.requires_grad]
        totals: list[Tensor | None] = [None] * len(wanted)
        # A zero like one that is there: that may be a batch of gradients.
        zero = torch.zeros_like(next(g for g in grads if g is not None))
        given = [(zero if g is None else g).to(states[0].carrier) for g in grads]
        pairs = scheme.gradients_at_end(tuple(given))
        with (
            field.autocast.again(),
            self._attributes.put_back(),
            self.borrowed.in_place(leaves),
        ):
            field.tensors = extras
            try:
                for n in reversed(range(scheme.moves)):
                    pairs = self._move_back(n, states, reports, pairs, wanted, totals)
            finally:
                field.tensors = field.extras.tensors
        self._require_same(reports.end_of_back())
        by_id = {id(t): g for t, g in zip(wanted, totals, strict=True)}
        return [*scheme.gradients_at_start(pairs), *(by_id.get(id(t)) for t in (*leaves, *extras))]

    def _move_back(
        self,
        n: int,
        states: list[ReversibleState],
        reports: Reports,
        pairs: Pairs,
        wanted: list[Tensor],
        totals: list[Tensor | None],
    ) -> Pairs:
        """The gradients for each state's pair before move ``n``; others are added to ``totals``.

        What a move needs ends with it, so that the next one finds the same memory again.
        """
        forces = [s.force(gx, gh) for s, (gx, gh) in zip(states, pairs, strict=True)]
        shown = self._leaves([s.expose() for s in states])
        with torch.enable_grad():
            values = self.scheme.value(n, self.slope, shown)
        checksums = [s.retreat(v) for s, v in zip(states, values, strict=True)]
        self._require_same(reports.back(n, checksums))
        found = _pulled_back(values, forces, (*shown, *wanted))
        _add_up(totals, found[len(shown) :])
        return [
            s.carried(gx, gh, through, None)
            for s, (gx, gh), through in zip(states, pairs, found, strict=False)
        ]

    def _require_same(self, mismatch: int | None) -> None:
        if mismatch is None:
            return
        raise ReversibilityError(
            f"f, at move {mismatch} of {self.scheme.moves}, did not recompute the bits of its "
            "forward pass, so no gradient can be trusted: look for a parameter changed since, a "
            "global, a counter, a generator of its own, an operation that is not deterministic "
            "(torch.use_deterministic_algorithms)."
        )


def _pulled_back(values: Parts, cotangents: list[Tensor], inputs: Parts) -> list[Tensor | None]:
    used = [(v, c.to(v.dtype)) for v, c in zip(values, cotangents, strict=True) if v.requires_grad]
    if not used:
        return [None] * len(inputs)
    outputs, weights = zip(*used, strict=True)
    # What torch.autograd.grad does, without what it asks first, which is long beside a small f.
    return list(ENGINE.run_backward(outputs, weights, False, False, inputs, True, False))


def _add_up(totals: list[Tensor | None], more: list[Tensor | None]) -> None:
    for i, (total, gradient) in enumerate(zip(totals, more, strict=True)):
        if total is not None and gradient is not None:
            total.add_(gradient)
        elif gradient is not None:
            totals[i] = gradient.clone()  # autograd may have given a view, also of another's


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
        with torch.inference_mode(False), torch.no_grad(), random_numbers_allowed():
            return None, None, *ctx.run.backward(grads, _graph_is_kept())
