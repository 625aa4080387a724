"""Numbers in sentences: six digits, of numbers of any length, at once."""

from __future__ import annotations

import time
from fractions import Fraction

import mpmath
import numpy as np
import pytest

from odemom.flows.base import number_text


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
