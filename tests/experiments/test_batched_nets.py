"""Networks trained in one batch: each is what it would be alone, in PyTorch's own words."""

from __future__ import annotations

import itertools
import math

import pytest

from odemom import InvalidInputError

torch = pytest.importorskip("torch")

from odemom.experiments import _batched_nets as batched  # noqa: E402
from odemom.experiments import _row_adam as row_adam  # noqa: E402
from odemom.experiments._batched_nets import Nets  # noqa: E402
from odemom.nn import MomentumNet  # noqa: E402

POINTS = 7
SHAPES = [
    Nets(dim=1, hidden=3, depth=4, gamma=0.0),
    Nets(dim=2, hidden=5, depth=6, gamma=0.9),
    Nets(dim=2, hidden=5, depth=3, gamma=0.99, tied=False),
    Nets(dim=3, hidden=4, depth=2, gamma=0.5, tied=False, classes=4),
]


def parameters_of(nets, seeds=(0, 1, 2)):
    return batched.initial_parameters(nets, seeds).double()


def points_of(nets, number=3):
    generator = torch.Generator().manual_seed(5)
    return torch.randn(number, nets.dim, POINTS, dtype=torch.float64, generator=generator)


def modules_of(nets, row):
    """One net of a batch as ordinary modules, in the order of its layers; the head comes last."""
    arrays = [
        part.reshape(shape)
        for part, shape in zip(
            row.split([math.prod(s) for s in nets.shapes]), nets.shapes, strict=True
        )
    ]
    w_1, b_1, w_2, b_2, *head = arrays

    def linear(weight, bias):
        module = torch.nn.Linear(*reversed(weight.shape), dtype=row.dtype)
        module.weight.data, module.bias.data = weight.clone(), bias[:, 0].clone()
        return module

    layers = [
        torch.nn.Sequential(linear(w_1[i], b_1[i]), torch.nn.Tanh(), linear(w_2[i], b_2[i]))
        for i in range(len(w_1))
    ]
    last = linear(*(part[0] for part in head)) if head else torch.nn.Identity()
    return (layers * nets.depth if nets.tied else layers), last


@pytest.mark.parametrize("nets", SHAPES)
def test_each_net_is_the_momentum_net_of_its_weights(nets):
    parameters, x = parameters_of(nets), points_of(nets)
    path = batched.trajectory(nets, parameters, x)
    assert len(path) == nets.depth + 1
    for i, row in enumerate(parameters):
        layers, head = modules_of(nets, row)
        expected = MomentumNet(layers, gamma=nets.gamma, reversible=False)(x[i].T)
        torch.testing.assert_close(path[-1][i].T, expected, rtol=1e-12, atol=1e-12)
        if nets.classes:
            found = batched.logits(nets, parameters, path[-1])[i].T
            torch.testing.assert_close(found, head(expected), rtol=1e-12, atol=1e-12)


def test_each_net_is_trained_as_pytorch_trains_it_alone():
    nets, steps, rates = Nets(2, 5, 4, 0.9, classes=3), 25, (0.3, 0.01, 0.1)
    parameters, x = parameters_of(nets), points_of(nets)
    labels = torch.arange(POINTS) % 3

    def loss(theta):
        out = batched.logits(nets, theta, batched.trajectory(nets, theta, x)[-1])
        many = torch.nn.functional.cross_entropy(out, labels.expand(3, -1), reduction="none")
        return 100 * many.mean(dim=1)  # long gradients: all are clipped at the start

    together = row_adam.train_rows(parameters, rates, steps, loss)
    for i, (row, rate) in enumerate(zip(parameters, rates, strict=True)):
        layers, head = modules_of(nets, row)
        net = MomentumNet(layers, gamma=nets.gamma, reversible=False)
        weights = [*layers[0].parameters(), *head.parameters()]
        optimizer = torch.optim.Adam(weights, lr=rate)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
        for _ in range(steps):
            optimizer.zero_grad()
            (100 * torch.nn.functional.cross_entropy(head(net(x[i].T)), labels)).backward()
            torch.nn.utils.clip_grad_norm_(weights, row_adam.CLIP)
            optimizer.step()
            schedule.step()
        alone = torch.cat([w.detach().flatten() for w in weights])
        # clip_grad_norm_ divides by norm + 1e-6, a relative difference of 1e-6 a step
        torch.testing.assert_close(together[i], alone, rtol=1e-4, atol=1e-4)
        assert (together[i] - row).abs().max() > 1e-2


def test_a_net_that_overflows_disturbs_no_other():
    nets = Nets(2, 5, 4, 0.0)
    parameters, x = parameters_of(nets), points_of(nets)

    def loss(theta):
        return batched.trajectory(nets, theta, x)[-1].square().mean(dim=(1, 2))

    calls = itertools.count()

    def overflowing_once(theta):
        return loss(theta) * torch.tensor([1.0, math.inf if next(calls) == 3 else 1.0, 1.0])

    hurt = row_adam.train_rows(parameters, [0.1] * 3, 10, overflowing_once)
    well = row_adam.train_rows(parameters, [0.1] * 3, 10, loss)
    assert torch.equal(hurt[[0, 2]], well[[0, 2]])
    assert hurt.isfinite().all()
    assert not torch.equal(hurt[1], well[1])


def test_the_parameters_given_are_not_changed():
    nets = Nets(1, 2, 2, 0.0)
    start = parameters_of(nets)
    before = start.clone()
    row_adam.train_rows(start, [0.1] * 3, 2, lambda theta: theta.square().sum(dim=1))
    assert torch.equal(start, before)


@pytest.mark.parametrize("gamma", [0.0, 0.9])
@pytest.mark.parametrize("dim", [1, 2])
def test_what_a_bounded_layer_adds_has_slopes_within_the_bound(gamma, dim):
    steep = 30 * parameters_of(Nets(dim, 6, 1, gamma))
    free, bounded = (Nets(dim, 6, 1, gamma, bound=b) for b in (math.inf, 0.7))
    x = points_of(free)
    h = 1e-6 * torch.nn.functional.normalize(points_of(free).flip(2), dim=1)

    def slopes(nets):
        ends = [batched.trajectory(nets, steep, y)[-1] - y for y in (x, x + h)]
        return (ends[1] - ends[0]).norm(dim=1) / 1e-6

    assert slopes(free).max() > 0.7  # the bound has something to do
    assert slopes(bounded).max() <= 0.7 + 1e-8
    torch.testing.assert_close(
        batched.increment_bound(bounded, steep), torch.full((3,), 0.7, dtype=torch.float64)
    )


def test_the_bound_leaves_flat_layers_alone():
    free, bounded = (Nets(2, 4, 3, 0.9, bound=bound) for bound in (math.inf, 0.9))
    parameters, x = 0.1 * parameters_of(free), points_of(free)
    ends = [batched.trajectory(nets, parameters, x)[-1] for nets in (free, bounded)]
    assert torch.equal(*ends)
    assert batched.increment_bound(free, parameters).max() < 0.9


def test_the_bound_is_reached_in_one_dimension_where_no_unit_is_saturated():
    nets = Nets(1, 1, 1, 0.0)
    parameters = torch.tensor([[2.0, 0.0, -0.4, 0.3]], dtype=torch.float64)
    slope = batched.step_jacobians(nets, parameters, torch.zeros(1, 1, 1).double()) - 1
    torch.testing.assert_close(slope.abs().flatten(), batched.increment_bound(nets, parameters))


@pytest.mark.parametrize("tied", [True, False])
def test_the_jacobians_are_those_of_autograd(tied):
    nets = Nets(2, 5, 3, 0.0, tied=tied)
    parameters, x = parameters_of(nets), points_of(nets)
    found = batched.step_jacobians(nets, parameters, x)
    assert found.shape == (3, 3, POINTS, 2, 2)
    product = torch.eye(2, dtype=torch.float64)
    for layer in found[:, 1, 4]:
        product = layer @ product

    def end(point):
        moved = x.clone()
        moved[1, :, 4] = point
        return batched.trajectory(nets, parameters, moved)[-1][1, :, 4]

    expected = torch.autograd.functional.jacobian(end, x[1, :, 4])
    torch.testing.assert_close(product, expected, rtol=1e-12, atol=1e-12)


def test_one_thread_is_given_back():
    before = torch.get_num_threads()
    with row_adam.one_thread():
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == before


@pytest.mark.parametrize("device", ["nowhere", "cuda:99"])
def test_a_device_that_is_not_there_is_refused(device):
    with pytest.raises(InvalidInputError, match="device"):
        row_adam.as_device(device)
