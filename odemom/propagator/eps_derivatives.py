"""Derivatives in log eps of the coefficients of a plan, from which gradients in eps are made.

With L = eps d/deps the coefficients of `coefficients` obey, over a step h with e = eps/h,
a = 1/(2 e), g_n as there and E = exp(-1/e)::

    (n + 1) g_{n+1} = 2 f_n - 2 (2n + 1) e g_n           upwards, stable for a >= 10
    L g_n = (a - n - 1) g_n - (n + 1) a g_{n+1}          loses a digit or two for a < 10

The second cancels for large a, where g_n hardly depends on eps; the first does not.
"""

from __future__ import annotations

import math

import numpy as np

from odemom.propagator.coefficients import bessel_coefficients
from odemom.propagator.plans import Plan, arranged

__all__ = ["plan_jets"]

STABLE_FROM = 10.0
ORDERS = 3


def plan_jets(
    plan: Plan, eps: float
) -> tuple[list[np.ndarray], list[np.ndarray], list[tuple[float, ...]]]:
    """Taylor coefficients in log eps, of orders 0 to 2, of ``table``, ``constants``, ``decays``.

    Parameters
    ----------
    plan : Plan
        Of the flow with x'(0) = 0.
    eps : float in (0, inf)
    """
    doublings = len(plan.decays)
    h = {"direct": 1.0, "double": 2.0**-doublings, "slow": 1 / (2.0**doublings + 1)}[plan.mode]
    orders = kernel_jets(h, eps, plan.powers * plan.chunks + 1)
    tables, constants = [], []
    for order, (cosh, rest) in enumerate(orders):
        psi = [c + g for c, g in zip(cosh, rest, strict=True)]
        chosen = {"direct": [psi]}.get(plan.mode, [[2 * c for c in cosh], psi])
        table, constant = arranged(chosen, plan.scale, plan.powers, plan.chunks)
        tables.append(table / math.factorial(order))
        constants.append(constant / math.factorial(order))
    steps = [2.0**-j for j in range(doublings, 0, -1)] if plan.mode == "double" else []
    jets = [exponential_jet(step / eps) for step in steps]
    zeros = [0.0] * doublings if plan.mode == "slow" else []
    decays = [(*zeros, *(jet[k] / math.factorial(k) for jet in jets)) for k in range(ORDERS)]
    return tables, constants, decays


def exponential_jet(rate: float) -> tuple[float, float, float]:
    """The value exp(-rate), rate proportional to 1/eps, and its two derivatives in log eps."""
    value = math.exp(-rate)
    return value, (value * rate if value else 0.0), (value * rate * (rate - 1) if value else 0.0)


def kernel_jets(h: float, eps: float, count: int) -> list[tuple[list[float], list[float]]]:
    """The coefficients of C and of G, and their first two derivatives in log eps.

    Those of `kernel_coefficients` for x'(0) = 0 and a = ``h``/(2 ``eps``), in the same variable.
    """
    a = 0.5 * h / eps if h / eps < math.inf else math.inf
    decay = exponential_jet(2 * a) if a < math.inf else (0.0, 0.0, 0.0)
    if a >= STABLE_FROM:
        return _upwards(1 / (2 * a), decay, count)
    unit, g = bessel_coefficients(a, count + 2)
    first = [(a - n - 1) * g[n] - (n + 1) * a * unit * g[n + 1] for n in range(count + 1)]
    second = [
        -a * g[n] + (a - n - 1) * first[n] + (n + 1) * a * unit * (g[n + 1] - first[n + 1])
        for n in range(count)
    ]
    return [_both(order, decay[k], k, unit, count) for k, order in enumerate((g, first, second))]


def _both(
    g: list[float], decay: float, order: int, unit: float, count: int
) -> tuple[list[float], list[float]]:
    start = ((order == 0) + decay) / 2
    cosh = [start] + [g[n - 1] / (2 * n * unit) for n in range(1, count)]
    return cosh, [value / 2 for value in g[:count]]


def _upwards(
    e: float, decay: tuple[float, float, float], count: int
) -> list[tuple[list[float], list[float]]]:
    g = [[1 - decay[0]], [-decay[1]], [-decay[2]]]
    f = [[(1 + decay[0]) / 2], [decay[1] / 2], [decay[2] / 2]]
    for n in range(count - 1):
        # e g has the derivatives e (g + L g) and e (g + 2 L g + L² g).
        products = (g[0][n], g[0][n] + g[1][n], g[0][n] + 2 * g[1][n] + g[2][n])
        for k in range(ORDERS):
            g[k].append((2 * f[k][n] - 2 * (2 * n + 1) * e * products[k]) / (n + 1))
            f[k].append(g[k][n] / (2 * (n + 1)))
    return [(f[k], [value / 2 for value in g[k]]) for k in range(ORDERS)]
