"""Accuracy and function evaluations of first- and second-order networks, epoch by epoch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from odemom.experiments._spread import deviation
from odemom.experiments.digits import Digits
from odemom.plots.style import COLORS, new_figure, shared_style

__all__ = ["draw", "draw_histories"]


def draw(data: Digits) -> Figure:
    """One line per order, the mean over the seeds, with a band of one standard deviation.

    Parameters
    ----------
    data : Digits

    Returns
    -------
    matplotlib.figure.Figure
        7.2 by 2.8 inches.
    """
    return draw_histories(
        {
            f"order {order}": [list(run.history) for run in data.runs if run.order == order]
            for order in data.orders
        }
    )


def draw_histories(histories: Mapping[str, Sequence[Sequence[Mapping[str, float]]]]) -> Figure:
    """Validation accuracy on the left, function evaluations on the right.

    Parameters
    ----------
    histories : mapping of str to sequence of sequence of mapping
        Name -> trainings -> one row per epoch, with the keys ``epoch``, ``validation_accuracy`` and
        ``nfe``, as in ``TrainingResult.history``.

    Returns
    -------
    matplotlib.figure.Figure
        7.2 by 2.8 inches.

    Examples
    --------
    >>> row = {"epoch": 1, "validation_accuracy": 0.9, "nfe": 40.0}
    >>> len(draw_histories({"order 2": [[row]]}).axes)
    2
    """
    panels = (("validation_accuracy", "validation accuracy"), ("nfe", "evaluations of f per pass"))
    colors = (COLORS["vermilion"], COLORS["blue"], COLORS["green"], COLORS["purple"])
    with shared_style():
        figure = new_figure(7.2, 2.8)
        for axes, (key, label) in zip(figure.subplots(1, 2), panels, strict=True):
            for i, (name, trainings) in enumerate(histories.items()):
                color = colors[i % len(colors)]
                epochs = [row["epoch"] for row in trainings[0]]
                values = np.array([[row[key] for row in rows] for rows in trainings])
                mean, spread = values.mean(axis=0), deviation(values, 0)
                axes.fill_between(
                    epochs, mean - spread, mean + spread, color=color, alpha=0.2, lw=0
                )
                axes.plot(epochs, mean, ".-", color=color, label=name)
            axes.set(xlabel="epoch", ylabel=label)
            axes.xaxis.set_major_locator(MaxNLocator(integer=True))
            axes.legend()
        figure.axes[0].yaxis.set_major_formatter(PercentFormatter(1.0))
        figure.axes[1].set_ylim(bottom=0)
    return figure
