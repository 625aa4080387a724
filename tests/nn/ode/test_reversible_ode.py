"""Reversible schemes: the gradients of plain autograd, whatever the number of steps."""

from __future__ import annotations

import math
import resource
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from odemom.errors import FixedPointRangeError, InvalidInputError, ReversibilityError
from odemom.nn import ODEBlock
from odemom.nn.ode.schemes import TABLEAUX
from tests.nn.ode.fields import WIDTH, Timed, distance, gradients, net, states

METHODS = ["rk4", "heun3", "midpoint", "euler"]
BOUND = 1e-12
"""In units of 2^-48 a step is rounded a few times: 10,000 steps drift by about a hundred units."""


def found(field, steps, way: Any, x, *, method, order: Any = 2, velocity: Any = "zero", **settings):
    """The gradients for ``x`` and all parameters; "backprop" through the same scheme in floats."""
    name = method if method == "leapfrog" else f"reversible_{method}"
    torch.manual_seed(5)
    v0: Any = nn.Linear(WIDTH, WIDTH, dtype=torch.float64) if velocity == "module" else velocity
    block = ODEBlock(
        field,
        order,
        initial_velocity=v0,
        gradient=way,
        method=name,
        options={"step_size": 1 / steps},
        **settings,
    )
    return gradients(block(x), x, *block.parameters())


def off(steps, **settings):
    field, x = settings.pop("field", None) or net(), states().requires_grad_()
    ways = [found(field, steps, way, x, **settings) for way in ("reversible", "backprop")]
    return distance(*ways)


EQUATIONS = [
    {"order": 1},
    {"eps": 0.5},
    {"eps": 0.05},
    {"eps": math.inf},
    {"eps": 0.5, "velocity": "field"},
    {"eps": 0.5, "velocity": "module"},
    {"eps": math.inf, "velocity": "module"},
]
FEW = {"rk4": (1, 10), "heun3": (10,), "midpoint": (1,), "euler": (10,), "leapfrog": (1, 10)}
A_HUNDRED = [("euler", EQUATIONS[0]), ("euler", EQUATIONS[5]), ("leapfrog", EQUATIONS[2])]


def here_or_among_the_slow_ones(case, method, steps):
    """A hundred steps of every kind of equation here, in all schemes among the slow ones."""
    few = steps in FEW[method] or (steps == 100 and (method, case) in A_HUNDRED)
    return pytest.param(case, method, steps, marks=[] if few else pytest.mark.slow)


@pytest.mark.parametrize(
    ("case", "method", "steps"),
    [
        here_or_among_the_slow_ones(case, method, steps)
        for case in EQUATIONS
        for method in (*METHODS, "leapfrog")
        for steps in (1, 10, 100)
    ],
    ids=str,
)
def test_gradients_are_those_of_autograd_through_the_scheme(case, method, steps):
    if method == "leapfrog" and (case.get("order") == 1 or steps * case.get("eps", 1) < 0.1):
        pytest.skip("leapfrog is a second-order scheme, of steps up to 16 eps")
    if steps < 100 and case.get("eps") == 0.05 and method != "leapfrog":
        pytest.skip("of no use: a step of 2 eps or more")
    if (steps, method) == (1, "euler") and "order" not in case:
        pytest.skip("one step of Euler's method sees f only in the velocity")
    assert off(steps, method=method, **case) < BOUND


@pytest.mark.parametrize("method", [*METHODS, "leapfrog"])
def test_a_field_may_depend_on_time(method):
    assert off(20, method=method, field=Timed()) < BOUND


@pytest.mark.parametrize("method", [pytest.param("midpoint", marks=pytest.mark.slow), "leapfrog"])
def test_a_thousand_steps(method):
    assert off(1000, method=method) < BOUND


@pytest.mark.slow
@pytest.mark.parametrize("method", ["rk4", "midpoint", "euler", "leapfrog"])
@pytest.mark.parametrize("order", [1, 2])
def test_ten_thousand_steps(order, method):
    if order == 1 and method == "leapfrog":
        pytest.skip("leapfrog is a second-order scheme")
    assert off(10_000, method=method, order=order) < BOUND


class FloatInverse:
    """What the fixed point is for: the same scheme gone back in floats."""

    def __init__(self, steps, damping):
        self.h, self.steps, self.damping = 1 / steps, steps, damping

    def lost(self, x):
        y = z = x
        for _ in range(self.steps):
            y, z = self.forth(y, z)
        for _ in range(self.steps):
            y, z = self.back(y, z)
        return float((z - x).abs().max())

    def forth(self, y, z):
        y = self.damping * y + (1 - self.damping) * z - self.h * z
        return y, z - self.h * y

    def back(self, y, z):
        z = z + self.h * y
        return (y - (1 - self.damping) * z + self.h * z) / self.damping, z


def test_in_floats_the_way_back_is_lost():
    assert FloatInverse(2000, 0.98).lost(torch.ones(1, dtype=torch.float64)) > 1e-8


@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize("method", METHODS)
def test_the_order_of_convergence_is_the_methods(method, order):
    torch.manual_seed(0)
    field, x = net(), states()
    exact = ODEBlock(field, order, rtol=1e-12, atol=1e-12, method="dopri8")(x)
    steps, errors = np.array([16, 32, 64]), []
    for n in steps:
        settings: dict[str, Any] = {"method": method, "options": {"step_size": 1 / int(n)}}
        y = ODEBlock(field, order, gradient="reversible", **settings)(x)
        errors.append(float((y - exact).detach().abs().max()))
    slope = -np.polyfit(np.log(steps), np.log(errors), 1)[0]
    # The next term of the error bends the line by about a tenth.
    assert slope == pytest.approx(TABLEAUX[method].order, abs=0.25)


@pytest.mark.parametrize("eps", [0.5, 0.02, math.inf])
def test_leapfrog_is_of_order_two(eps):
    field, x = net(), states()
    exact = ODEBlock(field, 2, eps, rtol=1e-12, atol=1e-12, method="dopri8")
    expected = torch.cat(exact(x, return_velocity=True))
    steps, errors = np.array([64, 128, 256]), []
    for n in steps:
        block = ODEBlock(
            field,
            2,
            eps,
            gradient="reversible",
            method="leapfrog",
            options={"step_size": 1 / int(n)},
        )
        errors.append(
            float((torch.cat(block(x, return_velocity=True)) - expected).detach().abs().max())
        )
    slope = -np.polyfit(np.log(steps), np.log(errors), 1)[0]
    assert slope == pytest.approx(2, abs=0.1)


@pytest.mark.parametrize("method", ["rk4", "leapfrog"])
def test_a_trajectory_ends_a_step_at_every_time(method):
    field, x, times = net(), states(), [0.11, 0.5, 1.0]
    block = ODEBlock(
        field, 2, 0.5, gradient="reversible", method=method, options={"step_size": 0.005}
    )
    exact = ODEBlock(field, 2, 0.5, rtol=1e-11, atol=1e-11)
    ours = block.trajectory(x, times, return_velocity=True)
    theirs = exact.trajectory(x, times, return_velocity=True)
    # rk4 is right to h^4, leapfrog to h^2, with constants of about one.
    bound = 1e-8 if method == "rk4" else 5e-5
    assert all(torch.allclose(a, b, atol=bound) for a, b in zip(ours, theirs, strict=True))


def test_gradients_through_a_trajectory():
    field, x = net(), states().requires_grad_()
    ways = []
    for way in ("reversible", "backprop"):
        block = ODEBlock(
            field, method="reversible_rk4", options={"step_size": 0.1}, gradient=way
        )  # fmt: skip
        pair = block.trajectory(x, [0.3, 0.7], return_velocity=True)
        ways.append(gradients(torch.cat(pair), x, *field.parameters()))
    assert distance(*ways) < BOUND


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_narrower_floats_keep_their_type(dtype):
    field, x = net().to(dtype), states().to(dtype).requires_grad_()
    settings: dict[str, Any] = {"method": "rk4", "options": {"step_size": 0.1}}
    y = ODEBlock(field, gradient="reversible", **settings)(x)
    exact = ODEBlock(field, **settings)(x.detach())
    y.sum().backward()
    assert x.grad is not None
    assert (y.dtype, x.grad.dtype) == (dtype, dtype)
    assert torch.allclose(y, exact, atol=20 * torch.finfo(dtype).eps)


def test_autocast_is_put_back():
    field, x = net().float(), states().float()
    ways = []
    for way in ("reversible", "backprop"):
        block = ODEBlock(
            field, method="reversible_rk4", options={"step_size": 0.1}, gradient=way
        )  # fmt: skip
        with torch.autocast("cpu", dtype=torch.bfloat16):
            y = block(x)
        ways.append(gradients(y, *field.parameters()))
    # Values of f are rounded to 8 bits, at states that differ in the last bit of float32.
    assert distance(*ways) < 2**-6


def test_nothing_is_kept_without_gradients():
    block = ODEBlock(net(), gradient="reversible", method="rk4", options={"step_size": 0.1})
    with torch.no_grad():
        y = block(states())
    assert torch.equal(y, block(states()))
    assert not y.requires_grad


def test_nfe_is_that_of_both_copies():
    block = ODEBlock(net(), gradient="reversible", method="rk4", options={"step_size": 0.1})
    block(states()).sum().backward()
    assert (block.nfe, block.nfe_backward) == (80, 80)
    block = ODEBlock(net(), gradient="reversible", method="leapfrog", options={"step_size": 0.1})
    block(states()).sum().backward()
    assert (block.nfe, block.nfe_backward) == (10, 9)


def test_a_released_state_is_named():
    block = ODEBlock(net(), gradient="reversible", method="rk4", options={"step_size": 0.1})
    y = block(states()).sum()
    y.backward()
    with pytest.raises(ReversibilityError, match="retain_graph=True"):
        y.backward()


def test_a_state_that_leaves_the_range_is_named():
    block = ODEBlock(
        lambda x: 9 * x, 1, horizon=3, gradient="reversible", method="rk4",
        options={"step_size": 0.1},
    )  # fmt: skip
    with pytest.raises(FixedPointRangeError, match="coarser resolution"):
        block(torch.ones(2, dtype=torch.float64))
    coarse = ODEBlock(
        lambda x: 9 * x, 1, horizon=3, gradient="reversible", method="rk4",
        options={"step_size": 0.1, "resolution": 12},
    )  # fmt: skip
    assert bool(torch.isfinite(coarse(torch.ones(2, dtype=torch.float64))).all())


REFUSED = [
    ({"method": "dopri5"}, "take method='rk4'"),
    ({"method": "leapfrog", "order": 1, "options": {"step_size": 0.1}}, "order=2 and a field"),
    ({"method": "rk4"}, "no step size"),
    ({"method": "leapfrog", "eps": 0.001, "options": {"step_size": 0.1}}, "16 eps"),
    ({"method": "rk4", "options": {"step_size": 0.1, "coupling": 1.5}}, "coupling"),
    ({"method": "rk4", "options": {"step_size": 0.1, "resolution": 99}}, "resolution"),
    ({"method": "rk4", "options": {"step_size": 0.1, "interp": "cubic"}}, "interp"),
]


@pytest.mark.parametrize(("settings", "message"), REFUSED)
def test_what_cannot_be_run_backwards_is_refused(settings, message):
    with pytest.raises(InvalidInputError, match=message):
        ODEBlock(nn.Tanh(), gradient="reversible", **settings)(torch.ones(2))


def test_an_adjoint_of_a_reversible_scheme_is_refused():
    with pytest.raises(InvalidInputError, match="gradient='reversible' or 'backprop'"):
        ODEBlock(nn.Tanh(), method="leapfrog", options={"step_size": 0.1}, adjoint=True)


PEAK = """
import resource, sys, torch
from torch import nn
from odemom.nn import ODEBlock
f = nn.Sequential(nn.Linear(64, 64), nn.Tanh(), nn.Linear(64, 64))
x = torch.randn(4096, 64)
def step(n):
    block = ODEBlock(f, 1, gradient="reversible", method="euler", options={"step_size": 1 / n})
    block(x).sum().backward()
step(2)
start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
step(int(sys.argv[1]))
print(start, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def test_the_peak_does_not_grow_with_the_steps():
    assert resource.RUSAGE_SELF == 0
    command = [sys.executable, "-c", PEAK]
    done = subprocess.run([*command, "24"], capture_output=True, text=True, check=True)
    before, after = map(int, done.stdout.split())
    # Plain autograd keeps 2 x 2 x 24 more activations of 1 MB.
    assert after < 1.1 * before


@pytest.mark.parametrize("way", ["reversible", "adjoint"])
def test_a_backward_pass_in_inference_mode_gives_all_gradients(way):
    field, x = net(), states()
    method = "reversible_rk4" if way == "reversible" else "rk4"
    block = ODEBlock(field, gradient=way, method=method, options={"step_size": 0.5})
    found = []
    for inference in (False, True):
        block.zero_grad()
        y = block(x).square().sum()
        with torch.inference_mode(inference):
            y.backward()
        found.append([p.grad for p in block.parameters()])
        assert all(g is not None for g in found[-1])
    assert distance(*found) == 0
