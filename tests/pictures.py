"""Small folders of images for tests: noise with a tint per class."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image


def tinted(rng: np.random.Generator, label: int, size: tuple[int, int]) -> Image.Image:
    """Noise with a tint, width x height."""
    pixels = rng.integers(0, 120, size=(size[1], size[0], 3))
    pixels[..., label % 3] += 100
    return Image.fromarray(pixels.astype(np.uint8))


def image_folder(
    path: Path,
    classes: tuple[str, ...] = ("blue", "red"),
    images: int = 20,
    size: int = 8,
    seed: int = 0,
) -> Path:
    """A folder with one folder per class, of PNG files."""
    rng = np.random.default_rng(seed)
    for label, name in enumerate(classes):
        (path / name).mkdir(parents=True)
        for i in range(images):
            tinted(rng, label, (size, size)).save(path / name / f"{i:03}.png")
    return path


def cached(path: Path) -> list[str]:
    """The names of the files in a folder ``cache``."""
    return sorted(file.name for file in (path / "cache").rglob("*") if file.is_file())
