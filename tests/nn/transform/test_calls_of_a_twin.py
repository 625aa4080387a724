"""Twins given what they returned, blocks called several times, copied, or held elsewhere."""

from __future__ import annotations

import copy
import warnings
from typing import Any

import pytest
import torch
from torch import nn

from odemom.errors import InvalidInputError
from odemom.nn import MomentumNet, transform
from odemom.nn.transform import restore
from tests.nn.momentum_oracle import error
from tests.nn.transform.towers import GAMMA, MODES, Block, Tower, momentum, sample


@pytest.mark.parametrize("mode", MODES)
def test_a_twin_is_a_function_of_its_input_where_it_is_given_what_it_returned(mode):
    model = Tower(depth=5)
    for several in (True, False):
        net: Any = nn.Sequential(*model.h) if several else model
        twin = transform(net, GAMMA, reversible=mode, layers=["" if several else "h"])
        once = momentum(model.h, sample())
        expected = momentum(model.h, once)
        for gradients in (True, False):
            with torch.set_grad_enabled(gradients), warnings.catch_warnings():
                warnings.simplefilter("error")
                y = twin(sample())
                for other in (y, y.clone(), y):
                    assert error([twin(other).detach()], [expected.detach()]) <= 1e-13
        x, y = sample(), sample()
        twin(twin(x)).square().sum().backward()
        momentum(model.h, momentum(model.h, y)).square().sum().backward()
        assert error([x.grad], [y.grad]) <= 1e-11


@pytest.mark.parametrize("mode", MODES)
def test_calls_that_fail_or_run_beside_each_other_are_told_apart(mode):
    def loop(h, x):
        if len(x) == 1:
            raise ValueError("too small")
        for block in h:
            x = block(x)
        return x

    model: Any = Tower(loop)
    twin: Any = transform(model, GAMMA, reversible=mode, layers=["h"])
    with pytest.raises(ValueError, match="too small"):
        twin(sample(rows=1))
    x = sample()
    for block in twin.h[:4]:  # outside of a call of the twin
        x = block(x)
    twin(sample())
    for block in twin.h[4:]:
        x = block(x)
    assert error([x.detach()], [momentum(model.h, sample()).detach()]) <= 1e-13


@pytest.mark.parametrize("mode", MODES)
def test_several_calls_with_one_state_are_said_also_of_the_last_block(mode):
    model: Any = Tower(depth=4)
    twin: Any = transform(model, GAMMA, reversible=mode, layers=["h"])
    with torch.no_grad():
        y = sample()
        for block in twin.h[:3]:
            y = block(y)
        twin.h[3](y)
        with pytest.warns(UserWarning, match=r"h\.3 .*already gone on.*x\.clone\(\)"):
            twin.h[3](y)
        assert torch.equal(twin.h[3](y.clone()), twin.h[3](y.clone()))


@pytest.mark.parametrize("mode", MODES)
def test_a_copy_of_a_block_in_the_list_is_a_layer_of_the_row(mode):
    model: Any = Tower(depth=3)
    twin: Any = transform(model, GAMMA, reversible=mode, layers=["h"])
    twin(sample())
    for n in (2, 0):
        twin.h.append(copy.deepcopy(twin.h[n]))
        with torch.no_grad():
            twin.h[-1].linear.weight.mul_(2)
    assert not torch.equal(twin.h[-1].linear.weight, model.h[0].linear.weight)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = twin(sample())
    blocks: Any = nn.ModuleList(restore(twin).h)
    assert error([found.detach()], [momentum(blocks, sample()).detach()]) <= 1e-13
    other: Any = copy.deepcopy(twin)
    with torch.no_grad():
        other.h[0].linear.weight.zero_()
    assert torch.equal(twin(sample()), found)
    assert not torch.equal(other(sample()), found)


# --- modules that are held elsewhere than among the children ------------------------------------


class Head(nn.Module):
    """Calls what another module holds."""

    def __init__(self, body, held):
        super().__init__()
        self.__dict__["held"] = {
            "plain": body, "tuple": (body,), "method": body.forward
        }[held]  # fmt: skip

    def forward(self, x):
        held: Any = self.__dict__["held"]
        return (held[0] if isinstance(held, tuple) else held)(x)


class Headed(nn.Module):
    def __init__(self, held, *, first):
        super().__init__()
        body = Tower()
        if first:
            self.head = Head(body, held)
        self.body = body
        if not first:
            self.head = Head(body, held)

    def forward(self, x):
        return self.head(x)


@pytest.mark.parametrize("first", [False, True])
@pytest.mark.parametrize("held", ["plain", "tuple", "method"])
def test_a_module_that_holds_the_blocks_of_another_one_calls_those_of_the_twin(held, first):
    model: Any = Headed(held, first=first)
    before = model(sample())
    twin: Any = transform(model, GAMMA, layers=["body.h"])
    expected = momentum(model.body.h, sample())
    assert error([twin(sample()).detach()], [expected.detach()]) <= 1e-13
    assert torch.equal(model(sample()), before)
    assert torch.equal(restore(twin)(sample()), before)


@pytest.mark.parametrize("around", ["closure", "closure in a closure"])
def test_a_function_that_closes_over_the_model_calls_the_twin(around):
    class Closing(Tower):
        def __init__(self):
            super().__init__()
            runs = []

            def run(x):
                runs.append(1)
                return super(Closing, self).forward(x)

            self.runs = runs
            self.run = {
                "closure": run,
                "closure in a closure": lambda x, *, scale=1: scale * run(x),
            }[around]

        def forward(self, x):
            return self.run(x)

    model: Any = Closing()
    twin: Any = transform(model, GAMMA, layers=["h"])
    expected = momentum(model.h, sample())
    assert error([twin(sample()).detach()], [expected.detach()]) <= 1e-13
    assert twin.runs is model.runs == [1]  # the user's own list
    assert not torch.equal(model(sample()), expected)


# --- what is refused ----------------------------------------------------------------------------


def test_a_gamma_that_wants_a_gradient_is_refused():
    gammas: list[Any] = [nn.Parameter(torch.tensor(0.9)), torch.tensor(0.5, requires_grad=True)]
    for gamma in gammas:
        with pytest.raises(InvalidInputError, match=r"gamma: .*requires a gradient"):
            transform(Tower(), gamma, layers=["h"])
        for reversible in (True, False):
            with pytest.raises(InvalidInputError, match=r"gamma: .*requires a gradient"):
                MomentumNet([Block()], gamma=gamma, reversible=reversible)


def test_a_convolution_with_the_name_of_a_block_and_no_skip_is_no_block():
    class DepthwiseSeparableConv(nn.Module):  # as in MobileNetV1
        def __init__(self):
            super().__init__()
            self.linear = nn.Linear(4, 4)

        def forward(self, x):
            return torch.relu(self.linear(x))

    with pytest.raises(InvalidInputError, match="no known residual block"):
        transform(nn.Sequential(*(DepthwiseSeparableConv() for _ in range(3))))
