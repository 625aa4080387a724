"""psi of a net of linear layers, to any number of digits."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import flint

from odemom.flows.psi_precise import as_ball, exact_rows, identity, to_digits

__all__ = ["momentum_mp"]

SHALLOW = 50  # up to so many layers are run one by one; beyond, a layer's map is squared
EXACT = 10_000  # up to so many layers exact arithmetic decides whether psi vanishes
PRIME = (1 << 61) - 1  # a number that is 0 modulo this prime is hardly ever not 0


def momentum_mp(
    theta: Any, gamma: Fraction, depth: int, dps: int, gain: Fraction = Fraction(0)
) -> Any:
    """Psi of a Momentum ResNet (a ResNet for gamma = 0), by its layers, to ``dps`` digits.

    After them x moves by ``gain`` times v. As `odemom.flows.psi_precise.propagate_mp`, in balls.
    """
    rows, numbers = exact_rows(theta), (gamma, 1 - gamma, gain)
    d = len(rows)

    def in_balls() -> flint.arb_mat:
        m = flint.arb_mat([[as_ball(entry) for entry in row] for row in rows])
        layers = _through_layers if depth <= SHALLOW else _by_squaring
        return layers(m, identity(d), flint.arb_mat(d, d), depth, *map(as_ball, numbers))

    # The power N of I + theta vanishes if and only if the least of N and d does.
    least = depth if gamma else min(depth, d)
    return to_digits(in_balls, dps, lambda: _vanishes(rows, numbers, least))


def _vanishes(rows: list[list[Fraction]], numbers: tuple[Fraction, ...], depth: int) -> bool:
    """Whether psi is 0, of at most `EXACT` layers: modulo a prime, and if so in exact arithmetic.

    ``numbers`` are gamma, 1 - gamma and the gain.
    """
    d = len(rows)
    entries = [x for row in rows for x in row]
    if depth > EXACT:
        return False
    ones = [int(i == j) for i in range(d) for j in range(d)]
    if all(x.denominator % PRIME for x in [*entries, *numbers]):
        zero = flint.nmod_mat(d, d, PRIME)
        one = flint.nmod_mat(d, d, ones, PRIME)
        m = flint.nmod_mat(d, d, [_residue(x) for x in entries], PRIME)
        if _by_squaring(m, one, zero, depth, *map(_residue, numbers)) != zero:
            return False
    zero, one = flint.fmpq_mat(d, d), flint.fmpq_mat(d, d, ones)
    m = flint.fmpq_mat(d, d, [_quotient(x) for x in entries])
    return _through_layers(m, one, zero, depth, *map(_quotient, numbers)) == zero


def _residue(x: Fraction) -> flint.nmod:
    return flint.nmod(x.numerator % PRIME, PRIME) / flint.nmod(x.denominator % PRIME, PRIME)


def _quotient(x: Fraction) -> flint.fmpq:
    return flint.fmpq(x.numerator, x.denominator)


def _through_layers(m: Any, x: Any, v: Any, depth: int, gamma: Any, rest: Any, gain: Any) -> Any:
    """What the layers make of x and v, with ``rest`` = 1 - gamma, in any arithmetic."""
    for _ in range(depth):
        v = v * gamma + (m * x) * rest
        x = x + v
    return x + v * gain


def _by_squaring(m: Any, one: Any, zero: Any, depth: int, gamma: Any, rest: Any, gain: Any) -> Any:
    """The same from x = I, v = 0, by the powers of a layer's map of (x, v)."""
    d, kick = m.nrows(), m * rest
    layer = _blocks(one + kick, one * gamma, kick, one * gamma)
    state = _blocks(one, zero, zero, one)
    while depth:
        state = layer * state if depth & 1 else state
        layer, depth = layer * layer, depth >> 1
    rows = state.tolist()
    x, v = (_like(m, [row[:d] for row in part]) for part in (rows[:d], rows[d:]))
    return x + v * gain


def _blocks(a: Any, b: Any, c: Any, d: Any) -> Any:
    """[[a, b], [c, d]]."""
    pairs = [*zip(a.tolist(), b.tolist(), strict=True), *zip(c.tolist(), d.tolist(), strict=True)]
    return _like(a, [left + right for left, right in pairs])


def _like(matrix: Any, rows: list[list[Any]]) -> Any:
    """A matrix of the same arithmetic."""
    modulus = () if isinstance(matrix, flint.arb_mat) else (PRIME,)
    return type(matrix)(rows, *modulus)
