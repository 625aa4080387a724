"""Images in memory: three sets, their classes, and the numbers that normalise them."""

from __future__ import annotations

import contextlib
import hashlib
import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from odemom.checks import as_integer, expect, invalid, shown
from odemom.data.names import FOLDER, NAMES_OF_DATA, UNPACK, check_data
from odemom.errors import InvalidInputError, NotEnoughMemoryError
from odemom.records import as_path
from odemom.records.machine import cache_directory, is_out_of_memory

__all__ = ["ImageData", "Images", "load_images"]

VALIDATION_SHARE = 0.1
READ_AT_MOST = 2**31  # bytes of each set that its digest reads
PORTION = 2**25  # bytes of images that are looked at together
DOWNLOADED = ("cifar10", "cifar100")
COUNTED = 10_000  # mean and spread are taken of at most so many training images


@dataclass(frozen=True, eq=False)
class Images:
    """Images and what they show; a subset shares the array of the whole, which may be on disk.

    Attributes
    ----------
    stored : Tensor of uint8, shape (m, c, h, w)
    labels : Tensor of int64, shape (n,)
        Positions in `ImageData.classes`.
    rows : Tensor of int64, shape (n,), optional
        Where in ``stored`` the images are; None: they are all of it.
    """

    stored: Tensor
    labels: Tensor
    rows: Tensor | None = None

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def shape(self) -> tuple[int, ...]:
        """(n, c, h, w)"""
        return len(self), *self.stored.shape[1:]

    @property
    def nbytes(self) -> int:
        """Of the pixels of these images."""
        return math.prod(self.shape)

    @property
    def pixels(self) -> Tensor:
        """All of them as one tensor of uint8, shape (n, c, h, w): a copy where it is a subset."""
        return self.stored if self.rows is None else self.stored.index_select(0, self.rows)

    def at(self, index: Tensor) -> Tensor:
        """The pixels at these positions, in this order: a copy."""
        rows = index if self.rows is None else self.rows.index_select(0, index)
        return self.stored.index_select(0, rows)

    def subset(self, index: np.ndarray) -> Images:
        """The images at these positions, in this order; their pixels are not copied."""
        places = torch.from_numpy(np.asarray(index, dtype=np.int64))
        rows = places if self.rows is None else self.rows.index_select(0, places)
        return Images(self.stored, self.labels.index_select(0, places), rows)

    def is_of(self, other: Images) -> bool:
        """Whether these are the places of another set's images, in arrays of equal length."""
        one, two = (s.rows if s.rows is not None else torch.arange(len(s)) for s in (self, other))
        return torch.equal(one, two)

    def fingerprints(self) -> Tensor:
        """A number of 64 bits for each image, sorted: equal pixels have equal ones.

        Of sets of more than 2 GiB every second image counts, of more than 4 every third, and so on.
        """
        found: list[bytes] = []
        for pixels in self.portions(1 + self.nbytes // READ_AT_MOST):
            found += [hashlib.blake2b(p, digest_size=8).digest() for p in pixels.numpy()]
        return torch.from_numpy(np.sort(np.frombuffer(b"".join(found), dtype=np.int64)))

    def portions(self, step: int = 1) -> Iterator[Tensor]:
        """The pixels of every so manieth image, as many at a time as need 32 MiB."""
        one = max(1, math.prod(self.stored.shape[1:]))
        for index in torch.arange(0, len(self), step).split(max(1, PORTION // one)):
            yield self.at(index)


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
    own_test : bool
        Whether the test images are a set of their own; otherwise the seed has split them off, and
        a file more or less changes which they are.
    """

    name: str
    source: str
    classes: tuple[str, ...]
    train: Images
    validation: Images
    test: Images
    mean: tuple[float, ...]
    std: tuple[float, ...]
    own_test: bool = True

    @property
    def channels(self) -> int:
        """1 for grey images, 3 for colours."""
        return self.train.shape[1]

    @property
    def image_size(self) -> int:
        """Height and width in pixels."""
        return self.train.shape[-1]

    @property
    def digest(self) -> str:
        """A digest of the classes, the labels and the pixels: other data, another one.

        Of sets of more than 2 GiB every second image counts, of more than 4 every third, and so on.
        """
        found = hashlib.sha256(repr(self.classes).encode())
        for images in (self.train, self.validation, self.test):
            found.update(repr(images.shape).encode())
            found.update(images.labels.numpy().tobytes())
            for pixels in images.portions(1 + images.nbytes // READ_AT_MOST):
                found.update(pixels.numpy().tobytes())
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
    whole: bool = False,
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
        validation set shrinks in proportion, to one image a class at the least; the test set does
        not.
    validation : float, default 0.1
        The share of the images outside the test set that is kept for validation, in [0, 1); where a
        folder has no ``test``, a fifth of its images becomes the test set.
    image_size : int, optional
        Images of a folder are scaled (shorter side) and cropped (centre) to it. By default the size
        that all of them have, or 32.
    download : bool, default False
        Whether CIFAR may be downloaded where it is missing.
    whole : bool, default False
        Whether all images of a folder without a test set are taken for the test set, and for the
        training set too.

    Returns
    -------
    ImageData

    Raises
    ------
    InvalidInputError
        If the data are missing (with the places that were looked at and how to get them), an image
        cannot be read (by name), or there are fewer than two classes.
    NotEnoughMemoryError
        If the images do not fit into memory.

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
        not download or data in DOWNLOADED,
        "download",
        got=f"it beside data {shown(data, 200)}",
        expected=f"it beside {' or '.join(DOWNLOADED)}",
    )
    expect(
        image_size is None or folder,
        "image_size",
        got=f"{image_size} beside data {data!r}",
        expected="it beside a folder of images",
    )
    with _named_shortage(data):
        found = _loaded(data, root, seed, share, image_size, download=download, whole=whole)
        return _normalised(found if limit is None else _limited(found, limit, seed))


def _loaded(
    data: str, root: Path | str | None, seed: int, share: float, image_size: int | None, *,
    download: bool, whole: bool,
) -> ImageData:  # fmt: skip
    """The images of a data set, without limit."""
    if data == "digits":
        from odemom.data.digits import load_digits

        return load_digits(seed, share)
    if data not in NAMES_OF_DATA:
        return _from_folder(data, root, seed, share, image_size, whole)
    from odemom.data.cifar import load_cifar

    return load_cifar(data, _root(root), seed, share, download=download)


@contextlib.contextmanager
def _named_shortage(data: str) -> Iterator[None]:
    """Turn a failed allocation into a sentence."""
    try:
        yield
    except (MemoryError, OSError, RuntimeError) as error:
        if not is_out_of_memory(error):
            if isinstance(error, OSError):
                raise _unreadable(data, error) from error
            raise
        said = shown(str(error).partition("\n")[0], 100) if str(error) else type(error).__name__
        raise NotEnoughMemoryError(
            f"out of memory while the images of {shown(data, 200)} were loaded ({said}). Give the "
            "process more memory, or scale the images of a folder down with image_size "
            "(--image-size)."
        ) from None


def _unreadable(data: str, error: OSError) -> InvalidInputError:
    return invalid(
        "data",
        got=f"{shown(str(error.filename or data), 200)}, which cannot be read ({error.strerror})",
        expected="a folder of images that may be read, and that nobody changes meanwhile",
    )


def _from_folder(
    data: str, root: Path | str | None, seed: int, share: float, image_size: int | None,
    whole: bool,
) -> ImageData:  # fmt: skip
    from odemom.data.folders import load_folder

    path = as_path(data.removeprefix(FOLDER), "data")
    if not path.is_dir():
        raise invalid(
            "data",
            got=f"{shown(str(path), 200)}, which is {'a file' if path.is_file() else 'not there'}",
            expected=f"one of {', '.join(map(repr, NAMES_OF_DATA))}, or a folder of images with "
            "one folder per class",
            fix=UNPACK if path.is_file() else "",
        )
    return load_folder(path, data, seed, share, _root(root), image_size, whole=whole)


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
        fix="Without a limit (in an experiment --set limit=0) all are taken.",
    )
    kept = round(len(whole.validation) * limit / n)
    kept = min(len(whole.validation), max(kept, len(whole.classes)))
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
    counts = torch.zeros(data.channels, 256, dtype=torch.int64)
    for pixels in data.train.portions(-(-len(data.train) // COUNTED)):
        counts += torch.stack([p.flatten().bincount(minlength=256) for p in pixels.unbind(1)])
    levels = torch.arange(256)
    n = int(counts[0].sum())
    mean, std = [], []
    for total, square in zip(counts @ levels, counts @ levels**2, strict=True):
        mean.append(int(total) / n)
        # In integers, so that nothing cancels. Images of one colour have no spread: they become 0.
        std.append(math.sqrt((n * int(square) - int(total) ** 2) / n**2) or 1.0)
    return replace(data, mean=tuple(mean), std=tuple(std))
