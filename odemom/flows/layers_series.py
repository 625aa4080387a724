"""psi of a net of linear layers as a power series in theta, by powers of the map of one layer."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import TYPE_CHECKING

from odemom.flows.power_series import ball, variable

if TYPE_CHECKING:
    import flint

    Map = tuple[flint.acb_series, flint.acb_series, flint.acb_series, flint.acb_series]

__all__ = ["series_of_layers"]

SPARE = 64
"""More bits than are asked for, at first; four times as many as long as they are too few."""


def series_of_layers(
    gamma: Fraction, depth: int, z: flint.acb, length: int, gain: Fraction = Fraction(0)
) -> flint.acb_series:
    """The state after the layers of a momentum net, at theta = z + t, and what coasting adds.

    Parameters
    ----------
    gamma : Fraction
    depth : int
    z : flint.acb
    length : int
        Terms of the series.
    gain : Fraction
        Of the last velocity: how far layers without a residual carry the state on.

    Returns
    -------
    flint.acb_series
        x + gain v, from x = 1, v = 0, by v <- gamma v + (1 - gamma) theta x and x <- x + v. Where z
        is a point, each coefficient holds the bits of the working precision, counted from the
        largest of what the layers make of (1, 0) and (0, 1).

    References
    ----------
    Sander et al. 2021, equation (3).
    """
    import flint

    # In the worst case a layer magnifies the radii by this, while psi itself stays moderate.
    growth = 1 + float(gamma) + float(1 - gamma) * float(abs(z).upper())
    wanted, most, extra = flint.ctx.prec, SPARE + math.ceil(depth * math.log2(growth)), SPARE
    while True:
        with flint.ctx.workprec(wanted + min(extra, most)):
            state = _power(ball(gamma), depth, variable(z, length))
            if extra >= most or all(_is_sharp(state, k, wanted) for k in range(length)):
                return state[0] + state[2] * ball(gain) if gain else state[0]
        extra *= 4


def _power(gamma: flint.arb, depth: int, theta: flint.acb_series) -> Map:
    """The map of (x, v) of all layers: a square per binary digit of their number."""
    one, zero, kick = 0 * theta + 1, 0 * theta, (1 - gamma) * theta
    layer: Map = one + kick, zero + gamma, kick, zero + gamma
    state: Map = one, zero, zero, one
    while depth:
        state = _product(layer, state) if depth & 1 else state
        depth >>= 1
        layer = _product(layer, layer) if depth else layer
    return state


def _product(left: Map, right: Map) -> Map:
    """Of two matrices [[a, b], [c, d]] of series."""
    (a, b, c, d), (e, f, g, h) = left, right
    return a * e + b * g, a * f + b * h, c * e + d * g, c * f + d * h


def _is_sharp(state: Map, k: int, bits: int) -> bool:
    """Whether the entries' coefficients of t^k hold so many bits of the largest of them."""
    import flint

    entries = [series[k] for series in state]
    if not all(entry.is_finite() for entry in entries):
        return False
    largest = max(abs(entry).mid() for entry in entries)
    return all(entry.rad() <= largest * flint.arb(2) ** -bits for entry in entries)
