"""Trained networks to start from: a checkpoint of odemom, or torchvision's pretrained weights."""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from odemom.checks import expect, invalid, optional_import, shown
from odemom.data.names import full_scale
from odemom.models.table import TORCHVISION, model_options
from odemom.records import as_path
from odemom.training.checkpoints import load_trained
from odemom.training.config import TrainingConfig

__all__ = ["Source", "load_source"]

NONE = "none"
DEFAULT = "default"
INSIDE = ("state_dict", "model")  # where other programs keep the weights in a file
WRAPPERS = re.compile(r"^(module\.|_orig_mod\.)+")
"""What DistributedDataParallel and torch.compile put before the names of weights."""


@dataclass(frozen=True, eq=False)
class Source:
    """A trained network, as what it is built from and its weights.

    Attributes
    ----------
    name : str
        What it is called in messages.
    model : str
        Its name in the table of networks: see `odemom.models.build_model`.
    options : dict
        Those of the network.
    weights : dict of str to Tensor, or None
        Its state dict; None: it is untrained.
    classes : tuple of str
        What its head tells apart; empty where that is no matter of names of folders.
    in_channels, image_size : int
        Of the images of its training.
    mean, std : tuple of float
        What its images were normalised with, in pixels of 0 to 255; empty: nothing yet.
    training : TrainingConfig or None
        Of a checkpoint.
    images : str
        Of a checkpoint, the digest of the images of its training.
    seen : Tensor or None
        Of a checkpoint, which images it was trained on.
    path : Path or None
        Of a checkpoint.
    """

    name: str
    model: str
    options: dict[str, Any]
    weights: Mapping[str, Tensor] | None
    classes: tuple[str, ...]
    in_channels: int
    image_size: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    training: TrainingConfig | None
    images: str = ""
    seen: Tensor | None = None
    path: Path | None = None

    @property
    def digest(self) -> str:
        """A digest of the weights: other weights, another one."""
        found = hashlib.sha256(self.model.encode())
        for name, value in sorted((self.weights or {}).items()):
            found.update(name.encode())
            found.update(
                value.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy().tobytes()
            )
        return found.hexdigest()[:16]


def load_source(source: str | os.PathLike[str], weights: str | None = None) -> Source:
    """A trained network by the path of its checkpoint, or as ``torchvision:NAME``.

    Parameters
    ----------
    source : str or path-like
        A file that `odemom.training.train` has written, or ``torchvision:`` and the name of one of
        torchvision's networks for classification.
    weights : str, optional
        Of a network of torchvision: "default" (the best that torchvision has for it, downloaded
        once into the cache of PyTorch), the name of others of its weights, "none" for random ones,
        or the path of a file with a state dict.

    Returns
    -------
    Source

    Raises
    ------
    InvalidInputError
        If the file is missing, damaged or of another program, there is no network or weights of
        that name, or the weights cannot be downloaded.
    """
    text = os.fspath(source)
    if text.startswith(TORCHVISION):
        return _of_torchvision(text, DEFAULT if weights is None else weights)
    expect(
        weights is None,
        "weights",
        got=f"{shown(weights)} beside the checkpoint {text}",
        expected="it beside torchvision:NAME",
        fix="A checkpoint brings its own weights.",
    )
    expect(
        not _like_torchvision(text),
        "source",
        got=shown(text),
        expected="the path of a checkpoint, or torchvision:NAME",
        fix=f"For torchvision's network: torchvision:{text}.",
    )
    trained = load_trained(as_path(text, "checkpoint"))
    levels = 255 / full_scale(trained.config.data)
    return Source(
        name=f"{trained.config.model} trained on {trained.source}",
        model=trained.config.model,
        options=trained.config.options,
        weights=trained.network.state_dict(),
        classes=trained.classes,
        in_channels=trained.in_channels,
        image_size=trained.image_size,
        mean=tuple(levels * m for m in trained.mean),
        std=tuple(levels * s for s in trained.std),
        training=trained.config,
        images=trained.digest,
        seen=trained.seen,
        path=Path(text),
    )


def _like_torchvision(text: str) -> bool:
    if Path(text).exists() or not text.replace("_", "").isalnum():
        return False
    from odemom.models.of_torchvision import names

    return text in names()


# --- torchvision -------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Weights:
    """A state dict with what it was trained on; None where there is none."""

    said: str
    found: Mapping[str, Tensor] | None
    mean: tuple[float, ...] = (0.485, 0.456, 0.406)
    std: tuple[float, ...] = (0.229, 0.224, 0.225)
    size: int = 224


def _of_torchvision(source: str, weights: str) -> Source:
    model_options(source)  # refuses an unknown name
    read = _weights(source.removeprefix(TORCHVISION), weights)
    known = read.found is not None
    return Source(
        name=f"{source} with {read.said}",
        model=source,
        options={},
        weights=read.found,
        classes=(),
        in_channels=3,
        image_size=read.size,
        mean=tuple(255 * m for m in read.mean) if known else (),
        std=tuple(255 * s for s in read.std) if known else (),
        training=None,
    )


def _weights(name: str, weights: str) -> _Weights:
    if weights == NONE:
        return _Weights("random weights", None)
    known = optional_import("torchvision.models", "train").get_model_weights(name)
    named = {DEFAULT: known.DEFAULT} | {each.name.lower(): each for each in known}
    if weights.lower() in named:
        entry = named[weights.lower()]
        form = entry.transforms()
        form = tuple(form.mean), tuple(form.std), form.crop_size[0]
        return _Weights(f"the weights {entry.name}", _downloaded(name, entry), *form)
    path = as_path(weights, "weights")
    expect(
        path.is_file(),
        "weights",
        got=f"{shown(weights, 200)}, which is no file",
        expected=f"{', '.join(sorted(named))}, none, or the path of a state dict for {name}",
    )
    return _Weights(f"the weights of {path.name}", _state_dict(path))


def _downloaded(name: str, entry: Any) -> Mapping[str, Tensor]:
    errors = sys.stderr or io.StringIO()
    try:
        with contextlib.redirect_stdout(errors):  # answers go there, and JSON
            return torch.hub.load_state_dict_from_url(
                entry.url,
                map_location="cpu",
                progress=errors.isatty(),
                check_hash=True,
                weights_only=True,
            )
    except Exception as error:  # no network, a full disk, a damaged file: nearly anything
        where = Path(torch.hub.get_dir()) / "checkpoints" / Path(entry.url).name
        there = f"The file {where} is damaged: remove it. " if where.is_file() else ""
        raise invalid(
            "weights",
            got=f"{entry.name} of {name} from {entry.url}, which cannot be had "
            f"({type(error).__name__}: {shown(str(error), 100)})",
            expected="a connection to that address",
            fix=f"{there}Fetch the file elsewhere and give it with --weights FILE, or start from "
            "random weights with --weights none.",
        ) from error


def _state_dict(path: Path) -> Mapping[str, Tensor]:
    expected = "a file with a state dict, as torch.save(model.state_dict(), FILE) writes it"
    try:
        found = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged pickle or archive can raise nearly anything
        raise invalid(
            "weights",
            got=f"{path}, which cannot be read ({type(error).__name__})",
            expected=expected,
            fix="The file is damaged, or holds more than tensors.",
        ) from error
    if isinstance(found, Mapping):
        found = next((found[k] for k in INSIDE if isinstance(found.get(k), Mapping)), found)
        found = {WRAPPERS.sub("", str(name)): value for name, value in found.items()}
        if found and all(isinstance(value, Tensor) for value in found.values()):
            bad = [name for name, value in found.items() if not bool(value.isfinite().all())]
            expect(
                not bad,
                "weights",
                got=f"{path}, whose {' and '.join(bad[:1])} is not finite",
                expected="the weights of a training that has not diverged",
            )
            return found
    raise invalid("weights", got=f"{path}, which holds something else", expected=expected)
