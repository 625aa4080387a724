"""Functions that keep what they compute, beside the same network by plain autograd."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from odemom.nn import Checkpointed, MomentumNet
from tests.nn.momentum_oracle import error, grad, plain

DEPTH = 4
GLOBAL: dict[Any, Any] = {}


class Keeps(nn.Module):
    """tanh(b(what ``rule`` makes of x, a and the arguments))."""

    def __init__(self, rule, number):
        super().__init__()
        self.rule, self.number = rule, number
        self.a, self.b = nn.Linear(6, 6).double(), nn.Linear(6, 6).double()
        self.kept: Any = None

    def forward(self, x, *args, **kwargs):
        return torch.tanh(self.b(self.rule(self, x, *args, **kwargs)))


def functions(rule, *, shared=False) -> Any:
    torch.manual_seed(0)
    if shared:
        return nn.ModuleList([Keeps(rule, 0)] * DEPTH)
    return nn.ModuleList(Keeps(rule, n) for n in range(DEPTH))


def run(kind, rule, make=None, loss_of=None, *, shared=False, x_wants=True):
    """Gradients of a step, the arguments after it and the functions."""
    GLOBAL.clear()
    fs = functions(rule, shared=shared)
    x = torch.randn(5, 6, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    x.requires_grad_(x_wants)
    args: Any = () if make is None else (make(),)
    if kind == "plain":
        y = plain(fs, 0.9, x, *args)
    elif kind == "checkpointed":
        y = Checkpointed(MomentumNet(fs, 0.9, reversible=False))(x, *args)
    else:
        y = MomentumNet(fs, 0.9)(x, *args)
    loss = y.square().sum()
    if loss_of is not None:
        loss = loss + loss_of(fs, *args)
    loss.backward()
    gradients = [p.grad if p.grad is not None else torch.zeros_like(p) for p in fs.parameters()]
    return [grad(x), *gradients] if x_wants else gradients, args, fs


def compare(rule, make=None, loss_of=None, **how):
    truth, expected, _ = run("plain", rule, make, loss_of, **how)
    ours, args, fs = run("reversible", rule, make, loss_of, **how)
    assert error(ours, truth) <= 1e-12
    return args, expected, fs
