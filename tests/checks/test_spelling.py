"""Numbers in text: the grammar, the values, and the limits."""

import math
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from odemom.checks import SpellingError, spelt_double, spelt_exactly

RATIONALS = st.fractions(max_denominator=10**12)


@settings(max_examples=50)
@given(RATIONALS)
def test_a_rational_is_read_as_it_is_written(value):
    assert spelt_exactly(str(value)) == value
    assert spelt_double(str(value)) == float(value)


@settings(max_examples=50)
@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_double_is_read_back_whatever_its_form(value):
    assert spelt_double(repr(value)) == value
    assert spelt_exactly(f"{value:.17e}", 400) == Fraction(f"{value:.17e}")


@pytest.mark.parametrize("text", ["-3/4", " -0.75 ", "-.75", "-75e-2", "\u22123/4", "-7.5E-1"])
def test_a_number_has_many_spellings(text):
    assert spelt_exactly(text) == Fraction(-3, 4)
    assert spelt_double(text) == -0.75


@pytest.mark.parametrize(
    "text",
    [
        *("", "-", ".", "1_000", "1e1_0", "1e 10", "1 0", "1/2/3", "1/-2", "1.0/2", "1/2e3", "--1"),
        *("0x10", "1e", "e5", "nan", "inf", "1j", "1x", "1\0", "\u0661", "\u00bd", "1,5", "1/0"),
    ],
)
@pytest.mark.parametrize("read", [spelt_exactly, spelt_double])
def test_what_spells_no_number_is_refused(read, text):
    with pytest.raises(SpellingError):
        read(text)


@pytest.mark.parametrize(
    "text",
    ["1e10001", "1e-10001", "1e" + "9" * 5000, "9" * 4301, "1/" + "9" * 4301, "." + "9" * 4301],
)
def test_what_is_long_to_write_out_is_refused_by_its_limit(text):
    with pytest.raises(SpellingError) as caught:
        spelt_exactly(text)
    assert caught.value.limit


def test_doubles_have_their_own_range():
    assert spelt_double("1e400") == math.inf
    assert spelt_double("-1e" + "9" * 5000) == -math.inf
    assert spelt_double("1e-400") == 0
    assert spelt_double("9" * 4300 + "/" + "9" * 3000) == math.inf
    assert spelt_double("9" * 4300 + "/" + "9" * 4299) == 10
