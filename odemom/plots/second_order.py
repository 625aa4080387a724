"""Second-order neural ODEs beside first-order ones, drawn from their numbers."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from odemom.experiments._spread import deviation
from odemom.experiments.second_order import Comparison, Fit
from odemom.plots.style import COLORS, new_figure, shared_style

__all__ = ["draw"]

MODELS = {
    "node": ("first order", "grey"),
    "anode": ("augmented", "green"),
    "sonode": ("SONODE", "orange"),
    "hbnode": ("heavy ball", "purple"),
    "momentum-rest": (r"momentum, $v_0 = 0$", "sky"),
    "momentum-field": (r"momentum, $v_0 = f(x_0)$", "blue"),
}
PROBLEMS = {
    "parity": r"$x \mapsto -x$",
    "spheres": "nested spheres",
    "released": "oscillators at rest",
    "thrown": "oscillators thrown",
}
DODGE = 0.17  # how far forward and backward stand apart on a row
SCATTER = 0.1  # how far the seeds scatter on a row


def draw(data: Comparison) -> Figure:
    """One column per problem: the test error above, the evaluations of f below.

    Parameters
    ----------
    data : Comparison

    Returns
    -------
    matplotlib.figure.Figure
        8.4 by 4.6 inches for four problems, narrower for fewer.
    """
    with shared_style():
        figure = new_figure(2.0 + 1.6 * len(data.problems), 4.6)
        grid = figure.subplots(2, len(data.problems), squeeze=False, sharey=True)
        for (above, below), problem in zip(grid.T, data.problems, strict=True):
            fits = [fit for fit in data.fits if fit.problem == problem]
            _draw_errors(above, fits)
            _draw_evaluations(below, fits)
            above.set_title(PROBLEMS[problem])
        _name_the_bound(grid[0], data)
        _name_the_ways(grid[1, 0], data.fits[0])
        rows = range(len(data.models))
        for axes in grid[:, 0]:
            axes.set_yticks(rows, [MODELS[model][0] for model in data.models])
        grid[0, 0].set_ylim(len(data.models) - 0.5, -0.5)
        for axes in grid.flat:
            axes.tick_params(axis="y", length=0)
            axes.set_axisbelow(True)
            for row in rows:
                axes.axhline(row, color="#E8E8E8", linewidth=0.8, zorder=0)
        budget = max(fit.parameters for fit in data.fits)
        figure.supxlabel(
            f"mean ± standard deviation of {len(data.fits[0].loss)} seeds, geometric on "
            f"logarithmic axes; small dots: seeds; at most {budget} parameters each",
            fontsize=8,
            color=COLORS["grey"],
        )
    return figure


def _draw_errors(axes: Axes, fits: Sequence[Fit]) -> None:
    classes = bool(fits[0].misclassified)
    for row, fit in enumerate(fits):
        values = np.array(fit.misclassified if classes else fit.loss)
        _dots(axes, values, row, COLORS[MODELS[fit.model][1]], logarithmic=not classes)
    if classes:
        axes.set(xlabel="test points misclassified", xlim=(-0.002, None))
        axes.xaxis.set_major_formatter(lambda share, _: f"{100 * share:g} %")
        axes.xaxis.set_major_locator(MaxNLocator(3))
        return
    axes.set(xscale="log", xlabel="test mean square error")
    bound = float(np.mean(fits[0].bound))
    axes.axvline(bound, color=COLORS["vermilion"], linewidth=1, linestyle="--", zorder=1)


def _name_the_bound(row: Sequence[Axes], data: Comparison) -> None:
    """Say once what the dashed lines are, where the models are far from it."""
    if "parity" not in data.problems:
        return
    axes = row[data.problems.index("parity")]
    axes.annotate(
        "bound of\nfirst order",
        (0.98, 0.03),
        xycoords="axes fraction",
        xytext=(-10, 0),
        textcoords="offset points",
        ha="right",
        fontsize=7,
        color=COLORS["vermilion"],
    )


def _draw_evaluations(axes: Axes, fits: Sequence[Fit]) -> None:
    for row, fit in enumerate(fits):
        color = COLORS[MODELS[fit.model][1]]
        for shift, counts, face in ((-DODGE, fit.forward, color), (DODGE, fit.backward, "white")):
            _dots(axes, np.array(counts, dtype=float), row + shift, color, face, seeds=False)
    axes.set(xlabel="evaluations of f", xlim=(0, None))
    axes.xaxis.set_major_locator(MaxNLocator(4, integer=True))


def _name_the_ways(axes: Axes, first: Fit) -> None:
    """Say once which dots are which, at the first row."""
    for shift, counts, word in (
        (-DODGE, first.forward, "forward"),
        (DODGE, first.backward, "backward"),
    ):
        axes.annotate(
            word,
            (float(np.mean(counts)), shift),
            xytext=(0, -4 if shift > 0 else 4),
            textcoords="offset points",
            ha="center",
            va="top" if shift > 0 else "bottom",
            fontsize=7,
            color=COLORS["grey"],
        )


def _dots(
    axes: Axes,
    values: np.ndarray,
    row: float,
    color: str,
    face: str | None = None,
    *,
    logarithmic: bool = False,
    seeds: bool = True,
) -> None:
    """The mean with its standard deviation (of the logarithms on such an axis), and the seeds."""
    scale = np.log(values) if logarithmic else values
    reach = deviation(scale)
    ends = np.array([scale.mean() - reach, scale.mean(), scale.mean() + reach])
    if logarithmic:
        ends = np.exp(ends)
    low, mean, high = ends
    axes.plot([low, high], [row, row], "-", color=color, linewidth=1.4, solid_capstyle="butt")
    axes.plot(mean, row, "o", color=color, markerfacecolor=face or color, markersize=5)
    if seeds:
        rows = row + SCATTER + SCATTER * np.cos(math.pi * np.arange(len(values)))
        axes.plot(values, rows + SCATTER, ".", color=color, markersize=2.5, alpha=0.6)
