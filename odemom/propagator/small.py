"""psi of one small matrix, where a call of NumPy takes longer than the arithmetic in it.

So the calls are few.

Powers are formed in stacks, (X^(2n); ...; X^(n+1)) = (X^n; ...; X) X^n in one product of a tall
matrix; the polynomials are one product of their coefficients with all powers, the identity among
them, small terms first; C and psi, one above the other, are doubled together.

Where `numpy.longdouble` is the extended precision of x86 processors, of roundoff u/2048, it serves
the smallest matrices, to which it costs little, and those far from normal, where psi is ill
conditioned. Elsewhere doubles serve all.
"""

from __future__ import annotations

import math
import threading

import numpy as np
from numpy import dot

from odemom.propagator.norms import norm1
from odemom.propagator.plans import (
    DOUBLE_ROUNDOFF,
    EXTENDED_ROUNDOFF,
    LARGE,
    MOST_STACKED,
    STACKED,
    Plan,
    Schedule,
    schedule,
)

__all__ = ["SMALL_SIZE", "evaluate_small"]

# Up to this size a call costs more than the products that stacks add to Paterson and Stockmeyer's.
SMALL_SIZE = 24
# Up to these sizes extended precision is taken for every matrix, and for those far from normal.
ALWAYS_EXTENDED, MOST_EXTENDED = (3, 12) if np.finfo(np.longdouble).nmant == 63 else (0, 0)
# Powers of matrices below this, and the fifth as a double, are in range.
LARGE_EXTENDED = 2.0**200
# Up to this norm nothing overflows, psi being at most its exponential, and double precision serves.
TAME = 16.0
# Far from normal: ||theta|| asks for more doublings than this, and is more than so many times
# ||theta^16||^(1/16), which is near the spectral radius. The norms of all powers then save many.
WORTH_TAIL, NON_NORMAL = 4, 8
# Above this number of doublings, roots of norms of powers, up to the fifth, may save some: they
# cost as much as two doublings do, or four of the smallest matrices.
WORTH_ROOTS, WORTH_ROOTS_EXTENDED, MOST_ROOTS = 1, 4, 5


class Powers:
    """Memory for X^m, ..., X, I of one size, with the views that the recipe takes of it."""

    def __init__(self, d: int, real: type) -> None:
        powers, last = np.empty((MOST_STACKED + 1, d, d), dtype=real), MOST_STACKED
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

    def root(self, k: int) -> float:
        """||X^k||^(1/k) in the 1-norm, or inf where ||X^k|| exceeds the doubles."""
        power = self.powers[k]
        if power.dtype != np.float64:
            power = power.astype(np.float64)
        return norm1(power) ** (1 / k)

    def tail_root(self) -> float:
        """The alpha of `odemom.propagator.plans` for degrees >= m = `MOST_STACKED`.

        Of |X|: what is small in X^m only because terms cancel has lost its digits, and fewer
        doublings would leave the errors of the powers as large as they are.
        """
        size, sums, m = np.abs(self.x), [], MOST_STACKED
        row = np.ones(len(size), dtype=size.dtype)
        for _ in range(m):
            row = dot(row, size)
            sums.append(row.max())
        norms = np.array(sums)
        roots = (norms[-1] * norms) ** (1 / np.arange(m + 1, 2 * m + 1, dtype=norms.dtype))
        return float(max(norms[-1] ** (norms.dtype.type(1) / m), roots.max()))


class Memory(threading.local):
    """The `Powers` of a thread, by size and type of the entries."""

    def __init__(self) -> None:
        self.of: dict[tuple[int, type], Powers] = {}

    def powers(self, d: int, real: type) -> Powers:
        """Those of one size and type."""
        memory = self.of.get((d, real))
        if memory is None:
            memory = self.of[d, real] = Powers(d, real)
        return memory


MEMORY = Memory()


def evaluate_small(theta: np.ndarray, eps: float, field: float) -> np.ndarray | None:
    """The psi of one matrix, or None where this way does not reach.

    Parameters
    ----------
    theta : ndarray of float64, shape (d, d)
    eps : float in [0, inf]
    field : float
        x'(0) = field theta x0.

    Returns
    -------
    ndarray of float64, shape (d, d), or None
        Without warnings, save of an underflow if NumPy is told to warn of those. None where powers
        of ``theta`` may be out of range.
    """
    d, norm = len(theta), norm1(theta)
    if d > ALWAYS_EXTENDED and norm <= TAME:
        try:
            return finished(*prepared(theta, norm, schedule(eps, field, stacked=True)))
        except FloatingPointError:  # tiny entries, when NumPy is told to raise at an underflow
            pass
    roundoff = DOUBLE_ROUNDOFF
    if d <= ALWAYS_EXTENDED or norm >= LARGE:
        if d > MOST_EXTENDED or norm >= LARGE_EXTENDED:
            return None
        roundoff = EXTENDED_ROUNDOFF
    with np.errstate(all="ignore"):
        flow = schedule(eps, field, roundoff, stacked=True)
        return finished(*prepared(theta, norm, flow)).astype(np.float64, copy=False)


def prepared(theta: np.ndarray, norm: float, flow: Schedule) -> tuple[Plan, Powers]:
    """The plan for a matrix of that 1-norm, and its powers, in the arithmetic of the plan.

    That is the one of ``flow``, or extended precision for what is far from normal.
    """
    memory = MEMORY.powers(len(theta), flow.real)
    memory.x[...] = theta
    plan = flow.plan(norm)
    doublings = len(plan.decays)
    refine = doublings > (WORTH_ROOTS if flow.real is float else WORTH_ROOTS_EXTENDED)
    for left, right, out in memory.stages[MOST_STACKED if refine else plan.powers]:
        dot(left, right, out)
    if refine:
        tail = math.inf
        if doublings > WORTH_TAIL and norm > NON_NORMAL * memory.root(MOST_STACKED):
            if flow.real is float and len(theta) <= MOST_EXTENDED:
                extended = schedule(flow.eps, flow.field, EXTENDED_ROUNDOFF, stacked=True)
                return prepared(theta, norm, extended)
            tail = memory.tail_root()
        roots = [norm, *(memory.root(k) for k in range(2, MOST_ROOTS + 1))]
        plan = flow.refined(roots, tail)
    return plan, memory


def finished(plan: Plan, memory: Powers) -> np.ndarray:
    """The psi from the powers of X.

    These are the recurrences of `odemom.propagator.doubling` written out for C and psi in one tall
    matrix, of which a doubling is one call: `Doubling` itself takes 1.3 to 1.8 times as long here
    (measured for d = 4 to 16, one or two doublings).
    """
    d = len(memory.x)
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
