"""How `psi_multiply` gets psi(theta) X: by products, by solves, or by psi(theta) itself.

Each way comes with the time that it should take, of which only the order of magnitude counts.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from odemom.checks import invalid
from odemom.errors import InvalidInputError
from odemom.flows.ode import ODEFlow
from odemom.flows.operators import Operator
from odemom.propagator.chebyshev import (
    expansion,
    expansion_coefficients,
    noise_of,
    usual_terms,
    widened,
)
from odemom.propagator.plans import DOUBLE_ROUNDOFF
from odemom.propagator.rational_krylov import POLE, SOUND, decays, solve_by_krylov
from odemom.propagator.scalar import psi_of_points
from odemom.propagator.scaled import propagate_scaled
from odemom.propagator.taylor_steps import plan_steps, take_steps

__all__ = ["Way", "multiply_cheaply", "on_interval"]

# Over Gershgorin's interval the expansion loses as many digits as psi has there beyond 1.
LARGEST_PSI = 100.0
# Where X psi is so many times smaller, psi may be so everywhere on the spectrum; microseconds that
# looking takes at most.
FAR_BELOW, LONGEST_AGAIN = 10.0, 5e5
# Of each column, what the roundoff of a psi that is large elsewhere on the interval may be.
LOST = 1e-6
# Points of the interval at which psi is looked at.
SAMPLES = 64
# Up to this size psi(theta) itself may be taken: some ten matrices of 32 MB.
LARGEST_DENSE = 2000
# Products are taken unless another way should be so many times faster.
WORTH_ENTRIES = 4
# Microseconds: of a call, of an entry read, of an operation of a product of matrices.
CALL, ENTRY, OPERATION = 10.0, 1e-3, 1e-4
# Solves are considered where all else should take longer, for so many columns at most, and where
# the factors are sure to take less than so many seconds and hold less than so many entries.
WORTH_SOLVES, MOST_COLUMNS = 5e4, 64
LONGEST_FACTORISATION, LARGEST_FACTORS = 2e7, 1e8
USUAL_SOLVES = 50


@dataclass(frozen=True)
class Way:
    """One way to psi(theta) X.

    Attributes
    ----------
    microseconds : float
        What it should take.
    compute : callable
        The result, or None where the way turns out not to reach it.
    products : int
        With theta; 0 for a way that takes its entries.
    """

    microseconds: float
    compute: Callable[[], np.ndarray | None]
    products: int = 0


def by_interval(
    flow: ODEFlow, operator: Operator, block: np.ndarray, ends: tuple[float, float], most: int
) -> Way | None:
    """The Chebyshev expansion on an interval, if it has at most ``most`` terms."""
    ends = widened(*ends)
    low, high = flow.on_unit_interval(np.array(ends)).tolist()
    # exp(theta) = e^high exp(theta - high I), which is in range wherever the result is.
    moved = high if flow.unit == 0 else 0.0
    coefficients = expansion_coefficients(
        low - moved, high - moved, flow.unit, flow.field, most + 1
    )
    if coefficients is None:
        return None
    doublings = round(moved / math.log(2))
    factor = math.exp(moved - doublings * math.log(2))

    def compute() -> np.ndarray:
        result = expansion(operator.apply, block, coefficients, *ends)
        return np.ldexp(result * factor, doublings) if moved else result

    products = len(coefficients) - 1
    return Way(products * time_of_product(operator, block), compute, products)


def on_interval(
    flow: ODEFlow, operator: Operator, block: np.ndarray, ends: tuple[float, float], most: int
) -> np.ndarray:
    """Psi(theta) X for symmetric theta: by the expansion on the interval, where that reaches.

    Raises
    ------
    InvalidInputError
        If it takes more than ``most`` products, or psi is so large on the interval that the result
        is lost in its roundoff, and the entries do not help either.
    """
    way = by_interval(flow, operator, block, ends, most)
    largest = largest_exponent(flow, ends)
    result = None if way is None else way.compute()
    if way is not None and result is not None:
        given, made = (np.abs(columns).max(axis=0, initial=0.0) for columns in (block, result))
        noise = (way.products * DOUBLE_ROUNDOFF + noise_on(flow, ends, largest)) * given
        kept = (largest + np.log(noise) <= np.log(LOST * made)).all()
        if largest <= math.log(LARGEST_PSI) or (kept and np.isfinite(result).all()):
            return result
    size = float(flow.on_unit_interval(np.abs(ends).max()))
    others = [other for other in by_entries(flow, operator, block, size, math.inf) if other]
    for other in sorted(others, key=lambda other: other.microseconds):
        found = other.compute()
        if found is not None:
            return found
    if way is None:
        raise too_many_products(flow, ends, most)
    raise invalid(
        "interval",
        got=f"[{ends[0]:.6g}, {ends[1]:.6g}], on which psi reaches exp({largest:.3g}), in "
        "whose roundoff psi(theta) X is lost",
        expected="ends nearer to the spectrum of theta",
    )


def largest_exponent(flow: ODEFlow, ends: tuple[float, float]) -> float:
    """The logarithm of the largest |psi| on an interval; that of exp may exceed the doubles."""
    moved = ends[1] if flow.unit == 0 else 0.0
    largest = np.abs(flow.scalar(np.linspace(*ends, SAMPLES) - moved)).max()
    return float(np.log(largest) + flow.on_unit_interval(np.array(moved)))


def noise_on(flow: ODEFlow, ends: tuple[float, float], exponent: float) -> float:
    """The roundoff of psi on an interval, relative to the largest |psi| there, exp(exponent)."""
    low, high = flow.on_unit_interval(np.array(ends)).tolist()
    moved = high if flow.unit == 0 else 0.0
    largest = math.exp(min(max(exponent, -700.0), 700.0))
    return noise_of(low - moved, high - moved, flow.unit, largest, flow.field)


def by_gershgorin(flow: ODEFlow, operator: Operator, block: np.ndarray, most: int) -> Way | None:
    """The same on the interval that the entries tell, which may reach far beyond the spectrum.

    The expansion is as good as psi is there. Where the result lies far below, one small enough is
    computed again by its eigenvectors.
    """
    way = by_interval(flow, operator, block, operator.gershgorin, most)
    if way is None:
        return None
    points = np.linspace(*operator.gershgorin, SAMPLES)  # psi may grow to the left, too
    largest = float(np.abs(flow.scalar(points)).max())
    again = by_eigenvectors(flow, operator, block)

    def compute() -> np.ndarray | None:
        result = way.compute()
        if result is None:
            return None
        lost = largest * np.linalg.norm(block) > FAR_BELOW * np.linalg.norm(result)
        return again.compute() if lost and again.microseconds < LONGEST_AGAIN else result

    return Way(way.microseconds, compute, way.products)


def by_steps(flow: ODEFlow, operator: Operator, block: np.ndarray) -> tuple[Way, float]:
    """Taylor steps, and the size of theta that sets their number."""
    # exp(theta) = e^c exp(theta - c I), which is of smaller norm.
    center = operator.center if flow.unit == 0 else 0.0
    moved = operator.minus(center)
    size, shift = flow.on_unit_interval(np.array([moved.size(), center])).tolist()
    steps = plan_steps(flow.unit, size)

    def compute() -> np.ndarray | None:
        def apply(vectors: np.ndarray) -> np.ndarray:
            return flow.on_unit_interval(moved.apply(vectors))

        return take_steps(apply, block, flow.unit, flow.field, steps, shift)

    products = steps.products(flow.unit, flow.field)
    return Way(products * time_of_product(operator, block), compute, products), size


def by_psi(flow: ODEFlow, operator: Operator, block: np.ndarray, size: float) -> Way:
    """The matrix psi(theta), then one product; ``size`` is that of theta on [0, 1]."""
    d = operator.dimension
    products = 8 + 2 * math.log2(1 + size)  # of the polynomials and of the doublings, at most
    entries = 0.0 if operator.matrix is not None else d * time_of_product(operator, block[:, :1])

    def compute() -> np.ndarray:
        matrix = operator.dense()
        result = flow.matrix(matrix) @ block
        if np.isfinite(result).all():
            return result
        # psi(theta) X may be in range where psi(theta) is not.
        psi, shift = propagate_scaled(*flow.unit_problem(matrix))
        exponent = round(min(float(shift) / math.log(2), 1e4))
        return np.ldexp(psi @ block, exponent)

    return Way(20 * CALL + entries + products * 2 * d**3 * OPERATION, compute)


def by_eigenvectors(flow: ODEFlow, operator: Operator, block: np.ndarray) -> Way:
    """The eigenvectors of a symmetric theta."""

    def compute() -> np.ndarray:
        values, vectors = np.linalg.eigh(operator.dense())
        psi = psi_of_points(flow.on_unit_interval(values), flow.unit, flow.field)
        return vectors @ (psi[:, None] * (vectors.T @ block))

    return Way(20 * CALL + 20 * operator.dimension**3 * OPERATION, compute)


def by_solves(flow: ODEFlow, operator: Operator, block: np.ndarray, size: float) -> Way | None:
    """Solves with I - POLE theta, where psi decays and the factors are affordable.

    Its spaces hold little of large complex eigenvalues, at which the flow of eps > 0 may grow.
    """
    if operator.matrix is None or block.shape[1] > MOST_COLUMNS:
        return None
    if not (math.isfinite(size) and decays(flow.unit, size, flow.field)):
        return None
    if not min(np.abs(flow.scalar(z)).max() for z in operator.around_spectrum()) <= SOUND[1]:
        return None
    entries, operations = operator.bounds_of_factors()
    factorisation = operations * OPERATION
    if entries > LARGEST_FACTORS or factorisation > LONGEST_FACTORISATION:
        return None

    def compute() -> np.ndarray | None:
        result, level = solved(flow, operator, block)
        if result is None and flow.unit == 0 and 0 < level < math.inf:
            # exp(theta) = e^c exp(theta - c I), which is near 1.
            center = math.log(level) / float(flow.on_unit_interval(np.ones(())))
            result, _ = solved(flow, operator.minus(center), block)
            return None if result is None else result * level
        return result

    solves = USUAL_SOLVES * block.shape[1]
    return Way(factorisation + solves * (20 * CALL + 2 * entries * ENTRY), compute)


def solved(flow: ODEFlow, operator: Operator, block: np.ndarray) -> tuple[np.ndarray | None, float]:
    """Psi(theta) X column by column, or None and the norm of psi where a column is not reached."""
    solve = operator.solver(float(flow.on_unit_interval(np.array(POLE))))
    columns, size = [], math.nan
    if solve is None:
        return None, size
    for x in block.T:
        column, size = solve_by_krylov(solve, x, flow.unit, flow.field)
        if column is None:
            return None, size
        columns.append(column)
    return (np.array(columns).T if columns else None), size


def time_of_product(operator: Operator, block: np.ndarray) -> float:
    """Of theta with a block, and of the sums that follow it, in microseconds."""
    return CALL + ENTRY * (operator.entries * block.shape[1] + 5 * block.size)


def multiply_cheaply(flow: ODEFlow, operator: Operator, block: np.ndarray, most: int) -> np.ndarray:
    """Psi(theta) X by the way that should be the fastest.

    Raises
    ------
    InvalidInputError
        If there is none but one of more than ``most`` products with theta.
    """
    symmetric = operator.is_symmetric
    expansion_reaches = symmetric and flow.scalar(operator.gershgorin[1]) <= LARGEST_PSI
    if expansion_reaches:
        low, high = operator.gershgorin
        size = float(flow.on_unit_interval(np.array(max(-low, high))))
        usual = by_gershgorin(flow, operator, block, most)
    else:
        usual, size = by_steps(flow, operator, block)
    worth = math.inf if usual is None else usual.microseconds / WORTH_ENTRIES
    ways = [way for way in by_entries(flow, operator, block, size, worth) if way is not None]
    ways.sort(key=lambda way: way.microseconds)
    if usual is not None and usual.products <= most:
        place = sum(way.microseconds < worth for way in ways)
        ways.insert(place, usual)
    for way in ways:
        result = way.compute()
        if result is not None:
            return result
    if usual is None:
        raise too_many_products(flow, operator.gershgorin, most)
    entries = "" if operator.matrix is not None else "give its entries as a sparse array, "
    raise invalid(
        "theta",
        got=f"a matrix of size {size:.3g} over the horizon, for which psi_multiply would take "
        f"some {float(usual.products):.2g} products",
        expected=f"one for which it takes at most max_products = {most}",
        fix=f"Give interval=(low, high) if theta is symmetric; else {entries}raise max_products, "
        "shorten the horizon or take psi of the dense matrix.",
    )


def too_many_products(flow: ODEFlow, ends: tuple[float, float], most: int) -> InvalidInputError:
    """The error for an expansion of more than ``most`` products."""
    low, high = flow.on_unit_interval(np.array(ends)).tolist()
    return invalid(
        "theta",
        got=f"a spectrum in [{low:.3g}, {high:.3g}] over the horizon, where psi varies beyond "
        f"reach: psi_multiply would take some {usual_terms(low, high, flow.unit):.2g} products",
        expected=f"one for which it takes at most max_products = {most}",
        fix="Raise max_products, shorten the horizon or take psi of the dense matrix.",
    )


def by_entries(
    flow: ODEFlow, operator: Operator, block: np.ndarray, size: float, worth: float
) -> Iterator[Way | None]:
    """The ways that need more than products, as far as they are ``worth`` it."""
    others = worth
    if operator.dimension <= LARGEST_DENSE and math.isfinite(size):
        if operator.is_symmetric:
            way = by_eigenvectors(flow, operator, block)
        else:
            way = by_psi(flow, operator, block, size)
        others = min(others, way.microseconds)
        yield way
    if others > WORTH_SOLVES:
        yield by_solves(flow, operator, block, size)
