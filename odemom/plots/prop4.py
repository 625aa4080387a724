"""Terms that the series of psi needs and digits that its forms lose, drawn from their numbers."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from odemom.experiments.prop4 import METHODS, TOLERANCES, Digits
from odemom.plots.style import COLORS, new_figure, shared_style

__all__ = ["draw"]

HUES = {
    "auto": COLORS["blue"],
    "closed": COLORS["vermilion"],
    "companion": COLORS["orange"],
    "series": COLORS["green"],
}
NAMES = {
    "auto": "odemom.psi",
    "closed": "closed form",
    "companion": "companion matrix",
    "series": "series",
}


def draw(data: Digits) -> Figure:
    """Errors term by term, terms against eps, and errors in double precision against eps.

    Parameters
    ----------
    data : Digits

    Returns
    -------
    matplotlib.figure.Figure
        9.6 by 3.1 inches.
    """
    with shared_style():
        figure = new_figure(9.6, 3.1)
        left, middle, right = figure.subplots(1, 3)
        _draw_curves(left, data)
        _draw_terms(middle, data)
        _draw_errors(right, data)
    return figure


def _draw_curves(axes: Axes, data: Digits) -> None:
    shades = ("black", COLORS["blue"], COLORS["sky"], COLORS["green"], COLORS["orange"])
    for curve, color in zip(data.curves, shades, strict=True):
        terms = np.arange(1, len(curve.errors) + 1)
        axes.semilogy(terms, curve.errors, color=color, linewidth=1.4)
        place = int(np.argmax(np.array(curve.errors) < 1e-9))
        last = curve is data.curves[-1]  # on its left there is room
        axes.annotate(
            f"{curve.eps:g}",
            (terms[place], curve.errors[place]),
            xytext=(-5 if last else 3, 2),
            textcoords="offset points",
            ha="right" if last else "left",
            color=color,
            fontsize=8,
        )
    axes.set(
        xlabel="terms of the series",
        ylabel=r"relative error of the partial sum",
        ylim=(1e-17, 5),
        title=r"Exact arithmetic, by $\varepsilon$",
    )


def _draw_terms(axes: Axes, data: Digits) -> None:
    eps, terms = np.array(data.eps), data.counts("terms")
    for j, tolerance in reversed(list(enumerate(TOLERANCES))):
        color = (COLORS["sky"], COLORS["orange"], COLORS["blue"])[j]
        axes.loglog(eps, terms[..., j].mean(axis=1), color=color, linewidth=1.4)
        axes.annotate(
            rf"$10^{{{round(np.log10(tolerance))}}}$",
            (eps[-1], terms[-1, :, j].mean()),
            xytext=(3, 0),
            textcoords="offset points",
            va="center",
            color=color,
            fontsize=8,
        )
    bounds = data.counts("bounds")[..., -1].max(axis=1)
    axes.loglog(eps, bounds, ":", color=COLORS["blue"], linewidth=1.2)
    small = eps <= 0.05
    axes.loglog(eps[small], 1 / (4 * eps[small]), "--", color=COLORS["grey"], linewidth=1.2)
    axes.text(2e-3, 40, r"$1/(4\varepsilon)$", color=COLORS["grey"], ha="right", va="top")
    axes.set(
        xlabel=r"$\varepsilon$",
        ylabel="terms",
        title="Terms for a relative error",
    )


def _draw_errors(axes: Axes, data: Digits) -> None:
    eps = np.array(data.eps)
    for method in METHODS:
        errors = data.errors(method)
        finite = np.isfinite(errors).all(axis=1)
        axes.loglog(
            eps[finite],
            errors[finite].max(axis=1),
            color=HUES[method],
            linewidth=1.4,
            label=NAMES[method],
        )
        if not finite.all():
            axes.annotate(
                "out of\nrange",
                (eps[finite][0], errors[finite].max(axis=1)[0]),
                xytext=(-1, -2),
                textcoords="offset points",
                ha="right",
                va="top",
                color=HUES[method],
                fontsize=8,
            )
    axes.legend(fontsize=8, handlelength=1.4)
    axes.set(
        xlabel=r"$\varepsilon$",
        ylabel=r"largest relative error",
        title="Double precision",
    )
