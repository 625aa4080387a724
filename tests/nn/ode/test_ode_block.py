"""ODEBlock against the matrix exponential of the companion matrix, and at its edges."""

from __future__ import annotations

import copy
import io
import itertools
import math
import pickle
import warnings
from typing import Any

import numpy as np
import pytest
import scipy.linalg
import torch
from torch import nn

from odemom.nn import ODEBlock

DIMENSION = 3
TIGHT: dict[str, Any] = {"rtol": 1e-9, "atol": 1e-9}


class Linear(nn.Module):
    """x -> x theta^T along the last axis."""

    def __init__(self, theta: torch.Tensor) -> None:
        super().__init__()
        self.theta = nn.Parameter(theta)

    def forward(self, x):
        return x @ self.theta.T


def theta_of(seed=0, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(DIMENSION, DIMENSION, generator=generator, dtype=torch.float64).to(dtype)


def state_of(shape, seed=1, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64).to(dtype)


def companion(theta, order, eps):
    """The matrix of the linear ODE for x (order 1) or for (x, v)."""
    if order == 1:
        return theta
    one, zero = np.eye(DIMENSION), np.zeros((DIMENSION, DIMENSION))
    if eps == math.inf:
        return np.block([[zero, one], [theta, zero]])
    return np.block([[zero, one], [theta / eps, -one / eps]])


def oracle(theta, x0, order, eps, v0=None, time=1.0):
    """The states and velocities at ``time``, shape of ``x0``; by scipy.linalg.expm."""
    start = x0 if order == 1 else np.concatenate([x0, np.zeros_like(x0) if v0 is None else v0], -1)
    end = start @ scipy.linalg.expm(time * companion(theta, order, eps)).T
    return end[..., :DIMENSION], end[..., DIMENSION:]


def error_bound(block, theta, x0, v0=None):
    """How far the solver's answer may be from the oracle's.

    A step of size h is accepted with a local error below tol = atol + rtol |state| in the root mean
    square, so below sqrt(n) tol in norm; torchdiffeq's fourth-order estimate is not scaled by h, so
    errors add up, one a step, each amplified by at most max |exp(t M)| over [0, T]. To this comes
    the rounding of a few operations an evaluation.
    """
    matrix = companion(theta, block.order, block.eps)
    times = np.linspace(0, block.horizon, 33)
    amplified = max(np.linalg.norm(scipy.linalg.expm(t * matrix), 2) for t in times)
    start = np.linalg.norm(x0) + (0 if v0 is None else np.linalg.norm(v0))
    size = 1 + amplified * start
    spacing = torch.finfo(block.f.theta.dtype).eps
    per_evaluation = math.sqrt(2 * x0.size) * block.rtol + 4 * DIMENSION * spacing
    return block.nfe * per_evaluation * size * amplified


ORDERS_AND_VELOCITIES = [
    (1, 1.0, "zero"),
    *itertools.product([2], [0.1, 1.0, 5.0], ["zero", "field", "module"]),
    (2, math.inf, "zero"),
    (2, math.inf, "module"),
]


def block_and_velocity(theta, order, eps, kind, **settings):
    """A block for f(x) = theta x, and the matrix that maps x0 to v0 (None for zero)."""
    velocity = Linear(theta_of(7, theta.dtype))
    block = ODEBlock(
        Linear(theta),
        order,
        eps,
        initial_velocity=velocity if kind == "module" else kind,
        **settings,
    )
    matrices = {"zero": None, "field": theta, "module": velocity.theta.detach()}
    return block, matrices[kind]


@pytest.mark.parametrize(("order", "eps", "kind"), ORDERS_AND_VELOCITIES)
@pytest.mark.parametrize(("horizon", "adjoint"), [(1.0, False), (1.7, True)])
def test_a_linear_field_gives_psi_of_theta(order, eps, kind, horizon, adjoint):
    theta, x0 = theta_of(), state_of((4, DIMENSION))
    block, velocity = block_and_velocity(
        theta, order, eps, kind, horizon=horizon, adjoint=adjoint, **TIGHT
    )
    v0 = None if velocity is None else (x0 @ velocity.T).numpy()
    expected, _ = oracle(theta.numpy(), x0.numpy(), order, eps, v0, horizon)
    y = block(x0)
    bound = error_bound(block, theta.numpy(), x0.numpy(), v0)
    assert np.abs(y.detach().numpy() - expected).max() <= bound < 1e-3 * np.abs(expected).max()


@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize(
    ("dtype", "rtol"), [(torch.float64, 1e-9), (torch.float32, 1e-6), (torch.bfloat16, 1e-2)]
)
@pytest.mark.parametrize("shape", [(DIMENSION,), (2, DIMENSION), (2, 1, 4, DIMENSION)])
def test_shape_and_dtype_are_kept_and_the_error_is_the_tolerance(order, dtype, rtol, shape):
    theta, x0 = theta_of(dtype=dtype), state_of(shape, dtype=dtype)
    block = ODEBlock(Linear(theta), order, rtol=rtol, atol=rtol)
    y = block(x0)
    expected, _ = oracle(theta.double().numpy(), x0.double().numpy(), order, 1.0)
    assert (y.shape, y.dtype) == (x0.shape, x0.dtype)
    error = np.abs(y.detach().double().numpy() - expected).max()
    # A step is six evaluations, accepted with an error of rtol (1 + |state|); no state of these
    # fields is much larger than the last. (In bfloat16 the bound of all cases would be no bound.)
    assert error <= (block.nfe / 6 + 1) * rtol * (1 + np.abs(expected).max())


def test_a_scalar_state_is_allowed():
    y = ODEBlock(lambda x: x, 1, **TIGHT)(torch.tensor(1.0, dtype=torch.float64))
    assert y.shape == ()
    assert float(y) == pytest.approx(math.e, rel=1e-7)


@pytest.mark.parametrize(("order", "eps"), [(1, 1.0), (2, 0.5), (2, math.inf)])
@pytest.mark.parametrize(
    ("method", "expected_order"), [("euler", 1), ("midpoint", 2), ("heun3", 3), ("rk4", 4)]
)
def test_fixed_steps_converge_with_the_order_of_the_method(order, eps, method, expected_order):
    theta, x0 = theta_of(), state_of((2, DIMENSION))
    expected, _ = oracle(theta.numpy(), x0.numpy(), order, eps)
    steps = np.array([16, 32, 64])
    errors = []
    for n in steps:
        block = ODEBlock(
            Linear(theta), order, eps, method=method, options={"step_size": 1 / int(n)}
        )
        errors.append(np.abs(block(x0).detach().numpy() - expected).max())
    slope = -np.polyfit(np.log(steps), np.log(errors), 1)[0]
    # The next term of the error, relatively |theta|/n, bends the fitted line by about a tenth.
    assert slope == pytest.approx(expected_order, abs=0.2)


@pytest.mark.parametrize(("order", "per_call"), [(1, 0), (2, 1)])
@pytest.mark.parametrize(("method", "per_step"), [("euler", 1), ("midpoint", 2), ("rk4", 4)])
def test_nfe_counts_the_calls_of_f(order, per_call, method, per_step):
    calls = []

    def field(x):
        calls.append(x)
        return -x

    velocity = "field" if order == 2 else "zero"
    block = ODEBlock(
        field, order, initial_velocity=velocity, method=method, options={"step_size": 0.125}
    )
    for _ in range(2):  # the count starts anew with each call
        calls.clear()
        block(torch.ones(2))
        assert block.nfe == len(calls) == 8 * per_step + per_call


@pytest.mark.parametrize(("adjoint", "counted"), [(False, 0), (True, 8 * 4)])
def test_nfe_backward_counts_the_adjoint_pass(adjoint, counted):
    block = ODEBlock(
        Linear(theta_of()), method="rk4", options={"step_size": 0.125}, adjoint=adjoint
    )
    block(state_of((DIMENSION,))).sum().backward()
    assert (block.nfe, block.nfe_backward) == (8 * 4, counted)


@pytest.mark.parametrize("order", [1, 2])
def test_float16_goes_with_fixed_steps(order):
    block = ODEBlock(nn.Identity(), order, method="rk4", options={"step_size": 0.125})
    y = block(torch.ones(2, dtype=torch.float16))
    exact = math.e if order == 1 else float(oracle(np.eye(3), np.ones(3), 2, 1.0)[0][0])
    # 8 steps of about 10 roundings of 2^-11 each, of numbers below e.
    assert (y.double() - exact).abs().max() <= 8 * 10 * 2**-11 * math.e
    assert y.dtype == torch.float16


def test_scipy_solver_goes_with_the_adjoint():
    field = Linear(theta_of())
    block = ODEBlock(field, method="scipy_solver", adjoint=True, **TIGHT)
    x0 = state_of((2, DIMENSION))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        y = block(x0)
        y.sum().backward()
    expected, _ = oracle(theta_of().numpy(), x0.numpy(), 2, 1.0)
    # LSODA controls the error per step as dopri5 does, with as many evaluations at most.
    assert np.abs(y.detach().numpy() - expected).max() <= error_bound(
        block, theta_of().numpy(), x0.numpy()
    )
    assert field.theta.grad is not None


# --- gradients ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("order", "eps", "kind"),
    [(1, 1.0, "zero"), (2, 0.5, "zero"), (2, 0.5, "field"), (2, math.inf, "module")],
)
def test_gradients_agree_with_differences(order, eps, kind):
    # Fixed steps: the differences would see an adaptive solver's steps change.
    settings: dict[str, Any] = {"method": "rk4", "options": {"step_size": 0.25}}
    block, _ = block_and_velocity(theta_of(), order, eps, kind, **settings)
    x0 = state_of((2, DIMENSION)).requires_grad_()
    parameters = dict(block.named_parameters())

    def value(x, *weights):
        return torch.func.functional_call(block, dict(zip(parameters, weights, strict=True)), (x,))

    assert torch.autograd.gradcheck(value, (x0, *parameters.values()))


# Every equation and every velocity here, all their pairs among the slow ones.
SOME = {(2, 0.1, "zero"), (2, 1.0, "field"), (2, 5.0, "module")}


@pytest.mark.parametrize(
    ("order", "eps", "kind"),
    [
        case
        if case in SOME or case[:2] in ((1, 1.0), (2, math.inf))
        else pytest.param(*case, marks=pytest.mark.slow)
        for case in ORDERS_AND_VELOCITIES
    ],
)
def test_adjoint_gradients_are_those_of_backpropagation(order, eps, kind):
    gradients = []
    for adjoint in (False, True):
        block, _ = block_and_velocity(theta_of(), order, eps, kind, adjoint=adjoint, **TIGHT)
        x0 = state_of((2, DIMENSION)).requires_grad_()
        block(x0).square().sum().backward()
        gradients.append([x0.grad, *(p.grad for p in block.parameters())])
    # Backwards in time the damping of v, exp(-T/eps), becomes a growth of the adjoint's errors.
    growth = math.exp(min(1 / eps, 10.0)) if order == 2 else 1.0
    for direct, adjoint in zip(*gradients, strict=True):
        bound = 100 * TIGHT["rtol"] * growth * (1 + direct.abs().max())
        assert (direct - adjoint).abs().max() <= bound


def test_frozen_parameters_get_no_gradient_in_the_adjoint_pass():
    field = nn.Linear(DIMENSION, DIMENSION, dtype=torch.float64)
    field.bias.requires_grad_(False)
    block = ODEBlock(field, adjoint=True)
    block(state_of((DIMENSION,))).sum().backward()
    assert field.bias.grad is None
    assert field.weight.grad is not None


def test_autocast_runs_f_in_half_precision_and_keeps_the_state():
    seen = []

    class Watching(nn.Linear):
        def forward(self, input):
            value = super().forward(input)
            seen.append((input.dtype, value.dtype))
            return value

    block = ODEBlock(Watching(4, 4), adjoint=True, method="rk4", options={"step_size": 0.5})
    with torch.autocast("cpu", dtype=torch.bfloat16):
        y = block(torch.ones(2, 4))
    y.sum().backward()
    assert y.dtype == torch.float32
    assert len(seen) == 8 + 8 + 2  # forth, back, and to compare
    assert set(seen) == {(torch.float32, torch.bfloat16)}


# --- trajectories ------------------------------------------------------------------------------

TIMES = [
    [0.0, 0.3, 1.0, 2.0],
    [0.5],
    [0.0],
    torch.tensor([0.1, 2.0]),
    np.linspace(0, 2, 5),
]


@pytest.mark.parametrize("times", TIMES, ids=str)
@pytest.mark.parametrize("eps", [0.5, math.inf])
def test_a_trajectory_passes_through_the_exact_states(times, eps):
    theta, x0 = theta_of(), state_of((2, DIMENSION))
    block = ODEBlock(Linear(theta), 2, eps, horizon=2, **TIGHT)
    x, v = block.trajectory(x0, times, return_velocity=True)
    assert x.shape == v.shape == (len(times), *x0.shape)
    bound = error_bound(block, theta.numpy(), x0.numpy()) if block.nfe else 0.0
    for i, time in enumerate(times):
        expected = oracle(theta.numpy(), x0.numpy(), 2, eps, time=float(time))
        for got, exact in zip((x[i], v[i]), expected, strict=True):
            assert np.abs(got.detach().numpy() - exact).max() <= bound + 1e-14


def test_the_last_state_of_a_trajectory_is_the_output():
    block, x0 = ODEBlock(Linear(theta_of()), 1), state_of((DIMENSION,))
    assert torch.equal(block.trajectory(x0, [1.0])[-1], block(x0))


def test_between_fixed_steps_the_error_is_that_of_the_method():
    block = ODEBlock(lambda x: x, 1, method="rk4", options={"step_size": 0.1})
    x = block.trajectory(torch.ones(1, dtype=torch.float64), [0.05, 0.33, 1.0])[:, 0]
    exact = torch.tensor([0.05, 0.33, 1.0], dtype=torch.float64).exp()
    # Cubic Hermite: h^4/384 e; rk4: h^4/120 e. Straight lines would be off by h^2/8 e = 3e-3.
    assert (x - exact).abs().max() <= 0.1**4 / 80 * math.e


# --- copies ------------------------------------------------------------------------------------


def copy_by_pickle(block):
    return pickle.loads(pickle.dumps(block))


def copy_by_state_dict(block):
    stream = io.BytesIO()
    torch.save(block.state_dict(), stream)
    stream.seek(0)
    other = ODEBlock(Linear(theta_of(5)), initial_velocity=Linear(theta_of(6)))
    other.load_state_dict(torch.load(stream, weights_only=True))
    return other


@pytest.mark.parametrize("clone", [copy.deepcopy, copy_by_pickle, copy_by_state_dict])
def test_a_copy_computes_the_same(clone):
    block = ODEBlock(Linear(theta_of()), initial_velocity=Linear(theta_of(2)))
    x0 = state_of((DIMENSION,))
    before = block(x0)
    assert torch.equal(clone(block)(x0), before)


@pytest.mark.parametrize(
    ("block", "text"),
    [
        (ODEBlock(nn.Identity(), eps="1/2"), "order=2, eps=0.5, initial_velocity='zero'"),
        (ODEBlock(nn.Identity(), 1), "order=1, horizon=1, method='dopri5', rtol=1e-05"),
    ],
)
def test_the_block_prints_its_parameters(block, text):
    assert text in repr(block)
