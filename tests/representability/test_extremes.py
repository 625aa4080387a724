"""minimal_eps and maximal_scale, from both sides of what they return."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import odemom
from odemom.flows import MomentumResNet, ResNet, SecondOrder
from odemom.representability import AlgebraicNumber
from tests.oracles import block_matrix, conjugated

F = Fraction

spectra = st.dictionaries(
    st.sampled_from([F(-2), F(-1), F(-99, 100), F(-1, 2), F(-1, 100), F(0), F(1)]),
    st.lists(st.integers(1, 3), min_size=1, max_size=2),
    min_size=1,
    max_size=2,
)


@pytest.mark.parametrize(
    ("spectrum", "value", "attained"),
    [
        ({F(1): [1]}, 0.0, True),
        ({F(0): [1]}, 0.0, False),  # exp takes no 0, every eps > 0 does
        ({F(-5): [2, 2]}, 0.0, True),  # paired
        ({F(-1): [1]}, math.inf, True),  # eps = inf reaches -1, at a critical point
        ({F(-1): [2]}, math.inf, False),
        ({F(-1): [2, 1]}, math.inf, True),
        ({F(-3): [1]}, math.inf, False),
    ],
)
def test_the_ends_of_the_scale(spectrum, value, attained):
    least = odemom.minimal_eps(block_matrix(spectrum))
    assert (least.value, least.attained) == (value, attained)


@given(spectra, st.integers(0, 2**32 - 1))
@settings(max_examples=35)
def test_minimal_eps_is_the_infimum(spectrum, seed):
    matrix = conjugated(block_matrix(spectrum), np.random.default_rng(seed))
    least = odemom.minimal_eps(matrix)
    low, high = least.interval
    if least.value == math.inf:
        assert not odemom.is_representable(matrix, 10**9)
        assert odemom.is_representable(matrix, "inf") == least.attained
    elif least.value == 0:
        assert odemom.is_representable(matrix, Fraction(1, 10**6))
        assert odemom.is_representable(matrix, 0) == least.attained
    else:
        assert 0 < high - low <= 1e-15 * high
        assert not odemom.is_representable(matrix, low)
        assert odemom.is_representable(matrix, high)
        assert float(low) <= least.value <= float(high)
        assert not odemom.is_representable(matrix, 0)


def test_an_attained_infimum_tells_split_from_unsplit_blocks():
    assert odemom.minimal_eps(block_matrix({F(-1, 2): [1]})).attained
    assert not odemom.minimal_eps(block_matrix({F(-1, 2): [2]})).attained


def test_the_least_eigenvalue_decides_irrational_ones_too():
    # x^2 = 1/2: eigenvalues -+ 0.7071
    least = odemom.minimal_eps([[0, F(1, 2)], [1, 0]])
    assert odemom.lambda_eps(least.value) == pytest.approx(-math.sqrt(0.5), rel=1e-14)
    assert isinstance(least.eigenvalue, AlgebraicNumber)
    assert float(least.eigenvalue) == pytest.approx(-math.sqrt(0.5))


TINY = F(1, 10**29)
ROOT = F(14142135623730950488016887242096980785696718, 10**43)  # just below the root of 2


@pytest.mark.parametrize("turned", [False, True])
def test_eigenvalues_that_agree_in_all_their_doubles_are_told_apart(turned):
    def matrix(spectrum):
        d = block_matrix(dict(reversed(spectrum.items())) if turned else spectrum)
        return conjugated(d, np.random.default_rng(0))

    below = matrix({F(-1): [2], -1 - TINY: [1]})
    assert odemom.minimal_eps(below).eigenvalue == -1 - TINY
    assert not odemom.minimal_eps(matrix({F(-1): [1], -1 - TINY: [1]})).attained
    scale = odemom.maximal_scale(below, "inf")
    assert (scale.value, scale.attained) == (1.0, True)
    assert scale.interval[0] <= 1 / (1 + TINY) <= scale.interval[1] < 1
    pair = matrix({-1 + TINY: [1], -1 + TINY / 10: [1]})
    low, high = odemom.minimal_eps(pair).interval
    assert odemom.is_representable(pair, high)
    assert not odemom.is_representable(pair, low)


@pytest.mark.parametrize(("near", "decides"), [(ROOT, AlgebraicNumber), (ROOT + F(1, 10**42), F)])
def test_an_irrational_eigenvalue_is_told_from_a_rational_one_beside_it(near, decides):
    d = [[F(0), F(2), F(0)], [F(1), F(0), F(0)], [F(0), F(0), -near]]
    assert isinstance(odemom.maximal_scale(d, "inf").eigenvalue, decides)


@pytest.mark.parametrize(
    ("digits", "rational"), [(20, True), (57, True), (300, True), (20, False), (57, False)]
)
def test_eigenvalues_next_to_minus_one_ask_for_an_eps_that_is_right(digits, rational):
    rest = F(1, 10**digits)
    d = [[-1 + rest]] if rational else [[-1 + 3 * rest, rest], [2 * rest, -1 + 3 * rest]]
    least = 1 if rational else 3 - math.sqrt(2)  # lambda_eps is -1 + 1/(2 eps) + O(1/eps²)
    found = odemom.minimal_eps(d)
    assert found.value == pytest.approx(10.0**digits / (2 * least), rel=1e-12)
    low, high = found.interval
    assert high - low <= 1e-15 * high
    assert odemom.is_representable(d, high)
    assert not odemom.is_representable(d, low)


@pytest.mark.parametrize("size", [1, 2])
def test_an_eps_beyond_the_doubles_is_infinite_in_doubles_alone(size):
    d = block_matrix({-1 + F(1, 10**400): [size]})
    found = odemom.minimal_eps(d)
    assert (found.value, found.attained) == (math.inf, True)
    assert 10**399 < found.interval[0] < found.interval[1] < 10**400
    assert odemom.is_representable(d, "inf")
    (larger,) = [route for route in odemom.routes(d, 1) if route.name == "larger eps"]
    assert (larger.reaches, larger.what) == (True, "eps = inf")


@pytest.mark.parametrize("exponent", [20, 400])
def test_tiny_eigenvalues_ask_for_a_tiny_eps(exponent):
    least = odemom.minimal_eps([[F(-1, 10**exponent)]])
    ratio = odemom.lambda_eps(least.interval[1], dps=20) * 10**exponent
    assert abs(ratio + 1) < 1e-12


@pytest.mark.parametrize(
    "eps",
    [
        0,
        F(1, 2),
        2,
        "inf",
        SecondOrder(3, horizon=2),
        MomentumResNet("1/2", 2),
        MomentumResNet("9/10", 4),
        MomentumResNet("9/10", 5),
        ResNet(2),
        ResNet(3),
    ],
)
@given(spectra, st.integers(0, 2**32 - 1))
@settings(max_examples=12)
def test_maximal_scale_is_the_supremum(eps, spectrum, seed):
    matrix = conjugated(block_matrix(spectrum), np.random.default_rng(seed))
    largest = odemom.maximal_scale(matrix, eps)
    if largest.value == math.inf:
        scales = [(F(1, 100), True), (F(100), True)]
    elif largest.value == 0:
        scales = [(F(1, 10**12), False), (F(1), False)]
    else:
        low, high = (Fraction(end) for end in largest.interval)
        margin = F(1, 10**12)
        scales = [(low * (1 - margin), True), (high * (1 + margin), False)]
        if low == high:
            scales.append((low, largest.attained))
    for scale, expected in scales:
        scaled = [[scale * x for x in row] for row in matrix]
        assert odemom.is_representable(scaled, eps) == expected


@given(spectra, st.fractions(F(1, 100), 100, max_denominator=1000))
@settings(max_examples=50)
def test_the_decision_the_least_eps_and_the_largest_scale_agree(spectrum, eps):
    matrix = block_matrix(spectrum)
    decided = odemom.is_representable(matrix, eps)
    low, high = odemom.minimal_eps(matrix).interval
    assert decided == (eps >= high)
    assert eps >= high or eps <= low
    low, high = odemom.maximal_scale(matrix, eps).interval
    assert decided == (low >= 1)
    assert low >= 1 or high < 1


@pytest.mark.parametrize(
    ("matrix", "flow", "value"),
    [
        ([[-1]], 0, 0.0),
        ([[0]], 0, 0.0),
        ([[2]], 0, math.inf),
        ([[-1]], SecondOrder(1, "field"), math.inf),
        ([[-1]], ResNet(3), math.inf),
        ([[0, 1], [0, 0]], ResNet(3), 0.0),
        ([[0]], ResNet(2), math.inf),
        ([[-1]], ResNet(2), 0.0),
        ([[-1]], MomentumResNet("9/10", 21), math.inf),
        ([[-1]], MomentumResNet("9/10", 20), 3.0338762726628263),
    ],
)
def test_scales_of_other_flows(matrix, flow, value):
    assert odemom.maximal_scale(matrix, flow).value == pytest.approx(value, rel=1e-14)


def test_floating_input_gives_an_interval_around_the_exact_answer():
    q, _ = np.linalg.qr(np.random.default_rng(0).standard_normal((3, 3)))
    matrix = q @ np.diag([-0.5, -0.25, 2.0]) @ q.T
    least = odemom.minimal_eps(matrix)
    exact = odemom.minimal_eps([[F(-1, 2)]])
    assert least.interval[0] <= exact.interval[1]
    assert exact.interval[0] <= least.interval[1]
    assert least.value == pytest.approx(exact.value, rel=1e-12)
    assert odemom.maximal_scale(matrix, 2).value == pytest.approx(
        -2 * odemom.lambda_eps(2), rel=1e-12
    )
    assert odemom.maximal_scale(np.zeros((2, 2)), 1).value == math.inf


@pytest.mark.parametrize("eps", [1e-4, 1e-5, 1e-10, 1e-100, 5e-324, "1e-4400"])
def test_scales_below_the_doubles_are_enclosed_and_printed(eps):
    # 4400 digits: more than the 4300 that Python turns into text
    matrix = [[-2, 1], [0, -2]]
    largest = odemom.maximal_scale(matrix, eps)
    low, high = largest.interval
    assert largest.value == 0
    assert 0 <= low < high < Fraction(1, 10**1000)
    if eps == 1e-4:  # lambda_eps to 60 digits
        sign, mantissa, exponent, _ = odemom.lambda_eps(eps, dps=60)._mpf_
        scale = Fraction(int(mantissa)) * Fraction(2) ** exponent / 2
        assert sign == 1
        assert low <= scale <= high
    assert "Extreme(value=0.0, attained=False, interval=(" in repr(largest)
    assert len(repr(largest)) < 150
    sentence = odemom.analyze(matrix, eps).explain()
    assert "lies below lambda_eps = -" in sentence
    assert "= -0 " not in sentence


def test_an_extreme_is_a_number():
    assert float(odemom.maximal_scale([[-2]], "inf")) == 0.5


# --- floats ------------------------------------------------------------------------------------

FLOWS = [0, 0.5, "inf", ResNet(2), ResNet(3), MomentumResNet("1/2", 4), SecondOrder(1, "field")]
MU = [-2.0, -1.0, -0.5, -0.5 - 2**-53, -0.9, 0.0, 0.5]


def floating_matrix(rng):
    """Diagonal, rotated, defective or near it, far from normal, or plain random."""
    d, kind = int(rng.integers(1, 5)), int(rng.integers(5))
    diagonal, q = np.diag(rng.choice(MU, d)), np.linalg.qr(rng.standard_normal((d, d)))[0]
    blocks = diagonal + np.diag(rng.choice([0.0, 1.0], d), 1)[:d, :d]
    return [
        diagonal,
        q @ diagonal @ q.T,
        blocks,
        q @ blocks @ q.T,
        diagonal + np.triu(rng.standard_normal((d, d)) * 10.0 ** rng.integers(6), 1),
    ][kind]


def encloses(outer, inner):
    (low, high), (least, most) = outer.interval, inner.interval
    return low <= least and most <= high and float(low) <= outer.value <= float(high)


@pytest.mark.parametrize("seed", range(40))
def test_the_interval_of_floats_encloses_the_value_of_every_matrix_so_close(seed):
    rng = np.random.default_rng(seed)
    matrix, flow = floating_matrix(rng), FLOWS[seed % len(FLOWS)]
    if not matrix.any():
        matrix[0, 0] = -1
    tol = 1e-15 * 10.0 ** rng.integers(8)
    least = odemom.minimal_eps(matrix, tol=tol)
    largest = odemom.maximal_scale(matrix, flow, tol=tol)
    norm = np.linalg.norm(matrix, 2)
    for size in (0.0, 0.5, 0.99):
        direction = rng.standard_normal(matrix.shape)
        nearby = matrix + size * tol * norm * direction / np.linalg.norm(direction, 2)
        for found, exact in (
            (least, odemom.minimal_eps(nearby, exact=True)),
            (largest, odemom.maximal_scale(nearby, flow, exact=True)),
        ):
            assert encloses(found, exact)
            assert found.status == "borderline" or found.attained == exact.attained


# Rounding makes a complex pair of the two ends between which matrices so close have the eigenvalue.
GRADED = [
    [27000, -69.4, 0.117, -0.705, -110, -0.873, -341],
    [51.5, -0.153, -0.000623, 0.0644, 19.3, -0.00236, 0.339],
    [-1.1e+03, 2.97, -0.00972, 0.269, 110, 0.0716, 9.64],
    [8.41e+03, 0.322, 0.0316, 3.47, -1.79e+03, 0.859, 130],
    [3.44e-05, -9.75e-07, 2.3e-09, 5.15e-08, -2.96e-06, 3.99e-09, 1.03e-06],
    [-248, 0.184, 2.02e-05, 0.0277, -6.87, 2.73e-05, 1.24],
    [-0.0203, 2.03e-05, 4.47e-09, -1.45e-06, 0.00176, -1.22e-07, -4.84e-05],
]  # fmt: skip


@pytest.mark.parametrize("side", [-0.9, 0.9])
def test_an_end_that_rounding_puts_off_the_real_line_is_enclosed_too(side):
    matrix = np.array(GRADED)
    found, own = odemom.maximal_scale(matrix, "inf"), odemom.spectrum(matrix)
    least = min(z.real for z in np.linalg.eigvals(matrix) if z.imag == 0)
    u, _, vt = np.linalg.svd(matrix - least * np.eye(7))
    change = side * own.tol * np.linalg.norm(matrix, 2) * np.outer(u[:, -1], vt[-1])
    assert encloses(found, odemom.maximal_scale(matrix + change, "inf", exact=True))


def test_two_floats_that_cannot_be_told_from_a_pair_are_borderline():
    matrix = np.diag([-0.5, -0.5 - 2**-53])
    least = odemom.minimal_eps(matrix)
    exact = odemom.minimal_eps(matrix, exact=True)
    assert (least.value, least.status, exact.status) == (0.0, "borderline", "certain")
    assert least.interval[0] == 0 < exact.value <= least.interval[1] < 0.7
    scale = odemom.maximal_scale(matrix, 0.5)
    assert scale.status == "borderline"
    assert encloses(scale, odemom.maximal_scale(matrix, 0.5, exact=True))


@pytest.mark.parametrize(
    ("matrix", "value", "status"),
    [
        ([[-0.5]], 0.6988099093086848, "certain"),
        ([[2.0, 1.0], [0.0, 3.0]], 0.0, "certain"),
        ([[-2.0]], math.inf, "certain"),
        ([[-1.0]], math.inf, "borderline"),
        ([[0.0, 1.0], [0.0, 0.0]], 0.0, "borderline"),
        ([[-0.5, 1.0], [0.0, -0.5]], 0.6988099093086848, "borderline"),
    ],
)
def test_the_status_of_the_least_eps(matrix, value, status):
    least = odemom.minimal_eps(np.array(matrix))
    assert least.value == pytest.approx(value, rel=1e-12)
    assert least.status == status
    if status == "certain" and 0 < value < math.inf:
        assert least.interval[1] - least.interval[0] < 1e-13


def test_extremes_of_an_irrational_eigenvalue_very_near_to_minus_1_are_printed():
    least = odemom.minimal_eps([[0, 1 - F(1, 10**5000)], [1, 0]])
    assert "eigenvalue=root of an integer polynomial of degree 2 near -1," in repr(least)
