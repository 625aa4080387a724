"""RevNets for images: the stages of a ResNet with reversible pairs in place of its blocks."""

from __future__ import annotations

from torch import Tensor, nn

from odemom.checks import as_integer, expect, optional_import
from odemom.models.resnet import BLOCKS, Stem, small_blocks, start_by_he, stem_layers
from odemom.nn import RevNet

torchvision = optional_import("torchvision.models.resnet", "train")

__all__ = ["WIDTHS", "ImageRevNet"]

WIDTHS = {1202: 22, 20: 20, 56: 22, 110: 22, 18: 76, 34: 82, 50: 78, 101: 82, 152: 84}
"""Channels of the first stage with which a RevNet has as many parameters as the ResNet."""


class ImageRevNet(nn.Module):
    """A ResNet whose blocks that keep the shape of their input are pairs of a `RevNet`.

    ::

        F, G: norm - ReLU - convolution, twice (three times in place of bottlenecks)

    each on half of the channels, so that a pair has half of the parameters of a block; the network
    is wider in return. The blocks that change the shape are the ResNet's.

    Parameters
    ----------
    depth : {20, 56, 110, 1202, 18, 34, 50, 101, 152}
        Of the ResNet.
    in_channels, classes : int
    width : int or None
        Channels of the first stage, even. None takes that of `WIDTHS`, with which the number of
        parameters is that of the ResNet up to 5 %.
    stem : {"cifar", "imagenet"}
    reversible : bool
        Whether the pairs are computed again in the backward pass.

    References
    ----------
    Gomez, Ren, Urtasun, Grosse, *The reversible residual network*, NeurIPS 2017.

    Examples
    --------
    >>> import torch
    >>> ImageRevNet(20, 3, 10)(torch.zeros(2, 3, 32, 32)).shape
    torch.Size([2, 10])
    """

    def __init__(
        self,
        depth: int,
        in_channels: int,
        classes: int,
        *,
        width: int | None = None,
        stem: Stem = "cifar",
        reversible: bool = True,
    ) -> None:
        super().__init__()
        width = WIDTHS[depth] if width is None else as_integer(width, "width", 2)
        expect(width % 2 == 0, "width", got=str(width), expected="an even number, for the halves")
        kind, counts = BLOCKS.get(depth) or ("BasicBlock", small_blocks(depth))
        block = getattr(torchvision, kind)
        self.stem = nn.Sequential(*stem_layers(in_channels, width, stem))
        stages: list[nn.Module] = []
        before = width
        for n, count in enumerate(counts):
            inner, after = width * 2**n, width * 2**n * block.expansion
            pairs = count
            if before != after:
                stages.append(block(before, inner, 1 if n == 0 else 2, _shortcut(before, after, n)))
                pairs -= 1
            function = _basic if kind == "BasicBlock" else _bottleneck
            functions = [function(after // 2) for _ in range(2 * pairs)]
            stages.append(RevNet(functions, reversible=reversible))
            before = after
        self.stages = nn.Sequential(*stages, nn.BatchNorm2d(before), nn.ReLU())
        self.head = nn.Linear(before, classes)
        start_by_he(self)

    def forward(self, images: Tensor) -> Tensor:
        """Logits, shape (batch, classes), of images of shape (batch, in_channels, h, w)."""
        return self.head(self.stages(self.stem(images)).mean(dim=(-2, -1)))


def _shortcut(before: int, after: int, stage: int) -> nn.Module:
    stride = 1 if stage == 0 else 2
    convolution = nn.Conv2d(before, after, 1, stride=stride, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(after))


def _basic(channels: int) -> nn.Module:
    return nn.Sequential(*_layer(channels, channels, 3), *_layer(channels, channels, 3))


def _bottleneck(channels: int) -> nn.Module:
    inner = channels // 4
    return nn.Sequential(
        *_layer(channels, inner, 1), *_layer(inner, inner, 3), *_layer(inner, channels, 1)
    )


def _layer(before: int, after: int, size: int) -> list[nn.Module]:
    convolution = nn.Conv2d(before, after, size, padding=size // 2, bias=False)
    return [nn.BatchNorm2d(before), nn.ReLU(), convolution]
