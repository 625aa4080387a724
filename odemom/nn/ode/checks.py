"""What an `ODEBlock` accepts: parameters on construction, states and times on calling."""

from __future__ import annotations

import math
import warnings
from typing import Any

import torch
from torch import Tensor, nn

from odemom.checks import (
    as_horizon,
    as_number,
    expect,
    invalid,
    nearest_double,
    refuse_gradient,
    shown,
)
from odemom.errors import OdemomWarning
from odemom.nn.ode.schemes import TABLEAUX
from odemom.nn.recompute.refusals import in_transform
from odemom.nn.reversible.capture import holds

__all__ = [
    "ADAPTIVE_METHODS",
    "FIXED_STEP_METHODS",
    "LEAPFROG",
    "REVERSIBLE_METHODS",
    "as_constant_span",
    "as_gradient",
    "as_mass",
    "as_method",
    "as_span",
    "as_times",
    "as_tolerance",
    "base_method",
    "check_model",
    "check_precision",
    "check_state",
    "refuse_transforms",
]

# torchdiffeq's "explicit_adams" is left out: its error grows as the step shrinks.
ADAPTIVE_METHODS = ("dopri5", "dopri8", "bosh3", "fehlberg2", "adaptive_heun", "scipy_solver")
FIXED_STEP_METHODS = ("euler", "midpoint", "heun3", "rk4", "implicit_adams")
LEAPFROG = "leapfrog"
REVERSIBLE_METHODS = (*(f"reversible_{name}" for name in TABLEAUX), LEAPFROG)
METHODS = ADAPTIVE_METHODS + FIXED_STEP_METHODS + REVERSIBLE_METHODS
GRADIENTS = ("backprop", "adjoint", "reversible")


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
    expect(
        x.layout == torch.strided and not x.is_nested,
        "x",
        got="a sparse or nested tensor",
        expected=expected,
        fix="Make it dense: x.to_dense(), or x.to_padded_tensor of a nested one.",
    )
    expect(
        x.dtype.itemsize > 1 and x.device.type != "meta",
        "x",
        got=f"a tensor of dtype {x.dtype} on the device {x.device}",
        expected=f"{expected}, of 16 bits or more",
    )
    expect(x.numel() > 0, "x", got=f"a tensor of shape {tuple(x.shape)}", expected=expected)
    finite = torch.isfinite(x)
    if not holds(finite.all()):
        where = (~finite).nonzero()[0].tolist()
        entry = x.detach()[tuple(where)].item()
        raise invalid("x", got=f"the entry {entry} at {where}", expected=expected)


def check_model(f: Any, order: Any, initial_velocity: Any, gradient: str) -> None:
    """Refuse a field, an order or an initial velocity that do not make a block."""
    expect(callable(f), "f", got=type(f).__name__, expected="an nn.Module or a function of x")
    refuse_gradient(order, "order", "1 or 2")
    expect(
        order in (1, 2) and not isinstance(order, bool),
        "order",
        got=shown(order),
        expected="1 or 2",
    )
    if gradient == "adjoint" and not isinstance(f, nn.Module):
        raise invalid(
            "f",
            got=f"a {type(f).__name__} with gradient='adjoint'",
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


def as_gradient(gradient: Any, adjoint: Any) -> str:
    """The way to the gradients; ``adjoint`` is the older name of one of them."""
    expect(isinstance(adjoint, bool), "adjoint", got=shown(adjoint), expected="True or False")
    if gradient is None:
        return "adjoint" if adjoint else "backprop"
    known = isinstance(gradient, str) and gradient in GRADIENTS
    expected = "None or one of " + ", ".join(map(repr, GRADIENTS))
    expect(known, "gradient", got=shown(gradient), expected=expected)
    expect(
        not adjoint or gradient == "adjoint",
        "gradient",
        got=f"{gradient!r} with adjoint=True",
        expected="'adjoint' there",
        fix="Leave adjoint out.",
    )
    return gradient


def as_mass(eps: Any, order: Any) -> float:
    """The mass as a double in (0, inf]; a first-order equation has none."""
    expected = "a number in (0, inf]"
    refuse_gradient(
        eps,
        "eps",
        expected,
        "To learn it take eps=math.inf and a field f(x, v) with the value (g(x) - v) / eps, whose "
        "parameter it is; else pass eps.item().",
    )
    value = as_number(eps, "eps", expected)
    number = nearest_double(value)
    if order == 1 and value >= 0:
        expect(
            value == 1,
            "eps",
            got=f"{shown(eps)} with order=1",
            expected="no eps there",
            fix="x' = f(x) has no mass; leave eps out, or use order=2.",
        )
    fix = "The limit eps = 0 is the first-order ODE: use order=1." if value == 0 else ""
    expect(number > 0, "eps", got=shown(eps), expected=expected, fix=fix)
    overflows = number == math.inf and value != math.inf
    expect(not overflows, "eps", got=shown(eps), expected="a number that fits a double, or inf")
    return number


def as_constant_span(horizon: Any) -> float:
    """A final time > 0 as a double, which gets no gradient."""
    refuse_gradient(
        horizon,
        "horizon",
        "a finite number > 0",
        "To learn it pass it to the call, block(x, horizon=T); else pass T.item().",
    )
    return as_span(horizon)


def as_span(horizon: Any) -> float:
    """A final time > 0 as a double, from a number or a tensor of one entry."""
    if isinstance(horizon, Tensor):
        one = f"a tensor of shape {tuple(horizon.shape)}"
        expect(horizon.numel() == 1, "horizon", got=one, expected="one number")
        horizon = horizon.item()
    return float(as_horizon(horizon))


def as_tolerance(value: Any, name: str) -> float:
    """A finite number > 0."""
    expected = "a finite number > 0"
    number = float(as_number(value, name, expected))
    expect(0 < number < math.inf, name, got=shown(value), expected=expected)
    return number


def as_method(method: Any, gradient: str) -> str:
    """The method's name; with ``gradient="reversible"`` a Runge-Kutta method is coupled."""
    known = isinstance(method, str) and method in METHODS
    expect(known, "method", got=shown(method), expected="one of " + ", ".join(METHODS))
    if gradient == "reversible":
        coupled = f"reversible_{method}" if method in TABLEAUX else method
        expect(
            coupled in REVERSIBLE_METHODS,
            "method",
            got=f"{method!r} with gradient='reversible'",
            expected="one of " + ", ".join((*TABLEAUX, LEAPFROG)),
            fix="Its steps cannot be undone; take method='rk4', options={'step_size': h}.",
        )
        return coupled
    expect(
        gradient == "backprop" or method not in REVERSIBLE_METHODS,
        "method",
        got=f"{method!r} with gradient={gradient!r}",
        expected="gradient='reversible' or 'backprop' there",
    )
    if method == "scipy_solver" and gradient == "backprop":
        raise invalid(
            "method",
            got="'scipy_solver' with adjoint=False",
            expected="adjoint=True there",
            fix="SciPy's steps carry no gradient, which would be lost without a word.",
        )
    return method


def base_method(method: str) -> str:
    """The Runge-Kutta method in a reversible one."""
    return method.removeprefix("reversible_")


def as_times(times: Any, horizon: float) -> list[float]:
    """Strictly increasing times in [0, horizon]."""
    expected = f"strictly increasing times in [0, {horizon:g}]"
    if not isinstance(times, Tensor):
        refuse_gradient(times, "times", expected, "Pass one tensor: torch.stack(times).")
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


def refuse_transforms(gradient: str) -> None:
    """Refuse `torch.func.grad`, `vmap` and the like where a pass hides its steps from them."""
    if gradient != "backprop" and in_transform():
        raise invalid(
            "x",
            got=f"a call inside a transform of torch.func, with gradient={gradient!r}",
            expected="plain autograd there",
            fix="Build the block with gradient='backprop'; torch.func.functional_call by itself "
            "goes with every gradient.",
        )


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
    if dtype == torch.float32 and rtol < spacing:
        warnings.warn(
            f"rtol={rtol:g} is below the spacing of float32, {spacing:.2g}: the solver takes small "
            "steps to control an error that is rounding. Integrate in float64, or loosen rtol.",
            OdemomWarning,
            stacklevel=5,
        )
        return
    expect(
        rtol >= spacing,
        "rtol",
        got=f"{rtol:g} for a state in {dtype}",
        expected=f"at least the spacing of that type, {spacing:.2g}",
        fix=f"{in_float32}, or loosen rtol.",
    )
