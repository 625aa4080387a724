"""The nested form of polynomials: the same polynomial, in fewer products, with no digit lost."""

import math

import numpy as np
import pytest

from odemom.propagator import double
from odemom.propagator.bounds import sharp_alpha
from odemom.propagator.nested import MOST_CANCELLATION, nested_rows
from odemom.propagator.plans import schedule
from tests.oracles import UNIT, error1, norm1, psi_matrix

MASSES = [0.0, 1e-4, 0.01, 0.1, 0.5, 10.0, math.inf]


def multiplied_out(b4, b3, b2, b1):
    n = len(b1) - 1
    y = np.convolve(b4, b4)
    y[: n + 1] += b3
    left = y.copy()
    left[: n + 1] += b2
    product = np.convolve(left, y)
    product[: n + 1] += b1
    return product


@pytest.mark.parametrize("n", [2, 3, 4, 5])
def test_the_nested_form_multiplied_out_is_the_polynomial(n):
    exponential = [1 / math.factorial(k) for k in range(4 * n + 1)]
    radius = {2: 0.05, 3: 0.29, 4: 0.78, 5: 1.38}[n]
    rows = nested_rows([exponential], n, radius)
    assert rows is not None
    np.testing.assert_allclose(multiplied_out(*map(np.array, rows)), exponential, rtol=1e-14)


@pytest.mark.parametrize("eps", MASSES)
def test_little_cancels_in_any_plan(eps):
    plans = [*schedule(eps, False, nested=True)._up_to(100.0)[1]]
    nested = [plan for plan in plans if plan.nested]
    assert nested
    for plan in nested:
        x = plan.limit * float(plan.scale)
        for first in range(0, len(plan.coefficients), 4):
            sizes = [
                np.polyval(np.abs(row[::-1]), x) for row in plan.coefficients[first : first + 4]
            ]
            y = sizes[0] ** 2 + sizes[1]
            value = np.polyval(multiplied_out(*plan.coefficients[first : first + 4])[::-1], x)
            assert (y + sizes[2]) * y + sizes[3] <= (MOST_CANCELLATION + 1e-9) * value


@pytest.mark.parametrize("eps", MASSES)
def test_no_plan_of_the_same_reach_takes_more_products(eps):
    plain, nested = schedule(eps, False), schedule(eps, False, nested=True)
    saved = [plain.plan(a).products - nested.plan(a).products for a in np.geomspace(1e-3, 1e3, 200)]
    assert min(saved) >= 0
    assert max(saved) >= 1


def test_a_gaussian_of_radius_1_takes_four_products():
    """It took five, and seven from d = 400 on: benchmarks/psi.py."""
    for d in (128, 400):
        theta = np.random.default_rng(d).standard_normal((d, d)) / np.sqrt(d)
        plan = double.prepared(theta, schedule(0.5, False, nested=True))[0]
        assert (plan.degree, plan.products) == (12, 4)


@pytest.mark.parametrize("eps", MASSES)
@pytest.mark.parametrize("size", [0.3, 3.0, 30.0])
def test_digits_are_those_of_other_plans(eps, size):
    rng = np.random.default_rng(7)
    for theta in (rng.standard_normal((6, 6)), np.triu(rng.standard_normal((6, 6)))):
        theta *= size / norm1(theta)
        for sign in (1, -1):
            reference = psi_matrix(sign * theta, eps)
            with np.errstate(all="ignore"):
                computed = double.single(sign * theta, schedule(eps, False, nested=True))
            scale = norm1(np.array(reference.tolist(), dtype=float))
            assert error1(computed, reference) <= 8 * 6 * (1 + size) * UNIT * scale


def test_large_matrices_take_the_nested_plans_alone():
    theta = np.random.default_rng(0).standard_normal((2, 110, 110)) / 10
    for eps in (0, 0.5):
        alone, stacked = double.propagate(theta[0], eps, False), double.propagate(theta, eps, False)
        assert not np.array_equal(alone, stacked[0])
        assert norm1(alone - stacked[0]) <= 110 * UNIT * norm1(alone)


@pytest.mark.parametrize("seed", range(20))
def test_sharp_alphas_bound_the_powers_beyond_the_degree(seed):
    rng = np.random.default_rng(seed)
    theta = np.triu(rng.standard_normal((5, 5)) * 10.0 ** rng.uniform(-2, 2, 5))
    powers = [np.linalg.matrix_power(theta, n) for n in range(1, 40)]
    roots = [norm1(power) ** (1 / n) for n, power in enumerate(powers[:4], 1)]
    for known in (1, 2, 3, 4):
        for degree in (1, 4, 8, 12):
            alpha = sharp_alpha(roots[:known], degree)
            for n in range(degree + 1, 40):
                assert norm1(powers[n - 1]) <= alpha**n * (1 + 1e-12)
