"""The Fréchet derivative of psi, and the condition number that it gives.

The recipe of `propagator` on pairs (value, derivative), with (A, dA)(B, dB) = (AB, dA B + A dB):
three products where psi takes one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from odemom.checks import as_float_matrices, expect
from odemom.errors import ResultOverflowError
from odemom.flows.plans import DOUBLE_ROUNDOFF, Plan, schedule
from odemom.flows.propagator import Doubling, add_identity, prepared
from odemom.flows.psi import flow_of, on_unit_interval

__all__ = ["psi_cond", "psi_frechet"]

# The terms of the differentiated series are n/alpha times those of the series, n <= 22: its tail so
# stays below 1.4 u C(0)/alpha.
DERIVATIVE_ROUNDOFF = DOUBLE_ROUNDOFF / 8
# Up to this size all d² directions are taken, in O(d^5) operations.
EXACT_UP_TO = 16
POWER_STEPS = 20


@dataclass(frozen=True)
class Pair:
    """A matrix (d, d) and its derivatives in directions (n, d, d)."""

    value: np.ndarray
    change: np.ndarray

    def __rmul__(self, factor: float) -> Pair:
        return Pair(factor * self.value, factor * self.change)

    def __add__(self, other: Pair) -> Pair:
        return Pair(self.value + other.value, self.change + other.change)


def product(left: Pair, right: Pair) -> Pair:
    """The product, by Leibniz' rule."""
    change = left.change @ right.value
    change += left.value @ right.change
    return Pair(left.value @ right.value, change)


def shift(pair: Pair, multiple: float) -> Pair:
    """``pair`` plus a multiple of I, which is constant."""
    return Pair(add_identity(pair.value, multiple), pair.change)


DOUBLING = Doubling(product, shift)


def combination(row: np.ndarray, constant: float, powers: list[Pair]) -> Pair:
    """Constant I + sum row[k] X^(k+1)."""
    total = row[0] * powers[0]
    for factor, power in zip(row[1:], powers[1:], strict=False):
        total = total + factor * power
    return shift(total, constant)


def derivatives(
    theta: np.ndarray, directions: np.ndarray, eps: float, field: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Psi of theta, shape (d, d), and L(theta, E) for the directions E, shape (n, d, d)."""
    plan, _, _, unit = prepared(theta, schedule(eps, field, DERIVATIVE_ROUNDOFF), refine=False)
    powers = [Pair(theta / unit, directions / unit)]
    while len(powers) < plan.powers:
        n = len(powers)
        powers.append(product(powers[n // 2], powers[(n - 1) // 2]))
    parts = DOUBLING.finish(plan, polynomials(plan, powers, unit))
    return parts.value, parts.change


def polynomials(plan: Plan, powers: list[Pair], unit: float) -> list[Pair]:
    """Those of the plan, by Paterson and Stockmeyer's scheme."""
    table, constants = plan.arranged_for(unit)
    parts = []
    for first in range(0, len(table), plan.chunks):
        rows = range(first + plan.chunks - 1, first - 1, -1)
        total = None
        for row in rows:
            chunk = combination(table[row], float(constants[row, 0]), powers)
            total = chunk if total is None else product(total, powers[plan.powers - 1]) + chunk
        parts.append(total)
    return parts


def psi_frechet(
    theta: Any,
    E: Any,
    eps: Any,
    *,
    horizon: Any = 1,
    initial_velocity: Literal["zero", "field"] = "zero",
) -> np.ndarray:
    """The Fréchet derivative L(theta, E) of psi: psi(theta + t E) = psi(theta) + t L + O(t²).

    Parameters
    ----------
    theta : array_like of real numbers, shape (d, d)
    E : array_like of real numbers, shape (..., d, d)
        One direction or a stack of them.
    eps : number or str in [0, inf], or Flow
        As for `psi`; the flow must be that of an ODE.
    horizon : number, default 1
    initial_velocity : {"zero", "field"}, default "zero"
        As for `psi`.

    Returns
    -------
    ndarray of float64, shape (..., d, d)

    Raises
    ------
    InvalidInputError
        If an argument is not what `psi` takes, or the shapes do not fit.
    ResultOverflowError
        If the derivative exceeds the range of doubles.

    Notes
    -----
    psi by scaling and doubling, differentiated step by step: three times its matrix products. The
    adjoint of L(theta, .) in the trace inner product is L(theta.T, .).

    References
    ----------
    Al-Mohy and Higham, Computing the Fréchet derivative of the matrix exponential, SIAM J. Matrix
    Anal. Appl. 30, 2009.

    Examples
    --------
    psi'(z) E for a commuting direction:

    >>> import numpy as np, odemom
    >>> theta, h = np.array([[0.3]]), 1e-6
    >>> slope = (odemom.psi(theta + h, 0.5) - odemom.psi(theta - h, 0.5)) / (2 * h)
    >>> bool(np.allclose(odemom.psi_frechet(theta, [[1.0]], 0.5), slope, rtol=1e-8))
    True
    """
    model = flow_of(eps, horizon=horizon, initial_velocity=initial_velocity)
    matrix = as_float_matrices(theta, "theta", stacks=False)
    direction = as_float_matrices(E, "E")
    expect(
        direction.shape[-1] == len(matrix),
        "E",
        got=f"shape {direction.shape}",
        expected=f"shape (..., {len(matrix)}, {len(matrix)}), as theta",
    )
    scaled, mass, field = on_unit_interval(model, matrix)
    stack = on_unit_interval(model, direction.reshape(-1, *matrix.shape))[0]
    with np.errstate(all="ignore"):
        result = derivatives(scaled, stack, mass, field)[1].reshape(direction.shape)
    if not np.isfinite(result).all():
        raise ResultOverflowError(
            "psi_frechet: the derivative exceeds the range of doubles. Scale E down."
        )
    return result


def psi_cond(
    theta: Any,
    eps: Any,
    *,
    horizon: Any = 1,
    initial_velocity: Literal["zero", "field"] = "zero",
) -> float:
    """The relative condition number of psi at theta, in the Frobenius norm.

    cond = max_E ||L(theta, E)|| ||theta|| / (||E|| ||psi(theta)||): the factor by which psi
    magnifies a small relative error of theta.

    Parameters
    ----------
    theta : array_like of real numbers, shape (d, d)
    eps : number or str in [0, inf], or Flow
        As for `psi`; the flow must be that of an ODE.
    horizon : number, default 1
    initial_velocity : {"zero", "field"}, default "zero"
        As for `psi`.

    Returns
    -------
    float
        For d <= 16 from the d² x d² matrix of L(theta, .), to about its roundoff times cond; for
        larger d a lower bound by 20 steps of the power method on the adjoint pair L(theta, .),
        L(theta.T, .), as a rule within 1 % and never above.

    Raises
    ------
    InvalidInputError
        If an argument is not what `psi` takes.
    ResultOverflowError
        If psi or its derivative exceeds the range of doubles, or psi(theta) vanishes in it.

    References
    ----------
    Higham, Functions of Matrices, SIAM 2008, section 3.4 and Algorithm 3.20.

    Examples
    --------
    For scalars it is |z psi'(z)/psi(z)|, which for exp is |z|:

    >>> import odemom
    >>> round(odemom.psi_cond([[3.0]], 0), 12)
    3.0
    """
    model = flow_of(eps, horizon=horizon, initial_velocity=initial_velocity)
    matrix = as_float_matrices(theta, "theta", stacks=False)
    scaled, mass, field = on_unit_interval(model, matrix)
    d = len(matrix)
    with np.errstate(all="ignore"):
        size = frobenius(scaled)
        if d <= EXACT_UP_TO:
            units = np.eye(d * d).reshape(-1, d, d)
            value, changes = derivatives(scaled, units, mass, field)
            columns = changes.reshape(d * d, d * d)
            largest = float(np.abs(columns).max())
            growth = np.inf
            if np.isfinite(largest):
                unit = largest or 1.0
                growth = unit * float(np.linalg.norm(columns / unit, 2))
        else:
            value, growth = _power_method(scaled, mass, field)
        cond = np.divide(growth, frobenius(value)) * size
    if not np.isfinite(cond):
        if not value.any():
            raise ResultOverflowError(
                f"psi_cond: psi(theta) vanishes in doubles, for theta of norm {size:.3g} and "
                f"{model.describe()}, so that it has no relative error. psi(theta, eps, "
                "scaled=True) gives its magnitude."
            )
        raise ResultOverflowError(
            f"psi_cond: psi(theta) or its derivative exceeds the doubles, for theta of norm "
            f"{size:.3g} and {model.describe()}. Scale theta down."
        )
    return float(cond)


def frobenius(matrix: np.ndarray) -> float:
    """The Frobenius norm, whose squares neither overflow nor vanish."""
    unit = float(np.abs(matrix).max()) or 1.0
    return unit * float(np.linalg.norm(matrix / unit))


def _power_method(theta: np.ndarray, eps: float, field: bool) -> tuple[np.ndarray, float]:
    """The matrix psi(theta), and a lower bound of the norm of L(theta, .)."""
    transposed = np.ascontiguousarray(theta.T)
    value, _ = derivatives(theta, theta[None], eps, field)
    # Not orthogonal to the leading direction, save on a set of measure zero.
    direction = np.random.default_rng(0).standard_normal(theta.shape)
    previous = growth = 0.0
    for _ in range(POWER_STEPS):
        direction /= frobenius(direction)
        image = derivatives(theta, direction[None], eps, field)[1][0]
        previous, growth = growth, frobenius(image)
        if not growth > 1.001 * previous:
            break
        direction = derivatives(transposed, image[None] / growth, eps, field)[1][0]
    return value, max(growth, previous)
