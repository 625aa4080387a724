"""Torchvision's networks for classification, as ``torchvision:NAME`` in the table of networks."""

from __future__ import annotations

import difflib
from typing import Any

import torch
from torch import nn

from odemom.checks import as_integer, expect, invalid, optional_import, shown
from odemom.records.machine import is_out_of_memory

models = optional_import("torchvision.models", "train")

__all__ = ["check_name", "names", "network"]

WITH_OTHER_LOSSES = {"googlenet", "inception_v3"}
"""Networks whose training adds the losses of further heads."""


def names() -> list[str]:
    """The networks, by torchvision's names.

    Examples
    --------
    >>> {"resnet50", "vit_b_16"} <= set(names()), "googlenet" in names()
    (True, False)
    """
    return sorted(set(models.list_models(module=models)) - WITH_OTHER_LOSSES)


def check_name(name: str) -> None:
    """Refuse what is no name of a network; the nearest one is suggested.

    Raises
    ------
    InvalidInputError
    """
    known = names()
    if name in known:
        return
    near = difflib.get_close_matches(name, known, 3, 0.5)
    raise invalid(
        "model",
        got=f"{shown(name)} after torchvision:",
        expected=f"one of torchvision's {len(known)} networks for classification, such as "
        "resnet50, vit_b_16 or mobilenet_v2",
        fix=f"Did you mean {' or '.join(near)}?" if near else "",
    )


def network(name: str, in_channels: int, classes: int, image_size: int) -> nn.Module:
    """A network of torchvision with fresh weights.

    Parameters
    ----------
    name : str
        One of `names`.
    in_channels : int
        3: torchvision's networks are for images in colour.
    classes : int
    image_size : int
        Transformers are built for it.

    Raises
    ------
    InvalidInputError
        If the images are not in colour, or the network does not take their size.
    """
    as_integer(in_channels, "in_channels", 1)
    expect(
        in_channels == 3,
        "in_channels",
        got=f"{in_channels} for torchvision:{name}",
        expected="3, images in colour",
        fix="Save the images in colour, each with three equal channels.",
    )
    options: dict[str, Any] = {"num_classes": classes}
    if name.startswith("vit_"):
        patch = int(name.rpartition("_")[2])
        expect(
            image_size % patch == 0,
            "image_size",
            got=f"{image_size} for torchvision:{name}",
            expected=f"a multiple of {patch}, the size of its patches",
        )
        options["image_size"] = image_size
    found = models.get_model(name, weights=None, **options)
    _check_size(found, name, image_size)
    return found


def _check_size(network: nn.Module, name: str, image_size: int) -> None:
    """Refuse images that are too small for a network, or of another size than its windows need."""
    network.eval()
    try:
        with torch.no_grad():
            network(torch.zeros(1, 3, image_size, image_size))
    except (RuntimeError, AssertionError, ValueError) as error:
        if is_out_of_memory(error):
            raise
        raise invalid(
            "image_size",
            got=f"{image_size} pixels for torchvision:{name} ({shown(str(error), 120)})",
            expected="a size that this network takes, such as 224",
            fix="Images of a folder are brought to it: --image-size 224.",
        ) from error
    finally:
        network.train()
