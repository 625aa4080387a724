"""First-order trajectories as second-order ones, drawn from their numbers."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from odemom.experiments.prop3 import AGREES, SHOWN_EPS, SecondOrderTwins
from odemom.plots.style import COLORS, new_figure, shared_style

__all__ = ["draw"]

MARKS = ("o", "s", "^")
SIZES = (7.0, 4.5, 2.2)
HUES = (COLORS["sky"], COLORS["orange"], COLORS["blue"])


def draw(data: SecondOrderTwins) -> Figure:
    """Trajectories in the plane, distances against eps, and the loop that first order has not.

    Parameters
    ----------
    data : SecondOrderTwins

    Returns
    -------
    matplotlib.figure.Figure
        9.6 by 3.7 inches.
    """
    with shared_style():
        figure = new_figure(9.6, 3.7)
        left, middle, right = figure.subplots(1, 3)
        _draw_trajectories(left, data)
        _draw_distances(middle, data)
        _draw_oscillator(right, data)
        figure.legend(loc="outside lower left", ncols=5, fontsize=8)
    return figure


def _draw_trajectories(axes: Axes, data: SecondOrderTwins) -> None:
    for i, (curve, other) in enumerate(zip(data.first, data.no_velocity, strict=True)):
        first, still = np.array(curve), np.array(other)
        label = r"$\dot x = f(x)$" if i == 0 else None
        axes.plot(*first.T, color="black", linewidth=1.0, label=label)
        label = r"$\varepsilon = 1$ with $v_0 = 0$" if i == 0 else None
        axes.plot(*still.T, color=COLORS["grey"], linestyle=":", linewidth=1.2, label=label)
    for eps, curves, mark, size, hue in zip(
        SHOWN_EPS, data.second, MARKS, SIZES, HUES, strict=True
    ):
        points = np.array(curves).reshape(-1, 2)
        axes.plot(
            *points.T,
            mark,
            color=hue,
            markersize=size,
            markerfacecolor="none" if size > SIZES[-1] else hue,
            markeredgewidth=1.0,
            label=rf"$\varepsilon = {eps:g}$, $f + \varepsilon f' f$",
        )
    axes.set(xlabel="$x_1$", ylabel="$x_2$", aspect="equal")
    axes.set_title("One trajectory, every mass")


def _draw_distances(axes: Axes, data: SecondOrderTwins) -> None:
    centre = len(data.eps) // 2
    for name, color, style, text, above in (
        ("no_velocity", COLORS["vermilion"], "-", "without $v_0 = f(x_0)$", True),
        ("no_term", COLORS["orange"], "--", r"without $\varepsilon f' f$", False),
        ("both", COLORS["green"], "-", "both: DOP853, all times", True),
        ("block", COLORS["blue"], "-", "both: ODEBlock, $t = 1$", False),
    ):
        values = np.array([getattr(agreement, name) for agreement in data.fields])
        axes.fill_between(data.eps, values.min(0), values.max(0), color=color, alpha=0.2, lw=0)
        middle = np.exp(np.log(np.maximum(values, 1e-16)).mean(axis=0))
        axes.plot(data.eps, middle, style, color=color, linewidth=1.4)
        axes.annotate(
            text,
            (data.eps[centre], values[:, centre].max() if above else values[:, centre].min()),
            xytext=(0, 4 if above else -4),
            textcoords="offset points",
            ha="center",
            va="bottom" if above else "top",
            color=color,
            fontsize=8,
        )
    axes.axhline(AGREES, color=COLORS["grey"], linewidth=0.8, linestyle=":")
    axes.set(
        xscale="log",
        yscale="log",
        xlabel=r"$\varepsilon$",
        ylabel=r"distance from $\dot x = f(x)$",
        ylim=(1e-16, 200),
    )


def _draw_oscillator(axes: Axes, data: SecondOrderTwins) -> None:
    x, v = np.array(data.oscillator.x), np.array(data.oscillator.v)
    axes.plot(x, v, color=COLORS["blue"])
    axes.axvline(0, color=COLORS["grey"], linewidth=0.8)
    for velocity in data.oscillator.velocities_at(0.0):
        axes.plot(0, velocity, "o", color=COLORS["vermilion"], markersize=5)
        axes.annotate(
            f"{velocity:.2f}".replace("-", "\N{MINUS SIGN}"),
            (0, velocity),
            xytext=(-5, -16) if velocity > 0 else (7, 4),
            textcoords="offset points",
            ha="right" if velocity > 0 else "left",
            fontsize=8,
        )
    axes.set(xlabel="$x$", ylabel=r"$\dot x$")
    axes.set_title("Two velocities at one place:\nno $\\dot x = h(x)$ does it")
