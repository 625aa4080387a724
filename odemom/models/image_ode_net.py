"""The ODE network of the paper's Figure 9: few channels, ten blocks, first or second order."""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import Tensor, nn

from odemom.checks import as_integer, expect, shown
from odemom.nn import ODEBlock

__all__ = ["ImageODENet", "block_options"]


class ImageODENet(nn.Module):
    """Down-sampling to a few channels, ODE blocks in a row, a linear head.

    ::

        conv / stride - norm -> ODE -> ... -> ODE -> flattened, or mean over space -> linear

    The field of a block is conv - norm - ReLU - conv, with 3 x 3 convolutions and a norm over all
    channels and places of an image, which makes it a function of x alone. Its inside may be wider
    than the state: it is the state that few channels make narrow.

    Parameters
    ----------
    in_channels, classes, image_size : int
    channels : int
        Of the state of the ODEs.
    hidden : int
        Channels between the convolutions of a field.
    blocks : int
        How many ODE blocks; 0 leaves a linear model of the down-sampled image.
    stride : int
        Of the down-sampling, a divisor of ``image_size``.
    head : {"flat", "mean"}
        What the linear head sees: every value of the state, or means over space.
    order, eps, initial_velocity, method, steps, gradient
        Of the blocks: `block_options`.

    References
    ----------
    Sander, Ablin, Blondel, Peyré, *Momentum Residual Neural Networks*, ICML 2021, section 5.2.

    Examples
    --------
    >>> import torch
    >>> net = ImageODENet(3, 10, 32, channels=2, blocks=2, order=1)
    >>> net(torch.zeros(5, 3, 32, 32)).shape, net.nfe
    (torch.Size([5, 10]), 16)
    """

    def __init__(
        self,
        in_channels: int,
        classes: int,
        image_size: int,
        *,
        channels: int = 8,
        hidden: int = 16,
        blocks: int = 10,
        stride: int = 4,
        head: Literal["flat", "mean"] = "flat",
        **block: Any,
    ) -> None:
        super().__init__()
        as_integer(channels, "channels", 1)
        as_integer(hidden, "hidden", 1)
        as_integer(blocks, "blocks", 0)
        as_integer(stride, "stride", 1)
        expect(
            image_size % stride == 0,
            "stride",
            got=f"{stride} for images of {image_size} pixels",
            expected="a divisor of the image size",
            fix="Take one with --set stride=N (stride among the options in Python), or bring the "
            "images of a folder to another size with --image-size.",
        )
        expect(head in ("flat", "mean"), "head", got=shown(head), expected='"flat" or "mean"')
        size = 3 if stride < 3 else stride  # patches that touch, or overlap
        options = block_options(**block)
        if not blocks:  # options are looked at without a block, too
            with torch.random.fork_rng(devices=[]):
                ODEBlock(_field(channels, hidden), **options)
        self.down = nn.Sequential(
            nn.Conv2d(in_channels, channels, size, stride, padding=(size - stride + 1) // 2),
            nn.GroupNorm(1, channels),
        )
        fields = [_field(channels, hidden) for _ in range(blocks)]
        self.blocks = nn.Sequential(*(ODEBlock(field, **options) for field in fields))
        self.flat = head == "flat"
        places = (image_size // stride) ** 2 if self.flat else 1
        self.head = nn.Linear(channels * places, classes)

    def forward(self, images: Tensor) -> Tensor:
        """Logits, shape (batch, classes), of images of shape (batch, in_channels, h, w)."""
        state = self.down(images)
        if torch.is_autocast_enabled(state.device.type):
            state = state.float()  # the state is integrated in single precision, f in half
        state = self.blocks(state)
        return self.head(state.flatten(1) if self.flat else state.mean(dim=(-2, -1)))

    @property
    def nfe(self) -> int:
        """Evaluations of the fields in the last forward call, summed over the blocks."""
        return sum(block.nfe for block in self.blocks if isinstance(block, ODEBlock))


def block_options(
    *,
    order: Literal[1, 2] = 2,
    eps: Any = 1.0,
    initial_velocity: Literal["zero", "field"] = "zero",
    method: str = "rk4",
    steps: int = 1,
    gradient: Literal["backprop", "adjoint", "reversible"] = "reversible",
    rtol: float = 1e-3,
    atol: float = 1e-3,
) -> dict[str, Any]:
    """The parameters of an `ODEBlock`, of those of a network.

    Parameters
    ----------
    order, initial_velocity, method, gradient, rtol, atol
        See `ODEBlock`.
    eps : number
        The mass; first-order blocks do not use it.
    steps : int
        Equal steps of a method of fixed step from 0 to 1.

    Returns
    -------
    dict
    """
    from odemom.nn.ode.checks import FIXED_STEP_METHODS, REVERSIBLE_METHODS

    as_integer(steps, "steps", 1)
    fixed = method in FIXED_STEP_METHODS or method in REVERSIBLE_METHODS
    options: dict[str, Any] = {"order": order, "method": method, "gradient": gradient}
    options |= {"initial_velocity": initial_velocity, "rtol": rtol, "atol": atol}
    options |= {"eps": eps} if order == 2 else {}
    return options | {"options": {"step_size": 1 / steps} if fixed else None}


def _field(channels: int, hidden: int) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(channels, hidden, 3, padding=1),
        nn.GroupNorm(1, hidden),
        nn.ReLU(),
        nn.Conv2d(hidden, channels, 3, padding=1),
    )
