"""The residual of a witness is that of its theta, also where doubles show nothing of it."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import flint
import numpy as np
import pytest

import odemom
from odemom.flows import CoastingNet, MomentumResNet, ResNet, SecondOrder
from odemom.flows.preimages import condition_at, newton
from odemom.representability import measured
from odemom.representability.measured import residual_and_condition
from odemom.representability.remedies import another_flow
from tests.oracles import jordan_block
from tests.representability.witnesses import true_residual, verified_witness

F = Fraction
NET = MomentumResNet(F(1, 2), 2)  # psi = 1 + z 5/4 + z²/4, critical value -9/16 at -5/2


@pytest.mark.parametrize(
    ("d", "net"),
    [
        (jordan_block(F(-9, 16) + F(1, 10**12), 3), NET),
        (jordan_block(F(-9, 16) + F(1, 10**30), 2), NET),
        (jordan_block(F(-19, 81) + F(1, 10**16), 3), MomentumResNet(F(2, 9), 2)),
    ],
)
def test_a_theta_that_misses_in_exact_arithmetic_is_refused(d, net):
    """In doubles of 1e17 psi(theta) is D to the last bit; theta itself misses D by itself."""
    with pytest.raises(odemom.IllConditionedError) as caught:
        odemom.represent(d, net)
    witness = caught.value.witness
    assert witness is not None
    exact = true_residual(witness.theta, d, net)
    assert witness.residual == pytest.approx(float(exact), rel=1e-3)
    assert exact > 1e-2


@pytest.mark.parametrize(
    ("flow", "size"),
    [(NET, 1e5), (CoastingNet("1/2", 4, 3), 1e3), (SecondOrder("1/2"), 1e3), (ResNet(3), 1e4)],
)
def test_in_more_digits_the_residual_is_the_same_where_doubles_tell_it(flow, size, monkeypatch):
    theta = size * np.random.default_rng(0).standard_normal((4, 4))
    d = flow.matrix(theta) * (1 + 1e-4)
    found = residual_and_condition(flow, theta, d)
    corner = residual_and_condition(flow, theta, d[:2, :2])
    monkeypatch.setattr(measured, "HIDDEN", 0.0)
    assert residual_and_condition(flow, theta, d) == pytest.approx(found, rel=1e-6)
    assert residual_and_condition(flow, theta, d[:2, :2]) == pytest.approx(corner, rel=1e-6)
    assert 0 < residual_and_condition(flow, theta, flow.matrix(theta))[0] < 1e-12


def test_where_the_derivative_vanishes_the_condition_number_is_zero_to_roundoff():
    for rows in ([[F(-9, 16), 0], [0, F(-9, 16)]], [[-0.5625, 0.0], [0.0, -0.5625]]):
        assert verified_witness(rows, NET).condition < 1e-12
    assert odemom.psi_cond(-2.5 * np.eye(2), NET) < 1e-12


def test_a_continuation_that_ends_at_a_critical_value_is_left():
    """It approached it by ever smaller steps, 50000 of them, where another branch leads there."""
    net = CoastingNet("1/2", 4, 3)
    companion = [[F(0), F(925, 2592)], [F(1), F(415, 972)]]  # of the critical values
    assert odemom.represent(companion, net, full_output=True).residual < 1e-12
    mu = F(-52673140282013184380998575168332541548579177057123, 10**50)
    for value in (mu, mu - F(1, 10**30)):
        verified_witness([[value]], SecondOrder("1/2", "field"))


@pytest.mark.parametrize("number", [F, float])
def test_the_smallest_preimage_is_none_at_which_a_block_is_lost(number):
    """psi takes -1/4 at -1, where its derivative vanishes, and at -4."""
    d = [[number(F(-1, 4)), number(1)], [number(0), number(F(-1, 4))]]
    net = MomentumResNet(F(1, 2), 4)
    witness = odemom.represent(d, net, full_output=True, prefer="norm")
    assert np.allclose(np.diag(witness.theta), -4)
    assert odemom.represent([[F(-1, 4)]], net, prefer="norm") == [[-1.0]]


@pytest.mark.filterwarnings("error")
def test_next_to_a_critical_point_the_condition_of_a_block_is_infinite():
    net = ResNet(3)
    assert condition_at(net.series, flint.acb(0), 4) < 1e3
    with flint.ctx.workprec(2000):
        assert condition_at(net.series, flint.acb(-1) + flint.arb(2) ** -400, 4) == math.inf


@pytest.mark.filterwarnings("error")
def test_values_beyond_the_doubles_are_no_crossings():
    flow = SecondOrder("167/553", "field", F(29, 10))
    assert odemom.represent([[-1.25]], flow, full_output=True, prefer="norm").residual < 1e-10


def test_the_advice_about_an_ill_conditioned_theta_of_floats_helps():
    close = 1e-8 * np.array([[0.0, -1.0], [1.0, 0.0]]) - 13 / 36 * np.eye(2)
    block = np.block([[close, np.eye(2)], [np.zeros((2, 2)), close]])
    q, _ = np.linalg.qr(np.random.default_rng(0).standard_normal((4, 4)))
    d, net = q @ block @ q.T, MomentumResNet("1/3", 2)
    with pytest.raises(odemom.IllConditionedError, match=r"a larger tol.*or exact=True"):
        odemom.represent(d, net)
    ways: list[Any] = [{"tol": 1e-9}, {"exact": True}]
    for options in ways:
        assert odemom.represent(d, net, full_output=True, **options).residual < 1e-7


def test_merged_eigenvalues_next_to_a_critical_value_are_no_division_by_zero():
    net = MomentumResNet("7/10", 2)
    threshold = net.real_image.threshold
    assert threshold is not None
    q, _ = np.linalg.qr(np.random.default_rng(4).standard_normal((3, 3)))
    d = q @ (threshold.value * np.eye(3) + 1e-6 * np.eye(3, k=1)) @ q.T
    # Borderline: it is up to rounding, which differs among processors, at or above the threshold.
    with pytest.raises((odemom.IllConditionedError, odemom.NotRepresentableError)):
        odemom.represent(d, net)
    assert odemom.represent(d, net, full_output=True, exact=True).residual < 1e-10


@pytest.mark.parametrize("net", [ResNet(2), MomentumResNet("1/2", 1)], ids=str)
def test_where_psi_vanishes_its_condition_is_infinite(net):
    witness = odemom.represent(np.zeros((2, 2)), net, full_output=True)
    assert (witness.residual, witness.condition) == (0.0, np.inf)


@pytest.mark.parametrize(
    ("d", "flow"),
    [
        ([[1e-200]], MomentumResNet("1/2", 3)),
        ([[F(1, 10**30)]], MomentumResNet("1/2", 3)),
        ([[-1e20, 0.0], [0.0, 2e20]], SecondOrder(1, "field")),
    ],
)
def test_where_psi_leaves_the_doubles_the_residual_is_that_of_theta(d, flow):
    """It vanishes in them, or overflows, and was taken for 1 and inf."""
    with pytest.raises(odemom.IllConditionedError) as caught:
        odemom.represent(d, flow)
    witness = caught.value.witness
    assert witness is not None
    assert witness.condition == np.inf
    exact = true_residual(witness.theta, d, flow)
    assert witness.residual == pytest.approx(exact, rel=1e-6)
    assert 1.01 < exact < np.inf


def test_of_a_corner_the_residual_has_digits_beside_a_psi_that_is_far_larger():
    theta = np.diag([-1.0, 7000.0])
    d = np.array([[math.exp(-1) * (1 + 1e-12)]])
    residual, condition = residual_and_condition(odemom.flows.FirstOrder(), theta, d)
    assert residual == pytest.approx(1e-12, rel=1e-3)
    assert condition == np.inf


def test_what_takes_too_long_in_more_digits_keeps_what_doubles_say():
    theta = 1e200 * np.random.default_rng(0).standard_normal((24, 24))  # it took 36 s
    assert residual_and_condition(SecondOrder("1/2"), theta, np.eye(24)) == (np.inf, np.inf)


@pytest.mark.parametrize(
    ("d", "flow", "advice"),
    [
        ([[1e-200]], MomentumResNet("1/2", 3), "Use another gamma or depth, or scale D;"),
        (np.diag([-1e20, 2e20]), SecondOrder(1, "field"), "Use another eps, or scale D;"),
        ([[-1e90]], SecondOrder(1, "field"), r"\|\|theta\|\| = 6.1e\+180. Use another eps, or"),
    ],
)
@pytest.mark.filterwarnings("error")
def test_the_advice_names_what_the_flow_has_and_no_tolerance_that_merges_nothing(d, flow, advice):
    with pytest.raises(odemom.IllConditionedError, match=advice):
        odemom.represent(d, flow)
    assert another_flow(ResNet(2)) == "another depth"


@pytest.mark.parametrize("exact", [None, True])
def test_where_psi_turns_faster_than_the_digits_tell_a_theta_is_measured(exact):
    """Newton's method ended in a nan, and the error spoke of an integer."""
    d = np.diag([-1e50, 2e50])
    with pytest.raises(odemom.IllConditionedError, match="misses D by"):
        odemom.represent(d, SecondOrder(1, "field"), exact=exact)


def test_a_preimage_beyond_the_doubles_is_said_to_be_one():
    with pytest.raises(odemom.ResultOverflowError, match="theta exceeds the range of doubles"):
        odemom.represent(np.diag([-1e155, 2.0]), SecondOrder(1, "field"))


def test_newton_that_leaves_the_finite_numbers_is_undecided():
    with pytest.raises(odemom.UndecidedError, match="no preimage of"):
        newton(ResNet(2).series, flint.acb(-1), flint.acb(1))  # psi'(-1) = 0
