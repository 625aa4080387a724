"""Pictures of the stored results: no words on other words, none on a point."""

from __future__ import annotations

import importlib
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.transforms import Bbox

from odemom.experiments.frame import load
from odemom.records.values import from_json
from odemom.reproduce.run import read_payload

RESULTS = Path(__file__).parents[1] / "docs" / "results"
STORED = sorted(RESULTS.glob("**/*.json"))
TOUCH = 2.0  # pixels that boxes of two texts may share: a box is larger than its letters


def figures_of(path: Path) -> list[Figure]:
    payload = read_payload(path)
    experiment = load(payload["experiment"])
    module = importlib.import_module(f"odemom.plots.{experiment.module.rpartition('.')[2]}")
    drawn = module.draw(from_json(experiment.result_type, payload["result"], "result"))
    return list(drawn.values()) if isinstance(drawn, dict) else [drawn]


def words_of(figure: Figure) -> list[tuple[Text, Bbox]]:
    """What is written, with its place in pixels, but the numbers along the axes."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    ticks = {
        label
        for axes in figure.axes
        for label in (*axes.get_xticklabels(which="both"), *axes.get_yticklabels(which="both"))
    }
    return [
        (text, Text.get_window_extent(text, canvas.get_renderer()))
        for text in figure.findobj(Text)
        if isinstance(text, Text) and text.get_visible() and text.get_text().strip()
        if text not in ticks
    ]


def points_of(axes: Axes) -> np.ndarray:
    """The markers of the lines of an axes, in pixels."""
    marked = [line for line in axes.lines if line.get_marker() not in ("None", None, "", " ")]
    found = [
        line.get_transform().transform(np.column_stack(line.get_data()).astype(float))
        for line in marked
    ]
    return np.concatenate([np.empty((0, 2)), *found])


@pytest.mark.slow
@pytest.mark.parametrize("path", STORED, ids=lambda path: "-".join(path.parts[-2:]))
def test_words_lie_on_no_words_and_on_no_points(path):
    for figure in figures_of(path):
        words = words_of(figure)
        for (one, a), (other, b) in combinations(words, 2):
            shared = Bbox.intersection(a, b)
            apart = shared is None or min(shared.width, shared.height) <= TOUCH
            assert apart, f"{one.get_text()!r} and {other.get_text()!r}"
        for axes in figure.axes:
            points = points_of(axes)
            for text, box in words:
                level = text.get_rotation() % 90 == 0  # else the box says little
                if text.axes is axes and level and text.get_bbox_patch() is None:
                    low, high = box.get_points()
                    inside = (points > low + TOUCH).all(1) & (points < high - TOUCH).all(1)
                    assert not inside.any(), f"{text.get_text()!r} on a point"


def test_the_stored_pictures_name_what_they_show():
    (survey,) = figures_of(RESULTS / "survey.json")
    assert [axes.get_ylabel() for axes in survey.axes] == ["probability", ""] * 2
    for axes in survey.axes:
        assert axes.xaxis.get_tick_params()["labelbottom"]
    (memory,) = figures_of(RESULTS / "fig7.json")
    legend = memory.axes[1].get_legend()
    assert legend is not None
    assert [text.get_text() for text in legend.get_texts()] == ["ResNet", "momentum twin"]
    (spectra,) = figures_of(RESULTS / "prop1.json")
    assert r"1/\overline{\lambda}" in spectra.axes[0].get_title()
