"""Small residual networks, and the momentum networks of their blocks written down."""

from __future__ import annotations

import warnings
from typing import Any

import torch
from torch import nn

GAMMA = 0.9
MODES = [False, True, "auto"]


class Block(nn.Module):
    """x -> x + tanh(A x + b)."""

    def __init__(self, width=4):
        super().__init__()
        self.linear = nn.Linear(width, width)

    def forward(self, x, b: Any = 0.0):
        return x + torch.tanh(self.linear(x) + b)


class Tower(nn.Module):
    """Blocks in a list, called by ``loop``, which may be anything."""

    def __init__(self, loop=None, depth=9, block: type[nn.Module] = Block):
        super().__init__()
        torch.manual_seed(0)
        self.h = nn.ModuleList(block() for _ in range(depth))
        self.loop = loop
        self.double()

    def forward(self, x):
        if self.loop is not None:
            return self.loop(self.h, x)
        for block in self.h:
            x = block(x)
        return x


def momentum(blocks, x, *others):
    """The definition, written down."""
    v = 0
    for n, block in enumerate(blocks):
        v = GAMMA * v + (1 - GAMMA) * (block(x, *(o[n] for o in others)) - x)
        x = x + v
    return x


def sample(rows=3, width=4):
    generator = torch.Generator().manual_seed(1)
    return torch.randn(rows, width, generator=generator, dtype=torch.float64, requires_grad=True)


def value_and_gradients(net, *args):
    x = sample()
    for p in net.parameters():
        p.grad = None
    y = net(x, *args)
    y.square().sum().backward()
    return [y.detach(), x.grad, *(p.grad for p in net.parameters())]


class Definition(nn.Module):
    def __init__(self, blocks, *others):
        super().__init__()
        self.blocks, self.others = blocks, others

    def forward(self, x):
        return momentum(self.blocks, x, *self.others)


def silent(twin, *args):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return value_and_gradients(twin, *args)
