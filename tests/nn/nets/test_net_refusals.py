"""What is refused, and that the message says what was given and what to do."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from odemom.errors import FixedPointRangeError, InvalidInputError
from odemom.nn import Checkpointed, MomentumNet, ResidualNet, RevNet


class Calls(nn.Module):
    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x):
        return self.function(x)


FREE = torch.ones(4, requires_grad=True)

REFUSED = [
    (lambda x: x[:, :2], r"value of shape \(8, 2\); expected one tensor of shape \(8, 4\)"),
    (lambda x: x.double(), "dtype torch.float64"),
    (lambda x: x.bfloat16(), "dtype torch.bfloat16"),
    (lambda x: (x, x), "type tuple.*Return the residual alone"),
    (lambda x: None, "type NoneType"),
    (lambda x: x.mul_(2.0), "changes its input in place.*ReLU"),
    (lambda x: torch.relu_(x), "changes its input in place"),
    (lambda x: (x.detach().zero_(), x)[1] + 1, "changes its input in place"),
]


@pytest.mark.parametrize("reversible", [True, False])
@pytest.mark.parametrize(("function", "message"), REFUSED)
@pytest.mark.parametrize("grad", [True, False])
def test_function_that_does_not_fit_is_named(function, message, reversible, grad):
    net = MomentumNet([nn.Tanh(), Calls(function)], 0.9, reversible=reversible)
    with pytest.raises(InvalidInputError, match=r"functions\[1\] \(Calls\): got .*" + message):
        net(torch.randn(8, 4, requires_grad=grad))


def test_tensor_that_no_gradient_would_reach_is_refused():
    net = MomentumNet([Calls(lambda x: x * FREE)], 0.9)
    with pytest.raises(
        InvalidInputError, match=r"shape \(4,\) which requires a gradient.*Pass the"
    ):
        net(torch.randn(8, 4, requires_grad=True))


@pytest.mark.parametrize("bad", [0, -0.5, 1.5, float("nan"), "fast", None])
def test_gamma(bad):
    with pytest.raises(InvalidInputError, match="gamma: got"):
        MomentumNet([nn.Tanh()], bad)


def test_gamma_zero_is_refused_for_what_it_means():
    with pytest.raises(InvalidInputError, match="nothing to invert"):
        MomentumNet([nn.Tanh()], 0)
    assert MomentumNet([nn.Tanh()], 0, reversible=False).gamma == 0


@pytest.mark.parametrize("bad", [[], None, 3, [torch.tanh], [nn.Tanh(), "x"]])
def test_functions(bad):
    for kind in (MomentumNet, ResidualNet, RevNet):
        with pytest.raises(InvalidInputError, match="functions"):
            kind(bad)


@pytest.mark.parametrize("bad", [torch.ones(3, dtype=torch.int64), torch.ones(3) * 1j, [1.0], None])
@pytest.mark.parametrize("reversible", [True, False])
def test_input(bad, reversible):
    with pytest.raises(InvalidInputError, match="x: got"):
        MomentumNet([nn.Tanh()], reversible=reversible)(bad)


@pytest.mark.parametrize("bad", [0, 100, 2.5])
def test_resolution(bad):
    with pytest.raises(InvalidInputError, match="resolution"):
        MomentumNet([nn.Tanh()], resolution=bad)


@pytest.mark.parametrize("bad", [nn.Linear(4, 3), Calls(lambda x: None)])
def test_initial_velocity(bad):
    with pytest.raises(InvalidInputError, match="initial_velocity"):
        MomentumNet([nn.Tanh()], initial_velocity=bad)(torch.ones(2, 4))
    with pytest.raises(InvalidInputError, match="initial_velocity"):
        MomentumNet([nn.Tanh()], initial_velocity=torch.tanh)  # type: ignore[arg-type]


@pytest.mark.parametrize("grad", [True, False])
def test_activation_out_of_range_says_where_and_how_large(grad):
    net = MomentumNet([nn.Tanh(), nn.Tanh(), Calls(lambda x: x * 1e7)], 0.5)
    x = torch.ones(2, 4, requires_grad=grad)
    with pytest.raises(
        FixedPointRangeError,
        match=r"layer 2, functions\[2\] \(Calls\): got an increment of \d\.?\d*e\+0\d"
        r".*resolution=43.*below 262144.*for example resolution=\d+",
    ):
        net(x)
    net.resolution = 30
    assert net(x).isfinite().all()


@pytest.mark.parametrize("value", [float("inf"), float("nan")])
def test_activation_that_is_not_finite_says_where(value):
    net = MomentumNet([nn.Tanh(), Calls(lambda x: x * value)], 0.5)
    with pytest.raises(
        FixedPointRangeError, match=r"layer 1, functions\[1\] \(Calls\).*not finite"
    ):
        net(torch.ones(2, 4, requires_grad=True))


def test_growth_past_the_range_is_found_at_its_layer():
    net = MomentumNet([Calls(lambda x: 9 * x)] * 30, 0.1)
    x, sizes = torch.ones(1, dtype=torch.float64), []
    v = torch.zeros(1, dtype=torch.float64)
    for _ in range(30):
        v = 0.1 * v + 0.9 * 9 * x
        x = x + v
        sizes.append(x.item())
    layer = next(n for n, size in enumerate(sizes) if size >= 2**19)
    with pytest.raises(FixedPointRangeError, match=f"layer {layer},"):
        net(torch.ones(1))


@pytest.mark.parametrize("segments", [0, 4, -1, 1.5])
def test_segments(segments):
    with pytest.raises(InvalidInputError, match="segments"):
        Checkpointed(ResidualNet([nn.Tanh()] * 3), segments)


def test_revnet_needs_pairs_and_halves():
    with pytest.raises(InvalidInputError, match="even number"):
        RevNet([nn.Tanh()] * 3)
    with pytest.raises(InvalidInputError, match="even size along the axis dim=1"):
        RevNet([nn.Tanh()] * 2)(torch.ones(2, 3))
