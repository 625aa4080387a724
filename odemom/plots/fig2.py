"""Figure 2 of the paper, drawn from its numbers: memory against depth."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullFormatter

from odemom.experiments.fig2 import Memory
from odemom.plots.style import COLORS, new_figure, shared_style

__all__ = ["draw"]

# method -> (name on the picture, colour, marker, dash)
LOOKS = {
    "plain": ("activations stored", COLORS["vermilion"], "o", "-"),
    "momentumnet": ("momentumnet", COLORS["purple"], "D", (0, (4, 2))),
    "checkpointed": ("checkpointed", COLORS["orange"], "s", "-"),
    "reversible": ("reversible (odemom)", COLORS["blue"], "o", "-"),
}


def draw(data: Memory) -> Figure:
    """The peak of a training step against the depth, one line per method, both axes logarithmic.

    Parameters
    ----------
    data : Memory

    Returns
    -------
    matplotlib.figure.Figure
        5.4 by 3.4 inches.

    Examples
    --------
    >>> from odemom.experiments.fig2 import Memory, Step
    >>> steps = [Step("plain", k, 0, False, 2.0 * k, 1.0, 0.0) for k in (10, 100)]
    >>> len(draw(Memory((10, 100), 500, 500, "VmHWM", tuple(steps))).axes)
    1
    """
    depths = np.array(data.depths)
    with shared_style():
        figure = new_figure(5.4, 3.4)
        axes = figure.subplots()
        for method, (name, color, marker, dash) in LOOKS.items():
            if method not in data.methods:
                continue
            peaks = data.peaks(method)
            mean, wide = peaks.mean(axis=1), 2.6 if method == "reversible" else 1.8
            axes.fill_between(
                depths, peaks.min(axis=1), peaks.max(axis=1), color=color, alpha=0.2, lw=0
            )
            hollow = {"markerfacecolor": "white"} if method == "momentumnet" else {}
            axes.loglog(
                depths, mean, marker=marker, linestyle=dash, color=color, ms=5, lw=wide, **hollow
            )
            above = method == "momentumnet"
            axes.annotate(
                f"{name}\n{mean[-1]:,.0f} MB",
                (depths[-1], mean[-1]),
                (8, 12 if above else -4 if method == "plain" else 0),
                textcoords="offset points",
                va="bottom" if above else "top" if method == "plain" else "center",
                color=color,
                annotation_clip=False,
            )
        axes.set(
            xlabel="depth $k$ (number of residual functions)",
            ylabel="memory of a training step, MB",
            xlim=(depths[0] / 1.15, depths[-1] * 1.15),
        )
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
            axis.set_minor_formatter(NullFormatter())
    return figure
