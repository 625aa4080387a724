"""Each piece of advice that an error of this room gives, followed: it leads to a right answer."""

from __future__ import annotations

import math
import warnings
from typing import Any

import pytest
import torch
from torch import nn

from odemom.errors import IntegrationError, InvalidInputError, OdemomError
from odemom.nn import ODEBlock
from tests.nn.ode.fields import Given, Holding, net, states

ONE = torch.ones(2, dtype=torch.float64)
EPS = 0.01


def stiff(x: torch.Tensor) -> torch.Tensor:
    return -x


def solution(eps: float) -> float:
    """x(1) for eps x'' + x' = -x, x(0) = 1, x'(0) = 0."""
    root = math.sqrt(1 - 4 * eps)
    fast, slow = (-1 - root) / (2 * eps), (-1 + root) / (2 * eps)
    return (fast * math.exp(slow) - slow * math.exp(fast)) / (fast - slow)


def message_of(make) -> str:
    with pytest.raises(OdemomError) as caught:
        make()
    return str(caught.value)


def test_implicit_adams_below_eps_is_an_error_now():
    """It gave 3e37 in silence."""
    options = {"step_size": 0.5 * EPS}
    text = message_of(
        lambda: ODEBlock(stiff, 2, EPS, method="implicit_adams", options=options)(ONE)
    )
    assert "eps/10 = 0.001" in text
    assert "method='rk4'" in text
    assert "eps/2 = 0.005" in text


# What the two messages on a small eps advise. rk4 at h = eps/2 damps exp(-h/eps) to 1e-3 a step
# and follows the rest to h^4; the limit is off by about eps (1 + 1) exp(-1).
FOLLOWED: list[tuple[dict[str, Any], float]] = [
    ({"method": "implicit_adams", "options": {"step_size": EPS / 10}}, 1e-8),
    ({"method": "rk4", "options": {"step_size": EPS / 2}}, 1e-8),
    ({"order": 1, "eps": 1.0}, 2 * EPS),
    ({"rtol": 1e-3, "atol": 1e-3}, 1e-2),
    ({"options": {"max_num_steps": 10**6}}, 1e-4),
]


@pytest.mark.parametrize(("advice", "bound"), FOLLOWED, ids=range(len(FOLLOWED)))
def test_advice_for_a_small_eps_leads_to_the_solution(advice, bound):
    block = ODEBlock(stiff, **{"order": 2, "eps": EPS, **advice})
    assert float((block(ONE) - solution(EPS)).abs().max()) < bound


def test_what_a_solver_that_gave_up_advises_is_what_is_followed_above():
    block = ODEBlock(stiff, 2, EPS, options={"max_num_steps": 1})
    text = message_of(lambda: block(ONE))
    for words in ("max_num_steps", "loosen rtol", "method='rk4'", "eps/2", "order=1 without eps"):
        assert words in text
    assert "implicit_adams" not in text


@pytest.mark.parametrize("order", [1, 2])
def test_shortening_the_horizon_or_scaling_the_field_down_helps(order):
    """x' = x^2 from 1 leaves every bound at t = 1."""
    text = message_of(lambda: ODEBlock(lambda x: x**2, order, horizon=9)(ONE))
    assert "shorten the horizon" in text
    assert bool(torch.isfinite(ODEBlock(lambda x: x**2, order, horizon=0.5)(ONE)).all())
    smaller = ODEBlock(lambda x: 0.05 * x**2, order, horizon=9)(ONE)
    assert bool(torch.isfinite(smaller).all())


def test_a_smaller_step_brings_the_state_back_into_the_range():
    def block(step, horizon=9.0):
        settings: dict[str, Any] = {"method": "euler", "options": {"step_size": step}}
        return ODEBlock(lambda x: -(x**3) * 9, 1, horizon=horizon, **settings)

    text = message_of(lambda: block(1.0)(ONE))
    assert "smaller step or horizon" in text
    exact = 1 / math.sqrt(1 + 18 * 9)
    assert torch.allclose(block(0.01)(ONE), exact * ONE, rtol=0.05)
    assert bool(torch.isfinite(block(1.0, 2.0)(ONE)).all())


def test_fixed_steps_for_half_precision():
    x = torch.ones(2, dtype=torch.float16)
    text = message_of(lambda: ODEBlock(nn.Tanh())(x))
    assert "method='rk4', options={'step_size': horizon / 20}" in text
    exact = ODEBlock(nn.Tanh())(x.float())
    followed = [
        ODEBlock(nn.Tanh(), method="rk4", options={"step_size": 1 / 20})(x),
        ODEBlock(nn.Tanh())(x.float()),
    ]
    assert all(torch.allclose(y.float(), exact, atol=0.02) for y in followed)


def test_a_looser_tolerance_for_bfloat16():
    x = torch.ones(2, dtype=torch.bfloat16)
    assert "loosen rtol" in message_of(lambda: ODEBlock(nn.Tanh())(x))
    exact = ODEBlock(nn.Tanh())(x.float())
    y = ODEBlock(nn.Tanh(), rtol=0.01, atol=0.01)(x)
    assert torch.allclose(y.float(), exact, atol=0.1)


def context_given() -> torch.Tensor:
    field, c = Given(), torch.ones(4, dtype=torch.float64, requires_grad=True)
    field.load_state_dict(Holding().state_dict())
    return torch.autograd.grad(ODEBlock(field, adjoint=True)(states(), c).sum(), c)[0]


def context_registered() -> torch.Tensor:
    field = Holding()
    del field.c
    field.c = nn.Parameter(torch.ones(4, dtype=torch.float64))
    return torch.autograd.grad(ODEBlock(field, adjoint=True)(states()).sum(), field.c)[0]


def context_by_backprop() -> torch.Tensor:
    field = Holding(torch.ones(4, dtype=torch.float64, requires_grad=True))
    return torch.autograd.grad(ODEBlock(field)(states()).sum(), field.c)[0]


def test_three_ways_for_a_tensor_that_the_adjoint_would_miss():
    field = Holding(torch.ones(4, dtype=torch.float64, requires_grad=True))
    text = message_of(lambda: ODEBlock(field, adjoint=True)(states()))
    for words in ("block(x, c) with f(x, c)", "as a parameter of f", "gradient='backprop'"):
        assert words in text
    one, two, three = context_given(), context_registered(), context_by_backprop()
    # The tolerance of both passes.
    assert torch.allclose(one, three, atol=1e-4)
    assert torch.allclose(two, three, atol=1e-4)


SMALL: list[tuple[dict[str, Any], str, dict[str, Any]]] = [
    ({"eps": 0}, "use order=1", {"order": 1}),
    ({"order": 1, "eps": 0.5}, "leave eps out", {"order": 1}),
    ({"order": 1, "eps": 0.5}, "use order=2", {"order": 2, "eps": 0.5}),
    (
        {"order": 1, "initial_velocity": "field"},
        "use order=2",
        {"order": 2, "initial_velocity": "field"},
    ),
    (
        {"eps": math.inf, "initial_velocity": "field"},
        "a finite eps",
        {"eps": 5, "initial_velocity": "field"},
    ),
    (
        {"method": "rk4"},
        "options={'step_size': h}",
        {"method": "rk4", "options": {"step_size": 0.1}},
    ),
    ({"method": "scipy_solver"}, "adjoint=True", {"method": "scipy_solver", "adjoint": True}),
    (
        {"gradient": "reversible"},
        "method='rk4', options={'step_size': h}",
        {"gradient": "reversible", "method": "rk4", "options": {"step_size": 0.1}},
    ),
    (
        {"order": 1, "method": "leapfrog", "options": {"step_size": 0.1}},
        "method='rk4' with gradient='reversible'",
        {"order": 1, "gradient": "reversible", "method": "rk4", "options": {"step_size": 0.1}},
    ),
    ({"gradient": "reversible", "adjoint": True}, "Leave adjoint out", {"adjoint": True}),
    (
        {"f": lambda a, b: -a * b, "order": 1},
        "arguments='t, x'",
        {"f": lambda a, b: -a * b, "order": 1, "arguments": "t, x"},
    ),
]


@pytest.mark.parametrize(("refused", "words", "advice"), SMALL, ids=[w for _, w, _ in SMALL])
def test_a_refusal_names_what_works(refused, words, advice):
    assert words in message_of(lambda: ODEBlock(**{"f": net(), **refused})(states()))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        y = ODEBlock(**{"f": net(), **advice})(states())
    assert bool(torch.isfinite(y).all())


def test_integration_errors_are_not_bad_input():
    assert not issubclass(IntegrationError, InvalidInputError)
