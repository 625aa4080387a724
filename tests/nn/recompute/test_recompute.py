"""The second call of a function sees what the first saw, moves nothing twice, and is checked."""

from __future__ import annotations

import copy
import itertools
import math

import pytest
import torch
from torch import nn

from odemom.errors import FixedPointRangeError, ReversibilityError
from odemom.nn import Checkpointed, MomentumNet, RevNet
from odemom.nn.recompute.second_call import repeatable
from odemom.nn.reversible import capture
from tests.nn.momentum_oracle import error, mlps, plain


def compare(functions, x, gamma=0.9, context=None, tolerance=1e-11):
    """Gradients and buffers of the reversible net against plain autograd, from one random state."""
    found = []
    for kind in ("reversible", "plain"):
        fs, y = copy.deepcopy(functions), x.clone().requires_grad_()
        torch.manual_seed(7)
        run = MomentumNet(fs, gamma) if kind == "reversible" else None
        if context is None:
            value = run(y) if run else plain(fs, gamma, y)
        else:
            with context():
                value = run(y) if run else plain(fs, gamma, y)
        value.double().square().mean().backward()
        drawn = torch.rand(3)  # the random state afterwards
        found.append(([y.grad, *(p.grad for p in fs.parameters())], list(fs.buffers()), drawn))
    (ours, buffers, drawn), (truth, expected, drawn_plain) = found
    assert error(ours, truth) <= tolerance
    assert error([b.double() for b in buffers], [b.double() for b in expected]) <= tolerance
    assert torch.equal(drawn, drawn_plain)
    return buffers


def doubles(*shape):
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


def test_dropout():
    torch.manual_seed(0)
    functions = nn.ModuleList(
        nn.Sequential(nn.Linear(16, 16), nn.Tanh(), nn.Dropout(0.5)) for _ in range(30)
    )
    compare(functions.double(), doubles(32, 16))


class Twice(torch.autograd.Function):
    """A function whose node in the graph is Python's own."""

    @staticmethod
    def forward(ctx, x):
        return 2 * x

    @staticmethod
    def backward(ctx, *cotangents):
        return 2 * cotangents[0]


class EndsInTwice(nn.Linear):
    def forward(self, input):
        return Twice.apply(super().forward(input).tanh())


def test_a_function_that_ends_in_a_function_of_autograd():
    torch.manual_seed(0)
    functions = nn.ModuleList(EndsInTwice(8, 8) for _ in range(5))
    compare(functions.double(), doubles(4, 8))


def conv_block(channels=4):
    return nn.Sequential(
        nn.Conv2d(channels, channels, 3, padding=1, bias=False), nn.BatchNorm2d(channels),
        nn.ReLU(inplace=True),
        nn.Conv2d(channels, channels, 3, padding=1, bias=False), nn.BatchNorm2d(channels),
    )  # fmt: skip


def test_batch_norm_statistics_move_once():
    torch.manual_seed(0)
    functions = nn.ModuleList(conv_block() for _ in range(20)).double()
    buffers = compare(functions, doubles(8, 4, 6, 6))
    assert {b.item() for b in buffers if b.dtype == torch.int64} == {1}


def test_shared_batch_norm_moves_once_a_use():
    torch.manual_seed(0)
    functions = nn.ModuleList([conv_block().double()] * 4)
    buffers = compare(functions, doubles(8, 4, 6, 6))
    assert {b.item() for b in buffers if b.dtype == torch.int64} == {4}


def test_batch_norm_with_cumulative_statistics_and_in_eval_mode():
    torch.manual_seed(0)
    norms = [nn.BatchNorm1d(16, momentum=None), nn.BatchNorm1d(16).eval(), nn.BatchNorm1d(16)]
    compare(nn.ModuleList(norms * 2).double(), doubles(32, 16))


def test_spectral_norm_starts_again_from_the_vectors_it_had():
    torch.manual_seed(0)
    functions = nn.ModuleList(
        nn.utils.parametrizations.spectral_norm(nn.Linear(16, 16)) for _ in range(6)
    )
    compare(functions.double(), doubles(32, 16))


class Counts(nn.Module):
    """Its value depends on a buffer that it moves, by assignment."""

    def __init__(self):
        super().__init__()
        self.register_buffer("count", torch.zeros((), dtype=torch.float64))

    def forward(self, x):
        self.count = self.count + 1
        return (self.count * x).tanh()


def test_buffer_replaced_by_the_function_is_put_back():
    buffers = compare(nn.ModuleList([Counts(), Counts()] * 3), doubles(4, 4))
    assert [b.item() for b in buffers] == [3.0, 3.0]


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_autocast_is_in_force_again(dtype):
    functions, x = mlps(10), torch.randn(32, 16, generator=torch.Generator().manual_seed(0))
    seen = []
    for f in functions:
        f[0].register_forward_hook(lambda m, i, out: seen.append(out.dtype))
    found = []
    for reversible in (True, False):
        net, y = MomentumNet(copy.deepcopy(functions), 0.9, reversible=reversible), x.clone()
        with torch.autocast("cpu", dtype=dtype):
            value = net(y.requires_grad_())
        value.square().mean().backward()
        found.append([y.grad, *(p.grad for p in net.parameters())])
        assert value.dtype == torch.float32
    assert set(seen) == {dtype}
    unit = torch.finfo(dtype).eps  # backward sums of ten layers, each rounded to the narrow type
    assert error(found[0], found[1]) <= 10 * unit


def test_autocast_gradients_equal_those_of_checkpointing_in_their_error():
    functions, x = mlps(20), torch.randn(32, 16, generator=torch.Generator().manual_seed(0))
    found = {}
    for name, net in (
        ("ours", MomentumNet(copy.deepcopy(functions), 0.9)),
        ("plain", MomentumNet(copy.deepcopy(functions), 0.9, reversible=False)),
        ("truth", MomentumNet(copy.deepcopy(functions), 0.9, reversible=False)),
    ):
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=name != "truth"):
            value = net(x)
        value.square().mean().backward()
        found[name] = [p.grad for p in net.parameters()]
    assert error(found["ours"], found["truth"]) <= 1.5 * error(found["plain"], found["truth"])


# --- what cannot be put back is found ------------------------------------------------------------


class OwnGenerator(nn.Module):
    def __init__(self):
        super().__init__()
        self.generator = torch.Generator().manual_seed(0)

    def forward(self, x):
        return x * torch.rand(x.shape, generator=self.generator)


class Shuffles(nn.Module):
    """The same numbers in another order: a plain sum would not see it."""

    def __init__(self):
        super().__init__()
        self.calls = itertools.count()

    def forward(self, x):
        return x.detach().roll(next(self.calls), 0) + 0 * x


class Drifts(nn.Module):
    """One entry of many, by one unit of the fixed point's 2^-43 and a factor of two more."""

    def __init__(self):
        super().__init__()
        self.calls = itertools.count()

    def forward(self, x):
        y = x * 0
        return y + next(self.calls) * torch.nn.functional.pad(
            torch.ones(1) * 2**-38, (0, x.numel() - 1)
        ).view_as(x)


@pytest.mark.parametrize("function", [OwnGenerator, Shuffles, Drifts])
def test_function_that_does_not_recompute_its_bits_is_named(function):
    net = MomentumNet([nn.Tanh(), function(), nn.Tanh()], 0.9)
    x = torch.randn(8, 4, requires_grad=True)
    with pytest.raises(
        ReversibilityError, match=rf"functions\[1\] \({function.__name__}\), layer 1"
    ):
        net(x).sum().backward()
    assert x.grad is None


def test_revnet_names_it_too():
    net = RevNet([nn.Tanh(), OwnGenerator()])
    with pytest.raises(ReversibilityError, match=r"functions\[1\] \(OwnGenerator\)"):
        net(torch.randn(8, 4, requires_grad=True)).sum().backward()


@pytest.fixture
def late(monkeypatch):
    """As on devices where nobody waits for what each layer found."""
    monkeypatch.setattr(capture, "waits_late", lambda device: True)


@pytest.mark.parametrize("bad", [math.nan, math.inf, 1e9])
def test_what_is_too_large_to_be_counted_is_not_given_a_size(late, bad):
    net = MomentumNet([nn.Tanh(), nn.Threshold(math.inf, bad)], 0.9)
    with pytest.raises(FixedPointRangeError, match=r"layer 1, .* not finite, or larger than"):
        net(torch.randn(8, 4, requires_grad=True))


@pytest.mark.parametrize("inputs", ["all", "one parameter"])
def test_bits_that_do_not_come_back_are_noticed_at_the_end_of_the_backward_pass(late, inputs):
    first, last = nn.Linear(4, 4), nn.Linear(4, 4)
    net = MomentumNet([first, OwnGenerator(), last], 0.9)
    x = torch.randn(8, 4, requires_grad=True)
    loss = net(x).sum()
    wanted = [x] if inputs == "all" else [last.weight]
    if inputs == "all":
        with pytest.raises(ReversibilityError, match=r"functions\[1\] \(OwnGenerator\), layer 1"):
            torch.autograd.grad(loss, wanted)
    else:  # the backward pass does not come to the layer that moves on
        assert torch.autograd.grad(loss, wanted)[0].shape == (4, 4)


def test_what_is_noticed_late_is_not_noticed_where_all_is_well(late):
    functions = [nn.Linear(4, 4).double() for _ in range(5)]
    x = torch.randn(8, 4, dtype=torch.float64, requires_grad=True)
    found = [
        torch.autograd.grad(MomentumNet(functions, 0.9, reversible=mode)(x).square().sum(), x)[0]
        for mode in (True, False)
    ]
    assert torch.allclose(*found, rtol=1e-12)


def test_after_the_error_a_second_backward_is_refused_too():
    net = MomentumNet([OwnGenerator()], 0.9)
    loss = net(torch.randn(8, 4, requires_grad=True)).sum()
    for message in ("did not recompute", "released"):
        with pytest.raises(ReversibilityError, match=message):
            loss.backward(retain_graph=True)


@pytest.mark.parametrize("make", [Checkpointed, lambda net: net])
def test_baselines_move_statistics_once(make):
    torch.manual_seed(0)
    net = MomentumNet([conv_block() for _ in range(9)], 0.9, reversible=False)
    make(net)(torch.randn(8, 4, 6, 6)).sum().backward()
    assert {b.item() for b in net.buffers() if b.dtype == torch.int64} == {1}


@pytest.mark.parametrize(("kind", "inside"), [("cpu", (True, False)), ("cuda", (False, True))])
def test_cudnn_takes_the_same_algorithm_twice(monkeypatch, kind, inside):
    monkeypatch.setattr(torch.backends.cudnn, "benchmark", True)
    monkeypatch.setattr(torch.backends.cudnn, "deterministic", False)
    cudnn = torch.backends.cudnn
    with repeatable(torch.device(kind)):
        assert (cudnn.benchmark, cudnn.deterministic) == inside
    assert (cudnn.benchmark, cudnn.deterministic) == (True, False)
