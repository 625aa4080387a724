"""The three directions of a rule belong to one map: its formula in floats, by autograd."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import pytest
import torch

from odemom.nn.reversible import CouplingState, MomentumState, use_kernel

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


LAYOUTS = {
    "contiguous": lambda t: t,
    "channels_last": lambda t: t.contiguous(memory_format=torch.channels_last),
    "transposed": lambda t: t.transpose(2, 3).contiguous().transpose(2, 3),
    "strided": lambda t: torch.stack((t, t), -1)[..., 0],
    "negated": lambda t: torch.complex(torch.zeros_like(t), -t).conj().imag,
}


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("mixed", [False, True])
@pytest.mark.parametrize("without", ["", "gx", "gh", "through", "less"])
@pytest.mark.parametrize("kernel", ["auto", "eager"])
def test_gradients_in_one_pass_have_the_bits_of_the_formula(dtype, layout, mixed, without, kernel):
    torch.manual_seed(0)
    shape = (3, 4, 60, 61)  # more than one thread takes
    names = ("gx", "gh", "through", "less")
    given: dict[str, Any] = {name: torch.randn(shape, dtype=dtype) for name in names}
    laid = {name: LAYOUTS[layout](t) for name, t in given.items()}
    if mixed:
        laid["gh"] = given["gh"]
    assert all(torch.equal(laid[name], given[name]) for name in given)
    if without:
        given[without], laid[without] = None, None
    gx, gh, through, less = (torch.zeros(()) if t is None else t for t in given.values())
    with use_kernel(kernel):
        state = MomentumState(torch.randn(shape, dtype=dtype), None, GAMMA)
    copies = {name: None if t is None else t.clone() for name, t in laid.items()}
    assert torch.equal(state.force(laid["gx"], laid["gh"]), (gx + gh) * state.weight)
    x, h = state.carried(**laid)
    assert x is not None
    assert h is not None
    assert torch.equal(x, gx + through - less)
    assert torch.equal(h, (gx + gh) * 0.9)
    for name, copy in copies.items():
        assert copy is None or torch.equal(laid[name], copy)


def test_zeros_that_take_no_memory_are_added():
    x = torch.randn(8)
    state, none = MomentumState(x, None, GAMMA), torch.ops.aten._efficientzerotensor([8])
    assert torch.equal(state.force(x, none), x * state.weight)
    found, _ = state.carried(none, x, x, None)
    assert found is not None
    assert torch.equal(found, x)
