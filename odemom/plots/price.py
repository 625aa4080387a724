"""The price of a value, drawn: the smallest |z| with psi(z) = mu."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from odemom.experiments.price import Prices
from odemom.plots.style import COLORS, new_figure, shared_style

__all__ = ["draw"]

HUES = ("vermilion", "blue", "green", "orange", "purple", "sky")


def draw(data: Prices) -> Figure:
    """|z| against mu: full for a single eigenvalue, dotted for two equal ones.

    Parameters
    ----------
    data : Prices

    Returns
    -------
    matplotlib.figure.Figure
    """
    with shared_style():
        figure = new_figure(5.6, 3.6)
        axes = figure.subplots()
        axes.axvspan(-3, 0, color="#F3F3F3", linewidth=0)
        for price, name in zip(data.flows, HUES, strict=True):
            hue, values = COLORS[name], np.array(price.values)
            for sizes, style in ((price.real, "-"), (price.pair, ":")):
                known = np.where(np.array(sizes) >= 0, sizes, np.nan)
                axes.plot(values, known, style, color=hue, linewidth=1.6)
            axes.plot([], [], color=hue, label=price.flow)
        axes.set(
            yscale="log",
            ylim=(0.03, 400),
            xlim=(-3, 3),
            xlabel="eigenvalue μ of D",
            ylabel="smallest |z| with ψ(z) = μ",
        )
        axes.text(-2.9, 0.04, "dotted: a conjugate pair,\nfor two equal eigenvalues", fontsize=8)
        figure.legend(loc="outside right upper", fontsize=8, handlelength=1.2)
    return figure
