"""What the flows of an ODE share: the problem on [0, 1] that a horizon is a rescaling of."""

from fractions import Fraction

import numpy as np
import pytest

import odemom
from odemom.flows import (
    FirstOrder,
    MomentumResNet,
    ODEFlow,
    ResNet,
    SecondOrder,
    Undamped,
    flow_of,
)
from odemom.propagator.double import propagate
from tests.oracles import UNIT, error1, norm1, psi_matrix, to_floats

THETA = np.array([[0.3, -1.0, 0.2], [0.4, -0.2, 0.0], [1.0, 0.5, -2.0]])
HORIZON = Fraction(5, 2)
FLOWS = [
    FirstOrder(HORIZON),
    SecondOrder("1/3", "zero", HORIZON),
    SecondOrder("1/3", "field", HORIZON),
    Undamped(HORIZON),
]


@pytest.mark.parametrize("flow", FLOWS, ids=str)
def test_the_problem_on_the_unit_interval_is_the_same_map(flow):
    theta, eps, field = flow.unit_problem(THETA)
    mass = {FirstOrder: 0, Undamped: np.inf}.get(type(flow), Fraction(1, 3))
    exact = psi_matrix(THETA, mass, field=field, horizon=HORIZON)
    for computed in (propagate(theta, eps, field), flow.matrix(THETA)):
        assert error1(computed, exact) <= 200 * UNIT * norm1(to_floats(exact))
    unit, same = flow.on_unit_horizon(THETA)
    assert unit.horizon == 1
    np.testing.assert_array_equal(unit.matrix(same), flow.matrix(THETA))


def test_only_the_flows_of_an_ode_have_a_horizon():
    assert all(isinstance(flow, ODEFlow) for flow in FLOWS)
    for net in (ResNet(3), MomentumResNet("1/2", 4)):
        assert not isinstance(net, ODEFlow)
        same, theta = net.on_unit_horizon(THETA)
        assert same is net
        assert theta is THETA


@pytest.mark.parametrize("method", ["auto", "closed", "series", "companion"])
@pytest.mark.parametrize("flow", FLOWS, ids=str)
def test_every_method_is_that_of_the_unit_problem(flow, method):
    unit, same = flow.on_unit_horizon(THETA)
    expected = odemom.psi(same, unit, method=method)
    np.testing.assert_array_equal(odemom.psi(THETA, flow, method=method), expected)


def test_a_flow_that_is_given_is_kept_though_an_equal_one_was_asked_for_before():
    floating, exact = SecondOrder(0.5), SecondOrder(Fraction(1, 2))
    assert floating == exact
    assert flow_of(floating) is floating
    assert flow_of(exact) is exact
    assert flow_of(exact).describe().startswith("1/2 x''")
