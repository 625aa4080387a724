"""Names of image data and of augmentations; nothing heavy is loaded for them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from odemom.checks import expect, shown

__all__ = [
    "AUGMENTATIONS", "FOLDER", "NAMES_OF_DATA", "UNPACK", "check_data", "files_behind",
    "full_scale", "placed", "same_place",
]  # fmt: skip

NAMES_OF_DATA = ("digits", "cifar10", "cifar100")
FOLDER = "imagefolder:"
UNPACK = "It is a file: unpack an archive first, with tar xf FILE."
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
    names = f"one of {', '.join(map(repr, NAMES_OF_DATA))}, or a folder of images"
    fits = isinstance(data, str) and data not in ("", FOLDER)
    expect(fits, "data", got=shown(data), expected=names)
    path = data.startswith(FOLDER) or os.sep in data or "/" in data
    expect(
        path or data in NAMES_OF_DATA or os.path.isdir(data),
        "data",
        got=f"{shown(data)}, and there is no folder {shown(os.path.abspath(data), 200)}",
        expected=names,
        fix=UNPACK if os.path.isfile(data) else "",
    )


def placed(data: str) -> str:
    """The name of data, or the absolute path of a folder: the same folder from everywhere.

    Parameters
    ----------
    data : str
        As `check_data` takes it.

    Examples
    --------
    >>> placed("cifar10"), placed("/pictures/flowers"), placed("imagefolder:/pictures/flowers")
    ('cifar10', '/pictures/flowers', '/pictures/flowers')
    """
    if data in NAMES_OF_DATA:
        return data
    return str(Path.cwd() / data.removeprefix(FOLDER))  # "link/.." stays where the link leads


def same_place(one: str, other: str) -> bool:
    """Whether two names of data are equal, or lead to the same folder.

    Parameters
    ----------
    one, other : str
        As `placed` returns them.

    Examples
    --------
    >>> same_place("digits", "digits"), same_place("digits", "/a"), same_place("/a/b/..", "/a")
    (True, False, True)
    """
    if {one, other} & set(NAMES_OF_DATA):
        return one == other
    return Path(one).resolve() == Path(other).resolve()


def files_behind(data: str) -> dict[str, str]:
    """What an outcome depends on beside the name of its data: the files of a folder of images.

    Parameters
    ----------
    data : str
        As `check_data` takes it.

    Returns
    -------
    dict
        ``images``: a digest of the names, sizes and times of the folder's files; nothing for other
        data, nor where the folder is not seen from here.

    Examples
    --------
    >>> files_behind("digits")
    {}
    """
    folder = Path(data.removeprefix(FOLDER))
    if data in NAMES_OF_DATA or not folder.is_dir():  # over machines it may be elsewhere
        return {}
    from odemom.data.folders import files_digest  # brings PyTorch

    return {"images": files_digest(folder)}


def full_scale(data: str) -> float:
    """The pixel that means white, or full ink: the embedded digits have 16 levels.

    Examples
    --------
    >>> full_scale("digits"), full_scale("pictures/flowers")
    (16.0, 255.0)
    """
    return 16.0 if data == "digits" else 255.0
