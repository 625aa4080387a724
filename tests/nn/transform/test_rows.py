"""Blocks in their places: whatever code calls them, the twin is the momentum network."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import nn

from odemom.nn import transform, twin_report
from tests.nn.momentum_oracle import error
from tests.nn.transform.towers import (
    GAMMA,
    MODES,
    Block,
    Definition,
    Tower,
    momentum,
    sample,
    silent,
    value_and_gradients,
)

SHIFTS = [0.1 * n for n in range(9)]
LOOPS = {
    "iterate": None,
    "index": lambda h, x: [x := h[n](x) for n in range(len(h))][-1],
    "slice": lambda h, x: [x := block(x) for block in h[: len(h)]][-1],
    "two slices": lambda h, x: [x := block(x) for block in (*h[:4], *h[4:])][-1],
    "backwards": lambda h, x: [x := block(x) for block in reversed(h)][-1],
    "by name": lambda h, x: [x := h.get_submodule(str(n))(x) for n in range(9)][-1],
    "keyword": lambda h, x: [x := block(x=x) for block in h][-1],
    "shared": lambda h, x: [x := h[n % 3](x) for n in range(9)][-1],
    "sequential": lambda h, x: nn.Sequential(*h)(x),
}
ORDER = {"backwards": [8 - n for n in range(9)], "shared": [n % 3 for n in range(9)]}


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("loop", LOOPS)
def test_every_way_to_call_the_blocks_gives_the_momentum_network(loop, mode):
    model: Any = Tower(LOOPS[loop])
    blocks = [model.h[n] for n in ORDER.get(loop, range(9))]
    expected = value_and_gradients(Definition(nn.ModuleList(blocks)))
    expected_of = dict(zip(["y", "x"], expected, strict=False))
    expected_of |= {id(p): p.grad.clone() for p in model.parameters() if p.grad is not None}
    twin = transform(model, GAMMA, reversible=mode, layers=["h"])
    found = silent(twin)
    assert error(found[:2], [expected_of["y"], expected_of["x"]]) <= 1e-11
    for p in model.parameters():
        assert (p.grad is None) == (id(p) not in expected_of)
        if p.grad is not None:
            assert error([p.grad], [expected_of[id(p)]]) <= 1e-11
    (row,) = twin_report(twin).rows
    assert row.layers == 9


@pytest.mark.parametrize("mode", MODES)
def test_arguments_of_each_block_are_its_own(mode):
    model = Tower(lambda h, x: [x := block(x, SHIFTS[n]) for n, block in enumerate(h)][-1])
    expected = value_and_gradients(Definition(model.h, SHIFTS))
    found = silent(transform(model, GAMMA, reversible=mode, layers=["h"]))
    assert error(found, expected) <= 1e-11


@pytest.mark.parametrize("mode", MODES)
def test_features_collected_on_the_way_are_the_states_and_get_gradients(mode):
    def loop(h, x):
        features = []
        for block in h:
            x = block(x)
            features.append(x)
        return torch.stack(features)

    model: Any = Tower(loop)

    class States(nn.Module):
        def __init__(self):
            super().__init__()
            self.h = model.h

        def forward(self, x):
            return torch.stack([momentum(self.h[: n + 1], x) for n in range(9)])

    expected = value_and_gradients(States())
    found = silent(transform(model, GAMMA, reversible=mode, layers=["h"]))
    assert error(found, expected) <= 1e-11


@pytest.mark.parametrize("mode", MODES)
def test_backward_from_an_inner_state_alone(mode):
    model: Any = Tower(lambda h, x: [x := block(x) for block in h])
    twin = transform(model, GAMMA, reversible=mode, layers=["h"])
    x, z = sample(), sample()
    (expected,) = torch.autograd.grad(momentum(model.h[:5], x).sum(), x)
    (found,) = torch.autograd.grad(twin(z)[4].sum(), z)
    assert error([found], [expected]) <= 1e-11


@pytest.mark.parametrize("mode", MODES)
def test_hooks_see_the_states_once_a_call(mode):
    model: Any = Tower()
    twin: Any = transform(model, GAMMA, reversible=mode, layers=["h"])
    seen: list[Any] = []
    twin.h[3].register_forward_hook(lambda m, args, y: seen.append((args[0], y)))
    twin(sample()).sum().backward()
    model(sample())
    ((x, y),) = seen
    assert torch.allclose(x, momentum(model.h[:3], sample()))
    assert torch.allclose(y, momentum(model.h[:4], sample()))


class WithShortcut(nn.Module):
    """The block of the CIFAR ResNets that everybody copies: ``shortcut`` and no ``stride``."""

    def __init__(self, planes_in, planes, stride=1):
        super().__init__()
        self.conv = nn.Conv2d(planes_in, planes, 3, stride, 1, bias=False)
        self.bn = nn.BatchNorm2d(planes)
        self.shortcut = nn.Sequential()
        if stride != 1 or planes_in != planes:
            self.shortcut = nn.Conv2d(planes_in, planes, 1, stride)

    def forward(self, x):
        return torch.relu(self.bn(self.conv(x)) + self.shortcut(x))


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("rest", ["checkpoint", "keep"])
def test_the_shape_is_judged_by_running(mode, rest):
    torch.manual_seed(0)
    steps = [(3, 8), (8, 8), (8, 8), (8, 16, 2), (16, 16), (16, 16)]
    model: Any = nn.Sequential(*(WithShortcut(*step) for step in steps)).double()
    x = torch.randn(4, 3, 8, 8, dtype=torch.float64)

    def definition(x):
        x = momentum(model[1:3], model[0](x))
        return momentum(model[4:], model[3](x))

    statistics = copy.deepcopy(model.state_dict())
    definition(x).square().mean().backward()
    expected = [p.grad.clone() for p in model.parameters()]
    moved = copy.deepcopy(list(model.buffers()))
    model.load_state_dict(statistics)
    model.zero_grad()
    twin = transform(model, GAMMA, reversible=mode, layers=[""], rest=rest)
    torch.manual_seed(7)
    drawn = torch.rand(1)
    torch.manual_seed(7)
    twin(x).square().mean().backward()
    assert torch.equal(torch.rand(1), drawn)  # blocks that were tried twice drew nothing
    assert error([p.grad for p in model.parameters()], expected) <= 1e-9
    assert error([b.double() for b in model.buffers()], [b.double() for b in moved]) <= 1e-11
    report = twin_report(twin)
    assert [row.layers for row in report.rows] == [2, 2]
    assert report.alone == dict.fromkeys(["0", "3"], "it changes the shape of its input")
    assert 0 < report.activations < 1


class WithOthers(nn.Module):
    """Returns a bias that the next block takes, as T5 does, and something that is no tensor."""

    def __init__(self):
        super().__init__()
        self.block = Block()
        self.bias = nn.Parameter(torch.tensor([0.3]))

    def forward(self, x, bias=None):
        bias = torch.sin(self.bias) if bias is None else bias
        return self.block(x, bias), bias, "text", {"n": 1}


@pytest.mark.parametrize("mode", MODES)
def test_blocks_that_return_tuples_keep_their_other_values(mode):
    def loop(h, x):
        bias = None
        for block in h:
            x, bias, text, extra = block(x, bias)
            assert text == "text"
            assert extra == {"n": 1}
        return x + bias

    model: Any = Tower(loop, block=WithOthers)

    class Written(nn.Module):
        def __init__(self):
            super().__init__()
            self.h = model.h

        def forward(self, x):
            bias = torch.sin(self.h[0].bias)
            first = [lambda x, b=block: b.block(x, bias) for block in self.h]
            return momentum(first, x) + bias

    written = Written()
    x = sample()
    (written(x)).square().sum().backward()
    expected = [x.grad, *(p.grad for p in model.parameters() if p.grad is not None)]
    expected = [t.clone() for t in expected if t is not None]
    model.zero_grad()
    y = sample()
    transform(model, GAMMA, reversible=mode, layers=["h"])(y).square().sum().backward()
    found = [y.grad, *(p.grad for p in model.parameters() if p.grad is not None)]
    assert error(found, expected) <= 1e-11
