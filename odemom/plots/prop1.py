"""Proposition 1, drawn: spectra in the plane, where nets attract, and iterations near there."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Circle, Ellipse

from odemom.experiments._fates import CASES, EXAMPLE_GAMMA, half_axis
from odemom.experiments.prop1 import Prop1
from odemom.plots.style import COLORS, new_figure, shared_style

__all__ = ["draw"]

NETS = {
    "RevNet": COLORS["vermilion"],
    "Momentum ResNet": COLORS["blue"],
    "ResNet": COLORS["green"],
}
DRAWN_GAMMAS = (0.6, 0.3, 0.0)
SHADES = ("#CFE3F1", "#9CC7E2", "#B9E0D2")
DISK = "#EFEFEF"


def draw(data: Prop1) -> Figure:
    """Spectra (above), the regions of kappa and the distances from the fixed point (below).

    Parameters
    ----------
    data : Prop1

    Returns
    -------
    matplotlib.figure.Figure
        7.2 by 5.8 inches.
    """
    with shared_style():
        figure = new_figure(7.2, 5.8)
        (pairs, spectra), (regions, iterations) = figure.subplots(2, 2)
        _draw_pairs(pairs, data)
        _draw_attracting(spectra, data)
        _draw_regions(regions)
        _draw_iterations(iterations, data)
    return figure


def _plane(axes: Axes, title: str, reach: float) -> None:
    axes.add_patch(Circle((0, 0), 1, facecolor=DISK, edgecolor="black", linewidth=0.8))
    axes.set(aspect="equal", xlim=(-reach, reach), ylim=(-reach, reach))
    axes.set(xlabel=r"Re $\lambda$", ylabel=r"Im $\lambda$")
    axes.set_title(title, fontsize=9)


def _draw_pairs(axes: Axes, data: Prop1) -> None:
    """The RevNet's eigenvalues lam, each joined to 1/conj(lam), which is an eigenvalue too."""
    re, im = np.array(data.example["RevNet"]).T
    _plane(
        axes,
        r"RevNet: for each $\lambda$ also $1/\overline{\lambda}$",
        1.05 * max(np.abs([*re, *im])),
    )
    outside = np.hypot(re, im) > 1
    ends = np.array([re, im])[:, outside]
    axes.plot(*np.stack([ends, ends / (ends**2).sum(axis=0)], axis=1), color=COLORS["grey"], lw=0.7)
    for chosen, face in ((outside, NETS["RevNet"]), (~outside, "white")):
        axes.plot(
            re[chosen], im[chosen], "o", color=NETS["RevNet"], markerfacecolor=face, markersize=4.5
        )


def _draw_attracting(axes: Axes, data: Prop1) -> None:
    _plane(axes, "both ResNets: all inside", 1.18)
    for net, marker in (("Momentum ResNet", "o"), ("ResNet", "^")):
        re, im = np.array(data.example[net]).T
        axes.plot(re, im, marker, color=NETS[net], markersize=4.5, linestyle="none")
    note = {"ha": "left", "fontsize": 8, "transform": axes.transAxes}
    axes.text(0.02, 1.0, "ResNet", color=NETS["ResNet"], va="top", **note)
    axes.text(0.02, 0.01, "Momentum", color=NETS["Momentum ResNet"], va="bottom", **note)


def _draw_regions(axes: Axes) -> None:
    """The ellipses of kappa, the parabolas of the twins, and the two cases followed."""
    reach = 1.75
    for gamma, shade in zip(DRAWN_GAMMAS, SHADES, strict=True):
        a = half_axis(gamma)
        edge = NETS["Momentum ResNet"] if gamma else NETS["ResNet"]
        axes.add_patch(Ellipse((-a, 0), 2 * a, 2, facecolor=shade, edgecolor=edge, linewidth=1.2))
        im = np.linspace(-1.2, 1.2, 101)
        axes.plot(-(im**2) / (1 - gamma), im, ":", color=edge, linewidth=1.1)
        axes.text(-1.84 * a, -0.4, rf"${gamma:g}$", color=edge, va="center")
    for name, (re, im) in CASES.items():
        axes.plot([re, re], [im, -im], "o", color="black", markersize=4)
        inside = name == "long steps"  # of a narrow part of the second ellipse
        axes.annotate(
            name.replace(" ", "\n") if inside else name,
            (re, im),
            (-4, 5) if inside else (6, 3),
            textcoords="offset points",
            fontsize=8,
            linespacing=0.9,
            ha="center" if inside else "left",
        )
    axes.text(
        0.02, 0.98, r"attracting for $\gamma=0$ (ResNet), $0.3$, $0.6$", fontsize=8, va="top",
        transform=axes.transAxes,
    )  # fmt: skip
    axes.text(0.02, 0.02, "dotted: their ODEs", fontsize=8, transform=axes.transAxes)
    axes.set(xlim=(-8.4, 1.6), ylim=(-reach, reach))
    axes.set(xlabel=r"Re $\kappa$", ylabel=r"Im $\kappa$")


def _draw_iterations(axes: Axes, data: Prop1) -> None:
    """Solid: long steps; dashed: turning; dotted: the RevNet that starts where it contracts."""
    for trace in data.traces:
        style = {"long steps": "-", "turning": "--", "rounded": ":"}.get(trace.case)
        if style is not None:
            distance = np.array(trace.distance)
            layers = np.arange(distance.size)
            axes.semilogy(layers, distance, style, color=NETS[trace.net], linewidth=1.4)
    axes.text(0.0, 1.0, "RevNet", color=NETS["RevNet"], transform=axes.transAxes, va="bottom")
    axes.text(0.3, 1.0, "ResNet", color=NETS["ResNet"], transform=axes.transAxes, va="bottom")
    axes.text(
        0.6, 1.0, rf"Momentum, $\gamma={EXAMPLE_GAMMA:g}$", color=NETS["Momentum ResNet"],
        transform=axes.transAxes, va="bottom",
    )  # fmt: skip
    axes.plot([], [], "-", color="black", label="long steps")
    axes.plot([], [], "--", color="black", label="turning")
    axes.plot([], [], ":", color="black", label="contracting start")
    axes.legend(fontsize=8, loc="lower left", handlelength=2, borderaxespad=0.1)
    axes.set(ylim=(1e-15, 1e3), xlim=(0, 60), xlabel="layer", ylabel="distance to the fixed point")
