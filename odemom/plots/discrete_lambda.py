"""The threshold of Momentum ResNets against depth, drawn from its numbers."""

from __future__ import annotations

import math

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import NullFormatter

from odemom.experiments.discrete_lambda import DiscreteLambda, NetGraph, NetThresholds
from odemom.plots.style import COLORS, new_figure, shared_style

__all__ = ["draw"]

CYCLE = ("blue", "vermilion", "green", "purple", "orange", "sky")
ODE = "its ODE\non $[0, N]$,\n" + r"$\varepsilon = 1/(1 - \gamma)$"
LEAST = "net: least value,\nhollow: an artefact"
ARTEFACT = "#A6A6A6"
SMALLEST = 1e-3  # what is nearer to 0 than this is left out: it is 0 for every use


def draw(data: DiscreteLambda) -> Figure:
    """Left, how far below 0 the nets reach against depth; right, why, in the graph of one psi.

    Parameters
    ----------
    data : DiscreteLambda

    Returns
    -------
    matplotlib.figure.Figure
        7.6 by 3.9 inches.

    Examples
    --------
    >>> from odemom.experiments.discrete_lambda import EXPERIMENT
    >>> len(draw(EXPERIMENT.compute(EXPERIMENT.quick)).axes)
    2
    """
    with shared_style():
        figure = new_figure(7.6, 3.9)
        left, right = figure.subplots(1, 2)
        for color, curve in zip(_colors(len(data.curves)), data.curves, strict=True):
            _draw_curve(left, curve, color)
        _finish_curves(left, data)
        _draw_graph(right, data.example)
    return figure


def _colors(count: int) -> list[str]:
    return [COLORS[CYCLE[i % len(CYCLE)]] for i in range(count)]


def _draw_curve(axes: Axes, curve: NetThresholds, color: str) -> None:
    depths, artefact = np.array(curve.depths), np.array(curve.artefact)
    reach = -np.array(curve.net)
    grey = {"color": ARTEFACT, "linewidth": 1.1, "zorder": 1}
    axes.plot(depths, reach, "-", **grey)
    axes.plot(depths[artefact], reach[artefact], "o", markerfacecolor="white", markersize=3, **grey)
    axes.plot(depths[~artefact], reach[~artefact], "o", color=color, markersize=4.5)
    axes.plot(depths, -np.array(curve.ode), "-", color=color, linewidth=1.5)
    axes.plot(depths, -np.array(curve.first_minimum), ":", color=color, linewidth=1.5)


def _finish_curves(axes: Axes, data: DiscreteLambda) -> None:
    momenta = [
        Line2D([], [], color=color, linewidth=3, label=rf"$\gamma = {float(curve.gamma):g}$")
        for color, curve in zip(_colors(len(data.curves)), data.curves, strict=True)
    ]
    axes.legend(handles=momenta, loc="lower left", handlelength=1.2)
    highest = max(-min(curve.net) for curve in data.curves)
    axes.set(
        xscale="log",
        yscale="log",
        title="Reach below 0 of an unpaired eigenvalue",
        xlabel=r"depth $N$, even (odd depth: anywhere, $\lambda = -\infty$)",
        ylabel=r"$-\lambda$, the threshold's distance below 0",
        ylim=(SMALLEST, max(2.0, 2 * highest)),
    )
    axes.xaxis.set_major_formatter("{x:g}")
    axes.xaxis.set_minor_formatter(NullFormatter())
    _name_kinds(axes, data)


def _name_kinds(axes: Axes, data: DiscreteLambda) -> None:
    """One curve of each kind by its name, where it lies."""
    colors = _colors(len(data.curves))
    middle, first, last = len(data.curves) // 2, 0, len(data.curves) - 1
    kinds = (
        (middle, "ode", ODE, colors[middle], 0.96, (-12, -3)),
        (first, "first_minimum", "net:\nfirst minimum", colors[first], 0.5, (-10, -6)),
        (last, "net", LEAST, "#666666", 0.5, (-8, 12)),
    )
    for i, field, name, color, share, offset in kinds:
        curve = data.curves[i]
        values = -np.array(getattr(curve, field))
        seen = np.flatnonzero(values > SMALLEST)
        if len(seen) == 0:
            continue
        at = seen[int(share * (len(seen) - 1))]
        axes.annotate(
            name,
            (curve.depths[at], values[at]),
            xytext=offset,
            textcoords="offset points",
            ha="right",
            va="center",
            fontsize=8,
            color=color,
        )


def _draw_graph(axes: Axes, graph: NetGraph) -> None:
    angle, low = np.array(graph.angle), graph.minimum[1]
    ends = rf"from {graph.z[0]:.2g} to {graph.z[-1]:.3g}".replace("-", "\N{MINUS SIGN}")
    axes.axhline(0, color=COLORS["grey"], linewidth=0.6)
    axes.axvspan(math.pi / 2, math.pi, color="#EFEFEF", linewidth=0)
    net, fine = np.array(graph.net), angle <= math.pi / 2
    axes.plot(angle, graph.ode, "--", color="black", linewidth=1.3)
    axes.plot(angle[~fine], net[~fine], "-", color=ARTEFACT, linewidth=1.3)
    axes.plot(angle[fine], net[fine], "-", color=COLORS["vermilion"], linewidth=1.3)
    for point, color, face, text, offset, align in (
        (graph.first_minimum, COLORS["vermilion"], None, "first minimum", (-2, -26), "left"),
        (graph.minimum, ARTEFACT, "white", "least value", (-8, -4), "right"),
    ):
        axes.plot(*point, "o", color=color, markerfacecolor=face or color, markersize=5)
        axes.annotate(
            f"{text}: {point[1]:.2f}".replace("-", "\N{MINUS SIGN}"),
            point,
            xytext=offset,
            textcoords="offset points",
            ha=align,
            fontsize=8,
        )
    axes.text(
        0.75 * math.pi,
        -0.95 * low,
        "fewer than 4 layers\nto an oscillation",
        ha="center",
        va="top",
        fontsize=8,
        color=COLORS["grey"],
    )
    axes.set(
        xlim=(0, math.pi),
        ylim=(1.2 * low, -low),
        title=rf"Why: $\psi$ at $\gamma = {float(graph.gamma):g}$, $N = {graph.depth}$",
        xlabel="turn of the state per layer\n" + rf"($\theta$ {ends})",
        ylabel=r"$\psi(\theta)$: net, and its ODE (dashed)",
    )
    axes.set_xticks(
        [0, math.pi / 4, math.pi / 2, 3 * math.pi / 4, math.pi],
        ["0°", "45°", "90°", "135°", "180°"],
    )
