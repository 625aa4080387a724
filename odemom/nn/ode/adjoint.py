"""Gradients by the adjoint equation (Chen et al. 2018), integrated backwards in time.

With the state y' = F(t, y) and the gradient a of the loss for y, a' = -(dF/dy)^T a, and the
gradient for the parameters is the integral of (dF/dp)^T a. The pass keeps the states at the times
asked for and nothing between them.

The field of the backward pass must be that of the forward pass. Its parameters and buffers are put
back (`borrowed`), its random numbers and moving buffers too (`steady`); what cannot be put back is
looked for and refused by name.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from odemom.checks import optional_import
from odemom.errors import IntegrationError, ReversibilityError
from odemom.nn.ode.borrowed import (
    Borrowed,
    Surroundings,
    modes_of,
    refuse_double,
    refuse_foreign,
)
from odemom.nn.ode.vector_field import Parts, VectorField

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
        self._surroundings: Surroundings | None = None
        self._modes = modes_of(field.f)

    def forward(self, start: Parts) -> Parts:
        """The states, computed without a graph."""
        field = self.field
        field.tensors = [t.detach() for t in field.extras.tensors]
        field.checked = self._checked
        # Nothing that f is given requires a gradient: a value that does depends on something else.
        with torch.enable_grad(), self.borrowed.in_place(self.borrowed.leaves(requires_grad=False)):
            start = tuple(s.detach() for s in start)
            solution = integrate(field, start, self.grid, self.solver)
        field.checked = None
        field.tensors = field.extras.tensors
        self.borrowed.mark(field.steady.moving, field.extras.tensors)
        self._surroundings = Surroundings(field.f)
        return tuple(s.detach() for s in solution)

    @staticmethod
    def _checked(x: Tensor, value: Tensor) -> Tensor:
        if value.requires_grad:
            refuse_foreign([value], [x], WAY)
        return value.detach()

    def backward(self, solution: Parts, grads: tuple[Tensor | None, ...]) -> list[Tensor | None]:
        """The gradients for the start, the parameters and the further arguments."""
        field, borrowed = self.field, self.borrowed
        borrowed.require_unchanged()
        leaves = borrowed.leaves(requires_grad=True)
        extras = field.extras.detached()
        with field.autocast.again(), borrowed.in_place(leaves):
            field.tensors = extras
            try:
                stale = self._is_stale()
                wanted = [t for t in (*leaves, *extras) if t.requires_grad]
                found = self._integrate(solution, grads, wanted)
            finally:
                field.tensors = field.extras.tensors
        if stale:
            switched = modes_of(field.f) != self._modes
            cause = "train() or eval() was called" if switched else "an attribute has changed"
            raise ReversibilityError(
                f"f is not the field of the forward pass: {cause} since. Call backward before such "
                "a change, pass what changes to the block's call, or build the block with "
                "gradient='backprop'."
            )
        by_id = {id(t): g for t, g in zip(wanted, found[self.parts :], strict=True)}
        return [*found[: self.parts], *(by_id.get(id(t)) for t in (*leaves, *extras))]

    def _is_stale(self) -> bool:
        """Whether something around f has changed, and f with it."""
        if self._surroundings is None or not self._surroundings.changed():
            return False
        if self.field.first is None:
            return False
        t, x, v, value = self.field.first
        return not torch.equal(self.field.evaluate(t, x, v).detach(), value)

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
            return None, *ctx.run.backward(ctx.saved_tensors, grads)
