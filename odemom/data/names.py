"""Names of image data and of augmentations; nothing heavy is loaded for them."""

from __future__ import annotations

import os
from typing import Any

from odemom.checks import expect, shown

__all__ = ["AUGMENTATIONS", "FOLDER", "NAMES_OF_DATA", "check_data", "full_scale"]

NAMES_OF_DATA = ("digits", "cifar10", "cifar100")
FOLDER = "imagefolder:"
AUGMENTATIONS = ("none", "flip", "crop+flip")


def check_data(data: Any) -> None:
    """Refuse what is neither a name nor the path of a folder; a lone word must be a folder here.

    Raises
    ------
    InvalidInputError

    Examples
    --------
    >>> check_data("digits"), check_data("pictures/flowers"), check_data("imagefolder:flowers")
    (None, None, None)
    """
    fits = isinstance(data, str) and data != ""
    path = fits and (data.startswith(FOLDER) or os.sep in data or "/" in data)
    expect(
        fits and (path or data in NAMES_OF_DATA or os.path.isdir(data)),
        "data",
        got=shown(data),
        expected=f"one of {', '.join(map(repr, NAMES_OF_DATA))}, or a folder of images",
    )


def full_scale(data: str) -> float:
    """The pixel that means white, or full ink: the embedded digits have 16 levels.

    Examples
    --------
    >>> full_scale("digits"), full_scale("pictures/flowers")
    (16.0, 255.0)
    """
    return 16.0 if data == "digits" else 255.0
