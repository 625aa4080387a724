"""The pictures are well-formed, show what was computed, and say nothing that was typed."""

import itertools
import json
import math
from functools import cache
from xml.etree import ElementTree

import pytest

import odemom
from odemom.explore.svg import Frame, bounds, ticks
from odemom.explore.words import respond
from tests.explore.test_answer import CASES

PICTURES = ("threshold", "plane", "complex", "line")


@cache
def answered(matrix, eps, part="answer", **more):
    rows = [row.split() for row in matrix.split("; ")]
    return respond(part, {"matrix": rows, "eps": eps, **more})


def tree(svg):
    return ElementTree.fromstring(f"<div>{svg}</div>")


def dots(svg, kind):
    return [c for c in tree(svg).iter("circle") if kind in c.get("class", "").split()]


def place(svg, circle):
    """Where in its window a dot stands."""
    picture = tree(svg).find("svg")
    assert picture is not None
    x0, x1, y0, y1 = map(float, picture.get("data-window", "").split())
    left, top, right, bottom = map(float, picture.get("data-box", "").split())
    u, v = float(circle.get("cx")), float(circle.get("cy"))
    return x0 + (u - left) / (right - left) * (x1 - x0), y1 - (v - top) / (bottom - top) * (y1 - y0)


@pytest.mark.parametrize(("matrix", "eps"), CASES)
def test_every_picture_is_well_formed_and_has_a_name(matrix, eps):
    answer = answered(matrix, eps)
    parts = answer["parts"] | answered(matrix, eps, "motion")["parts"]
    for name in (*PICTURES, "paths", "net"):
        picture = tree(parts[name]).find("svg")
        assert picture is not None, name
        assert picture.get("role") == "img"
        assert picture.get("aria-label")
        assert "nan" not in parts[name]
        assert len(parts[name]) < 100_000
    for name in ("why", "facts", "witness", "paths-caption", "net-caption", "line-caption"):
        tree(parts[name])
    json.dumps(answer, allow_nan=False)


def test_a_pair_of_eigenvalues_stands_at_its_place_in_figure_4():
    answer = answered("-3/4 0; 0 1/2", "1/2")
    (dot,) = dots(answer["parts"]["plane"], "mark")
    assert place(answer["parts"]["plane"], dot) == pytest.approx((-0.75, 0.5), abs=0.01)
    assert "bad" in dot.get("class", "")


def test_equal_eigenvalues_are_paired_first():
    svg = answered("-2 0 0 0; 0 -1 0 0; 0 0 -1 0; 0 0 0 2", "1/2")["parts"]["plane"]
    found = {
        tuple(round(v) for v in place(svg, dot)): (dot.get("class"), dot.get("data-eigen"))
        for dot in dots(svg, "mark")
    }
    assert found == {(-1, -1): ("mark good", "1,2"), (-2, 2): ("mark bad", "0,3")}


@pytest.mark.parametrize("matrix", ["-5 0; 0 1/2", "-3", "-2 0; 0 1", "-4 0 0; 0 1 0; 0 0 2"])
def test_the_places_where_d_would_have_the_points_are_in_the_picture(matrix):
    svg = answered(matrix, "1/2", "motion")["parts"]["paths"]
    left, top, right, bottom = map(float, next(tree(svg).iter("svg")).get("data-box", "").split())
    for ring in dots(svg, "wanted"):
        x, y, r = (float(ring.get(name, "")) for name in ("cx", "cy", "r"))
        assert left < x < right
        assert top + r < y < bottom - r


def test_the_words_below_the_threshold_are_clear_of_psi_and_of_lines():
    for matrix in ("-5", "0 1 0; 0 0 1; 1 0 0", "-0.45 0; 0 -0.42"):
        svg = answered(matrix, "1/2", "motion")["parts"]["line"]
        (words,) = (t for t in tree(svg).iter("text") if t.get("class") == "note")
        baseline = float(words.get("y", ""))
        box = next(tree(svg).iter("svg")).get("data-box", "")
        assert baseline < float(box.split()[3])
        for path in tree(svg).iter("path"):
            if path.get("class") in {"line", "threshold", "level bad"}:
                heights = [float(p.split()[1]) for p in path.get("d", "")[1:].split("L")]
                if path.get("class") == "level bad":
                    assert not any(baseline - 10 < y < baseline for y in heights)
                else:
                    assert max(heights) < baseline - 10


def test_the_names_of_four_coordinates_stand_beside_the_start():
    svg = answered("1 0 0 0; 0 1 0 0; 0 0 1 0; 0 0 0 1", "2", "motion")["parts"]["net"]
    texts = {"".join(t.itertext()): float(t.get("x", "")) for t in tree(svg).iter("text")}
    assert texts["x₁"] - texts["from e₁"] > 50


@pytest.mark.parametrize("largest", ["500000", "1e6", "60000", "-123456"])
def test_ticks_of_large_numbers_keep_their_signs_and_their_distance(largest):
    answer = answered(f"{largest} 0; 0 {largest}", "2")
    parts = answer["parts"] | answered(f"{largest} 0; 0 {largest}", "2", "motion")["parts"]
    for name in ("plane", "complex", "paths"):
        texts = [t for t in tree(parts[name]).iter("text") if "tick" in t.get("class", "")]
        ends = []
        for text in texts:
            x, width = float(text.get("x", "")), 7 * len(text.text or "")
            across = "middle" in text.get("class", "")
            assert x - (width / 2 if across else width) >= 0, text.text
            assert x + (width / 2 if across else 0) <= 360, text.text
            ends += [(x - width / 2, x + width / 2)] if across else []
        assert all(one[1] <= next_one[0] for one, next_one in itertools.pairwise(ends))


def test_the_region_begins_at_lambda_eps():
    svg = answered("-3/4 0; 0 1/2", "2")["parts"]["plane"]
    region = next(r for r in tree(svg).iter("rect") if r.get("class") == "region")
    left, _, right, _ = map(float, next(tree(svg).iter("svg")).get("data-box", "").split())
    begins = -3 + (float(region.get("x", "")) - left) / (right - left) * 6
    assert begins == pytest.approx(odemom.lambda_eps(2), abs=0.01)


def test_the_threshold_stands_on_its_curve():
    svg = answered("1", "10")["parts"]["threshold"]
    (dot,) = dots(svg, "here")
    assert place(svg, dot) == pytest.approx((1.0, odemom.lambda_eps(10)), abs=0.01)


def test_a_real_eigenvalue_of_theta_lies_on_the_curve_of_psi_at_the_height_of_that_of_d():
    svg = answered("-3/4 1; 0 -3/4", "2", "motion")["parts"]["line"]
    heights = [place(svg, dot)[1] for dot in dots(svg, "here")]
    assert heights
    assert heights == pytest.approx([-0.75] * len(heights), abs=0.01)


@pytest.mark.parametrize(
    ("matrix", "marks"),
    [("0 -1; 1 0", ["0,1", "-0,-1"]), ("-2 0; 0 1", ["-2,0", "1,0"])],
)
def test_eigenvalues_stand_in_the_complex_plane(matrix, marks):
    svg = answered(matrix, "1")["parts"]["complex"]
    found = sorted(tuple(round(v, 1) + 0.0 for v in place(svg, dot)) for dot in dots(svg, "mark"))
    assert found == sorted(tuple(map(float, mark.split(","))) for mark in marks)


def test_text_of_a_picture_is_escaped():
    frame = Frame("x", (0, 1), (0, 1))
    svg = frame.picture("<&>", frame.text(0, 0, "<script>", "note", (0, 0)))
    assert "<script>" not in svg
    assert next(tree(svg).iter("svg")).get("aria-label") == "<&>"


def test_points_far_outside_stay_within_bounds():
    frame = Frame("x", (0, 1), (0, 1))
    assert all(abs(v) < 2000 for v in frame.at(1e300, -1e300))


@pytest.mark.parametrize("reach", [0.5, 3, 10, 1e6, 1e-3])
def test_ticks_are_few_and_inside(reach):
    found = ticks(-reach, reach, 6)
    assert 2 <= len(found) <= 7
    assert all(abs(value) <= reach * (1 + 1e-9) for value in found)


def test_a_window_holds_its_values_and_grows_in_steps():
    assert {bounds([value], 3) for value in (0, 1, 2.8)} == {3}
    for value in (3.5, 12.0, 1e5, 9.9e5):
        assert 1.05 * value <= bounds([value], 3) <= 3 * value
    assert math.isfinite(bounds([], 1))
