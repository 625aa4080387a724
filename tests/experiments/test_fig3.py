"""The nets of Figure 3 are the flows of the theory, and tend to the ODEs that they are said to."""

from __future__ import annotations

import numpy as np
import pytest

from odemom import psi
from odemom.experiments import fig3

THETA = np.array([[0.3, -2.0], [1.5, -0.7]])
X = np.array([0.8, -0.4])
EPS = 0.5


def field(x: np.ndarray) -> np.ndarray:
    return THETA @ x


def test_the_deep_nets_of_a_linear_field_approach_psi():
    errors = []
    for depth in (100, 200):
        first = fig3.residual_net(field, X, depth)[-1] - psi(THETA, 0) @ X
        gamma = fig3.gamma_of(depth, EPS)
        second = fig3.momentum_net(field, X, depth, gamma)[-1] - psi(THETA, EPS) @ X
        errors.append([np.abs(first).max(), np.abs(second).max()])
    ratio = np.array(errors[0]) / np.array(errors[1])
    assert ratio == pytest.approx([2, 2], rel=0.05)  # order 1


def test_the_reference_solution_is_psi():
    found = fig3._ode(field, X, EPS, 3)[-1]
    np.testing.assert_allclose(found, psi(THETA, EPS) @ X, atol=1e-10)


def test_gamma_counts_eps_in_layers():
    assert 1 / (1 - fig3.gamma_of(40, EPS)) == pytest.approx(40 * EPS)


@pytest.mark.parametrize(
    ("rows", "count"),
    [
        (((0.0, 1.0), (1.0, 2.0)), 0),
        (((0.0, 2.0), (1.0, 1.0)), 1),
        (((0.0, 2.0, 0.0), (1.0, 1.0, 1.0)), 2),
        (((0.0, 1.0, 0.0), (1.0, 1.0, 1.0)), 0),  # a touch
    ],
)
def test_crossings_are_changes_of_order(rows, count):
    assert fig3.crossings(rows) == count
