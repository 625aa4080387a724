"""Where certainty ends, drawn from its numbers."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from odemom.experiments.borderline import NoiseTable
from odemom.plots.style import COLORS, new_figure, shared_style

__all__ = ["draw"]


def draw(data: NoiseTable) -> Figure:
    """The share of the matrices -I_2 + noise G that are certain, and of these representable.

    Parameters
    ----------
    data : NoiseTable

    Returns
    -------
    matplotlib.figure.Figure
        5.2 by 3.2 inches.

    Examples
    --------
    >>> from odemom.experiments.borderline import EXPERIMENT
    >>> len(draw(EXPERIMENT.compute(EXPERIMENT.quick)).axes)
    1
    """
    rows = [row for row in data.rows if row.noise > 0]
    noise = np.array([row.noise for row in rows])
    certain = np.array([row.certain for row in rows]) / data.samples
    yes = np.array([row.representable for row in rows]) / data.samples
    with shared_style():
        figure = new_figure(5.2, 3.2)
        axes = figure.subplots()
        axes.axvline(data.tol, color=COLORS["grey"], linestyle=":", linewidth=1)
        axes.annotate(
            f"tolerance {data.tol:.1e}",
            (data.tol, 1.02),
            (4, 0),
            textcoords="offset points",
            fontsize=8,
            color=COLORS["grey"],
        )
        axes.fill_between(noise, certain, 1, color="#E8E8E8", linewidth=0)
        axes.plot(noise, certain, ".-", color=COLORS["blue"])
        axes.plot(noise, yes, ".-", color=COLORS["green"])
        last = noise[-1]
        for value, text, color in (
            (certain[-1], "certain", COLORS["blue"]),
            (yes[-1], "certain and representable", COLORS["green"]),
        ):
            axes.annotate(
                text,
                (last, value),
                (0, -5),
                textcoords="offset points",
                ha="right",
                va="top",
                color=color,
                fontsize=8,
            )
        axes.annotate(
            "borderline: matrices within\nthe tolerance differ in the answer",
            (noise[0] * 3, 0.6),
            (1e-12, 0.6),
            va="center",
            fontsize=8,
            arrowprops={"arrowstyle": "-", "linewidth": 0.7},
        )
        axes.set(
            xscale="log",
            ylim=(0, 1.08),
            xlabel="noise, in −I₂ + noise · G with entries of G from N(0, 1)",
            ylabel="share of the matrices",
        )
    return figure
