"""psi of one small matrix in few calls of NumPy, each of which costs more than its products.

Powers are formed in stacks, (X^(2n); ...; X^(n+1)) = (X^n; ...; X) X^n in one product of a tall
matrix; the polynomials are one product of their coefficients with all powers, the identity among
them, small terms first; C and psi, one above the other, are doubled together.
"""

from __future__ import annotations

import threading

import numpy as np
from numpy import dot

from odemom.flows.norms import norm1
from odemom.flows.plans import MOST_STACKED, STACKED, Schedule

__all__ = ["SMALL_SIZE", "evaluate_small"]

# Up to this size a call costs more than the products that stacks add to Paterson and Stockmeyer's.
SMALL_SIZE = 24
# Above this number of doublings, roots of norms of powers, up to the fifth, may save some.
WORTH_ROOTS, MOST_ROOTS = 1, 5


class Powers:
    """Memory for X^m, ..., X, I of one size, with the views that the recipe takes of it."""

    def __init__(self, d: int) -> None:
        powers, last = np.empty((MOST_STACKED + 1, d, d)), MOST_STACKED
        powers[last] = np.eye(d)
        self.powers = [powers[last - n] for n in range(last + 1)]
        self.identity, self.x = self.powers[:2]
        self.doubled = np.vstack([2 * self.identity, self.identity])
        self.flat = {n: powers[last - n :].reshape(n + 1, -1) for n in STACKED}
        self.stages: dict[int, list[tuple[np.ndarray, ...]]] = {1: []}
        for n in STACKED[:-1]:
            known, new = powers[last - n : last], powers[last - 2 * n : last - n]
            stage = (known.reshape(n * d, d), powers[last - n], new.reshape(n * d, d))
            self.stages[2 * n] = [*self.stages[n], stage]


class Memory(threading.local):
    """The `Powers` of a thread, by size."""

    def __init__(self) -> None:
        self.of: dict[int, Powers] = {}


MEMORY = Memory()


def evaluate_small(theta: np.ndarray, norm: float, flow: Schedule) -> np.ndarray:
    """The psi of one matrix, by the recurrences of `odemom.flows.propagator.Doubling`.

    Parameters
    ----------
    theta : ndarray of float64, shape (d, d)
    norm : float
        Its 1-norm, below 2^30.
    flow : Schedule
        A stacked one.

    Returns
    -------
    ndarray of float64, shape (d, d)
    """
    d = len(theta)
    memory = MEMORY.of.get(d)
    if memory is None:
        memory = MEMORY.of[d] = Powers(d)
    memory.x[...] = theta
    plan = flow.plan(norm)
    refine = len(plan.decays) > WORTH_ROOTS
    for left, right, out in memory.stages[MOST_STACKED if refine else plan.powers]:
        dot(left, right, out)
    if refine:
        roots = [norm1(memory.powers[k]) ** (1 / k) for k in range(2, MOST_ROOTS + 1)]
        plan = flow.refined([norm, *roots])
    parts = dot(plan.stacked_table, memory.flat[plan.powers]).reshape(-1, d)
    if plan.mode == "direct":
        return parts
    if plan.mode == "slow":
        rising = parts[:d]
        for _ in plan.decays:
            rising = dot(rising, rising)
        return dot(rising, parts[d:])
    if len(parts) == d:
        for decay in plan.decays:
            parts = dot(parts, 2 * parts)
            parts -= decay * memory.identity
        return parts
    for decay in plan.decays[:-1]:
        parts = dot(parts, parts[:d])
        parts -= decay * memory.doubled
    psi = dot(parts[d:], parts[:d])
    psi -= plan.decays[-1] * memory.identity
    return psi
