"""A survey: the probability that a random matrix is representable, against eps."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from odemom.checks import expect
from odemom.data.ensembles import ENSEMBLES
from odemom.experiments.survey import Survey
from odemom.plots.style import COLORS, new_figure, shared_style

__all__ = ["draw"]

# In the order of the dimensions, and then again with the next line style.
CYCLE = ("blue", "vermilion", "green", "purple", "orange", "sky", "grey")
STYLES = ("-", "--", ":", "-.")
LABELS = 10  # as many as an axis has room for
MOST_IN_A_ROW = 8  # entries of the legend
ENDS = {0: "0", math.inf: r"$\infty$"}


def draw(data: Survey) -> Figure:
    """One panel per ensemble, one line per dimension, with its 95 % confidence band.

    The axis of eps is logarithmic; 0 and inf, where they were asked for, stand apart at its ends.

    Parameters
    ----------
    data : Survey

    Returns
    -------
    matplotlib.figure.Figure
        7.2 inches wide, two panels per row.

    Raises
    ------
    InvalidInputError
        If ``data`` has no cells.

    Examples
    --------
    >>> from odemom.experiments.survey import EXPERIMENT, SurveyConfig
    >>> config = SurveyConfig(("ginibre",), (1, 2), (0, 1), samples=10)
    >>> len(draw(EXPERIMENT.compute(config)).axes)
    1
    """
    expect(bool(data.cells), "data", got="a survey without cells", expected="at least one cell")
    config = data.config
    columns = min(2, len(config.ensembles))
    rows = math.ceil(len(config.ensembles) / columns)
    eps = [float(value) for value in config.eps]
    with shared_style():
        figure = new_figure(7.2, 0.4 + 2.6 * rows)
        grid = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
        panels = list(grid.flat)
        for axes, ensemble in zip(panels, config.ensembles, strict=False):
            _draw_ensemble(axes, data, ensemble, eps)
        for axes in panels[len(config.ensembles) :]:
            axes.remove()
        drawn = panels[: len(config.ensembles)]
        for axes in drawn:
            axes.tick_params(labelbottom=True)
        for axes in drawn[-columns:]:  # the lowest of each column
            axes.set_xlabel(r"$\varepsilon$")
        for axes in drawn[::columns]:  # the first of each row
            axes.set_ylabel("probability")
        figure.suptitle("How likely a random matrix is representable", fontsize=10)
        lines, names = panels[0].get_legend_handles_labels()
        in_a_row = min(len(names), MOST_IN_A_ROW)
        figure.legend(
            lines, names, loc="outside lower center", ncols=in_a_row, fontsize=8, handlelength=1.6
        )
    return figure


def _draw_ensemble(axes: Axes, data: Survey, ensemble: str, eps: list[float]) -> None:
    x, ticks = positions(eps)
    cells = [cell for cell in data.cells if cell.ensemble == ensemble]
    for i, cell in enumerate(cells):
        color = COLORS[CYCLE[i % len(CYCLE)]]
        style = STYLES[i // len(CYCLE) % len(STYLES)]
        # bars as well as a band: a band alone is invisible at a single eps, and at 0 and inf
        p, low, high = (np.array(v) for v in (cell.probability, cell.low, cell.high))
        finite = [0 < e < math.inf for e in eps]
        axes.fill_between(x, low, high, where=finite, color=color, alpha=0.2, linewidth=0)
        axes.errorbar(x, p, (p - low, high - p), fmt="none", ecolor=color, elinewidth=0.7)
        label = f"$d = {cell.dimension}$"
        axes.plot(*apart(x, p, eps), f".{style}", color=color, linewidth=1.4, label=label)
    axes.set(ylim=(-0.03, 1.03))
    title = {"ha": "left", "va": "top", "fontsize": 9, "transform": axes.transAxes}
    axes.text(0.03, 0.97, ENSEMBLES[ensemble].title, **title)
    axes.set_xticks(list(ticks), list(ticks.values()))
    axes.set_xticks([at for at in x if at not in ticks], minor=True)
    _draw_breaks(axes, x, eps)


def _draw_breaks(axes: Axes, x: list[float], eps: list[float]) -> None:
    """Two strokes through the axis where 0 or inf stands apart from the masses between."""
    for i in range(1, len(eps)):
        if eps[i - 1] == 0 or eps[i] == math.inf:
            middle = (x[i - 1] + x[i]) / 2
            place: dict[str, Any] = {"transform": axes.get_xaxis_transform(), "clip_on": False}
            axes.plot([middle - 0.05, middle + 0.05], [0, 0], "w-", linewidth=3, **place)
            for at in (middle - 0.05, middle + 0.05):
                stroke = [(-0.5, -1), (0.5, 1)]
                axes.plot(at, 0, "k", marker=stroke, markersize=8, linestyle="none", **place)


def apart(x: list[float], p: np.ndarray, eps: list[float]) -> tuple[np.ndarray, np.ndarray]:
    """The points with gaps (nan) after eps = 0 and before inf: no line leads there.

    Examples
    --------
    >>> apart([-0.5, 0.0, 0.5], np.array([0.1, 0.2, 0.3]), [0.0, 1.0, math.inf])[1]
    array([0.1, nan, 0.2, nan, 0.3])
    """
    gaps = [i for i in range(1, len(eps)) if eps[i - 1] == 0 or eps[i] == math.inf]
    return np.insert(np.array(x), gaps, np.nan), np.insert(p, gaps, np.nan)


def positions(eps: list[float]) -> tuple[list[float], dict[float, str]]:
    """Where each eps stands, in decades, and the ticks; 0 and inf half a decade off the ends.

    Ticks stand at the masses that were asked for, labelled where there is room.

    Examples
    --------
    >>> positions([0.0, 0.25, 10.0])
    ([-1.102, -0.602, 1.0], {-1.102: '0', -0.602: '1/4', 1.0: '10'})
    """
    decades = [math.log10(value) for value in eps if 0 < value < math.inf] or [0.0]
    left, right = min(decades) - 0.5, max(decades) + 0.5
    x = [left if e == 0 else right if e == math.inf else math.log10(e) for e in eps]
    x = [round(at, 3) for at in x]
    room = (right - left) / LABELS
    ticks: dict[float, str] = {}
    between = [(at, mass) for at, mass in zip(x, eps, strict=True) if 0 < mass < math.inf]
    # the powers of two first: they are what a default survey has between its other masses
    for at, mass in sorted(between, key=lambda pair: (math.frexp(pair[1])[0] != 0.5, pair[0])):
        if all(abs(at - other) >= room for other in ticks):
            ticks[at] = mass_text(mass)
    ends = {at: ENDS[mass] for at, mass in zip(x, eps, strict=True) if mass in ENDS}
    return x, dict(sorted({**ticks, **ends}.items()))


def mass_text(mass: float) -> str:
    """A mass as a short fraction where it is one.

    Examples
    --------
    >>> mass_text(0.03125), mass_text(3.0), mass_text(0.123)
    ('1/32', '3', '0.123')
    """
    near = Fraction(mass).limit_denominator(99)
    return str(near) if float(near) == mass else f"{mass:.3g}"
