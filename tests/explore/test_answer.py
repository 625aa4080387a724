"""The numbers of the page are those of the library."""

from fractions import Fraction

import numpy as np
import pytest

import odemom
from odemom.errors import UndecidedError
from odemom.explore.answer import answer_to, flow_range
from odemom.explore.question import question_of

CASES = [
    ("-1 0; 0 -1", "1/2"),
    ("-3/4 0; 0 1/2", "1/2"),
    ("-3/4 1; 0 -3/4", "2"),
    ("0 -1; 1 0", "0"),
    ("-1/2", "inf"),
    ("-2 0 0; 0 -2 0; 0 0 1", "0.05"),
    ("-2 1 0 0; 0 -2 0 0; 0 0 -2 1; 0 0 0 -2", "1/2"),
    ("-3 0 0; 0 -2 0; 0 0 -1", "17.3"),
]


def asked(matrix, eps, **more):
    rows = [row.split() for row in matrix.split("; ")]
    return question_of({"matrix": rows, "eps": eps, **more})


@pytest.mark.parametrize(("matrix", "eps"), CASES)
def test_the_answer_is_that_of_the_library(matrix, eps):
    question = asked(matrix, eps)
    answer = answer_to(question)
    report = odemom.analyze(question.given, eps)
    assert answer.decided.report.explain() == report.explain()
    assert (answer.witness is not None) is bool(report)
    count = sum(1 if mu.imag == 0 else 2 for mu in answer.decided.eigenvalues)
    assert count == question.dimension
    assert any(answer.decided.obstructed) is not bool(report)


@pytest.mark.parametrize(("matrix", "eps"), [CASES[k] for k in (0, 1, 3, 4, 6)])
def test_paths_end_where_the_matrix_takes_their_starts_or_the_nearest_one(matrix, eps):
    question = asked(matrix, eps)
    answer = answer_to(question)
    motion = answer.motion
    assert motion is not None
    assert motion.nearest is (answer.witness is None)
    target = np.array(question.given, dtype=float)
    assert np.array_equal(motion.maps[0], np.eye(question.dimension))
    if motion.nearest:
        nearest = odemom.nearest_representable(question.given, eps)
        assert motion.distance == pytest.approx(nearest.distance, rel=1e-3)
        target = nearest.matrix
    assert np.abs(motion.maps[-1] - target).max() < 1e-7 * (1 + np.abs(target).max())


def test_the_net_comes_near_the_flow_with_its_depth():
    gaps = []
    for layers in ("8", "32"):
        motion = answer_to(asked("-3/4 1; 0 -3/4", "2", layers=layers)).motion
        assert motion is not None
        assert motion.layers is not None
        assert len(motion.layers) == int(layers) + 1
        gaps.append(np.abs(motion.layers[-1] - motion.maps[-1]).max())
    assert gaps[1] < 0.4 * gaps[0]


def test_the_net_is_decided_as_the_library_decides_it():
    answer = answer_to(asked("-1 0; 0 1", "1/2", layers="13"))
    assert answer.net is not None
    assert answer.net.gamma == 1 - Fraction(2, 13)
    assert answer.net.report  # an odd depth reaches every matrix
    assert not answer.decided.report


@pytest.mark.parametrize(
    ("eps", "layers", "words"),
    [("inf", "12", "γ = 1"), ("1/100", "12", "at least 100 layers"), ("1/4", "3", "at least 4")],
)
def test_where_there_is_no_net_a_sentence_says_why(eps, layers, words):
    answer = answer_to(asked("1", eps, layers=layers))
    assert answer.net is None
    assert words in answer.notes["net"]


def test_where_points_race_around_there_is_no_picture():
    answer = answer_to(asked("-3/4 1; 0 -3/4", "1/2"))  # matrices at 1e-9 are reached, by a huge θ
    assert answer.motion is None
    assert "no picture" in answer.notes["motion"]


def test_a_theta_that_doubles_do_not_hold_is_not_called_none(monkeypatch):
    def refuse(*_, **__):
        raise UndecidedError("no preimage at this precision")

    monkeypatch.setattr(odemom, "represent", refuse)
    answer = answer_to(asked("1 1; 0 1", "1/2"))
    assert answer.decided.report
    assert answer.motion is None
    assert answer.notes["witness"] == "no preimage at this precision"
    assert "none that doubles hold" in answer.notes["motion"]


def test_doubles_may_be_borderline():
    answer = answer_to(asked("-1 0; 0 -1", "1/2", floats=True))
    assert answer.decided.report.status == "borderline"
    assert answer.witness is not None


@pytest.mark.parametrize(("eps", "radians"), [(0, 9.0), (1, 3.0), (4, 1.5)])
def test_how_far_a_path_turns_is_bounded_by_theta_and_the_mass(eps, radians):
    assert flow_range(np.array([[0.0, -9.0], [9.0, 0.0]]), eps) == pytest.approx(radians)
