"""Blocks whose inside is recomputed: the second call is the first one again, or is found out."""

from __future__ import annotations

import weakref
from copy import deepcopy
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations, prune

from odemom.errors import InvalidInputError, ReversibilityError
from odemom.nn import Checkpointed, MomentumNet, transform, twin_report
from odemom.nn.reversible import capture
from tests.nn.momentum_oracle import error
from tests.nn.transform.towers import Tower, sample

pytestmark = pytest.mark.filterwarnings("ignore:.*torch.nn.utils.spectral_norm:FutureWarning")


def tower(middle: Any = nn.Identity, depth=3) -> Any:
    """A short row of blocks x + W tanh(middle(A x))."""

    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b, self.middle = nn.Linear(4, 4), nn.Linear(4, 4), middle()

        def forward(self, x, *more):
            return x + self.b(torch.tanh(self.middle(self.a(x), *more)))

    return Tower(depth=depth, block=Block).double()


def twins(model) -> Any:
    """The plain twin, which remembers, and the one that recomputes."""
    return [
        transform(deepcopy(model), 0.9, reversible=mode, layers=["h"]) for mode in (False, "auto")
    ]


def step(twin):
    torch.manual_seed(1)
    twin(sample()).square().sum().backward()


class Moving(nn.Module):
    """Its value depends on a buffer that it moves, in place or by assignment."""

    def __init__(self, in_place):
        super().__init__()
        self.in_place = in_place
        self.register_buffer("mean", torch.ones(4))

    def forward(self, x):
        if self.in_place:
            self.mean.mul_(0.5).add_(x.detach().mean(0))
        else:
            self.mean = 0.5 * self.mean + x.detach().mean(0)
        return x * self.mean


class Ramp(nn.Module):
    """Makes tensors of the default dtype."""

    def forward(self, x):
        return x * torch.full((4,), 0.1).to(x)


def two_forward_passes(twin):
    first, second = twin(sample()), twin(2 * sample())
    (first.sum() + second.square().sum()).backward()


def given_parameters(twin):
    """As in meta-learning: the parameters are another tensor's function."""
    given = {name: 1.3 * p for name, p in twin.named_parameters()}
    torch.func.functional_call(twin, given, (sample(),)).square().sum().backward()


def given_buffers(twin):
    twin.eval()
    given = {k: b + 1 if b.is_floating_point() else b for k, b in twin.named_buffers()}
    torch.func.functional_call(twin, given, (sample(),)).square().sum().backward()


def another_default(twin):
    y = twin(sample())
    try:
        torch.set_default_dtype(torch.float64)
        y.square().sum().backward()
    finally:
        torch.set_default_dtype(torch.float32)


def in_inference_mode(twin):
    y = twin(sample()).square().sum()
    with torch.inference_mode():
        y.backward()


def to_eval(twin):
    y = twin(sample()).square().sum()
    twin.eval()
    y.backward()
    assert not any(part.training for part in twin.modules())


def kept_graph(twin):
    y = twin(sample()).square().sum()
    y.backward(retain_graph=True)
    y.backward()


@pytest.mark.parametrize(
    ("middle", "run"),
    [
        (nn.Identity, given_parameters),
        (lambda: nn.BatchNorm1d(4), given_buffers),
        (lambda: parametrizations.spectral_norm(nn.Linear(4, 4)), step),
        (lambda: nn.utils.spectral_norm(nn.Linear(4, 4)), step),
        (lambda: nn.utils.spectral_norm(nn.Linear(4, 4)), two_forward_passes),
        (lambda: Moving(True), step),
        (lambda: Moving(False), two_forward_passes),
        (lambda: nn.BatchNorm1d(4), two_forward_passes),
        (lambda: nn.Dropout(0.5), kept_graph),
        (lambda: nn.BatchNorm1d(4), to_eval),
        (lambda: nn.Dropout(0.5), to_eval),
        (nn.Identity, in_inference_mode),
        (Ramp, another_default),
    ],
)
def test_gradients_and_buffers_are_those_of_a_pass_that_remembers(middle, run):
    plain, recomputing = twins(tower(middle))
    for twin in (plain, recomputing):
        torch.manual_seed(1)
        run(twin)
    assert {row.mode for row in twin_report(recomputing).rows} == {"checkpoint"}
    for (name, p), q in zip(plain.named_parameters(), recomputing.parameters(), strict=True):
        assert (p.grad is None) == (q.grad is None), name
        if p.grad is not None:
            assert torch.allclose(p.grad, q.grad, rtol=1e-10, atol=1e-12), name
    for b, c in zip(plain.buffers(), recomputing.buffers(), strict=True):
        assert torch.allclose(b, c)


def optimizer_step(twin):
    with torch.no_grad():
        for p in twin.parameters():
            p.mul_(1.1)


def without_versions(twin):
    for p in twin.parameters():
        p.data.mul_(1.1)


def moved_statistics(twin):
    for b in twin.buffers():
        b.add_(1)


def hooked(twin):
    for block in twin.h:
        block.a.register_forward_hook(lambda m, a, o: 2 * o)


def pruned():
    return prune.l1_unstructured(nn.Linear(4, 4), "weight", 0.5)


def without_pruning(twin):
    for block in twin.h:
        prune.remove(block.middle, "weight")


class OwnNumbers(nn.Module):
    """Draws from NumPy's generator, which nobody puts back."""

    def forward(self, x):
        return x * torch.as_tensor(np.random.default_rng().random(4))


class Iterates(nn.Module):
    def __init__(self):
        super().__init__()
        self.numbers = iter([1.0])

    def forward(self, x):
        return x * next(self.numbers)


@pytest.mark.parametrize(
    ("middle", "change", "said"),
    [
        (nn.Identity, optimizer_step, "modified by an inplace operation.* a.weight was changed"),
        (nn.Identity, without_versions, r"did not recompute .*through \.data"),
        (lambda: nn.BatchNorm1d(4).eval(), moved_statistics, "did not recompute the bits"),
        (pruned, without_pruning, "hooks of middle were added or removed"),
        (nn.Identity, hooked, "forward hooks of a were added or removed"),
        (OwnNumbers, lambda twin: None, "did not recompute .*NumPy's"),
        (Iterates, lambda twin: None, "its second call failed, StopIteration"),
    ],
)
@pytest.mark.parametrize("late", [False, True])
def test_what_has_changed_is_named(middle, change, said, late, monkeypatch):
    monkeypatch.setattr(capture, "waits_late", lambda device: late)
    recomputing = transform(tower(middle), 0.9, layers=["h"])
    y = recomputing(sample())
    change(recomputing)
    with pytest.raises(ReversibilityError, match=rf"^h\.2 \(Block\): .*{said}"):
        y.square().sum().backward()


def test_nothing_of_the_inside_is_held():
    inner = []
    recomputing: Any = transform(tower(), 0.9, layers=["h"])
    for block in recomputing.h:
        block.b.register_forward_pre_hook(lambda m, args: inner.append(weakref.ref(args[0])))
    y = recomputing(sample())
    assert len(inner) == 3
    assert not any(reference() is not None for reference in inner)
    y.sum().backward()


@pytest.mark.parametrize("late", [False, True])
def test_nothing_is_said_where_nothing_has_changed(late, monkeypatch):
    monkeypatch.setattr(capture, "waits_late", lambda device: late)
    _, recomputing = twins(tower(lambda: nn.Dropout(0.5)))
    kept_graph(recomputing)


def test_an_attribute_set_between_the_passes_is_put_back():
    class Scaled(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b, self.factor = nn.Linear(4, 4), nn.Linear(4, 4), 2.0

        def forward(self, x):
            return x + self.b(torch.tanh(self.factor * self.a(x)))

    found = []
    for twin in twins(Tower(depth=3, block=Scaled).double()):
        value = twin(sample()).square().sum()
        for module in twin.modules():
            if hasattr(module, "factor"):
                module.factor = 5.0
        found.append(torch.autograd.grad(value, [*twin.parameters()]))
    assert error(found[1], found[0]) < 1e-12


def test_an_argument_changed_in_place_is_refused():
    class Adds(nn.Module):
        def forward(self, x, total):
            total += x.detach()
            return x + total

    _, recomputing = twins(tower(Adds))
    recomputing.loop = lambda h, x: [x := block(x, total) for block in h][-1]
    total = torch.zeros(3, 4, dtype=torch.float64)
    with pytest.raises(InvalidInputError, match=r"h\.0 .*a tensor among its arguments in place"):
        recomputing(sample())


def test_an_argument_changed_afterwards_is_found():
    class Times(nn.Module):
        def forward(self, x, factor):
            return x * factor

    _, recomputing = twins(tower(Times))
    factor = torch.full((4,), 0.5, dtype=torch.float64)
    recomputing.loop = lambda h, x: [x := block(x, factor) for block in h][-1]
    y = recomputing(sample())
    factor.mul_(2)
    with pytest.raises(ReversibilityError, match="a parameter or an argument was modified"):
        y.sum().backward()


@pytest.mark.parametrize("mode", [True, "auto"])
def test_a_block_outside_rows_that_changes_its_input(mode):
    class Widens(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = nn.Linear(4, 8).double()

        def forward(self, x):
            return self.linear(x.mul_(2))

    model: Any = tower()
    model.h.append(Widens())
    twin: Any = transform(model, 0.9, reversible=mode, layers=["h"])
    with pytest.raises(InvalidInputError, match=r"h\.3 \(Widens\): .*changes its input in place"):
        twin(sample())


def test_the_checkpointed_baseline_finds_them_too():
    torch.manual_seed(0)
    functions = [nn.Sequential(nn.Linear(4, 4), nn.Tanh()).double() for _ in range(5)]
    net = MomentumNet(functions, 0.9, reversible=False)
    found = []
    for run in (net, Checkpointed(net, 2)):
        net.zero_grad()
        given_parameters(run)
        found.append([p.grad for p in net.parameters()])
    assert error(found[1], found[0]) <= 1e-12
    y = Checkpointed(net, 2)(sample())
    optimizer_step(net)
    with pytest.raises(ReversibilityError, match="layers 2 to 4 of MomentumNet: a parameter"):
        y.sum().backward()


def test_the_first_call_of_a_block_outside_rows_leaves_its_input_alone():
    class Widens(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = nn.Linear(4, 8).double()

        def forward(self, x):
            return self.linear(x.mul_(2))

    model: Any = tower()
    model.h.append(Widens())
    twin: Any = transform(model, 0.9, reversible=True, layers=["h"], rest="keep")
    plain = transform(model, 0.9, reversible=False, layers=["h"])
    assert torch.allclose(twin(sample()), plain(sample()))
