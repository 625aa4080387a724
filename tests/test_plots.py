"""Pictures of maps of the plane: what is drawn is what psi and the decision say."""

from __future__ import annotations

import io
import math
from typing import Any

import numpy as np
import pytest
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from PIL import Image

import odemom
from odemom import InvalidInputError
from odemom.plots import eigenvalues, restyle, style, trajectories


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


def white_share(png):
    pixels = np.asarray(Image.open(io.BytesIO(png)).convert("L"))
    return float((pixels > 200).mean())


def test_pictures_for_slides_are_larger_and_dark_ones_dark(monkeypatch):
    monkeypatch.setitem(style.RC, "savefig.dpi", 40)
    drawn = {}
    for name in style.STYLES:
        files = style.rendered(eigenvalues([[1, 0], [0, 2]], 1), "a", style=name)
        assert list(files) == ["a.png", "a.pdf"]
        drawn[name] = files["a.png"]
    sizes = {name: Image.open(io.BytesIO(png)).size for name, png in drawn.items()}
    assert sizes["slides"] == sizes["dark"] > sizes["paper"]
    assert white_share(drawn["paper"]) > 0.7
    assert white_share(drawn["slides"]) > 0.7
    assert white_share(drawn["dark"]) < 0.2


@pytest.mark.parametrize(
    ("color", "lighter"),
    [("black", True), ("white", False), ("#0072B2", True), ("#D6E7F3", False), ("#7F7F7F", True)],
)
def test_what_is_dark_gets_light_and_pale_grounds_get_dark(color, lighter):
    def brightness(c):
        return float(np.dot(to_rgb(c), (0.299, 0.587, 0.114)))

    turned = restyle._lightened(color)
    assert (brightness(turned) > brightness(color)) == lighter
    ground = brightness(restyle.GROUND)
    assert brightness(turned) > ground - 0.03


def test_equal_figures_give_equal_svg_without_dates():
    one, two = (
        style.rendered(eigenvalues([[1]], 1), "a", formats=("svg",))["a.svg"] for _ in range(2)
    )
    assert one == two
    assert b"<dc:date>" not in one


def test_the_animation_of_the_dark_style_is_dark():
    frames = [Image.new("RGB", (8, 8), c) for c in ("white", "#ffeecc")]
    frames[0].save(buffer := io.BytesIO(), "GIF", save_all=True, append_images=frames[1:])
    with Image.open(io.BytesIO(restyle.in_dark_pixels(buffer.getvalue()))) as dark:
        assert getattr(dark, "n_frames", 1) == 2
        assert np.asarray(dark.convert("L")).max() < 60
