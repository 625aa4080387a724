"""The momentum twin of a small ResNet whose gamma is a parameter, under plain autograd."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from odemom.checks import as_number, expect, shown
from odemom.models.resnet import SmallResNet

__all__ = ["GAMMAS", "LearntMomentum"]

GAMMAS = ("logit",)
"""Names in the state dict of what gamma is made from."""


class LearntMomentum(SmallResNet):
    """A `SmallResNet` with momentum, v0 = 0 in each stage, and one gamma for all, which is learnt.

    Reversible arithmetic needs gamma as a fraction; here activations are kept.

    Parameters
    ----------
    depth, in_channels, classes : int
        As those of `SmallResNet`.
    gamma : float
        Where it starts, in (0, 1).

    Examples
    --------
    >>> net = LearntMomentum(20, 3, 10, gamma=0.9)
    >>> round(net.gamma, 6), net.logit.requires_grad
    (0.9, True)
    """

    def __init__(self, depth: int, in_channels: int, classes: int, *, gamma: Any) -> None:
        super().__init__(depth, in_channels, classes)
        expected = "a number in (0, 1), from which it starts"
        start = float(as_number(gamma, "gamma", expected))
        expect(0 < start < 1, "gamma", got=shown(gamma), expected=expected)
        self.logit = nn.Parameter(torch.tensor(math.log(start / (1 - start))))

    @property
    def gamma(self) -> float:
        """The gamma of now."""
        return float(torch.sigmoid(self.logit.detach()))

    def forward(self, images: Tensor) -> Tensor:
        """Logits, shape (batch, classes), of images of shape (batch, in_channels, h, w)."""
        gamma = torch.sigmoid(self.logit)
        x = self.stem(images)
        for stage in self.stages:
            v = None
            for block in stage.children():
                y = block(x)
                if y.shape != x.shape:
                    x, v = y, None
                    continue
                step = (1 - gamma) * (y - x)
                v = step if v is None else gamma * v + step
                x = x + v
        return self.head(x.mean(dim=(-2, -1)))
