"""A data set as two folders of image files, each with the classes of one half."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from odemom.checks import expect

if TYPE_CHECKING:
    from odemom.data.images import Images

__all__ = ["Halves", "write_halves"]


@dataclass(frozen=True)
class Halves:
    """Two folders with ``train`` and ``test`` in each; what the images are."""

    source: str
    first: Path
    second: Path


def write_halves(
    data: str, root: str, seed: int, limits: tuple[int, int], tested: int, folder: Path
) -> Halves:
    """Write images of a data set as files.

    Parameters
    ----------
    data, root : str
        See `odemom.data.images.load_images`; an empty root is the user's cache.
    seed : int
        Of the choice of images, with equal shares of the classes.
    limits : tuple of int
        Training images of each half; 0 takes all.
    tested : int
        Test images of each half; 0 takes all.
    folder : Path
        Where the folders are made.

    Raises
    ------
    InvalidInputError
        If there are fewer than four classes, or fewer images than are asked for.
    """
    from odemom.data.images import load_images
    from odemom.data.names import full_scale

    whole = load_images(data, root=root or None, seed=seed, validation=0.0)
    expect(
        len(whole.classes) > 3,
        "data",
        got=f"{data} with {len(whole.classes)} classes",
        expected="four or more, two for each half",
        fix="Name data with more classes, as by --set data=cifar10.",
    )
    middle = len(whole.classes) // 2
    halves = Halves(whole.source, folder / "first-half", folder / "second-half")
    for n, path in enumerate((halves.first, halves.second)):
        for part, images, limit, name in (
            ("train", whole.train, limits[n], ("limit", "refit_limit")[n]),
            ("test", whole.test, tested, "tested"),
        ):
            places = np.flatnonzero((images.labels.numpy() >= middle) == bool(n))
            chosen = places[_some(images.labels.numpy()[places], limit, seed, name)]
            scale = 255 / full_scale(data)
            _write(path / part, images.subset(chosen), whole.classes, scale)
    return halves


def _some(labels: np.ndarray, limit: int, seed: int, name: str) -> np.ndarray:
    from odemom.data.splits import taken

    expect(
        limit <= len(labels),
        name,
        got=str(limit),
        expected=f"at most {len(labels)}, the images of this half of the classes",
        fix=f"--set {name}=0 takes all.",
    )
    return taken(labels, limit or len(labels), seed)[0]


def _write(path: Path, images: Images, classes: tuple[str, ...], scale: float) -> None:
    from PIL import Image

    for label in images.labels.unique().tolist():
        (path / classes[label]).mkdir(parents=True)
    pixels = np.round(scale * images.pixels.numpy()).astype(np.uint8)
    for n, (array, label) in enumerate(zip(pixels, images.labels.tolist(), strict=True)):
        picture = array[0] if len(array) == 1 else array.transpose(1, 2, 0)
        Image.fromarray(picture).save(path / classes[label] / f"{n:05}.png")
