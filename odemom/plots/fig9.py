"""Figure 9 of the paper, drawn from its numbers: accuracy against channels."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, NullLocator, ScalarFormatter

from odemom.experiments._spread import deviation
from odemom.experiments.fig9 import KINDS, Accuracies
from odemom.plots.style import COLORS, new_figure, shared_style

__all__ = ["draw"]

LOOKS = {
    "no block": (COLORS["grey"], (0, (3, 2)), "s"),
    "first order": (COLORS["vermilion"], "-", "o"),
    "second order": (COLORS["blue"], "-", "o"),
}


def draw(data: Accuracies) -> Figure:
    """Test accuracy against the number of channels, with a bar of one standard deviation.

    Parameters
    ----------
    data : Accuracies

    Returns
    -------
    matplotlib.figure.Figure
        4.8 by 3.2 inches.
    """
    with shared_style():
        figure = new_figure(4.8, 3.2)
        axes = figure.subplots()
        channels = np.array(data.channels)
        ends = {}
        for n, kind in enumerate(KINDS):
            values = 100 * data.accuracies(kind)
            mean, spread = values.mean(axis=1), deviation(values, 1)
            color, dash, marker = LOOKS[kind]
            x = channels * 1.02 ** (n - 1)  # bars side by side
            axes.errorbar(x, mean, spread, color=color, ls=dash, marker=marker, ms=4.5, capsize=2.5)
            ends[kind] = mean[-1]
        for kind, y in _apart(ends, axes.get_ylim()).items():
            axes.annotate(
                kind, (channels[-1] * 1.02, y), (9, 0), textcoords="offset points", va="center",
                color=LOOKS[kind][0], annotation_clip=False,
            )  # fmt: skip
        axes.set_xscale("log", base=2)
        axes.xaxis.set_major_locator(FixedLocator(list(channels)))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.xaxis.set_major_formatter(ScalarFormatter())
        axes.set(xlabel="channels $C$ of the state", ylabel=f"test accuracy, %, {data.source}")
    return figure


def _apart(ends: dict[str, float], limits: tuple[float, float]) -> dict[str, float]:
    """The heights of the labels, moved up where they would overlap."""
    least, placed, below = 0.065 * (limits[1] - limits[0]), {}, -np.inf
    for kind in sorted(ends, key=lambda k: ends[k]):
        below = placed[kind] = max(ends[kind], below + least)
    return placed
