"""Figure 5 of the paper, drawn from its numbers: nested rings, layer by layer."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from matplotlib.animation import FuncAnimation
from matplotlib.axes import Axes
from matplotlib.collections import PathCollection
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from odemom.data.rings import ring_labels
from odemom.experiments.fig5 import BOUND, DRAWN, Cloud, Figure5, Model
from odemom.plots.style import COLORS, new_figure, shared_style

__all__ = ["animate", "draw"]

RINGS = np.array([COLORS[name] for name in ("blue", "orange", "green", "purple")])
EVERY = 3  # layers from one cloud to the next, as in the paper
BETWEEN = 3  # frames of the animation per layer
REST = 12  # frames for which the animation stands still at the end
LEAST_DRAWN = -3  # determinants below this are drawn at this height


def draw(data: Figure5) -> Figure:
    """Clouds of a ResNet, a Momentum ResNet and a ResNet that folds; accuracies; folds.

    Parameters
    ----------
    data : Figure5

    Returns
    -------
    matplotlib.figure.Figure
        7.2 by 6.8 inches.
    """
    rows = [
        ("ResNet", data.of(0.0).cloud),
        (rf"$\gamma = {DRAWN:g}$", data.of(DRAWN).cloud),
        ("ResNet,\nuntied", data.of(0.0, tied=False).cloud),
    ]
    clouds = [(name, cloud) for name, cloud in rows if cloud is not None]
    with shared_style():
        figure = new_figure(7.2, 6.8)
        above, below = figure.subfigures(2, 1, height_ratios=[3.75, 2.6], squeeze=False)[:, 0]
        columns = range(0, len(clouds[0][1].x), EVERY)
        grid = above.subplots(len(clouds), len(columns), squeeze=False)
        for row, (name, cloud) in zip(grid, clouds, strict=True):
            for axes, layer in zip(row, columns, strict=True):
                _draw_cloud(axes, cloud, layer)
            row[0].set_ylabel(f"{name}\n{cloud.accuracy:.1%}", rotation=0, ha="right", va="center")
        for axes, layer in zip(grid[0], columns, strict=True):
            axes.set_title(f"layer {layer}" if layer else "points", fontsize=9)
        left, right = below.subplots(1, 2, width_ratios=[1.25, 1])
        _draw_accuracies(left, data)
        _draw_folds(right, data)
    return figure


def _draw_cloud(axes: Axes, cloud: Cloud, layer: int) -> None:
    x = np.array(cloud.x[layer])
    axes.scatter(*x, s=3, c=RINGS[ring_labels(x.shape[1])], linewidths=0)
    _frame(axes, *_square(x))


def _square(x: np.ndarray) -> tuple[np.ndarray, float]:
    """The middle of a cloud, and half the side of the square round it."""
    low, high = x.min(axis=1), x.max(axis=1)
    return (low + high) / 2, 0.55 * float((high - low).max()) + 1e-6


def _frame(axes: Axes, middle: np.ndarray, half: float) -> None:
    axes.set(
        xlim=(middle[0] - half, middle[0] + half),
        ylim=(middle[1] - half, middle[1] + half),
        xticks=[],
        yticks=[],
        aspect="equal",
    )
    axes.spines[:].set_visible(True)
    axes.spines[:].set_color("#CCCCCC")


def _color(model: Model) -> str:
    if model.gamma > 0:
        return COLORS["green"]
    return COLORS["vermilion"] if math.isinf(model.bound) else COLORS["blue"]


def _draw_accuracies(axes: Axes, data: Figure5) -> None:
    names = []
    for i, model in enumerate(data.models):
        found = model.tested
        shift = np.linspace(-0.2, 0.2, found.size) if found.size > 1 else np.zeros(1)
        axes.plot(found, i + shift, "o", color=_color(model), markersize=3, alpha=0.6, mew=0)
        axes.plot([found.mean()] * 2, [i - 0.35, i + 0.35], color="black", linewidth=1.2)
        name = "ResNet" if model.gamma == 0 else rf"$\gamma = {model.gamma:g}$"
        bounded = ", bounded" if math.isfinite(model.bound) else ""
        names.append(name + bounded + ("" if model.tied else ", untied"))
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.xaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    axes.set_xlabel(f"test accuracy, {len(data.models[0].tested)} seeds and mean")


def _draw_folds(axes: Axes, data: Figure5) -> None:
    note: dict[str, Any] = {"fontsize": 8, "textcoords": "offset points"}
    untied = data.of(0.0, tied=False)
    kinds = (
        (untied, COLORS["purple"], "untied"),
        (data.of(0.0), COLORS["vermilion"], "tied"),
        (data.of(0.0, bound=BOUND), COLORS["blue"], "bounded"),
    )
    for model, color, name in kinds:
        x, y = np.ravel(model.determinants), np.ravel(model.accuracies)
        x = np.maximum(x, LEAST_DRAWN)
        axes.plot(x, y, "o", color=color, markersize=3, alpha=0.5, mew=0, clip_on=False)
        axes.plot([], [], "o", color=color, markersize=4, label=name)
    axes.axvline(0, color=COLORS["grey"], linewidth=0.8, linestyle=":")
    place = {"xycoords": ("data", "axes fraction"), "va": "top", **note}
    axes.annotate("folds", (0, 1), xytext=(-4, 8), ha="right", **place)
    ticks = range(LEAST_DRAWN, 2)
    axes.set_xticks(ticks, [("≤ " if t == LEAST_DRAWN else "") + f"${t}$" for t in ticks])
    axes.set_xlim(LEAST_DRAWN, 1.1)
    axes.legend(loc="center left", fontsize=8, handletextpad=0.1)
    axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    axes.set(xlabel=r"least $\det(I + J)$, ResNets, all rates", ylabel="test accuracy")


def animate(data: Figure5) -> FuncAnimation:
    """The points on their way through a ResNet and a Momentum ResNet, both of median accuracy.

    Parameters
    ----------
    data : Figure5

    Returns
    -------
    matplotlib.animation.FuncAnimation
    """
    rows = [
        ("ResNet", data.of(0.0).cloud),
        (rf"Momentum ResNet, $\gamma = {DRAWN:g}$", data.of(DRAWN).cloud),
    ]
    clouds = [(name, cloud) for name, cloud in rows if cloud is not None]
    with shared_style():
        figure = new_figure(4.8, 2.7)
        panels = figure.subplots(1, 2)
        drawn: list[tuple[Axes, PathCollection, np.ndarray]] = []
        for axes, (name, cloud) in zip(panels, clouds, strict=True):
            path = np.array(cloud.x)
            colors = RINGS[ring_labels(path.shape[2])]
            points = axes.scatter(*path[0], s=5, c=colors, linewidths=0)
            axes.set_title(name, fontsize=9)
            drawn.append((axes, points, path))
        caption = figure.supxlabel("layer 0", fontsize=9)
    moves = BETWEEN * (len(clouds[0][1].x) - 1)

    def show(frame: int) -> list[PathCollection]:
        layer, part = divmod(min(frame, moves), BETWEEN)
        for axes, points, path in drawn:
            here, there = path[layer], path[min(layer + 1, len(path) - 1)]
            x = here + (there - here) * part / BETWEEN
            points.set_offsets(x.T)
            _frame(axes, *_square(x))
        caption.set_text(f"layer {layer}")
        return [points for _, points, _ in drawn]

    return FuncAnimation(figure, show, frames=moves + 1 + REST)
