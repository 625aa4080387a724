"""The same on a GPU: the bits of the kernels, exact gradients, psi, and memory that falls."""

from __future__ import annotations

import copy
import subprocess
import sys
from typing import Any

import pytest
import torch
from torch import nn

from odemom.errors import InvalidInputError
from odemom.nn import MomentumNet, ODEBlock, memory_report, psi, transform
from odemom.nn.reversible import eager, kernel_for, native
from tests.nn.momentum_oracle import error
from tests.nn.reversible.test_equal_paths import EQUAL, states, there_and_back

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")

DEVICE = "cuda"


def moved(things: Any) -> Any:
    """Tensors, alone, in tuples or in the constants of a layer, on the GPU."""
    if isinstance(things, torch.Tensor):
        return things.to(DEVICE)
    if isinstance(things, tuple):
        return tuple(moved(t) for t in things)
    if things is None or isinstance(things, int | float):
        return things
    return type(things)(**{name: moved(value) for name, value in vars(things).items()})


def gradients(net, x):
    """The value, and the gradients of x and the parameters, of a sum of squares."""
    x = x.clone().requires_grad_()
    y = net(x)
    y.square().sum().backward()
    found = [p.grad for p in net.parameters()]
    net.zero_grad()
    return [y.detach(), x.grad, *found]


def mlps(depth=12, width=16, dropout=0.0):
    torch.manual_seed(0)
    return [
        nn.Sequential(nn.Linear(width, width), nn.Tanh(), nn.Dropout(dropout)) for _ in range(depth)
    ]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(("gamma", "radix", "size", "samples", "words"), EQUAL)
def test_the_kernels_of_the_gpu_have_the_bits_of_the_cpu(gamma, radix, size, samples, words, dtype):
    state, f, c = states(gamma, radix, dtype, size, samples, words)
    here = there_and_back(native if native.available() else eager, state, f, c)
    fused = kernel_for(DEVICE)
    assert fused.__name__.endswith("triton_kernels")
    for kernel in (fused, eager):
        there = there_and_back(kernel, moved(state), moved(f), moved(c))
        assert all(torch.equal(a, b.cpu()) for a, b in zip(here, there, strict=True))


@pytest.mark.parametrize(
    ("dtype", "gamma", "bound"),
    [
        (torch.float64, 0.9, 1e-12), (torch.float64, 0.5, 1e-12), (torch.float64, 1, 1e-12),
        (torch.float32, 0.9, 1e-4),
    ],
)  # fmt: skip
def test_exact_gradients_are_those_of_backpropagation(dtype, gamma, bound):
    functions = mlps(20)
    x = torch.randn(32, 16, dtype=dtype, device=DEVICE)
    found = [
        gradients(MomentumNet(functions, gamma, reversible=mode).to(DEVICE, dtype), x)
        for mode in (True, False)
    ]
    assert error(*found) < bound


def test_dropout_finds_its_masks_again():
    net = MomentumNet(mlps(20, dropout=0.3), 0.9).to(DEVICE, torch.float64)
    plain = copy.deepcopy(net)
    plain.reversible = False
    x = torch.randn(32, 16, dtype=torch.float64, device=DEVICE)
    found = []
    for each in (net, plain):
        torch.manual_seed(3)
        found.append(gradients(each, x))
    assert error(*found) < 1e-12


@pytest.mark.parametrize("narrow", [torch.bfloat16, torch.float16])
def test_autocast_goes_back_over_the_same_bits(narrow):
    net = MomentumNet(mlps(30), 0.9).to(DEVICE)
    x = torch.randn(32, 16, device=DEVICE, requires_grad=True)
    with torch.autocast("cuda", narrow):
        y = net(x)
    y.square().sum().backward()  # a state that does not come back raises
    assert x.grad is not None
    assert x.grad.isfinite().all()


@pytest.mark.parametrize("mode", ["auto", True, False])
@pytest.mark.parametrize("name", ["resnet18", "vit"])
def test_twins_have_the_gradients_of_their_plain_form(name, mode):
    torchvision = pytest.importorskip("torchvision")
    torch.manual_seed(0)
    if name == "vit":
        model = torchvision.models.VisionTransformer(32, 8, 9, 2, 16, 32, num_classes=5)
    else:
        model = torchvision.models.resnet18(num_classes=5).eval()
    model = model.to(DEVICE, torch.float64)
    x = torch.randn(4, 3, 32, 32, dtype=torch.float64, device=DEVICE)
    here = gradients(transform(copy.deepcopy(model).cpu(), 0.9, reversible=False), x.cpu())
    there = gradients(transform(model, 0.9, reversible=mode), x)
    assert error([t.cpu() for t in there], here) < 1e-9


@pytest.mark.parametrize("method", ["rk4", "midpoint", "euler", "leapfrog"])
@pytest.mark.parametrize("order", [1, 2])
def test_reversible_solvers_have_the_gradients_of_backpropagation(method, order):
    if method == "leapfrog" and order == 1:
        pytest.skip("leapfrog is for second order")
    torch.manual_seed(0)
    field = nn.Sequential(nn.Linear(6, 6), nn.Tanh()).to(DEVICE, torch.float64)
    x = torch.randn(8, 6, dtype=torch.float64, device=DEVICE)
    settings: dict[str, Any] = {"method": method, "options": {"step_size": 0.01}}
    block = ODEBlock(field, order, gradient="reversible", **settings)
    here = ODEBlock(copy.deepcopy(field).cpu(), order, gradient="reversible", **settings)
    assert error([t.cpu() for t in gradients(block, x)], gradients(here, x.cpu())) < 1e-12


@pytest.mark.parametrize("eps", [0.0, 0.7])
def test_psi_is_that_of_the_cpu(eps):
    torch.manual_seed(0)
    theta = torch.randn(20, 7, 7, dtype=torch.float64)
    leaves = [t.requires_grad_() for t in (theta.clone(), theta.clone().to(DEVICE))]
    values = [psi(t, eps) for t in leaves]
    for value in values:
        value.square().sum().backward()
    assert error([values[1].cpu()], [values[0]]) < 1e-13
    here, there = (t.grad for t in leaves)
    assert there is not None
    assert error([there.cpu()], [here]) < 1e-12


def peak(net, x):
    """Bytes of a training step beyond what was there."""
    gradients(net, x)
    torch.cuda.synchronize()
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    gradients(net, x)
    return torch.cuda.max_memory_allocated() - before


def test_memory_does_not_grow_with_depth_and_is_what_the_report_says():
    x = torch.randn(4096, 64, device=DEVICE)
    deep, shallow = (MomentumNet(mlps(n, 64), 0.99).to(DEVICE) for n in (200, 20))
    assert peak(deep, x) < 1.3 * peak(shallow, x)
    plain = MomentumNet(mlps(200, 64), 0.99, reversible=False).to(DEVICE)
    assert peak(deep, x) < 0.1 * peak(plain, x)
    report = memory_report(plain, x)
    assert 0.8 < report.plain.peak / peak(plain, x) < 1.25


# --- graphs ------------------------------------------------------------------------------------


def captured(net, x, steps=3):
    """What a graph of a training step leaves in its tensors, and a function that replays it."""
    like = torch.zeros_like(x)
    found: list[Any] = []
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(steps):
            gradients(net, like.copy_(x))
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        found += gradients(net, like)

    def replay(x):
        like.copy_(x)
        graph.replay()
        torch.cuda.synchronize()
        return [t.clone() for t in found]

    return replay


def small_resnet():
    torchvision = pytest.importorskip("torchvision")
    return torchvision.models.ResNet(
        torchvision.models.resnet.BasicBlock, [9, 2, 2, 2], num_classes=5
    ).eval()


GRAPHED = {
    "momentum": lambda: MomentumNet(mlps(20), 0.9),
    "exact twin": lambda: transform(small_resnet(), 0.9, reversible=True),
    "twin": lambda: transform(small_resnet(), 0.9),
    "rk4": lambda: ODEBlock(
        mlps(1)[0], 2, gradient="reversible", method="rk4", options={"step_size": 0.1}
    ),
    "leapfrog": lambda: ODEBlock(
        mlps(1)[0], 2, gradient="reversible", method="leapfrog", options={"step_size": 0.1}
    ),
}


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("name", GRAPHED)
def test_replays_of_a_graph_have_the_gradients_of_steps_without_one(name, dtype):
    torch.manual_seed(0)
    net = GRAPHED[name]().to(DEVICE, dtype)
    shape = (4, 3, 32, 32) if "twin" in name else (32, 16)
    first = torch.randn(shape, dtype=dtype, device=DEVICE)
    replay = captured(net, first)
    for scale in (1.0, 50.0, 0.3):  # another unit of the fixed point
        x = scale * torch.randn(shape, dtype=dtype, device=DEVICE)
        there, here = replay(x), gradients(net, x)
        assert error(there, here) < (1e-4 if dtype == torch.float32 else 1e-11)


def test_batch_norms_move_once_a_replay_under_autocast():
    torch.manual_seed(0)
    net = transform(small_resnet().train(), 0.9, reversible=True).to(DEVICE)
    x = torch.randn(8, 3, 32, 32, device=DEVICE)

    class Narrow(nn.Module):
        def __init__(self):
            super().__init__()
            self.net = net

        def forward(self, x):
            with torch.autocast("cuda", torch.bfloat16):
                return self.net(x)

    replay = captured(Narrow(), x)
    counts = [b.clone() for n, b in net.named_buffers() if n.endswith("num_batches_tracked")]
    assert all(t.isfinite().all() for t in replay(x))
    now = [b for n, b in net.named_buffers() if n.endswith("num_batches_tracked")]
    assert all(torch.equal(b, a + 1) for a, b in zip(counts, now, strict=True))


WRONG = """
import torch
from torch import nn
from odemom.nn import MomentumNet
from tests.nn.test_cuda import captured, mlps

net = MomentumNet(mlps(4), 0.9).to("cuda")
x = torch.randn(8, 16, device="cuda")
replay = captured(net, x)
replay(x)
print("fine", flush=True)
replay(torch.full_like(x, float("nan")))
print("not noticed", flush=True)
"""


def test_a_replay_that_would_be_wrong_stops():
    done = subprocess.run([sys.executable, "-c", WRONG], capture_output=True, text=True)
    assert "fine" in done.stdout
    assert "not noticed" not in done.stdout
    assert done.returncode != 0
    assert "without the graph: it says" in done.stderr


def test_random_numbers_in_a_graph_are_refused():
    net = MomentumNet(mlps(4, dropout=0.3), 0.9).to(DEVICE)
    x = torch.randn(8, 16, device=DEVICE)
    with pytest.raises(InvalidInputError, match="random numbers"):
        captured(net, x)
    torch.cuda.synchronize()
    assert gradients(net, x)[0].isfinite().all()
