"""Images in memory: three sets, their classes, and the numbers that normalise them."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from odemom.checks import as_integer, expect, invalid, shown
from odemom.data.names import FOLDER, NAMES_OF_DATA, check_data
from odemom.records import as_path
from odemom.records.machine import cache_directory

__all__ = ["ImageData", "Images", "load_images"]

VALIDATION_SHARE = 0.1
READ_AT_MOST = 2**31  # bytes of each set that its digest reads
COUNTED = 10_000  # mean and spread are taken of at most so many training images


@dataclass(frozen=True, eq=False)
class Images:
    """Images and what they show.

    Attributes
    ----------
    pixels : Tensor of uint8, shape (n, c, h, w)
    labels : Tensor of int64, shape (n,)
        Positions in `ImageData.classes`.
    """

    pixels: Tensor
    labels: Tensor

    def __len__(self) -> int:
        return len(self.labels)

    def subset(self, index: np.ndarray) -> Images:
        """The images at these positions, in this order: a copy."""
        rows = torch.from_numpy(np.asarray(index, dtype=np.int64))
        return Images(self.pixels.index_select(0, rows), self.labels.index_select(0, rows))


@dataclass(frozen=True, eq=False)
class ImageData:
    """A data set of images, split.

    Attributes
    ----------
    name : str
        What `load_images` was asked for.
    source : str
        What stands beside an accuracy: "CIFAR-10", "CIFAR-10 (JPEG)", the name of a folder.
    classes : tuple of str
    train, validation, test : Images
        The validation set may be empty.
    mean, std : tuple of float
        One per channel, in the unit of the pixels: a network sees (pixels - mean)/std.
    """

    name: str
    source: str
    classes: tuple[str, ...]
    train: Images
    validation: Images
    test: Images
    mean: tuple[float, ...]
    std: tuple[float, ...]

    @property
    def channels(self) -> int:
        """1 for grey images, 3 for colours."""
        return self.train.pixels.shape[1]

    @property
    def image_size(self) -> int:
        """Height and width in pixels."""
        return self.train.pixels.shape[-1]

    @property
    def digest(self) -> str:
        """A digest of the classes, the labels and the pixels: other data, another one.

        Of sets of more than 2 GiB every second image counts, of more than 4 every third, and so on.
        """
        found = hashlib.sha256(repr((self.classes, self.mean, self.std)).encode())
        for images in (self.train, self.validation, self.test):
            found.update(repr(tuple(images.pixels.shape)).encode())
            found.update(images.labels.numpy().tobytes())
            step = 1 + images.pixels.nbytes // READ_AT_MOST
            for part in images.pixels[::step].split(1024):
                found.update(part.contiguous().numpy().tobytes())
        return found.hexdigest()[:16]


def load_images(
    data: str,
    *,
    root: Path | str | None = None,
    seed: int = 0,
    limit: int | None = None,
    validation: float | None = None,
    image_size: int | None = None,
    download: bool = False,
) -> ImageData:
    """A data set of images by its name, or from a folder.

    Parameters
    ----------
    data : str
        ``"digits"`` (embedded in scikit-learn), ``"cifar10"``, ``"cifar100"``, or a folder of
        images: its path, or ``"imagefolder:PATH"``. A folder holds one folder per class, or two
        such folders, ``train`` and ``test`` (or ``val``).
    root : path-like, optional
        Where CIFAR lies or is downloaded to, and where decoded folders are kept; by default
        ``odemom`` in the user's cache.
    seed : int, default 0
        Of the splits and of the choice of ``limit`` images.
    limit : int, optional
        Training images to take, with as many of each class as the whole has in proportion. The
        validation set shrinks in proportion, the test set does not.
    validation : float, default 0.1
        The share of the images outside the test set that is kept for validation, in [0, 1); where a
        folder has no ``test``, a fifth of its images becomes the test set.
    image_size : int, optional
        Images of a folder are scaled (shorter side) and cropped (centre) to it. By default the size
        that all of them have, or 32.
    download : bool, default False
        Whether CIFAR may be downloaded where it is missing.

    Returns
    -------
    ImageData

    Raises
    ------
    InvalidInputError
        If the data are missing (with the places that were looked at and how to get them), an image
        cannot be read (by name), or there are fewer than two classes.

    Examples
    --------
    >>> digits = load_images("digits", limit=500)
    >>> len(digits.train), len(digits.validation), len(digits.test), digits.channels
    (500, 56, 360, 1)
    """
    as_integer(seed, "seed", 0)
    share = _share(validation)
    if limit is not None:
        as_integer(limit, "limit", 1)
    if image_size is not None:
        as_integer(image_size, "image_size", 1)
    check_data(data)
    folder = data not in NAMES_OF_DATA
    expect(
        image_size is None or folder,
        "image_size",
        got=f"{image_size} beside data {data!r}",
        expected="it beside a folder of images",
    )
    if data == "digits":
        from odemom.data.digits import load_digits

        whole = load_digits(seed, share)
    elif folder:
        whole = _from_folder(data, root, seed, share, image_size)
    else:
        from odemom.data.cifar import load_cifar

        whole = load_cifar(data, _root(root), seed, share, download=download)
    return _normalised(whole if limit is None else _limited(whole, limit, seed))


def _from_folder(
    data: str, root: Path | str | None, seed: int, share: float, image_size: int | None
) -> ImageData:
    from odemom.data.folders import load_folder

    path = as_path(data.removeprefix(FOLDER), "data")
    if not path.is_dir():
        raise invalid(
            "data",
            got=f"{shown(str(path), 200)}, which is {'a file' if path.is_file() else 'not there'}",
            expected=f"one of {', '.join(map(repr, NAMES_OF_DATA))}, or a folder of images with "
            "one folder per class",
            fix="Unpack an archive first: tar xf FILE." if path.is_file() else "",
        )
    return load_folder(path, data, seed, share, _root(root), image_size)


def _root(root: Path | str | None) -> Path:
    if root is not None:
        return as_path(root, "root")
    return cache_directory()


def _share(validation: float | None) -> float:
    if validation is None:
        return VALIDATION_SHARE
    number = isinstance(validation, int | float) and not isinstance(validation, bool)
    expect(
        number and 0 <= validation < 1,
        "validation",
        got=shown(validation),
        expected="a number in [0, 1)",
    )
    return float(validation)


def _limited(whole: ImageData, limit: int, seed: int) -> ImageData:
    """The data with ``limit`` training images and a validation set smaller in proportion."""
    from odemom.data.splits import taken

    n = len(whole.train)
    expect(
        len(whole.classes) <= limit <= n,
        "limit",
        got=str(limit),
        expected=f"from {len(whole.classes)}, one a class, to {n}, the number of training images",
    )
    kept = round(len(whole.validation) * limit / n)
    kept = min(len(whole.validation), max(kept, len(whole.classes) if kept else 0))
    train = whole.train.subset(taken(whole.train.labels.numpy(), limit, seed)[0])
    validation = whole.validation.subset(taken(whole.validation.labels.numpy(), kept, seed)[0])
    return replace(whole, train=train, validation=validation)


def _normalised(data: ImageData) -> ImageData:
    """The data with the mean and the standard deviation of their training images, per channel.

    Digits keep what they have: their pixels are levels of ink from 0 to 16. Of large sets every
    n-th image counts.
    """
    if data.mean:
        return data
    pixels = data.train.pixels[:: -(-len(data.train) // COUNTED)].double()
    mean = pixels.mean(dim=(0, 2, 3))
    std = pixels.std(dim=(0, 2, 3), correction=0)
    # Images of one colour have no spread: they become 0.
    std = torch.where(std > 0, std, torch.ones_like(std))
    return replace(data, mean=tuple(mean.tolist()), std=tuple(std.tolist()))
