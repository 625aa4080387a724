"""What separates first from second order: a mirror of the plane, a map of the line, digits."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from odemom.records import jsonable, write_json

__all__ = ["Line", "line_map", "mirror_pictures", "missing_packages", "train_on_digits"]

EPOCHS = 4  # enough for 95 % on the digits, in half a minute for both orders
LINE_STEPS = 1000
FRAMES = 13
FOR_NETWORKS = ("torch", "torchdiffeq")
FOR_DIGITS = (*FOR_NETWORKS, "lightning", "sklearn")


def missing_packages(names: tuple[str, ...]) -> list[str]:
    """Those of the packages that are not installed."""
    return [name for name in names if importlib.util.find_spec(name) is None]


def mirror_pictures(folder: Path) -> dict[str, Path]:
    """The plane on its way to -I and to the mirror: numbers, a picture, and one that moves."""
    from odemom.experiments.mirror import EXPERIMENT, Config
    from odemom.plots.mirror import animate, draw
    from odemom.plots.style import rendered, rendered_animation
    from odemom.records import write_bytes_atomic

    found = EXPERIMENT.compute(Config(frames=FRAMES))
    pictures = rendered(draw(found), "mirror", formats=("png",))
    pictures |= rendered_animation(animate(found), "mirror", fps=6)
    paths = {name: write_bytes_atomic(folder / name, data) for name, data in pictures.items()}
    numbers = write_json(folder / "mirror.json", jsonable(found))
    return {"json": numbers, "png": paths["mirror.png"], "gif": paths["mirror.gif"]}


@dataclass(frozen=True)
class Line:
    """The two nets that have learned x -> -x³ on [-1, 1].

    Attributes
    ----------
    first, second : float
        Their mean square errors.
    picture, numbers : Path
    """

    first: float
    second: float
    picture: Path
    numbers: Path


def line_map(folder: Path) -> Line:
    """Train a ResNet and a Momentum ResNet of equal size on x -> -x³."""
    from odemom.experiments.fig1 import Config, run, tasks
    from odemom.plots.fig1 import draw_two
    from odemom.plots.style import rendered
    from odemom.records import write_bytes_atomic

    resnet, _, momentum, *_ = tasks(Config(seeds=1, rates=(0.03,), steps=LINE_STEPS))
    first, second = run(resnet), run(momentum)
    picture = rendered(draw_two(first, second), "line", formats=("png",))["line.png"]
    numbers = write_json(folder / "line.json", jsonable({"first": first, "second": second}))
    least, lesser = (float(family.best_losses.min()) for family in (first, second))
    return Line(least, lesser, write_bytes_atomic(folder / "line.png", picture), numbers)


def configs(epochs: int | None) -> list[Any]:
    """The trainings on digits: one of each order."""
    from odemom.training import TrainingConfig

    chosen = EPOCHS if epochs is None else epochs
    return [TrainingConfig(order=order, epochs=chosen) for order in (1, 2)]


def train_on_digits(folder: Path, epochs: int | None, progress: bool) -> dict[int, Any]:
    """The networks of both orders, trained on the digits: order -> TrainingResult."""
    from odemom.training.run import train

    return {
        config.order: train(config, out_dir=folder / f"order{config.order}", progress=progress)
        for config in configs(epochs)
    }
