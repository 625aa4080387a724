"""Whatever holds numbers is a matrix: tensors, SymPy, mpmath, decimals, text in lists."""

import subprocess
import sys
from decimal import Decimal
from fractions import Fraction

import flint
import mpmath
import numpy as np
import pytest
import sympy
import torch

import odemom

THREE_QUARTERS = Fraction(-3, 4)


@pytest.mark.parametrize(
    "matrix",
    [
        [["-3/4", "1"], ["0", "-0.75"]],
        [["-3/4", 1], [0, THREE_QUARTERS]],
        np.array([["-3/4", "1"], ["0", "-3/4"]]),
        np.array([["-3/4", 1], [0, "-3/4"]], dtype=object),
        [[Decimal("-0.75"), 1], [0, Decimal("-0.75")]],
        sympy.Matrix([[sympy.Rational(-3, 4), 1], [0, sympy.Rational(-3, 4)]]),
        flint.fmpq_mat([[flint.fmpq(-3, 4), 1], [0, flint.fmpq(-3, 4)]]),
    ],
    ids=lambda m: type(m).__name__,
)
def test_exact_numbers_of_every_kind_are_decided_exactly(matrix):
    report = odemom.analyze(matrix, "1/2")
    assert report.exact
    assert [(e.value, e.blocks) for e in report.eigenvalues] == [(THREE_QUARTERS, (2,))]


FLOATS = np.array([[-0.75, 1.0], [0.0, 0.25]])
TENSOR = torch.tensor(FLOATS)


@pytest.mark.parametrize(
    "matrix",
    [
        TENSOR,
        torch.nn.Parameter(TENSOR.clone()),
        list(TENSOR.clone().requires_grad_()),
        [[torch.tensor(-0.75), 1.0], [0.0, torch.nn.Parameter(torch.tensor(0.25))]],
        TENSOR.bfloat16(),
        sympy.Matrix(FLOATS),
        sympy.Matrix([[sympy.Float(-0.75), 1], [0, sympy.Float("0.25", 50)]]),
        mpmath.matrix(FLOATS.tolist()),
        [[mpmath.mpf(-0.75), 1], [0, mpmath.mpf(0.25)]],
    ],
    ids=lambda m: type(m).__name__,
)
def test_floats_of_every_kind_are_floats(matrix):
    report = odemom.analyze(matrix, 0.5)
    assert not report.exact
    assert {e.value for e in report.eigenvalues} == {-0.75, 0.25}
    np.testing.assert_array_equal(odemom.psi(matrix, 0.5), odemom.psi(FLOATS, 0.5))


@pytest.mark.parametrize(
    ("dtype", "spacing"),
    [(torch.bfloat16, 2.0**-7), (torch.float16, 2.0**-10), (torch.float32, 2.0**-23)],
)
def test_the_tolerance_is_that_of_the_type_of_a_tensor(dtype, spacing):
    assert odemom.analyze(TENSOR.to(dtype), 0.5).tol == 4 * 2 * spacing
    assert odemom.analyze(TENSOR, 0.5).tol == odemom.analyze(FLOATS, 0.5).tol


def test_numbers_of_more_digits_than_doubles_are_kept_where_floats_are_read_exactly():
    with mpmath.workdps(40):
        tenth = mpmath.mpf(1) / 10
        below = odemom.lambda_eps(1, dps=40) - mpmath.mpf(10) ** -35
    assert odemom.spectrum([[tenth]], exact=True).real_eigenvalues() != (Fraction(1, 10),)
    assert not odemom.is_representable([[below]], 1, exact=True)
    assert not odemom.is_representable(sympy.Matrix([[sympy.Float(below, 40)]]), 1, exact=True)


@pytest.mark.parametrize(
    ("matrix", "said"),
    [
        (sympy.Matrix([[1, 0], [0, sympy.sqrt(2)]]), r"sqrt\(2\) at \[1, 1\].*\.evalf\(\)"),
        ([[sympy.pi]], r"pi at \[0, 0\].*\.evalf\(\)"),
        (torch.eye(2).to_sparse(), r"to_dense\(\)"),
        (torch.eye(2, device="meta"), "without values"),
        (torch.eye(2, dtype=torch.complex64), "complex"),
        ([["-3/4", "1_0"], [0, 1]], r"'1_0' at \[0, 1\]"),
        ([["1e10001"]], "exponent of at most 10000"),
        (
            [np.ma.masked_array([1, 2], mask=np.array([False, True])), [3, 4]],
            r"masked entries in the list at \[0\]",
        ),
        ([[True, 2], [3, 4]], "booleans beside numbers"),
        (flint.arb_mat([[1]]), "arb"),
    ],
)
def test_what_is_no_matrix_of_numbers_is_refused_with_what_to_do(matrix, said):
    with pytest.raises(odemom.InvalidInputError, match=said):
        odemom.analyze(matrix, 0.5)


def test_what_evalf_gives_is_taken():
    matrix = sympy.Matrix([[sympy.sqrt(2), 0], [1, sympy.Rational(1, 3)]]).evalf()
    assert odemom.is_representable(matrix, 0.5)


@pytest.mark.parametrize(
    "eps", [Decimal("0.5"), mpmath.mpf(0.5), sympy.Float(0.5), torch.tensor(0.5), TENSOR[1, 1] * 2]
)
def test_a_number_of_any_kind_is_an_eps(eps):
    assert odemom.lambda_eps(eps, dps=20) == odemom.lambda_eps(0.5, dps=20)
    assert odemom.is_representable([[-0.38]], eps)


def test_the_infinity_of_sympy_is_inf():
    assert odemom.lambda_eps(sympy.oo) == -1
    assert odemom.lambda_eps(sympy.oo, dps=20) == -1
    assert odemom.analyze([[-1]], sympy.oo)
    with pytest.raises(odemom.InvalidInputError, match=r"the entry inf at \[0, 1\]"):
        odemom.psi(sympy.Matrix([[1, sympy.oo], [0, 1]]), 1)


def test_masses_of_every_kind_stand_in_one_list():
    masses = [sympy.oo, Fraction(1, 2), "1/2", Decimal("0.5"), 0.5]
    assert odemom.lambda_eps(masses).tolist() == [-1.0, *[odemom.lambda_eps(0.5)] * 4]


def test_no_package_is_loaded_to_look_at_numbers():
    code = (
        "import sys, numpy, odemom\n"
        "odemom.psi(numpy.eye(2), 0.5), odemom.psi([['1/2']], 0.5)\n"
        "assert not {'torch', 'sympy', 'matplotlib'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
