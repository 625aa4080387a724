"""Figure 10 of the paper, drawn from its numbers, with the spectra that explain it."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Circle
from matplotlib.ticker import FixedLocator, NullFormatter, ScalarFormatter

from odemom.experiments.fig10 import Fig10
from odemom.plots.style import COLORS, new_figure, shared_style

__all__ = ["draw"]

METHODS = {
    "ISTA": (COLORS["grey"], ":"),
    "FISTA": (COLORS["grey"], "--"),
    "LISTA": (COLORS["green"], "-"),
    "momentum LISTA": (COLORS["blue"], "-"),
    "RevNet LISTA": (COLORS["vermilion"], "-"),
}
SHORT = {"momentum LISTA": "momentum", "RevNet LISTA": "RevNet"}
TICKS = (1, 2, 4, 8, 16)


def draw(data: Fig10) -> Figure:
    """The gap by depth, the ratio of momentum to LISTA, and spectra at learned fixed points.

    Parameters
    ----------
    data : Fig10

    Returns
    -------
    matplotlib.figure.Figure
        7.2 by 5.6 inches.
    """
    with shared_style():
        figure = new_figure(7.2, 5.6)
        (untied, tied), (ratio, spectra) = figure.subplots(2, 2)
        tied.sharey(untied)
        _draw_gaps(untied, data, tied=False)
        _draw_gaps(tied, data, tied=True)
        _draw_ratios(ratio, data)
        _draw_spectra(spectra, data)
    return figure


def _draw_gaps(axes: Axes, data: Fig10, *, tied: bool) -> None:
    """Geometric means over the dictionaries, from the smallest to the largest as a band."""
    ends: dict[str, float] = {}
    for method, (color, style) in METHODS.items():
        curve = data.curve(method, tied=tied and method not in ("ISTA", "FISTA"))
        gaps = np.array(curve.gaps)
        mean = np.exp(np.log(gaps).mean(axis=1))
        axes.fill_between(curve.depths, gaps.min(1), gaps.max(1), color=color, alpha=0.15, lw=0)
        axes.loglog(curve.depths, mean, style, color=color)
        ends[method] = float(mean[-1])
    for method, height in _apart(ends).items():
        axes.text(
            1.06 * data.curve("LISTA").depths[-1],
            height,
            SHORT.get(method, method),
            color=METHODS[method][0],
            va="center",
            fontsize=8,
        )
    _depth_axis(axes, data)
    axes.set_title("tied layers" if tied else "a layer each", fontsize=9)
    axes.set_ylabel(r"gap $\mathcal{L} - \mathcal{L}^*$")


def _apart(ends: dict[str, float], ratio: float = 1.5) -> dict[str, float]:
    """The heights of labels: those of the ends of the curves, upwards a ratio apart at least."""
    heights: dict[str, float] = {}
    for method in sorted(ends, key=lambda m: ends[m]):
        lowest = max(heights.values(), default=0.0) * ratio
        heights[method] = max(ends[method], lowest)
    return heights


def _depth_axis(axes: Axes, data: Fig10) -> None:
    deepest = data.curve("LISTA").depths[-1]
    axes.set_xscale("log", base=2)
    axes.xaxis.set_major_locator(FixedLocator([n for n in TICKS if n <= deepest]))
    axes.xaxis.set_major_formatter(ScalarFormatter())
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set(xlabel="depth", xlim=(0.95, 2.1 * deepest))


def _draw_ratios(axes: Axes, data: Fig10) -> None:
    """Every dictionary as a thin line; the mean with its interval; tied nets dashed."""
    momentum, lista = (data.curve(m) for m in ("momentum LISTA", "LISTA"))
    each = np.array(momentum.gaps) / np.array(lista.gaps)
    axes.axhline(1, color="black", linewidth=0.8)
    axes.plot(momentum.depths, each, color=COLORS["sky"], linewidth=0.6)
    for tied, style in ((False, "o-"), (True, "s--")):
        ratios = data.ratios("momentum LISTA", "LISTA", tied=tied)
        mean = np.array([r.mean for r in ratios.values()])
        spread = [
            [r.mean - r.low for r in ratios.values()],
            [r.high - r.mean for r in ratios.values()],
        ]
        color = COLORS["purple"] if tied else COLORS["blue"]
        axes.errorbar(
            list(ratios), mean, spread, fmt=style, color=color, markersize=3, linewidth=1.4
        )
        axes.annotate(
            "tied" if tied else "a layer each",
            (list(ratios)[-1], mean[-1]),
            (5, 0),
            textcoords="offset points",
            color=color,
            va="center",
            fontsize=8,
        )
    _depth_axis(axes, data)
    axes.set_yscale("log")
    axes.yaxis.set_major_locator(FixedLocator([0.125, 0.25, 0.5, 1.0, 2.0]))
    axes.yaxis.set_major_formatter("{x:g}")
    axes.yaxis.set_minor_formatter(NullFormatter())
    axes.set_title("momentum over LISTA, per dictionary", fontsize=9)
    axes.set_ylabel("ratio of the gaps")


def _draw_spectra(axes: Axes, data: Fig10) -> None:
    """Of the tied layers, at one learned fixed point each."""
    axes.add_patch(Circle((0, 0), 1, facecolor="#EFEFEF", edgecolor="black", linewidth=0.8))
    for method, marker, size in (
        ("RevNet LISTA", "D", 4),
        ("momentum LISTA", "o", 4),
        ("LISTA", "^", 4),
    ):
        found = data.curve(method, tied=True).fixed_points
        if found is not None:
            re, im = np.array(found.spectrum).T
            color = METHODS[method][0]
            axes.plot(re, im, marker, color=color, markersize=size, label=SHORT.get(method, method))
    axes.legend(fontsize=8, loc="upper right", handletextpad=0.1, borderaxespad=0)
    axes.set(aspect="equal", xlim=(-1.2, 3.2), ylim=(-1.3, 1.5))
    axes.set(xlabel=r"Re $\lambda$", ylabel=r"Im $\lambda$")
    axes.set_title("spectra at learned fixed points", fontsize=9)
