"""Figure 4: its numbers against the theorem, its files, and the way back from them."""

from __future__ import annotations

import json
import math

import mpmath
import numpy as np
import pytest

from odemom import InvalidInputError
from odemom.experiments.fig4 import Figure4, compute
from odemom.reproduce import redraw, reproduce


@pytest.fixture(scope="module")
def figure() -> Figure4:
    return compute(points=9, per_unit=3, extent=2)


def test_the_curve_is_lambda_eps(figure):
    for eps, value in zip(figure.eps, figure.lambda_eps, strict=True):
        a = 1 / (2 * mpmath.mpf(eps))
        angles = mpmath.linspace(mpmath.pi, 4.4935, 4001)
        g = min(mpmath.exp(-a) * (mpmath.cos(x) + a * mpmath.sin(x) / x) for x in angles)
        # the grid misses the minimum by less than h² G''/2, h = 3.4e-4 and |G''| <= 2 |G|
        assert abs(g - value) <= 2e-7 * abs(value)


def test_the_plane_is_what_theorem_1_says(figure):
    mu = np.array(figure.axis)
    for plane in figure.planes:
        above = mu >= plane.threshold if plane.threshold_included else mu > plane.threshold
        paired = np.eye(mu.size, dtype=bool) & (mu < plane.threshold)
        expected = above[:, None] & above[None, :] | paired
        np.testing.assert_array_equal(np.array(plane.representable), expected)


def test_the_planes_are_nested(figure):
    smallest, middle, largest = (np.array(p.representable) for p in figure.planes)
    assert [p.eps for p in figure.planes] == [0.0, 0.5, math.inf]
    assert (smallest <= middle).all()
    assert (middle <= largest).all()


def test_reproduce_writes_numbers_and_pictures_and_redraw_draws_the_same(tmp_path):
    files = reproduce("fig4", tmp_path / "a")
    payload = json.loads(files["json"].read_text())
    assert payload["figure"] == "fig4"
    assert payload["provenance"]["versions"]["odemom"]
    assert files["png"].read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    assert files["pdf"].read_bytes()[:5] == b"%PDF-"
    again = redraw(files["json"], tmp_path / "b")
    assert again["pdf"].read_bytes() == files["pdf"].read_bytes()
    assert sorted(p.name for p in (tmp_path / "a").iterdir()) == [
        "fig4.json",
        "fig4.pdf",
        "fig4.png",
    ]


def test_an_interrupted_drawing_leaves_no_half_file(tmp_path, monkeypatch):
    from matplotlib.figure import Figure

    def interrupted(self, file, **options):
        file.write(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr(Figure, "savefig", interrupted)
    from odemom.plots.style import new_figure, save_figure

    with pytest.raises(KeyboardInterrupt):
        save_figure(new_figure(1, 1), tmp_path, "a")
    assert list(tmp_path.iterdir()) == []


SURVEY = '{"figure": "survey", "data": {"config": {"ensembles": ["ginibre"], "dimensions": [1], \
"eps": [1]}, "cells": [%s]}}'
CELL = '{"ensemble": "ginibre", "dimension": 1, "samples": 9, "counts": [1], "probability": %s, \
"low": [0], "high": [1], "borderline": [0], "seconds": 1}'


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{}",
        '{"figure": "fig4"}',
        '{"figure": "x", "data": 1}',
        "[]",
        "[" * 100_000,
        SURVEY % "",
        SURVEY % "1",
        SURVEY % CELL % '["x"]',
        SURVEY % CELL % "[]",
    ],
)
def test_redraw_refuses_what_reproduce_did_not_write(tmp_path, text):
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(InvalidInputError):
        redraw(tmp_path / "a.json", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_file_in_the_way_of_the_folder_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InvalidInputError, match="cannot be a folder"):
        reproduce("fig4", tmp_path / "file")


@pytest.mark.parametrize("options", [{"points": 1}, {"per_unit": 0}, {"extent": 1.5}])
def test_compute_refuses_what_is_no_grid(options):
    with pytest.raises(InvalidInputError):
        compute(**options)
