"""Rows that start with v0 = f(x0): the first block is the original's, v1 = f(x0)."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from odemom import InvalidInputError
from odemom.nn import MomentumNet, transform, twin_report
from tests.nn.momentum_oracle import error
from tests.nn.transform.towers import GAMMA, MODES, Tower, silent, value_and_gradients


def from_the_field(blocks, x):
    """The definition, written down."""
    v = blocks[0](x) - x
    for block in blocks:
        v = GAMMA * v + (1 - GAMMA) * (block(x) - x)
        x = x + v
    return x


class Written(nn.Module):
    def __init__(self, blocks):
        super().__init__()
        self.blocks = blocks

    def forward(self, x):
        return from_the_field(self.blocks, x)


def twin_of(model, mode, **options) -> Any:
    return transform(
        model, GAMMA, reversible=mode, layers=["h"], initial_velocity="field", **options
    )


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("depth", [1, 2, 3, 9])
def test_value_and_gradients_are_those_of_the_definition(mode, depth):
    model = Tower(depth=depth)
    expected = value_and_gradients(Written(model.h))
    twin = twin_of(model, mode)
    assert error(silent(twin), expected) <= 1e-11
    with torch.no_grad():
        assert error([twin(torch.ones(2, 4).double())], [model_value(model, 2)]) <= 1e-11
    (row,) = twin_report(twin).rows
    assert row.layers == depth


def model_value(model, rows):
    return from_the_field(model.h, torch.ones(rows, 4).double())


def test_it_is_the_momentum_network_with_the_first_function_for_its_velocity():
    model = Tower()

    class Residual(nn.Module):
        def __init__(self, block):
            super().__init__()
            self.block = block

        def forward(self, x):
            return self.block(x) - x

    functions = [Residual(block) for block in model.h]
    expected = value_and_gradients(MomentumNet(functions, GAMMA, initial_velocity=functions[0]))
    order = [expected[0], expected[1]]
    grads = [p.grad.clone() for p in model.parameters() if p.grad is not None]
    assert error(silent(twin_of(model, True)), [*order, *grads]) <= 1e-11


def test_the_first_block_of_a_row_is_the_original_one_and_not_that_of_velocity_zero():
    model: Any = Tower(depth=1)
    x = torch.ones(2, 4).double()
    assert torch.allclose(twin_of(model, False)(x), model(x))
    zero: Any = transform(model, GAMMA, reversible=False, layers=["h"])
    assert not torch.allclose(zero(x), model(x))


@pytest.mark.parametrize("mode", MODES)
def test_a_backward_pass_that_keeps_the_graph_can_be_repeated(mode):
    model = Tower()
    x = torch.ones(2, 4, dtype=torch.float64, requires_grad=True)
    y = twin_of(model, mode)(x).square().sum()
    (first,) = torch.autograd.grad(y, x, retain_graph=True)
    (second,) = torch.autograd.grad(y, x)
    (expected,) = torch.autograd.grad(from_the_field(model.h, x).square().sum(), x)
    assert torch.equal(first, second)
    assert error([first], [expected]) <= 1e-11


def test_half_precision_keeps_the_velocity_in_single():
    model: Any = Tower(depth=4).to(torch.bfloat16)
    x = torch.ones(2, 4, dtype=torch.bfloat16)
    exact, plain = twin_of(model, True)(x), twin_of(model, False)(x)
    assert exact.dtype == plain.dtype == torch.bfloat16
    assert torch.allclose(exact.float(), plain.float(), rtol=2**-7, atol=2**-7)


@pytest.mark.parametrize("mode", MODES)
def test_dropout_draws_the_same_numbers_again(mode):
    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear, self.dropout = nn.Linear(4, 4), nn.Dropout(0.5)

        def forward(self, x):
            return x + self.dropout(torch.tanh(self.linear(x)))

    model = Tower(depth=5, block=Block)
    torch.manual_seed(3)
    found = [g.clone() for g in silent(twin_of(model, mode))]
    torch.manual_seed(3)
    assert error(found, value_and_gradients(twin_of(model, False))) <= 1e-11


@pytest.mark.parametrize(
    ("options", "said"),
    [({"initial_velocity": "one"}, "initial_velocity"), ({"residual": True}, "functions\\[0\\]")],
)
def test_what_is_refused(options, said):
    options = {"layers": ["h"], "initial_velocity": "field"} | options
    with pytest.raises(InvalidInputError, match=said):
        transform(Tower(), GAMMA, **options)
