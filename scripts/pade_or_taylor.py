"""Padé or Taylor inside odemom.psi: the cheapest plan of each kind, counted and timed.

Both are followed by the same doublings and held to the same truncation error, u/2 relative to C,
and to the same growth. A Padé approximant [m/m] of C and one of psi are four polynomials that share
their powers, and two linear solves of d right-hand sides: (2/3 + 2) d³ operations each, 4/3 of a
product.

    OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 python scripts/pade_or_taylor.py
"""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import mpmath
import numpy as np
import scipy.linalg

import odemom
from odemom.propagator.bounds import growth_radius
from odemom.propagator.plans import GROWTH, schedule

UNIT = 2.0**-53
SOLVE = 4 / 3
TERMS = 40
MASSES = (0.01, 0.5, 10.0, math.inf)
SIZES = (0.3, 1.0, 3.0, 10.0, 30.0)


def series(a: float) -> tuple[list[Any], ...]:
    """2 C and psi, or C alone if a = 0 stands for the undamped flow, in powers of z = h theta.

    In powers of h² theta/eps for a < 1, as in `odemom.propagator.coefficients`.
    """
    if a == 0:
        return ([1 / mpmath.factorial(2 * n) for n in range(TERMS)],)
    rate = mpmath.mpf(a)
    unit = 1 if a >= 1 else 2 * rate
    g = []
    for n in range(TERMS):
        bessel = mpmath.besseli(n + mpmath.mpf(1) / 2, rate) * mpmath.sqrt(mpmath.pi / (2 * rate))
        g.append(2 * rate * mpmath.exp(-rate) * bessel / mpmath.factorial(n) / unit**n)
    c2 = [1 + mpmath.exp(-2 * rate)] + [g[n - 1] / unit / n for n in range(1, TERMS)]
    return c2, [(c + q) / 2 for c, q in zip(c2, g, strict=True)]


def pade(c: list[Any], m: int) -> tuple[list[Any], list[Any], float]:
    """Numerator and denominator of [m/m], and the alpha up to which they are good."""
    p, q = mpmath.pade(c[: 2 * m + 1], m, m)
    p, q = p[: m + 1], q[: m + 1]
    # q f - p, of which f - p/q is about the product with 1/q(0) = 1.
    rest = [sum(q[j] * c[n - j] for j in range(m + 1)) for n in range(2 * m + 1, TERMS)]
    low, high = 0.0, 1e3
    for _ in range(60):
        alpha = (low + high) / 2
        tail = sum(abs(r) * alpha ** (2 * m + 1 + i) for i, r in enumerate(rest))
        sound = sum(abs(q[j]) * alpha**j for j in range(1, m + 1)) < 0.9
        low, high = (alpha, high) if sound and tail <= UNIT / 2 * c[0] else (low, alpha)
    return p, q, low


def products_of(m: int, polynomials: int) -> tuple[int, int]:
    """The cheapest way to evaluate polynomials of degree m together: products, powers."""
    return min((q - 1 + polynomials * (math.ceil(m / q) - 1), q) for q in range(1, m + 1))


@dataclass(frozen=True)
class Rational:
    """A Padé plan: degree, doublings, variable, coefficients, and its cost in products."""

    m: int
    doublings: int
    scale: float
    fractions: list[tuple[np.ndarray, np.ndarray]]
    cost: float


def cheapest(eps: float, alpha: float) -> Rational:
    """The Padé plan of the least cost for ||theta|| = alpha."""
    found = []
    for s in range(12):
        h = 2.0**-s
        a = 0.0 if eps == math.inf else 0.5 * h / eps
        if eps == math.inf:
            scale, reach = h * h, math.acosh(4.0) ** 2
        else:
            scale, reach = (h if a >= 1 else h * h / eps), growth_radius(a, GROWTH)
        if scale * alpha > reach:
            continue
        with mpmath.workdps(60):
            functions = series(a)
            for m in range(1, 9):
                fractions = [pade(c, m) for c in (functions if s else functions[-1:])]
                if min(limit for _, _, limit in fractions) >= scale * alpha:
                    count = len(fractions)
                    doubling = s if len(functions) == 1 else max(2 * s - 1, 0)
                    cost = products_of(m, 2 * count)[0] + SOLVE * count + doubling
                    numbers = [(np.array(p, float), np.array(q, float)) for p, q, _ in fractions]
                    found.append(Rational(m, s, scale, numbers, cost))
                    break
    return min(found, key=lambda plan: plan.cost)


def evaluate(plan: Rational, theta: np.ndarray, eps: float) -> np.ndarray:
    """psi(theta) by a Padé plan."""
    d, m = len(theta), plan.m
    _, q = products_of(m, 2 * len(plan.fractions))
    powers = np.empty((q, d, d))
    powers[0] = plan.scale * theta
    for n in range(1, q):
        np.matmul(powers[n // 2], powers[(n - 1) // 2], out=powers[n])
    flat, parts = powers.reshape(q, -1), []

    def polynomial(c: np.ndarray) -> np.ndarray:
        total = None
        for first in range(q * (m // q), -1, -q):
            piece = c[first : first + q]
            chunk = (piece[1:] @ flat[: len(piece) - 1]).reshape(d, d)
            chunk.reshape(-1)[:: d + 1] += piece[0]
            total = chunk if total is None else total @ powers[q - 1] + chunk
        assert total is not None
        return total

    for above, below in plan.fractions:
        parts.append(scipy.linalg.solve(polynomial(below), polynomial(above), check_finite=False))
    for j in range(plan.doublings, 0, -1):
        decay = 1.0 if eps == math.inf else math.exp(-(2.0**-j) / eps)
        if len(parts) == 1:
            parts = [2 * (parts[0] @ parts[0]) - decay * np.eye(d)]
        else:
            c2, psi = parts
            following = c2 @ c2 - 2 * decay * np.eye(d) if j > 1 else c2
            parts = [following, c2 @ psi - decay * np.eye(d)]
    return parts[-1]


def median_ratio(slow: Callable[[], object], fast: Callable[[], object], rounds: int) -> float:
    """Median of slow/fast, timed in turn."""
    ratios = []
    for _ in range(rounds):
        times = []
        for call in (slow, fast):
            start = time.perf_counter()
            call()
            times.append(time.perf_counter() - start)
        ratios.append(times[0] / times[1])
    return statistics.median(ratios)


def main() -> None:
    """Print the table of docs/psi.md."""
    print("   eps  ||theta||  Taylor: degree, products   Padé: degree, products   Padé/Taylor time")
    for eps in MASSES:
        for alpha in SIZES:
            rng = np.random.default_rng(1)
            theta = rng.standard_normal((256, 256))
            theta *= alpha / np.abs(theta).sum(axis=0).max()
            taylor, rational = schedule(eps, False).plan(alpha), cheapest(eps, alpha)
            exact = odemom.psi(theta, eps)
            assert np.abs(evaluate(rational, theta, eps) - exact).max() <= 1e-13 * exact.max()

            def ours(theta: np.ndarray = theta, eps: float = eps) -> object:
                return odemom.psi(theta, eps)

            def theirs(
                theta: np.ndarray = theta, eps: float = eps, plan: Rational = rational
            ) -> object:
                return evaluate(plan, theta, eps)

            print(
                f"{eps:6g} {alpha:10g} {taylor.degree:15} {taylor.products:10} "
                f"{rational.m:16} {rational.cost:10.1f} {median_ratio(theirs, ours, 15):16.2f}"
            )


if __name__ == "__main__":
    main()
