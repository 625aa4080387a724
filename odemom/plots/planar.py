"""Pictures of maps of the plane: trajectories of a flow, and eigenvalues beside the threshold."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure

from odemom.checks import as_float_array, as_float_matrices, as_horizon, as_integer, expect, shown
from odemom.flows.by_eps import flow_of
from odemom.flows.psi import psi
from odemom.plots.style import COLORS, new_figure, shared_style
from odemom.representability.analyze import analyze

__all__ = ["eigenvalues", "trajectories"]

LARGEST_DRAWN = 1e100  # matplotlib squares what it draws


def trajectories(
    theta: Any,
    eps: Any,
    *,
    points: Any = None,
    horizon: float = 1.0,
    frames: int = 60,
    axes: Axes | None = None,
) -> Figure:
    """Where points of the plane go under eps x'' + x' = theta x, x'(0) = 0.

    Parameters
    ----------
    theta : array_like of real numbers, shape (2, 2)
    eps : number or str in [0, inf]
    points : array_like, shape (n, 2), optional
        Where they start; by default twelve on the unit circle.
    horizon : float, default 1
        The final time.
    frames : int, default 60
        Times at which psi is evaluated, at least 2.
    axes : matplotlib Axes, optional
        Where to draw; by default a new figure of 3.4 by 3.4 inches.

    Returns
    -------
    matplotlib.figure.Figure
        Starts are circles, ends are dots.

    Raises
    ------
    InvalidInputError
        If ``theta`` is not a finite real 2 x 2 matrix, or another argument is outside its domain.

    Examples
    --------
    >>> import math, odemom
    >>> theta = odemom.represent([[1, 0], [0, -1]], math.inf)      # a mirror
    >>> len(trajectories(theta, math.inf).axes[0].get_lines())
    14
    """
    matrix = as_float_matrices(theta, "theta", stacks=False)
    expect(
        matrix.shape == (2, 2),
        "theta",
        got=f"an array of shape {matrix.shape}",
        expected="a matrix of shape (2, 2)",
    )
    as_integer(frames, "frames", 2)
    if points is None:
        angle = 2 * np.pi * np.arange(12) / 12
        starts = np.stack([np.cos(angle), np.sin(angle)], axis=-1)
    else:
        starts = as_float_array(points, "points", "an array of shape (n, 2)")
        fits = starts.ndim == 2 and starts.shape[1] == 2
        expect(fits, "points", got=f"shape {starts.shape}", expected="an array of shape (n, 2)")
    times = np.linspace(0, float(as_horizon(horizon)), frames)[1:]
    maps = [np.eye(2), *(psi(matrix, eps, horizon=float(t)) for t in times)]
    paths = np.einsum("tij,nj->nti", np.array(maps), starts)
    largest = float(np.abs(paths).max(initial=0))
    expect(
        largest <= LARGEST_DRAWN,
        "theta, points",
        got=f"trajectories that reach {largest:.3g}",
        expected=f"a size up to {LARGEST_DRAWN:g}",
    )
    with shared_style():
        figure = new_figure(3.4, 3.4) if axes is None else _figure_of(axes)
        axes = figure.subplots() if axes is None else axes
        draw_paths(axes, paths)
    return figure


def _figure_of(axes: Axes) -> Figure:
    """The figure that axes, perhaps of a subfigure, belong to."""
    expect(isinstance(axes, Axes), "axes", got=shown(axes), expected="matplotlib Axes, or None")
    figure: Any = axes.figure
    while isinstance(figure, SubFigure):
        figure = figure.figure
    return figure


def draw_paths(axes: Axes, paths: np.ndarray) -> None:
    """Paths of points, shape (n, times, 2), each with its own colour along a circle of hues."""
    colors = [COLORS[name] for name in ("blue", "vermilion", "green", "purple", "orange", "sky")]
    for i, path in enumerate(paths):
        axes.plot(path[:, 0], path[:, 1], "-", color=colors[i % len(colors)], linewidth=1.2)
    for at, face, size in ((-1, "black", 3.5), (0, "none", 7)):  # a start is seen around an end
        axes.plot(
            paths[:, at, 0],
            paths[:, at, 1],
            "o",
            color="black",
            markerfacecolor=face,
            markersize=size,
            markeredgewidth=0.8,
        )
    axes.set(aspect="equal", xlabel="$x_1$", ylabel="$x_2$")
    axes.set_title("rings: start, dots: end", fontsize=8)


def eigenvalues(D: Any, eps: Any, *, axes: Axes | None = None) -> Figure:
    """The eigenvalues of D in the complex plane, with the half-line below the threshold.

    Parameters
    ----------
    D : array_like of real numbers, shape (d, d)
        As in `odemom.analyze`.
    eps : number or str in [0, inf], or Flow
    axes : matplotlib Axes, optional
        Where to draw; by default a new figure of 4.6 by 3.2 inches.

    Returns
    -------
    matplotlib.figure.Figure
        Eigenvalues on the half-line are allowed in pairs of equal Jordan blocks only; those that
        obstruct are crosses.

    Raises
    ------
    InvalidInputError
        If D is not one finite, real, square, non-empty matrix, or ``eps`` is outside its domain.

    Examples
    --------
    >>> len(eigenvalues([[-2, 0], [0, 1]], "1/2").axes)
    1
    """
    flow = flow_of(eps)
    report = analyze(D, flow)
    expect(
        report.dimension <= 2000,
        "D",
        got=shown(report.dimension),
        expected="a dimension up to 2000: more dots are no picture",
    )
    bad = {complex(o.eigenvalue.value) for o in report.obstructions}
    values = np.array([complex(e.value) for e in report.eigenvalues])
    wrong = np.array([value in bad for value in values])
    image = flow.real_image
    threshold = None if image.threshold is None else image.threshold.value
    reach = 1.15 * max(1.0, float(np.abs(values).max()), abs(threshold or 0.0))
    with shared_style():
        figure = new_figure(4.6, 3.2) if axes is None else _figure_of(axes)
        axes = figure.subplots() if axes is None else axes
        axes.axhline(0, color=COLORS["grey"], linewidth=0.6)
        axes.axvline(0, color=COLORS["grey"], linewidth=0.6)
        if threshold is not None and math.isfinite(threshold):
            axes.plot(
                [-reach, threshold], [0, 0], color=COLORS["vermilion"], linewidth=4, alpha=0.5
            )
            axes.annotate(
                f"in equal pairs only, below {threshold:.3g}".replace("-", "\N{MINUS SIGN}"),
                ((threshold - reach) / 2, 0),
                (0, -7),
                textcoords="offset points",
                ha="center",
                va="top",
                fontsize=8,
                color=COLORS["vermilion"],
            )
        x, y = np.real(values), np.imag(values)
        axes.plot(x[~wrong], y[~wrong], "o", color=COLORS["blue"], markersize=4.5)
        axes.plot(x[wrong], y[wrong], "X", color=COLORS["vermilion"], markersize=7)
        axes.set(
            xlim=(-reach, reach),
            aspect="equal",
            xlabel=r"$\mathrm{Re}\,\mu$",
            ylabel=r"$\mathrm{Im}\,\mu$",
            title="representable" if report else "not representable",
        )
        height = max(0.4 * reach, 1.2 * float(np.abs(np.imag(values)).max()))
        axes.set_ylim(-height, height)
    return figure
