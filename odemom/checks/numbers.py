"""Numbers at the public edge: exact ones stay exact, text is the number that it spells."""

from __future__ import annotations

import math
import numbers
import sys
from fractions import Fraction
from typing import Any

import numpy as np

from odemom.checks.foreign import is_tensor, plain_entry, tensor_as_array
from odemom.checks.messages import expect, invalid, shown
from odemom.checks.spelling import SpellingError, spelt_exactly

__all__ = [
    "as_eps",
    "as_fraction",
    "as_horizon",
    "as_initial_velocity",
    "as_integer",
    "as_number",
    "as_positive",
    "eps_or_gamma",
    "is_exact_number",
    "nearest_double",
    "refuse_gradient",
]

INITIAL_VELOCITIES = ("zero", "field")


def is_exact_number(value: object) -> bool:
    """Whether ``value`` is a rational number: an int, a Fraction, a NumPy, SymPy or GMP one."""
    if isinstance(value, numbers.Rational):
        return not isinstance(value, np.timedelta64)  # which NumPy counts among integers
    # python-flint does not register its types with `numbers`.
    return type(value).__module__.startswith("flint") and type(value).__name__ in {"fmpz", "fmpq"}


def as_fraction(value: Any) -> Fraction:
    """The exact value of a number for which `is_exact_number` holds, or of a finite float."""
    if isinstance(value, numbers.Rational):
        return Fraction(int(value.numerator), int(value.denominator))
    if isinstance(value, float | np.floating):
        return Fraction(*value.as_integer_ratio())
    return Fraction(int(value.p), int(value.q)) if hasattr(value, "q") else Fraction(int(value))


def nearest_double(value: Fraction | float) -> float:
    """The value rounded to double precision; infinite where it exceeds the doubles."""
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf


def as_number(value: Any, name: str, expected: str) -> Fraction | float:
    """A real number: exact ones as `Fraction` (or int-valued), floats as they are.

    A string is read as the decimal or rational that it spells, exactly: ``"0.1"`` is 1/10.
    """
    if isinstance(value, str):
        return _number_from_text(value, name, expected)
    if isinstance(value, bool | np.bool_):
        raise invalid(name, got=f"the boolean {value}", expected=expected)
    if is_exact_number(value):
        return as_fraction(value)
    if isinstance(value, float | np.floating):
        double = float(value)
        longer = isinstance(value, np.floating) and np.isfinite(value) and value != double
        return as_fraction(value) if longer else double
    if is_tensor(value):
        refuse_gradient(value, name, expected)
        value = tensor_as_array(value, name)
    if isinstance(value, np.ndarray) and value.ndim == 0:
        return as_number(value.item(), name, expected)
    plain = plain_entry(value, name, (), exactly=True)
    if isinstance(plain, float | Fraction | int) and not isinstance(plain, bool):
        return plain if isinstance(plain, float) else Fraction(plain)
    raise invalid(name, got=f"{shown(value)} of type {type(value).__name__}", expected=expected)


def refuse_gradient(value: Any, name: str, expected: str, fix: str = "") -> None:
    """Refuse a tensor that requires a gradient, alone or in a sequence, where it is but read.

    Raises
    ------
    InvalidInputError
    """
    parts = value if isinstance(value, list | tuple) else [value]
    expect(
        not any(is_tensor(part) and part.requires_grad for part in parts),
        name,
        got="a tensor that requires a gradient, which it would not get: it is read as a number",
        expected=expected,
        fix=fix or "Pass its value: x.item(), or x.detach().",
    )


def as_integer(value: Any, name: str, least: int, most: int | None = None, fix: str = "") -> int:
    """An integer in [least, most]; booleans and whole floats are no integers.

    Raises
    ------
    InvalidInputError

    Examples
    --------
    >>> as_integer(3, "depth", 1)
    3
    """
    whole = isinstance(value, int | np.integer) and not isinstance(value, bool | np.timedelta64)
    span = f"an integer >= {least}" if most is None else f"an integer from {least} to {most}"
    fits = whole and least <= value and (most is None or value <= most)
    expect(fits, name, got=shown(value), expected=span, fix=fix)
    return int(value)


def as_positive(value: Any, name: str, most: float = math.inf) -> float:
    """A finite number > 0, at most ``most``, as a double.

    Raises
    ------
    InvalidInputError
    """
    expected = "a finite number > 0" + ("" if most == math.inf else f", at most {most:g}")
    number = as_number(value, name, expected)
    fits = 0 < number < math.inf and number <= most
    expect(fits, name, got=shown(value), expected=expected)
    return nearest_double(number)


def _number_from_text(text: str, name: str, expected: str) -> Fraction | float:
    if text.strip().lower() in {"inf", "+inf", "infinity", "+infinity"}:
        return math.inf
    try:
        return Fraction(spelt_exactly(text))
    except SpellingError as error:
        limit = f", with {error.limit}" if error.limit else ""
        raise invalid(name, got=f"the text {shown(text)}", expected=expected + limit) from None


def as_eps(eps: Any, name: str = "eps") -> Fraction | float:
    """A damping parameter in [0, inf].

    Returns
    -------
    Fraction or float
        Exact numbers and text as `Fraction`; floats as they are, ``inf`` included.

    Raises
    ------
    InvalidInputError
        If ``eps`` is not a real number, is nan or is negative.
    """
    expected = "a number in [0, inf]"
    value = as_number(eps, name, expected)
    if value != value:  # math.isnan would round a Fraction to a double
        raise invalid(name, got="nan", expected=expected)
    expect(
        value >= 0,
        name,
        got=shown(eps),
        expected=expected,
        fix="A negative mass has no meaning here; the sign of theta is free.",
    )
    return value


def eps_or_gamma(eps: Any, gamma: Any, *, several: bool = False) -> Any:
    """The mass of an ODE, given as it is or by the momentum of the net: eps = 1/(1 - gamma).

    ``several``: whether a sequence of momenta, which stands for one of masses, is taken too.

    Raises
    ------
    InvalidInputError
        If both are given, or neither, or gamma is outside [0, 1].

    Examples
    --------
    >>> eps_or_gamma(None, "0.9"), eps_or_gamma(None, [0, 1], several=True)
    (Fraction(10, 1), [Fraction(1, 1), inf])
    """
    if gamma is None:
        expect(eps is not None, "eps", got="neither eps nor gamma", expected="either of the two")
        return eps
    expect(
        eps is None,
        "eps, gamma",
        got=f"{shown(eps)} beside gamma {shown(gamma)}",
        expected="either of the two",
        fix="For the net itself: flows.MomentumResNet(gamma, depth) in the place of eps.",
    )
    row = isinstance(gamma, list | tuple) or (isinstance(gamma, np.ndarray) and gamma.ndim == 1)
    if several and row:
        return [eps_or_gamma(None, one) for one in gamma]
    expected = "the momentum in [0, 1], which stands for the flow with eps = 1/(1 - gamma)"
    value = as_number(gamma, "gamma", expected)
    expect(0 <= value <= 1, "gamma", got=shown(gamma), expected=expected)
    return math.inf if value == 1 else 1 / (1 - Fraction(value))


def as_horizon(horizon: Any, name: str = "horizon") -> Fraction | float:
    """A final time T > 0 in the range of doubles."""
    expected = "a finite number > 0 that fits a double"
    value = as_number(horizon, name, expected)
    tiny, huge = math.ulp(0.0), sys.float_info.max
    expect(tiny <= value <= huge, name, got=shown(horizon), expected=expected)
    return value


def as_initial_velocity(value: Any, name: str = "initial_velocity") -> str:
    """One of ``"zero"`` and ``"field"``."""
    expect(
        isinstance(value, str) and value in INITIAL_VELOCITIES,
        name,
        got=shown(value),
        expected='"zero" (x\'(0) = 0) or "field" (x\'(0) = theta x0)',
    )
    return value
