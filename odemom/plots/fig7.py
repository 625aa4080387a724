"""Figure 7 of the paper, drawn from its numbers: memory against batch, accuracy against memory."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from odemom.experiments._spread import deviation
from odemom.experiments.fig7 import KINDS, Memory
from odemom.plots.style import COLORS, new_figure, shared_style

__all__ = ["draw"]

LOOKS = dict(zip(KINDS, (COLORS["vermilion"], COLORS["blue"]), strict=True))
NAMES = {"ResNet": "ResNet", "twin": "momentum twin"}


def draw(data: Memory) -> Figure:
    """The peak of a step by the batch on the left; accuracy by the peak on the right.

    Parameters
    ----------
    data : Memory

    Returns
    -------
    matplotlib.figure.Figure
        7.2 by 2.9 inches.
    """
    with shared_style():
        figure = new_figure(7.2, 2.9)
        left, right = figure.subplots(1, 2)
        for kind in KINDS:
            peaks, color = data.megabytes(kind), LOOKS[kind]
            left.plot(data.batches, peaks, "o-", color=color, ms=4.5)
            left.annotate(
                f"{NAMES[kind]}\n{peaks[-1]:,.0f} MB", (data.batches[-1], peaks[-1]), (6, 0),
                textcoords="offset points", va="bottom" if kind == "twin" else "center",
                color=color, annotation_clip=False,
            )  # fmt: skip
            networks = [n for n in data.networks if n.kind == kind]
            x = [n.step.peak / 1e6 for n in networks]
            y = [100 * n.accuracies.mean() for n in networks]
            spread = [100 * deviation(n.accuracies) for n in networks]
            right.errorbar(
                x, y, spread, fmt="o-", color=color, ms=4.5, capsize=2.5, label=NAMES[kind]
            )
            twin = kind == "twin"
            for network, place in zip(networks, zip(x, y, strict=True), strict=True):
                right.annotate(
                    str(network.depth), place, (-7, 0) if twin else (5, 3),
                    textcoords="offset points", ha="right" if twin else "left",
                    va="center" if twin else "bottom", color=color,
                )  # fmt: skip
        left.set(xlabel="images of a step", ylabel=f"memory of a step, MB, depth {data.deep:,}")
        left.set_xlim(0, 1.05 * data.batches[-1])
        left.set_ylim(bottom=0)
        right.set(
            xlabel=f"memory of a step, MB, {data.batch_size} images",
            ylabel=f"test accuracy, %\n{data.source}",
        )
        right.margins(0.2, 0.3)
        right.legend(loc="best", handlelength=1.2)
        right.set_xlim(left=min(0.0, np.min(right.get_xlim())))
        right.set_title("depths beside the points")
    return figure
