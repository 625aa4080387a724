"""psi(theta) in double precision, of one matrix or of a stack.

`polynomials` forms the polynomials of a plan by Paterson and Stockmeyer's scheme; `Doubling` takes
them to psi.
"""

from __future__ import annotations

import math
import threading

import numpy as np

from odemom.propagator.doubling import Doubling
from odemom.propagator.norms import norm1, norms1
from odemom.propagator.plans import LARGE, LARGEST, MOST_POWERS, Plan, Schedule, schedule
from odemom.propagator.small import SMALL_SIZE, evaluate_small
from odemom.propagator.triangular import finish_triangular, is_upper

__all__ = ["evaluate", "propagate", "stretched"]

# The coefficients of powers of theta/unit are powers of this at most: degree 30 is in range.
MOST_PER_POWER = 2.0**32
# Powers are used to shrink alpha below ||theta|| where that can save products.
WORTH_POWERS = 3
# From this size on products are all that counts, and the plans of the fewest are taken.
NESTED_SIZE = 64
# Below this size a norm costs as much as a product.
WORTH_NORMS = 24


# The operating system clears fresh memory at each call, which costs as much as a product for
# d ~ 128; so powers stay in this many doubles (16 MiB) a thread.
KEPT = 2**21
# Below this many, memory is not given back to the operating system.
NOT_CLEARED = 2**14
# Stacks are evaluated in blocks of so many entries, whose powers fit the cache.
BLOCK = 2**15


class Workspace(threading.local):
    """Memory that is kept between the calls of a thread."""

    buffer = np.empty(0)

    def array(self, *shape: int) -> np.ndarray:
        """An uninitialised array, in use until the next one is asked for."""
        size = math.prod(shape)
        if not NOT_CLEARED < size <= KEPT:
            return np.empty(shape)
        if self.buffer.size < size:
            self.buffer = np.empty(size)
        return self.buffer[:size].reshape(shape)


POWERS, CHOSEN = Workspace(), Workspace()


def add_identity(matrices: np.ndarray, multiple: float) -> np.ndarray:
    """``matrices + multiple I``, in place."""
    if multiple:
        d = matrices.shape[-1]
        matrices.reshape(*matrices.shape[:-2], d * d)[..., :: d + 1] += multiple
    return matrices


DOUBLING = Doubling(np.matmul, add_identity)


def evaluate(plan: Plan, powers: np.ndarray, known: int, unit: float) -> np.ndarray:
    """The psi of ``unit`` X by ``plan``: see `polynomials`."""
    parts = polynomials(plan, powers, known, unit)
    if plan.mode == "square":
        (psi,) = parts
        for _ in plan.decays:
            psi = psi @ psi
        return psi
    return DOUBLING.finish(plan, parts)


def polynomials(plan: Plan, powers: np.ndarray, known: int, unit: float) -> np.ndarray:
    """The polynomials of ``plan`` at ``unit`` X, over its step.

    Parameters
    ----------
    plan : Plan
    powers : ndarray of float64, shape (>= plan.powers, ..., d, d)
        X, X², ..., of which ``known`` are there; the missing ones are written into it.
    known : int
    unit : float
        A power of two.
    """
    q, r = plan.powers, plan.chunks
    extend(powers, known, q)
    table, constants = plan.arranged_for(unit)
    shape = powers.shape[1:]
    d = shape[-1]
    rows = table @ powers[:q].reshape(q, -1)
    if len(shape) == 2:
        rows[:, :: d + 1] += constants
    else:
        rows.reshape(len(rows), -1, d * d)[..., :: d + 1] += constants[:, :, None]
    rows = rows.reshape(-1, r, *shape)
    if plan.nested:
        return nested(*np.moveaxis(rows, 1, 0))
    parts = rows[:, r - 1]
    for j in range(r - 2, -1, -1):
        parts = parts @ powers[q - 1]
        parts += rows[:, j]
    return parts


def nested(b4: np.ndarray, b3: np.ndarray, b2: np.ndarray, b1: np.ndarray) -> np.ndarray:
    """The polynomials of `odemom.propagator.nested`, from their B_j."""
    y = b4 @ b4
    y += b3
    b2 += y
    parts = np.matmul(b2, y)
    parts += b1
    return parts


def extend(powers: np.ndarray, known: int, q: int) -> None:
    """Write the powers after the first ``known``, up to the q-th."""
    for n in range(known, q):
        np.matmul(powers[n // 2], powers[(n - 1) // 2], out=powers[n])


def single(theta: np.ndarray, flow: Schedule) -> np.ndarray:
    """The psi of one matrix."""
    if is_upper(theta):
        plan, powers, known, unit = prepared(theta, flow)
        parts = polynomials(plan, powers, known, unit)
        return finish_triangular(theta, plan, parts, flow.eps, flow.field)
    if is_upper(theta.T):
        return single(np.ascontiguousarray(theta.T), flow).T.copy()
    return evaluate(*prepared(theta, flow))


def prepared(
    theta: np.ndarray, flow: Schedule, refine: bool = True
) -> tuple[Plan, np.ndarray, int, float]:
    """The plan for one matrix, with what choosing it took: arguments of `evaluate`.

    Without ``refine`` the plan is that of ||theta||, which holds for derivatives too.
    """
    theta = np.ascontiguousarray(theta)
    norm, unit = norm1(theta), 1.0
    if norm >= LARGE:
        unit = 2.0 ** min(math.frexp(min(norm, LARGEST))[1], 1000)
    plan = flow.plan(norm)
    worth = len(theta) >= WORTH_NORMS or norm >= LARGE
    refine = refine and worth and plan.products >= WORTH_POWERS
    powers = POWERS.array(MOST_POWERS if refine else plan.powers, *theta.shape)
    np.divide(theta, unit, out=powers[0])
    known, roots = 1, [norm]
    for count in (3, 4) if refine else ():
        if plan.powers >= count or (flow.nested and saves(flow, roots, plan)):
            extend(powers, known, count)
            roots += [unit * norm1(powers[k]) ** (1 / (k + 1)) for k in range(len(roots), count)]
            plan, known = flow.refined(roots), count
    if unit > 1 and plan.scale * unit > MOST_PER_POWER:
        # alpha is far below ||theta||, so that its powers need no unit.
        known, unit, powers[0] = 1, 1.0, theta
    return plan, powers, known, unit


def saves(flow: Schedule, roots: list[float], plan: Plan) -> bool:
    """Whether one more power may save more than its product, its root being near the last."""
    return len(roots) > 1 and flow.plan(roots[-1]).products + 1 < plan.products


def grouped(theta: np.ndarray, flow: Schedule) -> np.ndarray:
    """The psi of a stack (n, d, d): every matrix by its own plan, those of one plan together."""
    norms = norms1(theta)
    large = norms >= LARGE
    if large.any():
        result = np.empty_like(theta)
        for i in np.flatnonzero(large):
            result[i] = single(theta[i], flow)
        if not large.all():
            result[~large] = grouped(theta[~large], flow)
        return result
    known, roots, powers = 1, [norms], POWERS.array(MOST_POWERS, *theta.shape)
    powers[0] = theta
    if flow.plan(float(norms.max())).products >= WORTH_POWERS:
        known = 4
        extend(powers, 1, known)
        roots += [norms1(powers[k]) ** (1 / (k + 1)) for k in range(1, known)]
    groups = flow.refined_all(roots)
    if len(groups) == 1:
        return evaluate(groups[0][0], powers, known, 1.0)
    result = np.empty_like(theta)
    for plan, where in groups:
        mine = CHOSEN.array(max(known, plan.powers), len(where), *theta.shape[1:])
        for k in range(known):
            powers[k].take(where, axis=0, out=mine[k], mode="clip")  # "clip" needs no buffer
        result[where] = evaluate(plan, mine, known, 1.0)
    return result


def propagate(theta: np.ndarray, eps: float, field: float) -> np.ndarray:
    """psi(theta) on [0, 1].

    Parameters
    ----------
    theta : ndarray of float64, shape (..., d, d)
    eps : float in [0, inf]
        inf is the undamped flow x'' = theta x.
    field : float
        x'(0) = field theta x0.

    Returns
    -------
    ndarray of float64, shape (..., d, d)
        Entries are inf or nan, without a warning, where psi exceeds the doubles.
    """
    if theta.ndim == 2 and len(theta) <= SMALL_SIZE:
        small = evaluate_small(theta, eps, field)
        if small is not None:
            return small
    flow = schedule(eps, field)
    with np.errstate(all="ignore"):
        if theta.ndim == 2:
            if len(theta) >= NESTED_SIZE:
                flow = schedule(eps, field, nested=True)
            return single(theta, flow)
        if theta.size == 0:
            return theta.copy()
        stack = theta.reshape(-1, *theta.shape[-2:])
        result, count = np.empty_like(stack), max(1, BLOCK // stack[0].size)
        for first in range(0, len(stack), count):
            result[first : first + count] = grouped(stack[first : first + count], flow)
        return result.reshape(theta.shape)


def stretched(theta: np.ndarray, factor: float) -> np.ndarray:
    """``factor theta``, inf where that exceeds the doubles."""
    with np.errstate(all="ignore"):
        return factor * theta
