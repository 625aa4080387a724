"""Orders of convergence in eps and the boundary layer of the velocity, drawn from their numbers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from odemom.experiments.prop2 import LAYER_EPS, VELOCITIES, Limits
from odemom.plots.style import COLORS, new_figure, shared_style

__all__ = ["draw"]

NAMES = {"zero": "$v_0 = 0$", "field": "$v_0 = f(x_0)$", "random": "$v_0$ random"}
HUES = {"zero": COLORS["blue"], "field": COLORS["green"], "random": COLORS["vermilion"]}
LAYER_HUES = (COLORS["sky"], COLORS["blue"], "black")


def draw(data: Limits) -> Figure:
    """Left, distances from both limits against eps; right, velocities in the boundary layer.

    Parameters
    ----------
    data : Limits

    Returns
    -------
    matplotlib.figure.Figure
        8.4 by 3.5 inches.
    """
    with shared_style():
        figure = new_figure(8.4, 3.5)
        left, right = figure.subplots(1, 2, width_ratios=(1.5, 1))
        _draw_rates(left, data)
        _draw_layer(right, data)
    return figure


def _draw_rates(axes: Axes, data: Limits) -> None:
    for eps, plain, corrected in (
        (data.small_eps, "small", "small_corrected"),
        (data.large_eps, "large", "large_corrected"),
    ):
        for name, style in ((plain, "-"), (corrected, "--")):
            for i, velocity in enumerate(VELOCITIES):
                _draw_errors(axes, eps, [getattr(f, name)[i] for f in data.fields], velocity, style)
    axes.axvline(1, ymin=0.33, color=COLORS["grey"], linewidth=0.8)
    axes.set(
        xscale="log",
        yscale="log",
        xlabel=r"$\varepsilon$",
        ylabel=r"largest distance on $[0, 1]$",
        xlim=(data.small_eps[-1], data.large_eps[-1]),
    )
    low, high = axes.get_ylim()
    axes.set_ylim(low, 30 * high)
    for x, side, text in (
        (0.02, "left", r"from $x_*$, $\dot x_* = f(x_*)$"),
        (0.98, "right", r"from the line $x_0 + v_0 t$"),
    ):
        axes.text(x, 0.97, text, transform=axes.transAxes, ha=side, va="top")
    _write_slopes(axes, data)
    _add_legend(axes)


def _draw_errors(
    axes: Axes, eps: Sequence[float], errors: Sequence[Sequence[float]], velocity: str, style: str
) -> None:
    values = np.array(errors)
    axes.fill_between(eps, values.min(0), values.max(0), color=HUES[velocity], alpha=0.15, lw=0)
    middle = np.exp(np.log(values).mean(axis=0))
    axes.plot(eps, middle, style, color=HUES[velocity], linewidth=1.3)


def _write_slopes(axes: Axes, data: Limits) -> None:
    """The orders beside the curves: over the upper ones, under the lower ones."""
    for name, eps in (
        ("small", data.small_eps),
        ("small_corrected", data.small_eps),
        ("large", data.large_eps),
        ("large_corrected", data.large_eps),
    ):
        decades = np.abs(np.log10(eps))
        place = int(np.argmin(np.abs(decades - 0.6 * decades[-1])))
        errors = np.array([getattr(f, name) for f in data.fields])[..., place]
        above, inwards = name in ("small", "large"), 1 if name.startswith("small") else -1
        side = -inwards if above else inwards
        axes.annotate(
            f"slope {data.orders(name).mean():.2f}".replace("-", "\N{MINUS SIGN}"),
            (eps[place], errors.max() if above else errors.min()),
            xytext=(8 * side, 8 if above else -8),
            textcoords="offset points",
            ha="left" if side > 0 else "right",
            va="bottom" if above else "top",
            fontsize=8,
        )


def _add_legend(axes: Axes) -> None:
    entries = [
        Line2D([], [], color=HUES[velocity], label=NAMES[velocity]) for velocity in VELOCITIES
    ]
    entries.append(Line2D([], [], color="black", ls="--", lw=1.3, label="with the next term"))
    axes.legend(handles=entries, loc="lower center", fontsize=8, handlelength=1.8)


def _draw_layer(axes: Axes, data: Limits) -> None:
    field = data.fields[0]
    for eps, row, color in zip(LAYER_EPS, field.layers, LAYER_HUES, strict=True):
        axes.plot(field.times, row, color=color, linewidth=1.4, label=rf"$\varepsilon = {eps:g}$")
    axes.plot(
        field.times,
        field.limit,
        color=COLORS["vermilion"],
        linestyle="--",
        linewidth=1.4,
        label=r"$f(x_*)$",
    )
    axes.set(
        xlim=(0, 0.3),
        xlabel="$t$",
        ylabel=r"$\dot x_\varepsilon$ along $v_0 - f(x_0)$, in units of it",
        title=r"The velocity falls to $f(x_*)$ in a time $\varepsilon$",
    )
    axes.legend(fontsize=8)
