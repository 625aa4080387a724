"""The models that are trained on the plane of Figure 4, with derivatives and thresholds."""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction

import torch
from torch import Tensor, nn

from odemom import lambda_eps
from odemom.experiments._least_squares import Linearised, by_autograd, by_blocks
from odemom.flows import MomentumThreshold
from odemom.nn import MomentumNet, ODEBlock
from odemom.nn import psi as psi_of_tensors

__all__ = ["EPS", "least_value", "model_of", "momentum"]

EPS = 0.5
TOLERANCE = 1e-6  # of the solver in the ODE block


def momentum(depth: int) -> Fraction:
    """The gamma for which the net of that depth has eps/N = 0.5, eps = 1/(1 - gamma)."""
    return 1 - 1 / (Fraction(EPS) * depth)


def first_minimum(depth: int) -> float:
    """Psi of the net at its rightmost critical point: the counterpart of lambda_eps."""
    return MomentumThreshold(momentum(depth), depth).first_minimum


def least_value(depth: int) -> float:
    """The least value of psi of the net, its threshold by the theorem; -inf at odd depth."""
    return MomentumThreshold(momentum(depth), depth).value if depth % 2 == 0 else -math.inf


class Tied(nn.Module):
    """The function x -> theta x of every layer, one theta per problem."""

    def __init__(self, theta: Tensor) -> None:
        super().__init__()
        self.theta = theta

    def forward(self, x: Tensor) -> Tensor:
        """Theta x."""
        return self.theta @ x


def model_of(name: str) -> tuple[Linearised, float]:
    """The model of a task with its derivatives, and its threshold."""
    if name == "psi":
        return by_blocks(lambda theta: psi_of_tensors(theta, EPS)), float(lambda_eps(EPS))
    if name == "ODE block":
        return by_autograd(_integrated), float(lambda_eps(EPS))
    depth = int(name.removeprefix("depth "))
    return by_blocks(_through_layers(depth)), first_minimum(depth)


def _integrated(theta: Tensor) -> Tensor:
    block = ODEBlock(lambda x: theta @ x, eps=EPS, rtol=TOLERANCE, atol=TOLERANCE)
    return block(_identities(theta))


def _through_layers(depth: int) -> Callable[[Tensor], Tensor]:
    def model(theta: Tensor) -> Tensor:
        layers = [Tied(theta)] * depth
        return MomentumNet(layers, momentum(depth), reversible=False)(_identities(theta))

    return model


def _identities(theta: Tensor) -> Tensor:
    return torch.eye(theta.shape[-1], dtype=theta.dtype).expand_as(theta)
