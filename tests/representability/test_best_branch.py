"""represent at and near critical values: the best conditioned of all real preimages is taken."""

from fractions import Fraction
from typing import Any

import mpmath
import numpy as np
import pytest
import sympy

import odemom
from odemom.flows import MomentumResNet, SecondOrder, Undamped
from tests.oracles import companion, direct_sum, jordan_block, lambda_reference, layers_polynomial
from tests.representability.witnesses import verified_witness

F = Fraction
NET = MomentumResNet(F(1, 2), 4)  # psi has the critical value -1/4 at -1, and takes it at -4 too


def test_at_an_inner_critical_value_the_regular_preimage_is_taken():
    assert odemom.represent([[F(-1, 4)]], NET) == [[-4.0]]
    witness = verified_witness(jordan_block(F(-1, 4), 2), NET)
    assert np.allclose(np.diag(witness.theta), -4)
    verified_witness(jordan_block(F(-27, 64), 2), MomentumResNet(F(3, 4), 6))


@pytest.mark.parametrize("gamma", [F(1, 5), F(1, 2), F(9, 10)])
def test_all_the_critical_values_of_a_net_at_once(gamma):
    """The roots of the resultant of psi - mu and psi', all of which an odd net takes regularly."""
    z, mu = sympy.symbols("z mu")
    psi = layers_polynomial(gamma, 5).as_expr()
    resultant = sympy.resultant(psi - mu, sympy.diff(psi, z), z)
    coefficients = sympy.Poly(resultant, mu).monic().all_coeffs()[::-1]
    monic: Any = [F(int(c.p), int(c.q)) for c in coefficients[:-1]]
    rows = companion(monic)
    verified_witness(rows, MomentumResNet(gamma, 5))


@pytest.mark.parametrize("shift", [F(0), F(1, 10**12), F(-1, 10**12), F(1, 10**6), F(1, 100)])
@pytest.mark.parametrize("net", [NET, MomentumResNet(F(3, 4), 7)])
def test_no_other_real_preimage_is_better_conditioned(net, shift):
    coefficients = [float(c) for c in layers_polynomial(net.gamma, net.depth).all_coeffs()]
    slope = np.polyder(coefficients)
    turning = np.real(np.roots(slope))
    mu = F(np.polyval(coefficients, turning)[1 if net is NET else 2]).limit_denominator(10**14)
    mu += shift
    for number in (F, float):
        rows = [[number(mu), number(1)], [number(0), number(mu)]]
        witness = odemom.represent(rows, net, full_output=True)
        shifted = [*coefficients[:-1], coefficients[-1] - float(mu)]
        found = [x.real for x in np.roots(shifted) if abs(x.imag) < 1e-9]
        others = [
            odemom.psi_cond([[x, 1 / np.polyval(slope, x)], [0, x]], net)
            for x in found
            if abs(np.polyval(slope, x)) > 1e-4
        ]
        assert witness.condition < 1.5 * min(others)


@pytest.mark.parametrize("number", [F, float])
def test_close_values_on_both_sides_of_a_critical_one_share_a_branch(number):
    nearby = F(1, 10**9)
    rows = [[F(-1, 4) + nearby, F(1)], [F(0), F(-1, 4) - nearby]]
    witness = verified_witness([[number(x) for x in row] for row in rows], NET)
    assert witness.condition < 10


@pytest.mark.parametrize("number", [F, float])
def test_a_complex_pair_next_to_a_critical_value_stays_on_the_real_branch(number):
    pair = [[F(-1, 4), F(-1, 10**9)], [F(1, 10**9), F(-1, 4)]]
    rows = direct_sum(pair, pair)
    rows[0][2] = rows[1][3] = F(1)
    witness = verified_witness([[number(x) for x in row] for row in rows], NET)
    assert witness.condition < 10


def test_the_field_flow_keeps_away_from_its_critical_values():
    flow = SecondOrder("1/5", "field")
    t = np.linspace(-60.0, -1e-3, 200_001)
    values = flow.scalar(t)
    first = np.flatnonzero((values[1:-1] < values[:-2]) & (values[1:-1] < values[2:]))[-1] + 1
    mu = float(values[first]) + 1e-9
    assert odemom.represent([[mu, 1.0], [0.0, mu]], flow, full_output=True).condition < 1e4


@pytest.mark.parametrize("digits", [17, 40, 100, 400])
@pytest.mark.parametrize("eps", ["1/2", "inf"])
def test_a_value_as_close_as_one_likes_to_the_threshold(eps, digits):
    if eps == "inf":
        threshold = F(-1)
    else:
        with mpmath.workdps(digits + 60):
            text = str(mpmath.nstr(lambda_reference(F(1, 2), digits + 50), digits + 50))
        threshold = F(text)
    gap = F(1, 10**digits)
    flow = Undamped() if eps == "inf" else SecondOrder(eps)
    verified_witness(jordan_block(threshold + gap, 1), flow)
    below = jordan_block(threshold - gap, 1)
    verified_witness(direct_sum(below, below), flow)
    if digits > 17:  # J_4 at the critical point gives blocks that doubles cannot tell from these
        block = jordan_block(threshold - gap, 2)
        verified_witness(direct_sum(block, block), flow)
