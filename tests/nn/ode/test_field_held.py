"""What a field reads beside its arguments is that of the forward pass when a gradient goes back."""

from __future__ import annotations

import copy
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import nn

from odemom.errors import InvalidInputError, ReversibilityError
from odemom.nn import ODEBlock
from tests.nn.ode.fields import RK4, WIDTH, Given, distance, gradients, net, states
from tests.nn.reversal import reversal

TIGHT: dict[str, Any] = {"rtol": 1e-9, "atol": 1e-9}
ADJOINT: dict[str, Any] = {"gradient": "adjoint", **TIGHT}
REVERSIBLE: dict[str, Any] = {"gradient": "reversible", **RK4}
EXACT: dict[str, Any] = {"method": "reversible_rk4", "options": RK4["options"]}
# Each way, plain autograd through the same solver, and how far their gradients may be apart.
WAYS = [(ADJOINT, TIGHT, 1e-6), (REVERSIBLE, EXACT, 1e-12)]
EACH_WAY = pytest.mark.parametrize(
    ("way", "plain", "bound"), WAYS, ids=["adjoint", "reversible"]
)  # fmt: skip
HIDDEN = pytest.mark.parametrize("way", [ADJOINT, REVERSIBLE], ids=["adjoint", "reversible"])
STRENGTH = {"c": 1.0}


class Field(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.net = net()

    def set(self, c: float) -> None:
        self.c: Any = c


class Product(Field):
    """Its first evaluation, at t = 0, does not show c."""

    def forward(self, t, x):
        return t * self.c * self.net(x)


class WithTensor(Field):
    def set(self, c):
        self.c = torch.full((WIDTH,), c, dtype=torch.float64)

    def forward(self, t, x):
        return self.net(x) + t * self.c


class Controlled(Field):
    def set(self, c):
        self.control = lambda t: c * torch.sin(t)

    def forward(self, t, x):
        return self.net(x) * self.control(t)


class WithObject(Field):
    def __init__(self):
        super().__init__()
        self.context = SimpleNamespace(c=0.0, inner=SimpleNamespace(c=0.0), itself=self)
        self.context.again = self.context

    def set(self, c):
        self.context.c = self.context.inner.c = c

    def forward(self, x):
        return self.net(x) * self.context.c * self.context.inner.c


class WithList(Field):
    def __init__(self):
        super().__init__()
        self.settings = {"c": [0.0]}

    def set(self, c):
        self.settings["c"][0] = c

    def forward(self, x):
        return self.net(x) * self.settings["c"][0]


class Swapping(Field):
    def set(self, c):
        self.activation = nn.Tanh() if c == 1.0 else nn.Sigmoid()

    def forward(self, x):
        return self.net(self.activation(x))


class Appearing(Field):
    def set(self, c):
        if c != 1.0:
            self.scale = c

    def forward(self, x):
        return self.net(x) * getattr(self, "scale", 1.0)


class Reversing(Field):
    """Its value does not depend on c at all."""

    def forward(self, x):
        return self.net(reversal(x, self.c))


class ReversingByObject(WithObject):
    def forward(self, x):
        return self.net(reversal(x, self.context.c))


FIELDS = [Product, WithTensor, Controlled, WithObject, WithList, Swapping, Appearing]


@EACH_WAY
@pytest.mark.parametrize("order", [1, pytest.param(2, marks=pytest.mark.slow)])
@pytest.mark.parametrize("kind", FIELDS)
def test_what_was_changed_is_put_back(kind, order, way, plain, bound):
    found = []
    for settings in (way, plain):
        field: Any = kind()
        block, x = ODEBlock(field, order, **settings), states().requires_grad_()
        field.set(1.0)
        first = block(x)
        field.set(3.0)
        found.append(gradients(first * block(x), x, *field.parameters()))
    assert distance(*found) < bound


@EACH_WAY
@pytest.mark.parametrize("kind", [Reversing, ReversingByObject])
def test_a_change_that_shows_in_the_gradient_alone_is_put_back(kind, way, plain, bound):
    found = []
    for settings in (way, EXACT):
        field: Any = kind()
        block, x = ODEBlock(field, 1, **settings), states().requires_grad_()
        field.set(0.1)
        first = block(x)
        field.set(1.0)
        found.append(gradients(first * block(x), x, field.net[0].weight))
    assert distance(*found) < bound


@HIDDEN
def test_afterwards_all_stands_as_before(way):
    field = WithObject()
    field.set(1.0)
    y = ODEBlock(field, **way)(states())
    field.set(3.0)
    field.eval()
    y.sum().backward()
    assert (field.context.c, field.training, field.net.training) == (3.0, False, False)


class Dropping(Field):
    """At x = 0 and t = 0 its mode does not show."""

    def __init__(self, middle):
        super().__init__()
        self.middle = middle.to(torch.float64)

    def forward(self, t, x):
        return self.middle(self.net(x) - self.net(torch.zeros_like(x))) + t


@EACH_WAY
@pytest.mark.parametrize("trains", [True, False])
@pytest.mark.parametrize(
    ("middle", "start"),
    [(nn.Dropout(0.5), torch.zeros_like(states())), (nn.BatchNorm1d(WIDTH), states(8))],
)
def test_a_switch_of_the_mode_is_undone(middle, start, trains, way, plain, bound):
    found = []
    for settings in (way, plain):
        field, x = Dropping(copy.deepcopy(middle)).train(trains), start.clone().requires_grad_()
        torch.manual_seed(3)
        y = ODEBlock(field, 1, **settings)(x)
        field.train(not trains)
        found.append(gradients(y, x, field.net[0].weight))
    assert distance(*found) < 10 * bound


class ByHelper(Field):
    """A global that its forward does not name."""

    def forward(self, t, x):
        return self.helper(t, x)

    def helper(self, t, x):
        return self.net(x) + torch.sin(3 * t) * STRENGTH["c"]


@HIDDEN
@pytest.mark.parametrize("order", [1, 2])
def test_a_global_that_has_changed_is_refused(order, way, monkeypatch):
    y = ODEBlock(ByHelper(), order, **way)(states())
    monkeypatch.setitem(STRENGTH, "c", 1.5)
    with pytest.raises(ReversibilityError, match="a global"):
        y.sum().backward()


@pytest.mark.parametrize("steps", [1, 2, 3, 8, 50])
@pytest.mark.parametrize("method", ["euler", "midpoint", "rk4"])
def test_it_is_refused_after_any_number_of_evaluations(method, steps, monkeypatch):
    settings: Any = {"method": method, "options": {"step_size": 1 / steps}}
    field = Field()
    monkeypatch.setattr(Field, "forward", lambda s, x: s.net(x) * STRENGTH["c"], raising=False)
    y = ODEBlock(field, 1, gradient="adjoint", **settings)(states())
    monkeypatch.setitem(STRENGTH, "c", 1.001)
    with pytest.raises(ReversibilityError, match="a global"):
        y.sum().backward()


@HIDDEN
def test_a_tensor_changed_in_place_is_named(way):
    class Strong(Field):
        def forward(self, x):
            return self.net(reversal(x, self.c))

    field = Strong()
    field.c = torch.tensor(0.1, dtype=torch.float64)
    y = ODEBlock(field, **way)(states())
    field.c.fill_(1.0)
    with pytest.raises(ReversibilityError, match=r"Strong\.c was changed in place"):
        y.sum().backward()


@EACH_WAY
def test_what_the_first_evaluation_draws_is_kept_for_the_call(way, plain, bound):
    class Noisy(Field):
        noise: Any = None

        def forward(self, x):
            if self.noise is None:
                self.noise = torch.randn_like(x)
            return self.net(x) * self.noise

    found = []
    for settings in (way, plain):
        torch.manual_seed(5)
        field, x = Noisy(), states().requires_grad_()
        block = ODEBlock(field, 1, **settings)
        first, field.noise = block(x), None
        found.append(gradients(first * block(x), x, *field.parameters()))
    assert distance(*found) < bound


@HIDDEN
@pytest.mark.parametrize("reset", [False, True])
def test_a_counter_goes_on_counting(reset, way):
    class Counting(Field):
        count = 0

        def forward(self, x):
            self.count += 1
            self.rows = len(x)
            return self.net(x)

    field = Counting()
    block, other = ODEBlock(field, 1, **way), ODEBlock(field, 1, **way)
    y, _ = block(states(3)), other(states(5))
    before = field.count = 0 if reset else field.count
    y.sum().backward()
    compared = 2 if way is ADJOINT else 0
    assert (field.count, field.rows) == (before + block.nfe_backward + compared, 5)


@pytest.mark.parametrize("method", ["euler", "midpoint", "heun3"])
def test_a_counter_goes_on_counting_in_a_single_step(method):
    class Counting(Field):
        count = 0

        def forward(self, x):
            self.count += 1
            return self.net(x)

    field = Counting()
    block = ODEBlock(field, 1, gradient="adjoint", method=method, options={"step_size": 1.0})
    y = block(states())
    field.count = 0
    y.sum().backward()
    assert field.count == block.nfe_backward + min(2, block.nfe)


def test_rounding_is_no_change(monkeypatch):
    """A sum of atomic additions comes in another order each time."""
    field = Field()
    monkeypatch.setattr(Field, "forward", lambda s, x: s.net(x) * STRENGTH["c"], raising=False)
    y = ODEBlock(field, 1, **ADJOINT)(states())
    monkeypatch.setitem(STRENGTH, "c", 1 + 1e-15)
    y.sum().backward()
    assert field.net[0].weight.grad is not None


# --- batches of gradients -----------------------------------------------------------------------


@HIDDEN
@pytest.mark.parametrize("order", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_a_batch_of_gradients_is_that_of_the_loop(order, way):
    field, x, c = Given(), states(2).requires_grad_(), torch.ones(WIDTH, dtype=torch.float64)
    field.net.append(nn.Dropout(0.5))
    y = ODEBlock(field, order, **way)(x, c.requires_grad_())
    rows = torch.eye(2 * WIDTH, dtype=torch.float64).reshape(-1, 2, WIDTH)
    wanted = [x, c, *field.parameters()]
    batch = torch.autograd.grad(y, wanted, rows, is_grads_batched=True, retain_graph=True)
    loop = [torch.autograd.grad(y, wanted, row, retain_graph=True) for row in rows]
    assert distance(list(batch), [torch.stack(each) for each in zip(*loop, strict=True)]) < 1e-14


@HIDDEN
def test_a_jacobian_goes_with_vectorize(way):
    block = ODEBlock(net(), **way)
    found = [
        torch.autograd.functional.jacobian(block, states(2), vectorize=v) for v in (True, False)
    ]
    assert distance(found[:1], found[1:]) < 1e-14


# --- fields that take gradients of their own ----------------------------------------------------


class Flow(nn.Module):
    """A continuous normalising flow: the trace of its Jacobian beside it."""

    def __init__(self, part):
        super().__init__()
        self.net = net()
        self.part = part

    def forward(self, x):
        with torch.enable_grad():
            z = self.part(x[:, :WIDTH])
            z.requires_grad_(True)
            slope = self.net(z)
            rows = [torch.autograd.grad(s.sum(), z, create_graph=True)[0] for s in slope.T]
            trace = torch.stack([row[:, i] for i, row in enumerate(rows)]).sum(0)
        return torch.cat([slope, -trace[:, None]], 1)


@EACH_WAY
@pytest.mark.parametrize("part", [lambda z: z, torch.clone, lambda z: z[:, [3, 2, 1, 0]]])
@pytest.mark.parametrize("order", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_a_part_of_the_state_may_be_made_to_require_a_gradient(order, part, way, plain, bound):
    found = []
    for settings in (way, plain):
        field: Any = Flow(part)
        x = torch.cat([states(), torch.zeros(3, 1, dtype=torch.float64)], 1).requires_grad_()
        # The last bias does not move the trace.
        y = ODEBlock(field, order, **settings)(x)
        found.append(gradients(y, x, field.net[0].weight, field.net[2].weight))
    assert distance(*found) < bound


@HIDDEN
def test_a_foreign_tensor_is_refused_in_such_a_field_too(way):
    class Shifted(Flow):
        shift = torch.ones(WIDTH + 1, dtype=torch.float64, requires_grad=True)

        def forward(self, x):
            return super().forward(x) + self.shift

    x = torch.cat([states(), torch.zeros(3, 1, dtype=torch.float64)], 1)
    with pytest.raises(InvalidInputError, match=r"tensor of shape \(5,\) which requires"):
        ODEBlock(Shifted(lambda z: z), **way)(x)
