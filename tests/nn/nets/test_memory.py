"""The memory report says beforehand what a step then holds."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from odemom.errors import InvalidInputError
from odemom.nn import MomentumNet
from odemom.nn.nets.memory import saved_bytes
from tests.nn.momentum_oracle import mlps


@pytest.mark.parametrize("gamma", [0.1, 0.5, 0.9, 0.99, 1])
@pytest.mark.parametrize("depth", [1, 40, 150])
def test_state_and_buffer_are_what_a_run_holds(gamma, depth):
    net, x = MomentumNet([nn.Tanh()] * depth, gamma), torch.randn(6, 5)
    report = net.memory_report(x)
    assert report.state + report.buffer == net.final_state(x).nbytes


def test_paper_estimate_stands_beside_the_buffer():
    report = MomentumNet([nn.Tanh()] * 2000, 0.99).memory_report(torch.zeros(3))
    assert report.paper_bits == pytest.approx(2000 * 0.01 / math.log(2))
    assert report.paper_bits <= report.buffer_bits <= report.paper_bits + 64
    assert "depth (1 - gamma)/ln 2 = 28.9" in str(report)


def really_kept(function, x):
    kept = {}
    own = {p.untyped_storage().data_ptr() for p in function.parameters()}

    def keep(t):
        if t.untyped_storage().data_ptr() not in own:
            kept[t.untyped_storage().data_ptr()] = t
        return t

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda t: t):
        y = function(x.clone().requires_grad_())
    assert y is not None
    return sum(t.untyped_storage().nbytes() for t in kept.values())


@pytest.mark.parametrize(
    ("function", "shape"),
    [
        (nn.Sequential(nn.Linear(8, 32), nn.Tanh(), nn.Linear(32, 8)), (16, 8)),
        (nn.Sequential(nn.Conv2d(4, 4, 3, padding=1), nn.ReLU(inplace=True)), (2, 4, 9, 9)),
        (nn.Sequential(nn.Linear(8, 8), nn.Dropout(0.5)), (16, 8)),
        (nn.LayerNorm(8), (16, 8)),
    ],
)
def test_saved_bytes_are_those_that_autograd_keeps(function, shape):
    x = torch.randn(shape)
    assert saved_bytes(function, x) == really_kept(function, x)


def test_report_runs_nothing_on_the_device():
    net = MomentumNet(mlps(3), 0.9)
    before = [p.clone() for p in net.parameters()]
    report = net.memory_report(torch.empty(10**6, 16, device="meta"))
    assert report.plain > 3 * 64 * 10**6
    assert 0 < report.ratio == report.reversible / report.plain
    assert all(torch.equal(a, b) for a, b in zip(before, net.parameters(), strict=True))


def test_extra_arguments_are_passed_on():
    class Adds(nn.Module):
        def forward(self, x, memory, *, mask=None):
            return torch.tanh(x) * memory

    net = MomentumNet([Adds()] * 4, 0.9)
    x = torch.zeros(10, 4)
    assert (
        net.memory_report(x, torch.zeros(10, 4)).plain == 4 * 160
    )  # tanh(x); memory is the user's


class Calls(nn.Module):
    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x):
        return self.function(x)


@pytest.mark.parametrize(
    "function",
    [
        lambda x: x * x.abs().max().item(),
        lambda x: x if x.sum() > 0 else -x,
        lambda x: x * x[x > 0].sum(),
        lambda x: x * x.tolist()[0][0],
        lambda x: x * float(x.detach().numpy().mean()),
        lambda x: x * x.unique().numel(),
    ],
)
def test_function_that_depends_on_values_is_refused_in_a_sentence(function):
    net = MomentumNet([nn.Tanh(), Calls(function)], 0.9)
    with pytest.raises(
        InvalidInputError, match=r"memory_report of Calls: got .* on shapes alone .*Measure a step"
    ):
        net.memory_report(torch.zeros(2, 4))


class Keeps(nn.Module):
    kept = None

    def forward(self, x, box):
        if self.kept is None:
            self.kept = torch.tanh(x)
        box.append(self.kept)
        return self.kept * x


def test_report_leaves_arguments_and_attributes_alone():
    net, box = MomentumNet([Keeps()] * 2, 0.9), []
    net.memory_report(torch.zeros(2, 4), box)
    assert box == []
    assert net.functions[0].kept is None
