"""Numbers of two words, against fractions."""

from __future__ import annotations

from fractions import Fraction

import pytest
import torch

from odemom.nn.reversible.coupled import CoupledState
from odemom.nn.reversible.two_words import add, divide, join, multiply, negate_, split, subtract
from tests.nn.reversible.test_samples import DTYPES, random


def exactly(number):
    """As fractions of the first word's unit."""
    hi, lo = number.tolist()
    return [Fraction(h) + Fraction(b % 2**64, 2**64) for h, b in zip(hi, lo, strict=True)]


def some_numbers(seed):
    g = torch.Generator().manual_seed(seed)
    hi = torch.randint(-(2**60), 2**60, (500,), generator=g) >> torch.randint(
        0, 62, (500,), generator=g
    )
    lo = torch.randint(-(2**63), 2**63 - 1, (500,), generator=g)
    hi[:4], lo[:4] = torch.tensor([0, -1, -1, 0]), torch.tensor([0, -1, 0, -1])
    return torch.stack((hi, lo))


def test_sums_of_two_words_are_exact():
    a, b = some_numbers(0), some_numbers(1)
    pairs = list(zip(exactly(a), exactly(b), strict=True))
    assert exactly(add(a, b)) == [s + t for s, t in pairs]
    assert exactly(subtract(a, b)) == [s - t for s, t in pairs]


def test_negation_of_two_words_is_exact():
    a = some_numbers(0)
    assert exactly(negate_(a.clone())) == [-s for s in exactly(a)]
    assert torch.equal(negate_(a[0].clone()), -a[0])


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_coupled_state_turns_its_velocity_exactly(dtype):
    """A step out along f, and back along the velocity that it gave, leaves every digit of x."""
    x, f = random(5, 7, dtype=dtype), random(5, 7, dtype=dtype, seed=1)
    state = CoupledState(x, Fraction(1), 1.0)
    state.advance(f)
    state.advance(torch.zeros_like(f))
    assert torch.equal(state.shown(), x)


@pytest.mark.parametrize("m", [1, 3, 10, 2**24])
def test_division_of_two_words_is_exact(m):
    a = some_numbers(0)
    quotient, rest = divide(a, m)
    assert exactly(multiply(quotient, m, rest)) == exactly(a)
    assert rest.min() >= 0
    assert rest.max() < m
    floors = exactly(multiply(quotient, 1, torch.zeros_like(rest)))
    assert floors == [Fraction(v * 2**64 // m, 2**64) for v in exactly(a)]


@pytest.mark.parametrize("size", [1e-19, 1.0, 1e9, 1e18])
def test_floats_of_two_words_are_the_nearest(size):
    real = torch.cat((random(400, dtype=torch.float64) * size, torch.tensor([0.0, -(2.0**-64)])))
    for a, number, back in zip(
        real.tolist(), exactly(split(real)), join(split(real)).tolist(), strict=True
    ):
        assert number == Fraction(round(Fraction(a) * 2**64), 2**64)
        assert back == float(number)
