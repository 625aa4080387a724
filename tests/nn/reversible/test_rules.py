"""The three directions of a rule belong to one map: its formula in floats, by autograd."""

from __future__ import annotations

from fractions import Fraction

import pytest
import torch

from odemom.nn.reversible import CouplingState, MomentumState

GAMMA = Fraction(9, 10)


def momentum(x, h, f):
    v = 0.9 * h + 0.1 * f
    return x + v, v


def coupling(x, h, f):
    return h + f, x


RULES = [
    pytest.param(momentum, lambda x, h: MomentumState(x, h, GAMMA), id="momentum"),
    pytest.param(coupling, lambda x, h: CouplingState(h, x), id="coupling"),
]


@pytest.mark.parametrize(("formula", "state_of"), RULES)
def test_forward_is_the_formula_and_back_undoes_it(formula, state_of):
    x, h, f = torch.randn(3, 20, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    state = state_of(x, h)
    before = state.shown(), state.companion()
    shown, _ = state.advance(f)
    for found, expected in zip((shown, state.companion()), formula(x, h, f), strict=True):
        assert (found - expected).abs().max() <= 4 * state.format.unit
    assert torch.equal(state.expose(), before[0])
    state.retreat(f)
    assert torch.equal(state.companion(), before[1])


@pytest.mark.parametrize(("formula", "state_of"), RULES)
@pytest.mark.parametrize("missing", ["none", "gx", "gh"])
def test_the_adjoint_is_that_of_the_formula(formula, state_of, missing):
    g = torch.Generator().manual_seed(0)
    x, h, f, gx, gh = torch.randn(5, 20, dtype=torch.float64, generator=g)
    given = (None if missing == "gx" else gx, None if missing == "gh" else gh)
    leaves = [t.requires_grad_() for t in (f, x, h)]
    pairs = [(y, c) for y, c in zip(formula(x, h, f), given, strict=True) if c is not None]
    outputs, cotangents = zip(*pairs, strict=True)
    expected = torch.autograd.grad(outputs, leaves, cotangents, allow_unused=True)
    for ours, theirs in zip(state_of(x, h).adjoint(*given), expected, strict=True):
        zero = torch.zeros(20, dtype=torch.float64)
        ours, theirs = (zero if t is None else t for t in (ours, theirs))
        assert torch.allclose(ours, theirs, rtol=1e-15, atol=0)
