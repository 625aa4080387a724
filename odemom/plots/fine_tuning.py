"""A ResNet and its twin refitted to other classes, drawn from their numbers: every seed a dot."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from odemom.experiments.fine_tuning import FineTuning
from odemom.plots.style import COLORS, new_figure, shared_style

__all__ = ["draw"]

SHADES = (COLORS["vermilion"], COLORS["blue"], COLORS["sky"], COLORS["green"])


def draw(data: FineTuning) -> Figure:
    """Accuracies before the refit on the old classes, and after it on the new ones.

    Parameters
    ----------
    data : FineTuning

    Returns
    -------
    matplotlib.figure.Figure
        7.2 by 2.5 inches.
    """
    names = ["ResNet" if gamma == 0 else f"twin, $\\gamma = {gamma:g}$" for gamma in data.gammas]
    columns = (
        ("as it is, old classes", [data.as_they_are(g) for g in data.gammas]),
        ("refitted, new classes", [data.accuracies("weights", g) for g in data.gammas]),
        ("from fresh weights, new", [data.accuracies("fresh", g) for g in data.gammas]),
    )
    with shared_style():
        figure = new_figure(7.2, 2.2)
        for axes, (title, rows) in zip(
            figure.subplots(1, 3, sharex=True, sharey=True), columns, strict=True
        ):
            _dots(axes, rows)
            axes.set_title(title)
            axes.set(yticks=range(len(names)), yticklabels=names, ylim=(len(names) - 0.5, -0.7))
            axes.xaxis.set_major_locator(MaxNLocator(4))
        figure.supxlabel(f"test accuracy, %, {data.source}, {data.family}", fontsize=9)
    return figure


def _dots(axes: Axes, rows: list[np.ndarray]) -> None:
    for row, accuracies in enumerate(rows):
        color, values = SHADES[row % len(SHADES)], 100 * accuracies
        axes.plot(values, np.full(len(values), row), "o", color=color, ms=4, alpha=0.45, mew=0)
        axes.plot([values.mean()], [row], "|", color=color, ms=16, mew=2)
        axes.annotate(
            f"{values.mean():.1f}", (values.mean(), row), (0, 10), va="bottom", ha="center",
            textcoords="offset points", color=color,
        )  # fmt: skip
    axes.margins(x=0.25)
