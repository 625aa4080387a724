"""The figure of the discrete thresholds: its numbers against polynomials and the ODE."""

from __future__ import annotations

import itertools
import math
from fractions import Fraction

import numpy as np
import pytest
from numpy.polynomial import Polynomial

from odemom import InvalidInputError
from odemom.experiments.discrete_lambda import EXPERIMENT, Config, DiscreteLambda
from tests.oracles import lambda_reference


def compute(**options) -> DiscreteLambda:
    return EXPERIMENT.compute(Config(**options))


@pytest.fixture(scope="module")
def figure() -> DiscreteLambda:
    return compute(gammas=["1/10", "1/2", "9/10"], depths=[2, 4, 10, 16], points=201)


def critical_values(gamma, depth):
    """psi at its critical points, from right to left, with the y = cos(phi) of each."""
    g, x, v = float(gamma), Polynomial([1.0]), Polynomial([0.0])
    y = Polynomial([0.0, 1.0])
    step = 2 * math.sqrt(g) * y - (1 + g)  # (1 - gamma) z
    for _ in range(depth):
        v = g * v + step * x
        x = x + v
    points = np.sort(x.deriv().roots().real)[::-1]
    return points, x(points)


def test_the_thresholds_are_the_least_critical_values(figure):
    for curve in figure.curves:
        for depth, net, artefact, first in zip(
            curve.depths, curve.net, curve.artefact, curve.first_minimum, strict=True
        ):
            points, values = critical_values(curve.gamma, depth)
            # roots of a polynomial of degree < 16 with |y| <= 1: its value is flat at them
            assert net == pytest.approx(values.min(), rel=1e-6)
            assert first == pytest.approx(values[0], rel=1e-6)
            assert artefact == (points[values.argmin()] < 0)  # cos(phi) < 0: phi > 90 degrees


def test_the_ode_runs_as_long_as_the_net_has_layers(figure):
    for curve in figure.curves:
        for depth, ode in zip(curve.depths, curve.ode, strict=True):
            expected = float(lambda_reference(1 / ((1 - curve.gamma) * depth)))
            assert ode == pytest.approx(expected, rel=1e-14)


def test_at_depth_2_the_threshold_is_no_artefact_and_from_4_on_it_is(figure):
    for curve in figure.curves:
        assert curve.artefact == (False, True, True, True)


def test_the_first_minimum_tends_to_the_ode_and_the_least_value_does_not():
    # (1 - gamma) N = 2, so eps/N = 1/2: the first minimum tends to lambda_{1/2}, of order 1
    errors, least = [], []
    for depth in (50, 100, 200):
        curve = compute(gammas=[1 - Fraction(2, depth)], depths=[depth], points=2).curves[0]
        errors.append(abs(curve.first_minimum[0] - curve.ode[0]))
        least.append(curve.net[0])
    orders = [math.log2(a / b) for a, b in itertools.pairwise(errors)]
    assert orders == pytest.approx([1, 1], abs=0.05)
    # the amplitude at phi = pi is gamma^{N/2} (N + 1 + sqrt(gamma) N): it doubles with the depth
    assert [b / a for a, b in itertools.pairwise(least)] == pytest.approx([2, 2], abs=0.1)


def test_a_deep_net_of_small_momentum_reaches_less_far_than_its_ode(figure):
    curve = figure.curves[0]
    assert curve.gamma == Fraction(1, 10)
    assert all(net > ode for net, ode in zip(curve.net, curve.ode, strict=True))


def test_the_graph_passes_through_its_minima(figure):
    graph = figure.example
    i = int(np.argmin(graph.net))
    assert graph.angle[i] == pytest.approx(graph.minimum[0], abs=math.pi / 200)
    assert graph.minimum[1] <= graph.net[i] <= 0.95 * graph.minimum[1]
    assert (round(graph.minimum[1], 2), round(graph.first_minimum[1], 2)) == (-3.03, -0.36)
    # below 15 degrees a layer the net is its ODE, to the first order of Euler's scheme
    slow = np.array(graph.angle) < math.pi / 12
    assert np.abs(np.subtract(graph.net, graph.ode))[slow].max() < 0.2


@pytest.mark.parametrize(
    "options",
    [
        {"gammas": []},
        {"gammas": "1/2"},
        {"gammas": [1]},
        {"depths": [2, 3]},
        {"depths": [0]},
        {"depths": 4},
        {"points": 1},
    ],
)
def test_compute_refuses_what_is_no_figure(options):
    with pytest.raises(InvalidInputError):
        compute(**options)
