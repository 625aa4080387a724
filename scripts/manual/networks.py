"""The networks for images with their options, and the presets of trainings, read from the code."""

from __future__ import annotations

import json
import re
from dataclasses import fields
from typing import Any

from odemom.models import MODELS
from odemom.training import TrainingConfig
from odemom.training.presets import PRESETS
from scripts.manual.markdown import literal, table

__all__ = ["network_tables"]


def network_tables() -> dict[str, str]:
    """Both tables, by their paths in docs/."""
    return {"made/networks.md": _networks() + "\n", "made/presets.md": _presets() + "\n"}


def _networks() -> str:
    """A row for the networks that differ by their depth alone."""
    families: dict[tuple[str, str], list[str]] = {}
    for name, model in MODELS.items():
        options = ", ".join(f"`{key}={_said(value)}`" for key, value in model.options.items())
        summary = re.sub(r"\bresnet\d+", "the ResNet of that depth", model.summary)
        summary = re.sub(r"\bResNet-\d+", "ResNet of that depth", summary)
        families.setdefault((summary, options), []).append(f"`{name}`")
    rows = [
        [", ".join(names), literal(summary), options]
        for (summary, options), names in families.items()
    ]
    return table(["network", "what it is", "options"], rows)


def _presets() -> str:
    """What a preset sets; where it says nothing, the default of a training."""
    defaults = {f.name: f.default for f in fields(TrainingConfig)}
    keys = list(dict.fromkeys(key for preset in PRESETS.values() for key in preset))
    rows = [
        [f"`{key}`", *(f"`{_said(p.get(key, defaults[key]))}`" for p in PRESETS.values())]
        for key in keys
    ]
    return table(["setting", *PRESETS], rows)


def _said(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
