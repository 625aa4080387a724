"""psi_multiply with an interval: what psi does elsewhere on it does not spoil the result."""

from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.sparse as sp
from scipy.sparse.linalg import aslinearoperator

import odemom

SMALL = np.exp(-675.0 + math.log(1e290))


def test_a_psi_below_the_doubles_times_a_vector_near_their_end():
    found = odemom.psi_multiply([[-675.0]], [1e290], 0, interval=(-676, -675))
    assert found[0] == pytest.approx(SMALL, rel=1e-12)
    decay = sp.csr_array(sp.diags_array(np.linspace(-700.0, -675.0, 700)))
    assert odemom.psi_multiply(decay, np.full(700, 1e290), 0)[-1] == pytest.approx(SMALL, rel=1e-9)


def test_a_damped_psi_far_below_one():
    """exp(-1/(2 eps)) cosh(...) of eps = 1/1330: psi is about 1e-289 where it oscillates."""
    eps, theta, start = 1 / 1330, -(10.0**6), 1e290
    expected = float(odemom.psi([[theta]], eps, dps=20)[0, 0] * 10**290)
    found = odemom.psi_multiply([[theta]], [start], eps, interval=(1.1 * theta, 0.9 * theta))
    assert found[0] == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("high", [50.0, 1000.0])
def test_an_interval_on_which_psi_is_huge_leaves_the_result_right(high):
    theta = np.diag([0.0, -1.0])
    for given in (theta, sp.csr_array(theta), aslinearoperator(theta)):
        found = odemom.psi_multiply(given, [1.0, 1.0], 0, interval=(-1, high))
        np.testing.assert_allclose(found, [1.0, math.exp(-1)], rtol=1e-12)


def test_where_entries_are_unknown_such_an_interval_is_refused():
    theta = aslinearoperator(sp.csr_array(sp.diags_array(np.linspace(-1.0, 0.0, 3000))))
    with pytest.raises(odemom.InvalidInputError, match=r"interval: got \[-1, 50\], on which psi r"):
        odemom.psi_multiply(theta, np.ones(3000), 0, interval=(-1, 50))
    found = odemom.psi_multiply(theta, np.ones(3000), 0, interval=(-1, 0))
    np.testing.assert_allclose(found, np.exp(np.linspace(-1.0, 0.0, 3000)), rtol=1e-12)


def test_a_true_interval_that_takes_too_many_products_is_no_reason_to_refuse():
    theta = np.diag([-1e9, 0.0])
    for given in (theta, aslinearoperator(theta)):
        found = odemom.psi_multiply(given, [1.0, 1.0], 0, interval=(-1e9, 0))
        np.testing.assert_allclose(found, [0.0, 1.0], rtol=1e-12, atol=1e-300)


def test_a_psi_that_exceeds_the_doubles_is_an_overflow():
    with pytest.raises(odemom.ResultOverflowError):
        odemom.psi_multiply([[800.0]], [1.0], 0, interval=(799, 801))
    found = odemom.psi_multiply([[800.0]], [1e-100], 0, interval=(799, 801))
    assert found[0] == pytest.approx(math.exp(800 - 100 * math.log(10)), rel=1e-12)


def test_a_column_that_a_huge_psi_leaves_in_roundoff_is_seen_beside_others():
    theta = np.diag([-50.0, 0.0])
    found = odemom.psi_multiply(theta, np.eye(2), 0, interval=(-50, 10))
    np.testing.assert_allclose(np.diag(found), [math.exp(-50), 1.0], rtol=1e-12)


def test_a_psi_in_the_last_octave_of_the_doubles():
    """cosh of 709.9 is between 2^1023 and 2^1024."""
    theta = 709.9**2
    found = odemom.psi_multiply([[theta]], [1e-3], "inf", interval=(theta - 1, theta))
    exact = odemom.psi([[theta]], "inf", dps=20)[0, 0]
    assert found[0] == pytest.approx(float(exact / 1000), rel=1e-9)
