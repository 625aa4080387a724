"""The loss of linear nets against steps, and the way of their eigenvalues."""

from __future__ import annotations

from typing import Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from odemom.experiments.descent import MODELS, Curve, Descent
from odemom.plots.style import COLORS, new_figure, shared_style

__all__ = ["draw"]

HUES = {"ResNet": COLORS["vermilion"], "Momentum ResNet": COLORS["blue"]}
FLOOR = 1e-12
COLUMNS = 3


def draw(data: Descent) -> Figure:
    """Losses per dimension, untied full and tied dashed; and eigenvalues in the complex plane.

    Parameters
    ----------
    data : Descent

    Returns
    -------
    matplotlib.figure.Figure
    """
    dimensions = sorted({c.dimension for c in data.curves})
    plane = next((d for d in dimensions if d > 1), None)
    count = len(dimensions) + (plane is not None)
    with shared_style():
        columns = min(count, COLUMNS)
        rows = -(-count // columns)
        figure = new_figure(2.7 * columns, 2.9 * rows)
        cells = figure.subplots(rows, columns, squeeze=False).ravel()
        panels, spare = np.split(cells, [count])
        for axes, d in zip(panels, dimensions, strict=False):
            _losses(axes, [c for c in data.curves if c.dimension == d])
            what = "D = −1/2, −1, −3" if d == 1 else f"{d} × {d}, det D < 0"
            axes.set_title(what)
        for axes in panels[: len(dimensions) : columns]:
            axes.set_ylabel("loss  ||map − D||² / 2")
        if plane is not None:
            _paths(panels[-1], [c for c in data.curves if c.dimension == plane and not c.tied])
            panels[-1].set_title(f"eigenvalues, {plane} × {plane}")
        for axes in spare:
            axes.set_axis_off()
        if spare.size:
            _names(spare[0], 0.02, "left")
        else:
            _names(panels[0], 0.99, "right")
    return figure


def _losses(axes: Axes, curves: list[Curve]) -> None:
    """The median of the targets, and their range as a band."""
    for curve in curves:
        losses = np.clip(np.array(curve.losses), FLOOR, 1e3)
        steps = np.array(curve.steps) + 1
        style = "--" if curve.tied else "-"
        hue = HUES[curve.model]
        if curve.dimension == 1:
            axes.plot(steps, losses.T, style, color=hue, linewidth=1.2)
            continue
        axes.plot(steps, np.median(losses, axis=0), style, color=hue)
        if not curve.tied:
            axes.fill_between(
                steps, losses.min(axis=0), losses.max(axis=0), color=hue, alpha=0.15, linewidth=0
            )
    axes.set(xscale="log", yscale="log", xlabel="step", ylim=(FLOOR, 30))


def _names(axes: Axes, x: float, side: Literal["left", "right"]) -> None:
    """The models in their colours, where no line runs: from x on, or up to x."""
    names = [*((model, HUES[model]) for model in MODELS), ("dashed: tied weights", COLORS["grey"])]
    for i, (text, hue) in enumerate(names):
        place = (x, 0.66 - 0.09 * i)
        axes.annotate(
            text, place, xycoords="axes fraction", ha=side, va="top", color=hue, fontsize=8
        )


def _paths(axes: Axes, curves: list[Curve]) -> None:
    """The eigenvalues of the map of the first target, from 1 to where they stop."""
    axes.axhline(0, color="#DDDDDD", linewidth=0.8, zorder=0)
    axes.axvline(0, color="#DDDDDD", linewidth=0.8, zorder=0)
    for curve in curves:
        points = [complex(*z) for moment in curve.paths for z in moment]
        hue = HUES[curve.model]
        axes.plot(
            [z.real for z in points],
            [z.imag for z in points],
            ".",
            color=hue,
            markersize=3,
            alpha=0.6,
        )
        axes.plot(
            [x for x, _ in curve.paths[-1]],
            [y for _, y in curve.paths[-1]],
            "o",
            color=hue,
            markersize=5,
        )
    goal = curves[0].goal
    axes.plot(
        [x for x, _ in goal],
        [y for _, y in goal],
        "x",
        color="black",
        markersize=8,
        markeredgewidth=1.5,
    )
    axes.annotate("D", goal[0], (4, 5), textcoords="offset points")
    axes.annotate("start", (1, 0), (3, 5), textcoords="offset points", fontsize=8)
    axes.set(xlabel="Re", ylabel="Im")
    axes.margins(0.15)
