"""What counts as exact input, and the forms in which eps, stacks and flows are given."""

import json
from fractions import Fraction

import flint
import numpy as np
import pytest
import sympy

import odemom
from odemom.flows import FirstOrder, SecondOrder

EXACT_FORMS = [
    [[-1, 0], [0, -1]],
    ((-1, 0), (0, -1)),
    [[Fraction(-1), Fraction(0)], [0, -1]],
    [[sympy.Integer(-1), 0], [0, sympy.Rational(-1)]],
    sympy.Matrix([[-1, 0], [0, -1]]),
    sympy.ImmutableMatrix([[-1, 0], [0, -1]]),
    np.array([[-1, 0], [0, -1]]),
    np.array([[-1, 0], [0, -1]], dtype=np.int8),
    np.array([[-1, 0], [0, -1]], dtype=object),
    np.array([[np.int64(-1), np.uint8(0)], [0, Fraction(-1)]], dtype=object),
    [[flint.fmpz(-1), flint.fmpq(0)], [0, flint.fmpq(-2, 2)]],
    np.matrix([[-1, 0], [0, -1]]),
    np.ma.masked_array([[-1, 0], [0, -1]]),
]


@pytest.mark.parametrize("matrix", EXACT_FORMS, ids=lambda m: type(m).__name__)
def test_exact_numbers_in_every_form_are_decided_exactly(matrix):
    report = odemom.analyze(matrix, "1/2")
    assert (report.exact, report.status, bool(report)) == (True, "certain", True)
    assert [(e.value, e.blocks) for e in report.eigenvalues] == [(-1, (1, 1))]


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.longdouble])
def test_floats_are_decided_with_a_tolerance_unless_exact_is_asked_for(dtype):
    matrix = np.array([[-1, 0], [0, -1]], dtype=dtype)
    assert odemom.analyze(matrix, 0.5).status == "borderline"
    assert odemom.analyze(matrix, 0.5, exact=True).status == "certain"
    assert odemom.is_representable(matrix, 0.5, exact=True)


def test_a_boolean_array_is_a_matrix_of_zeros_and_ones():
    assert odemom.analyze(np.array([[True, False], [False, True]]), 0).exact
    assert odemom.is_representable([[True, False], [False, True]], 0)


@pytest.mark.parametrize("big", [2**64, 2**63, 2**64 + 1, 10**40, -(2**63) - 1])
def test_integers_beyond_64_bits_stay_exact(big):
    # eigenvalues big and -big - 1, and next to each other: big, big + 1
    report = odemom.analyze([[big, 1], [0, big + 1]], 1)
    assert {e.value for e in report.eigenvalues} == {big, big + 1}
    assert odemom.is_representable([[-1, big], [0, -1]], 1) is False
    mixed = odemom.analyze([[big, -1], [0, 1]], 1)
    assert {e.value for e in mixed.eigenvalues} == {big, 1}


def test_long_doubles_are_read_exactly_beyond_double_precision():
    if np.finfo(np.longdouble).nmant <= 52:
        pytest.skip("long double is double here")
    tiny = np.longdouble(2) ** -60
    matrix = np.array([[-1, 0], [0, -1 - tiny]], dtype=np.longdouble)
    assert not odemom.is_representable(matrix, 1, exact=True)


@pytest.mark.parametrize("shape", [(3,), (2, 3), (1, 1, 1)])
@pytest.mark.parametrize("kind", [float, int, object])
def test_a_stack_gives_an_array_of_booleans(shape, kind):
    rng = np.random.default_rng(0)
    stack = rng.integers(-3, 3, (*shape, 3, 3)).astype(kind)
    verdicts = odemom.is_representable(stack, 0.5)
    assert verdicts.shape == shape
    assert verdicts.dtype == bool
    for where in np.ndindex(shape):
        assert verdicts[where] == odemom.is_representable(stack[where], 0.5)


def test_one_matrix_gives_a_python_bool():
    assert odemom.is_representable([[1]], 1) is True
    assert odemom.is_representable(np.array([[-1.0]]), 1) is False


EQUAL_EPS = [
    [Fraction(1, 2), 0.5, "0.5", "1/2", sympy.Rational(1, 2), np.float32(0.5), np.array(0.5)],
    [0, 0.0, "0", np.int64(0), FirstOrder()],
    [float("inf"), "inf", np.inf, "Infinity"],
    [3, "3", 3.0, np.uint8(3), SecondOrder(3)],
]


@pytest.mark.parametrize("forms", EQUAL_EPS)
@pytest.mark.parametrize("mu", [Fraction(-1, 3), -1, Fraction(-2, 5)])
def test_eps_may_be_spelt_in_any_way(forms, mu):
    assert len({odemom.is_representable([[mu]], eps) for eps in forms}) == 1


def test_the_text_0_1_is_a_tenth_and_the_float_is_the_dyadic_that_it_is():
    import mpmath

    with mpmath.workdps(40):
        tenth, dyadic = odemom.lambda_eps("0.1", dps=30), odemom.lambda_eps(0.1, dps=30)
        assert dyadic < tenth  # the float lies above 1/10, and lambda decreases
        scale = 10**25
        between = Fraction(int(mpmath.floor((tenth + dyadic) / 2 * scale)), scale)
    assert odemom.is_representable([[between]], 0.1)
    assert not odemom.is_representable([[between]], "0.1")
    assert not odemom.is_representable([[between]], Fraction(1, 10))


def test_reports_become_plain_json_whatever_they_hold():
    for matrix in ([[0, 2], [1, 0]], [[0, -2], [1, 0]], [[Fraction(-1, 3)]], -np.eye(2)):
        report = odemom.analyze(matrix, 1)
        data = json.loads(json.dumps(report.to_dict()))
        assert data["representable"] == bool(report)
        assert data["explanation"] == report.explain()
        assert len(data["obstructions"]) == len(report.obstructions)
        assert data["dimension"] == len(matrix)


@pytest.mark.parametrize("digits", [100, 400, 5000])
def test_huge_eigenvalues_can_be_explained(digits):
    report = odemom.analyze([[-(10**digits)]], 1)
    assert not report
    assert "lies below" in report.explain()
    assert report.to_dict()["representable"] is False


def test_huge_irrational_eigenvalues_are_decided_and_told_apart():
    report = odemom.analyze([[0, 2 * 10**800], [1, 0]], 1)
    assert [e.position for e in report.eigenvalues] == ["below", "above"]
    assert json.dumps(report.to_dict(), allow_nan=False)
