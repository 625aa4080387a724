"""Residual networks for images, in the form of torchvision and in that of CIFAR-10."""

from __future__ import annotations

from typing import Any, Literal

import torch.nn.functional as F
from torch import Tensor, nn

from odemom.checks import expect, optional_import, shown

torchvision = optional_import("torchvision.models.resnet", "train")

__all__ = ["BLOCKS", "DEPTHS", "SMALL_DEPTHS", "SmallResNet", "resnet", "small_blocks"]

Stem = Literal["cifar", "imagenet"]

BLOCKS = {
    18: ("BasicBlock", (2, 2, 2, 2)),
    34: ("BasicBlock", (3, 4, 6, 3)),
    50: ("Bottleneck", (3, 4, 6, 3)),
    101: ("Bottleneck", (3, 4, 23, 3)),
    152: ("Bottleneck", (3, 8, 36, 3)),
}
"""Kind of block, and blocks per stage: He et al. 2016, Table 1."""

DEPTHS = tuple(BLOCKS)
SMALL_DEPTHS = (20, 56, 110, 1202)
SMALL_WIDTHS = (16, 32, 64)


def small_blocks(depth: int) -> tuple[int, ...]:
    """Blocks per stage of the ResNet of 6 n + 2 layers.

    Examples
    --------
    >>> small_blocks(20)
    (3, 3, 3)
    """
    return ((depth - 2) // 6,) * 3


class PaddedShortcut(nn.Module):
    """Every second row and column, with zeros for the channels that x has not: no parameters."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.channels = channels

    def forward(self, x: Tensor) -> Tensor:
        """Shape (batch, channels, h/2, w/2)."""
        return F.pad(F.avg_pool2d(x, 1, 2), (0, 0, 0, 0, 0, self.channels - x.shape[1]))


class SmallResNet(nn.Module):
    """The ResNet of 6 n + 2 layers for small images: three stages of 16, 32 and 64 channels.

    Its shortcuts have no parameters (option A). Blocks are torchvision's.

    Parameters
    ----------
    depth : {20, 56, 110, 1202}
    in_channels, classes : int

    References
    ----------
    He, Zhang, Ren, Sun, *Deep residual learning for image recognition*, CVPR 2016, section 4.2.

    Examples
    --------
    >>> sum(p.numel() for p in SmallResNet(20, 3, 10).parameters())
    269722
    """

    def __init__(self, depth: int, in_channels: int, classes: int) -> None:
        super().__init__()
        self.stem = nn.Sequential(*stem_layers(in_channels, SMALL_WIDTHS[0], "cifar"))
        stages: list[nn.Module] = []
        before = SMALL_WIDTHS[0]
        for width, count in zip(SMALL_WIDTHS, small_blocks(depth), strict=True):
            blocks = []
            for n in range(count):
                stride = 2 if n == 0 and width != before else 1
                shortcut = PaddedShortcut(width) if stride == 2 else None
                blocks.append(torchvision.BasicBlock(before, width, stride, shortcut))
                before = width
            stages.append(nn.Sequential(*blocks))
        self.stages = nn.Sequential(*stages)
        self.head = nn.Linear(before, classes)
        start_by_he(self)

    def forward(self, images: Tensor) -> Tensor:
        """Logits, shape (batch, classes), of images of shape (batch, in_channels, h, w)."""
        return self.head(self.stages(self.stem(images)).mean(dim=(-2, -1)))


def resnet(depth: int, in_channels: int, classes: int, *, stem: Stem) -> Any:
    """Torchvision's ResNet, with a stem for images of its own size or for small ones.

    Parameters
    ----------
    depth : {18, 34, 50, 101, 152}
    in_channels, classes : int
    stem : {"cifar", "imagenet"}
        A 3 x 3 convolution, or torchvision's: 7 x 7 of stride 2 and a maximum over 3 x 3 of
        stride 2. With the latter and three channels, torchvision's weights can be loaded.

    Returns
    -------
    torchvision.models.ResNet
    """
    first, *others = stem_layers(in_channels, 64, stem)
    kind, counts = BLOCKS[depth]
    net = torchvision.ResNet(getattr(torchvision, kind), list(counts), num_classes=classes)
    if stem == "cifar" or in_channels != 3:
        start_by_he(first)
        net.conv1 = first
        net.maxpool = others[-1] if stem == "imagenet" else nn.Identity()
    return net


def stem_layers(in_channels: int, width: int, stem: Stem) -> list[nn.Module]:
    """Convolution, norm, ReLU, and for large images a maximum."""
    expect(stem in ("cifar", "imagenet"), "stem", got=shown(stem), expected='"cifar" or "imagenet"')
    if stem == "cifar":
        convolution = nn.Conv2d(in_channels, width, 3, padding=1, bias=False)
        return [convolution, nn.BatchNorm2d(width), nn.ReLU(inplace=True)]
    convolution = nn.Conv2d(in_channels, width, 7, stride=2, padding=3, bias=False)
    pool = nn.MaxPool2d(3, stride=2, padding=1)
    return [convolution, nn.BatchNorm2d(width), nn.ReLU(inplace=True), pool]


def start_by_he(net: nn.Module) -> None:
    """Normal weights of variance 2 / fan-out in every convolution, as torchvision's ResNet."""
    for module in net.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
