"""Fields and comparisons for the tests of `ODEBlock`."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

WIDTH = 4
RK4: dict[str, Any] = {"method": "rk4", "options": {"step_size": 0.05}}


def net(*middle: nn.Module, seed: int = 0) -> Any:
    """A small network in float64, with ``middle`` after its activation."""
    torch.manual_seed(seed)
    layers = (nn.Linear(WIDTH, WIDTH), nn.Tanh(), *middle, nn.Linear(WIDTH, WIDTH))
    return nn.Sequential(*layers).to(torch.float64)


def states(rows: int = 3, seed: int = 1) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(rows, WIDTH, generator=generator, dtype=torch.float64)


class Timed(nn.Module):
    """f(t, x) = net(x) cos(2 t)."""

    def __init__(self) -> None:
        super().__init__()
        self.net = net()

    def forward(self, t, x):
        return self.net(x) * torch.cos(2 * t)


class Holding(nn.Module):
    """f(x) = net(x) * c with c an attribute."""

    def __init__(self, c: torch.Tensor | float = 1.0) -> None:
        super().__init__()
        self.net = net()
        self.c: Any = c

    def forward(self, x):
        return self.net(x) * self.c


class Given(nn.Module):
    """f(x, c) = net(x) * c."""

    def __init__(self) -> None:
        super().__init__()
        self.net = net()

    def forward(self, x, c):
        return self.net(x) * c


def gradients(value: torch.Tensor, *tensors: torch.Tensor) -> list[torch.Tensor]:
    return list(torch.autograd.grad(value.square().sum(), tensors))


def distance(one: list[torch.Tensor], other: list[torch.Tensor]) -> float:
    """The largest relative difference between tensors of the two lists."""
    pairs = zip(one, other, strict=True)
    return max(float((a - b).norm() / b.norm().clamp(min=1e-300)) for a, b in pairs)
