"""theta acts until a switch, then the state coasts: psi in every arithmetic, and its preimages."""

import itertools
import math
from fractions import Fraction
from typing import Any

import flint
import mpmath
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import odemom
from odemom.flows import Coasting, CoastingNet, SecondOrder, Undamped
from tests.propagator.test_accuracy import SUITE, UNIT, arb, largest_entry, relative_error

THETA = np.array([[0.3, -1.0, 0.2], [0.4, -0.2, 0.0], [1.0, 0.5, -2.0]])
FLOWS = [
    Coasting("1/20", "1/10"),
    Coasting("1/2", "3/4"),
    Coasting(3, "1/3", 2),
    Coasting("inf", "1/2"),
    Coasting("inf", "1/3", 5),
]

MATRICES = [[[-3]], [[-1, 1], [0, -1]], [[0, 1], [-1, 0]], [[-2, 0], [0, 5]], [[0, 0], [0, -7]]]


def reference(theta, flow):
    """The product of the exponentials of two companion matrices, in balls of relative width 1e-30.

    None where the balls stay too wide up to 4096 bits.
    """
    d, eps = len(theta), flow.eps
    zero, unit = np.zeros((d, d), dtype=object), np.eye(d, dtype=int).astype(object)
    force, rate = (1, 0) if eps == math.inf else (1 / Fraction(eps), 1 / Fraction(eps))
    exact = np.vectorize(Fraction, otypes=[object])(theta)
    acting = np.block([[zero, unit], [force * exact, -rate * unit]]) * Fraction(flow.switch)
    rest = Fraction(flow.horizon) - Fraction(flow.switch)
    coasting = np.block([[zero, unit], [zero, -rate * unit]]) * rest
    for precision in (256, 1024, 4096):
        with flint.ctx.workprec(precision):
            first, second = (
                arb([[Fraction(x) for x in row] for row in m.tolist()]).exp()
                for m in (acting, coasting)
            )
            block = second * first
            balls = [block[i, j] for i in range(d) for j in range(d)]
            widest = max(float(x.rad()) for x in balls)
            largest = max(float(abs(x.mid())) for x in balls)
            if math.isfinite(widest) and widest <= 1e-30 * max(largest, 1e-290):
                return [[block[i, j].mid() for j in range(d)] for i in range(d)]
    return None


def worst_error(names, flow):
    """Of psi, in units of u max(1, cond), and how many matrices have been compared."""
    worst, count = 0.0, 0
    for name in names:
        exact = reference(SUITE[name], flow)
        if exact is None or not 1e-290 <= largest_entry(exact) <= 1e306:
            continue
        cond = max(1.0, odemom.psi_cond(SUITE[name], flow))
        worst = max(worst, relative_error(odemom.psi(SUITE[name], flow), exact) / UNIT / cond)
        count += 1
    return worst, count


@pytest.mark.parametrize("flow", FLOWS, ids=str)
def test_the_error_is_at_most_50_u_times_the_condition_number(flow):
    worst, count = worst_error([name for name in SUITE if len(SUITE[name]) <= 2], flow)
    assert worst <= 50
    assert count >= 10


@pytest.mark.slow
@pytest.mark.parametrize("flow", [*FLOWS, Coasting(1e-4, "1/2"), Coasting(1e6, "1/2")], ids=str)
def test_the_error_is_so_on_all_80_matrices(flow):
    worst, count = worst_error(SUITE, flow)
    print(f"{flow}: at most {worst:.3g} u max(1, cond) over {count} matrices")
    assert worst <= 50
    assert count >= 70


@pytest.mark.parametrize("method", ["series", "closed", "companion"])
@pytest.mark.parametrize("flow", FLOWS, ids=str)
def test_every_method_gives_the_same_matrix(flow, method):
    np.testing.assert_allclose(
        odemom.psi(THETA, flow, method=method), odemom.psi(THETA, flow), rtol=1e-12, atol=1e-13
    )


@pytest.mark.parametrize("flow", FLOWS, ids=str)
def test_digits_stacks_action_points_and_torch_agree(flow):
    torch = pytest.importorskip("torch")
    import odemom.nn

    exact = np.array(odemom.psi(THETA, flow, dps=40).tolist(), dtype=object)
    values = exact.astype(float)
    stack = odemom.psi(np.stack([THETA, THETA / 7]), flow)[0]
    action = odemom.psi_multiply(THETA, np.eye(3), flow)
    tensor = odemom.nn.psi(
        torch.tensor(THETA),
        float(flow.eps),
        switch=float(flow.switch),
        horizon=float(flow.horizon),
    )
    scaled, shift = odemom.psi(THETA, flow, scaled=True)
    for computed in (stack, action, tensor.numpy(), scaled * np.exp(shift)):
        np.testing.assert_allclose(computed, values, rtol=1e-13, atol=1e-14)
    point = mpmath.mpf(float(flow.scalar(-3.7)))
    assert abs(point - odemom.psi([[-3.7]], flow, dps=30)[0]) <= 8 * UNIT * (1 + abs(point))


def test_gradients_of_tensors_are_those_of_differences():
    torch = pytest.importorskip("torch")
    from odemom.nn import psi

    theta = torch.tensor(THETA[None, :2, :2]).requires_grad_()
    eps = torch.tensor([0.7], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda t, e: psi(t, e, switch=0.4), (theta, eps))
    undamped = torch.tensor([math.inf], dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda t: psi(t, undamped, switch=0.4), (theta,))


@settings(max_examples=8)
@given(st.floats(0.02, 50), st.floats(-20, 5), st.floats(0.2, 4))
def test_late_switches_tend_to_the_flow_without_one(eps, z, horizon):
    limit = SecondOrder(eps, horizon=horizon).scalar(z)
    gaps = [
        abs(Coasting(eps, horizon * (1 - late), horizon).scalar(z) - limit)
        for late in (1e-2, 1e-4, 1e-6)
    ]
    assert gaps[2] <= 1e-3 * gaps[0] + 1e-11 * (1 + abs(z)) * (1 + abs(limit))


def test_coasting_for_ever_is_the_initial_velocity_of_the_field():
    """w = 1: what x'(0) = theta x0 adds to x(T) is what coasting adds to it."""
    long = odemom.psi(THETA, Coasting("1/2", 1, 200))
    np.testing.assert_allclose(long, odemom.psi(THETA, SecondOrder("1/2", "field")), rtol=1e-13)


@pytest.mark.parametrize("flow", FLOWS, ids=str)
@pytest.mark.parametrize("mu", [-40, -1, "-3/8", 0, 1, 12])
def test_every_real_value_has_a_regular_real_preimage(flow, mu):
    value = Fraction(mu)
    z = flow.real_preimage(flint.arb(flint.fmpq(value.numerator, value.denominator)))
    assert z.imag == 0
    with flint.ctx.workprec(128):
        series = flow.series(z, 2)
        assert abs(series[0] - flint.fmpq(value.numerator, value.denominator)) < 1e-20
        assert abs(series[1]) > 1e-6


@pytest.mark.parametrize(
    ("flow", "matrix"),
    list(itertools.product([Coasting(1, "1/2"), Coasting("inf", "1/2")], MATRICES)),
)
def test_every_matrix_has_a_witness(flow, matrix):
    assert odemom.is_representable(matrix, flow)
    witness = odemom.represent(matrix, flow, full_output=True)
    assert witness.residual <= 1e-14 * max(1, witness.condition)
    plain = SecondOrder(1) if flow.eps == 1 else Undamped()
    assert odemom.is_representable(matrix, plain) == (matrix[0] == [0, 1])


def test_a_switch_outside_the_horizon_or_without_a_mass_is_refused():
    with pytest.raises(odemom.InvalidInputError, match=r"a time in \(0, horizon\)"):
        Coasting(1, 1)
    with pytest.raises(odemom.InvalidInputError, match="switch"):
        Coasting(1, 0)
    with pytest.raises(odemom.InvalidInputError, match=r"FirstOrder\(switch\)"):
        Coasting(0, "1/2")


NETS = [CoastingNet("9/10", 20, 9), CoastingNet("1/2", 6, 5), CoastingNet("3/4", 4, 1)]


@pytest.mark.parametrize("net", NETS, ids=str)
@pytest.mark.parametrize("mu", [-40.0, -1.0, 0.0, 3.0])
def test_the_net_takes_every_real_value_regularly(net, mu):
    z = net.real_preimage(flint.arb(mu))
    with flint.ctx.workprec(128):
        series = net.series(z, 2)
        assert abs(series[0] - mu) < 1e-20
        assert abs(series[1]) > 1e-6
    witness = odemom.represent([[mu, 1.0], [0.0, mu]], net, full_output=True)
    assert witness.residual <= 1e-13 * max(1, witness.condition)
    exact = odemom.psi(witness.theta, net, dps=30)
    np.testing.assert_allclose(
        np.array(exact.tolist(), dtype=float), odemom.psi(witness.theta, net), atol=1e-12
    )


def test_the_net_is_a_momentum_net_whose_last_functions_are_zero():
    torch = pytest.importorskip("torch")
    from odemom.nn import MomentumNet

    class Zero(torch.nn.Module):
        def forward(self, x):
            return torch.zeros_like(x)

    layer = torch.nn.Linear(3, 3, bias=False).double()
    layer.weight.data = torch.tensor(THETA)
    net = MomentumNet([layer] * 9 + [Zero()] * 11, gamma=0.9, reversible=False)
    expected = odemom.psi(THETA, CoastingNet("9/10", 20, 9)).T
    np.testing.assert_allclose(net(torch.eye(3).double()).detach().numpy(), expected, rtol=1e-12)


def layers_polynomial(gamma, depth, active):
    """psi of the layers with exact coefficients, layer by layer."""
    g = flint.fmpq(gamma.numerator, gamma.denominator)
    step, x, v = flint.fmpq_poly([0, 1 - g]), flint.fmpq_poly([1]), flint.fmpq_poly([0])
    for layer in range(depth):
        v = v * g + (step * x if layer < active else 0)
        x = x + v
    return x


@pytest.mark.parametrize("gamma", [Fraction(1, 10), Fraction(1, 2), Fraction(99, 100)])
def test_the_zeros_of_the_net_are_real_and_simple_and_its_degree_decides(gamma):
    """Odd: onto. Even, which is refused: bounded below."""
    for active in range(1, 8):
        for depth in (active + 1, active + 5):
            psi = layers_polynomial(gamma, depth, active)
            assert psi.degree() == active
            assert psi[active] > 0
            zeros: Any = flint.fmpz_poly(psi.numer()).complex_roots()
            assert len(zeros) == active
            assert all(z.imag == 0 and multiplicity == 1 for z, multiplicity in zeros)
            if active % 2:
                net = CoastingNet(gamma, depth, active)
                exact = psi(flint.fmpq(-37, 10))
                assert net.scalar(-3.7) == pytest.approx(int(exact.p) / int(exact.q), rel=1e-12)


def test_a_net_of_many_layers_whose_psi_overflows_left_of_the_grid_is_searched_too():
    """There its layers give nan, which is below every value."""
    net = CoastingNet("9/10", 503, 501)
    assert odemom.represent([[-5]], net, full_output=True).residual <= 1e-11


@pytest.mark.parametrize("active", [0, 4, 20, 2.5])
def test_an_even_number_of_active_layers_is_refused(active):
    with pytest.raises(odemom.InvalidInputError, match="active"):
        CoastingNet("9/10", 20, active)
