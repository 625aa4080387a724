"""The coefficients, the plans and the scaled output behind odemom.psi."""

import math

import flint
import mpmath
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import odemom
from odemom.propagator.coefficients import kernel_coefficients
from odemom.propagator.eps_derivatives import kernel_jets
from odemom.propagator.norms import norms1
from odemom.propagator.plans import EXTENDED_ROUNDOFF, MOST_STACKED, schedule
from odemom.propagator.scaled import Decay, Multiple, shift
from odemom.propagator.small import Powers
from tests.oracles import needs_extended

UNIT = 2.0**-53
RATES = [1e-8, 0.3, 0.99, 1, 3, 20, 100, 499, 501, 2000, 1e6]


def exact_rest(a, n):
    """The n-th coefficient of Q/2 in powers of z, with i_n from mpmath's Bessel functions."""
    a = mpmath.mpf(a)
    bessel = mpmath.sqrt(mpmath.pi / (2 * a)) * mpmath.besseli(n + mpmath.mpf(1) / 2, a)
    return a * mpmath.exp(-a) * bessel / mpmath.factorial(n)


@pytest.mark.parametrize("a", RATES)
def test_coefficients_agree_with_mpmath(a):
    # n + 4 rounded factors a coefficient; those below n! u of the first are of no account.
    cosh, rest = kernel_coefficients(a, 20, False)
    with mpmath.workdps(60):
        unit = 1 if a >= 1 else 2 * mpmath.mpf(a)
        for n in range(20):
            value = exact_rest(a, n) / unit**n
            assert abs(rest[n] / value - 1) <= (n + 4) * UNIT
            if n < 19:
                assert abs(cosh[n + 1] / (value / unit / (n + 1)) - 1) <= (n + 4) * UNIT


@needs_extended
@pytest.mark.parametrize("a", RATES)
def test_coefficients_in_extended_precision_agree_with_mpmath(a):
    # n + 4 rounded factors, and the roundings of the ratios, which the recurrence damps slowly.
    cosh, rest = kernel_coefficients(np.longdouble(a), 20, False)
    with mpmath.workdps(60):
        unit = 1 if a >= 1 else 2 * mpmath.mpf(a)
        for n in range(20):
            value = exact_rest(a, n) / unit**n
            assert abs(exactly(rest[n]) / value - 1) <= (n + 8) * EXTENDED_ROUNDOFF
            if n < 19:
                exact = value / unit / (n + 1)
                assert abs(exactly(cosh[n + 1]) / exact - 1) <= (n + 8) * EXTENDED_ROUNDOFF


@pytest.mark.parametrize("d", range(1, 10))
@pytest.mark.parametrize("shape", [(), (5,), (3, 4)])
def test_norms_of_stacks(d, shape):
    stack = np.random.default_rng(d).standard_normal((*shape, d, d))
    norms = norms1(stack)
    assert norms.shape == shape
    expected = np.array([np.linalg.norm(m, 1) for m in stack.reshape(-1, d, d)]).reshape(shape)
    np.testing.assert_allclose(norms, expected, rtol=d * UNIT)
    for bad in (math.inf, math.nan):
        spoilt = stack.copy()
        spoilt[(-1,) * (len(shape) + 2)] = bad
        with np.errstate(invalid="ignore"):
            finite = np.isfinite(norms1(spoilt))
        assert finite.sum() == finite.size - 1


@settings(max_examples=60)
@given(
    d=st.integers(1, 8),
    scale=st.sampled_from([1.0, 1e3, 1e6]),
    diagonal=st.sampled_from([0.0, 1e-3, 1.0, 30.0]),
    seed=st.integers(0, 2**32 - 1),
)
@pytest.mark.parametrize("real", [np.float64, np.longdouble])
def test_the_tail_of_what_is_far_from_normal(real, d, scale, diagonal, seed):
    rng = np.random.default_rng(seed)
    entries = rng.integers(-9, 10, (d, d))
    theta = scale * np.triu(entries, 1) + diagonal * np.diag(entries.diagonal())
    powers = Powers(d, real)
    powers.x[...] = theta
    alpha = powers.tail_root()
    with flint.ctx.workprec(160):
        exact = flint.arb_mat(theta.tolist())
        power, bound = exact**MOST_STACKED, flint.arb(alpha)
        for n in range(MOST_STACKED + 1, 4 * MOST_STACKED):
            power = power * exact
            assert norm_of_balls(power) <= bound**n * (1 + 1e-13 * n)
        # It is one of the products of norms that bound those of the powers.
        assert bound <= norm_of_balls(exact) * (1 + 1e-13)
    if not diagonal:
        assert alpha == 0


def norm_of_balls(matrix):
    """The 1-norm, of the middles."""
    columns = zip(*matrix.tolist(), strict=True)
    sums = [sum((abs(x).mid() for x in column), flint.arb(0)).mid() for column in columns]
    return max(sums)


def exactly(x):
    """A long double as an mpmath number: two doubles hold it."""
    high = float(x)
    return mpmath.mpf(high) + mpmath.mpf(float(x - np.longdouble(high)))


@pytest.mark.parametrize("a", [0.5, 2.0, 9.0, 11.0, 60.0])
def test_jets_are_the_derivatives_in_log_eps(a):
    jets = kernel_jets(1.0, 0.5 / a, 8)
    unit = 1 if a >= 1 else 2 * a
    with mpmath.workdps(50):
        for n in range(8):
            for k in (1, 2):
                exact = mpmath.diff(
                    lambda log, n=n: exact_rest(mpmath.exp(-log) / 2, n) / unit**n,
                    mpmath.log(0.5 / mpmath.mpf(a)),
                    k,
                )
                # Relative to 1/n!, the size of the terms that make it up; a² where they cancel.
                allowed = 50 * (1 + min(a, 10) ** 2) ** 2 * UNIT / math.factorial(n) / unit**n
                assert abs(jets[k][1][n] - exact) <= allowed


@pytest.mark.parametrize("eps", [0.0, 1e-6, 0.01, 0.5, 100.0, math.inf])
@pytest.mark.parametrize("field", [False, True])
def test_plans_of_growing_cost_reach_growing_norms(eps, field):
    flow = schedule(eps, field and 0 < eps < math.inf)
    flow.plan(1e4)
    limits, plans = flow.made
    assert limits == sorted(limits)
    costs = [plan.products for plan in plans]
    assert costs == sorted(costs)
    assert flow.plan(1e4).limit >= 1e4


@pytest.mark.parametrize("eps", [1e-12, 1e-4, 0.01, 0.1, 0.5, 10.0, 1e8])
def test_every_plan_holds_at_its_limit(eps):
    """A nonnegative scalar of exactly that size meets the bound of the truncation with equality."""
    flow = schedule(eps, False)
    flow.plan(50.0)
    for plan in flow.made[1]:
        if not 0 < plan.limit < 300:
            continue
        value = odemom.psi([[plan.limit]], eps)[0, 0]
        exact = odemom.psi([[plan.limit]], eps, dps=30)[0]
        assert abs(value / exact - 1) <= 10 * UNIT * (1 + plan.limit)


def test_the_work_does_not_grow_as_eps_falls():
    theta = 2.0
    costs = [schedule(eps, False).plan(theta).products for eps in (1e-3, 1e-6, 1e-12, 1e-300)]
    assert max(costs) <= schedule(0.0, False).plan(theta).products + 4


def scalar_psi(z, eps):
    """psi(z) and the size of its logarithm's derivative, |z psi'/psi| away from the zeros."""
    if eps == 0:
        return mpmath.exp(z), abs(z)
    if eps == math.inf:
        return mpmath.re(mpmath.cosh(mpmath.sqrt(z))), mpmath.sqrt(abs(z))
    a = 1 / (2 * mpmath.mpf(eps))
    s = mpmath.sqrt(z / mpmath.mpf(eps) + a * a)
    # exp(s - a) = exp(2 z/(1 + s/a)) keeps its digits for small eps.
    rising, falling = mpmath.exp(2 * z / (1 + s / a)), mpmath.exp(-s - a)
    value = mpmath.re(rising * (1 + a / s) + falling * (1 - a / s)) / 2
    return value, abs(z / mpmath.mpf(eps) / (a + abs(s)))


@pytest.mark.parametrize("eps", [0, 1e-300, 1e-6, 0.01, 0.5, 30, math.inf])
@pytest.mark.parametrize("z", [-1e6, -300.0, -1.0, 0.0, 2.0, 500.0, 1e6, 1e9])
def test_scaled_output_is_psi_where_that_is_in_range_and_beyond(eps, z):
    matrix, size = odemom.psi(np.array([[z]]), eps, scaled=True)
    with mpmath.workdps(60):
        exact, log_cond = scalar_psi(mpmath.mpf(z), eps)
        computed = mpmath.mpf(matrix[0, 0]) * mpmath.exp(mpmath.mpf(size))
        # A zero of psi may be near: relative to the envelope of the oscillation.
        envelope = abs(exact)
        if z < 0 < eps:
            envelope = max(envelope, mpmath.exp(-0.5 / mpmath.mpf(eps)))
        assert abs(computed - exact) <= 50 * UNIT * max(1, log_cond) * envelope
    assert 0.5 <= abs(matrix[0, 0]) < 1


@pytest.mark.parametrize("eps", [0.5, math.inf])
@pytest.mark.parametrize("d", [2, 30])
def test_scaled_output_of_a_matrix_of_unequal_parts(eps, d):
    """Entries below the largest by more than the range of doubles are 0; others keep digits."""
    z = np.full(d, 4e5)
    z[1] = 3.9e5
    matrix, size = odemom.psi(np.diag(z), eps, scaled=True)
    for i in (0, 1):
        with mpmath.workdps(30):
            exact = scalar_psi(mpmath.mpf(z[i]), eps)[0]
            computed = mpmath.mpf(matrix[i, i]) * mpmath.exp(mpmath.mpf(size))
            assert abs(computed / exact - 1) <= 100 * UNIT * math.sqrt(2 * z[i] + 1)
    nilpotent, size = odemom.psi(np.array([[0.0, 1e308], [0.0, 0.0]]), eps, scaled=True)
    slope = odemom.psi_frechet([[0.0]], [[1.0]], eps)[0, 0]
    assert math.log(nilpotent[0, 1]) + size == pytest.approx(math.log(slope) + math.log(1e308))


def added(multiple, decay):
    total = shift(multiple, decay)
    return Multiple.of(total.matrix, total.exponent)


def test_decays_and_multiples_of_very_different_size_add_up():
    tiny = Multiple.of(np.eye(2), -3000)
    total = added(tiny, -1 * Decay(1.0, 0.0))
    assert np.array_equal(total.matrix, -0.5 * np.eye(2))
    assert total.exponent == 1
    total = added(Multiple.of(np.eye(2), 5), Decay(1.0, 1e6))
    assert np.array_equal(total.matrix, 0.5 * np.eye(2))
    assert total.exponent == 6
    half = added(Multiple.of(np.eye(2), -2000), Decay(1.0, 2000 * math.log(2)))
    assert np.allclose(half.matrix, 0.5 * np.eye(2))
    assert half.exponent == -1998


def test_overflow_names_the_magnitude_and_a_way_out():
    with pytest.raises(odemom.ResultOverflowError, match="scaled=True") as caught:
        odemom.psi([[1e6, 0.0], [0.0, 0.0]], 0)
    assert caught.value.log10_norm == pytest.approx(1e6 / math.log(10), rel=1e-12)
    assert "10^434294" in str(caught.value)


def test_scaled_takes_stacks_and_only_the_default_method():
    stack = np.array([[[1.0]], [[1e5]]])
    matrices, shifts = odemom.psi(stack, 0, scaled=True)
    assert matrices.shape == (2, 1, 1)
    assert np.allclose(np.log(matrices[:, 0, 0]) + shifts, [1.0, 1e5], rtol=1e-13)
    with pytest.raises(odemom.InvalidInputError, match="scaled"):
        odemom.psi(stack, 0.5, scaled=True, method="series")


entries = st.floats(-8, 8, allow_nan=False)


@settings(max_examples=60)
@given(
    st.lists(entries, min_size=9, max_size=9),
    st.sampled_from([0, 1e-6, 0.02, 0.5, 20, math.inf]),
)
def test_psi_commutes_with_transposition_and_theta_and_is_at_most_psi_of_the_norm(values, eps):
    theta = np.reshape(values, (3, 3))
    value = odemom.psi(theta, eps)
    size, norm = np.abs(value).sum(0).max(), np.abs(theta).sum(0).max()
    # each side by a backward error of a few units; cond is at most a multiple of the norm's power
    majorant = float(odemom.psi([[norm]], eps)[0, 0])
    allowed = 200 * UNIT * (1 + norm) * majorant
    assert np.abs(odemom.psi(theta.T, eps).T - value).max() <= allowed
    assert np.abs(value @ theta - theta @ value).max() <= allowed * (1 + norm)
    # the Taylor coefficients of psi are positive
    assert size <= majorant + allowed
