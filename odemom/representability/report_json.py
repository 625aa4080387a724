"""Reports as plain data for JSON: exact numbers as text, complex ones as pairs."""

from __future__ import annotations

import dataclasses
import math
from fractions import Fraction
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from odemom.flows.base import Flow, exact
from odemom.flows.ode import ODEFlow
from odemom.representability.algebraic import AlgebraicNumber, Eigenvalue

if TYPE_CHECKING:
    from odemom.representability.edge import Extreme
    from odemom.representability.report import EigenvalueReport, Repairs

__all__ = ["eigenvalue_json", "repairs_json", "value_json"]


def repairs_json(repairs: Repairs | None, flow: Flow) -> dict[str, Any]:
    """The fields ``minimal_eps`` and ``maximal_scale``, each None where it means nothing.

    The least eps is that on the horizon of the flow; of flows that are no function of eps, or that
    take every value whatever eps is, there is none.
    """
    if repairs is None:
        return {"minimal_eps": None, "maximal_scale": None}
    least = None
    if isinstance(flow, ODEFlow) and not flow.field:
        least = _extreme(repairs.minimal_eps, exact(flow.horizon))
    return {
        "minimal_eps": least,
        "maximal_scale": _extreme(repairs.maximal_scale, Fraction(1)),
    }


def _extreme(extreme: Extreme, factor: Fraction) -> dict[str, Any]:
    """Value, ends of the interval, and whether it is attained; inf as text."""
    found = {f.name: getattr(extreme, f.name) for f in dataclasses.fields(extreme)}
    found["value"] = _finite(found["value"] * float(factor))
    found["interval"] = [_end(end, factor) for end in extreme.interval]
    decides = found.pop("eigenvalue")
    return {**found, "eigenvalue": None if decides is None else value_json(decides)}


def _end(end: Fraction | float, factor: Fraction) -> Any:
    if isinstance(end, Fraction):
        return value_json(end * factor)
    return _finite(end * float(factor))


def _finite(number: float) -> float | str:
    """JSON has no other numbers: inf is text."""
    return number if math.isfinite(number) else str(number)


def value_json(value: Eigenvalue) -> Any:
    """A number: a rational as text, an algebraic one by its minimal polynomial."""
    if isinstance(value, Fraction):
        p, q = integer_text(value.numerator), integer_text(value.denominator)
        return p if q == "1" else f"{p}/{q}"
    if isinstance(value, AlgebraicNumber):
        z = complex(value)
        parts = [x if math.isfinite(x) else str(x) for x in (z.real, z.imag)]
        return {
            "minimal_polynomial": list(_polynomial_json(value.polynomial)),
            "approximation": parts[0] if value.is_real else parts,
        }
    return [value.real, value.imag] if isinstance(value, complex) else value


@lru_cache(maxsize=16)
def _polynomial_json(coefficients: tuple[int, ...]) -> tuple[str, ...]:
    """The coefficients as text: once for all the roots of one polynomial."""
    return tuple(integer_text(c) for c in coefficients)


def integer_text(n: int) -> str:
    """The decimal digits, however many: Python itself refuses to print more than 4300."""
    import flint

    return str(flint.fmpz(n))


def eigenvalue_json(e: EigenvalueReport) -> dict[str, Any]:
    """One eigenvalue of a report."""
    return {
        "value": value_json(e.value),
        "multiplicity": e.multiplicity,
        "position": e.position,
        "blocks": None if e.blocks is None else list(e.blocks),
        "merged": [[z.real, z.imag] for z in e.merged],
    }
