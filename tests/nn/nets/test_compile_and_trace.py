"""Compilers, tracers, transforms: the plain net goes through, the reversible one, or a sentence."""

from __future__ import annotations

import pickle
from typing import Any

import pytest
import torch
import torch.fx
from torch import nn
from torch.autograd import forward_ad
from torch.fx.experimental.proxy_tensor import make_fx

from odemom.errors import InvalidInputError
from odemom.nn import MomentumNet, ResidualNet, RevNet
from tests.nn.compilers import VERSION, newer_compiler
from tests.nn.momentum_oracle import error, grad, mlp


def momentum(reversible, **options) -> Any:
    return MomentumNet([mlp(8, 8, n) for n in range(3)], 0.9, reversible=reversible, **options)


def with_velocity(reversible) -> Any:
    return momentum(reversible, initial_velocity=nn.Linear(8, 8))


def revnet(reversible) -> Any:
    return RevNet([mlp(4, 4, n) for n in range(4)], reversible=reversible)


def residual(reversible) -> Any:
    return ResidualNet([mlp(8, 8, n) for n in range(3)])


class Model(nn.Module):
    """A network between two layers, which gets a second argument."""

    def __init__(self, reversible):
        super().__init__()
        self.first, self.last = nn.Linear(8, 8), nn.Linear(8, 8)
        self.net = MomentumNet([Scaled(n) for n in range(3)], 0.9, reversible=reversible)

    def forward(self, x, scale):
        return self.last(self.net(self.first(x), scale=scale))


class Scaled(nn.Module):
    def __init__(self, n):
        super().__init__()
        self.inner = mlp(8, 8, n)

    def forward(self, x, scale):
        return scale * self.inner(x)


KINDS = [momentum, with_velocity, revnet, residual]
X = torch.randn(4, 8, generator=torch.Generator().manual_seed(0))


def gradients(call, module):
    module.zero_grad()
    x = X.clone().requires_grad_()
    call(x).square().sum().backward()
    return [grad(x).clone(), *(grad(p).clone() for p in module.parameters())]


# --- the plain network ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "backend"),
    [
        pytest.param(momentum, "aot_eager", marks=pytest.mark.slow),
        (momentum, "eager"),
        (with_velocity, "eager"),
        (revnet, "eager"),
        (residual, "eager"),
    ],
)
def test_plain_network_compiles_whole(make, backend):
    net = make(reversible=False)
    torch.compiler.reset()
    compiled = torch.compile(net, backend=backend, fullgraph=True)
    assert error(gradients(compiled, net), gradients(net, net)) <= 1e-6
    with torch.no_grad():
        assert torch.allclose(compiled(X), net(X), atol=1e-6)


@newer_compiler
@pytest.mark.parametrize("make", KINDS)
def test_plain_network_is_traced_by_fx(make):
    net = make(reversible=False)
    traced = torch.fx.symbolic_trace(net)
    for dtype in (torch.float32, torch.float64, torch.bfloat16):
        assert torch.equal(traced.to(dtype)(2 * X.to(dtype)), net.to(dtype)(2 * X.to(dtype)))
    assert traced(X.bfloat16()).dtype == torch.bfloat16
    assert torch.equal(pickle.loads(pickle.dumps(traced))(X.bfloat16()), net(X.bfloat16()))
    with pytest.raises(InvalidInputError, match=r"2 arguments besides x.*Trace the model"):
        traced(X, X, scale=X)


def test_features_of_a_plain_network_are_extracted():
    extraction = pytest.importorskip("torchvision.models.feature_extraction")
    net = momentum(reversible=False)
    (feature,) = extraction.create_feature_extractor(net, ["functions.1.1"])(X).values()
    seen = []
    net.functions[1][1].register_forward_hook(lambda module, args, out: seen.append(out))
    net(X)
    assert torch.equal(feature, seen[0])


def test_model_with_arguments_is_traced_and_exported():
    model, scale = Model(reversible=False), torch.tensor(0.5)
    expected = model(X, scale)
    assert torch.equal(torch.fx.symbolic_trace(model)(X, scale), expected)
    batch = torch.export.Dim("batch")
    exported = torch.export.export(
        model, (X, scale), dynamic_shapes={"x": {0: batch}, "scale": None}
    ).module()
    assert torch.allclose(exported(X, scale), expected, atol=1e-6)
    assert torch.allclose(exported(X[:3], scale), expected[:3], atol=1e-6)


@pytest.mark.parametrize(
    ("make", "strict"), [*((make, False) for make in KINDS), (momentum, True), (revnet, True)]
)
def test_plain_network_is_exported(make, strict):
    net = make(reversible=False)
    exported = torch.export.export(net, (X,), strict=strict).module()
    assert torch.allclose(exported(2 * X), net(2 * X), atol=1e-6)


@pytest.mark.parametrize("make", KINDS)
def test_plain_network_under_the_transforms_of_torch_func(make):
    net = make(reversible=False)
    if make is not revnet:  # whose halves are along the axis that vmap takes one of
        assert torch.allclose(torch.func.vmap(net)(X), net(X), atol=1e-6)
    parameters = dict(net.named_parameters())

    def loss(parameters, x):
        return torch.func.functional_call(net, parameters, (x[None],)).square().sum()

    each = torch.func.vmap(torch.func.grad(loss), in_dims=(None, 0))(parameters, X)
    total = [each[name].sum(0) for name in parameters]
    assert error(total, gradients(net, net)[1:]) <= 1e-5
    tangent = torch.func.jvp(net, (X,), (X,))[1]
    near = (net(X + 1e-3 * X) - net(X - 1e-3 * X)) / 2e-3
    assert torch.allclose(tangent, near, atol=1e-3)


def test_plain_network_is_traced_by_jit_and_make_fx():
    net = momentum(reversible=False)
    traced: Any = torch.jit.trace(net, X)
    assert torch.equal(traced(2 * X), net(2 * X))
    assert torch.equal(make_fx(net)(X)(2 * X), net(2 * X))


def test_compiled_network_still_refuses_a_function_that_does_not_fit():
    torch.compiler.reset()
    net = MomentumNet([nn.Linear(8, 1)], 0.9, reversible=False)
    with pytest.raises(Exception, match=r"functions\[0\] \(Linear\)|Observed exception"):
        torch.compile(net, backend="eager", fullgraph=True)(X)


# --- the reversible network, compiled ------------------------------------------------------------


def counter(backend="aot_eager"):
    from torch._dynamo.testing import CompileCounterWithBackend

    torch.compiler.reset()
    return CompileCounterWithBackend(backend)


def compiled_in_place(net, backend):
    net.compile(backend=backend)
    return net


def compiled_each(net, backend):
    compiled: list[Any] = [torch.compile(f, backend=backend) for f in net.functions]
    net.functions = nn.ModuleList(compiled)
    return net


def compiled_around(net, backend):
    return torch.compile(net, backend=backend)


def compiled_both(net, backend):
    return torch.compile(compiled_in_place(net, backend), backend=backend)


WAYS = [(compiled_in_place, 1), (compiled_each, 1), (compiled_around, 0), (compiled_both, 1)]


@newer_compiler
@pytest.mark.parametrize("hooked", [False, True])
@pytest.mark.parametrize(("way", "graphs"), WAYS)
def test_both_passes_run_the_same_compiled_code(way, graphs, hooked):
    net = momentum(reversible=True)
    if hooked:
        for p in net.parameters():
            p.register_hook(lambda g: g)
    truth, count = gradients(net, net), counter()
    run = way(net, count)
    for _ in range(2):
        assert error(gradients(run, net), truth) <= 1e-6
    assert count.frame_count == graphs  # three functions of one code, forward and again


def test_model_around_a_reversible_network_is_compiled():
    model, scale, count = Model(reversible=True), torch.tensor(0.5), counter()
    run = torch.compile(model, backend=count)
    truth = gradients(lambda x: model(x, scale), model)
    assert error(gradients(lambda x: run(x, scale), model), truth) <= 1e-6
    assert count.frame_count == 2  # before and after


@newer_compiler
def test_whole_graph_of_a_reversible_network_is_refused_with_the_way_out():
    torch.compiler.reset()
    run = torch.compile(momentum(reversible=True), backend="eager", fullgraph=True)
    with pytest.raises(Exception, match=r"net\.compile\(\).*reversible=False"):
        run(X)


@pytest.mark.slow
@pytest.mark.parametrize("way", [compiled_in_place, compiled_each, compiled_around])
def test_inductor(way):
    torch.compiler.reset()
    net = momentum(reversible=True)
    truth = gradients(net, net)
    assert error(gradients(way(net, "inductor"), net), truth) <= 1e-5
    plain = momentum(reversible=False)
    compiled = torch.compile(plain, fullgraph=True)
    assert error(gradients(compiled, plain), truth) <= 1e-5


@pytest.mark.slow
def test_dropout_under_inductor():
    torch.compiler.reset()
    functions = [nn.Sequential(mlp(8, 8, n), nn.Dropout(0.5), nn.GELU()) for n in range(3)]
    net, found = MomentumNet(functions, 0.9), []
    net.compile()
    for _ in range(2):
        torch.manual_seed(0)
        found.append(gradients(net, net))
    assert error(*found) == 0


# --- the reversible network, refused -------------------------------------------------------------


def dual(net):
    with forward_ad.dual_level():
        net(forward_ad.make_dual(X, X))


def dual_parameter(net):
    weight = net.functions[0][0].weight
    with forward_ad.dual_level():
        given = {"functions.0.0.weight": forward_ad.make_dual(weight.detach(), weight.detach())}
        torch.func.functional_call(net, given, (X,))


def of_parameters(net):
    parameters = dict(net.named_parameters())
    torch.func.grad(lambda p: torch.func.functional_call(net, p, (X,)).sum())(parameters)


REFUSED = [
    (torch.fx.symbolic_trace, r"torch\.fx"),
    (lambda net: torch.fx.symbolic_trace(nn.Sequential(nn.ReLU(), Outer(net))), r"torch\.fx"),
    (lambda net: torch.jit.trace(net, X), r"torch\.jit\.trace"),
    (
        lambda net: torch.export.export(net, (X,), strict=False),
        r"torch\.export" if VERSION >= (2, 7) else "make_fx",
    ),
    (lambda net: make_fx(net)(X), "make_fx"),
    (lambda net: net.to("meta")(X.to("meta")), "meta"),
    (lambda net: torch.func.vmap(net)(X), r"torch\.func"),
    (lambda net: torch.func.grad(lambda x: net(x).sum())(X), r"torch\.func"),
    (of_parameters, r"torch\.func"),
    (lambda net: torch.func.jvp(net, (X,), (X,)), r"torch\.func"),
    (lambda net: torch.func.jacrev(net)(X), r"torch\.func"),
    (lambda net: torch.func.functionalize(net)(X), r"torch\.func"),
    (dual, "forward-mode"),
    (dual_parameter, "forward-mode"),
]


class Outer(nn.Module):
    def __init__(self, net):
        super().__init__()
        self.net = net

    def forward(self, x):
        return self.net(x)


@pytest.mark.parametrize(("call", "what"), REFUSED)
@pytest.mark.parametrize("grad", [True, False])
def test_call_is_refused_by_name_with_the_way_out(call, what, grad):
    match = rf"reversible network: got a call under .*{what}.*reversible=False.*transform.restore"
    with torch.set_grad_enabled(grad), pytest.raises(InvalidInputError, match=match):
        call(momentum(reversible=True))
    call(momentum(reversible=False))


@newer_compiler
def test_strict_export_names_it_too():
    with pytest.raises(Exception, match=r"torch\.export.*transform\.restore"):
        torch.export.export(momentum(reversible=True), (X,), strict=True)


@pytest.mark.filterwarnings(
    "ignore:.*torch.jit:FutureWarning", "ignore:.*torch.jit:DeprecationWarning"
)
def test_scripted_parts_are_refused_where_they_would_be_called_twice():
    scripted = nn.Sequential(nn.LayerNorm(4), torch.jit.script(nn.Linear(4, 4)))
    x = torch.randn(2, 4)
    with pytest.raises(InvalidInputError, match=r"functions\[0\] \(Sequential\).*torch.jit.script"):
        MomentumNet([scripted], 0.9)(x)
    MomentumNet([scripted], 0.9, reversible=False)(x).sum().backward()


def test_lazy_modules_are_refused_until_they_have_their_parameters():
    net = MomentumNet([nn.LazyLinear(8), nn.Tanh()], 0.9)
    with pytest.raises(InvalidInputError, match=r"functions\[0\] \(LazyLinear\).*torch.no_grad"):
        net(X)
    with torch.no_grad():
        net(X)
    net(X).sum().backward()
    assert all(p.grad is not None for p in net.parameters())


def test_functional_call_is_no_transform():
    net = momentum(reversible=True)
    given = {k: p.detach().clone().requires_grad_() for k, p in net.named_parameters()}
    torch.func.functional_call(net, given, (X,)).square().sum().backward()
    assert error([p.grad for p in given.values()], gradients(net, net)[1:]) <= 1e-6
