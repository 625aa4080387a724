"""odemom.spectrum: factored once, it says of every flow, and of D, what the functions say."""

from __future__ import annotations

import copy
import json
import math
import pickle
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import odemom
from odemom import InvalidInputError
from odemom.flows import FirstOrder, MomentumResNet, ResNet, SecondOrder, Undamped
from odemom.representability import AlgebraicNumber, ExactSpectrum, FloatingSpectrum, exact_matrix
from odemom.representability import exact as exact_module
from odemom.representability.schur import SchurForm
from tests.oracles import (
    block_matrix,
    conjugated,
    direct_sum,
    floats,
    representable,
    rotation_block,
)

F = Fraction
FLOWS = [
    0,
    F(1, 10),
    "1/2",
    2,
    "inf",
    SecondOrder(3, horizon=2),
    SecondOrder(1, "field"),
    FirstOrder(2),
    Undamped("1/3"),
    ResNet(2),
    ResNet(3),
    MomentumResNet("1/2", 2),
    MomentumResNet("9/10", 21),
]
sizes = st.lists(st.integers(1, 3), min_size=1, max_size=3)
blocks = st.dictionaries(
    st.sampled_from([F(-3), F(-1), F(-1, 2), F(-9, 16), F(0), F(2)]), sizes, min_size=1, max_size=3
)
seeds = st.integers(0, 2**32 - 1)


def exact_rows(spectrum, seed):
    """A matrix with these blocks, a pair +-sqrt(2) and the non-real pair 1 +- i."""
    form = direct_sum(block_matrix(spectrum), [[F(0), F(2)], [F(1), F(0)]], rotation_block(1, 1, 1))
    return conjugated(form, np.random.default_rng(seed))


# --- the decision ------------------------------------------------------------------------------


@given(blocks, seeds, st.permutations(FLOWS))
@settings(max_examples=20)
def test_an_exact_spectrum_decides_as_analyze_in_any_order(spectrum, seed, flows):
    rows = exact_rows(spectrum, seed)
    found = odemom.spectrum(rows)
    for flow in flows[:5]:
        report, decided = odemom.analyze(rows, flow), found.decide(flow)
        assert decided == report
        assert decided.explain() == report.explain()
        assert found.represents(flow) == report.representable


@given(blocks, seeds, st.permutations(FLOWS), st.sampled_from([None, 1e-9, 1e-3]))
@settings(max_examples=20)
def test_a_floating_spectrum_decides_as_analyze_in_any_order(spectrum, seed, flows, tol):
    matrix = floats(exact_rows(spectrum, seed))
    found = odemom.spectrum(matrix, tol=tol)
    for flow in flows[:4]:
        report, decided = odemom.analyze(matrix, flow, tol=tol), found.decide(flow)
        assert decided == report
        assert decided.explain() == report.explain()


@given(blocks, st.lists(st.fractions(F(1, 50), 50, max_denominator=50), min_size=2, max_size=8))
@settings(max_examples=30)
def test_many_masses_of_an_exact_matrix_are_answered_by_the_theorem(spectrum, masses):
    # by the least eps, which no single decision reads; the oracle assembles block sizes
    found = odemom.is_representable(block_matrix(spectrum), [*masses, 0, "inf"])
    assert found.tolist() == [representable(spectrum, eps) for eps in [*masses, 0, math.inf]]


def test_a_mass_within_the_ends_of_the_least_eps_is_decided():
    matrix = [[F(-1, 2)]]
    low, high = odemom.minimal_eps(matrix).interval
    masses = [low, (low + high) / 2, high]
    found = odemom.is_representable(matrix, masses)
    assert found.tolist() == [odemom.is_representable(matrix, eps) for eps in masses]
    assert found.tolist()[::2] == [False, True]


# --- sequences ---------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [int, float])
@pytest.mark.parametrize("shape", [(), (3,), (2, 3)])
@pytest.mark.parametrize("make", [list, tuple, lambda masses: np.array(masses, dtype=object)])
def test_answers_to_a_sequence_lie_along_a_new_first_axis(kind, shape, make):
    stack = np.random.default_rng(0).integers(-3, 3, (*shape, 3, 3)).astype(kind)
    flows = [0, F(1, 2), "2", math.inf, ResNet(2), SecondOrder(1, "field")]
    found = odemom.is_representable(stack, make(flows))
    assert (found.shape, found.dtype) == ((len(flows), *shape), np.dtype(bool))
    for row, flow in zip(found, flows, strict=True):
        np.testing.assert_array_equal(row, odemom.is_representable(stack, flow))


def test_one_mass_in_a_sequence_is_still_a_sequence():
    assert odemom.is_representable([[-1]], ["inf"]).tolist() == [True]
    assert odemom.is_representable([[-1]], np.array("inf")) is True  # an array without axes is not
    assert [bool(report) for report in odemom.analyze([[-1]], [0.5])] == [False]


def test_an_array_of_floats_is_a_sequence_of_masses():
    masses = np.linspace(0, 5, 11)
    found = odemom.is_representable(np.diag([-0.5, 1.0]), masses)
    assert found.tolist() == (masses > float(odemom.minimal_eps([[F(-1, 2)]]))).tolist()


@pytest.mark.parametrize("matrix", [[[-1, 1], [0, -1]], -np.eye(2), np.zeros((2, 2))])
def test_analyze_gives_one_report_for_each_flow_of_a_sequence(matrix):
    assert odemom.analyze(matrix, FLOWS) == [odemom.analyze(matrix, flow) for flow in FLOWS]


def test_a_sequence_factors_a_matrix_once(monkeypatch):
    calls = []
    factors_of, of = exact_module.factors_of, SchurForm.of

    def counted_factors(numbers):
        calls.append("exact")
        return factors_of(numbers)

    def counted_form(d):
        calls.append("floating")
        return of(d)

    monkeypatch.setattr(exact_module, "factors_of", counted_factors)
    monkeypatch.setattr(SchurForm, "of", counted_form)
    rows = exact_rows({F(-3): [2, 1], F(-1, 2): [1]}, 0)
    for report in odemom.analyze(rows, FLOWS) + odemom.analyze(floats(rows), FLOWS):
        report.explain()
        report.to_dict()
    odemom.is_representable(rows, FLOWS)
    assert calls == ["exact", "floating", "exact"]


# --- what a spectrum says of its matrix --------------------------------------------------------


@given(blocks, seeds)
@settings(max_examples=10)
def test_its_eigenvalues_blocks_and_extremes_are_those_of_the_functions(spectrum, seed):
    rows = exact_rows(spectrum, seed)
    found = odemom.spectrum(rows)
    structure = odemom.jordan_structure(rows)
    assert found.jordan_structure() == structure
    real = found.real_eigenvalues()
    assert list(real) == sorted(real, key=lambda mu: complex(mu).real)
    assert {mu for mu in real if isinstance(mu, Fraction)} == set(spectrum)
    assert [mu.polynomial for mu in real if isinstance(mu, AlgebraicNumber)] == [(-2, 0, 1)] * 2
    for mu in real:
        assert found.block_sizes(mu) == structure[mu]
    assert found.minimal_eps() == odemom.minimal_eps(rows)
    for flow in FLOWS:
        assert found.maximal_scale(flow) == odemom.maximal_scale(rows, flow)


def test_its_positions_are_those_against_the_threshold():
    found = odemom.spectrum([[-2, 0, 0, 0], [0, -1, 0, 0], [0, 0, 0, -1], [0, 0, 1, 0]])
    assert found.positions("inf") == {F(-2): "below", F(-1): "at"}
    assert found.positions(1) == {F(-2): "below", F(-1): "below"}
    assert found.positions(SecondOrder(1, "field")) == {F(-2): "above", F(-1): "above"}


def test_an_eigenvalue_may_be_given_as_any_equal_number():
    found = odemom.spectrum([[2, 1], [0, 2]])
    assert found.block_sizes(2) == found.block_sizes(2.0) == found.block_sizes(F(2)) == (2,)
    assert odemom.spectrum(np.diag([1.0, 2.0])).block_sizes(1) == (1,)
    with pytest.raises(odemom.InvalidInputError, match=r"mu: got 3; expected an eigenvalue: 2"):
        found.block_sizes(3)


CASES = [
    [[-1, 2], [0, -3]],
    np.array([[-1.0, 2.0], [0.0, -3.0]]),
    np.array([[-1.0, 0.5], [0.0, -1.0]], dtype=np.float32),
    np.zeros((2, 2)),
]


@pytest.mark.parametrize("matrix", CASES, ids=["exact", "double", "single", "zero"])
def test_a_spectrum_may_stand_for_its_matrix(matrix):
    found = odemom.spectrum(matrix)
    for eps in FLOWS:
        assert odemom.analyze(found, eps) == odemom.analyze(matrix, eps)
        assert odemom.is_representable(found, eps) is odemom.is_representable(matrix, eps)
        assert odemom.maximal_scale(found, eps) == odemom.maximal_scale(matrix, eps)
        near, expected = (odemom.nearest_representable(x, eps) for x in (found, matrix))
        np.testing.assert_array_equal(near.matrix, expected.matrix)
        assert near.distance == expected.distance
    assert odemom.analyze(found, FLOWS) == odemom.analyze(matrix, FLOWS)
    assert odemom.is_representable(found, FLOWS).shape == (len(FLOWS),)
    assert odemom.minimal_eps(found) == odemom.minimal_eps(matrix)
    assert repr(odemom.jordan_structure(found)) == repr(odemom.jordan_structure(matrix))
    theta = odemom.represent(found, SecondOrder(1, "field"))
    np.testing.assert_array_equal(theta, odemom.represent(matrix, SecondOrder(1, "field")))
    assert odemom.spectrum(found) is found


def test_a_spectrum_keeps_its_matrix_whatever_becomes_of_the_array():
    matrix = np.diag([-1.0, 2.0])
    found = odemom.spectrum(matrix)
    matrix[0, 0] = 5.0
    assert not odemom.is_representable(found, 0.5)
    with pytest.raises(ValueError, match="read-only"):
        found.matrix[0, 0] = 5.0


def test_the_eigenvalue_of_a_zero_matrix_of_floats_is_a_float():
    assert repr(odemom.spectrum(np.zeros((2, 2))).jordan_structure()) == "{0.0: (1, 1)}"
    assert repr(odemom.spectrum([[0]]).jordan_structure()) == "{Fraction(0, 1): (1,)}"


@pytest.mark.parametrize(
    ("matrix", "options", "kind"),
    [
        ([[1]], {}, ExactSpectrum),
        ([[1.0]], {}, FloatingSpectrum),
        ([[1.0]], {"exact": True}, ExactSpectrum),
        ([[1]], {"exact": False}, FloatingSpectrum),
        ([[0.0]], {}, ExactSpectrum),
    ],
)
def test_the_kind_of_the_numbers_tells_who_decides(matrix, options, kind):
    found = odemom.spectrum(matrix, **options)
    assert type(found) in (kind, *kind.__subclasses__())
    assert found.decide(1).exact == found.exact == (kind is ExactSpectrum)
    assert (found.tol is None) == found.exact
    assert found.dimension == 1


# --- a report computes nothing -----------------------------------------------------------------


def refuse(*_, **__):
    raise AssertionError("factored again")


@pytest.mark.parametrize("matrix", [[[-1, 2], [0, -3]], np.array([[-1.0, 2.0], [0.0, -3.0]])])
@pytest.mark.parametrize("flow", [0, "1/2", "inf", MomentumResNet("9/10", 4)])
def test_a_report_is_printed_without_factoring_again(monkeypatch, matrix, flow):
    expected = odemom.analyze(matrix, flow).to_dict()
    report = odemom.analyze(matrix, flow)
    monkeypatch.setattr(exact_module, "factors_of", refuse)
    monkeypatch.setattr(exact_matrix.ExactMatrix, "from_entries", refuse)
    monkeypatch.setattr(SchurForm, "of", refuse)
    assert report.to_dict() == expected
    assert report.explain() == expected["explanation"]
    assert "<table>" in report._repr_html_()
    assert "representable" in str(odemom.NotRepresentableError(report))


@pytest.mark.parametrize("matrix", [[[-1, 2], [0, -3]], np.array([[-1.0, 2.0], [0.0, -3.0]])])
@pytest.mark.parametrize("again", [copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))])
def test_a_report_survives_copies_with_its_repairs(matrix, again):
    report = odemom.analyze(matrix, "1/2")
    kept = again(report)
    assert kept == report
    assert hash(kept) == hash(report)
    assert kept.spectrum is None
    assert kept.repairs == report.repairs
    assert kept.repairs.minimal_eps == odemom.minimal_eps(matrix)
    assert kept.repairs.maximal_scale == odemom.maximal_scale(matrix, "1/2")
    assert kept.explain() == report.explain()
    assert json.dumps(kept.to_dict()) == json.dumps(report.to_dict())
    with pytest.raises(AttributeError):
        kept.representable = True


@pytest.mark.parametrize("matrix", CASES, ids=["exact", "double", "single", "zero"])
def test_a_spectrum_survives_a_pickle(matrix):
    found = odemom.spectrum(matrix)
    before = found.decide("1/2")
    kept = pickle.loads(pickle.dumps(found))
    assert kept.decide("1/2") == before
    assert repr(kept) == repr(found)


def test_what_is_representable_has_nothing_to_repair():
    assert odemom.analyze([[2]], 1).repairs is None
    assert odemom.analyze([[-1]], 1).repairs is not None


# --- max_bits ----------------------------------------------------------------------------------

LARGE = [[-(2**100), 1], [0, -(3**60)]]  # 2² times 101 bits


def test_max_bits_reaches_whatever_is_asked_of_the_matrix(monkeypatch):
    # the default would refuse: what answers has been told otherwise
    monkeypatch.setattr(exact_matrix, "MAX_BITS", 100)
    enough = 404
    report = odemom.analyze(LARGE, 1, max_bits=enough)
    assert "when scaled by at most" in report.explain()
    assert report.to_dict()["explanation"] == report.explain()
    with pytest.raises(odemom.NotRepresentableError) as refused:
        odemom.represent(LARGE, 1, max_bits=enough)
    assert refused.value.report == report
    assert (
        odemom.minimal_eps(LARGE, max_bits=enough)
        == odemom.spectrum(LARGE, max_bits=enough).minimal_eps()
    )
    assert report.repairs is not None
    assert odemom.maximal_scale(LARGE, 1, max_bits=enough) == report.repairs.maximal_scale
    assert odemom.jordan_structure(LARGE, max_bits=enough) == {-(2**100): (1,), -(3**60): (1,)}
    assert odemom.is_representable([LARGE], [1, 2], max_bits=enough).tolist() == [[False], [False]]


@pytest.mark.parametrize(
    "ask",
    [
        lambda bits: odemom.analyze(LARGE, 1, max_bits=bits),
        lambda bits: odemom.is_representable(LARGE, [1, 2], max_bits=bits),
        lambda bits: odemom.represent(LARGE, 1, max_bits=bits),
        lambda bits: odemom.minimal_eps(LARGE, max_bits=bits),
        lambda bits: odemom.maximal_scale(LARGE, 1, max_bits=bits),
        lambda bits: odemom.jordan_structure(LARGE, max_bits=bits),
        lambda bits: odemom.spectrum(LARGE, max_bits=bits),
    ],
)
def test_less_than_max_bits_is_refused_before_it_begins(ask):
    with pytest.raises(odemom.InvalidInputError, match="Raise max_bits"):
        ask(403)


@pytest.mark.parametrize("beside", [{"tol": np.array([1e-3, 1])}, {"exact": True}, {"max_bits": 9}])
def test_nothing_is_given_beside_a_spectrum(beside):
    with pytest.raises(InvalidInputError, match="beside a spectrum"):
        odemom.analyze(odemom.spectrum([[1, 0], [0, 2]]), 1, **beside)


@pytest.mark.parametrize(
    "eps",
    [np.ma.array([0.5, 1.0], mask=[False, True]), np.array([1, 2], dtype="m8[s]"), np.array([1j])],
)
def test_arrays_that_hold_no_known_numbers_are_no_masses(eps):
    with pytest.raises(InvalidInputError, match="eps"):
        odemom.is_representable([[1]], eps)


def test_extreme_condition_numbers_give_no_warning(recwarn):
    odemom.analyze([[1.0, 1e150], [1e-150, 1.0]], 0.5)
    odemom.analyze([[-1e-160, 1e140], [0, -1.0]], [0.1, 2])
    assert not [w for w in recwarn if issubclass(w.category, RuntimeWarning)]
