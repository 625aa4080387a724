"""A survey: the probability that a random matrix is representable, against eps."""

from __future__ import annotations

import math

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
        for axes in grid[:, 0]:
            axes.set_ylabel("probability")
        panels[0].legend(fontsize=8, handlelength=1.6)
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
    axes.set(title=ENSEMBLES[ensemble].title, xlabel=r"$\varepsilon$", ylim=(-0.03, 1.03))
    axes.set_xticks(list(ticks), list(ticks.values()))


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

    Examples
    --------
    >>> positions([0.0, 0.1, 10.0])
    ([-1.5, -1.0, 1.0], {-1.5: '0', -1: '$10^{-1}$', 0: '$10^{0}$', 1: '$10^{1}$'})
    """
    decades = [math.log10(value) for value in eps if 0 < value < math.inf] or [0.0]
    left, right = min(decades) - 0.5, max(decades) + 0.5
    x = [left if e == 0 else right if e == math.inf else math.log10(e) for e in eps]
    step = max(1, math.ceil((right - left) / 8))
    ticks: dict[float, str] = {left: "0"} if 0 in eps else {}
    for decade in range(math.ceil(min(decades)), math.floor(max(decades)) + 1, step):
        ticks[decade] = f"$10^{{{decade}}}$"
    if math.inf in eps:
        ticks[right] = r"$\infty$"
    return x, ticks
