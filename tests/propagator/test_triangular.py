"""Triangular matrices, and those of the gallery: how far the error is from u max(1, cond)."""

import math

import numpy as np
import pytest
import scipy.linalg

import odemom
from tests.gallery import condex_upper, gallery, triw
from tests.oracles import UNIT, error1, needs_extended, norm1

MASSES = [0, 1e-3, 0.1, 1, math.inf]


def in_units(theta, eps):
    """The error of psi, in units of u max(1, cond); 0 where psi leaves the doubles."""
    exact = odemom.psi(theta, eps, dps=30)
    size = norm1(np.array(exact.tolist(), dtype=float))
    if not 1e-280 < size < 1e300:
        return 0.0
    cond = max(1.0, odemom.psi_cond(theta, eps))
    return error1(odemom.psi(theta, eps), exact) / (size * UNIT * cond)


@needs_extended
@pytest.mark.parametrize("eps", [0, 0.01, 1, math.inf])
@pytest.mark.parametrize("transposed", [False, True])
def test_diagonal_and_superdiagonal_are_rounded_once(eps, transposed):
    d = 70
    rng = np.random.default_rng(0)
    theta = np.triu(rng.standard_normal((d, d))) * 3
    theta[10, 10] = theta[11, 11]  # a divided difference that is a derivative
    given = theta.T.copy() if transposed else theta
    value = odemom.psi(given, eps)
    value = value.T if transposed else value
    for i in range(0, d - 1, 4 if eps else 1):
        exact = odemom.psi(theta[i : i + 2, i : i + 2].tolist(), eps, dps=30)
        for j, k in ((0, 0), (0, 1), (1, 1)):
            assert value[i + j, i + k] == pytest.approx(float(exact[j, k]), rel=4e-16)
    assert not np.tril(value, -1).any()


@needs_extended
@pytest.mark.parametrize("make", [triw, condex_upper])
def test_the_triangles_that_lost_seventeen_units(make):
    """Of size 48 at eps = 0: 17 u cond, where SciPy, which sets the diagonals, has 1.2 and 2.4."""
    assert in_units(make(48), 0) <= 5


def test_huge_triangles_keep_their_diagonals():
    theta = np.triu(np.full((30, 30), 1e11)) - 2e11 * np.eye(30)
    for eps in (0, 1.0):
        scaled, _ = odemom.psi(theta, eps, scaled=True)
        assert np.isfinite(scaled).all()


def test_expm_of_a_stack_is_taken_one_by_one(monkeypatch):
    """SciPy 1.18.0 takes for a whole stack the plan of its first matrix."""
    stack = np.random.default_rng(0).standard_normal((2, 3, 4, 4))
    stack *= np.array([0.1, 1, 30])[:, None, None]
    expected = [scipy.linalg.expm(matrix) for matrix in stack.reshape(-1, 4, 4)]
    seen, expm = [], scipy.linalg.expm
    monkeypatch.setattr(scipy.linalg, "expm", lambda m: seen.append(m.ndim) or expm(m))
    value = odemom.psi(stack, 0, method="companion")
    np.testing.assert_array_equal(value.reshape(-1, 4, 4), expected)
    odemom.psi(stack, 0.5, method="companion")
    assert seen == [2] * 12


@needs_extended
@pytest.mark.parametrize("eps", [0, 1])
def test_the_smaller_matrices_of_the_gallery(eps):
    """At most 0.7 d, with every kernel of OpenBLAS that was tried."""
    cases = gallery((7,)).items()
    worst = max((in_units(theta, eps) / len(theta), name) for name, theta in cases)
    assert worst[0] <= 0.7, worst


@pytest.mark.slow
@needs_extended
@pytest.mark.parametrize("eps", MASSES)
def test_the_gallery(eps):
    """Four minutes in all; it prints the worst ten."""
    rows = sorted(
        ((in_units(theta, eps), len(theta), name) for name, theta in gallery().items()),
        reverse=True,
    )
    for units, _, name in rows[:10]:
        print(f"{units:8.3g}  {name}, eps = {eps}")
    assert max(units / d for units, d, _ in rows) <= 0.76
