"""psi of a matrix in mpmath, to any number of digits.

The algorithm is the scaled Taylor series with double angles of `odemom.flows.wave_kernels`. Its
working precision covers the majorant exp(-a) (cosh + (a + |theta|) sinhc)(||W||^{1/2}) of psi, the
factor by which the doublings magnify roundoff, and is raised until the norm of the result shows
that enough digits are left.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any

import mpmath

from odemom.checks import as_fraction
from odemom.errors import ResultOverflowError

__all__ = ["damped_mp", "exp_mp", "momentum_mp", "undamped_mp"]


LARGEST_PRECISION = 1 << 22


def _fraction(value: Fraction) -> Any:
    return mpmath.mpf(value.numerator) / value.denominator


def _exact(entry: Any) -> Fraction:
    if not isinstance(entry, mpmath.mpf):
        return as_fraction(entry)
    mantissa, exponent = entry.man_exp
    sign = -1 if entry < 0 else 1
    return sign * abs(Fraction(int(mantissa))) * Fraction(2) ** int(exponent)


def _matrix(theta: Any) -> Any:
    """An mpmath matrix at the current precision; a double is the dyadic rational that it is."""
    if isinstance(theta, mpmath.matrix):
        return theta
    return mpmath.matrix([[_fraction(as_fraction(entry)) for entry in row] for row in theta])


def _adaptive(
    compute: Callable[[], tuple[Any, Any, Any]],
    dps: int,
    vanishes: Callable[[], bool] = lambda: False,
) -> Any:
    """Raise the precision until ``compute`` keeps ``dps`` digits of its result.

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
        if working > LARGEST_PRECISION:
            raise ResultOverflowError(
                f"psi(theta): roundoff magnified up to {mpmath.nstr(bound * magnified, 3)} needs "
                f"{working} bits; the limit is {LARGEST_PRECISION}. Scale theta down."
            )
    with mpmath.workdps(dps):
        return +result


def _kernels(w: Any, decay: Any) -> tuple[Any, Any, int]:
    """exp(-decay) cosh sqrt(W), exp(-decay) sinhc sqrt(W), and the number of double angles."""
    norm = mpmath.mnorm(w, 1)
    doublings = max(0, int(mpmath.ceil(mpmath.log(norm, 4))) + 2) if norm > 0 else 0
    x = w / mpmath.mpf(4) ** doublings
    identity = mpmath.eye(w.rows)
    term, cosh, sinhc, n = identity, identity.copy(), identity.copy(), 0
    while mpmath.mnorm(term, 1) > mpmath.eps / 4:
        n += 1
        term = term * x / ((2 * n - 1) * (2 * n))
        cosh += term
        sinhc += term / (2 * n + 1)
    scale = mpmath.exp(-decay / mpmath.mpf(2) ** doublings)
    cosh, sinhc = cosh * scale, sinhc * scale
    for _ in range(doublings):
        scale = scale * scale
        sinhc = sinhc * cosh
        cosh = 2 * cosh * cosh - scale * identity
    return cosh, sinhc, doublings


def damped_mp(theta: Any, horizon: Fraction, eps: Fraction, field: bool, dps: int) -> Any:
    """psi(T theta) of the flow with mass ``eps`` on [0, 1], to ``dps`` digits of its norm."""

    def compute() -> tuple[Any, Any, Any]:
        scaled = _fraction(horizon) * _matrix(theta)
        mass = _fraction(eps)
        a = 1 / (2 * mass)
        w = scaled / mass + a * a * mpmath.eye(scaled.rows)
        cosh, sinhc, doublings = _kernels(w, a)
        result = cosh + a * sinhc
        norm = mpmath.mnorm(scaled, 1)
        weight = a
        if field:
            result += scaled * sinhc
            weight = a + norm
        root = mpmath.sqrt(norm / mass + a * a)  # of the bound of ||W||
        growth = mpmath.exp(norm / mass / (root + a))  # exp(root - a), no digit cancelled
        bound = growth * (1 + weight / max(root, 1))
        return result, bound, mpmath.mpf(2) ** (doublings + 4) * scaled.rows

    return _adaptive(compute, dps)


def undamped_mp(theta: Any, factor: Fraction, dps: int) -> Any:
    """Cosh sqrt(factor theta) to ``dps`` digits of its norm."""

    def compute() -> tuple[Any, Any, Any]:
        w = _fraction(factor) * _matrix(theta)
        cosh, _, doublings = _kernels(w, mpmath.mpf(0))
        root = mpmath.sqrt(mpmath.mnorm(w, 1))
        return cosh, mpmath.exp(root), mpmath.mpf(2) ** (doublings + 4) * w.rows

    return _adaptive(compute, dps)


def momentum_mp(theta: Any, gamma: Fraction, depth: int, dps: int) -> Any:
    """Psi of a Momentum ResNet (a ResNet for gamma = 0), by its layers, to ``dps`` digits."""

    def compute() -> tuple[Any, Any, Any]:
        m, g = _matrix(theta), _fraction(gamma)
        x, v = mpmath.eye(m.rows), mpmath.zeros(m.rows)
        step = mpmath.mnorm(m, 1)
        size, speed = mpmath.mpf(1), mpmath.mpf(0)
        for _ in range(depth):
            v = v * g + (m * x) * (1 - g)  # in this order: g * v would first print v
            x = x + v
            speed = g * speed + (1 - g) * step * size
            size = size + speed
        return x, size, depth * m.rows

    return _adaptive(compute, dps, lambda: _momentum_vanishes(theta, gamma, depth))


def _momentum_vanishes(theta: Any, gamma: Fraction, depth: int) -> bool:
    """Whether psi of the layers is 0, in exact arithmetic."""
    import flint

    rows = theta.tolist() if isinstance(theta, mpmath.matrix) else theta
    entries = [[_exact(entry) for entry in row] for row in rows]
    d = len(entries)
    m = flint.fmpq_mat(
        d, d, [flint.fmpq(x.numerator, x.denominator) for row in entries for x in row]
    )
    g = flint.fmpq(gamma.numerator, gamma.denominator)
    v = flint.fmpq_mat(d, d)
    x = flint.fmpq_mat(d, d, [int(i == j) for i in range(d) for j in range(d)])
    for _ in range(depth):
        v = v * g + (m * x) * (1 - g)
        x = x + v
    return x == flint.fmpq_mat(d, d)


def exp_mp(theta: Any, horizon: Fraction, dps: int) -> Any:
    """exp(T theta) to ``dps`` digits of its norm."""

    def compute() -> tuple[Any, Any, Any]:
        scaled = _fraction(horizon) * _matrix(theta)
        norm = mpmath.mnorm(scaled, 1)
        return mpmath.expm(scaled), mpmath.exp(norm), (1 + norm) * 16

    return _adaptive(compute, dps)
