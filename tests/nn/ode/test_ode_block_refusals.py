"""What ODEBlock refuses, and how it fails: by name, with what to do."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import nn

from odemom.errors import IntegrationError, InvalidInputError
from odemom.nn import ODEBlock
from tests.nn.reversal import with_gradient

IDENTITY = nn.Identity()
BAD_BLOCKS: list[tuple[dict[str, Any], str]] = [
    ({"f": 3}, "f: got int"),
    ({"order": 3}, "order: got 3; expected 1 or 2"),
    ({"order": True}, "order: got True"),
    ({"order": [2]}, "order: got"),
    ({"eps": 0}, "use order=1"),
    ({"eps": -1}, "eps: got -1"),
    ({"eps": float("nan")}, "eps: got nan"),
    ({"initial_velocity": "one"}, "initial_velocity: got 'one'"),
    ({"initial_velocity": "field", "order": 1}, "use order=2"),
    ({"initial_velocity": "field", "eps": math.inf}, "no limit"),
    ({"horizon": 0}, "horizon: got 0"),
    ({"horizon": math.inf}, "horizon: got inf"),
    ({"horizon": 10**400}, "fits a double"),
    ({"method": "magic"}, "method: got 'magic'; expected one of dopri5"),
    ({"method": ["rk4"]}, "method: got"),
    ({"method": "explicit_adams"}, "method: got 'explicit_adams'"),
    ({"method": "rk4"}, "options: got no step size"),
    ({"method": "scipy_solver"}, "SciPy's steps carry no gradient"),
    ({"rtol": 0}, "rtol: got 0"),
    ({"rtol": float("nan")}, "rtol: got nan"),
    ({"atol": -1e-3}, "atol: got -0.001"),
    ({"adjoint": 1}, "adjoint: got 1"),
    ({"f": torch.tanh, "adjoint": True}, "must know the parameters"),
    ({"options": 3}, "options: got 3"),
]


@pytest.mark.parametrize(("changes", "message"), BAD_BLOCKS, ids=[text for _, text in BAD_BLOCKS])
def test_bad_parameters_are_refused(changes, message):
    with pytest.raises(InvalidInputError, match=message.replace("(", r"\(")):
        ODEBlock(**{"f": IDENTITY, **changes})


LEARNT: list[tuple[str, Any, dict[str, Any]]] = [
    ("horizon", 1.0, {}),
    ("eps", 0.5, {}),
    ("order", 1.0, {}),
    ("rtol", 1e-5, {}),
    ("atol", 1e-5, {}),
    *((f"options[{name!r}]", 1.5, {}) for name in ("first_step", "min_step", "max_step")),
    *((f"options[{name!r}]", 1.5, {}) for name in ("safety", "ifactor", "dfactor")),
    *((f"options[{name!r}]", [0.1, 0.2], {}) for name in ("step_t", "jump_t")),
    ("options['step_size']", 0.1, {"method": "rk4"}),
    ("options['perturb']", 1.0, {"method": "rk4", "options": {"step_size": 0.1}}),
    ("options['step_size']", 0.1, {"method": "reversible_rk4"}),
    ("options['coupling']", 0.9, {"method": "reversible_rk4", "options": {"step_size": 0.1}}),
]


@pytest.mark.parametrize(("name", "value", "others"), LEARNT, ids=[name for name, *_ in LEARNT])
def test_a_parameter_as_a_setting_would_get_no_gradient(name, value, others):
    setting = nn.Parameter(torch.tensor(value))
    given = {name: setting}
    if name.startswith("options"):
        given = {"options": {**others.get("options", {}), name.split("'")[1]: setting}}
    with pytest.raises(InvalidInputError) as refusal:
        ODEBlock(IDENTITY, **{**others, **given})
    assert str(refusal.value).startswith(f"{name}: got a tensor that requires a gradient")


def test_a_list_of_times_that_require_gradients_would_give_them_none():
    times = [torch.tensor(0.1, requires_grad=True), torch.tensor(0.2)]
    block = ODEBlock(nn.Tanh())
    with pytest.raises(InvalidInputError, match=r"torch\.stack\(times\)"):
        block.trajectory(torch.ones(2), times)
    block.trajectory(torch.ones(2), torch.stack(times)).sum().backward()
    assert times[0].grad is not None


BAD_STATES = [
    ([1.0], "x: got list"),
    (torch.ones(2, dtype=torch.int64), "x: got a tensor of dtype torch.int64"),
    (torch.ones(2, dtype=torch.complex64), "complex64"),
    (torch.ones(0, 3), r"x: got a tensor of shape \(0, 3\)"),
    (torch.tensor([[0.0, 1.0], [math.nan, 0.0]]), r"x: got the entry nan at \[1, 0\]"),
    (torch.eye(2).to_sparse(), "x: got a sparse or nested tensor.*to_dense"),
    (torch.tensor(math.inf), r"x: got the entry inf at \[\]"),
    (torch.ones(2, dtype=torch.float16), "take fixed steps"),
    (torch.ones(2).to(torch.float8_e4m3fn), "float8_e4m3fn on the device cpu"),
    (torch.ones(2, device="meta"), "float32 on the device meta"),
    (torch.ones(2, dtype=torch.bfloat16), "rtol: got 1e-05 for a state in torch.bfloat16"),
]


@pytest.mark.parametrize(("x", "message"), BAD_STATES, ids=str)
def test_bad_states_are_refused(x, message):
    with pytest.raises(InvalidInputError, match=message):
        ODEBlock(IDENTITY)(x)


BAD_FIELDS = [
    (lambda x: x[:1], r"f\(x\): got shape \(1, 3\)"),
    (lambda x: x.double(), "torch.float64"),
    (lambda x: (x,), r"f\(x\): got tuple"),
    (lambda x: None, "NoneType"),
]


@pytest.mark.parametrize(("f", "message"), BAD_FIELDS)
def test_a_field_that_changes_the_kind_of_state_is_refused(f, message):
    with pytest.raises(InvalidInputError, match=message):
        ODEBlock(f)(torch.ones(2, 3))


def test_a_velocity_module_that_changes_the_shape_is_refused():
    with pytest.raises(InvalidInputError, match=r"initial_velocity\(x\): got shape \(2, 5\)"):
        ODEBlock(IDENTITY, initial_velocity=nn.Linear(3, 5))(torch.ones(2, 3))


BAD_TIMES = [[], [0.5, 0.5], [1.0, 0.5], [-0.1], [1.5], [math.nan], 0.5, ["a"], [[0.0, 1.0]]]


@pytest.mark.parametrize("times", BAD_TIMES, ids=str)
def test_bad_times_are_refused(times):
    with pytest.raises(InvalidInputError, match="times: got"):
        ODEBlock(IDENTITY).trajectory(torch.ones(2), times)


def test_the_velocity_of_a_first_order_trajectory_is_refused():
    with pytest.raises(InvalidInputError, match="return_velocity"):
        ODEBlock(IDENTITY, 1).trajectory(torch.ones(2), [1.0], return_velocity=True)


# x' = x^2 from 1 leaves every bound at t = 1.
FAILURES: list[tuple[dict[str, Any], str]] = [
    ({"f": lambda x: x**2, "horizon": 2}, "cannot reach|non-finite"),
    ({"f": lambda x: x * math.nan}, "f returned a non-finite value"),
    ({"f": lambda x: x, "options": {"max_num_steps": 1}}, "max_num_steps"),
    (
        {"f": lambda x: x**3, "horizon": 9, "method": "euler", "options": {"step_size": 1.0}},
        "left the range",
    ),
]


@pytest.mark.parametrize(("settings", "message"), FAILURES)
def test_an_integration_that_fails_says_what_to_do(settings, message):
    with pytest.raises(IntegrationError, match=message):
        ODEBlock(order=1, **settings)(torch.full((2,), 1.0))


class WithoutDerivative(nn.Module):
    def forward(self, x):
        return with_gradient(x, lambda gradient: gradient * math.nan)


def test_an_adjoint_pass_that_fails_says_what_to_do():
    x0 = torch.ones(2, requires_grad=True)
    y = ODEBlock(WithoutDerivative(), 1, adjoint=True)(x0)
    with pytest.raises(IntegrationError, match="non-finite values in state, in the adjoint pass"):
        y.sum().backward()


class WithNoise(nn.Module):
    """x' = -x, with an adjoint that no step size can follow."""

    def forward(self, x):
        return -with_gradient(x, lambda gradient: 1e25 * torch.rand_like(gradient))


def test_an_adjoint_pass_without_a_step_says_what_to_do():
    block = ODEBlock(WithNoise(), 1, adjoint=True)
    y = block(torch.ones(2, dtype=torch.float64, requires_grad=True))
    with pytest.raises(IntegrationError, match="underflow in dt, in the adjoint pass"):
        y.sum().backward()


def test_an_assertion_of_the_field_stays_its_own():
    def field(x):
        raise AssertionError("mine")

    with pytest.raises(AssertionError, match="mine"):
        ODEBlock(field)(torch.ones(2))
