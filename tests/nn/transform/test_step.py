"""A momentum layer in floats: in one pass the same bits as in operations, and its gradients."""

from __future__ import annotations

import pytest
import torch

from odemom.nn.reversible import native
from odemom.nn.transform.step import momentum_step

GAMMA, REST = 0.9, 1 - 0.9

LAYOUTS = {
    "contiguous": lambda t: t.contiguous(),
    "channels last": lambda t: t.contiguous(memory_format=torch.channels_last),
    "transposed": lambda t: t.transpose(2, 3).contiguous().transpose(2, 3),
    "every second": lambda t: torch.stack((t, t), -1)[..., 0],
}


def inputs(dtype, layout="contiguous", rows=3):
    g = torch.Generator().manual_seed(0)
    tensors = torch.randn(5, rows, 4, 33, 95, generator=g, dtype=dtype)
    return [LAYOUTS[layout](t).clone(memory_format=torch.preserve_format) for t in tensors]


def run(dtype, layout, *, rests, shown):
    """Ends and gradients of a layer, of which the results in ``shown`` come to the loss."""
    value, x, v, gx, gv = inputs(dtype, layout)
    leaves = [t.requires_grad_() for t in ((value, x) if rests else (value, x, v))]
    end, velocity = momentum_step(GAMMA, REST, value, x, x, None if rests else v)
    ends = {"x": (end, gx), "v": (velocity, gv)}
    given = [ends[name] for name in shown]
    found = torch.autograd.grad([e for e, _ in given], leaves, [g for _, g in given])
    return [end.detach(), velocity.detach(), *found]


@pytest.mark.skipif(not native.available(), reason="no compiler")
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("rests", [False, True])
@pytest.mark.parametrize("shown", ["xv", "x", "v"])
def test_one_pass_has_the_bits_of_the_operations(dtype, layout, rests, shown, monkeypatch):
    """More entries than one thread takes at a time, in numbers that no vector divides."""
    fused = run(dtype, layout, rests=rests, shown=shown)
    monkeypatch.setattr(native, "available", lambda: False)
    plain = run(dtype, layout, rests=rests, shown=shown)
    for a, b in zip(fused, plain, strict=True):
        assert torch.equal(a, b)
        assert a.stride() == b.stride()


@pytest.mark.skipif(not native.available(), reason="no compiler")
@pytest.mark.parametrize("layout", ["contiguous", "channels last"])
def test_dense_tensors_take_one_pass(layout):
    value, x, v, gx, gv = inputs(torch.float32, layout)
    assert native.moved(value, x, v, GAMMA, REST) is not None
    assert native.moved_back(gx, gv, GAMMA, REST, to_v=True) is not None


@pytest.mark.parametrize("rests", [False, True])
def test_gradients_and_their_gradients_against_differences(rests):
    def layer(value, x, v):
        return momentum_step(GAMMA, REST, value.sin(), x, x, None if rests else v)

    leaves = [t[0, 0, :2, :3].clone().requires_grad_() for t in inputs(torch.float64)[:3]]
    leaves = [*leaves[:2], leaves[2] if not rests else leaves[2].detach()]
    assert torch.autograd.gradcheck(layer, leaves, check_forward_ad=True)
    assert torch.autograd.gradgradcheck(layer, leaves)


def test_formula_of_the_paper():
    """v <- gamma v + (1 - gamma) f(x), x <- x + v, where the block's value is x + f(x)."""
    f, x, v = (t[0, 0, 0] for t in inputs(torch.float64)[:3])
    end, velocity = momentum_step(GAMMA, REST, x + f, x, x, v)
    torch.testing.assert_close(velocity, GAMMA * v + REST * f, rtol=0, atol=1e-15)
    torch.testing.assert_close(end, x + velocity, rtol=0, atol=0)
