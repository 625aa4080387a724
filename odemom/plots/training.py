"""Validation accuracy and function evaluations of trainings, epoch by epoch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from odemom.plots.style import COLORS, new_figure, shared_style

__all__ = ["draw"]


def draw(histories: Mapping[str, Sequence[Mapping[str, float]]]) -> Figure:
    """One line a training: accuracy on the left, function evaluations on the right.

    Parameters
    ----------
    histories : mapping of str to sequence of mapping
        Name -> rows an epoch, with the keys ``epoch``, ``validation_accuracy`` and ``nfe``, as in
        ``TrainingResult.history``.

    Returns
    -------
    matplotlib.figure.Figure
        7.2 by 2.8 inches.

    Examples
    --------
    >>> row = {"epoch": 1, "validation_accuracy": 0.9, "nfe": 40.0}
    >>> len(draw({"order 2": [row]}).axes)
    2
    """
    panels = (("validation_accuracy", "validation accuracy"), ("nfe", "evaluations of f a pass"))
    colors = (COLORS["vermilion"], COLORS["blue"], COLORS["green"], COLORS["purple"])
    with shared_style():
        figure = new_figure(7.2, 2.8)
        for axes, (key, label) in zip(figure.subplots(1, 2), panels, strict=True):
            for i, (name, rows) in enumerate(histories.items()):
                epochs = [row["epoch"] for row in rows]
                values = [row[key] for row in rows]
                axes.plot(epochs, values, ".-", color=colors[i % len(colors)], label=name)
            axes.set(xlabel="epoch", ylabel=label)
            axes.xaxis.set_major_locator(MaxNLocator(integer=True))
            axes.legend()
        figure.axes[0].yaxis.set_major_formatter(PercentFormatter(1.0))
        figure.axes[1].set_ylim(bottom=0)
    return figure
