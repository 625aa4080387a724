"""What the page says, and that hostile text gets a sentence and nothing else."""

import json
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import odemom
from odemom.errors import OdemomError, UndecidedError
from odemom.explore.question import question_of
from odemom.explore.words import respond
from odemom.representability.edge import rounded_text
from tests.explore.test_answer import CASES
from tests.explore.test_pictures import answered, tree


@pytest.mark.parametrize(("matrix", "eps"), CASES)
def test_the_verdict_is_that_of_the_library(matrix, eps):
    answer = answered(matrix, eps)
    rows = odemom.spectrum([[_exact(t) for t in row.split()] for row in matrix.split("; ")])
    assert answer["verdict"] == ("yes" if odemom.is_representable(rows, eps) else "no")
    assert answer["word"].lower() == answer["verdict"]


def _exact(text):
    from odemom.checks import spelt_exactly

    return spelt_exactly(text)


def test_a_no_says_what_would_repair_it():
    answer = answered("-3/4 0; 0 1/2", "1/2")
    assert "must occur an even number of times" in answer["parts"]["why"]
    least, scale = odemom.minimal_eps([[-0.75]]), odemom.maximal_scale([[-0.75]], "1/2")
    assert f"ε ≥ {rounded_text(least, up=True)}" in answer["parts"]["facts"]
    assert f"a ≤ {rounded_text(scale, up=False)}" in answer["parts"]["facts"]


def test_the_least_mass_that_is_printed_reaches_d():
    printed = re.search(r"ε ≥ ([\d.]+)", answered("-3/4 0; 0 1/2", "1/2")["parts"]["facts"])
    assert printed is not None
    assert answered("-3/4 0; 0 1/2", printed[1])["verdict"] == "yes"


@pytest.mark.parametrize("eps", ["0", "1/10000", "1/2", "10000", "inf"])
@pytest.mark.parametrize("matrix", ["-3/4 0; 0 1/2", "0 1; -1 0"])
def test_the_threshold_is_that_of_the_report_wherever_it_is_printed(matrix, eps):
    threshold = str(odemom.analyze([[-2]], eps).threshold).rpartition(" ")[2]
    parts = answered(matrix, eps)["parts"] | answered(matrix, eps, "motion")["parts"]
    for name in ("about", "threshold", "line"):
        words = "".join(tree(parts[name]).itertext())
        assert re.search(f"= {re.escape(threshold.replace('-', '−', 1))}(?![\\d.])", words), name
    assert re.search(r"[-−]0(?![\d.])", "".join(tree("".join(parts.values())).itertext())) is None


def test_a_scale_below_the_doubles_is_not_called_0():
    facts = answered("-3/4 0; 0 1/2", "1/10000")["parts"]["facts"]
    assert "a ≤ 4.88105e-2169<" in facts


@pytest.mark.parametrize(
    ("eps", "layers", "gamma"),
    [("10000", "12", "1 − 8.33e-06"), ("1/2", "12", "5/6"), ("1.23456789", "12", "0.9325")],
)
def test_the_momentum_of_the_net_is_not_rounded_to_1(eps, layers, gamma):
    parts = answered("1", eps, "motion", layers=layers)["parts"]
    assert f"γ = 1 − 1/(Nε) = {gamma}," in parts["net-caption"]


@pytest.mark.parametrize(
    ("matrix", "eps", "facts"),
    [
        ("1 0; 0 2", "1", ["every ε", "every a &gt; 0"]),
        ("-1", "1", ["ε = ∞ only", "a ≤ 0.613498"]),
        ("-2", "0", ["no ε", "no a &gt; 0"]),
        ("0 1; -1 0", "1", ["0 ± 1i", "not real, never in the way"]),
        ("-2 0; 0 -2", "1", ["below λ<sub>ε</sub>, 2 Jordan blocks, each of size 1"]),
    ],
)
def test_the_facts(matrix, eps, facts):
    parts = answered(matrix, eps)["parts"]
    assert [fact for fact in facts if fact not in parts["facts"]] == []


def test_borderline_has_a_verdict_of_its_own():
    answer = answered("-1 0; 0 -1", "1/2", floats=True)
    assert (answer["verdict"], answer["word"]) == ("borderline", "Borderline")
    assert answer["headline"].endswith("structured matrix is reached.")
    assert answer["parts"]["same"].endswith("--no-exact")


def test_the_same_question_is_given_for_the_command_line(run):
    answer = answered("-3/4 0.5; 0 2", "1/3")
    command = answer["parts"]["same"]
    assert command == "odemom check &quot;[-3/4 1/2; 0 2]&quot; --eps 1/3"
    status, said, _ = run("check", "[-3/4 1/2; 0 2]", "--eps", "1/3")
    assert (status, answer["verdict"]) == (1, "no")
    assert "must occur an even number of times" in said


def test_a_matrix_that_is_not_reached_is_shown_by_the_nearest_that_is():
    parts = answered("-3/4 0; 0 1/2", "1/2", "motion")["parts"]
    nearest = odemom.nearest_representable([[-0.75, 0], [0, 0.5]], 0.5)
    assert f"at the distance {nearest.distance:.3g};" in parts["paths-caption"]
    assert "For the nearest map" in parts["witness"]


@pytest.mark.parametrize(
    ("matrix", "eps", "drawn", "words"),
    [
        ("-3/4 1; 0 -3/4", "2", 2, "Dots: "),
        ("20", "1", 0, "Real eigenvalues of θ outside of the picture: 1."),
        ("1e-6", "1/100", 0, "Real eigenvalues of θ outside of the picture: 1."),
        ("0 -1; 1 0", "1", 0, "All eigenvalues of θ are not real."),
    ],
)
def test_the_caption_of_psi_speaks_of_dots_where_there_are_any(matrix, eps, drawn, words):
    parts = answered(matrix, eps, "motion")["parts"]
    assert parts["line"].count('class="here"') == drawn
    assert words in parts["line-caption"]
    assert ("Dots" in parts["line-caption"]) is bool(drawn)


@pytest.mark.parametrize(
    ("matrix", "eps", "layers", "curves", "dots"),
    [
        ("1 0; 0 2", "2", "12", True, True),
        ("1 0; 0 2", "1/100", "12", True, False),  # gamma would be negative
        ("-1e6 1e6; 0 999999.5", "1/2", "12", False, False),
        ("0 1; 0 0", "0", "12", False, False),
    ],
)
def test_the_caption_of_the_net_speaks_of_curves_and_dots_that_are_drawn(
    matrix, eps, layers, curves, dots
):
    parts = answered(matrix, eps, "motion", layers=layers)["parts"]
    assert ('s1 flow"' in parts["net"]) is ("Curves" in parts["net-caption"]) is curves
    assert ("s1 layers" in parts["net"]) is ("Dots" in parts["net-caption"]) is dots
    assert ("dots" in parts["net"]) is dots


@pytest.mark.parametrize(
    ("matrix", "eps", "red", "words"),
    [
        ("-3/4 0; 0 1/2", "1/2", True, "Lines: the real eigenvalues of D. Red: "),
        ("-5 0; 0 1/2", "1/2", False, "Lines: the real eigenvalues of D. Real eigenvalues of D"),
        ("-5", "1/2", False, "Real eigenvalues of D outside of the picture: 1."),
        ("1 0; 0 2", "1/2", False, "Dots: "),
    ],
)
def test_the_caption_of_psi_speaks_of_red_lines_where_there_are_any(matrix, eps, red, words):
    parts = answered(matrix, eps, "motion")["parts"]
    assert ("level bad" in parts["line"]) is red
    assert ("Red" in parts["line-caption"]) is red
    assert words in parts["line-caption"]


def test_a_theta_that_doubles_do_not_hold_makes_no_eigenvalue_red(monkeypatch):
    def refuse(*_, **__):
        raise UndecidedError("no preimage at this precision")

    monkeypatch.setattr(odemom, "represent", refuse)
    fields = {"matrix": [["1", "1"], ["0", "1"]], "eps": "1/2"}
    assert "Red" not in respond("motion", fields)["parts"]["line-caption"]


@pytest.mark.parametrize(
    ("eps", "words"),
    [("0", ""), ("1/100", "too far out, and too near 0"), ("0.049", "is too near 0"), ("1/2", "")],
)
def test_the_caption_of_psi_says_why_one_does_not_see_the_minimum(eps, words):
    caption = answered("1 0; 0 2", eps, "motion")["parts"]["line-caption"]
    assert ("minimum" in caption) is bool(words)
    assert words in caption


@pytest.mark.parametrize(
    ("matrix", "lines", "outside"),
    [("-3/4 0; 0 1/2", 1, 1), ("1 0; 0 2", 0, 2), ("-1 0; 0 0", 2, 0), ("0 1; -1 0", 0, 0)],
)
def test_the_caption_of_the_threshold_speaks_of_lines_that_are_drawn(matrix, lines, outside):
    parts = answered(matrix, "1/2")["parts"]
    assert parts["threshold"].count('class="level') == lines
    assert ("Lines" in parts["threshold-caption"]) is bool(lines)
    assert (f"outside of the picture: {outside}." in parts["threshold-caption"]) is bool(outside)


@pytest.mark.parametrize(
    ("matrix", "words"),
    [
        ("0 1; -1 0", "D has no real eigenvalue."),
        ("-1 0; 0 1", "The dot is D’s pair"),
        ("-1 0 0; 0 -1 0; 0 0 1", "at the edge, the odd one out"),
        ("-3/4 1; 0 -3/4", "Red on the diagonal: equal ones whose Jordan blocks do not pair."),
    ],
)
def test_the_caption_of_the_pairs_speaks_of_dots_that_are_drawn(matrix, words):
    parts = answered(matrix, "1/2")["parts"]
    assert words in parts["plane-caption"]
    assert ("drag" in parts["plane-caption"]) is ("data-eigen" in parts["plane"])


# Text as a page may send it: numbers, near-numbers, markup, other scripts, and any JSON at all.
PIECES = st.sampled_from(
    [
        "-3/4",
        "1e",
        "1e-30",
        "1/0",
        "∞",
        "−",
        "<b>",
        "&",
        '"',
        "1j",
        "nan",
        "inf",
        "9" * 50,
        "0x1",
        " ",
    ]
)
TEXT = st.one_of(
    st.integers(-9, 9).map(str),
    st.decimals(-3, 3, places=3).map(str),
    st.lists(PIECES, max_size=3).map("".join),
    st.text(max_size=50),
)
ANY = st.recursive(st.none() | st.booleans() | st.integers() | TEXT, st.lists, max_leaves=6)
ROWS = st.integers(1, 4).flatmap(
    lambda d: st.lists(st.lists(TEXT, min_size=d, max_size=d), min_size=d, max_size=d)
)
FIELDS = st.fixed_dictionaries(
    {"matrix": st.one_of(ROWS, ANY), "eps": st.one_of(TEXT, st.sampled_from(["1/2", "0", "inf"]))},
    optional={"gamma": TEXT, "layers": st.one_of(TEXT, st.integers(1, 64).map(str), ANY)},
)


@settings(max_examples=60)
@given(FIELDS | ANY)
def test_whatever_the_fields_hold_there_is_a_question_or_one_sentence(fields):
    said = ""
    try:
        assert 1 <= question_of(fields).dimension <= 4
    except OdemomError as error:
        said = str(error)
    assert "\n" not in said
    assert len(said) < 600


@settings(max_examples=10)
@given(FIELDS, st.sampled_from(["answer", "motion"]))
def test_every_question_has_an_answer_or_one_sentence(fields, part):
    answer = respond(part, fields)
    text = json.dumps(answer, allow_nan=False)
    assert len(text) < 500_000
    if "error" in answer:
        assert "\n" not in answer["error"]
    else:
        assert answer["parts"]["paths-caption" if part == "motion" else "why"]
        assert "<b>" not in text


def test_numbers_as_large_and_as_long_as_the_page_takes_them_are_answered():
    rows = [["1e6", "-1e-30"], ["9.87654321e5", "-0.123456789012345678901234567890123456"]]
    for eps in ("1/10000", "inf"):
        for part in ("answer", "motion"):
            assert "error" not in respond(part, {"matrix": rows, "eps": eps, "layers": "64"})
