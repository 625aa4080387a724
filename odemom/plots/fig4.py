"""Figure 4 of the paper, drawn from its numbers."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from odemom.experiments.fig4 import Figure4, Plane
from odemom.plots.style import COLORS, new_figure, shared_style

__all__ = ["draw"]

# From the largest region to the smallest: each is drawn over the one that contains it.
SHADES = {math.inf: "#CFE3F1", 0.5: "#7FB6DA", 0.0: COLORS["blue"]}
LINES = {math.inf: COLORS["sky"], 0.5: COLORS["vermilion"], 0.0: "black"}


def draw(data: Figure4) -> Figure:
    """Both panels of Figure 4.

    Parameters
    ----------
    data : Figure4

    Returns
    -------
    matplotlib.figure.Figure
        7.2 by 3.2 inches.

    Examples
    --------
    >>> from odemom.experiments.fig4 import EXPERIMENT, Config
    >>> len(draw(EXPERIMENT.compute(Config(points=5, per_unit=1, extent=1))).axes)
    2
    """
    with shared_style():
        figure = new_figure(7.2, 3.2)
        left, right = figure.subplots(1, 2)
        _draw_threshold(left, data)
        _draw_plane(right, data)
    return figure


def _draw_threshold(axes: Axes, data: Figure4) -> None:
    axes.semilogx(data.eps, data.lambda_eps, color=COLORS["blue"])
    note: dict[str, Any] = {"color": COLORS["grey"], "textcoords": "offset points"}
    for limit in (0.0, -1.0):
        axes.axhline(limit, color=COLORS["grey"], linewidth=0.8, linestyle=":")
    start, end = (data.eps[0], 0.0), (data.eps[-1], -1.0)
    axes.annotate(r"first order, $\varepsilon = 0$", start, xytext=(4, 4), va="bottom", **note)
    axes.annotate(
        r"undamped, $\varepsilon = \infty$", end, xytext=(-2, -4), ha="right", va="top", **note
    )
    for plane in data.planes:
        if 0 < plane.eps < math.inf:
            axes.plot(plane.eps, plane.threshold, "o", color=LINES[plane.eps], markersize=5)
            axes.annotate(
                rf"$\lambda_{{{plane.eps:g}}} = {plane.threshold:.4f}$",
                (plane.eps, plane.threshold),
                xytext=(7, 3),
                textcoords="offset points",
            )
    axes.set(
        xlabel=r"$\varepsilon$",
        ylabel=r"$\lambda_\varepsilon = \min_\alpha\, G_\varepsilon(\alpha)$",
        ylim=(-1.12, 0.12),
        xlim=(data.eps[0], data.eps[-1]),
    )


def _draw_plane(axes: Axes, data: Figure4) -> None:
    low, high = data.axis[0], data.axis[-1]
    handles = []
    for plane in sorted(data.planes, key=lambda p: p.threshold):
        start = max(plane.threshold, low)
        axes.fill_between([start, high], start, high, color=SHADES[plane.eps], linewidth=0)
        style = "-" if plane.threshold_included else (0, (2, 2))
        axes.plot(
            [start, start, high],
            [high, start, start],
            color=LINES[plane.eps],
            linewidth=1.1,
            linestyle=style,
        )
        handles.append(
            Patch(facecolor=SHADES[plane.eps], edgecolor=LINES[plane.eps], label=_label(plane))
        )
    _draw_diagonals(axes, data.planes, low)
    _draw_decided(axes, data)
    handles.append(Line2D([], [], color="black", linewidth=2, label=r"$\lambda_1 = \lambda_2$"))
    axes.legend(
        handles=handles[::-1],
        loc="lower right",
        fontsize=8,
        handlelength=1.3,
        ncols=2,
        columnspacing=1.0,
        borderaxespad=0.2,
    )
    axes.set(xlim=(low, high), ylim=(low, high), aspect="equal", xlabel=r"$\lambda_1$")
    axes.set_ylabel(r"$\lambda_2$")
    axes.set_xticks(np.arange(math.ceil(low), math.floor(high) + 1))
    axes.set_yticks(np.arange(math.ceil(low), math.floor(high) + 1))


def _draw_diagonals(axes: Axes, planes: tuple[Plane, ...], low: float) -> None:
    """Below every threshold, equal eigenvalues are representable: the diagonal."""
    highest = max(plane.threshold for plane in planes)
    axes.plot([low, highest], [low, highest], color="black", linewidth=2, solid_capstyle="butt")


def _draw_decided(axes: Axes, data: Figure4) -> None:
    """A dot wherever the largest plane was decided to be representable."""
    largest = min(data.planes, key=lambda plane: plane.threshold)
    rows, columns = np.nonzero(np.array(largest.representable))
    axis = np.array(data.axis)
    axes.plot(axis[columns], axis[rows], ".", color="black", markersize=0.8, alpha=0.35)


def _label(plane: Plane) -> str:
    value = r"\infty" if plane.eps == math.inf else f"{plane.eps:g}"
    return rf"$\varepsilon = {value}$"
