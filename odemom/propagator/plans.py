"""How to evaluate psi(theta) for a given size of theta: degree, step and doublings.

Over a step h the flow is two polynomials in theta (`coefficients`); the step is then doubled::

    direct   psi = (C + G)(theta)                                      h = 1
    double   C(2h) = 2 C(h)² - exp(-h/eps) I,  G(2h) = 2 C(h) G(h)     h = 2^-s
    slow     psi = (2 C)^(2^s) (C + G)                                 h = 1/(2^s + 1)

The last doubling is psi = 2 C (C + G) - exp(-1/(2 eps)) I, one product. "slow" is the small-eps
form (I + R^-1) E_+/2: 2 C = E_+ up to E_-, whose relative size exp(-(h/eps) Re R) is below u/8
where a plan takes it. At eps = 0 it is the exponential, C = G = exp(h theta)/2.

A plan of degree m holds for every theta with alpha(theta) <= ``limit``, alpha any of ||theta|| and
max(||theta^k||^(1/k), ||theta^(k+1)||^(1/(k+1))), k >= 2, k (k - 1) <= m + 1, by Theorem 4.2 of
Al-Mohy and Higham 2009: ||sum_{n>m} c_n theta^n|| <= sum_{n>m} c_n alpha^n. Where all powers up to
the m-th are at hand, so is max((p_m p_j)^(1/(m+j)), 0 <= j <= m), p_j the norm of |theta|^j, which
stays near the spectral radius of what is far from normal by its structure: every n > m is a m + j
with m < j <= 2 m, so that ||theta^n|| <= p_m^(a+1) p_(j-m). Two bounds make the limit:

- that tail is at most 2^-54 min(c_0, c_1 alpha) (relative to `roundoff`: half of it), so that a
  small theta keeps the digits of psi(theta) - psi(0);
- C(alpha) <= g C(0), g = `GROWTH`: the terms add up to at most g C(0) in size, and where psi decays
  to C(0)/g or more, so that little more than a digit is lost to their signs.

The number of doublings so grows with the size of theta and not with 1/eps, and a doubling magnifies
relative errors by 2, as theta does to psi: hence one form for every eps. (The double angles of
W = theta/eps + I/(4 eps²) need log2(1/eps) steps for any theta and lose as many bits.)
"""

from __future__ import annotations

import dataclasses
import math
import sys
import threading
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any, Literal

import numpy as np

from odemom.propagator.bounds import growth_radius, radius, sharp_alpha
from odemom.propagator.coefficients import exponential, kernel_coefficients
from odemom.propagator.nested import NESTED_CHUNKS, nested_rows

__all__ = ["DOUBLE_ROUNDOFF", "EXTENDED_ROUNDOFF", "MOST_POWERS", "Plan", "Schedule", "schedule"]

DOUBLE_ROUNDOFF, EXTENDED_ROUNDOFF = 2.0**-53, 2.0**-64
LARGEST = sys.float_info.max
# Rates below are met for an alpha beyond the doubles only.
SMALLEST_RATE = 5e-324
# The largest mass: a little less, so that no coefficient overflows.
LARGEST_UNIT = 1.79e308
# Larger entries are brought near 1 by a power of two, so that theta^16 does not overflow. Powers of
# small ones may vanish: they count for nothing then.
LARGE = 2.0**30
# Paterson-Stockmeyer (q powers, r chunks): degree q r by (q - 1) + (r - 1) products, or
# (q - 1) + 2 (r - 1) for two polynomials.
ONE_POLYNOMIAL = ((1, 1), (2, 1), (2, 2), (3, 2), (3, 3), (4, 3), (4, 4), (5, 4))
TWO_POLYNOMIALS = ((1, 1), (2, 1), (3, 1), (2, 2), (3, 2), (4, 2), (5, 2), (4, 3), (5, 3), (6, 3))
# The degrees to which stacks of powers grow, for small matrices: see `odemom.propagator.small`.
STACKED = (1, 2, 4, 8, 16)
MOST_STACKED = STACKED[-1]
MOST_TERMS = 23
# 2^-s is a double, and a step of it reaches norms of 1e300.
MOST_DOUBLINGS = 1000
MOST_POWERS = max(q for q, _ in (*ONE_POLYNOMIAL, *TWO_POLYNOMIALS))
# On the accuracy suite 2 is worse: a doubling more costs more digits than larger terms do.
GROWTH = 4.0
# Where that would cost a doubling, of three products, and cannot matter beside the roundoff of
# products of large matrices: in a single step of nested plans.
NESTED_GROWTH = 5.5
Mode = Literal["direct", "double", "slow", "square"]
# (n, 4) is the nested form of degree 4 n, in n - 1 + 2 or n - 1 + 4 products where little cancels.
ONE_NESTED = ((1, 1), (2, 1), (2, 2), (2, 4), (3, 4), (4, 4), (5, 4), (5, 3))
TWO_NESTED = (
    (1, 1),
    (2, 1),
    (3, 1),
    (2, 2),
    (3, 2),
    (2, 4),
    (3, 4),
    (4, 4),
    (5, 4),
    (5, 3),
    (6, 3),
)


@dataclass(frozen=True)
class Plan:
    """An evaluation, good for alpha(theta) <= ``limit``.

    Attributes
    ----------
    mode : {"direct", "double", "slow"}
    powers, chunks : int
        Of Paterson and Stockmeyer's scheme: q and r, degree q r.
    coefficients : tuple of lists of float or numpy.longdouble
        Of each polynomial, in powers of ``scale`` theta: psi, or 2 C and psi; undamped, C. Nested,
        of the B_j of each.
    scale : float or numpy.longdouble
    table : ndarray of float64 or longdouble, shape (polynomials * chunks, powers)
        Coefficients of theta, ..., theta^q, chunk by chunk: see `arranged`.
    constants : ndarray of the same, shape (polynomials * chunks, 1)
        Those of I.
    decays : tuple of float or numpy.longdouble
        The multiples of I that the doublings subtract.
    nested : bool
        Whether the chunks are B_4, B_3, B_2, B_1 of `odemom.propagator.nested`.
    products : int
        Matrix products in all.
    limit : float
    """

    mode: Mode
    powers: int
    chunks: int
    coefficients: tuple[list[float], ...]
    scale: float
    table: np.ndarray
    constants: np.ndarray
    decays: tuple[float, ...]
    products: int
    limit: float
    nested: bool = False

    @property
    def degree(self) -> int:
        """Of the polynomials."""
        return self.powers * self.chunks

    def arranged_for(self, unit: float) -> tuple[np.ndarray, np.ndarray]:
        """``table`` and ``constants`` for the powers of theta/unit instead of theta."""
        if unit == 1:
            return self.table, self.constants
        form = in_rows if self.nested else arranged
        return form(self.coefficients, self.scale * unit, self.powers, self.chunks)

    @cached_property
    def stacked_table(self) -> np.ndarray:
        """Of a plan of one chunk: coefficients of X^m, ..., X, I."""
        return np.ascontiguousarray(np.hstack([self.constants, self.table])[:, ::-1])


def arranged(
    polynomials: Sequence[list[float]], scale: float, q: int, r: int
) -> tuple[np.ndarray, np.ndarray]:
    """Coefficients in the chunks of Paterson and Stockmeyer: sum_j (X^q)^j (chunk j)(X)."""
    real = type(polynomials[0][0])
    table = np.zeros((len(polynomials) * r, q), dtype=real)
    constants = np.zeros((len(polynomials) * r, 1), dtype=real)
    for i, coefficients in enumerate(polynomials):
        c = [value * scale**n for n, value in enumerate(coefficients[: q * r + 1])]
        for j in range(r):
            row = i * r + j
            constants[row] = c[j * q]
            stop = q + (j == r - 1)
            table[row, : stop - 1] = c[j * q + 1 : j * q + stop]
    return table, constants


def in_rows(
    rows: Sequence[list[float]], scale: float, q: int, _: int
) -> tuple[np.ndarray, np.ndarray]:
    """The same of polynomials of degree q that stand as they are, one a row."""
    table = np.array(rows)
    return table[:, 1:] * np.asarray(scale) ** np.arange(1, q + 1), table[:, :1].copy()


# For an alpha that no plan reaches: it makes nan, which every caller reports as out of range.
NO_PLAN = Plan(
    mode="direct",
    powers=1,
    chunks=1,
    coefficients=([1.0, math.nan],),
    scale=math.nan,
    table=np.full((1, 1), math.nan),
    constants=np.ones((1, 1)),
    decays=(),
    products=10**6,
    limit=math.inf,
)


@dataclass
class Schedule:
    """The plans of one flow in the order of their limits, made as far as they are asked for.

    Parameters
    ----------
    eps : float in [0, inf]
        inf is the undamped flow x'' = theta x, of which without velocity only C = psi is wanted.
    field : float
        x'(0) = field theta x0.
    roundoff : float
        Unit roundoff of the arithmetic. From `EXTENDED_ROUNDOFF` down the plans are in
        `numpy.longdouble`.
    stacked : bool
        Whether the plans are those of `odemom.propagator.small`, whose ``products`` are calls.
    nested : bool
        Whether the plans are those of `odemom.propagator.nested`, of the fewest products; at
        eps = 0 the exponential is then squared, in the mode "square".
    """

    eps: float
    field: float
    roundoff: float
    stacked: bool = False
    nested: bool = False
    # Limits and plans, replaced as one: another thread may be reading them.
    made: tuple[list[float], list[Plan]] = ([], [])
    levels: int = 0
    lock: threading.Lock = dataclasses.field(default_factory=threading.Lock)

    @property
    def undamped(self) -> bool:
        """Whether the flow is x'' = theta x."""
        return self.eps == math.inf

    @property
    def real(self) -> type[float] | type[np.longdouble]:
        """The type of the coefficients."""
        return float if self.roundoff > EXTENDED_ROUNDOFF else np.longdouble

    def plan(self, alpha: float) -> Plan:
        """The cheapest plan that holds for ``alpha``."""
        limits, plans = self._up_to(alpha)
        return plans[bisect_left(limits, alpha)]

    def refined(self, roots: Sequence[float], tail: float = math.inf) -> Plan:
        """The cheapest plan for a theta with ||theta^k||^(1/k) = ``roots[k - 1]``, k = 1, 2, ...

        The alpha of the roots k, k + 1 is for degrees >= k (k - 1) - 1 only, ``tail`` is one for
        degrees >= `MOST_STACKED`.
        """
        limits, plans = self._up_to(roots[0])
        best = bisect_left(limits, roots[0])
        alphas = [(k * (k - 1) - 1, max(roots[k - 1], roots[k])) for k in range(2, len(roots))]
        for degree, alpha in [*alphas, (MOST_STACKED, tail)]:
            place = bisect_left(limits, alpha)
            while place < best and plans[place].degree < degree:
                place += 1
            best = min(best, place)
        if self.nested:
            first = bisect_left(limits, min(roots))  # no alpha is below the least root
            sharp = (limits[i] >= sharp_alpha(roots, plans[i].degree) for i in range(first, best))
            best = next((i for i, holds in enumerate(sharp, first) if holds), best)
        return plans[best]

    def refined_all(self, roots: Sequence[np.ndarray]) -> list[tuple[Plan, np.ndarray]]:
        """The same for arrays of roots: the plans, each with the places that chose it."""
        limits, plans = self._up_to(float(roots[0].max()))
        best = np.searchsorted(limits, roots[0])
        for k in range(2, len(roots)):
            fit = [plan.degree >= k * (k - 1) - 1 for plan in plans]
            following = np.full(len(plans) + 1, len(plans))
            for place in range(len(plans) - 1, -1, -1):
                following[place] = place if fit[place] else following[place + 1]
            places = np.searchsorted(limits, np.maximum(roots[k - 1], roots[k]))
            best = np.minimum(best, following[places])
        return [(plans[i], np.flatnonzero(best == i)) for i in np.unique(best)]

    def _up_to(self, alpha: float) -> tuple[list[float], list[Plan]]:
        """Limits and plans, of which one holds for ``alpha``."""
        limits, plans = self.made
        if limits and limits[-1] >= alpha:
            return limits, plans
        with self.lock:
            while not self.made[0] or self.made[0][-1] < alpha:
                self._add_level()
            return self.made

    def _add_level(self) -> None:
        plans = list(self.made[1])
        beyond = self.levels > MOST_DOUBLINGS
        for plan in [NO_PLAN] if beyond else self._level(self.levels):
            # A later level may reach as far for fewer products.
            while plans and plans[-1].limit <= plan.limit and plans[-1].products >= plan.products:
                plans.pop()
            if not plans or plan.limit > plans[-1].limit:
                plans.append(plan)
        self.made = [plan.limit for plan in plans], plans
        self.levels += 1

    def _level(self, s: int) -> list[Plan]:
        """The plans of s doublings."""
        one = self.real(1)
        if s > 0 and self.nested and self.eps == 0:
            return self._plans(s, "square", one / 2.0**s)
        if s > 0 and not self.undamped and self._slow_reach(1 / (2.0**s + 1)) > 0:
            slow = self._plans(s, "slow", one / (2.0**s + 1))
            if slow:
                return slow
        return self._plans(s, "double" if s else "direct", one / 2.0**s)

    def _slow_reach(self, h: float) -> float:
        """The largest alpha at which E_- is below u/8 of E_+ over a step h.

        Both majorants are at the point -alpha: E_-/E_+ = exp(-(h/eps) (1 - 4 eps alpha)^(1/2)).
        """
        if self.eps == 0:
            return math.inf
        damping = max(h / self.eps, SMALLEST_RATE) if self.eps > h / 1e300 else 1e300
        ratio = (3 - math.log(self.roundoff)) / damping
        return (1 - ratio * ratio) / (4 * self.eps) if ratio < 1 else 0.0

    def _plans(self, s: int, mode: Mode, h: Any) -> list[Plan]:
        growth = NESTED_GROWTH if self.nested and mode == "direct" else GROWTH
        polynomials, scale = self.step_polynomials(mode, h)
        if self.undamped:
            reach = math.acosh(growth) ** 2
        else:
            reach = growth_radius(float(self._rate(h)), growth)
        if mode == "slow":
            reach = min(reach, self._slow_reach(float(h)) * float(scale))
        return self._arrangements(s, mode, polynomials, scale, reach)

    def step_polynomials(self, mode: Mode, h: Any) -> tuple[list[list[Any]], Any]:
        """Coefficients of psi, or of 2 C and psi, over a step h, and the scale of theta in them."""
        count, real = MOST_TERMS, self.real
        if self.undamped:
            # z = h² theta: C is cosh sqrt z.
            cosh = [1 / real(math.factorial(2 * n)) for n in range(count)]
            if not self.field:
                return [cosh], h * h
            # field theta sinh(h sqrt theta)/sqrt theta is (field/h) z sinhc sqrt z
            sinh = [self.field / h / real(math.factorial(2 * n - 1)) for n in range(1, count)]
            rest, scale = [0 * cosh[0], *sinh], h * h
        else:
            a = self._rate(h)
            cosh, rest = kernel_coefficients(a, count, self.field)
            scale = h if a >= 1 else h * (h / self.eps)
        psi = [c + g for c, g in zip(cosh, rest, strict=True)]
        one = mode in ("direct", "square")
        return ([psi] if one else [[2 * c for c in cosh], psi]), scale

    def _rate(self, h: Any) -> Any:
        """The rate a = h/(2 eps) over one step."""
        tiny = self.eps == 0 or float(h) / self.eps == math.inf
        return self.real(math.inf) if tiny else max(self.real(0.5 * h / self.eps), SMALLEST_RATE)

    def _arrangements(
        self, s: int, mode: Mode, polynomials: list[list[Any]], scale: Any, reach: float
    ) -> list[Plan]:
        decays = self.decays(s) if mode == "double" else (0.0,) * s
        count = len(polynomials)
        shared = s if count == 1 else (2 * s - 1 if mode == "double" else s + 1)
        shapes = self._shapes(count)
        plans, kept, size = [], tuple(polynomials), float(scale)
        for q, r in shapes:
            within = min(radius(c, q * r, self.roundoff) for c in polynomials)
            # A norm that overflows is in no plan's reach.
            limit = min(min(within, reach) / size if size > 0 else math.inf, LARGEST)
            rows = None
            if self.nested and r == NESTED_CHUNKS:
                rows = nested_rows(kept, q, min(within, reach))
                if rows is None and count > 1:
                    continue  # another shape is cheaper
            nested, of_plan = rows is not None, rows or kept
            products = q - 1 + count * (2 if nested else r - 1) + shared
            if self.stacked:
                products = q.bit_length() + s
            table, constants = (in_rows if nested else arranged)(of_plan, scale, q, r)
            plans.append(
                Plan(mode, q, r, of_plan, scale, table, constants, decays, products, limit, nested)
            )
            if within >= reach:
                break
        return plans

    def _shapes(self, count: int) -> Sequence[tuple[int, int]]:
        """The shapes (q, r) for so many polynomials."""
        if self.stacked:
            return [(q, 1) for q in STACKED]
        if self.nested:
            return ONE_NESTED if count == 1 else TWO_NESTED
        return ONE_POLYNOMIAL if count == 1 else TWO_POLYNOMIALS

    def decays(self, s: int) -> tuple[Any, ...]:
        """exp(-h/eps) for h = 2^-s, ..., 1/2; 1 for the undamped flow."""
        if self.undamped:
            return (self.real(1),) * s
        return tuple(exponential(-2 * self._rate(self.real(2.0**-j))) for j in range(s, 0, -1))


@lru_cache(maxsize=256)
def schedule(
    eps: float,
    field: float,
    roundoff: float = DOUBLE_ROUNDOFF,
    stacked: bool = False,
    nested: bool = False,
) -> Schedule:
    """The schedule of a flow on [0, 1]; see `Schedule`."""
    return Schedule(eps, field, roundoff, stacked, nested)
