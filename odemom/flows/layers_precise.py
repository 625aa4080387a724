"""psi of a net of linear layers in mpmath, to any number of digits."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import mpmath

from odemom.flows.psi_precise import as_exact, as_mpf, mp_matrix, with_digits

__all__ = ["momentum_mp"]


def momentum_mp(
    theta: Any, gamma: Fraction, depth: int, dps: int, gain: Fraction = Fraction(0)
) -> Any:
    """Psi of a Momentum ResNet (a ResNet for gamma = 0), by its layers, to ``dps`` digits.

    After them x moves by ``gain`` times v.
    """

    def compute() -> tuple[Any, Any, Any]:
        m, g = mp_matrix(theta), as_mpf(gamma)
        x, v = mpmath.eye(m.rows), mpmath.zeros(m.rows)
        step = mpmath.mnorm(m, 1)
        size, speed = mpmath.mpf(1), mpmath.mpf(0)
        for _ in range(depth):
            v = v * g + (m * x) * (1 - g)  # in this order: g * v would first print v
            x = x + v
            speed = g * speed + (1 - g) * step * size
            size = size + speed
        g = as_mpf(gain)
        return x + v * g, size + g * speed, depth * m.rows

    return with_digits(compute, dps, lambda: _momentum_vanishes(theta, gamma, depth, gain))


def _momentum_vanishes(theta: Any, gamma: Fraction, depth: int, gain: Fraction) -> bool:
    """Whether psi of the layers is 0, in exact arithmetic."""
    import flint

    rows = theta.tolist() if isinstance(theta, mpmath.matrix) else theta
    entries = [[as_exact(entry) for entry in row] for row in rows]
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
    last = x + v * flint.fmpq(gain.numerator, gain.denominator)
    return last == flint.fmpq_mat(d, d)
