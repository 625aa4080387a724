"""Figure 4 of the paper, drawn from its numbers."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from odemom.experiments.fig4 import Figure4, Plane
from odemom.plots.style import COLORS, new_figure, shared_style

__all__ = ["draw"]

# One hue. From the largest region to the smallest: each is drawn over the one that contains it.
SHADES = {math.inf: "#D6E7F3", 0.5: "#8DBEDE", 0.0: COLORS["blue"]}
EDGE = "#08436B"
DOTS = (
    "dots: decided as representable,\nin exact arithmetic\n"
    r"left blank: at no $\varepsilon$, unless equal"
)
NAMES = {
    math.inf: r"more at $\varepsilon = \infty$",
    0.5: r"more at $\varepsilon = 0.5$",
    0.0: r"$\varepsilon = 0$: both positive",
}


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
            axes.plot(plane.eps, plane.threshold, "o", color=COLORS["blue"], markersize=5)
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
    for plane in sorted(data.planes, key=lambda p: p.threshold):
        start = max(plane.threshold, low)
        axes.fill_between([start, high], start, high, color=SHADES[plane.eps], linewidth=0)
        style = "-" if plane.threshold_included else (0, (2, 2))
        axes.plot(
            [start, start, high],
            [high, start, start],
            color=EDGE,
            linewidth=1.0,
            linestyle=style,
        )
    _draw_diagonals(axes, data.planes, low)
    _draw_decided(axes, data)
    _name_regions(axes, data, low, high)
    axes.set(xlim=(low, high), ylim=(low, high), aspect="equal", xlabel=r"$\lambda_1$")
    axes.set_ylabel(r"$\lambda_2$")
    axes.set_xticks(np.arange(math.ceil(low), math.floor(high) + 1))
    axes.set_yticks(np.arange(math.ceil(low), math.floor(high) + 1))


def _name_regions(axes: Axes, data: Figure4, low: float, high: float) -> None:
    """Each region by its eps, where it lies; and what the dots and the diagonal say."""
    planes = sorted(data.planes, key=lambda p: p.threshold)
    above = [*(plane.threshold for plane in planes[1:]), high]
    text: dict[str, Any] = {"ha": "center", "va": "center", "fontsize": 8}
    for plane, top in zip(planes, above, strict=True):
        middle = (max(plane.threshold, low) + top) / 2
        at = (max(0.0, low) + high) / 2
        color = "white" if plane.eps == 0 else "black"
        clear = {"facecolor": SHADES[plane.eps], "edgecolor": "none", "pad": 1.0}  # of dots
        axes.text(at, middle, NAMES[plane.eps], color=color, bbox=clear, **text)
    lowest = planes[0].threshold
    if low < lowest - 0.5:
        axes.text(high, (low + lowest) / 2, DOTS, ha="right", va="center", fontsize=7.5)
        middle = (low + lowest) / 2
        axes.annotate(
            r"$\lambda_1 = \lambda_2$: every $\varepsilon$",
            (middle, middle),
            xytext=(-2, 12),
            textcoords="offset points",
            ha="center",
            va="center",
            rotation=45,
            rotation_mode="anchor",
            fontsize=8,
        )


def _draw_diagonals(axes: Axes, planes: tuple[Plane, ...], low: float) -> None:
    """Below every threshold, equal eigenvalues are representable: the diagonal."""
    highest = max(plane.threshold for plane in planes)
    axes.plot([low, highest], [low, highest], color=EDGE, linewidth=2, solid_capstyle="butt")


def _draw_decided(axes: Axes, data: Figure4) -> None:
    """A dot wherever the largest plane was decided to be representable."""
    largest = min(data.planes, key=lambda plane: plane.threshold)
    rows, columns = np.nonzero(np.array(largest.representable))
    axis = np.array(data.axis)
    axes.plot(axis[columns], axis[rows], ".", color="black", markersize=1.2, alpha=0.45)
