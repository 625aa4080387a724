"""Table 2 of the paper, drawn from its numbers: accuracy, memory and time, network by network."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from odemom.experiments.table2 import KINDS, Table
from odemom.plots.style import COLORS, new_figure, shared_style

__all__ = ["draw"]

LOOKS = dict(
    zip(
        KINDS,
        (COLORS["vermilion"], COLORS["blue"], COLORS["sky"], COLORS["green"]),
        strict=True,
    )
)


def draw(data: Table) -> Figure:
    """Accuracies with every seed as a dot; memory and time of a step as bars.

    Parameters
    ----------
    data : Table

    Returns
    -------
    matplotlib.figure.Figure
        7.2 by 2.5 inches.
    """
    with shared_style():
        figure = new_figure(7.2, 2.5)
        left, middle, right = figure.subplots(1, 3, sharey=True)
        for row, kind in enumerate(KINDS):
            network, color = data[kind], LOOKS[kind]
            values = 100 * network.accuracies
            left.plot(values, np.full(len(values), row), "o", color=color, ms=4, alpha=0.45, mew=0)
            left.plot([values.mean()], [row], "|", color=color, ms=16, mew=2)
            left.annotate(
                f"{values.mean():.1f}", (values.mean(), row), (0, 10), va="bottom", ha="center",
                textcoords="offset points", color=color,
            )  # fmt: skip
            for axes, value in (
                (middle, network.step.peak / 1e6),
                (right, 1e3 * network.step.seconds),
            ):
                axes.barh(row, value, 0.55, color=color)
                axes.annotate(
                    f"{value:,.0f}", (value, row), (3, 0), va="center", textcoords="offset points"
                )
        left.set(
            yticks=range(len(KINDS)), yticklabels=KINDS, ylim=(len(KINDS) - 0.5, -0.7),
            xlabel=f"test accuracy, %\n{data.source}",
        )  # fmt: skip
        left.margins(x=0.25)
        middle.set_xlabel(f"memory of a step, MB\nbatch {data.step_batch}")
        right.set_xlabel(f"time of a step, ms\n{data.family}")
        for axes in (middle, right):
            axes.margins(x=0.25)
        for axes in (left, middle, right):
            axes.xaxis.set_major_locator(MaxNLocator(4))
    return figure
