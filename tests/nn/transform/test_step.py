"""A momentum layer in floats: in one pass the same bits as in operations, and its gradients."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn
from torch.autograd import forward_ad
from torch.autograd.functional import jacobian
from torch.fx.experimental.proxy_tensor import make_fx

from odemom.nn import transform
from odemom.nn.reversible import native
from odemom.nn.transform import native_step
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
    value, x, v, gx, gv = inputs(torch.float32 if dtype == torch.bfloat16 else dtype, layout)
    position = x
    leaves = [value, x] if rests else [value, x, v]
    if dtype == torch.bfloat16:  # the position and the velocity are floats
        value, x = value.bfloat16(), x.bfloat16()
        leaves = [value, x, position, *leaves[2:]]
    leaves = [t.requires_grad_() for t in leaves]
    end, velocity = momentum_step(GAMMA, REST, value, x, position, None if rests else v)
    ends = {"x": (end, gx), "v": (velocity, gv)}
    given = [ends[name] for name in shown]
    found = torch.autograd.grad(
        [e for e, _ in given], leaves, [g for _, g in given], materialize_grads=True
    )
    return [end.detach(), velocity.detach(), *found]


@pytest.mark.skipif(not native.available(), reason="no compiler")
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("rests", [False, True])
@pytest.mark.parametrize("shown", ["xv", "x", "v"])
def test_one_pass_has_the_bits_of_the_operations(dtype, layout, rests, shown, monkeypatch):
    """More entries than one thread takes at a time, in numbers that no vector divides."""
    fused = run(dtype, layout, rests=rests, shown=shown)
    monkeypatch.setattr(native_step, "available", lambda: False)
    plain = run(dtype, layout, rests=rests, shown=shown)
    for a, b in zip(fused, plain, strict=True):
        assert torch.equal(a, b)
        assert a.stride() == b.stride()


@pytest.mark.skipif(not native.available(), reason="no compiler")
@pytest.mark.parametrize("layout", ["contiguous", "channels last"])
def test_dense_tensors_take_one_pass(layout):
    value, x, v, gx, gv = inputs(torch.float32, layout)
    assert native_step.moved(value, x, None, v, GAMMA, REST) is not None
    assert native_step.moved_back(gx, gv, GAMMA, REST, narrow=False, to_v=True) is not None
    half = value.bfloat16(), x.bfloat16()
    assert native_step.moved(*half, x, v, GAMMA, REST) is not None
    assert native_step.moved_back(gx, None, GAMMA, REST, narrow=True, to_v=True) is not None


@pytest.mark.skipif(not native.available(), reason="no compiler")
def test_bfloat16_rounds_as_pytorch_does():
    """Every bfloat16 against every eighth one, and floats next to halves between two of them."""
    every = torch.arange(1 << 16, dtype=torch.int32).to(torch.int16).view(torch.bfloat16)
    value, x = every.repeat(64), every[:: 1 << 10].repeat_interleave(len(every))
    zero = torch.zeros(len(value))
    fused = native_step.moved(value, x, zero, None, GAMMA, 1.0)
    assert fused is not None
    torch.testing.assert_close(fused[1], (value - x).float(), rtol=0, atol=0, equal_nan=True)
    halves = (torch.arange(1 << 22, dtype=torch.int32) * 1024 + 17).view(torch.float32)
    for near in (halves, (halves.view(torch.int32) & ~0xFFFF | 0x8000).view(torch.float32)):
        back = native_step.moved_back(near, None, GAMMA, 1.0, narrow=True, to_v=False)
        assert back is not None
        truth = near.bfloat16()
        torch.testing.assert_close(back[0], truth, rtol=0, atol=0, equal_nan=True)
        torch.testing.assert_close(back[1], -truth, rtol=0, atol=0, equal_nan=True)


@pytest.mark.skipif(not native.available(), reason="no compiler")
def test_mixed_dtypes_that_c_does_not_know_take_the_operations():
    value, x, v, gx, _ = inputs(torch.float32)
    assert native_step.moved(value.half(), x.half(), x, v, GAMMA, REST) is None
    assert native_step.moved(value.bfloat16(), x, None, v, GAMMA, REST) is None
    assert native_step.moved(value.bfloat16(), x.bfloat16(), None, None, GAMMA, REST) is None
    wide = x.double()
    assert native_step.moved(value.bfloat16(), x.bfloat16(), wide, None, GAMMA, REST) is None
    assert native_step.moved_back(gx.half(), None, GAMMA, REST, narrow=True, to_v=True) is None
    assert native.alike(x.bfloat16(), v.bfloat16()) is False


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


# --- what C does not see -----------------------------------------------------------------------


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner = nn.Linear(3, 3)

    def forward(self, x):
        return x + torch.tanh(self.inner(x))


class Tower(nn.Module):
    def __init__(self):
        super().__init__()
        self.blocks = nn.ModuleList(Block() for _ in range(3))

    def forward(self, x):
        for block in self.blocks:
            x = block(x)
        return x


def tower(reversible: Any = False) -> Any:
    torch.manual_seed(0)
    return transform(Tower().double(), 0.5, layers=["blocks"], reversible=reversible)


def point(seed):
    g = torch.Generator().manual_seed(seed)
    return torch.randn(2, 3, dtype=torch.float64, generator=g)


def test_tangents_go_back_through_a_gradient():
    net, x, direction = tower(), point(0).requires_grad_(), point(1)

    def loss(x):
        return net(x).pow(3).sum()

    with forward_ad.dual_level():
        value = loss(forward_ad.make_dual(x, direction))
        (gradient,) = torch.autograd.grad(value, x)
        found = forward_ad.unpack_dual(gradient).tangent
    truth = torch.autograd.functional.hvp(loss, point(0), direction)[1]
    torch.testing.assert_close(found, truth)


@pytest.mark.parametrize("reversible", [False, "auto", True])
def test_gradients_of_a_batch_at_once(reversible):
    net = tower(reversible)
    found = jacobian(net, point(0), vectorize=True)
    torch.testing.assert_close(found, jacobian(net, point(0)))


def test_a_tracer_of_operations_sees_them_there_and_back():
    net = tower()

    def both(x):
        x = x.detach().requires_grad_()
        value = net(x)
        return value, torch.autograd.grad(value.square().sum(), x)[0]

    traced = make_fx(both)(point(0))
    for found, truth in zip(traced(point(1)), both(point(1)), strict=True):
        torch.testing.assert_close(found, truth)


def test_a_value_of_another_dtype_takes_the_operations(monkeypatch):
    def gradients():
        value, x, v, gx, gv = (t[0, 0] for t in inputs(torch.float32))
        leaves = [value.bfloat16().requires_grad_(), x.requires_grad_(), v.requires_grad_()]
        ends = momentum_step(GAMMA, REST, leaves[0], x, x, v)
        return torch.autograd.grad(ends, leaves, [gx, gv])

    fused = gradients()
    monkeypatch.setattr(native_step, "available", lambda: False)
    assert all(torch.equal(a, b) for a, b in zip(fused, gradients(), strict=True))
