"""What was changed in a function between the passes is put back, or named."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from odemom.errors import InvalidInputError, ReversibilityError
from odemom.nn import MomentumNet
from odemom.nn.recompute.changes import Facts
from tests.nn.momentum_oracle import error


def block(*last):
    return nn.Sequential(nn.Linear(8, 8), nn.Tanh(), *last)


def net_of(*last) -> MomentumNet:
    torch.manual_seed(0)
    return MomentumNet([block(*copy.deepcopy(last)) for _ in range(3)], 0.9)


def step(net, change):
    x = torch.randn(16, 8, generator=torch.Generator().manual_seed(0), requires_grad=True)
    loss = net(x).square().sum()
    change(net)
    loss.backward()


def in_place(net):
    with torch.no_grad():
        net.functions[1][0].weight.mul_(2)


def through_data(net):
    net.functions[1][0].weight.data.mul_(2)


def cast(net):
    net.functions[1][0].to(torch.bfloat16)


def hook(net):
    net.functions[1][0].register_forward_hook(lambda module, args, out: 2 * out)


def swap_activation(net):
    net.functions[1][1] = nn.Sequential(nn.Sigmoid())


def hooks_everywhere(net):
    for part in net.functions[2]:
        part.register_forward_hook(lambda module, args, out: 2 * out)


CHANGES = [
    (nn.Dropout(0.0), in_place, r"functions\[1\].*modified by an inplace.*0\.weight was changed"),
    (nn.Dropout(0.0), through_data, r"functions\[1\].*changed since through \.data"),
    (nn.Dropout(0.0), hook, r"forward hooks of 0 were added or removed"),
    (nn.Dropout(0.0), cast, r"functions\[1\].*0\.weight went from torch.float32 to torch.bfloat16"),
    (
        nn.Dropout(0.0),
        swap_activation,
        r"functions\[1\].* a Tanh was removed.*Sigmoid\) was",
    ),
]


@pytest.mark.parametrize(("last", "change", "message"), CHANGES)
def test_change_between_the_passes_is_named(last, change, message):
    with pytest.raises(ReversibilityError, match=message):
        step(net_of(last), change)


def test_many_changes_are_counted():
    net = net_of(nn.Dropout(), nn.Dropout(), nn.Dropout())
    with pytest.raises(ReversibilityError, match=r"hooks of 0 were .*, and 1 more changes\."):
        step(net, hooks_everywhere)


@pytest.mark.parametrize("last", [nn.Dropout(), nn.BatchNorm1d(8), nn.Identity()])
@pytest.mark.parametrize(
    ("before", "change"),
    [
        (nn.Module.train, nn.Module.eval),
        (nn.Module.eval, nn.Module.train),
        (nn.Module.train, lambda net: setattr(net.functions[1][2], "p", 0.25)),
    ],
)
def test_modes_and_attributes_are_those_of_the_forward_pass(before, change, last):
    found = []
    for late in (change, lambda net: None):
        net = net_of(last)
        before(net)
        torch.manual_seed(1)
        step(net, late)
        found.append([p.grad for p in net.parameters()])
        buffers = list(net.buffers())
    assert error(*found) == 0
    assert all(torch.isfinite(b).all() for b in buffers)


def test_a_switch_stays_after_the_backward_pass():
    net = net_of(nn.BatchNorm1d(8))
    step(net, nn.Module.eval)
    moved = [b.clone() for b in net.buffers()]
    assert not any(part.training for part in net.functions.modules())
    other = net_of(nn.BatchNorm1d(8))
    step(other, lambda net: None)
    assert all(torch.equal(a, b) for a, b in zip(moved, other.buffers(), strict=True))


def test_parameters_frozen_or_replaced_after_the_forward_pass_are_as_in_the_plain_net():
    for change in (
        lambda net: net.functions[1].requires_grad_(False),
        lambda net: setattr(net.functions[1][0], "weight", nn.Parameter(torch.zeros(8, 8))),
    ):
        found = []
        for reversible in (True, False):
            net = net_of().double()
            net.reversible = reversible
            before = list(net.parameters())
            x = torch.ones(4, 8, dtype=torch.float64, requires_grad=True)
            loss = net(x).square().sum()
            change(net)
            loss.backward()
            found.append([x.grad, *(p.grad for p in before)])
        assert [g is None for g in found[0]] == [g is None for g in found[1]]
        pairs = [(a, b) for a, b in zip(*found, strict=True) if b is not None]
        assert error([a for a, _ in pairs], [b for _, b in pairs]) <= 1e-12


class WeighsOnce(nn.Linear):
    kept = None

    def forward(self, input):
        if self.kept is None:
            self.kept = torch.nn.functional.normalize(self.weight)
        return torch.tanh(input @ self.kept)


def test_graph_that_several_layers_share_is_named():
    net = MomentumNet([WeighsOnce(8, 8)] * 3, 0.9)
    with pytest.raises(ReversibilityError, match=r"\(WeighsOnce\), layer 1: it keeps .*each call"):
        net(torch.randn(4, 8)).sum().backward()


class Totals(nn.Module):
    def __init__(self, start):
        super().__init__()
        self.total = start

    def forward(self, x):
        self.total += x.detach().sum()
        return torch.tanh(x)


def test_tensor_in_an_attribute_changed_in_place_is_refused():
    x = torch.ones(2, 4, requires_grad=True)
    with pytest.raises(InvalidInputError, match=r"among its attributes in place.*total \+ x"):
        MomentumNet([Totals(torch.zeros(()))], 0.9)(x)
    function = Totals(0.0)
    MomentumNet([function], 0.9)(x).sum().backward()
    assert function.total == 8


class Draws(nn.Module):
    def __init__(self):
        super().__init__()
        self.factors = iter([2.0])

    def forward(self, x):
        return torch.tanh(next(self.factors) * x)


def test_second_call_that_fails_is_named():
    loss = MomentumNet([nn.Tanh(), Draws()], 0.9)(torch.ones(3, requires_grad=True)).sum()
    with pytest.raises(
        ReversibilityError, match=r"functions\[1\] \(Draws\).*StopIteration.*iterator"
    ):
        loss.backward()


def test_nothing_has_changed():
    function = block(nn.Dropout())
    facts = Facts(function, function.modules())
    assert facts.changes() == ""
