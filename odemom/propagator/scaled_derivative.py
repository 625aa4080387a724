"""psi and its Fréchet derivatives times a power of two, where they leave the range of doubles."""

from __future__ import annotations

import numpy as np

from odemom.propagator.derivative import DERIVATIVE_ROUNDOFF, pair_of_powers, polynomials
from odemom.propagator.double import add_identity, prepared
from odemom.propagator.doubling import Doubling
from odemom.propagator.plans import schedule
from odemom.propagator.scaled import VANISHES, Decay, Multiple, decays_of

__all__ = ["propagate_scaled_derivatives"]


def product(left: Multiple, right: Multiple) -> Multiple:
    """The product of a value and its changes, stacked, by Leibniz' rule."""
    a, b = left.matrix, right.matrix
    result = a @ b[0]
    result[1:] += a[0] @ b[1:]
    return Multiple.of(result, left.exponent + right.exponent)


def shift(pair: Multiple, decay: Decay) -> Multiple:
    """The value plus ``decay`` times I, which changes nothing."""
    if decay.exponent < pair.exponent + VANISHES:
        return pair
    stack, unit = pair.matrix, max(pair.exponent, decay.exponent)
    if unit > pair.exponent:
        stack = np.ldexp(stack, max(pair.exponent - unit, VANISHES))
    add_identity(stack[0], decay.over(unit))
    return Multiple(stack, unit)


DOUBLING = Doubling(product, shift)


def propagate_scaled_derivatives(
    theta: np.ndarray, directions: np.ndarray, eps: float, field: float
) -> tuple[np.ndarray, np.ndarray]:
    """The matrix psi(theta) and its derivatives, all times the same power of two.

    Parameters
    ----------
    theta : ndarray of float64, shape (d, d)
    directions : ndarray of float64, shape (n, d, d)
    eps : float in [0, inf]
    field : float
        x'(0) = field theta x0.

    Returns
    -------
    value : ndarray of float64, shape (d, d)
    changes : ndarray of float64, shape (n, d, d)
        In units in which the largest entry of psi is in [1/2, 1).
    """
    plan, _, _, unit = prepared(theta, schedule(eps, field, DERIVATIVE_ROUNDOFF), refine=False)
    pairs = polynomials(plan, pair_of_powers(theta, directions, unit, plan.powers), unit)
    parts = [Multiple.of(np.concatenate([pair.value[None], pair.change])) for pair in pairs]
    result = DOUBLING.finish(plan, parts, decays_of(plan, eps)).matrix
    result = np.ldexp(result, -np.frexp(np.abs(result[0]).max())[1])
    return result[0], result[1:]
