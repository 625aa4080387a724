"""Proposition 1: the formulas of the regions against eigenvalues, and the exact counterexample."""

from __future__ import annotations

import numpy as np
import pytest

import odemom
from odemom.experiments._fates import (
    half_axis,
    inside,
    momentum_iteration,
    revnet_iteration,
    turning,
    twin_matrix,
)
from odemom.experiments._spectra import distance_of_spectra, momentum_jacobian, random_jacobians
from odemom.experiments.prop1 import EXPERIMENT


@pytest.mark.parametrize("gamma", [0.0, 0.5, 0.9])
def test_on_the_edge_of_the_ellipse_the_radius_is_one(gamma):
    angle = np.linspace(0.1, np.pi, 20)
    re, im = half_axis(gamma) * (np.cos(angle) - 1), np.sin(angle)
    radius = np.abs(odemom.momentum_spectrum(turning(re, im), gamma)).max(axis=-1)
    np.testing.assert_allclose(radius, 1, atol=1e-12)
    centre = -half_axis(gamma)
    for grown, expected in ((0.99, True), (1.01, False)):
        kappa = centre + grown * (re - centre + 1j * im)
        assert (inside(kappa, gamma) == expected).all()


def test_on_the_parabola_the_twin_is_neutral():
    eps, im = 2.5, np.array([0.1, 0.7, 3.0])
    real = np.linalg.eigvals(twin_matrix(turning(-eps * im**2, im), eps)).real.max(axis=-1)
    np.testing.assert_allclose(real, 0, atol=1e-14)


@pytest.mark.parametrize(
    ("layer", "jacobian"),
    [
        (
            lambda A, B: momentum_iteration(A, 0.3),
            lambda A, B: momentum_jacobian(A, 0.3),
        ),
        (revnet_iteration, odemom.revnet_jacobian),
    ],
)
def test_the_jacobian_at_0_is_that_of_the_layer(layer, jacobian):
    A, B, _ = random_jacobians(3, 0)
    step = layer(A, B)
    differences = np.stack([step(1e-7 * e) for e in np.eye(6)], axis=-1) / 1e-7
    np.testing.assert_allclose(differences, jacobian(A, B), atol=1e-12)


def test_spectra_are_matched_one_to_one():
    assert distance_of_spectra(np.array([1, 2, 2]), np.array([2, 1, 1])) == 1


def test_a_revnet_can_halve_its_distance_exactly():
    state = np.array([0.5, -0.5])
    for n in range(1, 200):
        state = odemom.revnet_jacobian([[0.5]], [[1.0]]) @ state
        assert state.tolist() == [2.0 ** -(n + 1), -(2.0 ** -(n + 1))]


def test_the_quick_run_bears_out_all_but_the_claim_that_is_too_strong():
    verdicts = [c.verdict for c in EXPERIMENT.claims(EXPERIMENT.compute(EXPERIMENT.quick))]
    assert verdicts.count("does not hold") == 1
    assert verdicts.count("not judged") == 1  # speed, from d = 100 on
    assert len(verdicts) == 8


def test_formula_and_jacobian_agree_at_d_200():
    A, B, K = random_jacobians(200, 0)
    whole = np.linalg.eigvals(odemom.revnet_jacobian(A, B))
    assert distance_of_spectra(odemom.revnet_spectrum(A, B), whole) < 1e-10
    whole = np.linalg.eigvals(momentum_jacobian(K, 0.6))
    assert distance_of_spectra(odemom.momentum_spectrum(K, 0.6), whole) < 1e-10
