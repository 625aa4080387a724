"""psi_frechet and psi_cond against independent differentiations."""

import itertools
import math
from typing import Any

import mpmath
import numpy as np
import pytest
import scipy.linalg
import scipy.sparse.linalg

import odemom
from odemom.flows import FirstOrder, MomentumResNet, ResNet, SecondOrder, condition
from odemom.flows.condition import condition_number

UNIT = 2.0**-53
MASSES = [0, 1e-8, 1e-3, 0.03, 0.5, 20, math.inf]
RNG = np.random.default_rng(3)
THETA, E = RNG.standard_normal((5, 5)), RNG.standard_normal((5, 5))


def error(computed, exact):
    return np.linalg.norm(computed - exact) / np.linalg.norm(exact)


@pytest.mark.parametrize("eps", MASSES)
@pytest.mark.parametrize("velocity", ["zero", "field"])
def test_the_derivative_is_a_block_of_psi_of_a_block_matrix(eps, velocity):
    if velocity == "field" and eps in (0, math.inf):
        pytest.skip("no such flow")
    block = np.block([[THETA, E], [np.zeros((5, 5)), THETA]])
    expected = odemom.psi(block, eps, initial_velocity=velocity)[:5, 5:]
    computed = odemom.psi_frechet(THETA, E, eps, initial_velocity=velocity)
    assert error(computed, expected) <= 100 * UNIT


@pytest.mark.parametrize("eps", [0.1, 0.5, 3])
def test_the_derivative_is_that_of_the_companion_exponential(eps):
    zero, identity = np.zeros((5, 5)), np.eye(5)
    companion = np.block([[zero, identity], [THETA / eps, -identity / eps]])
    direction = np.block([[zero, zero], [E / eps, zero]])
    _, expected = scipy.linalg.expm_frechet(companion, direction)
    # the peer loses exp(||companion||) at worst; 1/eps = 10 here
    assert error(odemom.psi_frechet(THETA, E, eps), expected[:5, :5]) <= 1e-12


@pytest.mark.parametrize("d", [4, 40])
def test_the_powers_of_theta_may_vanish_but_not_those_of_its_neighbours(d):
    """theta² = 0, and the derivative of theta² is theta E + E theta."""
    rng = np.random.default_rng(d)
    half = d // 2
    theta, direction = np.zeros((d, d)), rng.standard_normal((d, d))
    theta[:half, half:] = 3 * rng.standard_normal((half, half))
    block = np.block([[theta, direction], [np.zeros((d, d)), theta]])
    expected = scipy.linalg.expm(block)[:d, d:]
    assert error(odemom.psi_frechet(theta, direction, 0), expected) <= 1e-13


def test_a_stack_of_directions_and_a_horizon():
    both = odemom.psi_frechet(THETA, np.stack([E, 2 * E]), 0.4, horizon=3)
    h = 1e-5
    slope = odemom.psi(THETA + h * E, 0.4, horizon=3) - odemom.psi(THETA - h * E, 0.4, horizon=3)
    assert np.allclose(both[1], 2 * both[0], rtol=1e-13)
    assert error(both[0], slope / (2 * h)) <= 1e-7  # h² and u/h


@pytest.mark.parametrize("eps", MASSES)
@pytest.mark.parametrize("z", [-40.0, -0.3, 0.2, 6.0])
def test_cond_of_a_scalar_is_the_logarithmic_derivative(eps, z):
    with mpmath.workdps(60):
        mass = mpmath.mpf(eps)

        def psi(x):
            if eps == 0:
                return mpmath.exp(x)
            if eps == math.inf:
                return mpmath.re(mpmath.cosh(mpmath.sqrt(x)))
            a = 1 / (2 * mass)
            s = mpmath.sqrt(x / mass + a * a)
            return mpmath.re(mpmath.exp(s - a) * (1 + a / s) + mpmath.exp(-s - a) * (1 - a / s)) / 2

        exact = float(abs(z * mpmath.diff(psi, z) / psi(z)))
    assert odemom.psi_cond([[z]], eps) == pytest.approx(exact, rel=1e-11)


def test_the_power_method_comes_close_from_below(monkeypatch):
    theta = np.random.default_rng(1).standard_normal((12, 12))
    exact = odemom.psi_cond(theta, 0.2)
    monkeypatch.setattr(condition, "EXACT_UP_TO", 1)
    estimate = odemom.psi_cond(theta, 0.2)
    assert 0.95 * exact <= estimate <= exact * (1 + 1e-12)


NETS = [ResNet(4), MomentumResNet("9/10", 7), MomentumResNet("1/2", 30)]


@pytest.mark.parametrize("net", NETS, ids=str)
def test_nets_have_derivatives_and_condition_numbers_too(net):
    h = 1e-6
    slope = (net.matrix(0.1 * THETA + h * E) - net.matrix(0.1 * THETA - h * E)) / (2 * h)
    assert error(odemom.psi_frechet(0.1 * THETA, E, net), slope) <= 1e-7  # h² and u/h
    for z in (-0.4, 0.3):
        steps = net.scalar([z - h, z + h])
        exact = abs(z * (steps[1] - steps[0]) / (2 * h) / net.scalar(z))
        assert odemom.psi_cond([[z]], net) == pytest.approx(exact, rel=1e-7)


ODES = [SecondOrder(0.2), SecondOrder(0.2, "field", 3)]
# All directions; blocks of psi; the derivative itself, which nets do not have.
SIZED = [*itertools.product([5, 14], [*NETS, *ODES]), *itertools.product([34], ODES)]


@pytest.mark.parametrize(("d", "flow"), SIZED, ids=str)
def test_the_condition_number_is_the_norm_of_the_derivative(flow, d):
    theta = np.random.default_rng(d).standard_normal((d, d)) / d
    computed = condition_number(flow, theta)
    assert computed == odemom.psi_cond(theta, flow)
    columns = flow.derivatives(theta, np.eye(d * d).reshape(-1, d, d))[1].reshape(d * d, -1)
    top = scipy.sparse.linalg.svds(columns, k=1, return_singular_vectors=False)[0]
    exact = top * np.linalg.norm(theta) / np.linalg.norm(flow.matrix(theta))
    assert 0.95 * exact <= computed <= exact * (1 + 1e-10)


def test_what_has_no_condition_number_has_an_infinite_one_or_none():
    assert not np.isfinite(condition_number(FirstOrder(), np.array([[-1e6]])))
    assert not np.isfinite(condition_number(FirstOrder(), np.array([[1e6]])))
    assert condition_number(SecondOrder(1), np.zeros((20, 20))) == 0


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: odemom.psi_frechet(THETA, np.eye(3), 0.5), "E: got shape"),
        (lambda: odemom.psi_frechet(THETA, E * 1j, 0.5), "complex"),
        (lambda: odemom.psi_cond(THETA[None], 0.5), "Loop over"),
        (lambda: odemom.psi_cond(THETA, -1), "eps"),
    ],
)
def test_bad_arguments_are_refused(call, message):
    with pytest.raises(odemom.InvalidInputError, match=message):
        call()


def test_a_tiny_theta_takes_a_large_direction():
    computed = odemom.psi_frechet(1e-300 * THETA, 1e10 * E, 0)
    assert np.allclose(computed, 1e10 * E, rtol=1e-14)


def test_derivatives_beyond_the_doubles_are_refused():
    with pytest.raises(odemom.ResultOverflowError, match="psi_frechet"):
        odemom.psi_frechet([[800.0]], [[1.0]], 0)
    with pytest.raises(odemom.ResultOverflowError, match="vanishes"):
        odemom.psi_cond([[-1e6]], 0)


@pytest.mark.parametrize("eps", [0, 1e-3, 0.5, math.inf])
@pytest.mark.parametrize("d", [3, 14])
def test_scaled_gives_the_same_condition_number_where_both_can(eps, d):
    theta = np.random.default_rng(d).standard_normal((d, d))
    expected = odemom.psi_cond(theta, eps)
    assert odemom.psi_cond(theta, eps, scaled=True) == pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize("d", [3, 14])
@pytest.mark.parametrize("center", [-1e5, 1e5])
def test_scaled_reaches_beyond_the_doubles(d, center):
    """exp(theta + c I) = e^c exp(theta): the derivative relative to psi does not depend on c."""
    theta = np.random.default_rng(d).standard_normal((d, d))
    moved = theta + center * np.eye(d)
    with pytest.raises(odemom.ResultOverflowError, match="scaled=True"):
        odemom.psi_cond(moved, 0)
    per_norm = odemom.psi_cond(theta, 0) / np.linalg.norm(theta)
    computed = odemom.psi_cond(moved, 0, scaled=True) / np.linalg.norm(moved)
    assert computed == pytest.approx(per_norm, rel=1e-3)


def test_scaled_is_a_flag_for_the_flows_of_an_ode():
    text: Any = "yes"
    with pytest.raises(odemom.InvalidInputError, match="True or False"):
        odemom.psi_cond([[1.0]], 0, scaled=text)
    with pytest.raises(odemom.InvalidInputError, match="ODE"):
        odemom.psi_cond([[1.0]], odemom.flows.ResNet(3), scaled=True)
