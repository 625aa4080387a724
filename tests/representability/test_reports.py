"""What a report says: printed, in one line, as JSON; and gamma in the place of eps."""

from __future__ import annotations

import decimal
import json
import math
import re
from fractions import Fraction

import numpy as np
import pytest

import odemom
from odemom import InvalidInputError
from odemom.flows import MomentumResNet, SecondOrder
from odemom.records import jsonable
from odemom.representability.edge import Extreme, rounded_text

MATRIX = [[Fraction(-3, 4), 1], [0, Fraction(-3, 4)]]


def test_print_gives_the_explanation_and_repr_one_line():
    for eps in (0, "1/2", 2, "inf", MomentumResNet("1/2", 3)):
        report = odemom.analyze(MATRIX, eps)
        assert str(report) == report.explain()
        assert "\n" not in repr(report)
        assert f"{report.flow.describe()}; certain, exact" in repr(report)
        assert ("not representable" in repr(report)) == (not report)
    assert repr(odemom.analyze(MATRIX, "1/2")).endswith(
        "-3/4 lies below lambda_eps = -0.383322, with one Jordan block, of size 2>"
    )
    assert "borderline, tol 1.8e-15" in repr(odemom.analyze(-np.eye(2), 0.5))


def test_the_report_holds_the_least_eps_and_the_largest_scale():
    found = json.loads(json.dumps(jsonable(odemom.analyze(MATRIX, "1/2").to_dict())))
    least, scale = found["minimal_eps"], found["maximal_scale"]
    assert least["value"] == odemom.minimal_eps(MATRIX).value
    assert scale["value"] == odemom.maximal_scale(MATRIX, "1/2").value
    assert (least["attained"], least["eigenvalue"]) == (False, "-3/4")
    low, high = map(Fraction, least["interval"])
    assert float(low) == float(high) == least["value"]
    assert low < high


def test_the_least_eps_is_that_on_the_horizon_of_the_flow():
    report = odemom.analyze(MATRIX, SecondOrder("1/2", horizon=3))
    found = report.to_dict()["minimal_eps"]
    assert found["value"] == pytest.approx(3 * odemom.minimal_eps(MATRIX).value, rel=1e-15)
    assert f"every eps above {found['value']:.6g}" in report.explain()
    net = odemom.analyze([[-(10**6)]], MomentumResNet("9/10", 4)).to_dict()
    assert net["minimal_eps"] is None
    assert net["maximal_scale"]["value"] < 1


def test_there_is_nothing_to_repair_where_the_answer_is_yes():
    found = odemom.analyze(MATRIX, 2).to_dict()
    assert found["minimal_eps"] is found["maximal_scale"] is None


def test_gamma_stands_for_the_flow_of_its_mass():
    assert odemom.analyze(MATRIX, gamma="1/2") == odemom.analyze(MATRIX, 2)
    assert odemom.is_representable(MATRIX, gamma=["1/4", "1/2", 1]).tolist() == [False, True, True]
    assert odemom.lambda_eps(gamma=0.5) == odemom.lambda_eps(2)
    assert (
        odemom.lambda_eps(gamma=[0, 0.5, 1]).tolist()
        == odemom.lambda_eps([1, 2, math.inf]).tolist()
    )
    assert odemom.lambda_eps(gamma="9/10", dps=40) == odemom.lambda_eps(10, dps=40)
    assert odemom.maximal_scale(MATRIX, gamma=0.5).value == odemom.maximal_scale(MATRIX, 2).value
    for asked in (odemom.pieces, odemom.augmentation, odemom.nearest_representable, odemom.routes):
        assert str(asked(MATRIX, gamma="1/2")) == str(asked(MATRIX, 2))
        with pytest.raises(odemom.InvalidInputError, match="either of the two"):
            asked(MATRIX, 2, gamma="1/2")
        with pytest.raises(odemom.InvalidInputError, match="neither eps nor gamma"):
            asked(MATRIX)
        with pytest.raises(odemom.InvalidInputError, match=r"gamma: got \[0\.5\]"):
            asked(MATRIX, gamma=[0.5])
    with pytest.raises(odemom.InvalidInputError, match=r"gamma: got \[0\.5\]"):
        odemom.lambda_eps(gamma=[0.5], dps=20)
    with pytest.raises(odemom.InvalidInputError, match="neither eps nor gamma"):
        odemom.psi(MATRIX)
    theta = odemom.represent(MATRIX, gamma=0.5)
    assert np.array_equal(theta, odemom.represent(MATRIX, 2))
    assert np.array_equal(odemom.psi(theta, gamma=0.5), odemom.psi(theta, 2))


@pytest.mark.parametrize(
    "arguments",
    [{}, {"eps": 2, "gamma": 0.5}, {"gamma": -0.1}, {"gamma": 1.1}, {"gamma": "x"}],
)
def test_a_mass_is_given_once_and_gamma_lies_between_0_and_1(arguments):
    with pytest.raises(InvalidInputError):
        odemom.analyze(MATRIX, **arguments)
    with pytest.raises(InvalidInputError):
        odemom.lambda_eps(**arguments)
    with pytest.raises(InvalidInputError, match="flow"):
        odemom.psi([[1.0]], 2, gamma=math.nan)


@pytest.mark.parametrize(
    ("matrix", "eps"),
    [
        ([["-3/4", 0], [0, "1/2"]], "1.713"),
        ([["-3/4", 0], [0, "1/2"]], "1.71383"),
        ([[-3]], "1/2"),
        ([["-1/3", 1], [0, "-1/3"]], "1/4"),
        ([["-999/1000"]], "3"),
    ],
)
def test_printed_bounds_are_on_the_side_on_which_they_hold(matrix, eps):
    D = [[Fraction(entry) for entry in row] for row in matrix]
    said = odemom.analyze(D, eps).explain()
    least = re.search(r"every eps (?:above|of at least) ([\d.]+)", said)
    if least:
        assert odemom.is_representable(D, least[1])
        assert not odemom.is_representable(D, Fraction(least[1]) * Fraction(999_980, 1_000_000))
    scale = re.search(r"scaled by (?:at most|less than) (\d\.\d+)", said)
    assert scale is not None
    for factor, expected in ((1, True), (Fraction(1_000_020, 1_000_000), False)):
        scaled = [[Fraction(scale[1]) * factor * entry for entry in row] for row in D]
        assert odemom.is_representable(scaled, eps) is expected


def test_bounds_that_six_digits_hold_are_printed_as_they_are():
    exact_half = Extreme(0.5, True, (Fraction(1, 2), Fraction(1, 2)), None)
    assert rounded_text(exact_half, up=True) == rounded_text(exact_half, up=False) == "0.5"
    assert rounded_text(exact_half, Fraction(3), up=True) == "1.5"
    within = Extreme(0.5, True, (0.5 - 1e-9, 0.5 + 1e-9), None)
    assert rounded_text(within, up=True) == "0.5"
    end = Fraction(123456749, 10**408)
    tiny = Extreme(0.0, True, (end, end), None)
    assert (rounded_text(tiny, up=False), rounded_text(tiny, up=True)) == (
        "1.23456e-400",
        "1.23457e-400",
    )
    end = Fraction("0.99999999")
    last = Extreme(0.99999999, True, (end, end), None)
    assert (rounded_text(last, up=True), rounded_text(last, up=False)) == ("1", "0.99999")
    whole = Extreme(123459.4, True, (Fraction("123459.4"), Fraction("123459.4")), None)
    with decimal.localcontext(prec=3):  # of the caller, for numbers of its own
        assert rounded_text(whole, up=True) == "123460"
    none = Extreme(0.0, True, (Fraction(0), math.inf), None)
    assert rounded_text(none, Fraction(10**400), up=True) == "0"


def test_an_eigenvalue_that_prints_as_its_threshold_is_told_from_it():
    report = odemom.analyze([[Fraction(-3, 4)]], "1.71383")
    assert "lambda_eps = -0.75 (by less than six digits show) and has" in report.explain()


def test_no_zero_has_a_sign():
    report = odemom.analyze([[1e-30, 1e-30], [0, 0]], "1/10000", exact=False)
    assert "-0 " not in report.explain()


@pytest.mark.parametrize(
    ("extreme", "said"),
    [
        (
            odemom.minimal_eps([[Fraction(-1, 2)]]),
            "0.69881, attained; the eigenvalue -1/2 decides.",
        ),
        (odemom.minimal_eps([[-2]]), "inf, not attained; the eigenvalue -2 decides."),
        (odemom.minimal_eps([[2]]), "0, attained; no eigenvalue decides."),
        (
            odemom.maximal_scale([[Fraction(-1, 10**400)]], "inf"),
            "beyond the doubles, about 1.0e+400, attained; the eigenvalue -1.0e-400 decides.",
        ),
        (
            odemom.maximal_scale([[-(10**400)]], "inf"),
            "1.0e-400, below the doubles, attained; the eigenvalue -1.0e+400 decides.",
        ),
    ],
)
def test_an_extreme_is_printed_as_a_sentence(extreme, said):
    assert str(extreme) == said
    assert repr(extreme).startswith("Extreme(value=")


def test_a_borderline_extreme_says_between_which_ends_it_lies():
    least = odemom.minimal_eps([[-0.5, 0.0], [0.0, -0.5 - 2**-53]])
    assert str(least).startswith("0 (borderline: between 0 and 0.698")


def test_of_subnormal_numbers_a_report_says_that_they_are_coarse():
    said = "within 4 ||D|| of this one (doubles so small are that coarse)"
    assert said in str(odemom.analyze([[-5e-324]], 0.5))
    assert "coarse" not in str(odemom.analyze([[-1e-300]], 0.5))
