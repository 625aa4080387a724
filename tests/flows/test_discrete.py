"""ResNet and MomentumResNet: their functions against their layers, their thresholds against each
other's definition."""

from __future__ import annotations

import itertools
import math
from fractions import Fraction

import mpmath
import numpy as np
import pytest
import sympy

import odemom
from odemom.flows import CoastingNet, MomentumResNet, MomentumThreshold, ResNet, layers_precise

NETS = [
    (gamma, depth)
    for gamma in (Fraction(1, 10), Fraction(1, 2), Fraction(9, 10), Fraction(99, 100))
    for depth in (2, 4, 10, 20)
]


def chebyshev_psi(z, gamma, depth):
    """The closed form of the table of flows, in mpmath."""
    root = mpmath.sqrt(mpmath.mpf(gamma.numerator) / gamma.denominator)
    y = (1 + root**2 + (1 - root**2) * z) / (2 * root)
    return root**depth * (mpmath.chebyu(depth, y) - root * mpmath.chebyu(depth - 1, y))


@pytest.mark.parametrize(("gamma", "depth"), NETS)
def test_the_layers_compute_the_chebyshev_closed_form(gamma, depth):
    net = MomentumResNet(gamma, depth)
    points = np.array([-3.0, -0.5, 0.0, 0.25, 2.0, 1.0 + 2.0j, -1.0 - 0.5j])
    with mpmath.workdps(40):
        expected = np.array([complex(chebyshev_psi(mpmath.mpc(z), gamma, depth)) for z in points])
    # N layers, each with a handful of roundings of numbers at most the majorant at |z|
    scale = np.abs(net.scalar(np.abs(points)))
    assert (np.abs(net.scalar(points) - expected) <= 8 * depth * 2.0**-53 * scale).all()


@pytest.mark.parametrize("flow", [ResNet(3), MomentumResNet("9/10", 7)])
def test_matrices_by_layers_agree_with_mpmath_and_with_the_scalar_function(flow):
    theta = np.random.default_rng(0).standard_normal((4, 4))
    computed = odemom.psi(theta, flow)
    reference = np.array(odemom.psi(theta, flow, dps=30).tolist(), dtype=float)
    np.testing.assert_allclose(computed, reference, atol=1e-13 * np.abs(reference).max())
    diagonal = np.diag([-1.5, 0.25, 2.0])
    np.testing.assert_allclose(
        odemom.psi(diagonal, flow), np.diag(flow.scalar(np.diag(diagonal))), rtol=1e-14
    )


@pytest.mark.parametrize("digits", [10, 20])
@pytest.mark.parametrize("net", [MomentumResNet, lambda g, n: CoastingNet(g, n, 3)])
def test_a_gamma_next_to_1_keeps_its_distance_from_it(net, digits):
    """1 - gamma is not that of gamma rounded to doubles: which lost half of the digits, or all."""
    flow, size = net("0." + digits * "9", 21), -3.0 * 10.0 ** (digits - 3)
    expected = float(odemom.psi([[Fraction(size)]], flow, dps=20)[0, 0])
    assert odemom.psi([[size]], flow)[0, 0] == pytest.approx(expected, rel=1e-14)
    assert flow.scalar(size) == pytest.approx(expected, rel=1e-14)
    for prefer in ("condition", "norm"):
        found = odemom.represent([[Fraction(1, 2)]], flow, full_output=True, prefer=prefer)
        assert found.residual <= 1e-14


def test_a_deep_momentum_net_tends_to_its_ode():
    # step h: gamma = 1 - h/eps, theta -> h theta over N = 1/h layers; Euler is of order 1
    theta, eps = np.array([[0.3, -1.0], [0.7, 0.2]]), 0.5
    errors = []
    for depth in (100, 200, 400):
        h = 1 / depth
        net = MomentumResNet(1 - h / eps, depth)
        errors.append(np.abs(net.matrix(h * theta) - odemom.psi(theta, eps)).max())
    orders = [math.log2(a / b) for a, b in itertools.pairwise(errors)]
    assert orders == pytest.approx([1, 1], abs=0.05)


@pytest.mark.parametrize(("gamma", "depth"), NETS)
def test_the_threshold_is_the_least_value(gamma, depth):
    threshold = MomentumThreshold(gamma, depth)
    least = threshold.value
    with mpmath.workdps(30):
        z = mpmath.findroot(
            lambda x: mpmath.diff(lambda t: chebyshev_psi(t, gamma, depth), x),
            threshold.minimiser,
        )
        assert abs(chebyshev_psi(z, gamma, depth) - least) <= 4e-16 * abs(least)
    grid = np.linspace(float(-2 * (1 + gamma) / (1 - gamma)), 0.5, 200_001)
    values = MomentumResNet(gamma, depth).scalar(grid)
    assert values.min() >= least * (1 + 1e-9)
    assert values.min() <= least * (1 - 1e-3)


def test_the_known_threshold_far_below_the_ode():
    threshold = MomentumThreshold(Fraction(9, 10), 20)
    assert threshold.value == pytest.approx(-3.03, abs=0.005)
    assert threshold.minimiser == pytest.approx(-37.5, abs=0.05)
    assert threshold.is_artefact
    assert "artefact" in threshold.describe()
    assert threshold.value < odemom.lambda_eps(Fraction(10, 20)) - 2


@pytest.mark.parametrize(
    "depth", [10, 1_000, 20_000, pytest.param(200_000, marks=pytest.mark.slow)]
)
def test_the_minimiser_of_a_deep_net_is_the_last_critical_point(depth):
    """Also where gamma^(N/2) is no double; phi = pi - 4.4934/N there, as tan x = x at 4.4934."""
    threshold = MomentumThreshold(Fraction(9, 10), depth)
    assert threshold.is_artefact
    assert math.pi - threshold.angle == pytest.approx(
        4.493409457909064 / depth, rel=1 / depth + 1e-9
    )


def test_enclosures_are_nested_and_contain_the_value():
    threshold = MomentumThreshold(Fraction(9, 10), 20)
    fine = threshold.enclosure(400)
    for precision in (64, 128, 256):
        coarse = threshold.enclosure(precision)
        assert coarse.contains(fine)
        assert float(coarse.rad()) <= 2.0 ** (8 - precision) * abs(threshold.value)


def test_at_depth_2_the_threshold_is_rational_and_decided_exactly():
    net = MomentumResNet("1/2", 2)
    threshold = net.real_image.threshold
    assert threshold is not None
    value = threshold.rational
    assert value is not None
    assert value == Fraction(-9, 16)
    assert float(value) == threshold.value
    assert odemom.is_representable([[value]], net)
    assert not odemom.is_representable([[value - Fraction(1, 10**50)]], net)
    assert odemom.analyze([[value]], net).eigenvalues[0].position == "at"
    assert not odemom.is_representable([[value, 1], [0, value]], net)


def test_an_algebraic_threshold_is_recognised_as_an_eigenvalue():
    # lambda is a root of the resultant of psi(z) - m and psi'(z) in z
    net, z, m = MomentumResNet("1/2", 4), sympy.Symbol("z"), sympy.Symbol("m")
    x, v, half = sympy.Integer(1), sympy.Integer(0), sympy.Rational(1, 2)
    for _ in range(4):
        v = sympy.expand(half * v + half * z * x)
        x = sympy.expand(x + v)
    factors = sympy.factor_list(sympy.resultant(x - m, sympy.diff(x, z), z), m)[1]
    value = MomentumThreshold(Fraction(1, 2), 4).value
    polynomial = min((sympy.Poly(f, m) for f, _ in factors), key=lambda f: abs(f.eval(value)))
    monic = [Fraction(int(c), int(polynomial.LC())) for c in polynomial.all_coeffs()][1:]
    d = len(monic)
    companion = [[Fraction(int(i == j + 1)) for j in range(d)] for i in range(d)]
    for i in range(d):
        companion[i][d - 1] = -monic[d - 1 - i]
    positions = [e.position for e in odemom.analyze(companion, net).eigenvalues]
    assert positions.count("at") == 1
    assert "below" not in positions


def blocks(*sizes_at):
    """A block diagonal integer matrix of Jordan blocks (size, eigenvalue)."""
    d = sum(size for size, _ in sizes_at)
    rows = [[0] * d for _ in range(d)]
    start = 0
    for size, mu in sizes_at:
        for i in range(size):
            rows[start + i][start + i] = mu
            if i + 1 < size:
                rows[start + i][start + i + 1] = 1
        start += size
    return rows


@pytest.mark.parametrize(
    ("depth", "matrix", "representable"),
    [
        (1, blocks((2, 0)), True),  # psi(z) = 1 + z is onto and regular
        (2, blocks((1, 0)), True),
        (2, blocks((2, 0)), False),  # J_2(0) has no square root
        (2, blocks((2, 0), (1, 0)), True),
        (2, blocks((1, -1)), False),
        (2, blocks((1, -1), (1, -1)), True),
        (3, blocks((2, -1)), True),  # odd powers are onto and regular off 0
        (3, blocks((2, 0)), False),
        (3, blocks((2, 0), (1, 0)), False),
        (3, blocks((2, 0), (1, 0), (1, 0)), True),
        (3, blocks((2, 0), (2, 0), (1, 0)), True),
        (4, blocks((1, 0), (1, 0), (1, 0)), True),
        (4, blocks((3, 0), (1, 0), (1, 0), (1, 0)), False),
    ],
)
def test_resnets_split_nilpotent_blocks_into_depth_parts(depth, matrix, representable):
    assert odemom.is_representable(matrix, ResNet(depth)) == representable


def test_momentum_nets_of_odd_depth_represent_everything():
    net = MomentumResNet(0.9, 5)
    assert odemom.is_representable(blocks((1, -100), (2, -7), (3, 0)), net)
    assert odemom.is_representable(np.diag([-100.0, 1.0]), net)


@pytest.mark.parametrize(
    "make",
    [
        lambda: ResNet(0),
        lambda: ResNet(2.0),  # pyright: ignore[reportArgumentType]
        lambda: ResNet(True),
        lambda: MomentumResNet(0, 4),
        lambda: MomentumResNet(1, 4),
        lambda: MomentumResNet(-0.1, 4),
        lambda: MomentumResNet(math.nan, 4),
        lambda: MomentumResNet("a half", 4),
        lambda: MomentumResNet(0.5, -1),
    ],
)
def test_bad_parameters_are_refused(make):
    with pytest.raises(odemom.InvalidInputError, match=r"got .*expected"):
        make()


def test_the_nets_describe_their_layers():
    assert ResNet(3).describe() == "x_(n+1) = x_n + theta x_n, 3 layers"
    assert "gamma = 9/10, 21 layers" in MomentumResNet("9/10", 21).describe()
    assert MomentumResNet("9/10", 21).eps == 10


@pytest.mark.parametrize("net", [ResNet(3), MomentumResNet("1/2", 1)])
def test_a_psi_that_vanishes_in_mpmath_is_0_at_once(net):
    root = -1 if isinstance(net, ResNet) else -2
    for theta in ([[float(root)]], mpmath.matrix([[root, 0], [0, root]])):
        assert mpmath.mnorm(net.matrix_mp(theta, 30), 1) == 0
    # next to it, it is not
    off = mpmath.matrix([[root + mpmath.mpf(2) ** -40]])
    assert mpmath.mnorm(net.matrix_mp(off, 30), 1) > 0


@pytest.mark.parametrize(
    "net", [ResNet(60), MomentumResNet("9/10", 61), CoastingNet("9/10", 60, 41)], ids=str
)
def test_many_layers_are_squared_to_the_digits_of_one_by_one(net, monkeypatch):
    theta = (np.random.default_rng(0).standard_normal((3, 3)) / 10).tolist()
    squared = net.matrix_mp(theta, 30)
    monkeypatch.setattr(layers_precise, "SHALLOW", 100)
    with mpmath.workdps(40):
        one_by_one = net.matrix_mp(theta, 30)
        assert mpmath.mnorm(squared - one_by_one, 1) < 1e-29 * mpmath.mnorm(one_by_one, 1)


def test_a_thousand_million_layers():
    found = ResNet(10**9).matrix_mp([[Fraction(-1, 10**9), 0], [0, -1]], 30)
    with mpmath.workdps(40):
        exact = mpmath.exp(10**9 * mpmath.log1p(-mpmath.mpf(1) / 10**9))
        assert abs(found[0, 0] - exact) < 1e-29
    assert found[1, 1] == 0


def test_a_psi_of_many_layers_that_vanishes_is_0_at_once():
    third = Fraction(1, 3)  # no ball holds it: only exact arithmetic tells
    nilpotent = [[third - 1, -third], [third, -third - 1]]
    assert mpmath.mnorm(ResNet(10**9).matrix_mp(nilpotent, 30), 1) == 0


def test_a_psi_that_nearly_vanishes_is_not_computed_exactly(monkeypatch):
    exact = layers_precise._through_layers
    monkeypatch.setattr(layers_precise, "SHALLOW", 0)
    monkeypatch.setattr(layers_precise, "_through_layers", lambda *_: pytest.fail("exact"))
    # x_2 = (1 + z/2)^2 + z/4 vanishes at z = (-5 + 3)/2 and (-5 - 3)/2
    near = [[Fraction(-1) + Fraction(1, 1 << 400)]]
    assert mpmath.almosteq(MomentumResNet("1/2", 2).matrix_mp(near, 30)[0, 0] * 2**400, 0.75)
    monkeypatch.setattr(layers_precise, "_through_layers", exact)
    assert MomentumResNet("1/2", 2).matrix_mp([[-1]], 30)[0, 0] == 0
