"""ResidualNet, RevNet and the checkpointed variants answer the call of MomentumNet."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from odemom.nn import Checkpointed, MomentumNet, ResidualNet, RevNet
from odemom.nn.reversible import CouplingState
from tests.nn.momentum_oracle import error, grad, gradients, mlp, mlps


def call(net, x):
    return net(x)


def batch(width=16, dtype=torch.float64):
    return torch.randn(32, width, dtype=dtype, generator=torch.Generator().manual_seed(0))


def halves(depth):
    return nn.ModuleList(mlp(8, 16, seed) for seed in range(depth))


def revnet_by_hand(functions, x):
    a, b = x.chunk(2, 1)
    for f, g in zip(functions[::2], functions[1::2], strict=True):
        a = a + f(b)
        b = b + g(a)
    return torch.cat([a, b], 1)


def resnet_by_hand(functions, x):
    for f in functions:
        x = x + f(x)
    return x


def test_residual_net_is_its_formula():
    functions, x = mlps(20), batch()
    truth = gradients(resnet_by_hand, functions, x, torch.float64)
    assert error(gradients(call, ResidualNet(functions), x, torch.float64), truth) <= 1e-14


@pytest.mark.parametrize("depth", [2, 100])
@pytest.mark.parametrize("reversible", [True, False])
def test_revnet_is_its_formula(depth, reversible):
    functions, x = halves(depth), batch()
    truth = gradients(revnet_by_hand, functions, x, torch.float64)
    net = RevNet(functions, reversible=reversible)
    assert error(gradients(call, net, x, torch.float64), truth) <= 1e-10


def test_revnet_in_float32_is_as_accurate_as_plain():
    functions, x = halves(100), batch(dtype=torch.float32)
    truth = gradients(revnet_by_hand, functions, x, torch.float64)
    own = error(gradients(revnet_by_hand, functions, x, torch.float32), truth)
    assert error(gradients(call, RevNet(functions), x, torch.float32), truth) <= 3 * own


def test_revnet_keeps_eight_bytes_per_element_at_any_depth():
    x = torch.randn(10, 8)
    net = RevNet(nn.ModuleList([nn.Tanh()] * 100))
    y = net(x.requires_grad_())
    state = y.grad_fn.next_functions[0][0].run.state
    assert isinstance(state, CouplingState)
    assert state.nbytes == 8 * x.numel()  # 8 bytes for each element of the two halves
    y.sum().backward()


def test_revnet_twice_backward_and_without_gradients():
    net, x = RevNet(halves(6)), batch(dtype=torch.float32).requires_grad_()
    y = net(x)
    y.sum().backward(retain_graph=True)
    first = [grad(p).clone() for p in net.parameters()]
    net.zero_grad()
    y.sum().backward()
    assert all(torch.equal(a, grad(p)) for a, p in zip(first, net.parameters(), strict=True))
    with torch.no_grad():
        assert torch.equal(net(x), y)


def test_revnet_when_only_one_half_is_used():
    for used in (slice(0, 8), slice(8, 16)):
        found = []
        for reversible in (True, False):
            net, x = RevNet(halves(4).double(), reversible=reversible), batch().requires_grad_()
            net(x)[:, used].square().sum().backward()
            found.append([x.grad])
        assert error(found[0], found[1]) <= 1e-11


NETS = [
    lambda fs: ResidualNet(fs),
    lambda fs: MomentumNet(fs, 0.9, reversible=False),
    lambda fs: MomentumNet(fs, 0.9),
    lambda fs: RevNet([nn.Sequential(nn.Linear(8, 8), nn.Tanh()).double() for _ in range(10)]),
]


@pytest.mark.parametrize("make", NETS)
@pytest.mark.parametrize("segments", [None, 1, 3, 10])
def test_checkpointed_net_has_the_gradients_of_the_net(make, segments):
    net, x = make(mlps(10).double()), batch()
    plain = copy.deepcopy(net)
    plain.reversible = False
    truth = gradients(call, plain, x, torch.float64)
    assert error(gradients(call, Checkpointed(net, segments), x, torch.float64), truth) <= 1e-14


def test_checkpointed_dropout_draws_the_same_masks():
    functions = [nn.Sequential(nn.Linear(16, 16), nn.Dropout(0.5)).double() for _ in range(9)]
    found = []
    for wrap in (Checkpointed, lambda net: net):
        net, x = copy.deepcopy(ResidualNet(functions)), batch().requires_grad_()
        torch.manual_seed(3)
        wrap(net)(x).sum().backward()
        found.append([x.grad, *(p.grad for p in net.parameters())])
    assert error(found[0], found[1]) <= 1e-14
