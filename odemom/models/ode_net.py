"""The image classifier of the paper's Figure 9, in small."""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import Tensor, nn

from odemom.nn.ode.block import ODEBlock

__all__ = ["ODENet", "digits_net"]

GROUPS = 8  # of group normalisation: unlike batch statistics, it makes f a function of x alone


class ODENet(nn.Module):
    """Two stages of a down-sampling convolution and an `ODEBlock`, pooling and a linear head.

    ::

        conv / 2 -> ODE -> norm, ReLU, conv / 2 -> ODE -> norm, ReLU -> mean over space -> linear

    The field of a block is conv - norm - ReLU - conv, with 3 x 3 convolutions.

    Parameters
    ----------
    in_channels, classes : int, default 1 and 10
        Channels of the images, and number of classes.
    width : int, default 24
        Channels of the first stage, a multiple of 8; the second one has twice as many.
    order : {2, 1}, default 2
        The order of the ODEs.
    **block
        Further parameters of `ODEBlock`: ``eps``, ``initial_velocity``, ``rtol``, ``adjoint``, ...

    Examples
    --------
    >>> import torch
    >>> net = ODENet(order=1, width=8, rtol=1e-3, atol=1e-3)
    >>> net(torch.zeros(5, 1, 8, 8)).shape, net.nfe > 0
    (torch.Size([5, 10]), True)
    """

    def __init__(
        self,
        in_channels: int = 1,
        classes: int = 10,
        *,
        width: int = 24,
        order: Literal[1, 2] = 2,
        **block: Any,
    ) -> None:
        super().__init__()
        self.stages = nn.Sequential(
            nn.Conv2d(in_channels, width, 3, stride=2, padding=1),
            ODEBlock(_field(width), order, **block),
            nn.GroupNorm(GROUPS, width),
            nn.ReLU(),
            nn.Conv2d(width, 2 * width, 3, stride=2, padding=1),
            ODEBlock(_field(2 * width), order, **block),
            nn.GroupNorm(GROUPS, 2 * width),
            nn.ReLU(),
        )
        self.head = nn.Linear(2 * width, classes)

    def forward(self, images: Tensor) -> Tensor:
        """Logits, shape (batch, classes), of images of shape (batch, in_channels, h, w)."""
        state = images
        for stage in self.stages:
            if isinstance(stage, ODEBlock) and torch.is_autocast_enabled(state.device.type):
                state = state.float()  # it is integrated in single precision, f in half
            state = stage(state)
        # A mean, not an adaptive pooling, of which the gradient on GPUs is not deterministic.
        return self.head(state.mean(dim=(-2, -1)))

    @property
    def blocks(self) -> list[ODEBlock]:
        """The ODE blocks, in order."""
        return [stage for stage in self.stages if isinstance(stage, ODEBlock)]

    @property
    def nfe(self) -> int:
        """Evaluations of the fields in the last forward call, summed over the blocks."""
        return sum(block.nfe for block in self.blocks)


def digits_net(in_channels: int, classes: int, *, width: int, order: Any, **block: Any) -> ODENet:
    """An `ODENet` of the options of a table: ``eps`` is for order 2, fixed steps are of 0.1."""
    from odemom.models.image_ode_net import block_options

    adjoint = block.pop("adjoint")
    gradient = "adjoint" if adjoint else "backprop"
    return ODENet(
        in_channels,
        classes,
        width=width,
        **block_options(order=order, steps=10, gradient=gradient, **block),
    )


def _field(channels: int) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(channels, channels, 3, padding=1),
        nn.GroupNorm(GROUPS, channels),
        nn.ReLU(),
        nn.Conv2d(channels, channels, 3, padding=1),
    )
