"""Settings of trainings that go together, by the machine that they are for."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from odemom.checks import expect, invalid, shown
from odemom.models.table import model_options
from odemom.training.config import DIGITS_MODEL, TrainingConfig

__all__ = ["PRESETS", "configured", "parsed_options"]

PRESETS: dict[str, dict[str, Any]] = {
    # Small networks on one core: a few passes through a part of the images.
    "laptop": {
        "epochs": 10,
        "batch_size": 64,
        "learning_rate": 5e-3,
        "augment": "flip",
    },
    # ResNets on a GPU: large batches, SGD, label smoothing; half precision where it is safe.
    "gpu": {
        "epochs": 30,
        "batch_size": 512,
        "learning_rate": 0.4,
        "weight_decay": 5e-4,
        "optimizer": "sgd",
        "label_smoothing": 0.1,
        "augment": "crop+flip",
        "precision": "bf16-mixed",
        "channels_last": True,
        "compile": True,
        "deterministic": False,
        "accelerator": "gpu",
    },
}


def configured(
    preset: str | None,
    model: str | None,
    options: Mapping[str, Any],
    fields: Mapping[str, Any],
) -> TrainingConfig:
    """A configuration from a preset and what was asked for beside it.

    Parameters
    ----------
    preset : {"laptop", "gpu"} or None
        None is "laptop", and for the network for digits the defaults of `TrainingConfig`.
    model : str or None
        None is the network for digits on the digits, and ``odenet`` on other images.
    options : mapping
        Of the network.
    fields : mapping
        Of `TrainingConfig`.

    Returns
    -------
    TrainingConfig

    Raises
    ------
    InvalidInputError
        If something is outside its domain, or the network does not have an option.

    Examples
    --------
    >>> config = configured(None, None, {"channels": 4}, {"data": "pictures/birds", "epochs": 2})
    >>> config.model, config.options, config.epochs, config.augment
    ('odenet', {'channels': 4}, 2, 'flip')
    """
    data = fields.get("data", "digits")
    model = model or (DIGITS_MODEL if data == "digits" else "odenet")
    expect(
        preset is None or (isinstance(preset, str) and preset in PRESETS),
        "preset",
        got=shown(preset),
        expected=f"one of {', '.join(PRESETS)}",
    )
    known = model_options(model)
    for name in options:
        expect(
            name in known,
            name,
            got=f"{shown(options[name])} for the network {model}",
            expected=f"an option that it has: {', '.join(known) or 'none'}",
        )
    own = {} if model == DIGITS_MODEL and preset is None else PRESETS[preset or "laptop"]
    given = {**own, **fields}
    if given.get("cuda_graph") and "compile" not in fields:
        given["compile"] = False
    if model == DIGITS_MODEL:
        return TrainingConfig(**{**given, **options})
    return TrainingConfig(model=model, model_options=options, **given)


def parsed_options(texts: Sequence[str]) -> dict[str, Any]:
    """Options from texts such as ``blocks=0`` or ``stem=imagenet``.

    Examples
    --------
    >>> parsed_options(["blocks=0", "stem=imagenet", "reversible=true"])
    {'blocks': 0, 'stem': 'imagenet', 'reversible': True}
    """
    found: dict[str, Any] = {}
    for text in texts:
        name, sign, value = text.partition("=")
        if not sign or not name:
            raise invalid("--set", got=shown(text), expected="name=value, such as blocks=0")
        name = name.strip()
        expect(name not in found, "--set", got=f"{name} twice", expected="each option once")
        try:
            found[name] = json.loads(value)
        except ValueError:
            found[name] = value
    return found
