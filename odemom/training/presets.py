"""Settings of trainings that go together, by the machine that they are for."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any

from odemom.checks import expect, invalid, shown
from odemom.models.table import check_options, model_options
from odemom.training.config import DIGITS_MODEL, OF_DIGITS, TrainingConfig

__all__ = ["PRESETS", "configured", "parsed_options", "refuse_idle_mass"]

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

OF_TRAININGS = {field.name for field in fields(TrainingConfig)} - {"model_options", *OF_DIGITS}
OF_COMMANDS = {"lr", "out", "preset", "resume"}
WITHOUT_FLAG = ("validation",)  # of the command line
PYTHON = {"True": True, "False": False, "None": None}
"""As Python spells what JSON spells otherwise."""


def configured(
    preset: str | None,
    model: str | None,
    options: Mapping[str, Any],
    settings: Mapping[str, Any],
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
    settings : mapping
        Fields of `TrainingConfig`.

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
    data = settings.get("data", "digits")
    model = model or (DIGITS_MODEL if data == "digits" else "odenet")
    expect(
        preset is None or (isinstance(preset, str) and preset in PRESETS),
        "preset",
        got=shown(preset),
        expected=f"one of {', '.join(PRESETS)}",
    )
    check_names(model, options)
    check_options(model, options)
    own = {} if model == DIGITS_MODEL and preset is None else PRESETS[preset or "laptop"]
    given = {**own, **settings}
    if given.get("cuda_graph") and "compile" not in settings:
        given["compile"] = False
    if model == DIGITS_MODEL:
        return TrainingConfig(**{**given, **options})
    return TrainingConfig(model=model, model_options=options, **given)


def check_names(model: str, options: Mapping[str, Any]) -> None:
    """Refuse a setting of the training among the options of the network."""
    for name in options:
        flag = f"{'--no-' if options[name] is False else '--'}{name.replace('_', '-')}"
        expect(
            name in model_options(model) or name not in OF_TRAININGS | OF_COMMANDS,
            name,
            got=f"{shown(options[name])} among the options of the network {model}",
            expected="it among the settings of the training",
            fix=f"On the command line: {flag}."
            if name not in WITHOUT_FLAG
            else "It is a setting in Python and in the file of a sweep.",
        )


def refuse_idle_mass(options: Mapping[str, Any]) -> None:
    """Refuse eps where the order that stands beside it is 1.

    Raises
    ------
    InvalidInputError
    """
    expect(
        options.get("order") != 1 or "eps" not in options,
        "eps",
        got=f"{shown(options.get('eps'))} beside order 1",
        expected="it beside order 2: a first-order equation has no mass",
    )


def parsed_options(texts: Sequence[str]) -> dict[str, Any]:
    """Options from texts such as ``blocks=0`` or ``stem=imagenet``.

    Examples
    --------
    >>> parsed_options(["blocks=0", "stem=imagenet", "reversible=true", "adjoint=False"])
    {'blocks': 0, 'stem': 'imagenet', 'reversible': True, 'adjoint': False}
    """
    found: dict[str, Any] = {}
    for text in texts:
        name, sign, value = text.partition("=")
        if not sign or not name:
            raise invalid("--set", got=shown(text), expected="name=value, such as blocks=0")
        name = name.strip()
        expect(name not in found, "--set", got=f"{name} twice", expected="each option once")
        try:
            value = value.strip()
            found[name] = PYTHON[value] if value in PYTHON else json.loads(value)
        except ValueError:
            found[name] = value
    return found
