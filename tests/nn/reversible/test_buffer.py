"""The information buffer grows by the bits that gamma forgets, and spills before it overflows."""

from __future__ import annotations

import math
from fractions import Fraction

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from odemom.nn import reversible
from odemom.nn.reversible import native
from odemom.nn.reversible.buffer import radices, spilled_words

KERNELS = ["eager", "fused"] if native.available() else ["eager"]


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
@pytest.mark.parametrize("kernel", KERNELS)
def test_a_narrow_buffer_is_the_wide_one(gamma, bytes_an_entry, kernel):
    torch.manual_seed(0)
    x, fs = torch.randn(50), [torch.randn(50) for _ in range(120)]
    with reversible.use_kernel(kernel):
        wide, narrow = (reversible.MomentumState(x, None, gamma) for _ in range(2))
    narrow.hold_narrow()
    buffer, other = narrow.buffer, wide.buffer
    assert buffer is not None
    assert other is not None
    sizes = set()

    def moved(way):
        stats = [way(state) for state in (wide, narrow)]
        assert torch.equal(*stats)
        assert torch.equal(other.word, buffer.word.long())
        assert torch.equal(wide.v, narrow.v)
        sizes.add((buffer.nbytes - 4 * 50 * len(buffer.spilled)) // 50)

    for f in fs:
        moved(lambda state, f=f: state.advance(f)[1])
    for f in reversed(fs):
        assert torch.equal(wide.expose(), narrow.expose())
        moved(lambda state, f=f: state.retreat(f))
    assert torch.equal(narrow.shown(), x)
    assert not buffer.word.any()
    assert sizes == bytes_an_entry


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_the_value_of_a_block_moves_the_state_as_its_increment_does(dtype, kernel):
    torch.manual_seed(0)
    x = torch.randn(3, 2, 5, 7).to(dtype).contiguous(memory_format=torch.channels_last)
    with reversible.use_kernel(kernel):
        one, other = (reversible.MomentumState(x, None, Fraction(9, 10)) for _ in range(2))
    shown, values = x, []
    for n in range(4):
        value = shown + torch.randn(3, 2, 5, 7).to(dtype)
        values.append(value if n % 2 else value.contiguous(memory_format=torch.channels_last))
        (out, stats), (same, expected) = (
            one.advance_block(values[n], shown),
            other.advance(values[n] - shown),
        )
        assert torch.equal(out, same)
        assert torch.equal(stats, expected)
        shown = out.to(dtype)
    for value in reversed(values):
        shown = one.expose()
        assert torch.equal(shown, other.expose())
        shown = shown.to(dtype)
        assert torch.equal(one.retreat_block(value, shown), other.retreat(value - shown))
    assert torch.equal(one.shown(), x.to(one.carrier))
    assert not one.companion().any()
