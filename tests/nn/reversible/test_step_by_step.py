"""The page that a reader follows computes the integers of the fast kernels, bit for bit."""

from __future__ import annotations

import math
from fractions import Fraction
from functools import partial
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from odemom.errors import FixedPointRangeError, InvalidInputError
from odemom.nn import reversible
from odemom.nn.reversible import MomentumState, native, step_by_step
from odemom.nn.reversible.step_by_step import StepByStep

KERNELS = ["eager", "fused"] if native.available() else ["eager"]
GAMMAS = [
    Fraction(1, 10), Fraction(1, 2), Fraction(9, 10), Fraction(99, 100), Fraction(49_999, 50_000),
    Fraction(2**24 - 1, 2**24), Fraction(1, 2**24), Fraction(1),
]  # fmt: skip


def same(page: StepByStep, state: MomentumState) -> bool:
    """Whether both hold the same x, v, buffer and radix, and have spilled the same last word."""
    equal = torch.equal(page.x.flatten(), state.x) and torch.equal(page.v.flatten(), state.v)
    if state.buffer is None:
        return equal
    ours, theirs = page.spilled, state.buffer.spilled
    return (
        equal
        and torch.equal(page.b.flatten(), state.buffer.word)
        and page.radix == state.buffer.radix
        and len(ours) == len(theirs)
        and (not ours or torch.equal(ours[-1].flatten() - 2**31, theirs[-1].long()))
    )


def there_and_back(gamma, x, v, function, depth, bits):
    """Move the page and both kernels through the layers and back, comparing them after each."""
    page, states = StepByStep(x, v, gamma, bits), []
    for kernel in KERNELS:
        with reversible.use_kernel(kernel):
            states.append(MomentumState(x, v, gamma, resolution=bits))
    first_x, first_v = page.x, page.v
    for n in range(depth):
        f = function(n, page.position())
        page.forward(f)
        for state in states:
            shown, _ = state.advance(f)
            assert torch.equal(page.position(), shown)
            assert same(page, state)
    for state in states:
        assert torch.equal(page.velocity(), state.companion())
    for n in reversed(range(depth)):
        page.inverse(lambda x, n=n: function(n, x))
        f = function(n, page.position())
        for state in states:
            assert torch.equal(page.position(), state.expose())
            state.retreat(f)
            assert n % 20 or same(page, state)
    assert torch.equal(page.x, first_x)
    assert torch.equal(page.v, first_v)
    assert not page.spilled
    assert not page.b.any()


@pytest.mark.parametrize(
    ("dtype", "bits", "gamma"),
    [*((torch.float32, 43, g) for g in GAMMAS), (torch.float64, 48, GAMMAS[2])],
    ids=str,
)
@pytest.mark.parametrize("depth", [100, pytest.param(500, marks=pytest.mark.slow)])
def test_random_states_to_any_depth(dtype, bits, gamma, depth):
    g = torch.Generator().manual_seed(0)
    x, v = torch.randn(2, 5, 7, dtype=dtype, generator=g)
    there_and_back(gamma, x, v, lambda n, x: torch.cos(n + 3 * x), depth, bits)


@pytest.mark.parametrize("gamma", GAMMAS, ids=str)
def test_values_that_round_to_even_vanish_or_reach_the_edge(gamma):
    bits = 30
    doubles, unit, edge = partial(torch.tensor, dtype=torch.float64), 2.0**-bits, 2.0**32 - 2.0**-10
    # Halves of a unit after the product with 1 - gamma where that is a power of two, signed zeros,
    # numbers far below a unit, and states next to the edge that the values pull back.
    f = unit * doubles([0.5, 1.5, -2.5, 1.0, 3.0, -0.0, 1e-300, -1e-30, 0.0, 0.0])
    x = doubles([0, 0, 0, 1, -1, 0, 0, 0, edge, -edge])
    v = doubles([0, 1, -1, unit, -unit, 0, -unit, unit, -edge / 64, edge / 64])
    there_and_back(gamma, x, v, lambda n, x: (-1) ** n * f - x / 4, 40, bits)


@settings(max_examples=50)
@given(st.integers(1, 2**24), st.integers(0, 2**24 - 1), st.integers(0, 2**63 - 1))
def test_any_fraction(n, more, seed):
    gamma = Fraction(n, min(n + more, 2**24))
    g = torch.Generator().manual_seed(seed)
    x, v = torch.randn(2, 16, dtype=torch.float64, generator=g)
    f = torch.randn(12, 16, dtype=torch.float64, generator=g)
    there_and_back(gamma, x, v, lambda n, x: f[n], 12, 48)


@pytest.mark.parametrize("bad", [math.nan, math.inf, 2.0**20])
def test_what_leaves_the_range_is_refused(bad):
    page = StepByStep(torch.zeros(3), torch.zeros(3), Fraction(1, 2))
    with pytest.raises(FixedPointRangeError, match="below 524288"):
        page.forward(torch.tensor([0.0, bad, 0.0]))
    with pytest.raises(FixedPointRangeError, match="below 524288"):
        StepByStep(torch.tensor([bad]), torch.zeros(1), Fraction(1, 2))


@pytest.mark.parametrize("of", ["velocity", "position"])
def test_a_sum_that_leaves_the_range_is_refused_before_it_wraps(of):
    near = torch.tensor([2.0**19 - 1], dtype=torch.float64)
    zero, gamma = torch.zeros_like(near), Fraction(2**24 - 1, 2**24)
    page = StepByStep(zero if of == "velocity" else near, near, gamma)
    with pytest.raises(FixedPointRangeError):
        page.forward(near * 2**24 if of == "velocity" else zero)


@pytest.mark.parametrize("gamma", [0.9, Fraction(0), Fraction(3, 2), Fraction(1, 2**24 + 1)])
def test_a_gamma_that_is_no_such_fraction_is_refused(gamma):
    with pytest.raises(InvalidInputError, match="gamma"):
        StepByStep(torch.zeros(1), torch.zeros(1), gamma)


def test_it_is_one_page():
    path = step_by_step.__file__
    assert path is not None
    assert len(Path(path).read_text().splitlines()) <= 120
