"""psi(theta) X for any theta, by products with theta alone: steps of (x, x') by Taylor polynomials.

Al-Mohy and Higham, SIAM J. Sci. Comput. 33, 2011, for the exponential.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from odemom.propagator.bounds import growth_radius
from odemom.propagator.coefficients import kernel_coefficients
from odemom.propagator.plans import DOUBLE_ROUNDOFF, LARGEST

__all__ = ["Steps", "plan_steps", "take_steps"]

# The growth of C over one Taylor step: terms of alternating sign lose at most its square, two and a
# half digits, for a third of the products that a loss of one digit would take.
STEP_GROWTH = 20.0
TERMS_OF_A_STEP = 60
# Nobody takes more: the plan of a larger theta is to count them.
MOST_STEPS = 10**15


@dataclass(frozen=True)
class Steps:
    """Equal steps over [0, 1], each by two polynomials in ``scale`` theta.

    Over a step h the state (x, v) goes to ((C + Q/2) x + eps Q v, theta Q x + (C - Q/2) v).

    Attributes
    ----------
    count : int
    scale : float
    cosh, sinh : ndarray of float64
        Coefficients of C and of S = eps Q, to the degree that the size of theta asks for.
    """

    count: int
    scale: float
    cosh: np.ndarray
    sinh: np.ndarray

    def products(self, eps: float, field: float) -> int:
        """How many products with theta they take."""
        degree = len(self.cosh) - 1
        if eps < 1 / LARGEST:
            return degree * self.count
        return (2 * degree + 1) * self.count - (0 if field else degree + 1)


def plan_steps(eps: float, alpha: float) -> Steps:
    """The steps for a theta of size ``alpha``.

    Parameters
    ----------
    eps : float in [0, inf]
    alpha : float
        A bound of ||theta^n||^(1/n) for the n-th terms that matter: see `odemom.propagator.plans`.
    """
    if eps < 1 / LARGEST:  # to roundoff the flow of eps = 0
        eps = 0.0
    steps = 1
    while True:
        h = 1 / steps
        if eps == math.inf:
            a, scale, limit = 0.0, h * h, math.acosh(STEP_GROWTH) ** 2
        else:
            a = math.inf if eps == 0 or h / eps == math.inf else 0.5 * h / eps
            scale, limit = (h if a >= 1 else h * (h / eps)), growth_radius(a, STEP_GROWTH)
        if not scale * alpha > limit or steps > MOST_STEPS:
            break
        steps = max(steps + 1, math.floor(steps * min(scale * alpha / limit, 1.5)))
    if eps == math.inf:
        cosh = np.array([1 / math.factorial(2 * n) for n in range(TERMS_OF_A_STEP)])
        sinh = np.array([h / math.factorial(2 * n + 1) for n in range(TERMS_OF_A_STEP)])
    else:
        even, rest = kernel_coefficients(a, TERMS_OF_A_STEP, 0.0)
        cosh, sinh = np.array(even), eps * (2 * np.array(rest))
    sizes = cosh * min(scale * alpha, limit) ** np.arange(TERMS_OF_A_STEP)
    tails = np.cumsum(sizes[::-1])[::-1]
    degree = int(np.flatnonzero(tails > DOUBLE_ROUNDOFF * cosh[0])[-1]) + 1
    return Steps(steps, scale, cosh[: degree + 1], sinh[: degree + 1])


def take_steps(
    apply: Callable[[np.ndarray], np.ndarray],
    block: np.ndarray,
    eps: float,
    field: float,
    plan: Steps,
    center: float = 0.0,
) -> np.ndarray:
    """Steps of (x, x') over [0, 1].

    Parameters
    ----------
    apply : callable
        The product of theta with a block of vectors; at eps = 0 of theta - ``center`` I.
    block : ndarray of float64, shape (d, k)
    eps : float in [0, inf]
    field : float
        x'(0) = field theta x0.
    plan : Steps
        From `plan_steps`.
    center : float

    Returns
    -------
    ndarray of float64, shape (d, k)
    """
    if eps < 1 / LARGEST:  # to roundoff the flow of eps = 0
        eps, field = 0.0, 0.0
    steps, power, cosh, sinh = plan.count, plan.scale, plan.cosh, plan.sinh
    x: np.ndarray = block
    v = field * apply(block) if field else None
    for step in range(steps):
        even, odd = partial_sums(apply, x, power, cosh, sinh)
        last = step == steps - 1
        if eps == 0:
            x = (2 * np.exp(center / steps)) * even
            continue
        # x(h) = (C + Q/2) x + eps Q v; S = eps Q is what `sinh` stands for, Q/2 = S/(2 eps).
        half_rate = 0.0 if eps == math.inf else 0.5 / eps
        following = even + half_rate * odd
        velocity = None if last else apply(odd) * (1.0 if eps == math.inf else 1 / eps)
        if v is not None:
            even, odd = partial_sums(apply, v, power, cosh, sinh)
            following += odd
            if velocity is not None:
                velocity += even - half_rate * odd
        x, v = following, velocity
    return x


def partial_sums(
    apply: Callable[[np.ndarray], np.ndarray],
    block: np.ndarray,
    scale: float,
    cosh: np.ndarray,
    sinh: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Two polynomials of scale theta, times a block."""
    term, even, odd = block, cosh[0] * block, sinh[0] * block
    for c, s in zip(cosh[1:], sinh[1:], strict=True):
        term = apply(term)
        term *= scale
        even += c * term
        odd += s * term
    return even, odd
