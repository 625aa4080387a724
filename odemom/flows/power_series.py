"""Taylor polynomials of psi about a complex point, in ball arithmetic, and their inverses.

What the witness asks of a flow: psi(z + t) = psi(z) + psi'(z) t + ... as a power series with balls
for coefficients, and from it the series of an inverse branch of psi, or of the n-th root of
psi - mu at a critical point.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import flint

__all__ = [
    "ball",
    "inverse_branch",
    "inverse_of_root",
    "middle",
    "polynomial_at",
    "series_length",
    "shifted",
    "variable",
    "wave_kernel_series",
]


@contextmanager
def series_length(length: int, precision: int | None = None) -> Iterator[None]:
    """Let power series keep ``length`` coefficients, and balls ``precision`` bits."""
    import flint

    before = flint.ctx.cap
    flint.ctx.cap = max(before, length)
    try:
        with flint.ctx.workprec(flint.ctx.prec if precision is None else precision):
            yield
    finally:
        flint.ctx.cap = before


def ball(value: Fraction | float) -> flint.arb:
    """A number as a ball at the working precision."""
    import flint

    exact = value if isinstance(value, Fraction) else Fraction(value)
    return flint.arb(flint.fmpq(exact.numerator, exact.denominator))


def middle(z: flint.acb) -> flint.acb:
    """The middle of a ball: where a numerical iteration goes on from."""
    import flint

    return flint.acb(z.real.mid(), z.imag.mid())


def polynomial_at(coefficients: Sequence[complex], matrix: np.ndarray) -> np.ndarray:
    """The polynomial at a matrix; shape (n, n), complex128. Powers that vanish end it."""
    n = len(matrix)
    value, power = coefficients[0] * np.eye(n, dtype=complex), np.eye(n, dtype=complex)
    for c in coefficients[1:]:
        power = power @ matrix
        if not power.any():
            break
        value = value + c * power
    return value


def shifted(z: flint.acb, exponent: int) -> flint.acb:
    """Z times 2^exponent."""
    return z * 2**exponent if exponent >= 0 else z / 2**-exponent


def variable(z: flint.acb, length: int) -> flint.acb_series:
    """The series z + t, to O(t^length)."""
    import flint

    return flint.acb_series([z, 1], length)


def wave_kernel_series(
    w: flint.acb_series, decay: flint.arb
) -> tuple[flint.acb_series, flint.acb_series]:
    """exp(-decay) cosh sqrt(w) and exp(-decay) sinh(sqrt w)/sqrt(w) of a power series w.

    decay is never exponentiated apart from sqrt(w): their quotient stays in range where neither
    does. Near w = 0, where sqrt(w) has no Taylor series, the kernels' own series is summed.
    """
    import flint

    constant = middle(w[0])
    if abs(constant) < 1:
        cosh, sinhc = _small_kernels(w)
        scale = (-decay).exp()
        return cosh * scale, sinhc * scale
    # The square root carries as many bits before the point as the decay has.
    extra = max(0, math.ceil(float(abs(constant).log().mid()) / math.log(2)))
    with flint.ctx.workprec(flint.ctx.prec + extra):
        root = w.sqrt()
        rising, falling = (root - decay).exp(), (-root - decay).exp()
        return (rising + falling) / 2, (rising - falling) / (2 * root)


def _small_kernels(w: flint.acb_series) -> tuple[flint.acb_series, flint.acb_series]:
    import flint

    terms = 8 + flint.ctx.prec // 6  # 1/(2 n)! is below 2^(-prec) from there on
    cosh = sinhc = flint.acb_series([0], w.prec)
    for n in range(terms, 0, -1):
        cosh = (cosh + 1) * w / ((2 * n - 1) * 2 * n)
        sinhc = (sinhc + 1) * w / (2 * n * (2 * n + 1))
    return cosh + 1, sinhc + 1


def inverse_branch(psi: flint.acb_series, z: flint.acb, length: int) -> list[flint.acb]:
    """The Taylor coefficients about psi(z) of the inverse branch that takes psi(z) back to z.

    Parameters
    ----------
    psi : acb_series
        psi(z + t), with psi'(z) != 0.
    z : acb
    length : int
        The number of coefficients.
    """
    import flint

    if length == 1:
        return [z]
    moved = flint.acb_series([0, *psi.coeffs()[1:]], length)
    return [z, *_padded(moved.reversion(), length)[1:]]


def inverse_of_root(
    psi: flint.acb_series, z: flint.acb, order: int, length: int
) -> list[flint.acb]:
    """The coefficients of w(h) where h(w) = (psi(z + w) - psi(z))^{1/order}, w(0) = z.

    psi - psi(z) vanishes at z to that order, with a positive leading coefficient.

    Parameters
    ----------
    psi : acb_series
        psi(z + t), to at least ``length + order - 1`` coefficients.
    z : acb
        A critical point of psi.
    order : int
        The order to which psi - psi(z) vanishes there.
    length : int
        How many coefficients are returned.
    """
    import flint

    if length == 1:
        return [z]
    factor = flint.acb_series(_padded(psi, length + order - 1)[order:], length - 1)
    root = (factor.log() / order).exp()
    moved = flint.acb_series([0, *_padded(root, length - 1)], length)
    return [z, *_padded(moved.reversion(), length)[1:]]


def _padded(series: flint.acb_series, length: int) -> list[flint.acb]:
    import flint

    coefficients = series.coeffs()[:length]
    return coefficients + [flint.acb(0)] * (length - len(coefficients))
