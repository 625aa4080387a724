"""The float momentum network by plain autograd, written apart from odemom, and relative errors."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

EXACT_GAMMA = {0.1: (1, 10), 0.5: (1, 2), 0.9: (9, 10), 0.99: (99, 100), 1: (1, 1)}


def plain(functions, gamma, x, *args, v=None, **kwargs) -> Tensor:
    """v <- gamma v + (1 - gamma) f(x), x <- x + v, as the paper writes it."""
    v = torch.zeros_like(x) if v is None else v
    for f in functions:
        v = gamma * v + (1 - gamma) * f(x, *args, **kwargs)
        x = x + v
    return x


def mlp(width=16, hidden=16, seed=0) -> Any:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(width, hidden), nn.Tanh(), nn.Linear(hidden, width))


def mlps(depth, width=16, first=0) -> Any:
    return nn.ModuleList(mlp(width, width, first + n) for n in range(depth))


def gradients(call, module, x, dtype) -> list[Tensor]:
    """Gradients of mean(call(module, x)²) for x and the parameters, of a copy in ``dtype``."""
    module = copy.deepcopy(module).to(dtype)
    x = x.to(dtype).clone().requires_grad_()
    call(module, x).double().square().mean().backward()
    return [grad(x), *(grad(p) for p in module.parameters())]


def grad(t: Tensor) -> Tensor:
    """The gradient of a tensor that has one."""
    assert t.grad is not None
    return t.grad


def error(found: Sequence[Tensor | None], expected: Sequence[Tensor | None]) -> float:
    """The largest relative error; absolute where the expected gradient is zero."""
    worst = 0.0
    for a, b in zip(found, expected, strict=True):
        assert a is not None
        assert b is not None
        size = b.double().norm().item()
        worst = max(worst, (a.double() - b.double()).norm().item() / (size or 1.0))
    return worst
