"""The networks for images with their options, and the presets of trainings, read from the code."""

from __future__ import annotations

import json
import re
from dataclasses import fields
from typing import Any

from odemom.models import MODELS
from odemom.nn.ode.checks import METHODS
from odemom.training import TrainingConfig
from odemom.training.presets import PRESETS
from scripts.manual.markdown import literal, table

__all__ = ["network_tables"]


def network_tables() -> dict[str, str]:
    """The tables, by their paths in docs/."""
    made = {"networks": _networks(), "options": _options(), "presets": _presets()}
    return {f"made/{name}.md": f"{rows}\n" for name, rows in made.items()}


SOLVERS = ", ".join(f"`{name}`" for name in METHODS) + ": see [ODE blocks](ode.md)"


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


def _options() -> str:
    """A row for each option and what it may be, with the networks where that differs."""
    families: dict[tuple[str, str], list[str]] = {}
    for name, model in MODELS.items():
        for option, known in model.accepted.items():
            families.setdefault((option, known.values), []).append(re.sub(r"\d+$", "", name))
    alike = [option for option, _ in families]
    rows = []
    for (option, values), names in families.items():
        of = ", ".join(dict.fromkeys(names)) if alike.count(option) > 1 else ""
        said = SOLVERS if option == "method" else values
        rows.append([f"`{option}`", literal(of), said if said is SOLVERS else literal(said)])
    return table(["option", "where networks differ: which", "values"], rows)


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
