"""psi of a net of linear layers, to any number of digits."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import flint

from odemom.flows.psi_precise import as_ball, exact_rows, identity, to_digits

__all__ = ["momentum_mp"]

SHALLOW = 50  # layers that are run one by one; of more, the map of a layer is squared
EXACT = 10_000  # layers at which psi is asked in exact arithmetic whether it vanishes


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
        layers = _through_layers if depth <= SHALLOW else _by_squaring
        return layers(m, identity(d), flint.arb_mat(d, d), depth, *numbers)

    def vanishes() -> bool:
        if depth > EXACT:
            return False
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


def _by_squaring(
    m: flint.arb_mat,
    one: flint.arb_mat,
    zero: flint.arb_mat,
    depth: int,
    gamma: flint.arb,
    rest: flint.arb,
    gain: flint.arb,
) -> flint.arb_mat:
    """The same from x = I, v = 0, by the powers of a layer's map of (x, v)."""
    d, kick = m.nrows(), m * rest
    layer = _blocks(one + kick, one * gamma, kick, one * gamma)
    state = _blocks(one, zero, zero, one)
    while depth:
        state = layer * state if depth & 1 else state
        layer, depth = layer * layer, depth >> 1
    rows = state.tolist()
    x, v = (flint.arb_mat([row[:d] for row in part]) for part in (rows[:d], rows[d:]))
    return x + v * gain


def _blocks(
    a: flint.arb_mat, b: flint.arb_mat, c: flint.arb_mat, d: flint.arb_mat
) -> flint.arb_mat:
    """[[a, b], [c, d]]."""
    pairs = [*zip(a.tolist(), b.tolist(), strict=True), *zip(c.tolist(), d.tolist(), strict=True)]
    return flint.arb_mat([left + right for left, right in pairs])
