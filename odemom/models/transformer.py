"""A small Vision Transformer, torchvision's."""

from __future__ import annotations

from typing import Any

from torch import nn

from odemom.checks import as_integer, expect, optional_import

torchvision = optional_import("torchvision.models.vision_transformer", "train")

__all__ = ["vision_transformer"]


def vision_transformer(
    in_channels: int, classes: int, image_size: int, *, patch: int, width: int, depth: int,
    heads: int,
) -> Any:  # fmt: skip
    """Torchvision's VisionTransformer, with layers twice as wide inside as outside.

    Parameters
    ----------
    in_channels, classes : int
    image_size : int
        A multiple of ``patch``.
    patch : int
        Pixels of the side of a patch.
    width, depth, heads : int
        Of the encoder; ``width`` is a multiple of ``heads``.

    Returns
    -------
    torchvision.models.VisionTransformer
    """
    sizes = {"patch": patch, "width": width, "depth": depth, "heads": heads}
    for name, size in sizes.items():
        as_integer(size, name, 1)
    expect(
        image_size % patch == 0,
        "patch",
        got=f"{patch} for images of {image_size} pixels",
        expected="a divisor of the image size",
    )
    expect(
        width % heads == 0,
        "width",
        got=f"{width} with {heads} heads",
        expected="a multiple of the number of heads",
    )
    net = torchvision.VisionTransformer(
        image_size, patch, depth, heads, width, 2 * width, num_classes=classes
    )
    if in_channels != 3:
        net.conv_proj = nn.Conv2d(in_channels, width, patch, stride=patch)
    return net
