"""psi of a matrix in mpmath, to any number of digits.

The algorithm is that of `odemom.propagator.closed_form`: Taylor series of the wave kernels over a
step, then double angles. Its working precision covers the majorant
exp(-a) (cosh + (a + |theta|) sinhc)(||W||^{1/2}) of psi, the factor by which the doublings magnify
roundoff, and is raised until the norm of the result shows that enough digits are left.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import mpmath

from odemom.checks import as_fraction
from odemom.errors import ResultOverflowError
from odemom.propagator.doubling import Doubling

__all__ = ["as_mpf", "mp_matrix", "propagate_mp", "with_digits"]

MOST_BITS = 1 << 22


def as_mpf(value: Fraction) -> Any:
    """The fraction at the current precision."""
    return mpmath.mpf(value.numerator) / value.denominator


def mp_matrix(theta: Any) -> Any:
    """An mpmath matrix at the current precision; a double is the dyadic rational that it is."""
    if isinstance(theta, mpmath.matrix):
        return theta
    return mpmath.matrix([[as_mpf(as_fraction(entry)) for entry in row] for row in theta])


def with_digits(
    compute: Callable[[], tuple[Any, Any, Any]],
    dps: int,
    vanishes: Callable[[], bool] = lambda: False,
) -> Any:
    """The result of ``compute`` to ``dps`` digits of its norm, at a precision raised until it is.

    ``compute`` returns the result, a bound of the norm of psi, and the factor by which roundoff,
    relative to that bound, is magnified; ``vanishes`` tells whether a computed 0 is one, which no
    precision would.
    """
    with mpmath.workdps(dps):
        target = mpmath.mp.prec + 10
    working = target + 20
    while True:
        with mpmath.workprec(working):
            result, bound, magnified = compute()
            size = mpmath.mnorm(result, 1)
            if size == 0 and (bound == 0 or vanishes()):
                return result
            lost = int(mpmath.log(magnified, 2)) + 20
            if working - lost >= target:  # with fewer digits the result may be anything
                smaller = max(bound / size, 1) if size > 0 else mpmath.mpf(2) ** working
                lost += int(mpmath.log(smaller, 2))
        if working - lost >= target:
            break
        working = target + max(lost, working - target) + 20
        if working > MOST_BITS:
            raise ResultOverflowError(
                f"psi(theta): roundoff magnified up to {mpmath.nstr(bound * magnified, 3)} needs "
                f"{working} bits; the limit is {MOST_BITS}. Scale theta down."
            )
    with mpmath.workdps(dps):
        return +result


def _shift(matrix: Any, multiple: Any) -> Any:
    return matrix + mpmath.eye(matrix.rows) * multiple  # a number first would print the matrix


DOUBLING = Doubling(lambda left, right: left * right, _shift)


def _over_a_step(w: Any) -> tuple[Any, Any, int]:
    """The kernels cosh sqrt(X) and sinhc sqrt(X) by their series, X = W/4^s near 0, and s."""
    norm = mpmath.mnorm(w, 1)
    doublings = max(0, int(mpmath.ceil(mpmath.log(norm, 4))) + 2) if norm > 0 else 0
    x = w / mpmath.mpf(4) ** doublings
    term = mpmath.eye(w.rows)
    cosh, sinhc, n = term.copy(), term.copy(), 0
    while mpmath.mnorm(term, 1) > mpmath.eps / 4:
        n += 1
        term = term * x / ((2 * n - 1) * (2 * n))
        cosh += term
        sinhc += term / (2 * n + 1)
    return cosh, sinhc, doublings


def _damped(theta: Any, mass: Any, coast: Any) -> tuple[Any, Any, Any]:
    """What `with_digits` asks for, of a mass in (0, inf)."""
    a, field = 1 / (2 * mass), -mpmath.expm1(-coast / mass)
    cosh, sinhc, doublings = _over_a_step(theta / mass + mpmath.eye(theta.rows) * (a * a))
    h = mpmath.mpf(2) ** -doublings
    psi = cosh + sinhc * (h * a)
    norm, weight = mpmath.mnorm(theta, 1), a
    if field:
        psi += (theta * sinhc) * (h * field)
        weight = a + norm
    decay = mpmath.exp(-a * h)
    cosh, psi, decays = cosh * decay, psi * decay, []
    for _ in range(doublings):
        decay = decay * decay
        decays.append(decay)
    if doublings:
        psi = DOUBLING.double(tuple(decays), 2 * cosh, psi)
    root = mpmath.sqrt(norm / mass + a * a)  # of the bound of ||W||
    growth = mpmath.exp(norm / mass / (root + a))  # exp(root - a), no digit cancelled
    bound = growth * (1 + weight / max(root, 1))
    return psi, bound, mpmath.mpf(2) ** (doublings + 4) * theta.rows


def _undamped(theta: Any, coast: Any) -> tuple[Any, Any, Any]:
    """What `with_digits` asks for, of cosh sqrt(theta) + coast sqrt(theta) sinh sqrt(theta)."""
    cosh, sinhc, doublings = _over_a_step(theta)
    root = mpmath.sqrt(mpmath.mnorm(theta, 1))
    bound = mpmath.exp(root) * (1 + coast * root)
    if not coast:
        psi = DOUBLING.cosine((1,) * doublings, cosh)
    else:
        psi = cosh + (theta * sinhc) * (coast * mpmath.mpf(2) ** -doublings)
        psi = DOUBLING.double((1,) * doublings, 2 * cosh, psi) if doublings else psi
    return psi, bound, mpmath.mpf(2) ** (doublings + 4) * theta.rows


def _first_order(theta: Any) -> tuple[Any, Any, Any]:
    """What `with_digits` asks for, of exp(theta)."""
    norm = mpmath.mnorm(theta, 1)
    return mpmath.expm(theta), mpmath.exp(norm), (1 + norm) * 16


def propagate_mp(
    theta: Any, factor: Fraction, eps: Fraction | float, coast: Fraction | float, dps: int
) -> Any:
    """The matrix psi(factor theta) on [0, 1], to ``dps`` digits of its norm.

    Parameters
    ----------
    theta : mpmath.matrix, or nested list of exact numbers or floats
    factor : Fraction
    eps : Fraction in (0, inf), or 0 or inf
    coast : Fraction in [0, inf), or inf
        How long theta = 0 follows on [0, 1]: inf is x'(0) = theta x0.
    dps : int

    Returns
    -------
    mpmath.matrix

    Raises
    ------
    ResultOverflowError
        If that takes more than 2^22 bits.
    """

    def compute() -> tuple[Any, Any, Any]:
        scaled = mp_matrix(theta) * as_mpf(factor)
        rest = mpmath.inf if coast == math.inf else as_mpf(Fraction(coast))
        if eps == 0:
            return _first_order(scaled)
        if eps == math.inf:
            return _undamped(scaled, rest)
        return _damped(scaled, as_mpf(Fraction(eps)), rest)

    return with_digits(compute, dps)
