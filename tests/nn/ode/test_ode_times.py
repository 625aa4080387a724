"""Gradients for the times of a trajectory and for the horizon of a call."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from odemom.nn import ODEBlock
from tests.nn.ode.fields import RK4, Timed, net, states

TIGHT: dict[str, Any] = {"rtol": 1e-9, "atol": 1e-9}
ADJOINT: dict[str, Any] = {"gradient": "adjoint", **TIGHT}
REVERSIBLE: dict[str, Any] = {"gradient": "reversible", **RK4}


@pytest.mark.parametrize(
    "settings", [TIGHT, ADJOINT, REVERSIBLE, {**REVERSIBLE, "method": "leapfrog"}]
)
def test_times_get_gradients(settings):
    block = ODEBlock(net(), horizon=2, **settings)
    times = torch.tensor([0.3, 1.0, 1.7], dtype=torch.float64, requires_grad=True)
    x, v = block.trajectory(states(), times, return_velocity=True)
    weights = torch.arange(1.0, 4.0, dtype=torch.float64)
    (found,) = torch.autograd.grad((x.sum((1, 2)) * weights).sum(), times)
    assert torch.allclose(found, v.sum((1, 2)) * weights, rtol=1e-12)


def test_the_derivative_for_a_time_is_that_of_the_solution():
    block = ODEBlock(Timed(), 1, horizon=2, **TIGHT)
    times = torch.tensor([0.4, 1.1], dtype=torch.float64, requires_grad=True)
    x = states()
    (found,) = torch.autograd.grad(block.trajectory(x, times).sum(), times)
    h = 1e-4
    ends = [block.trajectory(x, times.detach() + s).sum((1, 2)) for s in (h, -h)]
    assert torch.allclose(found, (ends[0] - ends[1]) / (2 * h), rtol=1e-5)


def test_a_horizon_gets_a_gradient():
    horizon = torch.tensor(0.7, dtype=torch.float64, requires_grad=True)
    y, v = ODEBlock(net(), **ADJOINT)(states(), horizon=horizon, return_velocity=True)
    (found,) = torch.autograd.grad(y.sum(), horizon)
    assert torch.allclose(found, v.sum(), rtol=1e-12)
