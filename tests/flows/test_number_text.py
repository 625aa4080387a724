"""Numbers in sentences: six digits, of numbers of any length, at once."""

from __future__ import annotations

import re
import time
from fractions import Fraction

import mpmath
import numpy as np
import pytest

from odemom import analyze
from odemom.flows import (
    Coasting,
    CoastingNet,
    FirstOrder,
    MomentumResNet,
    SecondOrder,
    Undamped,
)
from odemom.flows.base import RationalThreshold, number_text

BEYOND = Fraction(1, 10**4900)  # of more digits than Python prints


@pytest.mark.parametrize("sign", [1, -1])
def test_the_digits_of_a_long_number_are_those_of_all_its_bits(sign):
    draw = np.random.default_rng(0)
    for bits in (41, 127, 128, 129, 500, 4000):
        for _ in range(10):
            top, bottom = (int.from_bytes(draw.bytes(bits // 8 + 1), "big") for _ in range(2))
            value = sign * Fraction(top + 1, 2 ** int(draw.integers(2 * bits)) * (2 * bottom + 1))
            if max(abs(value.numerator), value.denominator) < 10**12:
                continue
            with mpmath.workdps(50):
                exact = mpmath.nstr(mpmath.mpf(value.numerator) / value.denominator, 6)
            assert number_text(value) == exact


def test_a_number_of_millions_of_bits_is_printed_at_once():
    """As the threshold at eps = 1e-7, which took minutes."""
    value = Fraction(3, 2**2_000_000)
    began = time.process_time()
    assert number_text(value) == "3.06051e-602060"
    assert time.process_time() - began < 0.5


@pytest.mark.parametrize(
    "flow",
    [
        SecondOrder(BEYOND),
        SecondOrder(1, horizon=1 + BEYOND),
        FirstOrder(1 + BEYOND),
        Undamped(1 + BEYOND),
        Coasting(BEYOND, "1/2"),
        MomentumResNet(BEYOND, 4),
        CoastingNet(BEYOND, 4, 3),
        RationalThreshold(BEYOND),
        SecondOrder(BEYOND).real_image.threshold,
        MomentumResNet(BEYOND, 4).real_image,
        analyze([[-BEYOND]], 1).eigenvalues,
    ],
    ids=lambda flow: type(flow).__name__,
)
def test_numbers_too_long_for_python_are_printed_rounded(flow):
    assert re.search(r"about -?1\.0", repr(flow))
    assert repr(flow) == str(flow)


def test_a_short_number_is_printed_as_it_is():
    half = SecondOrder("1/2")
    assert repr(half) == (
        "SecondOrder(eps=Fraction(1, 2), initial_velocity='zero', horizon=Fraction(1, 1))"
    )
    assert eval(repr(half)) == half


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (Fraction(8388608, 838861), "10.0"),  # 1/(1 - gamma) of the float32 next to 0.9
        (Fraction(1731, 1000), "1731/1000"),
        (Fraction(-123456, 654323), "-123456/654323"),
        (Fraction(1234567, 654323), "1.88679"),
        (Fraction(123456789012), "123456789012"),
    ],
)
def test_a_fraction_of_more_than_twelve_digits_is_rounded(value, text):
    assert number_text(value) == text


def test_the_momentum_of_a_float32_is_a_readable_mass():
    report = analyze([[-1]], gamma=np.float32(0.9))
    assert report.flow.describe() == "10.0 x'' + x' = theta x, x'(0) = 0"
