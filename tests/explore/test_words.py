"""What the page says, and that hostile text gets a sentence and nothing else."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import odemom
from odemom.errors import OdemomError
from odemom.explore.question import question_of
from odemom.explore.words import respond
from tests.explore.test_answer import CASES
from tests.explore.test_pictures import answered


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
    assert f"ε ≥ {float(least):.6g}" in answer["parts"]["facts"]
    assert f"a ≤ {float(scale):.6g}" in answer["parts"]["facts"]


@pytest.mark.parametrize(
    ("matrix", "eps", "facts"),
    [
        ("1 0; 0 2", "1", ["every ε", "every a &gt; 0"]),
        ("-1", "1", ["ε = ∞ only", "a ≤ 0.613499"]),
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
