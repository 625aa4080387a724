"""Figure 1 of the paper, drawn from its numbers, and the way round it that it does not show."""

from __future__ import annotations

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter

from odemom.experiments.fig1 import INCREASING, Family, Figure1
from odemom.plots.style import COLORS, new_figure, shared_style

__all__ = ["draw", "draw_two"]


def draw(data: Figure1) -> Figure:
    """Paths of a bounded ResNet, a Momentum ResNet and a flipping ResNet, and all errors.

    Parameters
    ----------
    data : Figure1

    Returns
    -------
    matplotlib.figure.Figure
        7.2 by 5.2 inches.
    """
    resnet, momentum = data.bounded[0], data.bounded[-1]
    with shared_style():
        figure = new_figure(7.2, 5.2)
        axes = figure.subplots(2, 2)
        _draw_paths(axes[0, 0], resnet, "ResNet, bounded: no layer can turn")
        _draw_paths(axes[0, 1], momentum, rf"Momentum ResNet, $\gamma = {momentum.gamma:g}$")
        _draw_paths(axes[1, 0], data.flipping, _title(data.flipping))
        _draw_errors(axes[1, 1], data)
    return figure


def draw_two(first: Family, second: Family) -> Figure:
    """The paths of a ResNet beside those of a Momentum ResNet, each with its error.

    Parameters
    ----------
    first, second : Family

    Returns
    -------
    matplotlib.figure.Figure
        7.2 by 2.9 inches.
    """
    with shared_style():
        figure = new_figure(7.2, 2.9)
        for axes, family, words in zip(
            figure.subplots(1, 2),
            (first, second),
            ("first order: paths never cross", "second order: paths cross"),
            strict=True,
        ):
            _draw_paths(axes, family, f"{words}, error {family.best_losses.min():.2g}")
    return figure


def _title(free: Family) -> str:
    drawn = free.best, int(free.best_losses.argmin())
    return "ResNet, free" + (": every layer turns" if np.array(free.flips)[drawn] else "")


def _draw_paths(axes: Axes, family: Family, title: str) -> None:
    path = np.array(family.path)
    layers, starts = np.arange(len(path)), path[0]
    for start, x in zip(starts, path.T, strict=True):
        color = colormaps["coolwarm"]((start + 1) / 2)
        axes.plot(layers, x, color=color, linewidth=1.0)
    axes.plot(
        np.full(len(starts), layers[-1] + 0.5), -(starts**3), "_", color="black", markersize=5
    )
    axes.annotate(
        "$-x^3$",
        (layers[-1] + 0.9, 0),
        va="center",
        annotation_clip=False,
    )
    axes.set_title(title, fontsize=9)
    axes.set(xlabel="layer $n$", ylabel="$x_n$", xlim=(0, layers[-1] + 0.7))
    axes.set_xticks(range(0, len(path), 5))


def _draw_errors(axes: Axes, data: Figure1) -> None:
    colors = (COLORS["blue"], COLORS["green"], COLORS["green"])
    rows = [
        (("ResNet" if f.gamma == 0 else rf"$\gamma = {f.gamma:g}$") + ", bounded", f, color)
        for f, color in zip(data.bounded, colors, strict=True)
    ]
    rows += [(f"ResNet, depth {f.depth}", f, COLORS["vermilion"]) for f in data.free]
    for i, (_, family, color) in enumerate(rows):
        losses = family.best_losses
        shift = np.linspace(-0.22, 0.22, len(losses)) if len(losses) > 1 else np.zeros(1)
        axes.plot(losses, i + shift, "o", color=color, markersize=3, alpha=0.6, mew=0)
    axes.axvline(INCREASING, color=COLORS["grey"], linewidth=0.8, linestyle=":")
    axes.annotate(
        "best increasing\nmap: 1/7",
        (INCREASING, 3),
        xytext=(-5, 0),
        textcoords="offset points",
        ha="right",
        va="center",
        color=COLORS["grey"],
        fontsize=8,
    )
    axes.set_xscale("log")
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_yticks(range(len(rows)), [name for name, _, _ in rows])
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.set_xlabel(f"mean square error, {len(data.bounded[0].losses[0])} seeds")
