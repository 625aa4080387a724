"""What an `ODEBlock` accepts: parameters on construction, states and times on calling."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from odemom.checks import as_number, expect, invalid, shown

__all__ = [
    "ADAPTIVE_METHODS",
    "FIXED_STEP_METHODS",
    "as_double",
    "as_options",
    "as_times",
    "as_tolerance",
    "check_model",
    "check_precision",
    "check_state",
]

# torchdiffeq's "explicit_adams" is left out: its error grows as the step shrinks.
ADAPTIVE_METHODS = ("dopri5", "dopri8", "bosh3", "fehlberg2", "adaptive_heun", "scipy_solver")
FIXED_STEP_METHODS = ("euler", "midpoint", "heun3", "rk4", "implicit_adams")
METHODS = ADAPTIVE_METHODS + FIXED_STEP_METHODS


def check_state(x: Any) -> None:
    """Refuse what is not a non-empty tensor of finite floats."""
    expected = "a non-empty tensor of finite floats"
    if not isinstance(x, Tensor):
        raise invalid("x", got=type(x).__name__, expected=expected)
    expect(
        x.is_floating_point(),
        "x",
        got=f"a tensor of dtype {x.dtype}",
        expected=expected,
        fix="Convert it: x.float(), or x.real for a complex one.",
    )
    expect(x.numel() > 0, "x", got=f"a tensor of shape {tuple(x.shape)}", expected=expected)
    finite = torch.isfinite(x)
    if not bool(finite.all()):
        where = (~finite).nonzero()[0].tolist()
        entry = x.detach()[tuple(where)].item()
        raise invalid("x", got=f"the entry {entry} at {where}", expected=expected)


def check_model(f: Any, order: Any, initial_velocity: Any, adjoint: Any) -> None:
    """Refuse a field, an order or an initial velocity that do not make a block."""
    expect(callable(f), "f", got=type(f).__name__, expected="an nn.Module or a function of x")
    expect(
        order in (1, 2) and not isinstance(order, bool),
        "order",
        got=shown(order),
        expected="1 or 2",
    )
    expect(isinstance(adjoint, bool), "adjoint", got=shown(adjoint), expected="True or False")
    if adjoint and not isinstance(f, nn.Module):
        raise invalid(
            "f",
            got=f"a {type(f).__name__} with adjoint=True",
            expected="an nn.Module there",
            fix="The adjoint method must know the parameters; it would give them no gradient.",
        )
    known = isinstance(initial_velocity, nn.Module) or (
        isinstance(initial_velocity, str) and initial_velocity in ("zero", "field")
    )
    expect(
        known,
        "initial_velocity",
        got=shown(initial_velocity),
        expected='"zero" (x\'(0) = 0), "field" (x\'(0) = f(x0)) or an nn.Module',
    )
    if order == 1 and initial_velocity != "zero":
        raise invalid(
            "initial_velocity",
            got=f"{shown(initial_velocity)} with order=1",
            expected='"zero" there',
            fix="A first-order ODE starts from x0 alone; use order=2.",
        )


def as_double(value: Any, name: str, *, positive: bool) -> float:
    """An exact or floating number as a double."""
    try:
        number = float(value)
    except OverflowError:
        raise invalid(name, got=shown(value), expected="a number that fits a double") from None
    fix = "The limit eps = 0 is the first-order ODE: use order=1." if name == "eps" else ""
    expect(number > 0 or not positive, name, got=shown(value), expected="a number > 0", fix=fix)
    return number


def as_tolerance(value: Any, name: str) -> float:
    """A finite number > 0."""
    expected = "a finite number > 0"
    number = float(as_number(value, name, expected))
    expect(0 < number < math.inf, name, got=shown(value), expected=expected)
    return number


def as_options(method: Any, options: Any, adjoint: bool) -> dict[str, Any]:
    """The solver's options as a dict, with the traps of torchdiffeq refused."""
    expect(method in METHODS, "method", got=shown(method), expected="one of " + ", ".join(METHODS))
    expect(
        options is None or isinstance(options, Mapping),
        "options",
        got=shown(options),
        expected="a mapping from names to values, or None",
    )
    settled = dict(options or {})
    if method == "scipy_solver" and not adjoint:
        raise invalid(
            "method",
            got="'scipy_solver' with adjoint=False",
            expected="adjoint=True there",
            fix="SciPy's steps carry no gradient, which would be lost without a word.",
        )
    if method in FIXED_STEP_METHODS and not settled.keys() & {"step_size", "grid_constructor"}:
        raise invalid(
            "options",
            got=f"no step size for the fixed-step method {method!r}",
            expected="options={'step_size': h}",
            fix="torchdiffeq would take a single step over the whole horizon.",
        )
    return settled


def as_times(times: Any, horizon: float) -> list[float]:
    """Strictly increasing times in [0, horizon]."""
    expected = f"strictly increasing times in [0, {horizon:g}]"
    try:
        grid = torch.as_tensor(times, dtype=torch.float64).detach().cpu()
    except (TypeError, ValueError, RuntimeError):
        raise invalid("times", got=shown(times), expected=expected) from None
    expect(
        grid.ndim == 1 and len(grid) > 0,
        "times",
        got=f"an array of shape {tuple(grid.shape)}",
        expected=expected,
    )
    inside = bool((grid >= 0).all()) and bool((grid <= horizon).all())
    expect(inside and bool((grid.diff() > 0).all()), "times", got=shown(times), expected=expected)
    return grid.tolist()


def check_precision(dtype: torch.dtype, method: str, rtol: float) -> None:
    """Refuse a dtype in which the method cannot control its error."""
    if method not in ADAPTIVE_METHODS:
        return
    in_float32 = "Integrate in float32 (torch.autocast may run f in half precision)"
    # float16 cannot hold torchdiffeq's trial step, nor NumPy a bfloat16.
    if dtype == torch.float16 or (dtype == torch.bfloat16 and method == "scipy_solver"):
        raise invalid(
            "x",
            got=f"{dtype} with the method {method!r}",
            expected="float32 or float64 there",
            fix=f"{in_float32}, or take fixed steps: "
            "method='rk4', options={'step_size': horizon / 20}.",
        )
    spacing = torch.finfo(dtype).eps
    expect(
        rtol >= spacing,
        "rtol",
        got=f"{rtol:g} for a state in {dtype}",
        expected=f"at least the spacing of that type, {spacing:.2g}",
        fix=f"{in_float32}, or loosen rtol.",
    )
