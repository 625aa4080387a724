"""psi of a net of linear layers, to any number of digits."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import flint

from odemom.flows.psi_precise import as_ball, exact_rows, identity, to_digits

__all__ = ["momentum_mp"]


def momentum_mp(
    theta: Any, gamma: Fraction, depth: int, dps: int, gain: Fraction = Fraction(0)
) -> Any:
    """Psi of a Momentum ResNet (a ResNet for gamma = 0), by its layers, to ``dps`` digits.

    After them x moves by ``gain`` times v. As `odemom.flows.psi_precise.propagate_mp`, in balls.
    """
    rows = exact_rows(theta)
    d = len(rows)

    def in_balls() -> flint.arb_mat:
        m = flint.arb_mat([[as_ball(entry) for entry in row] for row in rows])
        numbers = (as_ball(number) for number in (gamma, 1 - gamma, gain))
        return _through_layers(m, identity(d), flint.arb_mat(d, d), depth, *numbers)

    def vanishes() -> bool:
        entries = [flint.fmpq(x.numerator, x.denominator) for row in rows for x in row]
        numbers = (flint.fmpq(x.numerator, x.denominator) for x in (gamma, 1 - gamma, gain))
        zero = flint.fmpq_mat(d, d)
        one = flint.fmpq_mat(d, d, [int(i == j) for i in range(d) for j in range(d)])
        return _through_layers(flint.fmpq_mat(d, d, entries), one, zero, depth, *numbers) == zero

    return to_digits(in_balls, dps, vanishes)


def _through_layers(m: Any, x: Any, v: Any, depth: int, gamma: Any, rest: Any, gain: Any) -> Any:
    """What the layers make of x and v, with ``rest`` = 1 - gamma, in any arithmetic."""
    for _ in range(depth):
        v = v * gamma + (m * x) * rest
        x = x + v
    return x + v * gain
