"""What is done with a checkpoint: the accuracy on test images, and the class of image files."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from odemom.checks import counted, expect, invalid, shown
from odemom.data.batches import Batches, evaluated_at_once
from odemom.data.images import ImageData, Images, load_images
from odemom.data.names import NAMES_OF_DATA, check_data, full_scale, same_place
from odemom.data.pictures import decoded, warn_of_transparency
from odemom.records import as_path
from odemom.training.checkpoints import Trained, load_trained
from odemom.training.seen import are_those, changed_since, warn_of_seen

__all__ = [
    "Evaluation", "Prediction", "accuracy_and_loss", "evaluate", "predict",
]  # fmt: skip


@dataclass(frozen=True)
class Evaluation:
    """The accuracy of a checkpoint on test images.

    Attributes
    ----------
    model : str
    gamma : float or None
        Where another one than that of the training was asked for.
    source : str
        What the test images are.
    images : int
        How many there are.
    accuracy, loss : float
        The share classified correctly, and the mean cross-entropy.
    """

    model: str
    gamma: float | None
    source: str
    images: int
    accuracy: float
    loss: float


@dataclass(frozen=True)
class Prediction:
    """The class of an image.

    Attributes
    ----------
    file : Path
    label : str
        The most probable class.
    probabilities : dict of str to float
        Of every class, the most probable one first.
    """

    file: Path
    label: str
    probabilities: dict[str, float]


def evaluate(
    checkpoint: str | os.PathLike[str],
    *,
    gamma: float | None = None,
    data: str | None = None,
    root: str | os.PathLike[str] | None = None,
    device: str = "cpu",
) -> Evaluation:
    """Test the network of a checkpoint, also with another gamma than it was trained with.

    Parameters
    ----------
    checkpoint : path-like
        A file that `odemom.training.train` has written.
    gamma : float, optional
        For momentum networks.
    data : str, optional
        Images with the classes of the training; by default those of the training, whose test set is
        the one that the training has not seen. Of another folder all images are tested, or those
        of its ``test``.
    root : path-like, optional
        See `load_images`.
    device : str, default "cpu"

    Returns
    -------
    Evaluation

    Raises
    ------
    InvalidInputError
        If the checkpoint cannot be used, the network has no gamma, the classes differ, or the
        folder of the training has changed since, so that its split is another.

    Warns
    -----
    OdemomWarning
        If the network was trained on some of the images.
    """
    trained = load_trained(checkpoint, gamma)
    images = _test_images(trained, data, root)
    target = _device(device)
    network = trained.network.to(target)
    levels = full_scale(images.name) / full_scale(trained.config.data)
    mean, std = (tuple(levels * x for x in each) for each in (trained.mean, trained.std))
    at_once = evaluated_at_once(trained.image_size, trained.config.batch_size)
    accuracy, loss = accuracy_and_loss(network, images.test, mean, std, at_once, target)
    n = len(images.test)
    return Evaluation(trained.config.model, gamma, images.source, n, accuracy, loss)


def accuracy_and_loss(
    network: nn.Module,
    images: Images,
    mean: tuple[float, ...],
    std: tuple[float, ...],
    batch_size: int,
    device: torch.device,
) -> tuple[float, float]:
    """The share of images that a network classifies correctly, and its mean cross-entropy.

    Parameters
    ----------
    network : Module
        On the device; it is left in evaluation mode.
    images : Images
    mean, std : tuple of float
        The network sees (pixels - mean)/std.
    batch_size : int
        Images that it looks at together, at most.
    device : torch.device
    """
    network.eval()
    correct, loss = 0, 0.0
    with torch.no_grad():
        for pixels, labels in Batches(images, mean, std, batch_size, device):
            logits = network(pixels)
            correct += int((logits.argmax(dim=1) == labels).sum())
            entropy = torch.nn.functional.cross_entropy(logits, labels, reduction="sum")
            loss += float(entropy)
    return correct / len(images), loss / len(images)


def predict(
    checkpoint: str | os.PathLike[str], files: Sequence[str | os.PathLike[str]]
) -> list[Prediction]:
    """The classes of image files, each brought to the size and the colours of the training.

    Parameters
    ----------
    checkpoint : path-like
        A file that `odemom.training.train` has written.
    files : sequence of path-like

    Returns
    -------
    list of Prediction
        In the order of ``files``.

    Raises
    ------
    InvalidInputError
        If the checkpoint cannot be used, or a file is missing or no image.

    Warns
    -----
    OdemomWarning
        If an image has transparent places.
    """
    paths = [as_path(file, "image") for file in files]
    expect(bool(paths), "image", got="no file", expected="the paths of images")
    for path in paths:
        expect(
            path.is_file(),
            "image",
            got=f"{path}, which is {'a folder' if path.is_dir() else 'not there'}",
            expected="the file of an image",
            fix=f"The files in it: {path}/*." if path.is_dir() else "",
        )
    trained = load_trained(checkpoint)
    grey = trained.in_channels == 1
    levels = full_scale(trained.config.data) / 255
    mean, std = (torch.tensor(each)[:, None, None] for each in (trained.mean, trained.std))
    at_once = evaluated_at_once(trained.image_size, trained.config.batch_size)
    found, transparent = [], []
    for start in range(0, len(paths), at_once):
        some = paths[start : start + at_once]
        seen = [decoded(str(p), trained.image_size, grey=grey, name="image") for p in some]
        transparent += [path for path, (_, clear) in zip(some, seen, strict=True) if clear]
        pixels = np.stack([each for each, _ in seen])
        with torch.no_grad():
            logits = trained.network((torch.from_numpy(pixels) * levels - mean) / std)
        for path, row in zip(some, logits.softmax(dim=1), strict=True):
            order = row.argsort(descending=True).tolist()
            shares = {trained.classes[k]: float(row[k]) for k in order}
            found.append(Prediction(path, trained.classes[order[0]], shares))
    warn_of_transparency(transparent, len(paths), "image")
    return found


def _test_images(
    trained: Trained, data: str | None, root: str | os.PathLike[str] | None
) -> ImageData:
    """The images to test on, in the form of the training."""
    config = trained.config
    given = config
    if data is not None:
        check_data(data)
        size = None if data in NAMES_OF_DATA else trained.image_size
        given = replace(config, data=data, image_size=size)
    elif config.data not in NAMES_OF_DATA and not Path(config.data).is_dir():
        raise invalid(
            "data",
            got=f"a network trained on {shown(config.data, 200)}, which is not there",
            expected="the folder that it was trained on, or other images with its classes",
            fix="Say where they are now: --data DIR.",
        )
    load = functools.partial(
        load_images,
        given.data,
        root=Path(root) if root is not None else config.root,
        seed=config.seed,
        validation=config.validation,
        image_size=given.image_size,
    )
    images = load(whole=True)
    wanted = trained.classes, trained.in_channels, trained.image_size
    found = images.classes, images.channels, images.image_size
    if found != wanted:
        raise invalid(
            "data",
            got=f"{images.source}: classes {shown(found[0], 120)}, "
            f"{counted(found[1], 'channel')}, {counted(found[2], 'pixel')}",
            expected=f"what the network was trained on ({trained.source}): classes "
            f"{shown(wanted[0], 120)}, {counted(wanted[1], 'channel')}, "
            f"{counted(wanted[2], 'pixel')}",
            fix=_brought_to(found, wanted),
        )
    if not images.own_test and given.data not in NAMES_OF_DATA:
        images = _of_a_flat_folder(trained, images, load, same=same_place(given.data, config.data))
    warn_of_seen(images, trained.seen)
    return images


def _brought_to(found: tuple[Any, ...], wanted: tuple[Any, ...]) -> str:
    """How images are brought to the form of the training."""
    if found[0] != wanted[0]:
        return f"Give a folder with these folders in it: {', '.join(map(shown, wanted[0][:12]))}."
    if found[1] != wanted[1]:
        kind = "in colour, each with three equal channels" if wanted[1] == 3 else "in grey"
        return f"Save the images {kind}."
    return "Give them as a folder of image files: those are scaled to the size of the training."


def _of_a_flat_folder(
    trained: Trained, images: ImageData, load: Callable[..., ImageData], *, same: bool
) -> ImageData:
    """The images that its training has split off, here or moved; of another folder all of them."""
    fewest = int(images.test.labels.bincount().min())
    if fewest > 1 + (trained.config.validation > 0):  # else a training would have refused it
        split = load()
        if are_those(split, trained.digest, trained.config.limit, load):
            return split
    if same:
        raise changed_since(trained.config.data, "--data DIR")
    return images


def _device(name: str) -> torch.device:
    try:
        device = torch.device(name)
        torch.empty(1, device=device).item()  # of meta tensors nothing can be read
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        here = ["cpu"]
        here += ["cuda"] if torch.cuda.is_available() else []
        here += ["mps"] if torch.backends.mps.is_available() else []
        raise invalid(
            "device",
            got=f"{shown(name)} ({shown(str(error), 80)})",
            expected=f"a device that PyTorch finds on this machine: {', '.join(here)}",
        ) from None
    return device
