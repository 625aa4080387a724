"""Gradients of an exact pass where autograd lends its memory, and what the pass lets go of."""

from __future__ import annotations

import gc
import weakref
from typing import Any

import pytest
import torch
from torch import nn

from odemom.nn import ODEBlock
from odemom.nn.reversible.state import ReversibleState
from tests.nn.ode.fields import WIDTH, distance, gradients, net, states

SCHEMES: list[tuple[str, Any]] = [("euler", 1), ("midpoint", 1), ("euler", 2), ("leapfrog", 2)]


def found(field, way: Any, method, order: Any, *arguments) -> list[torch.Tensor]:
    name = method if method == "leapfrog" else f"reversible_{method}"
    block = ODEBlock(field, order, method=name, options={"step_size": 0.25}, gradient=way)
    x = states().requires_grad_()
    return gradients(block(x, *arguments).square(), x, *field.parameters(), *arguments)


class TwoViews(nn.Module):
    """Two parameters of which a sum of views is used: autograd gives both one gradient's memory."""

    def __init__(self) -> None:
        super().__init__()
        g = torch.Generator().manual_seed(0)
        size = WIDTH * WIDTH
        self.a, self.b = (
            nn.Parameter(0.3 * torch.randn(size, generator=g, dtype=torch.float64))
            for _ in range(2)
        )

    def forward(self, x):
        return torch.tanh(x @ (self.a.view(WIDTH, WIDTH) + self.b.view(WIDTH, WIDTH)))


class TwoArguments(nn.Module):
    """The same of two arguments."""

    def forward(self, x, c, d):
        return torch.sin(x) + c.view_as(x) + d.view_as(x)


class Energy(nn.Module):
    """A field that goes back itself, through a layer that it uses otherwise too."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = net()

    def forward(self, x):
        with torch.enable_grad():
            z = x.detach().requires_grad_()
            self.layer(z).square().sum().backward()
        assert z.grad is not None
        return self.layer(x).tanh() - 0 * z.grad


@pytest.mark.parametrize(("method", "order"), SCHEMES)
def test_two_views_of_one_gradient_are_two_gradients(method, order: Any):
    ways = [found(TwoViews(), way, method, order) for way in ("reversible", "backprop")]
    assert distance(*ways) < 1e-12
    tensors = [
        [torch.ones(3 * WIDTH, dtype=torch.float64, requires_grad=True) for _ in "cd"] for _ in ways
    ]
    ways = [
        found(TwoArguments(), way, method, order, *given)
        for way, given in zip(("reversible", "backprop"), tensors, strict=True)
    ]
    assert distance(*ways) < 1e-12


@pytest.mark.parametrize(("method", "order"), SCHEMES)
def test_a_field_that_goes_back_itself_leaves_the_sums_alone(method, order: Any):
    class Plain(Energy):
        def forward(self, x):
            return self.layer(x).tanh()

    field, plain = Energy(), Plain()
    ways = [found(field, "reversible", method, order), found(plain, "backprop", method, order)]
    assert distance(*ways) < 1e-12


@pytest.mark.parametrize(("method", "order"), SCHEMES)
def test_gradients_of_a_batch_of_directions(method, order: Any):
    directions = torch.randn(5, *states().shape, dtype=torch.float64)
    field, rows = net(), []
    for way in ("reversible", "backprop"):
        name = method if method == "leapfrog" else f"reversible_{method}"
        block = ODEBlock(field, order, method=name, options={"step_size": 0.25}, gradient=way)
        x = states().requires_grad_()
        rows.append(torch.autograd.grad(block(x), x, directions, is_grads_batched=True)[0])
    assert (rows[0] - rows[1]).abs().max() < 1e-12


@pytest.mark.parametrize(("method", "order"), SCHEMES)
@pytest.mark.parametrize("keep", [False, True])
def test_a_backward_pass_lets_go_of_the_state(method, order: Any, keep):
    """While the value is held; a graph that is kept has one state to be gone back again with."""
    options = {"step_size": 0.25}
    block = ODEBlock(net(), order, method=method, options=options, gradient="reversible")
    made, start = [], ReversibleState.__init__

    def noting(self, *pair, **settings):
        start(self, *pair, **settings)
        made.append(weakref.ref(self))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ReversibleState, "__init__", noting)
        y = block(states().requires_grad_())
    y.sum().backward(retain_graph=keep)
    gc.collect()
    assert [ref() for ref in made if ref() is not None] == []
    assert y.shape == states().shape


def test_a_value_with_a_flag_in_place_of_its_sign_is_read_with_it():
    def field(x):
        return torch.complex(x, x).conj().imag

    x = torch.tensor([0.5], requires_grad=True)
    for method, order in SCHEMES:
        values = []
        for way in ("reversible", "backprop"):
            name = method if method == "leapfrog" else f"reversible_{method}"
            settings: dict[str, Any] = {"method": name, "options": {"step_size": 0.25}}
            values.append(ODEBlock(field, order, gradient=way, **settings)(x))
        assert torch.allclose(*values, atol=1e-6)
