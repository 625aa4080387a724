"""What a field takes, what a call takes, and what options a solver has."""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import pytest
import torch
from torch import nn

from odemom.errors import InvalidInputError, OdemomWarning
from odemom.nn import ODEBlock
from odemom.nn.ode.arguments import roles_of
from tests.nn.ode.fields import WIDTH, Timed, gradients, net, states

TIGHT: dict[str, Any] = {"rtol": 1e-9, "atol": 1e-9}
ONE = torch.ones(2, dtype=torch.float64)


class TakesTime(nn.Module):
    def forward(self, t, x):
        return -2 * t * x


FIELDS = [
    lambda t, x: -2 * t * x,
    lambda x, t: -2 * t * x,
    lambda time, y: -2 * time * y,
    TakesTime(),
    partial(lambda a, t, x: -a * t * x, 2),
]
WAYS: list[dict[str, Any]] = [
    TIGHT,
    {"gradient": "reversible", "method": "rk4", "options": {"step_size": 0.01}},
    {"method": "rk4", "options": {"step_size": 0.01}},
]


@pytest.mark.parametrize("settings", WAYS)
@pytest.mark.parametrize("f", FIELDS)
def test_a_field_may_take_the_time(f, settings):
    # x' = -2 t x: x(1) = x0 / e. Steps of 0.01 are right to h^4.
    assert torch.allclose(ODEBlock(f, 1, **settings)(ONE), ONE / math.e, rtol=1e-7)


def test_the_adjoint_of_a_time_dependent_field():
    found = []
    for way in ("adjoint", "backprop"):
        field, x = Timed(), states().requires_grad_()
        y = ODEBlock(field, gradient=way, **TIGHT)(x)
        found.append(torch.cat([g.flatten() for g in gradients(y, x, *field.parameters())]))
    assert torch.allclose(*found, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("settings", WAYS)
@pytest.mark.parametrize(
    "f", [lambda x, v: -4 * x - 2 * v, lambda t, x, velocity: -4 * x - 2 * velocity]
)
def test_a_field_may_take_the_velocity(f, settings):
    # x'' + 2 x' + 4 x = 0 at eps = inf: x = exp(-t)(cos(s t) + sin(s t)/s), s = sqrt 3.
    s = math.sqrt(3)
    expected = math.exp(-1) * (math.cos(s) + math.sin(s) / s)
    y = ODEBlock(f, 2, math.inf, **settings)(ONE)
    assert torch.allclose(y, expected * ONE, rtol=1e-7)


def test_the_roles_can_be_said():
    assert roles_of(lambda a, b: b, 1, "t, x") == ("t", "x")
    assert torch.allclose(
        ODEBlock(lambda a, b: -2 * a * b, 1, arguments="t, x", **TIGHT)(ONE), ONE / math.e
    )


@pytest.mark.parametrize("asked", ["t", "x, x", "x, y", 3, ["t", "x"], ""])
def test_roles_that_make_no_field_are_refused(asked):
    with pytest.raises(InvalidInputError, match="arguments: got"):
        ODEBlock(nn.Tanh(), arguments=asked)


def test_a_first_order_field_has_no_velocity_to_take():
    with pytest.raises(InvalidInputError, match="arguments: got"):
        ODEBlock(nn.Tanh(), 1, arguments="x, v")


@pytest.mark.parametrize("f", [lambda x, c: c * x, nn.Bilinear(2, 2, 2)])
def test_a_field_that_needs_more_is_refused_by_name(f):
    with pytest.raises(InvalidInputError, match=r"block\(x, context\)"):
        ODEBlock(f, 1)(torch.ones(2, 2))


def test_a_type_error_of_the_field_stays_its_own():
    def field(x):
        raise TypeError("mine")

    with pytest.raises(TypeError, match="mine"):
        ODEBlock(field)(ONE)


def test_a_velocity_of_a_field_of_the_velocity_is_refused():
    with pytest.raises(InvalidInputError, match="solve it in a module"):
        ODEBlock(lambda x, v: -x - v, initial_velocity="field")


@pytest.mark.parametrize("settings", WAYS)
def test_a_call_has_a_horizon_and_a_velocity_of_its_own(settings):
    block = ODEBlock(net(), horizon=0.5, **settings)
    y, v = block(states(), horizon=0.9, return_velocity=True)
    other = ODEBlock(block.f, horizon=0.9, **settings)
    last = other.trajectory(states(), [0.9], return_velocity=True)
    assert torch.equal(y, last[0][0])
    assert torch.equal(v, last[1][0])
    assert torch.equal(y, other(states()))


@pytest.mark.parametrize("horizon", [0, -1, math.nan, math.inf, "a", torch.ones(2)])
def test_a_bad_horizon_of_a_call_is_refused(horizon):
    with pytest.raises(InvalidInputError, match="horizon: got"):
        ODEBlock(nn.Tanh())(ONE, horizon=horizon)


def test_the_velocity_of_a_first_order_call_is_refused():
    with pytest.raises(InvalidInputError, match="return_velocity"):
        ODEBlock(nn.Tanh(), 1)(ONE, return_velocity=True)


# --- tolerances and options ---------------------------------------------------------------------


def test_a_tolerance_below_float32_is_warned_about():
    block = ODEBlock(lambda x: -x, 1, rtol=1e-7)
    with pytest.warns(OdemomWarning, match="Integrate in float64"):
        y = block(torch.ones(2))
    assert torch.allclose(y, torch.full((2,), math.exp(-1)), rtol=1e-5)


BAD_OPTIONS = [
    ("rk4", {"step_size": 0}),
    ("rk4", {"step_size": -0.1}),
    ("rk4", {"step_size": math.nan}),
    ("rk4", {"step_size": math.inf}),
    ("rk4", {"step_size": "a"}),
    ("rk4", {"step_size": None}),
    ("rk4", {"step_size": 0.1, "foo": 1}),
    ("rk4", {"step_size": 0.1, "first_step": 0.1}),
    ("rk4", {"step_size": 0.1, "interp": "quintic"}),
    ("rk4", {"step_size": 0.1, "grid_constructor": print}),
    ("rk4", {"grid_constructor": 3}),
    ("dopri5", {"foo": 1}),
    ("dopri5", {"step_size": 0.1}),
    ("dopri5", {"first_step": 0}),
    ("dopri5", {"first_step": math.nan}),
    ("dopri5", {"max_step": 0}),
    ("dopri5", {"min_step": -1}),
    ("dopri5", {"max_num_steps": 0}),
    ("dopri5", {"max_num_steps": 2.5}),
    ("dopri5", {"step_t": [0.5, 0.5]}),
    ("dopri5", {"jump_t": [math.nan]}),
    ("dopri5", {"dtype": torch.float16}),
    ("dopri5", {"norm": 2}),
    ("implicit_adams", {"step_size": 0.1, "max_order": 13}),
    ("leapfrog", {"step_size": 0.1, "coupling": 0.9}),
    ("dopri5", {3: 1}),
]


@pytest.mark.parametrize(("method", "options"), BAD_OPTIONS, ids=range(len(BAD_OPTIONS)))
def test_options_that_no_solver_has_are_refused(method, options):
    with pytest.raises(InvalidInputError, match="options"):
        ODEBlock(nn.Tanh(), method=method, options=options)


def test_a_misspelt_option_is_recognised():
    with pytest.raises(InvalidInputError, match="Did you mean 'step_size'"):
        ODEBlock(nn.Tanh(), method="rk4", options={"stepsize": 0.1})


GOOD_OPTIONS = [
    ("rk4", {"step_size": 0.1, "interp": "linear", "perturb": True}),
    (
        "rk4",
        {"grid_constructor": lambda f, y, t: torch.linspace(float(t[0]), float(t[-1]), 9).to(t)},
    ),
    ("dopri5", {"first_step": 0.1, "max_step": 0.2, "min_step": 0, "safety": 0.8}),
    ("dopri5", {"ifactor": 5.0, "dfactor": 0.5, "max_num_steps": 1000}),
    ("dopri5", {"step_t": [0.25, 1.0], "jump_t": [0.5]}),
    ("dopri5", {"jump_t": torch.tensor([0.5, 1.0])}),
    ("dopri5", {"norm": lambda parts: max(p.abs().max() for p in parts)}),
    ("implicit_adams", {"step_size": 0.05, "max_order": 4, "max_iters": 8}),
]


@pytest.mark.parametrize(("method", "options"), GOOD_OPTIONS, ids=range(len(GOOD_OPTIONS)))
@pytest.mark.parametrize("adjoint", [False, True])
def test_options_that_it_has_are_taken(method, options, adjoint):
    field = net()
    y = ODEBlock(field, method=method, options=options, adjoint=adjoint)(states())
    exact = ODEBlock(field, **TIGHT)(states())
    y.sum().backward()
    # The coarsest of them takes steps of 1/8 of a field of size one.
    assert torch.allclose(y, exact, atol=1e-4)


@pytest.mark.parametrize("eps", [0.3, 2, math.inf, "1/2"])
def test_a_mass_of_a_first_order_equation_is_refused(eps):
    with pytest.raises(InvalidInputError, match="leave eps out"):
        ODEBlock(nn.Tanh(), 1, eps)


@pytest.mark.parametrize("eps", [0, -1, math.nan, "0", 10**400, "a"])
def test_the_domain_of_the_mass_has_one_name(eps):
    with pytest.raises(InvalidInputError, match=r"\(0, inf\]|fits a double"):
        ODEBlock(nn.Tanh(), 2, eps)


BAD_GRADIENTS: list[tuple[dict[str, Any], str]] = [
    ({"gradient": "magic"}, "'backprop', 'adjoint', 'reversible'"),
    ({"gradient": 3}, "gradient: got 3"),
    ({"gradient": "reversible", "adjoint": True}, "Leave adjoint out"),
    ({"gradient": "adjoint", "f": torch.tanh}, "must know the parameters"),
]


@pytest.mark.parametrize(("changes", "message"), BAD_GRADIENTS)
def test_ways_to_the_gradient_that_there_are_not_are_refused(changes, message):
    with pytest.raises(InvalidInputError, match=message):
        ODEBlock(**{"f": nn.Tanh(), **changes})


@pytest.mark.parametrize("gradient", ["backprop", "adjoint"])
@pytest.mark.parametrize("horizon", [1e-300, 1e-30, 1e-17])
def test_a_horizon_far_shorter_than_a_step_is_one_step(gradient, horizon):
    block = ODEBlock(nn.Tanh(), 1, method="rk4", options={"step_size": 0.1}, gradient=gradient)
    x = torch.ones(1, 2, dtype=torch.float64, requires_grad=True)
    for y in (block(x, horizon=horizon), block.trajectory(x, [0.0, horizon])[-1]):
        assert torch.equal(y, x)
        assert torch.equal(torch.autograd.grad(y.sum(), x)[0], x)


@pytest.mark.parametrize("method", ["dopri8", "dopri5", "bosh3"])
@pytest.mark.parametrize("horizon", [1.0, 1.3])
def test_the_last_step_ends_at_the_horizon(method, horizon):
    """Else torchdiffeq interpolates: 5e-9 with dopri8 in place of 1e-12."""
    tolerance = 1e-10 if method == "dopri8" else 1e-9
    block = ODEBlock(
        lambda x: -x, 1, method=method, horizon=horizon, rtol=tolerance, atol=tolerance
    )
    error = float((block(ONE) - math.exp(-horizon)).abs().max())
    # An error per step below the tolerance, in the steps that it took.
    assert error < block.nfe / 4 * tolerance


def test_dopri8_is_right_at_every_time_of_a_trajectory():
    times = torch.linspace(0.1, 1, 10, dtype=torch.float64)
    block = ODEBlock(lambda x: -x, 1, method="dopri8", rtol=1e-11, atol=1e-11)
    x = block.trajectory(ONE, times)[:, 0]
    assert torch.allclose(x, torch.exp(-times), rtol=1e-11)


def test_a_lazy_field_is_named():
    with pytest.raises(InvalidInputError, match="Call f once"):
        ODEBlock(nn.LazyLinear(WIDTH), adjoint=True)(torch.ones(2, WIDTH))
