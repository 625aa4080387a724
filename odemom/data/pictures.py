"""One image file: its size and colours, and its pixels in the size that is asked for."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from odemom.checks import counted, expect, invalid, optional_import, shown
from odemom.errors import InvalidInputError, OdemomWarning
from odemom.records.machine import is_out_of_memory

__all__ = ["COMMON_SIZE", "Picture", "decoded", "header", "warn_of_transparency"]

COMMON_SIZE = 32  # images of different sizes are brought to this one, in pixels
GREY = {"1", "L", "LA", "La", "I", "I;16", "I;16L", "I;16B", "I;16N"}
SIXTEEN_BITS = {"I", "I;16", "I;16L", "I;16B", "I;16N"}


@dataclass(frozen=True)
class Picture:
    """What the first bytes of an image file say.

    Attributes
    ----------
    size : tuple of int
        Width and height.
    grey : bool
        Whether it has no colours.
    sixteen_bits : bool
        Whether its pixels have 16 bits, or more.
    """

    size: tuple[int, int]
    grey: bool
    sixteen_bits: bool


def header(file: str) -> Picture:
    """Size and colours of an image, without decoding it.

    Raises
    ------
    InvalidInputError
        If it is no image, by name.
    """
    with _opened(file) as image:
        return Picture(image.size, image.mode in GREY, image.mode in SIXTEEN_BITS)


def decoded(
    file: str, size: int, *, grey: bool, name: str = "data"
) -> tuple[np.ndarray, bool]:  # fmt: skip
    """The pixels of an image: the shorter side scaled to ``size``, and the centre.

    Parameters
    ----------
    file : str
    size : int
    grey : bool
        One channel in place of three.
    name : str
        Of the argument that an error names.

    Returns
    -------
    pixels : ndarray of uint8, shape (1 or 3, size, size)
        Pixels of 16 bits keep their upper 8.
    transparent : bool
        Whether it has transparent places, which have the colour that the file keeps under them.

    Raises
    ------
    InvalidInputError
        If the image is damaged, or its pixels are floating-point numbers, by name.
    """
    operations = optional_import("PIL.ImageOps", "train")
    with _opened(file, name) as image:
        try:
            image.load()
            if image.getexif().get(0x0112, 1) != 1:  # a camera that was turned
                image = operations.exif_transpose(image)
            transparent = _is_transparent(image)
            image = _eight_bits(image, file, name).convert("L" if grey else "RGB")
            if image.size != (size, size):
                image = operations.fit(image, (size, size))
        except InvalidInputError:
            raise
        except Exception as error:  # decoders raise anything on damaged data
            if is_out_of_memory(error):
                raise
            raise _unreadable(file, error, name) from None
        array = np.asarray(image, dtype=np.uint8)
    return (array[None] if grey else array.transpose(2, 0, 1)), transparent


def warn_of_transparency(files: Sequence[Path | str], among: int, name: str = "data") -> None:
    """Say that transparency is left out of some files.

    Warns
    -----
    OdemomWarning
        If there are any.
    """
    if files:
        warnings.warn(
            f"{name}: {counted(len(files), 'image')} of {among} with transparent places, such as "
            f"{files[0]}. Transparency is left out: they get the colour that the file keeps under "
            "it, often black. Save them on a background.",
            OdemomWarning,
            stacklevel=3,
        )


def _is_transparent(image: Any) -> bool:
    if "transparency" in image.info:
        image = image.convert("RGBA")
    bands = image.getbands()
    return "A" in bands and image.getchannel("A").getextrema()[0] < 255


def _eight_bits(image: Any, file: str, name: str) -> Any:
    if image.mode not in SIXTEEN_BITS:
        return image
    pil = optional_import("PIL.Image", "train")
    values = np.asarray(image).astype(np.int64)
    low, high = int(values.min()), int(values.max())
    expect(
        low >= 0 and high <= 65535,
        name,
        got=f"the image {file} with pixels from {low} to {high}",
        expected="pixels of 8 or 16 bits, from 0 to 65535",
        fix="Scale it to 8 bits.",
    )
    return pil.fromarray((values >> 8).astype(np.uint8))


def _opened(file: str, name: str = "data") -> Any:
    pil = optional_import("PIL.Image", "train")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", pil.DecompressionBombWarning)
            image = pil.open(file)
    except Exception as error:  # plugins raise anything on damaged data
        if is_out_of_memory(error):
            raise
        raise _unreadable(file, error, name) from None
    if image.mode == "F":
        image.close()
    expect(
        image.mode != "F",
        name,
        got=f"the image {file} of floating-point pixels",
        expected="pixels of 8 or 16 bits",
        fix="Scale it to 8 bits.",
    )
    return image


def _unreadable(file: str, error: Exception, name: str) -> Exception:
    return invalid(
        name,
        got=f"the image {file}, which cannot be read ({type(error).__name__}: "
        f"{shown(str(error), 80)})",
        expected="an image (.jpg, .png, ...)",
        fix="Remove it or replace it; nothing was kept of what was read." if name == "data" else "",
    )
