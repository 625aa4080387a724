"""MomentumNet: parameters that stand in several places."""

from __future__ import annotations

import torch
from torch import nn

from odemom.nn import MomentumNet
from tests.nn.momentum_oracle import error, gradients, mlp
from tests.nn.nets.test_momentum_net import batch, call, oracle


def test_shared_functions_accumulate():
    functions, x = nn.ModuleList([mlp()] * 30), batch()
    ours = gradients(call, MomentumNet(functions, 0.9), x, torch.float64)
    assert error(ours, oracle(functions, 0.9, x)) <= 1e-11


class Tied(nn.Module):
    """One weight in two places of a function."""

    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Linear(16, 16), nn.Linear(16, 16)
        self.second.weight = self.first.weight

    def forward(self, x):
        return self.second(torch.tanh(self.first(x)))


def test_weight_in_two_places_of_a_function_counts_twice():
    torch.manual_seed(0)
    functions, x = nn.ModuleList(Tied() for _ in range(5)), batch()
    ours = gradients(call, MomentumNet(functions, 0.9), x, torch.float64)
    assert error(ours, oracle(functions, 0.9, x)) <= 1e-11
