"""MomentumNet: gradients of the float network, exact inverses, and life as an ordinary module."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest
import torch
from torch import nn

from odemom.errors import DoubleBackwardError, ReversibilityError
from odemom.nn import MomentumNet, reversible
from odemom.nn.reversible import native
from tests.nn.momentum_oracle import EXACT_GAMMA, error, grad, gradients, mlp, mlps, plain

GAMMAS = [0.1, 0.5, 0.9, 0.99, 1]


def batch(width=16, rows=32, dtype=torch.float32, seed=0):
    return torch.randn(rows, width, generator=torch.Generator().manual_seed(seed)).to(dtype)


def exact(gamma):
    n, d = EXACT_GAMMA[gamma]
    return n / d


def oracle(functions, gamma, x, dtype=torch.float64):
    return gradients(lambda fs, x: plain(fs, exact(gamma), x), functions, x, dtype)


def momentum_net(*args, **kwargs) -> Any:
    """A MomentumNet whose parts the type checker lets one reach into."""
    return MomentumNet(*args, **kwargs)


def call(net, x):
    return net(x)


# --- gradients ---------------------------------------------------------------------------------


def at_depths(gamma, n):
    """Depth 100 for every other gamma here, for the rest among the slow ones."""
    return [
        pytest.param(
            gamma, depth, marks=pytest.mark.slow if depth > 100 or (depth > 10 and n % 2) else []
        )
        for depth in (1, 10, 100, 1000)
    ]


@pytest.mark.parametrize(
    ("gamma", "depth"), [case for n, gamma in enumerate(GAMMAS) for case in at_depths(gamma, n)]
)
def test_float32_gradients_are_within_three_times_its_own_rounding(gamma, depth):
    """In the mean over five networks at depth 1000, where one error alone varies tenfold."""
    own, ours = [], []
    for k in range(5 if depth == 1000 else 1):
        functions, x = mlps(depth, first=k * depth), batch(seed=k)
        truth = oracle(functions, gamma, x)
        net = MomentumNet(functions, gamma)
        own.append(error(oracle(functions, gamma, x, torch.float32), truth))
        ours.append(error(gradients(call, net, x, torch.float32), truth))
    assert sum(ours) <= 3 * sum(own)


@pytest.mark.parametrize(
    "gamma",
    [pytest.param(g, marks=pytest.mark.slow if n % 2 else []) for n, g in enumerate(GAMMAS)],
)
def test_float64_gradients_at_depth_100(gamma):
    functions, x = mlps(100), batch()
    ours = gradients(call, MomentumNet(functions, gamma), x, torch.float64)
    assert error(ours, oracle(functions, gamma, x)) <= 1e-10


def test_plain_and_reversible_use_one_gamma():
    functions, x = mlps(20), batch()
    asked = 0.7071067811865476
    net = momentum_net(functions, asked)
    gamma = float(net.rational_gamma)
    assert gamma != asked
    assert net.gamma == MomentumNet(functions, asked, reversible=False).gamma == gamma
    truth = gradients(lambda fs, x: plain(fs, gamma, x), functions, x, torch.float64)
    for reversible_or_not in (True, False):
        net.reversible = reversible_or_not
        assert error(gradients(call, net, x, torch.float64), truth) <= 1e-11


def test_initial_velocity_gets_its_gradient():
    functions, x = mlps(10), batch()
    net = momentum_net(functions, 0.9, initial_velocity=mlp(seed=99))
    assert net.initial_velocity is not None

    def truth(net, x):
        return plain(net.functions, 0.9, x, v=net.initial_velocity(x))

    expected = gradients(truth, net, x, torch.float64)
    assert error(gradients(call, net, x, torch.float64), expected) <= 1e-11


def test_input_without_gradient_and_frozen_first_layers():
    net = momentum_net(mlps(6), 0.9)
    net.functions[:3].requires_grad_(False)
    twin = copy.deepcopy(net)
    twin.reversible = False
    for n in (net, twin):
        n(batch()).square().mean().backward()
    for p, q in zip(net.parameters(), twin.parameters(), strict=True):
        assert (p.grad is None) == (q.grad is None) == (not p.requires_grad)
        if p.grad is not None and q.grad is not None:
            assert torch.allclose(grad(p), grad(q), rtol=1e-4, atol=1e-8)


def test_frozen_first_weight_of_a_layer():
    functions, x = mlps(5), batch()
    next(functions.parameters()).requires_grad_(False)
    ours, theirs = momentum_net(functions, 0.9), copy.deepcopy(functions)
    ours(x).square().mean().backward()
    plain(theirs, 0.9, x).square().mean().backward()
    for p, q in zip(ours.parameters(), theirs.parameters(), strict=True):
        assert (p.grad is None) == (q.grad is None)
        assert p.grad is None or torch.allclose(grad(p), grad(q), rtol=1e-4, atol=1e-8)


def test_unused_parameter_gets_no_gradient():
    function = mlp()
    function.register_parameter("unused", nn.Parameter(torch.ones(3)))
    net = momentum_net([function, mlp(seed=1)], 0.9)
    net(batch()).sum().backward()
    assert function.unused.grad is None
    assert all(p.grad is not None for n, p in net.named_parameters() if "unused" not in n)


def test_function_without_parameters_or_dependence_on_x():
    class Constant(nn.Module):
        def forward(self, x):
            return torch.ones_like(x)

    x = batch().requires_grad_()
    MomentumNet([Constant(), nn.Tanh(), Constant()], 0.5)(x).sum().backward()
    truth = x.detach().clone().requires_grad_()
    plain([Constant(), nn.Tanh(), Constant()], 0.5, truth).sum().backward()
    assert torch.allclose(grad(x), grad(truth))


# --- extra arguments ---------------------------------------------------------------------------


class Attends(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(16, 16)

    def forward(self, x, memory, *, mask=None, scales=(), flag=True):
        y = torch.tanh(self.linear(x) + memory * x)
        y = y * scales["a"] if scales else y
        return (y if mask is None else y.masked_fill(mask, 0.0)) if flag else x


def test_extra_arguments_get_gradients_through_every_layer():
    torch.manual_seed(0)
    functions, x = nn.ModuleList(Attends() for _ in range(20)).double(), batch(dtype=torch.float64)
    mask = torch.rand(32, 16) < 0.3
    found = []
    for run in (MomentumNet(functions, 0.9), lambda *a, **k: plain(functions, 0.9, *a, **k)):
        memory = batch(seed=1, dtype=torch.float64).requires_grad_()
        scale = torch.tensor(1.5, dtype=torch.float64, requires_grad=True)
        functions.zero_grad()
        run(x, memory * 2, mask=mask, scales={"a": scale}).square().mean().backward()
        found.append([memory.grad, scale.grad, *(grad(p).clone() for p in functions.parameters())])
    assert error(found[0], found[1]) <= 1e-11


# --- autograd's other doors --------------------------------------------------------------------


def test_gradients_asked_for_by_name():
    net, x = momentum_net(mlps(8), 0.9), batch().requires_grad_()
    middle = net.functions[4][0].weight
    (found,) = torch.autograd.grad(net(x).square().mean(), [middle])
    net(x).square().mean().backward()
    assert torch.equal(found, middle.grad)


@pytest.mark.parametrize("times", [2, 3])
def test_backward_again_with_retain_graph(times):
    net, x = momentum_net(mlps(8), 0.9), batch().requires_grad_()
    loss = net(x).square().mean()
    found = []
    for k in range(times):
        net.zero_grad()
        x.grad = None
        loss.backward(retain_graph=k < times - 1)
        found.append([x.grad, *(p.grad for p in net.parameters())])
    assert all(torch.equal(a, b) for a, b in zip(found[0], found[-1], strict=True))


def test_backward_again_without_retain_graph_is_refused():
    net = momentum_net(mlps(3), 0.9)
    loss = net(batch()).sum()
    loss.backward()
    with pytest.raises(ReversibilityError, match="retain_graph=True"):
        loss.backward()


def test_second_derivative_is_refused_by_name():
    net, x = momentum_net(mlps(3), 0.9), batch().requires_grad_()
    with pytest.raises(DoubleBackwardError, match=r"reversible=False") as caught:
        torch.autograd.grad(net(x).sum(), x, create_graph=True)
    assert isinstance(caught.value, NotImplementedError)


def test_tensor_hooks_run_once():
    net = momentum_net(mlps(4), 0.9)
    weight, calls = net.functions[1][0].weight, []
    net(batch()).sum().backward()
    before = weight.grad.clone()
    net.zero_grad()
    weight.register_hook(lambda g: calls.append(1) or 2 * g)
    net(batch()).sum().backward()
    assert len(calls) == 1
    assert torch.equal(weight.grad, 2 * before)


def test_each_layer_releases_its_gradients_before_the_next_is_recomputed():
    net, order = momentum_net(mlps(5), 0.9), []
    for n, function in enumerate(net.functions):
        function[0].weight.register_post_accumulate_grad_hook(
            lambda p, n=n: order.append(("grad", n))
        )
        function.register_forward_hook(lambda *a, n=n: order.append(("call", n)))
    loss = net(batch()).sum()
    order.clear()
    loss.backward()
    assert order == [event for n in reversed(range(5)) for event in (("call", n), ("grad", n))]


def test_state_is_released_by_backward_though_the_loss_lives_on():
    net, x = momentum_net(mlps(4), 0.9), batch()
    net.functions[0].requires_grad_(False)
    y = net(x)
    run = y.grad_fn.run
    y.sum().backward()
    assert run.state is None


def test_functional_call_differentiates_the_parameters_given():
    net, x = momentum_net(mlps(6), 0.9).double(), batch(dtype=torch.float64)
    found = []
    for reversible_or_not in (True, False):
        net.reversible = reversible_or_not
        given = {k: (2 * p).detach().requires_grad_() for k, p in net.named_parameters()}
        y = torch.func.functional_call(net, {k: p * 1.0 for k, p in given.items()}, (x,))
        y.square().mean().backward()
        found.append([p.grad for p in given.values()])
    assert error(found[0], found[1]) <= 1e-11
    assert all(p.grad is None for p in net.parameters())


def test_compiled_functions_recompute_their_bits():
    functions, x = mlps(3), batch()
    truth = oracle(functions, 0.9, x)
    compiled: Any = [torch.compile(f, backend="aot_eager") for f in functions]
    net, x = momentum_net(compiled, 0.9), x.clone().requires_grad_()
    net(x).double().square().mean().backward()
    assert error([x.grad, *(p.grad for p in functions.parameters())], truth) <= 1e-6


@pytest.mark.slow
def test_functions_compiled_by_inductor_recompute_their_bits():
    functions, x = mlps(3), batch()
    truth = oracle(functions, 0.9, x)
    net, x = momentum_net([torch.compile(f) for f in functions], 0.9), x.clone().requires_grad_()
    net(x).double().square().mean().backward()
    assert error([x.grad, *(p.grad for p in functions.parameters())], truth) <= 1e-6


# --- an ordinary module ------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_parameters_and_input(dtype):
    functions, x = mlps(10).to(dtype), batch(dtype=dtype)
    net = momentum_net(functions, 0.9)
    truth = oracle(functions, 0.9, x)
    ours, own = gradients(call, net, x, dtype), None
    net.reversible = False
    own = error(gradients(call, net, x, dtype), truth)
    assert net(x).dtype == ours[0].dtype == dtype
    assert error(ours, truth) <= 3 * own


def test_value_is_the_same_with_and_without_gradients():
    net, x = momentum_net([*mlps(5)] * 40, 0.1), batch()
    trained = net(x)
    with torch.no_grad():
        assert torch.equal(net(x), trained)
    with torch.inference_mode():
        assert torch.equal(net.eval()(x), trained)
    assert trained.requires_grad


@pytest.mark.parametrize("twin_of", [copy.deepcopy, lambda net: pickle.loads(pickle.dumps(net))])
def test_copies_have_the_same_value(twin_of):
    net, x = momentum_net(mlps(4), 0.9, resolution=40), batch()
    assert torch.equal(twin_of(net)(x), net(x))


def test_state_dict_goes_to_and_from_a_plain_twin():
    net, other = MomentumNet(mlps(4), 0.9), MomentumNet(mlps(4)[::-1], 0.9, reversible=False)
    other.load_state_dict(net.state_dict())
    assert torch.allclose(net(batch()), other(batch()), atol=1e-6)


def test_copy_is_possible_while_a_graph_is_alive():
    net = momentum_net(mlps(4), 0.9)
    y = net(batch())
    copy.deepcopy(net)
    y.sum().backward()


@pytest.mark.parametrize("shape", [(5,), (2, 3, 4), (0, 16), (3, 1, 1, 1)])
def test_any_shape(shape):
    x = torch.randn(shape, requires_grad=True)
    y = MomentumNet([nn.Tanh()] * 5, 0.9)(x)
    y.sum().backward()
    assert y.shape == grad(x).shape == x.shape


def test_strided_input_and_function_value():
    class Turned(nn.Module):
        def forward(self, x):
            return x.transpose(-1, -2).contiguous().transpose(-1, -2).tanh()

    base = torch.randn(6, 4, dtype=torch.float64)
    x = base.t().requires_grad_()
    MomentumNet([Turned()] * 9, 0.9)(x).square().sum().backward()
    truth = base.t().clone().requires_grad_()
    plain([Turned()] * 9, 0.9, truth).square().sum().backward()
    assert torch.allclose(grad(x), grad(truth), rtol=1e-11)


def test_memory_format_reaches_the_functions():
    class Asks(nn.Module):
        def forward(self, x):
            assert x.is_contiguous(memory_format=torch.channels_last)
            return x.tanh()

    x = torch.randn(2, 3, 4, 5).to(memory_format=torch.channels_last).requires_grad_()
    MomentumNet([Asks()] * 3, 0.9)(x).sum().backward()


@pytest.mark.skipif(not native.available(), reason="no C compiler")
def test_both_kernels_give_the_same_gradients_bit_for_bit():
    net, x, found = momentum_net(mlps(30), 0.5), batch(), {}
    for kernel in ("eager", "fused"):
        with reversible.use_kernel(kernel):
            found[kernel] = gradients(call, net, x, torch.float32)
    assert all(torch.equal(a, b) for a, b in zip(found["eager"], found["fused"], strict=True))


def test_parameter_changed_before_backward_is_found():
    net = momentum_net(mlps(3), 0.9)
    loss = net(batch()).sum()
    with torch.no_grad():
        net.functions[1][0].weight.add_(1.0)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()
    loss = net(batch()).sum()
    net.functions[1][0].weight.data.add_(1.0)
    with pytest.raises(ReversibilityError, match=r"functions\[1\] \(Sequential\), layer 1"):
        loss.backward()
