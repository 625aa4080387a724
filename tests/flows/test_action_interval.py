"""`psi_multiply` with an interval: one that is wrong is refused or does no harm."""

import math
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp
from scipy.sparse.linalg import LinearOperator, aslinearoperator

import odemom

RNG = np.random.default_rng(5)
GENERAL, BLOCK = 2 * RNG.standard_normal((8, 8)), RNG.standard_normal((8, 3))
SYMMETRIC = -GENERAL @ GENERAL.T


@pytest.mark.parametrize("eps", [0, 1e-6, 0.5, math.inf])
@pytest.mark.parametrize("size", [1e-3, 1.0, 1e3, 1e6])
@pytest.mark.parametrize("make", [np.asarray, aslinearoperator], ids=["entries", "operator"])
@pytest.mark.parametrize("share", [0.0, 0.3, 0.9])
def test_an_interval_that_misses_eigenvalues_is_refused_or_does_no_harm(eps, size, make, share):
    """It was trusted: errors of up to 154 times the result."""
    theta = size * np.diag([-1.0, -0.6, 0.0])
    middle = -0.5 * size
    interval = (middle - share * size / 2, middle + share * size / 2)
    expected = np.diag(odemom.psi(theta, eps))
    try:
        computed = odemom.psi_multiply(make(theta), np.ones(3), eps, interval=interval)
    except odemom.InvalidInputError:
        return
    phase = math.sqrt(size / eps) if 0 < eps < math.inf else 1 + size
    assert np.abs(computed - expected).max() <= 1e-13 * (1 + phase)


def test_an_interval_that_misses_says_where_the_spectrum_reaches():
    theta = np.diag([-100.0, -50.0, 0.0])
    with pytest.raises(odemom.InvalidInputError, match="such as one with -100 inside"):
        odemom.psi_multiply(theta, np.ones(3), 0, interval=(-60, 0))


@pytest.mark.parametrize("faint", [1e-30, 1e-150])
def test_a_component_too_small_to_see_is_seen_before_it_counts(faint):
    """As exp(690) times it does."""
    with pytest.raises(odemom.InvalidInputError, match="interval"):
        odemom.psi_multiply(np.diag([0.0, 690.0]), [1.0, faint], 0, interval=(-1e-16, 1e-16))


@pytest.mark.parametrize("make", [np.asarray, sp.csr_array, aslinearoperator])
@pytest.mark.parametrize("asymmetry", [1e-6, 1.0])
def test_an_interval_beside_a_theta_that_is_not_symmetric_is_refused(make, asymmetry):
    theta = SYMMETRIC + asymmetry * np.triu(np.abs(SYMMETRIC))
    with pytest.raises(odemom.InvalidInputError, match="symmetric"):
        odemom.psi_multiply(make(theta), BLOCK, 0.5, interval=(-1e3, 10))


def test_a_theta_symmetric_up_to_roundoff_is_symmetric():
    values = -np.geomspace(1e-3, 1e4, 8)
    vectors = np.linalg.qr(GENERAL)[0]
    theta = (vectors * values) @ vectors.T
    expected = (vectors * np.exp(values)) @ (vectors.T @ BLOCK)
    for given in (theta, sp.csr_array(theta), aslinearoperator(theta)):
        computed = odemom.psi_multiply(given, BLOCK, 0, interval=(-1e4, 0))
        assert np.abs(computed - expected).max() <= 1e-11  # u ||theta|| = 1e-12


def test_a_narrow_interval_far_from_zero_is_no_wider_than_roundoff():
    for value in (136.12319210427134, -1.97e5):
        computed = odemom.psi_multiply([[value]], [1.0], 0, interval=(value, value))
        np.testing.assert_allclose(computed, [math.exp(value)], rtol=1e-12, atol=1e-300)


@pytest.mark.parametrize("size", [1e-200, 1e200])
def test_columns_of_any_size_are_checked(size):
    block = np.array([[1.0, size], [1.0, size]])
    theta = np.diag([0.0, -50.0])
    computed = odemom.psi_multiply(theta, block, 0, interval=(-50, 0))
    np.testing.assert_allclose(computed[0], [1.0, size], rtol=1e-13)
    with pytest.raises(odemom.InvalidInputError, match="interval"):
        odemom.psi_multiply(theta, block[:, 1], 0, interval=(-20, 0))


@pytest.mark.parametrize(
    ("z", "eps", "interval"),
    [
        (-4e4, 1e3, (-1.3e5, 4.2e5)),
        (-10.0, 10.0, (-20.0, 4e3)),
        (-4e5, 1e5, (-1.3e6, 2e6)),
        (-4e6, 1e6, (-1.3e7, 2e7)),
    ],
)
@pytest.mark.parametrize("make", [np.asarray, aslinearoperator], ids=["entries", "operator"])
def test_a_heavy_mass_on_a_wide_interval_costs_no_digit_but_those_that_are_named(
    z, eps, interval, make
):
    """Terms that counted were cut as the roundoff of exp, which psi is not: 0.9 % of the first."""
    theta = np.array([[z]])
    exact = float(odemom.psi([[z]], eps, dps=30)[0, 0])
    largest = float(odemom.flows.SecondOrder(eps).scalar(interval[1]))
    try:
        (computed,) = odemom.psi_multiply(make(theta), np.ones(1), eps, interval=interval)
    except odemom.InvalidInputError:
        assert make is aslinearoperator
        assert largest >= 1e8
    else:
        assert abs(computed - exact) <= min(1e-15 * 20 * largest, 1e-6)


@pytest.mark.parametrize("eps", [1e3, 2e7])
def test_products_are_those_that_psi_of_a_heavy_mass_takes(eps):
    """Not those of exp, which are a thousand times as many."""
    calls = []

    def product(v):
        calls.append(1)
        return 6 * eps * (np.roll(v, 1, axis=0) + np.roll(v, -1, axis=0)) - 2 * eps * v

    make: Any = LinearOperator
    theta = make((50, 50), matvec=product, matmat=product, dtype=np.float64)
    interval = (-14.1 * eps, 10.1 * eps)
    computed = odemom.psi_multiply(theta, np.ones(50), eps, interval=interval)
    expected = float(odemom.psi([[10 * eps]], eps, dps=20)[0, 0])
    np.testing.assert_allclose(computed, expected, rtol=1e-13)
    assert len(calls) <= 40
