"""Pictures of maps of the plane: what is drawn is what psi and the decision say."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure

import odemom
from odemom import InvalidInputError
from odemom.plots import eigenvalues, trajectories


def paths(figure):
    return [np.column_stack(line.get_data()) for line in figure.axes[0].get_lines()[:-2]]


def test_trajectories_start_and_end_where_psi_says():
    theta = np.array([[0.3, -2.0], [1.0, 0.5]])
    points = np.array([[1.0, 0.0], [0.5, -0.25]])
    drawn = paths(trajectories(theta, 0.5, points=points, horizon=2, frames=7))
    assert len(drawn) == 2
    for path, start in zip(drawn, points, strict=True):
        assert path.shape == (7, 2)
        np.testing.assert_array_equal(path[0], start)
        middle, end = (odemom.psi(theta, 0.5, horizon=t) @ start for t in (1, 2))
        np.testing.assert_allclose(path[3], middle, rtol=1e-13)
        np.testing.assert_allclose(path[-1], end, rtol=1e-13)


def test_at_first_order_circles_turn_and_at_infinity_they_meet():
    turn = paths(trajectories(odemom.represent([[-1, 0], [0, -1]], 0), 0, frames=5))
    meet = paths(trajectories(-(math.pi**2) * np.eye(2), math.inf, frames=5))
    assert min(np.linalg.norm(path, axis=1).min() for path in turn) == pytest.approx(1)
    assert max(np.linalg.norm(path[2]) for path in meet) < 1e-15


@pytest.mark.parametrize(
    ("D", "eps", "title", "crosses"),
    [
        ([[-2, 0], [0, 1]], "1/2", "not representable", 1),
        ([[-2, 0], [0, -2]], "1/2", "representable", 0),
        ([[0, -1], [1, 0]], 0, "representable", 0),
    ],
)
def test_eigenvalues_that_obstruct_are_crosses(D, eps, title, crosses):
    axes = eigenvalues(D, eps).axes[0]
    assert axes.get_title() == title
    by_marker = {line.get_marker(): len(np.atleast_1d(line.get_xdata())) for line in axes.lines}
    assert by_marker["X"] == crosses


@pytest.mark.parametrize(
    "options",
    [
        {"theta": np.eye(3)},
        {"theta": [[1, 2]]},
        {"points": [1, 2]},
        {"points": [[1, 2, 3]]},
        {"frames": 1},
        {"horizon": 0},
        {"eps": -1},
    ],
)
def test_what_is_no_flow_of_the_plane_is_refused(options):
    with pytest.raises(InvalidInputError):
        trajectories(**{"theta": np.eye(2), "eps": 1, **options})


def test_axes_of_a_subfigure_are_drawn_into_and_others_are_refused():
    figure = Figure()
    axes = figure.subfigures(1, 2, squeeze=False)[0, 0].subplots()
    assert eigenvalues([[1, 0], [0, 2]], 1, axes=axes) is figure
    wrongs: list[Any] = [5, figure]
    for wrong in wrongs:
        with pytest.raises(InvalidInputError, match="axes"):
            eigenvalues([[1]], 1, axes=wrong)
        with pytest.raises(InvalidInputError, match="axes"):
            trajectories(np.eye(2), 1, axes=wrong)


def test_eigenvalues_are_drawn_for_one_flow():
    with pytest.raises(InvalidInputError, match="eps"):
        eigenvalues([[1]], [1, 2])


def test_what_is_too_large_to_draw_is_refused():
    with pytest.raises(InvalidInputError, match="1e\\+308"):
        trajectories(np.zeros((2, 2)), 1, points=[[1e308, 1e308]])
