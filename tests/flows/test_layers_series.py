"""The series of a net of linear layers, against the polynomial that the layers are."""

from fractions import Fraction

import flint
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import odemom
from odemom.flows import MomentumResNet, layers_series
from odemom.flows.layers_series import series_of_layers
from odemom.flows.power_series import series_length

TERMS = 5


def quotient(x: Fraction) -> flint.fmpq:
    return flint.fmpq(x.numerator, x.denominator)


def coefficients(gamma: Fraction, depth: int, z: Fraction, gain: Fraction) -> list[flint.fmpq]:
    """Of (z + t)^k psi_k, layer by layer in exact arithmetic, cut at t^TERMS."""
    theta, g = flint.fmpq_poly([quotient(z), 1]), quotient(gamma)
    x, v = flint.fmpq_poly([1]), flint.fmpq_poly([0])
    for _ in range(depth):
        v = g * v + (1 - g) * flint.fmpq_poly((theta * x).coeffs()[:TERMS])
        x = x + v
    found = x + quotient(gain) * v
    return [found[k] for k in range(TERMS)]


rationals = st.fractions(min_value=-60, max_value=3, max_denominator=50)


@given(
    st.fractions(min_value="1/50", max_value="49/50", max_denominator=50),
    st.integers(1, 60),
    rationals,
    st.sampled_from([Fraction(0), Fraction(3, 2)]),
)
def test_the_balls_hold_the_coefficients_and_are_small(gamma, depth, z, gain):
    exact = coefficients(gamma, depth, z, gain)
    with series_length(TERMS, 100):
        found = series_of_layers(gamma, depth, flint.acb(quotient(z)), TERMS, gain)
        # The ball of z itself is as wide as 2^-100 of z; a point is asked for.
        point = flint.acb(flint.arb(quotient(z)).mid())
        sharp = series_of_layers(gamma, depth, point, TERMS, gain)
        scale = max(abs(flint.arb(c)) for c in exact)
        for k, true in enumerate(exact):
            assert (found[k] - true).contains(0)
            assert sharp[k].rad() <= (1 + scale) * flint.arb(2) ** -90


@pytest.mark.parametrize(
    "z", [-38, Fraction(-361, 10), Fraction(-19, 1), Fraction(-1, 40), 0, Fraction(1, 100)]
)
def test_many_layers_where_the_radii_of_one_by_one_would_grow_by_thousands_of_bits(z):
    gamma, depth = Fraction(9, 10), 900
    exact = coefficients(gamma, depth, Fraction(z), Fraction(0))
    with series_length(TERMS, 200):
        point = flint.acb(flint.arb(quotient(Fraction(z))).mid())
        found = series_of_layers(gamma, depth, point, TERMS)
        for k, true in enumerate(exact):
            missed = abs(found[k] - flint.arb(true)).upper()
            # z is rounded to 200 bits, which depth^2 magnifies at most at a double root.
            assert missed <= abs(flint.arb(true)).upper() * flint.arb(2) ** -150


@pytest.mark.parametrize(
    ("gamma", "depth", "z"),
    [(Fraction(1, 10**30), 60, -1), (1 - Fraction(1, 10**30), 60, -1), (Fraction(9, 10), 901, -38)],
)
def test_precision_is_added_until_each_coefficient_has_its_bits(gamma, depth, z):
    exact = coefficients(gamma, depth, Fraction(z), Fraction(0))
    with series_length(TERMS, 128):
        found = series_of_layers(gamma, depth, flint.acb(z), TERMS)
        for k, true in enumerate(exact):
            assert (found[k] - true).contains(0)
            assert found[k].rad() <= abs(flint.arb(true)) * flint.arb(2) ** -110


def test_bits_below_the_smallest_double_are_not_asked_for_again_and_again(monkeypatch):
    asked = []
    power = layers_series._power
    monkeypatch.setattr(
        layers_series, "_power", lambda *a: asked.append(flint.ctx.prec) or power(*a)
    )
    with series_length(2, 1200):
        found = series_of_layers(Fraction(9, 10), 2001, flint.acb(-1), 2)
        assert found[0].rad() <= abs(found[0]) * flint.arb(2) ** -1150
    assert asked == [1264]


def test_a_witness_of_ten_thousand_layers():
    theta = odemom.represent(np.array([[1.3]]), MomentumResNet("9/10", 10_001))
    net = MomentumResNet("9/10", 10_001)
    assert net.scalar(theta)[0, 0] == pytest.approx(1.3, rel=1e-9)
