"""The information buffer grows by the bits that gamma forgets, and spills before it overflows."""

from __future__ import annotations

import math
from fractions import Fraction

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from odemom.nn import reversible
from odemom.nn.reversible.buffer import radices, spilled_words


@pytest.mark.parametrize(
    "gamma", [Fraction(1, 10), Fraction(1, 2), Fraction(9, 10), Fraction(99, 100)]
)
def test_buffer_grows_by_log2_of_one_over_gamma_bits_a_layer(gamma):
    depth = 2000
    buffer = reversible.InformationBuffer(gamma, 1, torch.device("cpu"), keep=True)
    start = buffer.bits
    for _ in range(depth):
        buffer.grow()
    assert len(buffer.spilled) == spilled_words(gamma, depth)
    ideal = depth * math.log2(1 / gamma)
    assert ideal <= buffer.bits - start <= ideal + 1


def test_the_buffer_spills_when_the_next_layer_would_not_fit():
    half = Fraction(1, 2)
    assert radices(half, 2**61) == (False, 2**61, 2**62)
    assert radices(half, 2**61 + 1) == (True, 2**29 + 1, 2**30 + 2)
    assert spilled_words(Fraction(1), 1000) == 0


@given(st.integers(1, 2**24), st.integers(1, 2**24), st.integers(0, 200))
def test_radices_never_overflow(n, d, depth):
    gamma = Fraction(n, n + d)
    radix = 16 * gamma.denominator
    for _ in range(depth):
        _, before, radix = radices(gamma, radix)
        assert gamma.denominator * before <= 2**62
        assert radix * gamma.numerator < 2**63


@pytest.mark.parametrize(
    ("gamma", "bytes_an_entry"),
    [(Fraction(1, 2), {2, 4, 8}), (Fraction(9, 10), {2, 4}), (Fraction(9999, 10000), {4})],
)
def test_a_buffer_that_rested_is_the_one_that_did_not(gamma, bytes_an_entry):
    torch.manual_seed(0)
    x, fs = torch.randn(50), [torch.randn(50) for _ in range(120)]
    awake, resting = (reversible.MomentumState(x, None, gamma) for _ in range(2))
    buffer, other = resting.buffer, awake.buffer
    assert buffer is not None
    assert other is not None
    sizes = set()

    def rest():
        resting.rest()
        sizes.add((buffer.nbytes - 4 * 50 * len(buffer.spilled)) // 50)

    for f in fs:
        for state in (awake, resting):
            state.advance(f)
        rest()
    assert torch.equal(other.word, buffer.word)
    for f in reversed(fs):
        for state in (awake, resting):
            state.expose()
            state.retreat(f)
        rest()
    assert torch.equal(resting.shown(), x)
    assert not buffer.word.any()
    assert sizes == bytes_an_entry
