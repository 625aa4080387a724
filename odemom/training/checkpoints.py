"""Checkpoints checked before they are used, and the networks of them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from odemom import __version__
from odemom.checks import expect, invalid, shown
from odemom.data.images import ImageData
from odemom.errors import InvalidInputError, OdemomError
from odemom.models.learnt import GAMMAS
from odemom.models.table import build_model
from odemom.records import from_json
from odemom.training.config import TrainingConfig
from odemom.training.seal import is_whole

__all__ = [
    "Trained",
    "check_images",
    "check_origin",
    "load_trained",
    "read_checkpoint",
    "signature",
]


@dataclass(frozen=True)
class Trained:
    """A network from a checkpoint, and what it needs to look at images.

    Attributes
    ----------
    network : Module
        With the weights of the checkpoint, for evaluation.
    config : TrainingConfig
        The training that it comes from.
    source : str
        What it was trained on.
    classes : tuple of str
    in_channels, image_size : int
    mean, std : tuple of float
    digest : str
        Of the images of the training: see `odemom.data.images.ImageData`.
    seen : Tensor or None
        Which images it was trained on: see `odemom.training.seen.seen_in`.
    """

    network: nn.Module
    config: TrainingConfig
    source: str
    classes: tuple[str, ...]
    in_channels: int
    image_size: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    digest: str
    seen: Tensor | None = None


def signature(data: ImageData) -> dict[str, Any]:
    """What a checkpoint says about its images."""
    return {
        "source": data.source,
        "classes": list(data.classes),
        "in_channels": data.channels,
        "image_size": data.image_size,
        "mean": list(data.mean),
        "std": list(data.std),
        "digest": data.digest,
    }


def read_checkpoint(path: Path, config: TrainingConfig) -> dict[str, Any]:
    """What a checkpoint says of itself, if a training of ``config`` can be continued from it.

    Raises
    ------
    InvalidInputError
        If the file is missing or cannot be read, or belongs to another configuration.
    """
    expected = "the last.ckpt of a training with this configuration"
    payload = _payload(path, "resume", expected)
    about = payload["odemom"]
    for part in SAID:
        _described(path, "resume", about, part, expected)
    expect(
        "optimizer_states" in payload,
        "resume",
        got=f"{path} of a network that was only transformed",
        expected=expected,
        fix="Start from it: odemom transform CHECKPOINT --refit N.",
    )
    differences = config.differences(about["config"])
    if differences:
        raise invalid(
            "resume",
            got=f"{path} with {'; '.join(differences)}",
            expected=expected,
            fix="Take the configuration of that training; the schedule depends on all of it.",
        )
    return about


def check_images(about: dict[str, Any], data: ImageData) -> None:
    """Refuse what `read_checkpoint` has read of a training on other images.

    Raises
    ------
    InvalidInputError
    """
    saved = about.get("images")
    if saved != signature(data):
        saved = saved or {"source": "not named", "digest": "none"}
        raise invalid(
            "resume",
            got=f"a checkpoint of a training on other images ({saved['source']}, digest "
            f"{saved['digest']})",
            expected=f"a training on these ({data.source}, digest {data.digest})",
            fix="Give the data of that training; a file more or less changes the splits.",
        )


def check_origin(about: dict[str, Any], origin: dict[str, Any] | None) -> None:
    """Refuse what `read_checkpoint` has read of a training that started elsewhere.

    Raises
    ------
    InvalidInputError
    """
    expect(
        about.get("origin") == origin,
        "resume",
        got=f"a checkpoint of {_said(about.get('origin'))}",
        expected=f"one of {_said(origin)}",
        fix="Give the command of the interrupted training, and --resume.",
    )


def _said(origin: dict[str, Any] | None) -> str:
    if origin is None:
        return "a training from fresh weights (odemom train)"
    part = "the head of " if origin["freeze"] else ""
    return f"a refit of {part}{origin['source']} (weights {origin['digest']}; odemom transform)"


def load_trained(path: str | os.PathLike[str], gamma: float | None = None) -> Trained:
    """The network of a checkpoint, built again; with another gamma where one is given.

    Raises
    ------
    InvalidInputError
        If the file is missing, damaged or of another program, or the network has no gamma.
    """
    expected = "a checkpoint that odemom train has written"
    payload = _payload(Path(path), "checkpoint", expected)
    about = payload["odemom"]
    images = _described(path, "checkpoint", about, "images", expected)
    if images is None:
        raise invalid(
            "checkpoint", got=f"{path}, which does not name its images", expected=expected
        )
    config = TrainingConfig.from_dict(about["config"])
    options = config.options
    if gamma is not None:
        from odemom.models.table import model_options

        if "gamma" not in model_options(config.model):
            raise invalid(
                "gamma",
                got=f"{shown(gamma)} for a checkpoint of {config.model}",
                expected="it with a network that has one, such as momentum-resnet20",
            )
        options["gamma"] = gamma
        if "reversible" in model_options(config.model):
            options["reversible"] = False  # it keeps nothing to go back by, so takes any gamma
    network = build_model(
        config.model,
        in_channels=images.in_channels,
        classes=len(images.classes),
        image_size=images.image_size,
        **options,
    )
    prefix = "network."
    # A gamma that was learnt is not kept where another one is asked for.
    asked = {} if gamma is None else {n: v for n, v in network.state_dict().items() if n in GAMMAS}
    weights = {
        name.removeprefix(prefix): value
        for name, value in payload["state_dict"].items()
        if name.startswith(prefix)
    }
    bad = [name for name, value in weights.items() if not bool(value.isfinite().all())]
    if bad:
        raise invalid(
            "checkpoint",
            got=f"{path}, whose {bad[0]} is not finite",
            expected=expected,
            fix="Train again: a training whose loss is not a number stops before it is saved.",
        )
    try:
        network.load_state_dict(weights | asked)
    except RuntimeError as error:
        raise invalid(
            "checkpoint",
            got=f"{path}, whose weights are not those of {config.model} ({shown(str(error), 200)})",
            expected=expected,
        ) from None
    return Trained(
        network.eval(),
        config,
        images.source,
        images.classes,
        images.in_channels,
        images.image_size,
        images.mean,
        images.std,
        images.digest,
        _seen(path, about, expected),
    )


def _seen(path: str | os.PathLike[str], about: dict[str, Any], expected: str) -> Tensor | None:
    seen = about.get("seen")
    fits = isinstance(seen, Tensor) and seen.dtype == torch.int64 and seen.dim() == 1
    if seen is not None and not fits:
        raise invalid(
            "checkpoint", got=f"{path}, which says otherwise which images it has seen",
            expected=expected, fix="The file is damaged, or of another program or version.",
        )  # fmt: skip
    return seen


@dataclass(frozen=True)
class _Images:
    """What a checkpoint says about its images: see `signature`."""

    source: str
    classes: tuple[str, ...]
    in_channels: int
    image_size: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    digest: str


@dataclass(frozen=True)
class _Origin:
    """What a checkpoint says about the network that the training started from."""

    source: str
    digest: str
    freeze: bool


SAID: dict[str, Any] = {
    "images": _Images | None,
    "origin": _Origin | None,
    "history": tuple[dict[str, float], ...],
}
"""What a checkpoint says of itself besides its configuration."""


def _described(
    path: str | os.PathLike[str], name: str, about: dict[str, Any], part: str, expected: str
) -> Any:
    """A part of what a checkpoint says, of its type; ``name`` is the argument that gave it."""
    try:
        found = from_json(SAID[part], about.get(part), part)
        for row in found if part == "history" else ():
            expect({"step", "seconds"} <= row.keys(), part, got=shown(row), expected="an epoch")
        return found
    except InvalidInputError as error:
        raise invalid(
            name,
            got=f"{path}, which describes its {part} in another way ({shown(str(error), 160)})",
            expected=expected,
        ) from None


def _payload(path: Path, name: str, expected: str) -> dict[str, Any]:
    if not path.is_file():
        raise invalid(name, got=f"{path}, which is no file", expected=expected)
    start = "; start again without resume" if name == "resume" else ""
    fix = f"The file is damaged, or of another program or version{start}."
    try:
        if is_whole(path):
            payload = torch.load(path, map_location="cpu", weights_only=True)
            if not isinstance(payload["odemom"]["config"], dict):
                raise TypeError("no configuration")
            wrong = _missing(payload) or _unknown(payload)
        else:
            payload, wrong = {}, "which cannot be read (its checksum is another, or it has none)"
    except OdemomError:
        raise
    except Exception as error:  # a damaged pickle or archive can raise nearly anything
        payload, wrong = {}, f"which cannot be read ({type(error).__name__})"
    if wrong:
        raise invalid(name, got=f"{path}, {wrong}", expected=expected, fix=fix)
    return payload


def _unknown(payload: dict[str, Any]) -> str:
    """What this version does not know of the configuration of a checkpoint, in words."""
    try:
        TrainingConfig.from_dict(payload["odemom"]["config"])
    except OdemomError as error:
        said = shown(str(error), 160)
        return f"whose configuration this version ({__version__}) does not know ({said})"
    return ""


def _missing(payload: dict[str, Any]) -> str:
    """What a checkpoint lacks of what its network is built from, in words."""
    weights = payload.get("state_dict")
    if weights is None:
        return "which holds no weights (there is no state_dict)"
    if not isinstance(weights, Mapping):
        return f"whose state_dict is a {type(weights).__name__}"
    odd = [name for name, value in weights.items() if not isinstance(value, torch.Tensor)]
    return f"whose state_dict holds no tensor under {shown(odd[0])}" if odd else ""
