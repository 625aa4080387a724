"""Which images a network was trained on, so that it is not tested on them in silence.

Images are known by their pixels, as they were brought to the size of the training.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable

import torch
from torch import Tensor

from odemom.checks import invalid
from odemom.data.images import ImageData
from odemom.errors import InvalidInputError, OdemomWarning

__all__ = ["are_those", "changed_since", "seen_in", "warn_of_seen"]


def seen_in(data: ImageData, before: Tensor | None = None) -> Tensor:
    """Fingerprints of the images that a training sees, and of those that others have seen before.

    Parameters
    ----------
    data : ImageData
        Its training images are learnt from, and those for validation choose the best weights.
    before : Tensor of int64, optional
        Of the network that the training starts from.

    Returns
    -------
    Tensor of int64, shape (n,)
        Sorted, none twice.
    """
    sets = [images.fingerprints() for images in (data.train, data.validation)]
    return torch.cat([*sets, *([] if before is None else [before])]).unique()


def warn_of_seen(data: ImageData, seen: Tensor | None) -> None:
    """Say how many test images a network was trained on, if there are any.

    Parameters
    ----------
    data : ImageData
    seen : Tensor of int64 or None
        See `seen_in`; None: it is not known.

    Warns
    -----
    OdemomWarning
    """
    if seen is None or not len(data.test):
        return
    found = data.test.fingerprints()
    count = int(torch.isin(found, seen).sum())
    if count:
        warnings.warn(
            f"data: {count} of {len(found)} test images of {data.source} are images that the "
            "network was trained on, pixel by pixel: its accuracy on them says nothing of others.",
            OdemomWarning,
            stacklevel=4,
        )


def are_those(
    images: ImageData, digest: str, limit: int | None, load: Callable[..., ImageData]
) -> bool:
    """Whether the images are those of a training, split as they were for it.

    Parameters
    ----------
    images : ImageData
        All of them.
    digest : str
        That of the images of the training.
    limit : int or None
        How many of them it took.
    load : callable
        limit=... -> the images with that limit.

    Returns
    -------
    bool
    """
    if limit is None:
        return images.digest == digest
    return limit <= len(images.train) and load(limit=limit).digest == digest


def changed_since(folder: str, what: str) -> InvalidInputError:
    """What is said of a folder whose split is not that of a training any more.

    Parameters
    ----------
    folder : str
    what : str
        How a folder of other images is given.

    Returns
    -------
    InvalidInputError
    """
    return invalid(
        "data",
        got=f"{folder}, whose images are not those of the training any more",
        expected="the same files: with others the split is another, and images that the network "
        "was trained on are among those to test on",
        fix=f"Put them back, or put images it has not seen into a folder of their own: {what}.",
    )
