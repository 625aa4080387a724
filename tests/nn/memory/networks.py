"""Networks whose training step is measured in a process of its own.

python -m tests.nn.memory.networks mlp twin
"""

from __future__ import annotations

import json
import sys
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.resident import peak_of
from odemom.nn import transform

__all__ = ["BATCHES", "Mlp", "network"]


class Residual(nn.Module):
    """x + f(x)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.f = nn.Sequential(nn.Linear(width, width), nn.Tanh(), nn.Linear(width, width))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.f(x)


class Mlp(nn.Module):
    """Residual blocks between two linear layers."""

    def __init__(self, depth: int, width: int) -> None:
        super().__init__()
        self.first = nn.Linear(width, width)
        self.blocks = nn.ModuleList(Residual(width) for _ in range(depth))
        self.last = nn.Linear(width, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(x)
        for block in self.blocks:
            x = block(x)
        return self.last(x)


BATCHES = {"mlp": (4096, 256), "resnet50": (16, 3, 32, 32), "vit": (64, 3, 64, 64)}
"""Shapes of x."""


def network(name: str, method: str) -> nn.Module:
    """A model, or its twin: an MLP, a ResNet-50 in its form for CIFAR, a small ViT."""
    torch.manual_seed(0)
    if name == "mlp":
        model: nn.Module = Mlp(12, 256)
        return transform(model, 0.9, layers=["blocks"]) if method == "twin" else model
    import torchvision

    if name == "resnet50":
        resnet: Any = torchvision.models.resnet50(num_classes=10)
        resnet.conv1 = nn.Conv2d(3, 64, 3, padding=1, bias=False)
        resnet.maxpool = nn.Identity()
        model = resnet
    else:
        model = torchvision.models.VisionTransformer(64, 8, 8, 4, 128, 256)
    return transform(model, 0.9) if method == "twin" else model


def main() -> None:
    """Print the bytes of the peak of the second step."""
    name, method = sys.argv[1:]
    model = network(name, method)
    shape = BATCHES[name]

    def step(x: Tensor) -> None:
        model(x).square().mean().backward()

    step(torch.randn(shape))
    x = torch.randn(shape)
    print(json.dumps(peak_of(model, lambda: step(x))))


if __name__ == "__main__":
    main()
