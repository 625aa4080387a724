"""Gradients by the adjoint equation (Chen et al. 2018), integrated backwards in time.

With the state y' = F(t, y) and the gradient a of the loss for y, a' = -(dF/dy)^T a, and the
gradient for the parameters is the integral of (dF/dp)^T a. The pass keeps the states at the times
asked for and nothing between them.

The field of the backward pass must be that of the forward pass. Its parameters and buffers are put
back (`borrowed`), its random numbers and moving buffers too (`steady`), its attributes and modes
as well (`attributes`). What cannot be put back, such as a global, is found by its values: two
evaluations of the forward pass are made again, and must give what they gave.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from odemom.checks import optional_import
from odemom.errors import IntegrationError, ReversibilityError
from odemom.nn.ode.attributes import Attributes
from odemom.nn.ode.batches import one_by_one
from odemom.nn.ode.borrowed import Borrowed, refuse_double, refuse_foreign
from odemom.nn.ode.vector_field import Moment, Parts, VectorField
from odemom.nn.recompute.graph import foreign_leaf
from odemom.nn.recompute.sampling import alike

torchdiffeq = optional_import("torchdiffeq", "torch")

__all__ = ["LAST_STAGE_AT_END", "AdjointRun", "adjoint_solution", "integrate"]

WAY = "adjoint"
LAST_STAGE_AT_END = ("dopri5", "dopri8", "bosh3")
"""Methods whose last evaluation in a step is at the state after it."""

HERE = ", in the adjoint pass"


def adjoint_solution(
    field: VectorField, borrowed: Borrowed, start: Parts, grid: Tensor, solver: dict[str, Any]
) -> Parts:
    """The states at the times of ``grid``, with gradients by the adjoint equation.

    ``solver`` are the arguments of torchdiffeq: method, tolerances and options.
    """
    run = AdjointRun(field, borrowed, grid, solver)
    inputs = (*start, *borrowed.inputs, *field.extras.tensors)
    return _Adjoint.apply(run, *inputs)


def integrate(field: VectorField, start: Parts, grid: Tensor, solver: dict[str, Any]) -> Parts:
    """The states at the times of ``grid``, by torchdiffeq."""
    with field.failures_explained():
        solution = torchdiffeq.odeint(field, start, grid, **solver)
        if solver["method"] in LAST_STAGE_AT_END and "step_t" in solver["options"]:
            # torchdiffeq evaluates a polynomial there, at a cost of some digits.
            ends = zip(solution, field.state, strict=True)
            solution = tuple(torch.cat([s[:-1], end[None]]) for s, end in ends)
    return solution


class AdjointRun:
    """One forward pass and its backward passes."""

    def __init__(
        self, field: VectorField, borrowed: Borrowed, grid: Tensor, solver: dict[str, Any]
    ) -> None:
        self.field, self.borrowed, self.grid, self.solver = field, borrowed, grid, solver
        self.parts = field.order
        self._attributes = self._after_first = Attributes(field.modules)
        self._witnesses = _Witnesses()
        self._traced = False

    def forward(self, start: Parts) -> Parts:
        """The states, computed without a graph."""
        field = self.field
        with self._as_in_forward():
            field.checked = self._checked
            start = tuple(s.detach() for s in start)
            solution = integrate(field, start, self.grid, self.solver)
            field.checked = None
        if self._witnesses.count > 1:  # what the first evaluation leaves belongs to the call
            self._attributes = self._after_first
        self._attributes.end_of_forward()
        self.borrowed.mark(field.steady.moving, field.extras.tensors)
        return tuple(s.detach() for s in solution)

    @contextmanager
    def _as_in_forward(self) -> Iterator[None]:
        """Let nothing that f is given require a gradient: what does is seen in its value."""
        field = self.field
        self._given = [
            *self.borrowed.leaves(requires_grad=False),
            *(t.detach() for t in field.extras.tensors),
        ]
        parameters = len(self.borrowed.inputs)
        field.tensors, field.leaves = self._given[parameters:], False
        if self._traced:
            self._trace()
        try:
            with torch.enable_grad(), self.borrowed.in_place(self._given[:parameters]):
                yield
        finally:
            field.tensors, field.leaves = field.extras.tensors, None
            self._given = []

    def _trace(self) -> None:
        """Let all that gets a gradient require it from now on."""
        self._traced = self.field.leaves = True
        originals = (*self.borrowed.inputs, *self.field.extras.tensors)
        for tensor, original in zip(self._given, originals, strict=True):
            tensor.requires_grad_(original.requires_grad)

    def _checked(self, moment: Moment, state: Parts, value: Tensor) -> Tensor:
        if value.requires_grad:
            if not self._traced and foreign_leaf([value], state) is not None:
                # It may be made of the state, as is a part of it that `requires_grad_` made a leaf.
                self._trace()
                value, state = self.field.repeat(moment)
            refuse_foreign([value], (*state, *self._given), WAY)
        value = value.detach()
        if self._witnesses.count == 0:
            self._after_first = Attributes(self.field.modules)
        self._witnesses.take(moment, value)
        return value

    def backward(self, solution: Parts, grads: tuple[Tensor | None, ...]) -> list[Tensor | None]:
        """The gradients for the start, the parameters and the further arguments."""
        field, borrowed = self.field, self.borrowed
        borrowed.require_unchanged()
        with field.autocast.again(), self._attributes.put_back():
            with self._as_in_forward():
                self._witnesses.require_same(field)
            leaves = borrowed.leaves(requires_grad=True)
            extras = field.extras.detached()
            with borrowed.in_place(leaves):
                field.tensors = extras
                try:
                    wanted = [t for t in (*leaves, *extras) if t.requires_grad]
                    found = self._integrate(solution, grads, wanted)
                finally:
                    field.tensors = field.extras.tensors
        by_id = {id(t): g for t, g in zip(wanted, found[self.parts :], strict=True)}
        return [*found[: self.parts], *(by_id.get(id(t)) for t in (*leaves, *extras))]

    def _integrate(
        self, solution: Parts, grads: tuple[Tensor | None, ...], wanted: list[Tensor]
    ) -> list[Tensor]:
        options = {k: v for k, v in self.solver["options"].items() if k != "norm"}
        scipy = self.solver["method"] == "scipy_solver"  # it warns of any callback
        slope = (_Augmented if scipy else _Watched)(self.field, self.parts, wanted)
        adjoint = [torch.zeros_like(s[0]) for s in solution]
        totals = [torch.zeros_like(t) for t in wanted]
        for i in range(len(self.grid) - 1, -1, -1):
            for a, g in zip(adjoint, grads, strict=True):
                if g is not None:
                    a += g[i]
            if i == 0:
                break
            state = (*(s[i] for s in solution), *adjoint, *totals)
            span = self.grid[i - 1 : i + 1].flip(0)
            solver = {**self.solver, "options": _options_back(options, span)}
            with self.field.failures_explained(HERE):
                ends = torchdiffeq.odeint(slope, state, span, **solver)
            ends = [part[1].clone() for part in ends]
            adjoint, totals = ends[self.parts : 2 * self.parts], ends[2 * self.parts :]
        return [*adjoint, *totals]


class _Witnesses:
    """Two evaluations of a pass, from its middle and towards its end."""

    def __init__(self) -> None:
        self.count = 0
        self._kept: deque[tuple[Moment, Tensor]] = deque(maxlen=2)

    def take(self, moment: Moment, value: Tensor) -> None:
        """Keep an evaluation, if its turn has come."""
        # The numbers 3, 5, 9, 17, ...: stages of a step that are at neither end of it.
        n = self.count
        if n < 3 or (n - 1) & (n - 2) == 0:
            t, x, v = moment
            self._kept.append(((t, x.detach(), None if v is None else v.detach()), value))
        self.count += 1

    def require_same(self, field: VectorField) -> None:
        """Raise if ``field`` has other values there now, beyond rounding."""
        for moment, value in self._kept:
            again, _ = field.repeat(moment)
            if not bool(alike(again.flatten(), value.flatten(), _spacing(field))):
                raise ReversibilityError(
                    "f is not the field of the forward pass: at a state where it was evaluated "
                    "then it has another value now. Look for a global that has changed since, a "
                    "generator of its own, an operation that is not deterministic. Call backward "
                    "before such a change, pass what changes to the block's call, or build the "
                    "block with gradient='backprop'."
                )


def _spacing(field: VectorField) -> float:
    """That of the type in which autocast lets the field compute; 0 without."""
    states = field.autocast.states
    return max((torch.finfo(dtype).eps for _, on, dtype in states if on), default=0.0)


def _options_back(options: dict[str, Any], span: Tensor) -> dict[str, Any]:
    if "step_size" in options:
        step = min(options["step_size"], float((span[1] - span[0]).abs()))
        return {**options, "step_size": step}
    if "step_t" not in options:
        return options
    inside = [t for t in options["step_t"].tolist() if span[1] < t < span[0]]
    return {**options, "step_t": torch.tensor([*inside, span[1]], dtype=span.dtype)}


class _Augmented:
    """The right-hand side for the state, its adjoint and the gradients of what is ``wanted``."""

    def __init__(self, field: VectorField, parts: int, wanted: list[Tensor]) -> None:
        self.field, self.parts, self.wanted = field, parts, wanted

    def __call__(self, t: Tensor, state: Parts) -> Parts:
        n = self.parts
        with torch.enable_grad():
            y = [part.detach().requires_grad_() for part in state[:n]]
            slopes = self.field(t, tuple(y))
            pairs = [(s, -a) for s, a in zip(slopes, state[n : 2 * n], strict=True)]
            used = [(s, a.detach()) for s, a in pairs if s.requires_grad]
            inputs = [*y, *self.wanted]
            grads: Any = [None] * len(inputs)
            if used:
                outputs, weights = zip(*used, strict=True)
                grads = torch.autograd.grad(outputs, inputs, weights, allow_unused=True)
        filled = (
            torch.zeros_like(i) if g is None else g for i, g in zip(inputs, grads, strict=True)
        )
        return (*(s.detach() for s in slopes), *filled)


class _Watched(_Augmented):
    """The same for the solvers that call back before each step."""

    def callback_step(self, t: Tensor, state: Parts, dt: Tensor) -> None:
        """Refuse what the solver would only assert: a step lost in rounding, a state not finite."""
        if not bool(t - dt < t):
            raise IntegrationError(self.field.explanation(f"underflow in dt{HERE}"))
        if not all(bool(torch.isfinite(part).all()) for part in state):
            raise IntegrationError(self.field.explanation(f"non-finite values in state{HERE}"))


class _Adjoint(torch.autograd.Function):
    """An `AdjointRun` as a function of autograd."""

    @staticmethod
    def forward(ctx: Any, run: AdjointRun, *inputs: Tensor) -> Any:
        solution = run.forward(inputs[: run.parts])
        ctx.run = run
        ctx.save_for_backward(*solution)
        ctx.set_materialize_grads(False)
        return solution

    @staticmethod
    def backward(ctx: Any, *grads: Tensor | None) -> Any:
        refuse_double(WAY)
        with torch.inference_mode(False), torch.no_grad():
            run, solution = ctx.run, ctx.saved_tensors
            return None, *one_by_one(lambda each: run.backward(solution, each), grads)
