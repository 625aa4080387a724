"""CIFAR-10 and CIFAR-100 as torchvision downloads and checks them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch

from odemom.checks import invalid, optional_import, shown
from odemom.data.images import ImageData, Images
from odemom.data.splits import parts
from odemom.records.machine import cache_directory

__all__ = ["load_cifar"]

SETS = {"cifar10": ("CIFAR10", "CIFAR-10"), "cifar100": ("CIFAR100", "CIFAR-100")}


def load_cifar(name: str, root: Path, seed: int, validation: float, *, download: bool) -> ImageData:
    """CIFAR-10 or CIFAR-100: 50,000 images outside the test set of 10,000.

    Raises
    ------
    InvalidInputError
        If the files are missing or damaged: where they were looked for, and how to get them.
    """
    attribute, source = SETS[name]
    kind = getattr(optional_import("torchvision.datasets", "train"), attribute)
    rest, test = (_read(kind, name, root, train, download) for train in (True, False))
    whole, classes = _images(rest), tuple(rest.classes)
    chosen, left = parts(whole.labels.numpy(), validation, seed, "validation")
    return ImageData(
        name=name,
        source=source,
        classes=classes,
        train=whole.subset(left),
        validation=whole.subset(chosen),
        test=_images(test),
        mean=(),
        std=(),
    )


def _read(kind: Any, name: str, root: Path, train: bool, download: bool) -> Any:
    try:
        return kind(str(root), train=train, download=download)
    except Exception as error:  # a damaged pickle raises anything, a download any network error
        where, archive = root / kind.base_folder, root / kind.filename
        there = "which is damaged" if where.exists() else "which is not there"
        if archive.exists():
            whole = _is_whole(archive, kind.tgz_md5)
            there += f", beside the archive {archive}{'' if whole else ', which is damaged'}"
        at = "" if root == cache_directory() else f" --root {root}"
        said = f" ({type(error).__name__}: {shown(str(error), 100)})" if download else ""
        raise invalid(
            "data",
            got=f"{name} looked for in {where}, {there}{said}",
            expected=f"the files of {kind.url}",
            fix=f"Fetch or unpack them: odemom train --data {name}{at} --download --dry-run "
            "(download=True in Python). Or name the folder that they are in: --root DIR, in an "
            "experiment --set root=DIR (root=DIR in Python); or give a folder of images with one "
            "folder per class.",
        ) from error


def _is_whole(archive: Path, md5: str) -> bool:
    utils = optional_import("torchvision.datasets.utils", "train")
    return utils.check_integrity(str(archive), md5)


def _images(dataset: Any) -> Images:
    pixels = np.ascontiguousarray(dataset.data.transpose(0, 3, 1, 2))
    return Images(torch.from_numpy(pixels), torch.tensor(dataset.targets, dtype=torch.int64))
