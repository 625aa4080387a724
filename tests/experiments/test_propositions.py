"""Propositions 2 to 4: the fields, the solvers and the counts behind the figures."""

from __future__ import annotations

import math

import mpmath
import numpy as np
import pytest

import odemom
from odemom.experiments import prop2, prop4
from odemom.experiments._fields import RandomField, second_order, solved


def test_the_derivative_of_a_random_field_is_that_of_differences():
    field, along = RandomField(3, 0).functions()
    x, h = np.random.default_rng(1).normal(size=(2, 4, 3))
    step = 1e-6
    difference = (field(x + step * h) - field(x - step * h)) / (2 * step)
    assert along(x, h) == pytest.approx(difference, abs=1e-8)


@pytest.mark.parametrize("eps", [0.01, 1.0])
def test_the_second_order_solver_agrees_with_psi(eps):
    theta = np.array([[-1.0, 3.0], [-2.0, 0.5]])
    x0, times = np.eye(2), np.array([0.0, 1.0])
    for expected, v0 in (
        (odemom.psi(theta, eps), 0 * x0),
        (odemom.psi(theta, eps, initial_velocity="field"), x0 @ theta.T),
    ):
        x, _ = second_order(lambda x: x @ theta.T, eps, x0, v0, times)
        assert pytest.approx(expected, abs=1e-11) == x[-1].T


def test_the_next_term_of_proposition_2_solves_its_equation():
    problem = prop2.Problem(RandomField(2, 5))
    _, v0 = problem.starts()
    f, along = problem.field.functions()
    times = np.linspace(0, 1, 2001)
    x, y = problem.first_order(times)
    rate = np.gradient(y, times, axis=0, edge_order=2)
    assert y[0] == pytest.approx(v0 - f(x[0]))
    assert rate == pytest.approx(along(x, y - f(x)), abs=1e-4)


def test_orders_are_slopes_over_the_last_decade():
    eps = (1.0, 0.1, 0.03, 0.01)
    errors = tuple(tuple(3 * e**order + (e > 0.5) for e in eps) for order in (1, 2, 1))
    rates = prop2.Rates(0, errors, errors, errors, errors, errors, errors, errors, (), (), ())
    found = prop2.Limits(eps, tuple(1 / e for e in eps), (rates,)).orders("small")
    assert found[0] == pytest.approx([1, 2, 1])


def test_the_twin_of_a_linear_field_is_solved_by_the_exponential():
    theta, eps = np.array([[-0.5, 2.0], [-1.0, 0.3]]), 0.7
    twin = theta + eps * theta @ theta
    times = np.array([0.0, 1.0])
    x, v = second_order(lambda x: x @ twin.T, eps, np.eye(2), theta.T, times)
    assert pytest.approx(odemom.psi(theta, 0), abs=1e-12) == x[-1].T
    assert pytest.approx(theta @ odemom.psi(theta, 0), abs=1e-11) == v[-1].T


def test_solved_takes_any_shape():
    states = solved(lambda y: -y, np.ones((2, 3)), np.array([0.0, 0.5, 2.0]))
    assert states == pytest.approx(np.exp([0, -0.5, -2])[:, None, None] * np.ones((1, 2, 3)))


@pytest.mark.parametrize("eps", [0.05, 1.0])
def test_partial_sums_of_the_scalar_series(eps):
    theta, a = np.array([[0.3]]), 1 / (2 * eps)
    w = 0.3 / eps + a * a
    with mpmath.workdps(30):
        exact = odemom.psi(theta, eps, dps=30)
        errors = prop4.partial_errors(theta, eps, exact, 1e-10)
        bound = prop4.terms_asked(theta, eps, exact, 1e-10)
    sums = np.cumsum(
        [
            math.exp(-a) * w**n * (1 / math.factorial(2 * n) + a / math.factorial(2 * n + 1))
            for n in range(len(errors))
        ]
    )
    value = float(odemom.psi(theta, eps)[0, 0])
    assert errors == pytest.approx(list(np.abs(sums - value) / value), abs=1e-13)
    assert errors[-1] <= 1e-10 < errors[-2]
    assert len(errors) <= bound <= len(errors) + 1
