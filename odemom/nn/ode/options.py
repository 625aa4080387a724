"""The options of an `ODEBlock`'s solver: which ones it has, and what they may be."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from difflib import get_close_matches
from typing import Any

import torch
from torch import Tensor

from odemom.checks import as_number, expect, invalid, refuse_gradient, shown
from odemom.nn.ode.checks import FIXED_STEP_METHODS, REVERSIBLE_METHODS
from odemom.nn.reversible.fixed_point import check_resolution

__all__ = ["as_options"]

ADAPTIVE = (
    "first_step",
    "min_step",
    "max_step",
    "step_t",
    "jump_t",
    "safety",
    "ifactor",
    "dfactor",
    "max_num_steps",
    "dtype",
    "norm",
)
FIXED = ("step_size", "grid_constructor", "interp", "perturb", "norm")
NAMES = {
    "scipy_solver": ("solver", "min_step", "max_step"),
    "implicit_adams": (*FIXED, "max_iters", "max_order"),
    "leapfrog": ("step_size", "resolution"),
}
REVERSIBLE = ("step_size", "coupling", "resolution")


def names_of(method: str) -> tuple[str, ...]:
    """The options that ``method`` has."""
    if method in NAMES:
        return NAMES[method]
    if method in REVERSIBLE_METHODS:
        return REVERSIBLE
    return FIXED if method in FIXED_STEP_METHODS else ADAPTIVE


def as_options(method: str, options: Any) -> dict[str, Any]:
    """The solver's options as a dict, checked.

    Examples
    --------
    >>> as_options("dopri5", {"first_step": 0.1})
    {'first_step': 0.1}
    """
    expect(
        options is None or isinstance(options, Mapping),
        "options",
        got=shown(options),
        expected="a mapping from names to values, or None",
    )
    settled, names = dict(options or {}), names_of(method)
    for name in settled:
        near = get_close_matches(str(name), names, 1)
        expect(
            name in names,
            "options",
            got=f"{shown(name)} for the method {method!r}",
            expected="some of " + ", ".join(names),
            fix=f"Did you mean {near[0]!r}?" if near else "",
        )
    fixed = method in FIXED_STEP_METHODS or method in REVERSIBLE_METHODS
    if fixed and not settled.keys() & {"step_size", "grid_constructor"}:
        raise invalid(
            "options",
            got=f"no step size for the fixed-step method {method!r}",
            expected="options={'step_size': h}",
            fix="torchdiffeq would take a single step over the whole horizon.",
        )
    both = {"step_size", "grid_constructor"} <= settled.keys()
    expect(not both, "options", got="step_size and grid_constructor", expected="one of them")
    return {name: CHECKS[name](value, f"options[{name!r}]") for name, value in settled.items()}


def _number(low: float, high: float = math.inf, *, closed: bool = False) -> Callable[..., float]:
    above = f"{'>=' if closed else '>'} {low:g}"
    expected = f"a number {above}" + ("" if high == math.inf else f" and < {high:g}")

    def check(value: Any, name: str) -> float:
        refuse_gradient(value, name, expected)
        number = float(as_number(_item(value), name, expected))
        fits = (number >= low if closed else number > low) and number <= high
        expect(
            fits and (number < high or high == math.inf), name, got=shown(value), expected=expected
        )
        return number

    return check


def _step(value: Any, name: str) -> float:
    expected = "a finite number > 0"
    refuse_gradient(value, name, expected)
    number = float(as_number(_item(value), name, expected))
    expect(0 < number < math.inf, name, got=shown(value), expected=expected)
    return number


def _count(least: int, most: int = 2**31 - 1) -> Callable[..., int]:
    def check(value: Any, name: str) -> int:
        fits = isinstance(value, int) and not isinstance(value, bool) and least <= value <= most
        expect(fits, name, got=shown(value), expected=f"an integer from {least} to {most}")
        return value

    return check


def _times(value: Any, name: str) -> Tensor:
    """As a tensor: the adjoint pass would not turn a list round."""
    expected = "different finite times, as a 1-d tensor or a sequence"
    refuse_gradient(value, name, expected)
    try:
        times = torch.as_tensor(value, dtype=torch.float64).detach()
    except (TypeError, ValueError, RuntimeError):
        raise invalid(name, got=shown(value), expected=expected) from None
    fits = times.ndim == 1 and bool(torch.isfinite(times).all())
    fits = fits and len(times.unique()) == len(times)
    expect(fits, name, got=shown(value), expected=expected)
    return times


def _one_of(*allowed: Any) -> Callable[..., Any]:
    def check(value: Any, name: str) -> Any:
        expected = "one of " + ", ".join(map(repr, allowed))
        refuse_gradient(value, name, expected)
        expect(
            any(value is a or value == a for a in allowed),
            name,
            got=shown(value),
            expected=expected,
        )
        return value

    return check


def _callable(value: Any, name: str) -> Any:
    expect(callable(value), name, got=shown(value), expected="a function")
    return value


def _resolution(value: Any, name: str) -> Any:
    del name
    check_resolution(value)
    return value


def _item(value: Any) -> Any:
    return value.item() if isinstance(value, Tensor) and value.numel() == 1 else value


CHECKS: dict[str, Callable[[Any, str], Any]] = {
    "step_size": _step,
    "first_step": _step,
    "min_step": _number(0.0, closed=True),
    "max_step": _number(0.0),
    "step_t": _times,
    "jump_t": _times,
    "safety": _number(0.0),
    "ifactor": _number(1.0, closed=True),
    "dfactor": _number(0.0),
    "max_num_steps": _count(1),
    "max_iters": _count(1),
    "max_order": _count(1, 12),
    "dtype": _one_of(torch.float32, torch.float64),
    "norm": _callable,
    "grid_constructor": _callable,
    "interp": _one_of("linear", "cubic"),
    "perturb": _one_of(True, False),
    "solver": _one_of("LSODA", "RK45", "RK23", "DOP853", "Radau", "BDF"),
    "coupling": _number(0.0, 1.0),
    "resolution": _resolution,
}
