"""Figure 8 of the paper, drawn from its numbers: accuracy against time under a cap on memory."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from odemom.experiments.fig8 import KINDS, UnderACap
from odemom.plots.style import COLORS, new_figure, shared_style

__all__ = ["draw"]

LOOKS = {"ResNet": COLORS["vermilion"], "twin": COLORS["blue"]}
NAMES = {"ResNet": "ResNet", "twin": "momentum twin"}


def draw(data: UnderACap) -> Figure:
    """Test accuracy after each epoch by the seconds of training, one line per network.

    Parameters
    ----------
    data : UnderACap

    Returns
    -------
    matplotlib.figure.Figure
        5.2 by 3.1 inches.
    """
    with shared_style():
        figure = new_figure(5.2, 3.1)
        axes = figure.subplots()
        for kind in KINDS:
            network, color = data[kind], LOOKS[kind]
            for run in network.runs if len(network.runs) > 1 else ():
                axes.plot(run.seconds, 100 * np.array(run.accuracies), color=color, lw=0.7)
            x, y = network.seconds, 100 * network.accuracies
            name = f"{NAMES[kind]}, {network.batch} images per step"
            axes.plot(x, y, "o-", color=color, ms=4, label=name)
        axes.set(
            xlabel="seconds of training",
            ylabel=f"test accuracy, %, {data.source}",
            title=f"{data.family}, {data.megabytes} MB for a step",
        )
        axes.set_xlim(left=0)
        figure.legend(loc="outside lower center", ncols=2, fontsize=8, labelcolor="linecolor")
    return figure
