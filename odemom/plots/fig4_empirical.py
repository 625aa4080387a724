"""What training reaches in the plane of Figure 4, drawn from its numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import PatchCollection
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import PercentFormatter

from odemom.experiments._plane_results import REACHED, Escape, Figure4Trained, Plane
from odemom.experiments._spread import deviation
from odemom.plots.style import COLORS, new_figure, shared_style

__all__ = ["draw"]

REACHED_SHADE = "#7FB6DA"
FIRST_MINIMUM, LEAST_VALUE = COLORS["vermilion"], "black"  # thresholds
BEHIND_TEXT = {"facecolor": "white", "edgecolor": "none", "pad": 0.8, "alpha": 0.85}


def draw(data: Figure4Trained) -> Figure:
    """Losses beside the theorem, the two thresholds of a net, and how large its weights must be.

    Parameters
    ----------
    data : Figure4Trained

    Returns
    -------
    matplotlib.figure.Figure
        7.6 by 6.8 inches.
    """
    with shared_style():
        figure = new_figure(7.6, 6.8)
        grid = figure.subplots(2, 2, gridspec_kw={"wspace": 0.12})
        _draw_losses(grid[0, 0], data)
        _draw_escapes(grid[0, 1], data)
        small, large = data.wide[:2]
        own = min(data.least[0], large.threshold)
        _draw_reached(
            grid[1, 0], small, own, f"Reached at depth 20 from weights of {small.scale:g}"
        )
        _name_edges(grid[1, 0], small, own)  # once: on the right there are cells behind
        _draw_reached(grid[1, 1], large, own, rf"Reached from $\theta$ near ${-large.scale:g}\,I$")
    return figure


def _draw_losses(axes: Axes, data: Figure4Trained) -> None:
    plane, block = data.of("psi")[0], data.of("ODE block")[0]
    losses = np.maximum(np.array(plane.losses), REACHED)
    image = axes.pcolormesh(
        plane.axis, plane.axis, losses, norm=LogNorm(REACHED, 1), cmap="Blues_r", shading="nearest"
    )
    bar = axes.figure.colorbar(image, ax=axes, shrink=0.85, pad=0.02)
    bar.set_label(r"loss $\|\psi(\theta) - \mathrm{diag}(\lambda_1, \lambda_2)\|$", fontsize=8)
    _draw_edge(axes, plane.threshold, 1, COLORS["vermilion"])
    reached = np.array(block.losses) < REACHED
    l1, l2 = np.meshgrid(block.axis, block.axis)
    marks: dict[str, Any] = {"markersize": 3.5, "markeredgewidth": 0.9, "clip_on": False}
    axes.plot(l1[reached], l2[reached], "o", color=COLORS["orange"], mfc="none", **marks)
    axes.plot(l1[~reached], l2[~reached], "x", color=COLORS["orange"], **marks)
    title = r"$\varepsilon = 0.5$: $\psi$ (shade), ODE block ($\circ$ reached, $\times$ not)"
    axes.set_title(title, fontsize=8)
    _finish(axes, -1)
    below = [value for value in block.axis if value < plane.threshold][-2:]
    between = float(np.mean(below)) if len(below) == 2 else plane.threshold - 0.1  # rows of marks
    axes.text(
        0.97,
        between,
        rf"Theorem 1: $\lambda_\varepsilon = {plane.threshold:.4f}$",
        ha="right",
        va="center",
        color=COLORS["vermilion"],
        fontsize=8,
        bbox=BEHIND_TEXT,
    )


def _draw_edge(axes: Axes, threshold: float, high: float, color: str, style: Any = "-") -> None:
    axes.plot(
        [threshold, threshold, high], [high, threshold, threshold], color=color, lw=1.4, ls=style
    )


def _finish(axes: Axes, low: float) -> None:
    axes.set(
        xlabel=r"$\lambda_1$", ylabel=r"$\lambda_2$", aspect="equal", xlim=(low, 1), ylim=(low, 1)
    )
    ticks = np.arange(low, 1.01, 0.5 if low == -1 else 1)
    axes.set_xticks(ticks)
    axes.set_yticks(ticks)


def _draw_reached(axes: Axes, plane: Plane, own: float, title: str) -> None:
    reached = np.array(plane.losses) < REACHED
    half = (plane.axis[1] - plane.axis[0]) / 2
    rows, columns = np.nonzero(reached)
    axis = np.array(plane.axis)
    size = 2 * 0.92 * half
    corners = zip(axis[columns] - size / 2, axis[rows] - size / 2, strict=True)
    squares = [Rectangle(corner, size, size) for corner in corners]
    axes.add_collection(PatchCollection(squares, facecolor=REACHED_SHADE, linewidth=0))
    low = plane.axis[0] - half
    high = plane.axis[-1] + half
    _draw_edge(axes, plane.threshold, high, FIRST_MINIMUM)
    _draw_edge(axes, own, high, LEAST_VALUE, (0, (4, 2)))
    _finish(axes, low)
    axes.set(xlim=(low, high), ylim=(low, high), title=title)
    axes.set_xticks(range(round(plane.axis[0]), 2))
    axes.set_yticks(range(round(plane.axis[0]), 2))


def _name_edges(axes: Axes, plane: Plane, own: float) -> None:
    """The two thresholds by their names, where no cell is reached."""
    high = axes.get_xlim()[1]
    text: dict[str, Any] = {
        "textcoords": "offset points", "ha": "right", "va": "top", "fontsize": 8,
    }  # fmt: skip
    axes.annotate(
        rf"first minimum ${plane.threshold:.2f}$", (plane.threshold, high), xytext=(-4, -3),
        color=FIRST_MINIMUM, **text,
    )  # fmt: skip
    axes.annotate(
        rf"least value ${own:.2f}$", (high, own), xytext=(-3, -2), color=LEAST_VALUE, **text
    )


def _draw_escapes(axes: Axes, data: Figure4Trained) -> None:
    colors = {20: COLORS["blue"], 21: COLORS["vermilion"]}
    styles = {"normal": ":", "turning": "-"}
    for escape in data.escapes:
        _draw_escape(axes, escape, colors[escape.depth], styles[escape.start])
    axes.set(
        xscale="log",
        ylim=(-0.03, 1.05),
        xlabel=r"size $s$ of the initial $\theta$",
        ylabel="share of excluded cells reached",
        title="Beyond the first minimum",
    )
    axes.yaxis.set_major_formatter(PercentFormatter(1.0))
    axes.legend(fontsize=8, loc="upper left", handlelength=2.2)


def _draw_escape(axes: Axes, escape: Escape, color: str, style: str) -> None:
    shares = np.array(escape.beyond)
    mean, spread = shares.mean(axis=0), deviation(shares, 0)
    start = r"near $-s I$" if escape.start == "turning" else "normal"
    axes.errorbar(
        escape.scales,
        mean,
        yerr=spread,
        color=color,
        linestyle=style,
        linewidth=1.3,
        marker=".",
        capsize=2,
        label=rf"$N = {escape.depth}$, {start}",
    )
