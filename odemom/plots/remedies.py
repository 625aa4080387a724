"""The plane of remedies, drawn from its numbers."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure

from odemom.experiments.remedies import KINDS, LARGEST, Plane, Planes
from odemom.plots.style import COLORS, new_figure, shared_style

__all__ = ["draw"]

EITHER = "two pieces, x'(0) = θx₀,\nor one coordinate more"
SHADES = ("#C7DFF0", "#BFE5D6", "#FBE5B6", "#F6C9AC", COLORS["vermilion"])
TICKS = np.arange(-LARGEST, LARGEST + 1)
FIRST = ("constant θ", "larger ε", "two pieces", "one coordinate more", "two coordinates\nmore")


def draw(data: Planes) -> Figure:
    """One square for each flow; the colour is the cheapest remedy, named where it is.

    Parameters
    ----------
    data : Planes

    Returns
    -------
    matplotlib.figure.Figure
    """
    count = len(data.planes)
    with shared_style():
        figure = new_figure(3.1 * count, 3.4)
        panels = np.atleast_1d(figure.subplots(1, count))
        for axes, plane in zip(panels, data.planes, strict=True):
            kinds = np.array([[int(k) for k in word] for word in plane.kinds])
            axes.imshow(
                kinds.T,
                origin="lower",
                extent=(-LARGEST, LARGEST, -LARGEST, LARGEST),
                cmap=ListedColormap(SHADES),
                vmin=-0.5,
                vmax=len(KINDS) - 0.5,
                interpolation="nearest",
            )
            _diagonal(axes, plane, kinds)
            for kind in np.unique(kinds):
                x, y = _middle(np.array(plane.values), kinds == kind)
                size = int((kinds == kind).sum())
                either = kind == 2 and plane.eps != "0"
                text = EITHER if either else FIRST[kind]
                if size > 0.04 * kinds.size:
                    axes.text(x, y, text, ha="center", va="center", fontsize=8)
                else:
                    _beside(axes, text, x, y)
            flow = "x' = θx" if plane.eps == "0" else f"ε = {plane.eps}"
            axes.set(title=flow, xlabel="λ₁", aspect="equal", xticks=TICKS, yticks=TICKS)
        panels[0].set_ylabel("λ₂")
    return figure


def _diagonal(axes: Axes, plane: Plane, kinds: np.ndarray) -> None:
    """The points l1 = l2 that constant theta reaches, as a line: pairs."""
    values = np.array(plane.values)
    own = np.flatnonzero((np.diag(kinds)[:-1] == 0) & (np.diag(kinds, 1) > 0))
    if own.size:
        ends = values[own[0]], values[own[-1]]
        axes.plot(ends, ends, color=COLORS["blue"], linewidth=1.5)
        place = ends[0] + 0.7 * (ends[1] - ends[0])
        axes.annotate(
            FIRST[0],
            (place, place),
            (-6, 6),
            textcoords="offset points",
            ha="center",
            va="center",
            rotation=45,
            color=COLORS["blue"],
            fontsize=8,
        )


def _beside(axes: Axes, text: str, x: float, y: float) -> None:
    """The name of a region too small to hold it, up and to the left, with a line to the region."""
    axes.annotate(
        text,
        (x, y),
        (-8, 18),
        textcoords="offset points",
        ha="right",
        va="bottom",
        fontsize=8,
        arrowprops={"arrowstyle": "-", "linewidth": 0.8},
    )


def _middle(values: np.ndarray, where: np.ndarray) -> tuple[float, float]:
    """The place of a region that is farthest from its border, for its name; on l1 >= l2."""
    best, place = -1.0, (0.0, 0.0)
    step = max(1, len(values) // 20)
    for i in range(0, len(values), step):
        for j in range(0, i + 1, step):
            if where[i, j]:
                reach = _reach(where, i, j)
                if reach > best:
                    best, place = reach, (float(values[i]), float(values[j]))
    return place


def _reach(where: np.ndarray, i: int, j: int) -> float:
    """How far a square around a point stays in a region, twice as wide as high."""
    n = len(where)
    for r in range(1, n):
        rows, columns = slice(max(0, i - 2 * r), i + 2 * r + 1), slice(max(0, j - r), j + r + 1)
        outside = i - 2 * r < 0 or j - r < 0 or i + 2 * r >= n or j + r >= n
        if outside or not where[rows, columns].all():
            return float(r)
    return float(n)
