"""psi of a matrix to any number of digits, in ball arithmetic.

The algorithm is that of `odemom.propagator.closed_form`: Taylor series of the wave kernels over a
step, then double angles. Arb bounds what every operation loses; the working precision is raised
until the balls are small enough beside the norm of the result. No bound is asked for beforehand,
such as exp(||theta||), which is far from what a decaying or oscillating psi takes.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import flint
import mpmath

from odemom.checks import as_fraction
from odemom.errors import ResultOverflowError
from odemom.propagator.doubling import Doubling

__all__ = [
    "as_ball",
    "as_mpf",
    "exact_rows",
    "identity",
    "mp_matrix",
    "propagate_mp",
    "to_digits",
]

MOST_BITS = 1 << 22


def as_mpf(value: Fraction) -> Any:
    """The fraction at the current precision."""
    return mpmath.mpf(value.numerator) / value.denominator


def mp_matrix(theta: Any) -> Any:
    """An mpmath matrix at the current precision; a double is the dyadic rational that it is."""
    if isinstance(theta, mpmath.matrix):
        return theta
    return mpmath.matrix([[as_mpf(as_fraction(entry)) for entry in row] for row in theta])


def to_digits(
    psi: Callable[[], flint.arb_mat], dps: int, vanishes: Callable[[], bool] = lambda: False
) -> Any:
    """The matrix ``psi()`` to ``dps`` digits of its norm, at a precision raised until it is.

    ``vanishes`` tells whether psi is 0, which no precision would.

    Raises
    ------
    ResultOverflowError
        If that takes more than 2^22 bits.
    """
    with mpmath.workdps(dps):
        target = mpmath.mp.prec + 4
    working = target + 60
    while working <= MOST_BITS:
        with flint.ctx.workprec(working):
            found = psi()
            if norm_above(radii(found)) * 2**target <= norm_below(found):
                return as_mp_matrix(found, dps)
        if norm_below(found) == 0 and vanishes():
            return mpmath.zeros(found.nrows())
        working *= 2
    raise ResultOverflowError(
        f"psi(theta): {dps} digits of it need more than {MOST_BITS} bits. Scale theta down."
    )


def exact_rows(theta: Any) -> list[list[Fraction]]:
    """The entries of an mpmath matrix, or of a nested list, as the fractions that they are."""
    rows = theta.tolist() if isinstance(theta, mpmath.matrix) else theta
    return [[as_exact(entry) for entry in row] for row in rows]


def as_exact(entry: Any) -> Fraction:
    """A number as the fraction that it is."""
    if not isinstance(entry, mpmath.mpf):
        return as_fraction(entry)
    mantissa, exponent = entry.man_exp
    sign = -1 if entry < 0 else 1
    return sign * abs(Fraction(int(mantissa))) * Fraction(2) ** int(exponent)


def as_ball(value: Fraction) -> flint.arb:
    """The fraction at the current precision."""
    return flint.arb(flint.fmpq(value.numerator, value.denominator))


def _shift(matrix: Any, multiple: Any) -> Any:
    return matrix + identity(matrix.nrows()) * multiple


DOUBLING = Doubling(lambda left, right: left * right, _shift)


def identity(d: int) -> flint.arb_mat:
    """The matrix I, exactly."""
    return flint.arb_mat(d, d, [int(i == j) for i in range(d) for j in range(d)])


def norm_above(matrix: flint.arb_mat) -> flint.arb:
    """An upper bound of the 1-norm, exact."""
    columns = zip(*matrix.tolist(), strict=True)
    sums = [sum((abs(x) for x in column), flint.arb(0)) for column in columns]
    return max(total.abs_upper() for total in sums)


def norm_below(matrix: flint.arb_mat) -> flint.arb:
    """A lower bound of the largest entry, hence of the 1-norm."""
    return max(x.abs_lower() for x in matrix.entries())


def radii(matrix: flint.arb_mat) -> flint.arb_mat:
    """Those of the balls, infinite where a ball is."""
    d = matrix.nrows()
    infinite = flint.arb.pos_inf()
    return flint.arb_mat(d, d, [x.rad() if x.is_finite() else infinite for x in matrix.entries()])


def as_mp_matrix(matrix: flint.arb_mat, dps: int) -> Any:
    """The middles of the balls, rounded to ``dps`` digits."""
    with mpmath.workdps(dps):
        return mpmath.matrix(
            [
                [mpmath.ldexp(*(int(part) for part in x.mid().man_exp())) for x in row]
                for row in matrix.tolist()
            ]
        )


def doublings_for(norm: flint.arb, per_doubling: int) -> int:
    """How many steps, each 2^-per_doubling of the norm, bring it below 1/4."""
    if norm == 0:
        return 0
    return max(0, -(-(exponent_of(norm) + 2) // per_doubling))


def exponent_of(value: flint.arb) -> int:
    """An integer above log2 of a positive exact number."""
    mantissa, exponent = value.man_exp()
    return int(abs(mantissa)).bit_length() + int(exponent)


def _over_a_step(w: flint.arb_mat) -> tuple[flint.arb_mat, flint.arb_mat, int]:
    """The kernels cosh sqrt(X) and sinhc sqrt(X) by their series, X = W/4^s near 0, and s."""
    norm = norm_above(w)
    doublings = doublings_for(norm, 2)
    small = flint.arb(2) ** (-2 * doublings)
    x, size = w * small, (norm * small).abs_upper()
    term = identity(w.nrows())
    cosh, sinhc, n, bound = term, term, 0, flint.arb(1)
    smallest = flint.arb(2) ** (-flint.ctx.prec)
    while bound > smallest:
        n += 1
        step = (2 * n - 1) * (2 * n)
        term, bound = term * x * (flint.arb(1) / step), bound * size / step
        cosh, sinhc = cosh + term, sinhc + term * (flint.arb(1) / (2 * n + 1))
    # What is left out is below a geometric series of quotient 1/24, hence below its last term.
    rest = ball_around_0(bound.abs_upper())
    d = w.nrows()
    tail = flint.arb_mat(d, d, [rest] * (d * d))
    return cosh + tail, sinhc + tail, doublings


def ball_around_0(radius: flint.arb) -> flint.arb:
    """The ball [-radius, radius]."""
    return radius.union(-radius)


def _damped(theta: flint.arb_mat, mass: flint.arb, field: flint.arb) -> flint.arb_mat:
    """Psi of a mass in (0, inf), x'(0) = field theta x0."""
    a = 1 / (2 * mass)
    w = _shift(theta * (1 / mass), a * a)
    cosh, sinhc, doublings = _over_a_step(w)
    h = flint.arb(2) ** -doublings
    psi = cosh + sinhc * (h * a)
    if field != 0:
        psi += (theta * sinhc) * (h * field)
    decay = (-a * h).exp()
    cosh, psi, decays = cosh * decay, psi * decay, []
    for _ in range(doublings):
        decay = decay * decay
        decays.append(decay)
    return DOUBLING.double(tuple(decays), cosh * flint.arb(2), psi) if doublings else psi


def _undamped(theta: flint.arb_mat, field: flint.arb) -> flint.arb_mat:
    """Cosh sqrt(theta) + field sqrt(theta) sinh sqrt(theta)."""
    cosh, sinhc, doublings = _over_a_step(theta)
    if field != 0 and doublings:
        psi = cosh + (theta * sinhc) * (field * flint.arb(2) ** -doublings)
        return DOUBLING.double((1,) * doublings, cosh * flint.arb(2), psi)
    for _ in range(doublings):
        cosh = _shift(cosh * cosh * flint.arb(2), -1)
    return cosh + (theta * sinhc) * field if field != 0 else cosh


def _first_order(theta: flint.arb_mat) -> flint.arb_mat:
    """exp(theta)."""
    doublings = doublings_for(norm_above(theta), 1)
    result = (theta * flint.arb(2) ** -doublings).exp()
    for _ in range(doublings):
        result = result * result
    return result


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
    from odemom.flows.ode import velocity_weight

    rows = [[entry * factor for entry in row] for row in exact_rows(theta)]

    def psi() -> flint.arb_mat:
        matrix = flint.arb_mat([[as_ball(x) for x in row] for row in rows])
        if eps == 0:
            return _first_order(matrix)
        if eps == math.inf:
            return _undamped(matrix, as_ball(Fraction(coast)))
        return _damped(matrix, as_ball(Fraction(eps)), velocity_weight(eps, coast))

    return to_digits(psi, dps)
