"""Attributes and modes are those of the forward pass, also where no value shows what they are."""

from __future__ import annotations

import functools
import gc
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from odemom.nn import MomentumNet, transform, twin_report
from odemom.nn.recompute.holders import Snapshot
from odemom.nn.recompute.second_call import FunctionCall, RandomStates, attention_kernels, tried
from odemom.nn.recompute.trajectory import Trajectory
from tests.nn.momentum_oracle import error
from tests.nn.reversal import reversal
from tests.nn.transform.towers import Tower, sample


class Reversing(nn.Module):
    """As for training on two domains: the strength grows from batch to batch."""

    def __init__(self, place):
        super().__init__()
        self.a, self.b = nn.Linear(4, 4).double(), nn.Linear(4, 4).double()
        self.place, self.alpha, self.all, self.several = place, 0.1, {"alpha": 0.1}, [0.1]
        self.register_buffer("strongly", torch.tensor(0.1))

    def put(self, alpha):
        self.train(alpha < 0.5)
        self.alpha, self.all["alpha"], self.several[0] = alpha, alpha, alpha
        self.get_buffer("strongly").fill_(alpha)

    def strength(self):
        if self.place == "mode":
            return 0.1 if self.training else 0.7
        if self.place == "buffer":
            return float(self.get_buffer("strongly"))
        held = {"attribute": self.alpha, "dict": self.all["alpha"], "list": self.several[0]}
        return held[self.place]

    def forward(self, x):
        return self.b(torch.tanh(self.a(reversal(x, self.strength()))))


class ReversingBlock(Reversing):
    def forward(self, x):
        return x + super().forward(x)


def twin(place, mode, depth=4) -> Any:
    torch.manual_seed(0)
    kind: Any = functools.partial(ReversingBlock, place)
    tower = Tower(depth=depth, block=kind)
    made: Any = transform(tower, 0.9, reversible=mode, layers=["h"])
    return made, made.h


def net(place, mode, depth=4) -> Any:
    torch.manual_seed(0)
    made: Any = MomentumNet([Reversing(place) for _ in range(depth)], 0.9, reversible=bool(mode))
    return made, made.functions


def repeated(place, mode, depth=4) -> Any:
    torch.manual_seed(0)
    made: Any = MomentumNet([Reversing(place)] * depth, 0.9, reversible=bool(mode))
    return made, made.functions


@pytest.mark.parametrize("mode", [True, "auto"])
@pytest.mark.parametrize("make", [twin, net, repeated])
@pytest.mark.parametrize("place", ["attribute", "dict", "list", "mode", "buffer"])
def test_a_change_that_no_value_shows_leaves_the_gradient_as_it_was(place, make, mode):
    def gradients(mode):
        model, parts = make(place, mode)
        losses = []
        for k, alpha in enumerate((0.1, 0.7, 0.2)):
            for part in parts:
                part.put(alpha)
            losses.append(model((k + 1) * sample()).square().sum())
        (losses[0] + losses[1]).backward()
        assert [part.alpha for part in parts] == [0.2] * 4
        assert all(float(part.strongly) == pytest.approx(0.2) for part in parts)
        assert all(part.training for part in parts)
        return [p.grad for p in model.parameters()]

    assert error(gradients(mode), gradients(False)) <= 1e-12


def test_functions_at_several_places_hold_their_attributes_once():
    model, _ = repeated("attribute", True, depth=30)
    y = model(sample())
    link = y.grad_fn
    while not hasattr(link, "run"):
        link = link.next_functions[0][0]
    assert len({id(layer.first.call.attributes) for layer in link.run.layers}) == 1


class Counts(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.calls = nn.Linear(4, 4).double(), 0

    def forward(self, x):
        self.calls += 1
        return torch.tanh(self.calls * self.a(x))


def test_what_each_call_sets_is_found_again_and_moved_once():
    found = []
    for reversible in (True, False):
        torch.manual_seed(0)
        function = Counts()
        model = MomentumNet([function] * 4, 0.9, reversible=reversible)
        loss = model(sample()).square().sum()
        function.calls = 100
        loss.backward()
        assert function.calls == 100
        found.append([p.grad for p in model.parameters()])
    assert error(*found) <= 1e-12


class KeepsLoss(nn.Module):
    """Leaves a tensor with its graph in an attribute, as losses of experts are."""

    def __init__(self):
        super().__init__()
        self.a, self.loss = nn.Linear(4, 4).double(), torch.zeros(())

    def forward(self, x):
        y = self.a(x)
        self.loss = y.square().mean()
        return torch.tanh(y)


def test_passes_do_not_keep_each_other_by_what_they_leave_in_attributes():
    model = MomentumNet([KeepsLoss() for _ in range(3)], 0.9)

    def alive():
        gc.collect()
        return sum(isinstance(o, Trajectory) for o in gc.get_objects())

    def step():
        y = model(sample())
        losses: list[Any] = [function.loss for function in model.functions]
        (y.sum() + sum(losses)).backward()

    step()
    before = alive()
    for _ in range(5):
        step()
    assert alive() <= before


class InObjects(nn.Module):
    def __init__(self, depth):
        super().__init__()
        self.a, self.bag = nn.Linear(4, 4), SimpleNamespace(count=0, more=[])
        for _ in range(depth):
            self.bag.more.append(SimpleNamespace(made=None))

    def forward(self, x):
        self.bag.count += 1
        for part in self.bag.more:
            part.made = self.a.weight.sin()
        return self.a(x)


def test_a_trial_leaves_nothing_in_objects():
    function = InObjects(100)
    with tried(function, Snapshot(), torch.device("cpu"), hooks=True):
        function(torch.ones(4))
        assert function.bag.count == 1
        assert function.bag.more[99].made is not None
    assert function.bag.count == 0
    assert all(part.made is None for part in function.bag.more)


def test_objects_that_lead_to_very_many_end_the_search():
    held = chain = SimpleNamespace(next=None)
    for _ in range(200_000):
        chain.next = SimpleNamespace(next=None)
        chain = chain.next
    function: Any = nn.Identity()
    function.held = held
    assert len(Snapshot(modules=[function], objects=True)._held) <= 10_001
    while held is not None:  # a chain let go at once would exhaust the stack
        held = held.next


def test_a_block_that_is_read_and_not_written_puts_nothing_back():
    function = Reversing("attribute")
    random = RandomStates.current(torch.device("cpu"))
    with FunctionCall.recording([*function.modules()], random) as call:
        function(sample())
    assert not call.moved
    assert not call.attributes.changed(call.moved)
    function.alpha = 3.0
    assert call.attributes.changed(call.moved)


def test_rows_of_the_twin_are_held_as_these_tests_mean():
    for mode, expected in ((True, "exact"), ("auto", "checkpoint")):
        model, _ = twin("attribute", mode)
        model(sample())
        assert {row.mode for row in twin_report(model).rows} == {expected}


class Attends(nn.Module):
    def __init__(self):
        super().__init__()
        self.q, self.o = nn.Linear(4, 12), nn.Linear(4, 4)

    def forward(self, x):
        parts = self.q(x).view(1, -1, 3, 2, 2).permute(2, 0, 3, 1, 4)
        y = nn.functional.scaled_dot_product_attention(*parts)
        return x + self.o(y.transpose(1, 2).reshape(x.shape))


@pytest.mark.parametrize("mode", [True, "auto"])
@pytest.mark.parametrize("kernel", [SDPBackend.MATH, SDPBackend.FLASH_ATTENTION])
def test_kernels_of_attention_are_those_of_the_forward_pass(kernel, mode):
    def gradients(mode):
        model: Any = transform(Tower(depth=4, block=Attends), 0.9, reversible=mode, layers=["h"])
        with sdpa_kernel(kernel):
            y = model(sample(rows=40))
        before = attention_kernels()
        y.square().sum().backward()
        assert attention_kernels() == before
        return [p.grad for p in model.parameters()]

    assert error(gradients(mode), gradients(False)) <= 1e-12


def sums(h, x):
    """As densely connected blocks: each gets all states so far, its own input among them."""
    states = [x]
    for block in h:
        x = block(x, states)
        states.append(x)
    return x


class Dense(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = nn.Linear(4, 4)

    def forward(self, x, states):
        return x + torch.tanh(self.a(x + sum(states) / len(states)))


@pytest.mark.parametrize("mode", [True, "auto"])
def test_a_block_that_gets_its_input_in_a_list_as_well(mode):
    def gradients(mode):
        model: Any = transform(Tower(sums, 5, Dense), 0.9, reversible=mode, layers=["h"])
        x = sample()
        model(x).square().sum().backward()
        return [x.grad, *(p.grad for p in model.parameters())]

    assert error(gradients(mode), gradients(False)) <= 1e-12
