"""gamma is the fraction that was meant, or it is refused."""

from __future__ import annotations

import math
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from odemom.errors import InvalidInputError
from odemom.nn.reversible.gamma import rational_gamma, simplest_between


@pytest.mark.parametrize(
    ("asked", "fraction"),
    [
        (0.9, "9/10"),
        (0.5, "1/2"),
        (0.99, "99/100"),
        (1, "1"),
        (1.0, "1"),
        (1 - 1 / 15_000, "14999/15000"),
        ("1/3", "1/3"),
        (Fraction(5, 7), "5/7"),
        (1e-3, "1/1000"),
    ],
)
def test_gamma_is_the_fraction_that_was_meant(asked, fraction):
    assert rational_gamma(asked) == Fraction(fraction)


@given(st.floats(2**-16, 1 - 2**-16))
def test_gamma_is_near_the_one_asked_for(asked):
    slack = Fraction(1, 2**20) * min(Fraction(asked), 1 - Fraction(asked))
    assert abs(rational_gamma(asked) - Fraction(asked)) <= slack


@pytest.mark.parametrize("bad", [0, 0.0, -0.1, 1.0001, math.nan, math.inf, True, "x", None, 1j])
def test_gamma_outside_its_interval_is_refused(bad):
    with pytest.raises(InvalidInputError, match="gamma"):
        rational_gamma(bad)


def test_gamma_too_near_to_one_is_refused_with_what_to_do():
    with pytest.raises(InvalidInputError, match=r"denominator.*2\^24.*Pass 1"):
        rational_gamma(1 - 1e-9)


def test_gamma_takes_denominators_up_to_two_to_the_24():
    assert rational_gamma(Fraction(1, 2**24)) == Fraction(1, 2**24)
    with pytest.raises(InvalidInputError, match="denominator 16777217"):
        rational_gamma(Fraction(1, 2**24 + 1))
    assert rational_gamma(Fraction(1, 2**24 + 1), reversible=False) == Fraction(1, 2**24 + 1)


def test_gamma_is_a_simple_fraction_if_it_is_that_up_to_its_rounding():
    step = 2.0**-21  # half of 2^-20, the tolerance, for gamma is a half
    assert rational_gamma(0.5 + 0.75 * step) == Fraction(1, 2)
    assert rational_gamma(0.5 + 1.25 * step) != Fraction(1, 2)


@given(st.fractions(Fraction(1, 50), 5, max_denominator=60), st.fractions(0, 1, max_denominator=60))
def test_the_simplest_fraction_of_an_interval(low, width):
    found = simplest_between(low, low + width)
    least = next(d for d in range(1, 61) if math.ceil(low * d) <= (low + width) * d)
    assert low <= found <= low + width
    assert found.denominator == least


def test_gamma_zero_is_allowed_where_nothing_is_inverted():
    assert rational_gamma(0, reversible=False) == 0
