"""`psi` where numbers are huge or tiny: an answer, or an error that says what is out of range."""

import math
import warnings
from typing import Any

import mpmath
import numpy as np
import pytest

import odemom
from odemom.errors import ResultOverflowError
from odemom.flows import FirstOrder, ResNet, SecondOrder, Undamped
from tests.oracles import UNIT, error1, psi_matrix

METHODS: list[Any] = ["auto", "closed", "series", "companion"]
VELOCITIES = ["zero", "field"]
SETTINGS: list[Any] = [{}, {"all": "raise"}]


@pytest.mark.parametrize(
    ("theta", "eps", "method"),
    [
        ([[1e6]], 1, "auto"),
        ([[1e6, 1], [0, 1e6]], 0, "auto"),
        ([[1e6]], math.inf, "auto"),
        ([[1e6]], 1, "closed"),
        ([[1e6]], 1, "series"),
        ([[1e6]], 1, "companion"),
        ([[-1e6]], 1, "series"),  # psi itself is 0.34
    ],
)
def test_overflow_is_an_error_and_never_a_number(theta, eps, method):
    with pytest.raises(ResultOverflowError, match="dps=16"):
        odemom.psi(theta, eps, method=method)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    ("theta", "eps", "horizon"),
    [
        (np.full((2, 2), 1e308), 0.5, 1),
        (np.full((2, 2), 1e308), math.inf, 1),
        (np.full((2, 2), 1e308), 0, 1),
        ([[1e10]], 0.5, 1e308),
    ],
)
@pytest.mark.filterwarnings("error")
def test_norms_beyond_the_doubles_overflow_as_documented(theta, eps, horizon, method):
    with pytest.raises(ResultOverflowError):
        odemom.psi(theta, eps, horizon=horizon, method=method)


RANGE: list[Any] = [0, 1e-5, 0.5, 1e155, 1.7e308, math.inf, ResNet(9)]
SIZES = [0, 1e-320, 1e-200, 1.0, 15.0, 1e3, 1e100, 1e306]


def in_range(d, i, j):
    """Numbers of every size by every flow; of large matrices every fourth."""
    here = d == 1 or (d == 40 and (i + j) % 4 == 1)
    return pytest.param(d, SIZES[i], RANGE[j], marks=[] if here else pytest.mark.slow)


@pytest.mark.parametrize(
    ("d", "size", "flow"),
    [
        in_range(d, i, j)
        for d in (1, 3, 8, 40)
        for i in range(len(SIZES))
        for j in range(len(RANGE))
    ],
)
def test_whatever_is_in_range_gives_psi_or_our_error_and_no_other(d, size, flow):
    with np.errstate(all="ignore"):
        theta = size * np.random.default_rng(d).standard_normal((d, d))
        directed = np.triu(theta)
    stack = np.stack([theta, directed])
    # "auto" catches what NumPy raises, and goes on another way: both settings matter there. The
    # named methods do the same under both, so the strict one says all.
    cases: list[Any] = [
        ("auto", m, how) for m in (theta, directed, directed.T, stack) for how in SETTINGS
    ]
    if not isinstance(flow, ResNet):  # which has one method
        cases += [(name, m, SETTINGS[1]) for name in METHODS[1:] for m in (theta, directed)]
    for method, matrices, how in cases:
        with warnings.catch_warnings(), np.errstate(**how):
            warnings.simplefilter("error")
            try:
                value = odemom.psi(matrices, flow, method=method)
            except ResultOverflowError:
                continue
        assert np.isfinite(value).all()


@pytest.mark.parametrize("eps", [1e155, 1.7e308])
@pytest.mark.parametrize("method", METHODS)
def test_a_huge_mass_hardly_moves_whatever_the_method(method, eps):
    theta = np.array([[0.3, -1.0], [0.4, -0.2]])
    np.testing.assert_allclose(odemom.psi(theta, eps, method=method), np.eye(2), atol=4 * UNIT)


@pytest.mark.parametrize("d", [1, 3, 8, 40])
def test_the_horizon_may_be_huge_where_theta_is_tiny(d):
    theta = np.random.default_rng(d).integers(-8, 9, (d, d)) / 8.0
    # 2^513 squared is no double; the products here are exact.
    cases = [
        (Undamped(2.0**513), 2.0**-1022, 16 * theta, Undamped()),
        (FirstOrder(2.0**660), 2.0**-660, theta, FirstOrder()),
        (SecondOrder(2.0**659, "zero", 2.0**660), 2.0**-660, theta, SecondOrder(0.5)),
    ]
    for long, factor, same, unit in cases:
        tiny, x = factor * theta, np.ones(d)
        np.testing.assert_array_equal(odemom.psi(tiny, long), odemom.psi(same, unit))
        np.testing.assert_allclose(
            odemom.psi_multiply(tiny, x, long), odemom.psi(same, unit) @ x, rtol=1e-10, atol=1e-9
        )
        assert odemom.psi_cond(tiny, long) == odemom.psi_cond(same, unit)
        derivative = odemom.psi_frechet(tiny, tiny, long)
        np.testing.assert_array_equal(derivative, odemom.psi_frechet(same, same, unit))


@pytest.mark.parametrize("method", ["closed", "companion"])
@pytest.mark.filterwarnings("error")
def test_methods_that_cannot_reach_a_tiny_eps_say_so(method):
    with pytest.raises(ResultOverflowError):
        odemom.psi([[0.5]], 1e-170, method=method)


@pytest.mark.parametrize("parameter", ["eps", "horizon"])
def test_exact_parameters_beyond_the_doubles_give_an_answer_or_our_error(parameter):
    options: dict[str, Any] = {"eps": 1, parameter: 10**400}
    try:
        value = odemom.psi([[-1.0]], **options)
    except odemom.OdemomError:
        return
    assert parameter == "eps"
    np.testing.assert_allclose(value, 1, atol=UNIT)


def test_the_closed_form_survives_where_exp_of_the_root_overflows():
    assert error1(odemom.psi([[-1e6]], 1), psi_matrix([[-(10**6)]], 1)) <= 1e-12


def test_matrices_whose_powers_would_underflow_are_brought_near_1_first():
    tiny = 1e-200 * np.random.default_rng(0).standard_normal((2, 30, 30))
    off = ~np.eye(30, dtype=bool)
    # psi = I + psi'(0) theta to first order, and psi'(0) = 1 - eps (1 - exp(-1/eps)) at eps = 1
    for psi, theta in zip(odemom.psi(tiny, 1), tiny, strict=True):
        np.testing.assert_array_equal(np.diag(psi), 1)
        np.testing.assert_allclose(psi[off], math.exp(-1) * theta[off], rtol=1e-14)


@pytest.mark.parametrize("eps", [0, 0.5, math.inf])
@pytest.mark.parametrize("d", [2, 30])
@pytest.mark.parametrize("corner", [1e8, 2e9, 1e12, 1e50, 1e300])
def test_a_huge_nilpotent_part_costs_no_digit(corner, d, eps):
    theta = np.zeros((d, d))
    theta[0, -1] = corner
    slope = odemom.psi_frechet([[0.0]], [[1.0]], eps)[0, 0]
    expected = np.eye(d)
    expected[0, -1] = corner * slope
    np.testing.assert_allclose(odemom.psi(theta, eps), expected, rtol=1e-15)
    if corner < 1e20:
        # beside a diagonal the powers shrink more slowly; cond is of the size of the corner
        value = odemom.psi(theta - np.eye(d), eps)[0, -1]
        beside = corner * odemom.psi_frechet([[-1.0]], [[1.0]], eps)[0, 0]
        assert value == pytest.approx(beside, rel=1e-9)


@pytest.mark.parametrize("d", [1, 3, 4, 30])
def test_with_field_a_mass_beyond_the_doubles_moves_along_theta(d):
    for theta in (0.3 * np.eye(d), np.broadcast_to(0.3 * np.eye(d), (2, d, d))):
        value = odemom.psi(theta, "1e400", initial_velocity="field")
        assert np.allclose(value, np.eye(d) + theta, rtol=1e-15)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("z", [-1e20, -1e50])
def test_a_flow_evaluates_huge_matrices_without_a_warning(z):
    for d in (1, 3, 12):
        assert np.isfinite(SecondOrder(0.5).matrix(z * np.eye(d))).all()


@pytest.mark.parametrize("eps", [5e-324, 1e-100, 1e-41])
@pytest.mark.parametrize("velocity", VELOCITIES)
def test_digits_of_the_smallest_masses_are_those_of_the_exponential(eps, velocity):
    """psi differs from the exponential by a few eps; W = theta/eps + 1/(4 eps²) is huge."""
    theta = [[2.5, 1.0], [0.0, -3.0]]
    with mpmath.workdps(60):
        difference = odemom.psi(theta, eps, dps=40, initial_velocity=velocity)
        difference -= odemom.psi(theta, 0, dps=50)
        assert mpmath.mnorm(difference, 1) <= mpmath.mpf(10) ** -38 + 1000 * eps
