"""The flow that a mass eps in [0, inf] stands for."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any, Literal

from odemom.checks import as_eps, as_initial_velocity, invalid, shown
from odemom.flows.base import Flow
from odemom.flows.first_order import FirstOrder
from odemom.flows.ode import ODEFlow
from odemom.flows.second_order import SecondOrder
from odemom.flows.undamped import Undamped

__all__ = ["flow_of", "ode_flow_of"]


def flow_of(
    eps: Any,
    *,
    horizon: Any = 1,
    initial_velocity: Literal["zero", "field"] = "zero",
) -> Flow:
    """The flow that ``eps`` stands for: `FirstOrder` at 0, `Undamped` at inf, else `SecondOrder`.

    Parameters
    ----------
    eps : number, str or Flow
        A mass in [0, inf], or a flow, which is returned as it is.
    horizon : number, default 1
        The final time T in (0, inf).
    initial_velocity : {"zero", "field"}, default "zero"
        x'(0) = 0 or x'(0) = theta x0.

    Returns
    -------
    Flow

    Raises
    ------
    InvalidInputError
        If a parameter is outside its domain, ``eps`` is a flow and another parameter is given too,
        or eps = inf is asked for with ``"field"``, which has no limit there.

    Examples
    --------
    >>> from odemom.flows import flow_of
    >>> flow_of(0)
    FirstOrder(horizon=Fraction(1, 1))
    """
    if isinstance(eps, Flow):  # not the equal one, of 0.5 in place of 1/2, that the cache may hold
        return _flow_of.__wrapped__(eps, horizon, initial_velocity)
    try:
        hash((eps, horizon, initial_velocity))
    except Exception:  # an unhashable number, such as an array of no axes
        return _flow_of.__wrapped__(eps, horizon, initial_velocity)
    return _flow_of(eps, horizon, initial_velocity)


@lru_cache(maxsize=256, typed=True)
def _flow_of(eps: Any, horizon: Any, initial_velocity: Any) -> Flow:
    as_initial_velocity(initial_velocity)
    if isinstance(eps, Flow):
        if horizon != 1 or initial_velocity != "zero":
            raise invalid(
                "horizon, initial_velocity",
                got=f"{shown(horizon)}, {initial_velocity!r} beside the flow {eps}",
                expected="them as parameters of the flow",
            )
        return eps
    if isinstance(eps, type) and issubclass(eps, Flow):
        raise invalid(
            "eps", got=f"the class {eps.__name__}", expected=f"a flow, {eps.__name__}(...)"
        )
    mass = as_eps(eps)
    if mass == 0:
        return FirstOrder(horizon)
    if mass != math.inf:
        return SecondOrder(mass, initial_velocity, horizon)
    if initial_velocity == "field":
        raise invalid(
            "eps, initial_velocity",
            got='inf, "field"',
            expected='a finite eps with "field"',
            fix="After theta is rescaled by eps, the velocity theta x0 has no limit.",
        )
    return Undamped(horizon)


def ode_flow_of(
    eps: Any,
    *,
    horizon: Any = 1,
    initial_velocity: Literal["zero", "field"] = "zero",
) -> ODEFlow:
    """The same, of flows of an ODE only.

    Raises
    ------
    InvalidInputError
        As `flow_of`; also if ``eps`` is another flow.
    """
    flow = flow_of(eps, horizon=horizon, initial_velocity=initial_velocity)
    if isinstance(flow, ODEFlow):
        return flow
    raise invalid(
        "eps",
        got=shown(flow),
        expected="a mass in [0, inf], or the flow of an ODE",
        fix="A discrete flow is a polynomial: ask psi(theta, flow) for it.",
    )
