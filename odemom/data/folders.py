"""A folder of images with one folder per class, decoded once into a memory-mapped file."""

from __future__ import annotations

import contextlib
import hashlib
import math
import os
import re
import secrets
import shutil
import stat
import time
import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from odemom.checks import counted, expect, invalid, optional_import, readable, shown
from odemom.data.images import ImageData, Images
from odemom.data.pictures import COMMON_SIZE, Picture, decoded, header, warn_of_transparency
from odemom.data.splits import parts
from odemom.errors import OdemomWarning
from odemom.records.machine import is_out_of_memory

__all__ = ["files_digest", "load_folder"]

TRAIN = "train"
TESTS = ("test", "val", "valid", "validation")  # the first that is there is the test set
TEST_SHARE = 0.2
DARK = 16  # levels of 256: those of a camera of 12 bits whose images were not scaled
STALE = 86400  # seconds after which a file that is being written is not any more
WAITING = 2**26  # bytes of decoded images that wait to be written
FORMAT = 1  # of the cache; to be raised when images are decoded in another way


@dataclass(frozen=True)
class Listing:
    """The images of a folder of classes, in order; with each, its size and times of change."""

    classes: tuple[str, ...]
    files: tuple[str, ...]
    states: tuple[tuple[int, int, int], ...]
    labels: np.ndarray


def load_folder(
    path: Path, name: str, seed: int, validation: float, root: Path, image_size: int | None,
    *, whole: bool = False,
) -> ImageData:  # fmt: skip
    """The images of a folder: ``train`` and ``test`` below it, or a split by the seed.

    With ``whole`` nothing is split: where there is no ``test``, all images are training and test
    set, and there is no validation set.

    Raises
    ------
    InvalidInputError
        If there are fewer than two classes, a class without images, or an image that cannot be
        read; nothing is kept then.
    """
    folders = _sets(path)
    listings = {key: _listing(folder) for key, folder in folders.items()}
    classes = listings[TRAIN].classes
    if len(folders) > 1:
        beside = sorted(
            e.name
            for e in os.scandir(path)
            if e.is_dir() and e.name[0] != "." and path / e.name not in folders.values()
        )
        if beside:
            warnings.warn(
                f"data: {shown(beside, 200)} beside {path / TRAIN} is not looked at: classes and "
                "their images are taken from there and from the folders for tests alone.",
                OdemomWarning,
                stacklevel=2,
            )
    for key, listing in listings.items():
        expect(
            listing.classes == classes,
            "data",
            got=f"{folders[key]} with the classes {shown(listing.classes, 200)}",
            expected=f"those of {folders[TRAIN]}: {shown(classes, 200)}",
        )
    pixels = _decoded(path, list(listings.values()), root, image_size)
    labels = torch.from_numpy(np.concatenate([each.labels for each in listings.values()]))
    every, ends = Images(pixels, labels), np.cumsum([len(each.files) for each in listings.values()])
    sets = {
        key: every.subset(np.arange(end - len(each.files), end))
        for (key, each), end in zip(listings.items(), ends, strict=True)
    }
    own_test = "test" in sets
    if not whole:
        _check_counts(listings[TRAIN], set(sets), validation)
    if whole:
        none = sets[TRAIN].subset(np.arange(0))
        sets = {"test": sets[TRAIN], "validation": none, **sets}
    if "test" not in sets:
        chosen, left = parts(sets[TRAIN].labels.numpy(), TEST_SHARE, seed, "the test set")
        sets = {TRAIN: sets[TRAIN].subset(left), "test": sets[TRAIN].subset(chosen)}
    if "validation" not in sets:
        chosen, left = parts(sets[TRAIN].labels.numpy(), validation, seed, "validation")
        sets["validation"] = sets[TRAIN].subset(chosen)
        sets[TRAIN] = sets[TRAIN].subset(left)
    source = _source(path, listings[TRAIN], pixels.shape[-1])
    return ImageData(name, source, classes, mean=(), std=(), own_test=own_test, **sets)


def _check_counts(listing: Listing, sets: set[str], validation: float) -> None:
    """Refuse a class that has not an image for each set that is to be split off."""
    split = {"test", "validation" if validation else "test"} - sets
    needed = ["training", *sorted(split)]
    counts = np.bincount(listing.labels)
    fewest = int(counts.argmin())
    expect(
        counts[fewest] >= len(needed),
        "data",
        got=f"the class {shown(listing.classes[fewest])} with "
        f"{counted(int(counts[fewest]), 'image')}",
        expected=f"at least {len(needed)}, of which {' and '.join(needed)} get one each",
        fix="Add images, or remove the class.",
    )


def files_digest(path: Path) -> str:
    """A digest of the names, sizes and times of a folder's images: other files, another one.

    Parameters
    ----------
    path : Path
        As that of `load_folder`; no image is opened.

    Returns
    -------
    str
        16 hexadecimal digits.

    Raises
    ------
    InvalidInputError
        As `load_folder`.
    """
    found = hashlib.sha256()
    for listing in map(_listing, _sets(path).values()):
        for file, (size, changed, _) in zip(listing.files, listing.states, strict=True):
            found.update(repr((os.path.relpath(file, path), size, changed)).encode())
    return found.hexdigest()[:16]


def _sets(path: Path) -> dict[str, Path]:
    """The folders of classes by what they are for; a lone one is called train."""
    train = path / TRAIN
    others = [path / name for name in TESTS if (path / name).is_dir()]
    if not (train.is_dir() and others):
        alone = [e.name for e in os.scandir(path) if e.is_dir() and e.name[0] != "."] == [TRAIN]
        return {TRAIN: train if alone else path}
    found = {TRAIN: train, "test": others[0]}
    return found | ({"validation": others[1]} if len(others) > 1 else {})


def _listing(folder: Path) -> Listing:
    """The classes of a folder and their images, both by name."""
    suffixes = _suffixes()
    classes = sorted(e.name for e in os.scandir(folder) if e.is_dir() and e.name[0] != ".")
    expect(
        len(classes) > 1,
        "data",
        got=f"{folder} with {counted(len(classes), 'folder')} in it",
        expected="at least two, one per class, with the images in them",
        fix=_below(folder / classes[0]) if classes else "",
    )
    files: list[str] = []
    states: list[tuple[int, int, int]] = []
    labels: list[int] = []
    for label, name in enumerate(classes):
        found = sorted(
            (entry.path, entry.stat())
            for entry in os.scandir(folder / name)
            if entry.name[0] != "."
            and os.path.splitext(entry.name)[1].lower() in suffixes
            and _is_file(entry)
        )
        expect(
            bool(found),
            "data",
            got=f"the class {folder / name} without an image",
            expected="images (.jpg, .png, ...) in the folder of every class",
            fix=_meant(folder, classes, name),
        )
        files += [file for file, _ in found]
        # The last one, of the file's entry, shows files that were exchanged with their times.
        states += [(s.st_size, s.st_mtime_ns, s.st_ctime_ns) for _, s in found]
        labels += [label] * len(found)
    return Listing(tuple(classes), tuple(files), tuple(states), np.array(labels, dtype=np.int64))


def _meant(folder: Path, classes: list[str], name: str) -> str:
    """What to do about a folder without an image in it."""
    if TRAIN in classes:
        others = " and ".join(shown(each) for each in classes if each != TRAIN)
        return (
            f"If {shown(TRAIN)} holds the classes of the training, call the folder of the test set "
            f"{', '.join(TESTS[:-1])} or {TESTS[-1]}, not {others}."
        )
    if inner := [e.name for e in os.scandir(folder / name) if e.is_dir()]:
        return (
            f"It holds folders ({shown(sorted(inner)[0])}, ...): put its images directly into it, "
            f"or, where these are the classes, give {folder / name}."
        )
    return "Remove the empty folder."


def _below(folder: Path) -> str:
    """What to do about a folder with one folder in it."""
    classes = [e.name for e in os.scandir(folder) if e.is_dir() and e.name[0] != "."]
    if len(classes) > 1 or classes == [TRAIN]:
        return f"Those in it are {shown(sorted(classes), 100)}: if they are meant, give {folder}."
    return "A network tells classes apart: put the images of another one into a folder beside."


def _is_file(entry: os.DirEntry[str]) -> bool:
    """Whether it is a file, or a link to one; a link that leads nowhere is refused by name."""
    try:
        return stat.S_ISREG(entry.stat().st_mode)
    except OSError as error:
        raise invalid(
            "data",
            got=f"the image {entry.path}, which cannot be opened ({error.strerror})",
            expected="a file, or a link to one",
            fix="Remove the link, or mend it.",
        ) from None


def _suffixes() -> set[str]:
    image = optional_import("PIL.Image", "train")
    return set(image.registered_extensions())


# --- the cache ---------------------------------------------------------------------------------


def _decoded(
    path: Path, listings: list[Listing], root: Path, image_size: int | None
) -> torch.Tensor:
    """All images as one array, memory-mapped; decoded only where the files have changed."""
    how, files = _keys(path, listings, image_size)
    name = path.resolve().name
    cache = root / "folders" / f"{name}-{how}-{files}.npy"
    while True:
        if not cache.is_file():
            with _beside(cache) as beside:
                _decode([file for each in listings for file in each.files], beside, image_size)
            _tidy(cache, f"{name}-{how}-")
        # Another process, which has seen other files in the folder, may have tidied since.
        with contextlib.suppress(FileNotFoundError):
            # "c": pages are shared by processes, and what someone writes into them stays with him.
            return torch.from_numpy(np.load(cache, mmap_mode="c"))


def _keys(path: Path, listings: list[Listing], image_size: int | None) -> tuple[str, str]:
    """Digests of the folder and how it is decoded, and of places, sizes and times of its files."""
    how = FORMAT, image_size, COMMON_SIZE, str(path.resolve())
    found = hashlib.sha256()
    start = len(str(path))
    for each in listings:
        for file, state in zip(each.files, each.states, strict=True):
            found.update(repr((file[start:], state)).encode())
    return hashlib.sha256(repr(how).encode()).hexdigest()[:8], found.hexdigest()[:16]


OWN = r"-[0-9a-f]{8}-[0-9a-f]{16}\.npy"  # how the names of caches end


def _tidy(cache: Path, start: str) -> None:
    """Remove what the folder was before, and what killed processes have left."""
    for entry in list(os.scandir(cache.parent)):
        ours = entry.name.startswith(start) and re.search(rf"{OWN}$", entry.name)
        beside = re.fullmatch(rf"\..+{OWN}\.[0-9a-f]{{8}}\.tmp", entry.name)
        with contextlib.suppress(OSError):
            stale = beside and time.time() - entry.stat().st_mtime > STALE
            if stale or (ours and entry.name != cache.name):
                os.unlink(entry.path)


@contextlib.contextmanager
def _beside(cache: Path) -> Iterator[Path]:
    """A file beside the cache that takes its place once it is whole, and is removed otherwise."""
    beside = cache.with_name(f".{cache.name}.{secrets.token_hex(4)}.tmp")
    try:
        cache.parent.mkdir(parents=True, exist_ok=True)
        yield beside
        os.replace(beside, cache)
    except OSError as error:
        if is_out_of_memory(error):
            raise
        raise invalid(
            "root",
            got=f"{cache.parent}, which cannot be written ({error.strerror or error})",
            expected="a folder with room for the decoded images",
            fix="Name another one with --root.",
        ) from None
    finally:
        with contextlib.suppress(OSError):
            beside.unlink(missing_ok=True)


def _decode(files: list[str], target: Path, image_size: int | None) -> None:
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        pictures: list[Picture] = list(pool.map(header, files))
        grey = all(picture.grey for picture in pictures)
        sizes = {picture.size for picture in pictures}
        width, height = next(iter(sizes))
        size = image_size or (width if len(sizes) == 1 and width == height else COMMON_SIZE)
        shape = (len(files), 1 if grey else 3, size, size)
        needed, free = math.prod(shape), shutil.disk_usage(target.parent).free
        expect(
            needed <= free,
            "root",
            got=f"{target.parent} with {readable(free)} free",
            expected=f"{readable(needed)}, for {len(files)} images of {size} pixels",
            fix="Name another place with --root, or scale down with --image-size.",
        )
        array: Any = np.lib.format.open_memmap(target, "w+", dtype=np.uint8, shape=shape)
        transparent: list[str] = []
        chunk = max(1, WAITING // math.prod(shape[1:]))
        for start in range(0, len(files), chunk):
            part = files[start : start + chunk]
            found = pool.map(lambda f: decoded(f, size, grey=grey), part)
            for row, (pixels, see_through) in enumerate(found):
                array[start + row] = pixels
                transparent += [files[start + row]] * see_through
        array.flush()
    warn_of_transparency(transparent, len(files))
    if all(picture.sixteen_bits for picture in pictures) and array.max() < DARK:
        warnings.warn(
            f"data: the images of 16 bits in {Path(files[0]).parent.parent} have no value above "
            f"{(int(array.max()) + 1) * 256 - 1} of 65535, so that their upper 8 bits tell "
            f"{int(array.max()) + 1} levels apart. Scale them to the whole range, or to 8 bits.",
            OdemomWarning,
            stacklevel=2,
        )


CIFAR_CLASSES = (
    *("airplane", "automobile", "bird", "cat", "deer"),
    *("dog", "frog", "horse", "ship", "truck"),
)


def _source(path: Path, listing: Listing, size: int) -> str:
    """The folder's name; CIFAR-10 exported to image files is called what it is."""
    kinds = {os.path.splitext(file)[1].lower() for file in listing.files}
    if listing.classes == CIFAR_CLASSES and size == 32:
        if kinds <= {".jpg", ".jpeg"}:
            return "CIFAR-10 (JPEG)"
        if kinds == {".png"}:
            return "CIFAR-10 (PNG)"
    return path.resolve().name
