"""What the moves of an exact pass report, looked at one by one or at its end."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from odemom.errors import FixedPointRangeError, ReversibilityError
from odemom.nn import ODEBlock
from odemom.nn.reversible import capture
from tests.nn.ode.fields import gradients, net, states

STEPS = 6
EXACT: dict[str, Any] = {"gradient": "reversible", "options": {"step_size": 1 / STEPS}}


@pytest.fixture(params=[False, True], ids=["at once", "late"])
def late(request, monkeypatch):
    """Whether nobody waits for the device, as for one that is no CPU."""
    monkeypatch.setattr(capture, "waits_late", lambda device: request.param)
    return request.param


class Changing(nn.Module):
    """A network that is another one from the evaluation number ``last`` on."""

    def __init__(self, last: int) -> None:
        super().__init__()
        self.net, self.left = net(), last

    def forward(self, x):
        self.left -= 1
        return self.net(x) * (2 if self.left < 0 else 1)


@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize("method", ["midpoint", "leapfrog"])
def test_gradients_are_the_same_whenever_the_reports_are_read(method, order, monkeypatch):
    if method == "leapfrog" and order == 1:
        pytest.skip("a scheme of order 2")
    field, x, found = net(), states().requires_grad_(), []
    for late in (False, True):
        monkeypatch.setattr(capture, "waits_late", lambda device, late=late: late)
        y = ODEBlock(field, order, method=method, **EXACT)(x)
        found += [gradients(y.square(), x, *field.parameters())]
    assert all(torch.equal(a, b) for a, b in zip(*found, strict=True))


def test_the_move_at_which_a_field_becomes_another_is_named(late):
    """Of the twelve moves of six steps, the two last were made by another field than the rest."""
    field = Changing(2 * STEPS + 2)
    y = ODEBlock(field, 1, method="euler", **EXACT)(states().requires_grad_())
    with pytest.raises(ReversibilityError, match=f"at move {2 * STEPS - 3} of {2 * STEPS}"):
        y.sum().backward()


def test_a_pass_can_be_gone_back_twice_and_each_time_is_looked_at(late):
    field, x = Changing(4 * STEPS), states().requires_grad_()
    y = ODEBlock(field, 1, method="euler", **EXACT)(x)
    y.sum().backward(retain_graph=True)
    assert x.grad is not None
    with pytest.raises(ReversibilityError, match=f"at move {2 * STEPS - 1} of {2 * STEPS}"):
        y.sum().backward()


@pytest.mark.parametrize(
    ("size", "move", "at_once"),
    [
        (1.2e6, 4, "a magnitude of 600001"),
        (2.4e6, 0, "an increment of 400000"),
        (1e9, 0, r"an increment of 1.66667e\+08"),
        (float("inf"), 0, "a value that is not finite;"),
        (float("nan"), 0, "a value that is not finite;"),
    ],
)
def test_the_move_that_leaves_the_range_is_named(late, size, move, at_once):
    """The range of float32 ends at 2^19; 2^18 is the most that one move can add."""
    block = ODEBlock(lambda x: size + 0 * x, 1, method="euler", **EXACT)
    said = "a value that is not finite, or larger than" if late and move == 0 else at_once
    with pytest.raises(FixedPointRangeError, match=rf"move {move} of the solver: got {said}"):
        block(torch.ones(3, 4, dtype=torch.float32, requires_grad=True))


@pytest.mark.parametrize(
    ("method", "sizes", "said"),
    [
        ("euler", [0.0, 2.4e6], r"an increment of 400000; .* resolution=43 adds .* below 262144"),
        ("euler", [0.0, 1.2e6], r"a magnitude of 6.*; .* resolution=43 holds .* below 524288"),
        ("euler", [6e17, 0.0], r"an increment of 1e\+17; .* resolution=5 adds"),
        ("leapfrog", [0.0, 4e7], r"an increment of 6.*e\+06; .* resolution=43 adds"),
        ("leapfrog", [0.0, 1.6e6], r"a magnitude of 629.*; .* resolution=43 holds"),
    ],
)
def test_the_sample_that_left_the_range_is_the_one_told_of(method, sizes, said):
    """Two samples of their own units, of which the first is large; leapfrog starts at rest."""
    pushed = torch.tensor(sizes)[:, None]

    def field(t, x):
        return pushed * (1 if method == "euler" or t > 0.2 else 0) + 0 * x

    block = ODEBlock(field, 1 if method == "euler" else 2, method=method, **EXACT)
    x = torch.tensor([[1e12, -3e12], [1.0, 2.0]], requires_grad=True)
    with pytest.raises(FixedPointRangeError, match=said):
        block(x)
