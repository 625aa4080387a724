"""MomentumNet runs backwards: its input and first velocity come back bit for bit."""

from __future__ import annotations

import pytest
import torch

from odemom.nn import MomentumNet
from tests.nn.momentum_oracle import mlp, mlps

GAMMAS = [0.1, 0.5, 0.9, 0.99, 1]


# The state alone is taken to depth 2000 for every gamma in test_reversible_arithmetic.
@pytest.mark.parametrize(
    ("gamma", "dtype", "depth"),
    [
        *((gamma, dtype, 50) for gamma in GAMMAS for dtype in (torch.float32, torch.float64)),
        (0.9, torch.float32, 500),
        pytest.param(0.9, torch.float32, 2000, marks=pytest.mark.slow),
        pytest.param(0.1, torch.float64, 2000, marks=pytest.mark.slow),
    ],
)
def test_inverse_recovers_input_and_velocity_bit_for_bit(gamma, dtype, depth):
    functions, velocity = [mlp(seed=n) for n in range(5)] * (depth // 5), mlp(seed=99)
    net = MomentumNet(functions, gamma, initial_velocity=velocity).to(dtype)
    x = torch.randn(4, 16, dtype=dtype, generator=torch.Generator().manual_seed(0))
    x[0, :4] = torch.tensor([0.0, 1e-12, -3e-9, 1e-3], dtype=dtype)
    final = net.final_state(x)
    for _ in range(2 if depth == 50 else 1):  # the final state is not used up
        x_0, v_0 = net.inverse(final)
        assert torch.equal(x_0, x)
        assert torch.equal(v_0, velocity(x))
    assert torch.equal(final.x, net(x))


def test_inverse_of_a_rounded_output_is_refused():
    net = MomentumNet(mlps(2), 0.9)
    with pytest.raises(ValueError, match=r"final: got an object of type Tensor.*final_state"):
        net.inverse(net(torch.ones(3, 16)))  # type: ignore[arg-type]
