"""The models and bounds of the comparison of second-order neural ODEs."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

import odemom
from odemom.experiments._ode_models import MODELS, Nets, Vectors, widest
from odemom.experiments._ode_problems import PROBLEMS, first_order_bound, oscillator
from odemom.experiments._row_adam import train_rows
from odemom.nn import ODEBlock


def drawn(name: str, count: int = 2, dim: int = 2, width: int = 4) -> tuple[Nets, torch.Tensor]:
    nets = Nets(MODELS[name], dim, width)
    return nets, nets.initial(range(count)).double()


def states(count: int, dim: int, points: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(3)
    return torch.randn(count, dim, points, generator=generator, dtype=torch.float64)


@pytest.mark.parametrize("name", MODELS)
def test_a_model_has_nearly_the_parameters_it_may_have(name):
    for dim, head in ((1, False), (2, True)):
        nets = widest(MODELS[name], dim, head, 128)
        assert 0.95 * 128 < nets.parameters <= 128
        assert nets.initial([0]).shape == (1, nets.parameters)


@pytest.mark.parametrize("start", ["zero", "field"])
def test_the_momentum_models_are_the_block_of_the_library(start):
    """eps x'' + x' = f(x), by `ODEBlock` of order 2, at an eps other than 1."""
    nets, rows = drawn("momentum-rest" if start == "zero" else "momentum-field")
    rows[:, nets.flow_parameters - 1] = np.log(0.7)
    x = states(2, 2, 5)
    w_1, b_1, w_2, b_2 = (
        part.unflatten(1, shape)
        for part, shape in zip(
            rows[:, :-1].split([8, 4, 8, 2], dim=1), nets.flow_shapes[:4], strict=True
        )
    )
    block = ODEBlock(
        lambda y: w_2 @ torch.tanh(w_1 @ y + b_1) + b_2,
        eps=0.7,
        initial_velocity=start,
        rtol=1e-9,
        atol=1e-9,
    )
    ours = nets.solve(rows, x, 1 / 50, 50)[-1][:, :2]
    assert torch.allclose(ours, block(x), atol=1e-6)  # h^4 = 1.6e-7


def test_heavy_ball_is_the_momentum_equation_with_gamma_one_over_eps():
    heavy, rows = drawn("hbnode")
    rest = Nets(MODELS["momentum-rest"], 2, 4)
    flow = rows[:, : heavy.flow_parameters].clone()
    gamma = heavy.friction(flow)
    as_rest = flow.clone()
    as_rest[:, 12:22] /= gamma[:, None]  # eps f
    as_rest[:, -1] = -gamma.log()
    z = states(2, 4, 5)
    assert torch.allclose(heavy.system(flow).at(z), rest.system(as_rest).at(z), atol=1e-12)


def test_the_augmented_model_starts_its_coordinates_at_zero_and_sonode_learns_its_velocity():
    x = states(2, 2, 3)
    nets, rows = drawn("anode")
    assert torch.equal(nets.start(rows, x), torch.cat([x, torch.zeros_like(x)], dim=1))
    nets, rows = drawn("sonode")
    moved = rows.clone()
    moved[:, -1] += 1.0  # the last bias of the network of the initial velocity
    difference = nets.start(moved, x) - nets.start(rows, x)
    assert torch.allclose(difference[:, -1], torch.ones(2, 3, dtype=x.dtype))
    assert torch.equal(difference[:, :-1], torch.zeros(2, 3, 3, dtype=x.dtype))


@pytest.mark.parametrize("name", MODELS)
def test_the_adaptive_solver_sees_the_nets_that_were_trained(name):
    nets, rows = drawn(name)
    x = states(2, 2, 3)
    fixed = nets.solve(rows, x, 1 / 50, 50)[-1]
    for i in range(2):
        block = ODEBlock(Vectors(nets, rows[[i]]), order=1, rtol=1e-9, atol=1e-9, adjoint=True)
        adaptive = block(nets.start(rows[[i]], x[[i]]))
        assert torch.allclose(adaptive[0], fixed[i], atol=1e-6)
        adaptive.sum().backward()
        assert block.nfe_backward > 0


def test_from_rest_the_potential_grows_so_no_point_is_sent_to_its_mirror_and_back():
    """F(x(1)) > F(x(0)) with F' = f, on the line: what keeps x -> -x out of reach."""
    nets, rows = drawn("momentum-rest", count=20, dim=1, width=8)
    x = states(20, 1, 4)
    end = nets.solve(5 * rows, x, 1 / 100, 100)[-1][:, :1]
    nodes, weights = np.polynomial.legendre.leggauss(60)
    gain = torch.zeros_like(x)
    for node, weight in zip(nodes, weights, strict=True):
        y = (x + end) / 2 + node * (end - x) / 2
        state = torch.cat([y, torch.zeros_like(y)], dim=1)  # eps x'' = f there
        eps = 1 / nets.friction(5 * rows)
        force = eps[:, None, None] * nets.system(5 * rows).at(state)[:, 1:]
        gain += weight * force * (end - x) / 2
    assert (gain > 0).all()


def test_the_oscillators_are_solutions():
    """x'' + x'/3 + (1 + 1/36) x = 0."""
    t = torch.linspace(0, 6, 7, dtype=torch.float64, requires_grad=True)
    x, v = torch.tensor(-1.2), torch.tensor(0.4)
    position = oscillator(t, x, v)
    (velocity,) = torch.autograd.grad(position.sum(), t, create_graph=True)
    (acceleration,) = torch.autograd.grad(velocity.sum(), t)
    assert torch.allclose(
        acceleration + velocity / 3 + (1 + 1 / 36) * position, torch.zeros(7).double(), atol=1e-12
    )
    assert position[0].item() == pytest.approx(-1.2)
    assert velocity[0].item() == pytest.approx(0.4)


def test_the_bound_of_x_to_minus_x_is_the_variance():
    split = PROBLEMS["parity"].draw([0, 1], "test")
    variance = split.x.var(dim=2, unbiased=False)[:, 0]
    assert first_order_bound(PROBLEMS["parity"], split) == pytest.approx(variance.tolist())


def test_the_bound_of_a_monotone_trajectory_is_zero_and_of_a_swing_is_not():
    problem = PROBLEMS["released"]
    split = problem.draw([0], "test")
    falling = split.x[:, None] * torch.exp(-torch.arange(1, 6.0).double())[None, :, None, None]
    monotone = dataclasses.replace(split, target=falling)
    assert first_order_bound(problem, monotone) == (0.0,)
    assert first_order_bound(problem, split)[0] > 0.01


def test_the_spheres_are_apart_and_every_split_is_another():
    problem = PROBLEMS["spheres"]
    train, test = (problem.draw([0], part) for part in ("train", "test"))
    radius = test.x.norm(dim=1)[0]
    inner = test.target.flatten() < 0
    assert radius[inner].max() <= 0.5
    assert radius[~inner].min() >= 1.0
    assert not torch.equal(train.x[0, :, 0], test.x[0, :, 0])


def test_a_net_is_trained_as_if_it_were_alone():
    nets, rows = drawn("sonode", count=3, dim=1)
    x = states(3, 1, 6)

    def loss(parameters):
        count = len(parameters)
        return (
            (nets.solve(parameters, x[:count], 0.25, 4)[-1][:, :1] + x[:count])
            .square()
            .mean((1, 2))
        )

    together = train_rows(rows, [0.1, 0.03, 0.01], 5, loss)
    alone = train_rows(rows[:1], [0.1], 5, loss)
    assert torch.allclose(together[:1], alone, atol=1e-12)
    assert not torch.allclose(together, rows, atol=1e-3)


def test_psi_gives_the_error_of_a_linear_field_from_rest():
    """The bound of the claim: least (1 - psi)² over real psi is reached at lambda_eps."""
    eps = 3.0
    values = odemom.psi(np.linspace(-60, 0, 4001)[:, None, None], eps)[:, 0, 0]
    assert values.min() == pytest.approx(odemom.lambda_eps(eps), abs=1e-4)
    assert ((values + 1) ** 2).min() == pytest.approx((1 + odemom.lambda_eps(eps)) ** 2, abs=1e-4)
