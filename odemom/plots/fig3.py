"""Figure 3 of the paper, drawn from its numbers: four paradigms, from nets to ODEs."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.animation import FuncAnimation
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure

from odemom.experiments.fig3 import FIXED_GAMMA, INSTANTS, STARTS, Figure3, Paths, Rows
from odemom.plots.style import COLORS, new_figure, shared_style

__all__ = ["animate", "draw"]

SHADE = LinearSegmentedColormap.from_list(
    "starts", [COLORS["vermilion"], "#F0C27A", "#9A9A9A", COLORS["sky"], COLORS["blue"]]
)
REACH = 1.15


def draw(data: Figure3) -> Figure:
    """Trajectories of the nets and of their ODEs, and the distance between them.

    Upper row: ResNets and the first-order ODE. Lower row: Momentum ResNets and the second-order
    ODE. Right: distance from the ODE on random fields, the median and all fields.

    Parameters
    ----------
    data : Figure3

    Returns
    -------
    matplotlib.figure.Figure
        8.8 by 4.0 inches.
    """
    with shared_style():
        figure = new_figure(8.8, 4.0)
        halves: Any = figure.subfigures(1, 2, width_ratios=(1.75, 1))
        left, right = halves
        columns = len(data.nets) + 1
        panels = left.subplots(2, columns, sharex=True, sharey=True, squeeze=False)
        for row, (axes, order) in enumerate(zip(panels, ("first", "second"), strict=True)):
            for ax, paths in zip(axes, (*data.nets, data.ode), strict=True):
                _draw_paths(ax, getattr(paths, order), layered=paths.depth > 0)
                ax.set_title(_title(paths, order, data.eps), fontsize=8.5)
            names = ("ResNet", "Momentum ResNet")
            axes[0].set_ylabel(f"{names[row]}\n$x$")
            for ax in axes[1:]:
                ax.tick_params(left=False)
        for ax in panels[-1]:
            ax.set_xlabel("time")
        _draw_convergence(right.subplots(), data)
    return figure


def animate(data: Figure3) -> FuncAnimation:
    """Both nets over their ODEs, one frame per depth.

    Parameters
    ----------
    data : Figure3

    Returns
    -------
    matplotlib.animation.FuncAnimation
    """
    with shared_style():
        figure = new_figure(5.6, 2.9)
        panels = figure.subplots(1, 2, sharey=True)
    held = [0, len(data.film) - 1]  # the first and the last depth stay for longer
    frames = [i for i in range(len(data.film)) for _ in range(6 if i in held else 3)]

    def show(index: int) -> list[Any]:
        paths = data.film[index]
        for ax, order, name in zip(
            panels, ("first", "second"), ("ResNet", "Momentum ResNet"), strict=True
        ):
            ax.clear()
            ode = np.array(getattr(data.ode, order)).T
            ax.plot(np.linspace(0, 1, INSTANTS), ode, color="#D8D8D8", linewidth=3)
            _draw_paths(ax, getattr(paths, order), layered=True)
            text = _title(paths, order, data.eps).replace("\n", ", ")
            ax.set_title(f"{name}\n{text}", fontsize=9)
            ax.set_xlabel("time (grey: the ODE)")
        panels[0].set_ylabel("$x$")
        return []

    return FuncAnimation(figure, show, frames=frames)


def _title(paths: Paths, order: str, eps: float) -> str:
    if paths.depth == 0:
        return (
            "neural ODE\n$\\dot{x} = f(x)$"
            if order == "first"
            else f"second order\n$\\varepsilon\\ddot{{x}} + \\dot{{x}} = f(x)$, "
            f"$\\varepsilon = {eps:g}$"
        )
    if order == "first":
        return f"$N = {paths.depth}$ layers"
    layers = paths.depth * eps
    counted = f"$1/(1-\\gamma) = {layers:g} = {paths.depth}\\,\\varepsilon$"
    return f"$\\gamma = {1 - 1 / layers:.4g}$\n{counted}"


def _draw_paths(axes: Axes, rows: Rows, *, layered: bool) -> None:
    time = np.linspace(0, 1, len(rows[0]))
    few = layered and len(time) <= 17
    for start, row in zip(STARTS, rows, strict=True):
        color = SHADE((start + 1) / 2)
        axes.plot(time, row, color=color, linewidth=1.2, marker="o" if few else "", ms=2.5)
    axes.set(xlim=(0, 1), ylim=(-REACH, REACH), xticks=(0, 1), yticks=(-1, 0, 1))


def _draw_convergence(axes: Axes, data: Figure3) -> None:
    depths = np.array(data.depths)
    lines = (
        ("fixed", rf"$\gamma = {FIXED_GAMMA:g}$ fixed," + "\nto first order", "orange"),
        ("second", "Momentum ResNet\nto second order", "blue"),
        ("first", "ResNet\nto first order", "vermilion"),
    )
    for name, text, color in lines:
        errors = np.array([getattr(c, name) for c in data.convergence])
        middle = np.median(errors, axis=0)
        axes.loglog(depths, errors.T, color=COLORS[color], linewidth=0.5, alpha=0.35)
        axes.loglog(depths, middle, ".-", color=COLORS[color], linewidth=1.6)
        axes.annotate(
            text,
            (depths[-1], middle[-1]),
            (4, 0),
            textcoords="offset points",
            color=COLORS[color],
            va="center",
            fontsize=8,
            annotation_clip=False,
        )
    axes.set(xlabel="depth $N$", ylabel="largest distance from the ODE")
