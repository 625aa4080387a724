"""The field of the backward pass is that of the forward pass: put back, or refused by name."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from odemom.errors import DoubleBackwardError, InvalidInputError, ReversibilityError
from odemom.nn import ODEBlock
from tests.nn.ode.fields import RK4, WIDTH, Given, Holding, Timed, distance, gradients, net, states

TIGHT: dict[str, Any] = {"rtol": 1e-9, "atol": 1e-9}
ADJOINT: dict[str, Any] = {"gradient": "adjoint", **TIGHT}
REVERSIBLE: dict[str, Any] = {"gradient": "reversible", **RK4}
EXACT = {"gradient": "backprop", "method": "reversible_rk4", "options": RK4["options"]}
# Each way, plain autograd through the same solver, and how far their gradients may be apart: the
# tolerance of both passes with the growth of errors over them, or the rounding of the fixed point.
WAYS = [(ADJOINT, TIGHT, 1e-6), (REVERSIBLE, EXACT, 1e-12)]
HIDDEN = [ADJOINT, REVERSIBLE]
# What is refused is refused at any accuracy.
COARSE: list[dict[str, Any]] = [
    {"gradient": "adjoint", "rtol": 1e-3, "atol": 1e-3},
    {"gradient": "reversible", "method": "rk4", "options": {"step_size": 0.25}},
]


# --- tensors that are neither parameters nor arguments ------------------------------------------


def an_encoders_output(field, x):
    field.c = nn.Linear(WIDTH, WIDTH, dtype=torch.float64)(x)


def a_function_of_the_input(field, x):
    field.c = x.square()


def a_function_of_its_own_parameter(field, x):
    field.c = field.net[0].weight.sum()


def a_leaf(field, x):
    field.c = torch.ones(WIDTH, dtype=torch.float64, requires_grad=True)


def a_leaf_in_a_list(field, x):
    class Pair(list):
        def __rmul__(self, value):
            return value * self[0]

    field.c = Pair([torch.ones(WIDTH, dtype=torch.float64, requires_grad=True)])


def a_buffer_with_a_gradient(field, x):
    del field.c
    field.register_buffer("c", torch.ones(WIDTH, dtype=torch.float64, requires_grad=True))


@pytest.mark.parametrize("way", COARSE, ids=["adjoint", "reversible"])
@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize(
    "put",
    [
        an_encoders_output,
        a_function_of_the_input,
        a_function_of_its_own_parameter,
        a_leaf,
        a_leaf_in_a_list,
        a_buffer_with_a_gradient,
    ],
)
def test_a_tensor_that_no_gradient_would_reach_is_refused(put, order, way):
    field, x = Holding(), states().requires_grad_()
    put(field, x)
    with pytest.raises(InvalidInputError, match="neither the field's parameter nor an argument"):
        ODEBlock(field, order, **way)(x)


@pytest.mark.parametrize("way", COARSE, ids=["adjoint", "reversible"])
def test_a_tensor_that_the_field_uses_later_is_refused(way):
    class Late(Timed):
        c = torch.ones(WIDTH, dtype=torch.float64, requires_grad=True)

        def forward(self, t, x):
            return super().forward(t, x) * (self.c if t > 0.5 else 1)

    with pytest.raises(InvalidInputError, match="neither the field's parameter nor an argument"):
        ODEBlock(Late(), **way)(states())


@pytest.mark.parametrize(("way", "plain", "bound"), WAYS, ids=["adjoint", "reversible"])
def test_what_is_passed_to_the_call_gets_its_gradient(way, plain, bound):
    found = []
    for settings in (way, plain):
        field, x = Given(), states().requires_grad_()
        context = torch.linspace(0.5, 1, WIDTH, dtype=torch.float64).requires_grad_()
        y = ODEBlock(field, **settings)(x, context.exp())
        found.append(gradients(y, x, context, *field.parameters()))
    assert distance(*found) < bound


@pytest.mark.parametrize("way", HIDDEN, ids=["adjoint", "reversible"])
def test_a_field_may_take_gradients_of_its_own(way):
    class Hamiltonian(nn.Module):
        def __init__(self):
            super().__init__()
            self.energy: Any = net()

        def forward(self, x):
            with torch.enable_grad():
                x = x if x.requires_grad else x.requires_grad_()
                return -torch.autograd.grad(self.energy(x).sum(), x, create_graph=True)[0]

    found = []
    for settings in (way, EXACT if "method" in way else TIGHT):
        field: Any = Hamiltonian()
        x = states().requires_grad_()
        # The last bias does not move the force.
        found.append(gradients(ODEBlock(field, **settings)(x), x, field.energy[0].weight))
    assert distance(*found) < 1e-6


# --- parameters -----------------------------------------------------------------------------


@pytest.mark.parametrize(("way", "plain", "bound"), WAYS, ids=["adjoint", "reversible"])
@pytest.mark.parametrize("leaf", [True, False])
def test_functional_call_gives_the_gradients_of_its_parameters(way, plain, bound, leaf):
    found = []
    for settings in (way, plain):
        block, x = ODEBlock(net(), **settings), states().requires_grad_()
        given = {n: (1.5 * p.detach()).requires_grad_() for n, p in block.named_parameters()}
        used = given if leaf else {n: 0.5 * p for n, p in given.items()}
        y = torch.func.functional_call(block, used, (x,))
        found.append(gradients(y, x, *given.values()))
    assert distance(*found) < bound


@pytest.mark.parametrize(("way", "plain", "bound"), WAYS, ids=["adjoint", "reversible"])
def test_a_hook_on_a_parameter_runs_once(way, plain, bound):
    found = []
    for settings in (way, plain):
        field = net()
        field[0].weight.register_hook(lambda g: 2 * g)
        ODEBlock(field, **settings)(states()).square().sum().backward()
        found.append([p.grad for p in field.parameters()])
    assert distance(*found) < bound


def by_data(field):
    field.net[0].weight.data.mul_(1.5)


def in_place(field):
    with torch.no_grad():
        field.net[0].bias.add_(0.5)


def sign(field):
    field.net[0].weight.data.neg_()


def an_attribute_in_place(field):
    field.c.mul_(2)


def an_attribute_by_data(field):
    field.c.data.neg_()


def a_buffer(field):
    field.shift.add_(0.5)


CHANGES = [
    by_data,
    in_place,
    sign,
    an_attribute_in_place,
    an_attribute_by_data,
    a_buffer,
]


class Shifted(Holding):
    def __init__(self):
        super().__init__(torch.ones(WIDTH, dtype=torch.float64))
        self.register_buffer("shift", torch.zeros(WIDTH, dtype=torch.float64))

    def forward(self, x):
        return super().forward(x) + self.shift


@pytest.mark.parametrize("way", COARSE, ids=["adjoint", "reversible"])
@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize("change", CHANGES)
def test_a_change_between_the_passes_is_refused(change, order, way):
    field = Shifted()
    y = ODEBlock(field, order, **way)(states().requires_grad_())
    change(field)
    with pytest.raises(ReversibilityError, match=r"changed|did not recompute"):
        y.sum().backward()


@pytest.mark.parametrize("way", COARSE, ids=["adjoint", "reversible"])
def test_an_argument_changed_between_the_passes_is_refused(way):
    context = torch.ones(WIDTH, dtype=torch.float64)
    y = ODEBlock(Given(), **way)(states(), context)
    context.mul_(2)
    with pytest.raises(ReversibilityError, match=r"changed|did not recompute"):
        y.sum().backward()


@pytest.mark.parametrize("way", COARSE, ids=["adjoint", "reversible"])
def test_a_field_that_only_keeps_books_is_no_other_field(way):
    class Counting(Holding):
        calls = 0

        def forward(self, x):
            self.calls += 1
            self.seen = x.detach()
            return super().forward(x)

    field = Counting()
    ODEBlock(field, **way)(states()).sum().backward()
    assert field.net[0].weight.grad is not None


# --- second derivatives, transforms -------------------------------------------------------------


@pytest.mark.parametrize("way", COARSE, ids=["adjoint", "reversible"])
def test_a_gradient_penalty_is_refused(way):
    x = states().requires_grad_()
    y = ODEBlock(net(), **way)(x).sum()
    with pytest.raises(DoubleBackwardError, match="gradient='backprop'"):
        torch.autograd.grad(y, x, create_graph=True)


@pytest.mark.parametrize("settings", [TIGHT, EXACT], ids=["dopri5", "reversible_rk4"])
def test_its_way_out_gives_the_second_derivative(settings):
    block = ODEBlock(nn.Tanh(), 1, **settings)
    x = states().requires_grad_()
    (slope,) = torch.autograd.grad(block(x).sum(), x, create_graph=True)
    (second,) = torch.autograd.grad(slope.sum(), x)
    step = 1e-4
    ends = [torch.autograd.grad(block(x + s).sum(), x)[0] for s in (step, -step)]
    assert torch.allclose(second, (ends[0] - ends[1]) / (2 * step), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("way", COARSE, ids=["adjoint", "reversible"])
def test_a_transform_of_torch_func_is_refused(way):
    block = ODEBlock(net(), **way)
    with pytest.raises(InvalidInputError, match=r"transform of torch\.func"):
        torch.func.grad(lambda x: block(x).sum())(states())


@pytest.mark.parametrize("way", COARSE, ids=["adjoint", "reversible"])
def test_a_graph_that_is_kept_is_gone_back_twice(way):
    field = net()
    y = ODEBlock(field, **way)(states()).sum()
    first = torch.autograd.grad(y, list(field.parameters()), retain_graph=True)
    again = torch.autograd.grad(y, list(field.parameters()))
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))


# --- random numbers and buffers -----------------------------------------------------------------


@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize(("way", "plain", "bound"), WAYS, ids=["adjoint", "reversible"])
def test_dropout_takes_one_mask_a_call(way, plain, bound, order):
    found = []
    for settings in (way, plain):
        field, x = net(nn.Dropout(0.5)), states(16).requires_grad_()
        torch.manual_seed(3)
        y = ODEBlock(field, order, **settings)(x)
        torch.rand(5)
        found.append(gradients(y, x, *field.parameters()))
    assert distance(*found) < bound


@pytest.mark.parametrize("settings", [TIGHT, ADJOINT, REVERSIBLE, RK4])
def test_the_next_call_draws_another_mask(settings):
    block = ODEBlock(net(nn.Dropout(0.5)), **settings)
    assert not torch.equal(block(states(16)), block(states(16)))


def test_a_velocity_module_draws_for_itself():
    def value(method):
        torch.manual_seed(0)
        velocity = nn.Sequential(nn.Linear(WIDTH, WIDTH, dtype=torch.float64), nn.Dropout(0.5))
        block = ODEBlock(net(nn.Dropout(0.5)), initial_velocity=velocity, **method)
        torch.manual_seed(7)
        return block(states())

    # With one mask both solve one equation; rk4 at this step is right to 1e-7.
    assert torch.allclose(value(TIGHT), value(RK4), atol=1e-6)


@pytest.mark.parametrize("settings", [TIGHT, ADJOINT, REVERSIBLE, EXACT])
def test_a_batch_norm_moves_once_a_pass(settings):
    field, x = net(nn.BatchNorm1d(WIDTH)), states(8).requires_grad_()
    ODEBlock(field, **settings)(x).sum().backward()
    assert int(field[2].num_batches_tracked) == 1


def test_it_moves_by_the_mean_over_the_evaluations():
    norm: Any = nn.BatchNorm1d(WIDTH, dtype=torch.float64)
    inputs = []
    norm.register_forward_pre_hook(lambda _, args: inputs.append(args[0].detach()))
    block = ODEBlock(nn.Sequential(norm, nn.Tanh()), 1, **RK4)
    block(states(8))
    means = torch.stack([x.mean(0) for x in inputs]).mean(0)
    assert len(inputs) == block.nfe == 80
    assert torch.allclose(norm.running_mean, 0.1 * means, rtol=1e-12)


@pytest.mark.parametrize(("way", "plain", "bound"), WAYS, ids=["adjoint", "reversible"])
def test_batch_norm_gets_right_gradients(way, plain, bound):
    found = []
    for settings in (way, plain):
        field, x = net(nn.BatchNorm1d(WIDTH)), states(8).requires_grad_()
        # The first bias is taken off again by the norm.
        found.append(gradients(ODEBlock(field, **settings)(x), x, field[0].weight, field[3].weight))
    assert distance(*found) < 10 * bound


@pytest.mark.parametrize("settings", [TIGHT, ADJOINT, REVERSIBLE])
def test_a_buffer_that_the_field_moves_moves_once(settings):
    class Moving(Holding):
        def __init__(self):
            super().__init__()
            self.register_buffer("scale", torch.ones((), dtype=torch.float64))

        def forward(self, x):
            scale: Any = self.scale
            scale.mul_(0.5)
            return self.net(x) * scale

    field: Any = Moving()
    ODEBlock(field, **settings)(states()).sum().backward()
    assert float(field.scale) == 0.5


def test_a_function_that_closes_over_a_module_is_seen_through():
    norm: Any = nn.BatchNorm1d(WIDTH, dtype=torch.float64)
    ODEBlock(lambda x: norm(x), **RK4)(states(8))
    assert int(norm.num_batches_tracked) == 1


@pytest.mark.parametrize("settings", [TIGHT, ADJOINT, REVERSIBLE])
def test_a_field_that_moves_the_state_in_place_is_refused(settings):
    field = nn.Sequential(nn.ReLU(inplace=True), *net())
    with pytest.raises(InvalidInputError, match=r"ReLU\(inplace=False\)"):
        ODEBlock(field, **settings)(states())


@pytest.mark.parametrize(("way", "plain", "bound"), WAYS, ids=["adjoint", "reversible"])
@pytest.mark.parametrize("kind", ["spectral_norm", "weight_norm", "tied", "gru"])
def test_parameters_that_are_made_of_others_get_their_gradients(kind, way, plain, bound):
    class Gru(nn.Module):
        def __init__(self):
            super().__init__()
            self.cells = nn.GRU(WIDTH, WIDTH, batch_first=True, dtype=torch.float64)

        def forward(self, x):
            return self.cells(x[:, None])[0][:, 0]

    def field():
        made: Any = Gru() if kind == "gru" else net()
        if kind == "tied":
            made[2].weight = made[0].weight
        elif kind != "gru":
            getattr(nn.utils.parametrizations, kind)(made[0])
        return made

    found = []
    for settings in (way, plain):
        torch.manual_seed(0)
        block, x = ODEBlock(field(), **settings), states().requires_grad_()
        found.append(gradients(block(x), x, *block.parameters()))
    assert distance(*found) < bound
