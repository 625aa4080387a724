"""The plane on its way to the mirror and to the half turn, drawn from its maps."""

from __future__ import annotations

import math

import numpy as np
from matplotlib.animation import FuncAnimation
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from odemom.experiments.mirror import PATHS, Mirror, Path
from odemom.plots.style import COLORS, new_figure, shared_style

__all__ = ["animate", "draw"]

POINT = 0.01  # a plane smaller than this is drawn as a dot
STAGES = (0.0, 0.25, 0.5, 0.75, 1.0)
LINE = np.linspace(-1, 1, 9)


def _titles(data: Mirror) -> dict[str, str]:
    eps = f"{data.path('stop').eps:g}"
    return {
        "turn": r"$-I$ at first order, $\varepsilon = 0$:" + "\nthe plane turns",
        "collapse": r"$-I$ at $\varepsilon = \infty$:" + "\nall meet in one point",
        "fold": r"mirror at $\varepsilon = \infty$:" + "\nfolds flat, opens mirrored",
        "stop": rf"mirror at $\varepsilon = {eps}$:" + "\n" + r"stops at $\lambda_\varepsilon$",
        "pieces": rf"mirror at $\varepsilon = {eps}$:" + "\ntwo pieces reach it",
    }


def _letter() -> np.ndarray:
    """An F, which shows whether the plane is seen from behind; pieces of a path, shape (k, 2)."""
    nan = (math.nan, math.nan)
    strokes = [(-0.45, -0.7), (-0.45, 0.7), (0.5, 0.7), nan, (-0.45, 0.1), (0.25, 0.1)]
    return np.array(strokes)


def _draw_plane(axes: Axes, matrix: np.ndarray, title: str | None = None) -> None:
    for value in LINE:
        for line in ((LINE, np.full_like(LINE, value)), (np.full_like(LINE, value), LINE)):
            x, y = matrix @ np.array(line)
            axes.plot(x, y, color=COLORS["sky"], linewidth=0.6)
    if np.abs(matrix).max() < POINT:
        axes.plot(0, 0, "o", color=COLORS["vermilion"], markersize=2.5)
    x, y = matrix @ _letter().T
    axes.plot(x, y, color=COLORS["vermilion"], linewidth=2.2, solid_capstyle="round")
    determinant = float(np.linalg.det(matrix))
    text = f"det {determinant:+.2f}".replace("-", "\N{MINUS SIGN}").replace("+0.00", "0.00")
    axes.set(xlim=(-1.5, 1.5), ylim=(-1.95, 1.5), aspect="equal", xticks=[], yticks=[])
    axes.spines[:].set_visible(False)
    axes.text(0, -1.9, text, ha="center", fontsize=8)
    if title:
        axes.set_title(title, fontsize=8)


def draw(data: Mirror) -> Figure:
    """One row per path, five times from left to right, and det x(t) on the right.

    Parameters
    ----------
    data : Mirror

    Returns
    -------
    matplotlib.figure.Figure
        7.6 by 6 inches.
    """
    titles = _titles(data)
    with shared_style():
        figure = new_figure(7.6, 6.0)
        grid = figure.subplots(
            len(PATHS), len(STAGES) + 2, width_ratios=[1.25, *[1] * len(STAGES), 1.1]
        )
        for i, (row, name) in enumerate(zip(grid, PATHS, strict=True)):
            path = data.path(name)
            row[0].axis("off")
            row[0].text(0, 0.5, titles[name], va="center", fontsize=8, transform=row[0].transAxes)
            for axes, stage in zip(row[1:-1], STAGES, strict=True):
                nearest = int(np.argmin(np.abs(np.array(path.times) - stage)))
                heading = f"$t = {path.times[nearest]:g}$" if i == 0 else None
                _draw_plane(axes, np.array(path.maps[nearest]), heading)
            _draw_determinant(row[-1], path, first=i == 0, last=i == len(PATHS) - 1)
    return figure


def _draw_determinant(axes: Axes, path: Path, *, first: bool, last: bool) -> None:
    axes.axhline(0, color=COLORS["grey"], linewidth=0.6)
    axes.plot(path.times, path.determinants, color=COLORS["blue"], linewidth=1.4)
    axes.set(xlim=(0, 1), ylim=(-1.15, 1.15), xticks=[0, 0.5, 1], yticks=[-1, 0, 1])
    axes.tick_params(labelsize=7)
    if first:
        axes.set_title("det x(t)", fontsize=8)
    if last:
        axes.set_xlabel("$t$", fontsize=8)
    else:
        axes.set_xticklabels([])


def animate(data: Mirror) -> FuncAnimation:
    """The five planes side by side, moving.

    Parameters
    ----------
    data : Mirror

    Returns
    -------
    matplotlib.animation.FuncAnimation
    """
    titles = _titles(data)
    with shared_style():
        figure = new_figure(7.6, 1.9)
        panels = list(figure.subplots(1, len(PATHS)))
    frames = len(data.paths[0].times)

    def show(frame: int) -> list[Axes]:
        for axes, name in zip(panels, PATHS, strict=True):
            axes.clear()
            _draw_plane(axes, np.array(data.path(name).maps[frame]), titles[name])
        return panels

    pause = [frames - 1] * max(1, frames // 5)
    return FuncAnimation(figure, show, frames=[*range(frames), *pause])
