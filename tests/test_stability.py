"""Proposition 1: spectra by formula against the eigenvalues of the Jacobians themselves."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import odemom

seeds = st.integers(0, 2**32 - 1)
shapes = st.tuples(st.integers(1, 4), st.integers(1, 4))


def matched(found, expected, atol):
    """Whether two spectra agree, in any order."""
    left = list(expected)
    for z in found:
        nearest = min(left, key=lambda w: abs(w - z))
        assert abs(nearest - z) <= atol
        left.remove(nearest)
    assert not left


@given(seeds, shapes)
def test_the_revnet_spectrum_is_that_of_its_jacobian(seed, shape):
    rng = np.random.default_rng(seed)
    a, b = rng.standard_normal(shape), rng.standard_normal(shape[::-1])
    jacobian = odemom.revnet_jacobian(a, b)
    # eigenvalues 1 are multiple, so known to sqrt(u) only
    matched(odemom.revnet_spectrum(a, b), np.linalg.eigvals(jacobian), 1e-5)


@given(seeds, st.integers(1, 5))
def test_revnets_are_never_attracting(seed, d):
    rng = np.random.default_rng(seed)
    spectrum = odemom.revnet_spectrum(rng.standard_normal((d, d)), rng.standard_normal((d, d)))
    np.testing.assert_allclose(spectrum[0::2] * spectrum[1::2], 1, rtol=1e-12)
    assert (np.abs(spectrum[0::2]) >= 1 - 1e-15).all()


@given(seeds, st.integers(1, 5), st.floats(0, 1))
def test_the_momentum_spectrum_is_that_of_the_layer(seed, d, gamma):
    k = np.random.default_rng(seed).standard_normal((d, d))
    eye = np.eye(d)
    velocity = np.hstack([(1 - gamma) * k, gamma * eye])  # of (x, v)
    layer = np.vstack([np.hstack([eye, 0 * eye]) + velocity, velocity])
    # double eigenvalues are known to sqrt(u) only
    matched(odemom.momentum_spectrum(k, gamma), np.linalg.eigvals(layer), 1e-5)


@pytest.mark.parametrize("gamma", [0.0, 0.5, 0.9])
def test_on_the_real_line_the_attracting_interval_is_the_stated_one(gamma):
    edge = -2 * (1 + gamma) / (1 - gamma)

    def radius(kappa):
        return np.abs(odemom.momentum_spectrum([[kappa]], gamma)).max()

    assert radius(edge * (1 - 1e-6)) < 1 < radius(edge * (1 + 1e-6))
    assert radius(-1e-6) < 1 < radius(1e-6)


@given(st.floats(0, 0.99), st.floats(0, 2 * math.pi), st.floats(0, 1))
def test_in_the_plane_the_attracting_region_is_the_stated_ellipse(gamma, angle, share):
    def radius(scale):
        re = (1 + gamma) / (1 - gamma) * (scale * math.cos(angle) - 1)
        im = scale * math.sin(angle)
        return np.abs(odemom.momentum_spectrum([[re, im], [-im, re]], gamma)).max()

    within = 1 - 1e-6
    assert max(radius(within), radius(share * within)) < 1 < min(radius(1 + 1e-6), radius(2))


def test_at_gamma_0_the_momentum_net_is_the_resnet():
    k = np.random.default_rng(0).standard_normal((4, 4))
    matched(odemom.momentum_spectrum(k, 0)[0::2], odemom.resnet_spectrum(k), 1e-12)
    np.testing.assert_array_equal(odemom.momentum_spectrum(k, 0)[1::2], 0)


def test_an_exact_gamma_next_to_1_keeps_its_distance_from_it():
    """lam² - (2 - 1/100) lam + 1, up to 1e-20."""
    found = odemom.momentum_spectrum([[-1e18]], "0." + 20 * "9")
    assert found == pytest.approx(0.995 + np.array([1j, -1j]) * 0.009975**0.5, rel=1e-12)


def test_stacks_keep_their_axes():
    k = np.random.default_rng(0).standard_normal((2, 3, 4, 4))
    assert odemom.momentum_spectrum(k, 0.5).shape == (2, 3, 8)
    assert odemom.resnet_spectrum(k).shape == (2, 3, 4)


@pytest.mark.parametrize(
    "call",
    [
        lambda: odemom.revnet_jacobian([[1, 2]], [[1, 2]]),
        lambda: odemom.revnet_spectrum([[1.0]], [[math.nan]]),
        lambda: odemom.revnet_spectrum([[1j]], [[1.0]]),
        lambda: odemom.revnet_spectrum([], []),
        lambda: odemom.resnet_spectrum([[1, 2]]),
        lambda: odemom.momentum_spectrum([[1.0]], 1.5),
        lambda: odemom.momentum_spectrum([[1.0]], math.nan),
    ],
)
def test_bad_input_is_refused(call):
    with pytest.raises(odemom.InvalidInputError, match=r"got .*expected"):
        call()


@pytest.mark.parametrize("size", [1e150, 1e155, 1e200, 1e308])
def test_spectra_hold_up_to_the_range_of_doubles(size):
    large, small = np.real(odemom.momentum_spectrum([[-size]], 0.5))
    assert large == pytest.approx(-size / 2, rel=1e-15)
    assert small == pytest.approx(-1 / size, rel=1e-15, abs=1e-323)
    large, small = np.real(odemom.revnet_spectrum([[size]], [[1.0]]))
    assert large == pytest.approx(size, rel=1e-15)
    assert odemom.revnet_spectrum([[size]], [[1 / size]])[0].real == pytest.approx((3 + 5**0.5) / 2)


def test_a_product_beyond_the_doubles_is_refused_by_name():
    for function in (odemom.revnet_spectrum, odemom.revnet_jacobian):
        with pytest.raises(odemom.ResultOverflowError, match="B A"):
            function([[1e155]], [[1e155]])
