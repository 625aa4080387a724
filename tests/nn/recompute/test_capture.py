"""A step that a CUDA graph captures reads no number of the device, and its replays look themselves.

There is no graph on a processor: here `capturing` says that there is one. Then nothing may be read
back, and what the device would find in a replay is found at once. Real ones: tests/nn/test_cuda.py.
"""

from __future__ import annotations

import copy
from contextlib import contextmanager

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.utils._python_dispatch import TorchDispatchMode

from odemom.errors import InvalidInputError
from odemom.nn import MomentumNet, ODEBlock, RevNet, transform
from odemom.nn.reversible import capture
from tests.nn.momentum_oracle import error, mlps

READERS = {"_local_scalar_dense", "is_nonzero", "equal", "nonzero", "_is_any_true"}


class NothingRead(TorchDispatchMode):
    """Refuses operations that give a number to the processor."""

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        name = func._schema.name.partition("::")[2]
        of_the_processor = name == "equal" and args[0].dtype == torch.uint8  # its random state
        assert of_the_processor or name not in READERS, f"{name} reads a number"
        return func(*args, **kwargs or {})


@pytest.fixture
def captured(monkeypatch):
    """A ``with`` block that is taken for a capture."""

    def read(*args):
        raise AssertionError("a number was read")

    @contextmanager
    def block():
        with monkeypatch.context() as patch, NothingRead():
            patch.setattr(capture, "capturing", lambda: True)
            for name in ("tolist", "item", "__bool__", "__int__", "__float__"):
                patch.setattr(torch.Tensor, name, read)
            yield

    return block


class Block(nn.Module):
    """A residual block."""

    def __init__(self, width, middle=None):
        super().__init__()
        self.norm = nn.BatchNorm1d(width)
        self.linear = nn.Linear(width, width)
        self.middle = middle or nn.Identity()

    def forward(self, x):
        return x + self.middle(self.linear(torch.tanh(self.norm(x))))


def tower(depth=9, width=6, middle=None):
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Linear(width, width), nn.Sequential(*(Block(width, middle) for _ in range(depth)))
    )


def twin(mode, **kwargs):
    model = transform(tower(**kwargs), 0.9, layers=["1"], reversible=mode).double()
    model(torch.randn(4, 6, dtype=torch.float64))  # as before every capture: shapes are known
    return model


NETS = {
    "momentum": lambda: MomentumNet(mlps(8, 6), 0.9).double(),
    "gamma 1": lambda: MomentumNet(mlps(8, 6), 1).double(),
    "float32": lambda: MomentumNet(mlps(8, 6), 0.9),
    "resolution": lambda: MomentumNet(mlps(8, 6), 0.9, resolution=40),
    "from f": lambda: MomentumNet(mlps(8, 6), 0.9, initial_velocity=nn.Linear(6, 6)).double(),
    "revnet": lambda: RevNet(mlps(8, 3)).double(),
    "twin": lambda: twin(True),
    "twin auto": lambda: twin("auto"),
    "twin of checkpoints": lambda: twin("auto", depth=2),
    "ode": lambda: ODEBlock(
        mlps(1, 6)[0], 2, gradient="reversible", method="rk4", options={"step_size": 0.1}
    ).double(),
    "leapfrog": lambda: ODEBlock(
        mlps(1, 6)[0], 2, gradient="reversible", method="leapfrog", options={"step_size": 0.1}
    ).double(),
}


def gradients(net, x):
    x = x.clone().requires_grad_()
    net.zero_grad(set_to_none=True)
    y = net(x)
    y.square().sum().backward()
    return [y.detach(), x.grad, *(p.grad for p in net.parameters())]


def input_for(net):
    torch.manual_seed(1)
    x = torch.randn(4, 6, dtype=next(net.parameters()).dtype)
    return x * torch.tensor([[1.0], [100.0], [0.1], [1.0]], dtype=x.dtype)


@pytest.mark.parametrize("name", NETS)
def test_a_captured_step_reads_nothing_and_has_the_same_gradients(name, captured):
    net = NETS[name]()
    x = input_for(net)
    twice = copy.deepcopy(net)
    before = gradients(twice, x)
    with captured():
        found = gradients(net, x)
    assert error(found, before) < (1e-5 if x.dtype == torch.float32 else 1e-13)
    assert all(torch.equal(a, b) for a, b in zip(net.buffers(), twice.buffers(), strict=True))


class OwnNumbers(nn.Module):
    """Draws from a generator that no one puts back."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(()))
        self.calls = iter([0.0, 1.0, 2.0, 3.0, 4.0] * 10)

    def forward(self, x):
        return x * (self.weight * next(self.calls))


class Grows(nn.Module):
    """Leaves every range, some layers in."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.full((), 1e15))

    def forward(self, x):
        return x * self.weight


@pytest.mark.parametrize(
    "net",
    [
        lambda: MomentumNet([OwnNumbers() for _ in range(3)], 0.9),
        lambda: MomentumNet([Grows() for _ in range(30)], 0.9),
        lambda: transform(tower(2, middle=OwnNumbers()), 0.9, layers=["1"]).eval(),
    ],
    ids=["other bits", "out of range", "other bits in a checkpoint"],
)
def test_the_device_stops_a_replay_that_would_be_wrong(net, captured):
    net = net()
    if not isinstance(net, MomentumNet):
        net(torch.randn(4, 6))
    with captured(), pytest.raises(RuntimeError, match="without the graph: it says"):
        gradients(net, torch.randn(4, 6))


@pytest.mark.parametrize(
    "x",
    [
        torch.full((2, 6), 1e-8), torch.full((2, 6), float("nan")),
        torch.tensor([[1.7e9, 1e-5, 1e-5, 1e-5, 1e-5, 1e-5]]),
        torch.full((2, 6), 1e-60, dtype=torch.float64),
    ],
    ids=["small", "nan", "a timestamp", "too small"],
)  # fmt: skip
def test_numbers_that_one_format_does_not_hold_stop_a_replay(x, captured):
    net = MomentumNet(mlps(2, 6), 0.9).to(x.dtype)
    with captured(), pytest.raises(RuntimeError, match="does not hold to their digits"):
        net(x)


def test_the_words_fit_what_cuda_prints():
    assert len(capture.FAILED) <= 255


@pytest.mark.parametrize("checkpointed", [False, True])
def test_random_numbers_are_refused_by_name_and_dropout_of_zero_is_not(checkpointed, captured):
    def model(p):
        if checkpointed:
            found = transform(tower(2, middle=nn.Dropout(p)), 0.9, layers=["1"])
            found(torch.randn(4, 6))
            return found
        return MomentumNet([nn.Sequential(f, nn.Dropout(p)) for f in mlps(3, 6)], 0.9)

    x, draws, never = torch.randn(4, 6), model(0.5), model(0.0)
    place = "1.0 .Block." if checkpointed else r"functions\[0\]"
    with captured(), pytest.raises(InvalidInputError, match=f"{place}.*while a CUDA graph"):
        gradients(draws, x)
    with captured():
        gradients(never, x)
        gradients(draws.eval(), x)


def test_attention_without_dropout_is_captured(captured):
    class Attends(nn.Module):
        def forward(self, x):
            return F.scaled_dot_product_attention(x, x, x)

    x = torch.randn(2, 4, 8)
    with captured():
        gradients(MomentumNet([Attends() for _ in range(3)], 0.9), x)


def test_the_field_of_a_block_draws_no_random_numbers_in_a_graph(captured):
    field = nn.Sequential(nn.Linear(6, 6), nn.Dropout(0.5))
    block = ODEBlock(field, 1, gradient="reversible", options={"step_size": 0.5}, method="rk4")
    with captured(), pytest.raises(InvalidInputError, match="random numbers"):
        block(torch.randn(4, 6))


def test_compiled_functions_run_as_written_in_both_calls(captured):
    calls = []

    def backend(graph, example_inputs):
        def compiled(*args):
            calls.append(1)
            return graph(*args)

        return compiled

    net = MomentumNet(mlps(3, 6), 0.9)
    net.compile(backend=backend)
    x = torch.randn(4, 6)
    gradients(net, x)
    assert len(calls) == 6
    with captured():
        gradients(net, x)
    assert len(calls) == 6


def test_operations_that_could_draw_and_do_not_are_let_through(captured):
    class Leaks(nn.Module):
        def forward(self, x):
            return F.rrelu(x, training=False)

    with captured():
        gradients(MomentumNet([Leaks() for _ in range(2)], 0.9), torch.randn(4, 6))
