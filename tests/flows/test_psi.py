"""odemom.psi of matrices: against Arb's companion exponential, and within its documented bounds."""

import json
import math
from fractions import Fraction
from pathlib import Path
from typing import Any

import mpmath
import numpy as np
import pytest
import scipy.linalg
from hypothesis import given, settings
from hypothesis import strategies as st

import odemom
from odemom.errors import ResultOverflowError
from odemom.flows import FirstOrder, SecondOrder, Undamped, flow_of
from tests.oracles import UNIT, error1, norm1, psi_matrix, to_floats

VECTORS = json.loads((Path(__file__).parents[1] / "data" / "vectors.json").read_text())["psi"]
METHODS: list[Any] = ["auto", "closed", "series", "companion"]
VELOCITIES = ["zero", "field"]


def documented_bound(theta, eps, method, velocity="zero"):
    """The error that the docstring of odemom.psi allows, in the 1-norm.

    With "field", B has the weight a + ||theta|| in place of a.
    """
    theta = np.asarray(theta, dtype=float)
    d, a = len(theta), 0.5 / eps
    if method == "companion":
        identity, zero = np.eye(d), np.zeros((d, d))
        companion = np.block([[zero, identity], [theta / eps, -identity / eps]])
        size = norm1(companion)
        return (
            20
            * d
            * (1 + size)
            * UNIT
            * np.exp(min(size, 709))
            * (1 + (norm1(theta) if velocity == "field" else 0))
        )
    root = math.sqrt(norm1(theta / eps + a * a * np.eye(d)))
    weight = a + (norm1(theta) if velocity == "field" else 0)
    ratio = weight / root if root else 0.0
    majorant = math.exp(root - a) * (1 + ratio) / 2 + math.exp(-root - a) * (1 - ratio) / 2
    if root < 1e-3:
        majorant = math.exp(-a) * (1 + weight)
    return 20 * d * (1 + root) * UNIT * majorant


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("case", VECTORS, ids=lambda c: f"{c['kind']}-{c['eps']}")
def test_stored_cases_agree_to_1e_12_of_the_norm(case, method):
    eps, velocity, expected = float(case["eps"]), case["initial_velocity"], np.array(case["psi"])
    computed = odemom.psi(case["theta"], eps, method=method, initial_velocity=velocity)
    allowed = 1e-12 * norm1(expected)
    if method != "auto":  # accurate as far as it is documented to be
        allowed = max(allowed, documented_bound(case["theta"], eps, method, velocity))
    assert norm1(computed - expected) <= allowed


@pytest.mark.parametrize("case", VECTORS, ids=lambda c: f"{c['kind']}-{c['eps']}")
def test_stored_cases_agree_in_mpmath_to_the_digits_they_are_stored_with(case):
    options = {"initial_velocity": case["initial_velocity"], "dps": 30}
    computed = to_floats(odemom.psi(case["theta"], case["eps"], **options))
    # both are rounded to doubles
    assert norm1(computed - np.array(case["psi"])) <= 4 * UNIT * norm1(case["psi"])


@st.composite
def problems(draw):
    d = draw(st.integers(1, 4))
    seed = draw(st.integers(0, 2**32 - 1))
    size = 10 ** draw(st.floats(-3, 1.5))
    eps = 10 ** draw(st.floats(-2.8, 3))
    rng = np.random.default_rng(seed)
    theta = rng.standard_normal((d, d))
    kind = draw(st.sampled_from(["full", "symmetric", "skew", "negative", "upper"]))
    theta = {
        "full": theta,
        "symmetric": theta + theta.T,
        "skew": theta - theta.T,
        "negative": -theta @ theta.T,
        "upper": np.triu(theta),
    }[kind]
    return theta * size / max(norm1(theta), 1e-9), eps, draw(st.sampled_from(VELOCITIES))


@pytest.mark.parametrize("method", ["closed", "series", "companion"])
@given(problems())
@settings(max_examples=35)
def test_every_method_keeps_its_documented_bound(method, problem):
    theta, eps, velocity = problem
    reference = psi_matrix(theta, eps, field=velocity == "field")
    try:
        computed = odemom.psi(theta, eps, method=method, initial_velocity=velocity)
    except ResultOverflowError:
        assert norm1(to_floats(reference)) > 1e200 or method != "closed"
        return
    assert error1(computed, reference) <= documented_bound(theta, eps, method, velocity)


@given(problems())
@settings(max_examples=35)
def test_auto_is_as_accurate_as_the_closed_form_is_documented_to_be(problem):
    theta, eps, velocity = problem
    reference = psi_matrix(theta, eps, field=velocity == "field")
    computed = odemom.psi(theta, eps, initial_velocity=velocity)
    assert error1(computed, reference) <= documented_bound(theta, eps, "closed", velocity)


@pytest.mark.parametrize("velocity", VELOCITIES)
@pytest.mark.parametrize("eps", [0.05, 0.02, 1e-3, 9e-4, 1e-4, 1e-5])
def test_auto_keeps_its_digits_for_small_eps_where_the_closed_form_loses_them(eps, velocity):
    theta = np.random.default_rng(3).standard_normal((6, 6)) / 2
    reference = psi_matrix(theta, eps, field=velocity == "field", dps=20)
    scale = float(mpmath.mnorm(reference, 1))

    def error(method):
        return error1(odemom.psi(theta, eps, method=method, initial_velocity=velocity), reference)

    # expm of a matrix of norm 3 and a well-conditioned root: some d roundings.
    assert error("auto") <= 20 * 6 * UNIT * scale
    if eps <= 1e-4:
        assert error("companion") > 5 * error("auto")
        assert error("closed") > 5 * error("auto")


@pytest.mark.parametrize("velocity", VELOCITIES)
@pytest.mark.parametrize("eps", [0.05, 0.045, 0.04, 0.03])
def test_the_small_eps_form_keeps_its_decaying_part(eps, velocity):
    # At the edge of its domain, 4 eps ||theta|| = 1/2, that part is 1e-8 of the result.
    theta = -np.diag([1.0, 0.5, 0.9]) * 0.124 / eps
    reference = psi_matrix(theta, eps, field=velocity == "field")
    computed = odemom.psi(theta, eps, initial_velocity=velocity)
    # expm of a matrix of norm 5 at most
    assert error1(computed, reference) <= 20 * 3 * UNIT * float(mpmath.mnorm(reference, 1))


@pytest.mark.parametrize("theta", [np.zeros((2, 2)), np.array([[-0.4, 1.0], [0.0, -0.4]])])
@pytest.mark.parametrize("eps", [1e-3, 7e-4, 6.8e-4, 6.7e-4, 1e-4, 1e-5])
def test_the_series_keeps_its_documented_bound_or_refuses_where_exp_minus_a_underflows(theta, eps):
    reference = psi_matrix(theta, eps)
    try:
        computed = odemom.psi(theta, eps, method="series")
    except ResultOverflowError:
        return
    assert error1(computed, reference) <= documented_bound(theta, eps, "series")


@pytest.mark.parametrize("velocity", VELOCITIES)
@pytest.mark.parametrize("power", [3, 4, 5, 6, 8])
def test_psi_tends_to_exp_at_the_rate_eps(power, velocity):
    theta = np.array([[0.2, -0.7], [0.5, 0.1]])
    eps = 10.0**-power
    # psi = exp(theta - eps theta² + ...) (I - [or +] eps theta + ...): the gap is O(eps).
    gap = norm1(odemom.psi(theta, eps, initial_velocity=velocity) - scipy.linalg.expm(theta))
    assert 0.05 * eps <= gap <= 10 * eps


@pytest.mark.parametrize("eps", [1e-17, 1e-100, 1e-170, 1e-300, 5e-324, "1e-400"])
def test_psi_is_exp_where_eps_is_below_roundoff(eps):
    theta = np.array([[0.2, -0.7], [0.5, 0.1]])
    np.testing.assert_allclose(odemom.psi(theta, eps), scipy.linalg.expm(theta), atol=20 * UNIT)


@pytest.mark.parametrize("eps", [0, math.inf])
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("horizon", [1, 2.5, Fraction(1, 3)])
def test_the_ends_eps_0_and_inf_are_exp_and_cosh_of_the_root(eps, method, horizon):
    theta = np.array([[-3.0, 1.0, 0.5], [0.0, 2.0, -1.0], [1.0, 1.0, 0.0]])
    reference = psi_matrix(theta, eps, horizon=float(horizon))
    computed = odemom.psi(theta, eps, method=method, horizon=horizon)
    # cosh sqrt and exp grow at most as exp(T ||theta||) = exp(10) here
    assert error1(computed, reference) <= 60 * UNIT * 20 * float(mpmath.mnorm(reference, 1))


def test_large_eps_after_rescaling_tends_to_the_undamped_flow():
    theta = np.array([[-3.0, 1.0], [0.5, -2.0]])
    gaps = [norm1(odemom.psi(e * theta, e) - odemom.psi(theta, np.inf)) for e in (1e3, 1e6)]
    assert gaps[0] <= 1e-2
    assert gaps[1] / gaps[0] == pytest.approx(1e-3, rel=0.05)  # first order in 1/eps


@pytest.mark.parametrize("eps", [Fraction(1, 10), "1e-6", 0, math.inf, 3, 1e-12])
@pytest.mark.parametrize("velocity", VELOCITIES)
@pytest.mark.parametrize("dps", [15, 60])
def test_dps_digits_of_the_norm_are_right_at_every_eps(eps, velocity, dps):
    if eps == math.inf and velocity == "field":
        pytest.skip("no limit")
    theta = [[Fraction(-1, 3), 2, 0], [0, Fraction(1, 7), 1], [-5, 0, -2]]
    computed = odemom.psi(theta, eps, initial_velocity=velocity, dps=dps)
    mass = eps if eps in (0, math.inf) else Fraction(eps)
    if mass != 0 and mass < Fraction(1, 10**4):  # out of the companion's reach: psi_eps = exp + O
        reference = odemom.psi(theta, eps, initial_velocity=velocity, dps=dps + 40)
    else:
        field = velocity == "field" and mass != 0
        reference = psi_matrix(theta, mass, field=field, dps=dps + 5)
    with mpmath.workdps(dps + 20):
        error = mpmath.mnorm(computed - reference, 1)
        assert error <= mpmath.mpf(10) ** -dps * mpmath.mnorm(reference, 1)


@pytest.mark.parametrize("eps", [0.5, Fraction(1, 10**6), 0, math.inf])
def test_dps_at_1_by_1_agrees_with_the_scalar_function(eps):
    # psi' is at most psi(|z|)-like: a few roundings
    value = odemom.psi([[-2]], eps, dps=30)[0, 0]
    assert float(value) == pytest.approx(float(flow_of(eps).scalar(-2)), rel=20 * UNIT)


def test_dps_keeps_exact_numbers_exact_and_reads_doubles_as_dyadics():
    third, tenth = odemom.psi([[Fraction(1, 3)]], 0, dps=40), odemom.psi([[0.1]], 0, dps=40)
    with mpmath.workdps(50):
        assert abs(third[0, 0] - mpmath.exp(mpmath.mpf(1) / 3)) < 1e-39
        assert abs(tenth[0, 0] - mpmath.exp(mpmath.mpf(0.1))) < 1e-39
    assert odemom.psi([[2**70]], "1/10", dps=10)[0, 0] > mpmath.mpf(10) ** 1000


@pytest.mark.parametrize("a", [10**5, 10**8, 10**300], ids=["1e5", "1e8", "1e300"])
def test_digits_of_large_matrices_that_decay_or_turn(a):
    """exp(norm) is no measure of the bits that they take: these are a millisecond each."""
    value = odemom.psi([[-a, a], [0, 0]], 0, dps=30)
    with mpmath.workdps(60):
        decayed = mpmath.exp(-a)
        expected = mpmath.matrix([[decayed, 1 - decayed], [0, 1]])
        assert mpmath.mnorm(value - expected, 1) <= 1e-29
    value = odemom.psi([[0, a], [-a, 0]], 0, dps=30)
    with mpmath.workdps(400):
        turned = mpmath.matrix([[mpmath.cos(a), mpmath.sin(a)], [-mpmath.sin(a), mpmath.cos(a)]])
        assert mpmath.mnorm(value - turned, 1) <= 1e-29


@pytest.mark.parametrize("eps", [0, 0.01, 0.5, 20.0, math.inf])
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("shape", [(1,), (3,), (2, 2)])
def test_a_stack_has_the_values_of_its_members(eps, method, shape):
    stack = np.random.default_rng(5).standard_normal((*shape, 3, 3))
    together = odemom.psi(stack, eps, method=method)
    assert together.shape == stack.shape
    for where in np.ndindex(shape):
        alone = odemom.psi(stack[where], eps, method=method)
        mass = min(max(eps, 0.01), 100)
        allowed = max(1e-12, documented_bound(stack[where], mass, "closed"))
        assert norm1(together[where] - alone) <= allowed * max(1, norm1(alone))


@pytest.mark.parametrize("method", ["auto", "closed"])
@pytest.mark.parametrize("eps", [0.01, 0.5, 100.0])
def test_a_large_neighbour_in_the_stack_costs_a_member_none_of_its_documented_digits(eps, method):
    small = np.random.default_rng(0).standard_normal((3, 3))
    stacked = odemom.psi(np.stack([small, -1e8 * np.eye(3)]), eps, method=method)[0]
    assert error1(stacked, psi_matrix(small, eps)) <= documented_bound(small, eps, "closed")


@pytest.mark.parametrize("eps", [0.5, 1e-3])
@pytest.mark.parametrize("velocity", VELOCITIES)
def test_a_horizon_is_a_rescaling_of_matrices(eps, velocity):
    theta = np.array([[0.3, -1.0], [0.4, -0.2]])
    long = odemom.psi(theta, eps, horizon=2, initial_velocity=velocity)
    np.testing.assert_allclose(
        long, odemom.psi(2 * theta, eps / 2, initial_velocity=velocity), rtol=0, atol=1e-14
    )
    assert error1(long, psi_matrix(theta, eps, horizon=2, field=velocity == "field")) <= 1e-13


@pytest.mark.parametrize("flow", [FirstOrder(2), SecondOrder(0.3, "field", 2), Undamped(2)])
def test_a_flow_stands_in_for_eps(flow):
    theta = np.array([[0.3, -1.0], [0.4, -0.2]])
    np.testing.assert_array_equal(odemom.psi(theta, flow), flow.matrix(theta))
    assert flow_of(flow) is flow


@pytest.mark.parametrize(
    ("flow", "text"),
    [
        (FirstOrder(), "x' = theta x"),
        (
            SecondOrder(Fraction(1, 2), "field", 2.0),
            "1/2 x'' + x' = theta x, x'(0) = theta x0 on [0, 2]",
        ),
        (SecondOrder(0.1), "0.1 x'' + x' = theta x, x'(0) = 0"),
        (Undamped(Fraction(1, 3)), "x'' = theta x, x'(0) = 0 on [0, 1/3]"),
    ],
)
def test_flows_describe_their_equation(flow, text):
    assert flow.describe() == text


@pytest.mark.parametrize(
    ("eps", "flow"),
    [
        (0, FirstOrder()),
        (0.0, FirstOrder()),
        (math.inf, Undamped()),
        ("inf", Undamped()),
        ("0.1", SecondOrder(Fraction(1, 10))),
        (np.float32(0.5), SecondOrder(0.5)),
        (np.array(2), SecondOrder(2)),
    ],
)
def test_a_number_stands_for_its_flow(eps, flow):
    assert flow_of(eps) == flow


@pytest.mark.parametrize("eps", [0, 1e-5, 0.5, math.inf])
@pytest.mark.parametrize("d", [2, 30])  # below and above the size at which powers refine the norm
def test_every_matrix_of_a_stack_is_evaluated_as_if_alone(eps, d):
    rng = np.random.default_rng(0)
    scales = np.array([1e-40, 1e-3, 0.1, 1.0, 4.0, 40.0, 0.0])
    stack = scales[:, None, None] * rng.standard_normal((7, d, d)) / math.sqrt(d)
    together = odemom.psi(stack.reshape(7, 1, d, d), eps)
    assert together.shape == (7, 1, d, d)
    for theta, computed in zip(stack, together[:, 0], strict=True):
        alone = odemom.psi(theta, eps)
        # other plans, the same bound: both are within roundoff times the growth of exp(||theta||)
        bound = 50 * UNIT * d * max(1.0, norm1(alone)) * (1 + norm1(theta))
        assert norm1(computed - alone) <= bound


def test_scaled_is_a_flag():
    flag: Any = "yes"
    with pytest.raises(odemom.InvalidInputError, match="True or False"):
        odemom.psi([[1.0]], 0.5, scaled=flag)


@pytest.mark.parametrize(
    ("z", "eps"), [(-20216.690194407733, 0.5), (-404265.6745237425, 10), (-5684.9, math.inf)]
)
def test_scaled_has_the_digits_of_psi(z, eps):
    scaled, shift = odemom.psi([[z]], eps, scaled=True)
    exact = odemom.psi([[z]], eps, dps=30)[0, 0]
    error = abs(scaled[0, 0] * mpmath.exp(mpmath.mpf(shift)) / exact - 1)
    assert error <= abs(odemom.psi([[z]], eps)[0, 0] / exact - 1) + 4 * UNIT * max(1, abs(shift))
