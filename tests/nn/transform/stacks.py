"""A list of blocks called one after the other, and the momentum network by hand."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from odemom.nn import transform

MODES: list[Any] = [False, "auto", True]
DEPTH = 9


class _Block(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 4)

    def forward(self, x):
        return x + torch.tanh(self.layer(x))


Block: Any = _Block  # of which others have forwards with other arguments


class _Stack(nn.Module):
    """A list of blocks called one after the other, with what the class says of the call."""

    def __init__(self, kind: Any = Block, depth: int = DEPTH) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.h = nn.ModuleList(kind() for _ in range(depth))

    def forward(self, x, *args):
        for block in self.h:
            x = block(x, *args)
        return x


Stack: Any = _Stack


def momentum(blocks, x, *args, gamma=0.9):
    """The network by hand."""
    v = torch.zeros_like(x)
    for block in blocks:
        v = gamma * v + (1 - gamma) * (block(x, *args) - x)
        x = x + v
    return x


def rows(seed: int = 1) -> torch.Tensor:
    return torch.randn(3, 4, generator=torch.Generator().manual_seed(seed))


def twin_of(model, mode):
    return transform(model, 0.9, layers=["h"], reversible=mode)
