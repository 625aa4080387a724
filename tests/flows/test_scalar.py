"""The scalar functions psi against the characteristic roots in mpmath."""

from fractions import Fraction

import mpmath
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from odemom.flows import FirstOrder, SecondOrder, Undamped
from tests.oracles import UNIT, psi_scalar

EPS = [1e-12, 1e-6, 1e-4, 1e-3, 0.05, 0.5, 1.0, 1.5, 40.0, 1e6, 1e12]
VELOCITIES = ["zero", "field"]
powers = st.floats(-12, 12).map(lambda p: 10.0**p)
# Fifty rounding errors is more than the operations of any of the forms.
ROUNDINGS = 50


def flow_at(eps, velocity):
    return SecondOrder(eps, velocity)


def assert_accurate(z, eps, velocity):
    reference, lost = psi_scalar(z, eps, velocity == "field")
    if abs(reference) > 1e290 or not mpmath.isfinite(reference):
        return
    computed = flow_at(eps, velocity).scalar(z)[()]
    error = abs(mpmath.mpmathify(computed) - reference)
    # Results below the normal doubles carry an absolute error instead.
    assert error <= ROUNDINGS * lost + 1e-300, (z, eps, computed, reference)


@pytest.mark.parametrize("velocity", VELOCITIES)
@pytest.mark.parametrize("eps", EPS)
@pytest.mark.parametrize("z", [0.0, 1.0, -1.0, 3.7, -30.0, 1e-9, 2 - 1j, -5 + 3j, 1j, -0.3 - 40j])
def test_scalar_agrees_with_mpmath(z, eps, velocity):
    assert_accurate(z, eps, velocity)


@pytest.mark.parametrize("velocity", VELOCITIES)
@pytest.mark.parametrize("eps", EPS)
@pytest.mark.parametrize("away", [0.0, 1e-15, -1e-15, 1e-8, -1e-8, 1e-3, -1e-3, 1e-9j, -0.1])
def test_scalar_is_accurate_where_s_vanishes(away, eps, velocity):
    assert_accurate(-(1 + away) / (4 * eps), eps, velocity)


@given(eps=powers, size=powers, sign=st.sampled_from([1, -1]), velocity=st.sampled_from(VELOCITIES))
def test_scalar_agrees_with_mpmath_on_the_real_line(eps, size, sign, velocity):
    assert_accurate(sign * size, eps, velocity)


@given(eps=powers, size=powers, angle=st.floats(-3.14, 3.14), velocity=st.sampled_from(VELOCITIES))
def test_scalar_agrees_with_mpmath_in_the_plane(eps, size, angle, velocity):
    assert_accurate(size * complex(np.cos(angle), np.sin(angle)), eps, velocity)


@pytest.mark.parametrize("z", [0.0, -(np.pi**2) / 4, 4.0, -30.0, 1 + 2j])
def test_undamped_is_cosh_of_the_root(z):
    with mpmath.workdps(40):
        reference = mpmath.cosh(mpmath.sqrt(mpmath.mpmathify(z)))
    # |z psi'(z)| <= |z| cosh|sqrt z|/2 carries the rounding of the root.
    bound = 8 * UNIT * (1 + abs(z)) * np.cosh(np.sqrt(complex(z)).real)
    assert abs(mpmath.mpmathify(Undamped().scalar(z)[()]) - reference) <= bound


@pytest.mark.parametrize("flow", [FirstOrder(3), SecondOrder(0.25, horizon=3), Undamped(3)])
@pytest.mark.parametrize("z", [0.4, -1.3, 0.2 + 1j])
def test_psi_commutes_with_conjugation_and_keeps_the_kind_and_shape_of_its_argument(flow, z):
    values = flow.scalar(np.full((2, 3), z))
    assert values.shape == (2, 3)
    assert values.dtype == (np.complex128 if isinstance(z, complex) else np.float64)
    np.testing.assert_array_equal(flow.scalar(np.conj(z)), np.conj(flow.scalar(z)))


@pytest.mark.parametrize("velocity", VELOCITIES)
@pytest.mark.parametrize(("eps", "horizon"), [(0.5, 3.0), (2.0, 0.125), (1e-3, 7.0)])
def test_a_horizon_is_a_rescaling(eps, horizon, velocity):
    z = np.linspace(-2, 2, 9)
    long = SecondOrder(eps, velocity, horizon).scalar(z)
    # eps/T is rounded once, which moves the exponents, at most 2 T here, by a few roundings.
    unit = SecondOrder(eps / horizon, velocity).scalar(horizon * z)
    np.testing.assert_allclose(long, unit, rtol=100 * UNIT * (1 + horizon), atol=1e-14)


@pytest.mark.parametrize(
    "make",
    [FirstOrder, Undamped, lambda: SecondOrder(0.3), lambda: SecondOrder(0.3, "field")],
)
def test_scalar_and_matrix_agree_on_diagonal_matrices(make):
    z = np.array([-20.0, -1.5, 0.0, 0.3, 2.0])
    flow = make()
    diagonal = np.diag(flow.scalar(z))
    # The double angles of the largest entry cost the others ||W||^{1/2} roundings of the norm.
    bound = 400 * UNIT * np.abs(diagonal).max()
    np.testing.assert_allclose(flow.matrix(np.diag(z)), diagonal, rtol=0, atol=bound)
    for point in z:
        one = flow.matrix(np.array([[point]]))[0, 0]
        assert abs(one - flow.scalar(point)) <= 400 * UNIT * max(1, abs(one))


@pytest.mark.parametrize("eps", [Fraction(1, 10**400), Fraction(10**400)], ids=["tiny", "huge"])
def test_the_scalar_function_has_its_limits_beyond_the_doubles(eps):
    expected = np.exp(-1.0) if eps < 1 else 1.0
    assert abs(SecondOrder(eps).scalar(-1.0) - expected) <= 4 * UNIT
