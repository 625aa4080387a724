"""The three ways to the states of a block's equation, and to their gradients.

With backpropagation the solver of torchdiffeq, or a reversible scheme in floats, stands in the
graph; with the adjoint equation (`adjoint`) or a reversible scheme (`exact_pass`) one function of
autograd stands for the whole pass.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor

from odemom.checks import expect, shown
from odemom.nn.ode.adjoint import LAST_STAGE_AT_END, adjoint_solution, integrate
from odemom.nn.ode.borrowed import Borrowed
from odemom.nn.ode.checks import ADAPTIVE_METHODS, FIXED_STEP_METHODS, LEAPFROG, base_method
from odemom.nn.ode.exact_pass import exact_solution
from odemom.nn.ode.schemes import (
    TABLEAUX,
    Coupled,
    Derivative,
    Leapfrog,
    Parts,
    Scheme,
    default_damping,
    steps_of,
)
from odemom.nn.ode.vector_field import VectorField

__all__ = ["Problem", "by_torchdiffeq", "moved_with", "reversibly"]


@dataclass(frozen=True)
class Problem:
    """What a block asks of a solver.

    Attributes
    ----------
    method, rtol, atol, options
        As given to the block.
    gradient : {"backprop", "adjoint", "reversible"}
    horizon : float
        Of the call.
    """

    method: str
    rtol: float
    atol: float
    options: Mapping[str, Any]
    gradient: str
    horizon: float


def by_torchdiffeq(problem: Problem, field: VectorField, start: Parts, times: list[float]) -> Parts:
    """The states at ``times``, the first of which is that of ``start``."""
    grid = torch.tensor(times, dtype=_time_dtype(start[0]), device=start[0].device)
    solver: dict[str, Any] = {
        "rtol": problem.rtol,
        "atol": problem.atol,
        "method": problem.method,
        "options": _options_for(problem, grid, times[-1] - times[0], start[0].dtype),
    }
    if problem.gradient == "adjoint":
        return adjoint_solution(field, Borrowed(field.f), start, grid, solver)
    return integrate(field, start, grid, solver)


def _options_for(problem: Problem, grid: Tensor, span: float, dtype: torch.dtype) -> dict[str, Any]:
    options, method = dict(problem.options), problem.method
    if "step_size" in options:  # of far longer ones torchdiffeq makes no step at all
        options["step_size"] = min(options["step_size"], span)
    if method in FIXED_STEP_METHODS and len(grid) > 2:
        # Its linear default would be of lower order than the methods.
        options.setdefault("interp", "cubic")
    if method not in ADAPTIVE_METHODS or method == "scipy_solver":
        return options
    if grid.dtype != torch.float64:
        options.setdefault("dtype", grid.dtype)
    if method in LAST_STAGE_AT_END or dtype.itemsize > 2:
        # A step ends at the last time. Else torchdiffeq steps over it and takes the value of a
        # polynomial of degree 4, which is less accurate than dopri8 at any time. (Half precision
        # loses more by that polynomial's cancellation at the end of a step.)
        stops = grid[1:] if method == "dopri8" else grid[-1:]
        jumps = options.get("jump_t", grid[:0])
        stops = torch.cat([options.get("step_t", grid[:0]).to(grid), stops]).unique()
        options["step_t"] = stops[~torch.isin(stops, jumps.to(grid))]
    return options


def reversibly(
    problem: Problem, field: VectorField, start: Parts, times: list[float], *, last_velocity: bool
) -> Parts:
    """The states at ``times`` by a reversible scheme, which starts anew at each of them.

    ``last_velocity`` says whether the velocity at the last time is asked for: a leapfrog spends
    one more evaluation on it, and leaves it out otherwise.
    """
    borrowed = Borrowed(field.f)
    found = [start]
    for t, (begin, end) in enumerate(pairwise(times), 2):
        steps = steps_of(end - begin, problem.options["step_size"])
        if problem.method == LEAPFROG:
            scheme = Leapfrog(begin, end, steps, field.eps)
            wanted = last_velocity or t < len(times)
            found.append(_leap(problem, scheme, field, borrowed, found[-1], wanted))
        else:
            scheme = _coupled(problem, field, begin, end, steps)
            found.append(_run(problem, scheme, field, field, borrowed, found[-1]))
    return tuple(torch.stack(part) for part in zip(*found, strict=True))


def _coupled(problem: Problem, field: VectorField, begin: float, end: float, steps: int) -> Coupled:
    eps = field.eps if field.order == 2 else None
    damping = problem.options.get("coupling")
    if damping is None:
        damping = default_damping((end - begin) / steps, problem.horizon, eps)
    return Coupled(begin, end, steps, TABLEAUX[base_method(problem.method)], damping)


def _leap(
    problem: Problem,
    scheme: Leapfrog,
    field: VectorField,
    borrowed: Borrowed,
    start: Parts,
    velocity_wanted: bool,
) -> Parts:
    expect(
        scheme.damping > 0,
        "options['step_size']",
        got=shown(problem.options["step_size"]),
        expected=f"a step of at most 16 eps = {16 * scheme.eps:.3g} for method='leapfrog'",
        fix="With a longer one nothing of the velocity is left to go back by.",
    )
    x, v = start
    half = scheme.half_kick(field.evaluate(scheme.start, x), v)
    inner = (x + scheme.h * half, half)
    x, last = _run(problem, scheme, field, field.force, borrowed, inner)
    if not velocity_wanted:
        return x, torch.zeros_like(x)
    return x, scheme.half_kick(field.evaluate(scheme.end, x), last)


def _run(
    problem: Problem,
    scheme: Scheme,
    field: VectorField,
    slope: Derivative,
    borrowed: Borrowed,
    parts: Parts,
) -> Parts:
    if problem.gradient == "backprop":
        return scheme.in_floats(slope, parts)
    dtype = parts[0].dtype
    resolution = problem.options.get("resolution")
    found = exact_solution(scheme, field, slope, borrowed, parts, resolution)
    return tuple(part.to(dtype) for part in found)


def _time_dtype(x: Tensor) -> torch.dtype:
    # Apple's devices have no float64.
    return torch.float32 if x.device.type == "mps" else torch.float64


def moved_with(
    moments: Tensor, times: list[float], solution: tuple[Tensor, ...], field: VectorField
) -> tuple[Tensor, ...]:
    """The same states, of which those at ``moments`` move with them: dx/dt is the derivative."""
    earlier = len(times) - len(moments)
    slopes = [field(t, tuple(s[n] for s in solution)) for n, t in enumerate(times) if n >= earlier]
    shift = moments - moments.detach()
    moved = []
    for state, slope in zip(solution, zip(*slopes, strict=True), strict=True):
        factor = shift.to(state).reshape(-1, *(1 for _ in state.shape[1:]))
        moved.append(torch.cat([state[:earlier], state[earlier:] + factor * torch.stack(slope)]))
    return tuple(moved)
