"""odemom.represent: psi(theta) = D, checked in mpmath, in exact cases, and as a theorem."""

import itertools
import json
import math
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import odemom
from odemom.flows import FirstOrder, MomentumResNet, ResNet, SecondOrder, Undamped, preimages
from tests.oracles import (
    UNIT,
    companion,
    conjugated,
    direct_sum,
    floats,
    jordan_block,
    rotation_block,
)
from tests.representability.witnesses import FLOWS, true_residual, verified_witness

DECISIONS = json.loads((Path(__file__).parents[1] / "data" / "vectors.json").read_text())[
    "decisions"
]

EXACT_CASES = {
    "-I_2": [[-1, 0], [0, -1]],
    "diag(-2, -2, 3)": [[-2, 0, 0], [0, -2, 0], [0, 0, 3]],
    "J_2(-2) + J_2(-2)": direct_sum(jordan_block(-2, 2), jordan_block(-2, 2)),
    "0_3": [[0] * 3] * 3,
    "J_3(0)": jordan_block(0, 3),
}


@pytest.mark.parametrize("eps", ["1/10", "1/2", 2, "inf"])
@pytest.mark.parametrize("name", EXACT_CASES)
@pytest.mark.parametrize("as_floats", [False, True])
def test_the_cases_of_the_theorem(name, eps, as_floats):
    rows = EXACT_CASES[name]
    flow = Undamped() if eps == "inf" else SecondOrder(eps)
    witness = verified_witness(floats(rows) if as_floats else rows, flow)
    assert witness.report.exact == (not as_floats or name == "0_3")


def test_minus_one_twice_undamped_is_a_critical_point_and_below_it_a_rotation():
    # cosh sqrt z = -1 at z = -pi², where psi' = 0: theta = -pi² I, by K = 0
    assert np.allclose(odemom.represent([[-1, 0], [0, -1]], "inf"), -(math.pi**2) * np.eye(2))
    # by exp, -1 = exp(+- i pi): theta = [[0, -pi], [pi, 0]], which is no polynomial in -I
    theta = odemom.represent([[-1, 0], [0, -1]], 0)
    assert np.allclose(theta, [[0, -math.pi], [math.pi, 0]])


def test_blocks_at_a_critical_value_come_from_one_longer_block():
    # J_2(-1) + J_1(-1) = psi(J_3(-pi²)), up to similarity
    rows = direct_sum(jordan_block(-1, 2), jordan_block(-1, 1))
    theta = verified_witness(rows, Undamped()).theta
    nilpotent = theta + math.pi**2 * np.eye(3)
    assert np.linalg.norm(np.linalg.matrix_power(nilpotent, 2)) > 1
    assert np.linalg.norm(np.linalg.matrix_power(nilpotent, 3)) < 1e-10
    # (1 + z)^3 at z = -1: the blocks 2, 1, 1 of 0 come from J_4(-1)
    rows = direct_sum(jordan_block(0, 2), jordan_block(0, 1), jordan_block(0, 1))
    nilpotent = verified_witness(rows, ResNet(3)).theta + np.eye(4)
    assert np.linalg.matrix_rank(nilpotent) == 3


def test_the_real_branch_is_taken_above_the_threshold():
    theta = odemom.represent(np.diag([2.0, 0.5, -0.3]), 0.5)
    assert np.allclose(theta, np.diag(np.diag(theta)))
    assert np.allclose(np.diag(SecondOrder(0.5).scalar(np.diag(theta))), np.diag([2, 0.5, -0.3]))
    assert np.allclose(
        odemom.represent([[2.0, 1.0], [0.0, 3.0]], 0),
        [[math.log(2), math.log(1.5)], [0, math.log(3)]],
    )


@pytest.mark.parametrize("case", DECISIONS, ids=lambda c: f"d{len(c['D'])}-eps{c['eps']}")
def test_stored_decisions_have_a_witness_when_they_are_positive(case):
    rows = [[Fraction(x) for x in row] for row in case["D"]]
    flow = odemom.analyze(rows, case["eps"]).flow
    if case["representable"]:
        verified_witness(rows, flow)
    else:
        with pytest.raises(odemom.NotRepresentableError) as refused:
            odemom.represent(rows, flow)
        assert refused.value.report.obstructions


# --- known Jordan structure --------------------------------------------------------------------

EIGENVALUES = [-3, -2, -1, 0, 1, 2, Fraction(1, 2), Fraction(-1, 2)]


def random_structure(rng, largest):
    """A block diagonal matrix with rational, quadratic and complex eigenvalues in Jordan blocks."""
    blocks, d, target = [], 0, int(rng.integers(1, largest + 1))
    while d < target:
        left, kind = target - d, rng.random()
        if kind < 0.25 and left >= 2:
            k = int(rng.integers(1, max(1, min(2, left // 2)) + 1))
            blocks.append(rotation_block(int(rng.integers(-3, 4)), int(rng.integers(1, 4)), k))
        elif kind < 0.35 and left >= 2:
            blocks.append(
                companion(
                    [int(rng.integers(1, 5)) * int(rng.choice([-1, 1])), int(rng.integers(-3, 4))]
                )
            )
        else:
            mu = EIGENVALUES[int(rng.integers(len(EIGENVALUES)))]
            k = min(left, int(rng.choice([1, 1, 2, 3])))
            copies = min(int(rng.integers(1, 3)), left // k)
            blocks += [jordan_block(mu, k)] * copies
        d = sum(len(b) for b in blocks)
    return direct_sum(*blocks)


@settings(max_examples=30)
@given(st.integers(0, 2**32 - 1), st.sampled_from(FLOWS))
def test_represent_succeeds_exactly_when_the_matrix_is_representable(seed, flow):
    rng = np.random.default_rng(seed)
    rows = conjugated(random_structure(rng, 8), rng, steps=8)
    if odemom.is_representable(rows, flow):
        verified_witness(rows, flow)
    else:
        with pytest.raises(odemom.NotRepresentableError):
            odemom.represent(rows, flow)


@settings(max_examples=40)
@given(st.integers(0, 2**32 - 1), st.sampled_from(FLOWS))
def test_the_same_of_floats(seed, flow):
    rng = np.random.default_rng(seed)
    d = int(rng.integers(1, 9))
    matrix = rng.standard_normal((d, d))
    if rng.random() < 0.5:
        matrix = np.round(2 * matrix) / 2
    if odemom.is_representable(matrix, flow):
        witness = odemom.represent(matrix, flow, full_output=True)
        rounding = 30 * UNIT * max(1, witness.condition)
        # a borderline verdict is that of a matrix within the tolerance
        nearest = 0 if witness.report.status == "certain" else 100 * 8 * d * UNIT
        assert true_residual(witness.theta, matrix.tolist(), flow) <= rounding + nearest
    else:
        with pytest.raises(odemom.NotRepresentableError):
            odemom.represent(matrix, flow)


@settings(max_examples=15)
@given(st.integers(0, 2**32 - 1))
def test_blocks_of_conjugate_roots_share_their_chains(seed):
    # (x² - 2)² or (x² - 8)²: both roots, one below the threshold, in blocks of size 1 or 2
    rng = np.random.default_rng(seed)
    square = int(rng.choice([2, 8]))
    block = companion([-square, 0])
    if rng.random() < 0.5:
        base = direct_sum(block, block)
    else:
        base = direct_sum(block, block, block, block)
        for i in range(2):
            base[i][2 + i] = base[4 + i][6 + i] = Fraction(1)
    rows = conjugated(base, rng, steps=6)
    sizes = set(odemom.jordan_structure(rows).values())
    assert sizes == ({(1, 1)} if len(rows) == 4 else {(2, 2)})
    verified_witness(rows, SecondOrder("1/2"))
    verified_witness(rows, FirstOrder())


# --- floating point ----------------------------------------------------------------------------


def well_conditioned(rng, d, threshold, condition, pairs):
    """V L V^-1 with cond(V) as given, real eigenvalues above the threshold, pairs below it."""
    u, v = (np.linalg.qr(rng.standard_normal((d, d)))[0] for _ in range(2))
    basis = u * np.logspace(0, math.log10(condition), d) @ v
    spectrum = np.zeros((d, d))
    i = 0
    while i < d:
        kind = rng.random()
        if kind < 0.4 and i + 1 < d:
            a, b = rng.uniform(-3, 3), rng.uniform(0.05, 2)
            spectrum[i : i + 2, i : i + 2] = [[a, -b], [b, a]]
            i += 2
        elif kind < 0.5 and i + 1 < d and pairs:
            spectrum[i, i] = spectrum[i + 1, i + 1] = threshold - rng.uniform(0.1, 2)
            i += 2
        else:
            spectrum[i, i] = threshold + 0.01 + rng.exponential()
            i += 1
    return basis @ spectrum @ np.linalg.inv(basis)


@pytest.mark.parametrize(
    "flow", [SecondOrder("1/10"), SecondOrder("1/2"), SecondOrder(2), Undamped()], ids=str
)
@pytest.mark.parametrize(
    ("d", "condition", "pairs"),
    [
        *itertools.product([3, 12], [10, 1e3], [False, True]),
        (40, 1e3, True),
        (100, 1e3, False),
        *(
            pytest.param(*case, marks=pytest.mark.slow)
            for case in itertools.product([40, 100], [10, 1e3], [False, True])
            if case not in ((40, 1e3, True), (100, 1e3, False))
        ),
    ],
)
def test_random_matrices_are_represented_to_ten_digits(flow, d, condition, pairs):
    rng = np.random.default_rng([d, int(condition), pairs])
    matrix = well_conditioned(rng, d, flow.real_image.threshold.value, condition, pairs)
    # rounding splits the pairs; the tolerance is what lets them count as such
    witness = odemom.represent(matrix, flow, tol=1e-10, full_output=True)
    assert witness.residual <= 1e-10
    if d <= 12:
        assert true_residual(witness.theta, matrix.tolist(), flow) <= 1e-10


@pytest.mark.parametrize("flow", FLOWS, ids=str)
@pytest.mark.parametrize("gap", [1e-3, 1e-6, 1e-9, 1e-13])
def test_clustered_and_nearly_defective_spectra(flow, gap):
    # eigenvalues 2, 2 + gap, 2 - gap in one Jordan-like block, and a complex pair near it
    matrix = np.diag([2.0, 2 + gap, 2 - gap, 2.0, 2.0]) + np.diag([1.0, 1, 0, gap], 1)
    matrix[4, 3] = -gap
    rotation = np.linalg.qr(np.random.default_rng(0).standard_normal((5, 5)))[0]
    witness = odemom.represent(rotation @ matrix @ rotation.T, flow, full_output=True)
    assert witness.residual <= 1e-13 * max(1, witness.condition)


@pytest.mark.parametrize("size", [4, 8])
def test_a_large_regular_block_is_no_cluster_of_simple_eigenvalues(size):
    rotation = np.linalg.qr(np.random.default_rng(1).standard_normal((size, size)))[0]
    matrix = rotation @ floats(jordan_block(2, size)) @ rotation.T
    witness = odemom.represent(matrix, 0.5, full_output=True)
    assert witness.residual <= 1e-12


def test_an_eigenvalue_at_the_threshold_in_floating_point():
    edge = odemom.lambda_eps(0.5)
    theta = odemom.represent(np.diag([edge, 1.0]), 0.5)
    # psi' = 0 there, so that rounding theta costs nothing
    assert np.allclose(odemom.psi(theta, 0.5), np.diag([edge, 1.0]), atol=1e-15)


def test_a_large_matrix_with_few_special_eigenvalues_goes_both_ways():
    # 40 > the dimension up to which all of an exact matrix is treated in balls
    rng = np.random.default_rng(3)
    parts = [rotation_block(int(a), 1, 1) for a in rng.integers(-3, 4, 17)]
    rows = direct_sum(jordan_block(-2, 2), jordan_block(-2, 2), jordan_block(3, 2), *parts)
    rows = conjugated(rows, rng, steps=12)
    for flow in (SecondOrder("1/2"), Undamped(), MomentumResNet("1/2", 2)):
        witness = odemom.represent(rows, flow, full_output=True)
        assert witness.residual <= 1e-13 * max(1, witness.condition)


def test_tiny_masses_and_singular_matrices():
    for eps in (1e-300, 1e-12, 1e-6, 1e-3):
        theta = odemom.represent([[0, 0], [0, 0]], eps)
        assert (
            np.array_equal(odemom.psi(theta, eps), np.zeros((2, 2)))
            or np.abs(odemom.psi(theta, eps)).max() < 1e-150
        )


@pytest.mark.parametrize(
    "flow", [FirstOrder(), SecondOrder("1/2"), SecondOrder(1, "field"), MomentumResNet("9/10", 6)]
)
@pytest.mark.parametrize("number", [int, float])
def test_the_witness_of_the_identity_is_zero(flow, number):
    identity = [[number(i == j) for j in range(3)] for i in range(3)]
    assert not odemom.represent(identity, flow).any()


@pytest.mark.parametrize("noise", [0, 1e-12, 1e-9])
@pytest.mark.parametrize("frequency", [1e-3, 0.03, 1.0])
@pytest.mark.parametrize(
    "flow", [FirstOrder(3), SecondOrder("1/2"), ResNet(4), MomentumResNet("1/2", 4)]
)
def test_defective_pairs_on_both_sides_of_a_branch_cut(flow, frequency, noise):
    rotation = np.array([[-3, frequency], [-frequency, -3]])
    d = np.block([[rotation, np.eye(2)], [np.zeros((2, 2)), rotation]])
    d = d + noise * np.random.default_rng(1).standard_normal((4, 4))
    assert odemom.represent(d, flow, full_output=True).residual < 1e-14


@pytest.mark.parametrize("depth", [3, 5, 8])
def test_conjugates_that_rounding_puts_on_both_sides_of_the_imaginary_axis(depth):
    # eigenvalues ±i, two Jordan blocks of size 2 each, in a basis of condition 1e3
    rng = np.random.default_rng(2)
    rotation, still = np.array([[0, 1], [-1, 0]]), np.zeros((2, 2))
    block = np.block([[rotation, np.eye(2)], [still, rotation]])
    for _ in range(3):
        basis = np.triu(rng.integers(-2, 3, (8, 8)), 1) + np.eye(8)
        d = basis @ np.kron(np.eye(2), block) @ np.linalg.inv(basis)
        witness = odemom.represent(d, ResNet(depth), full_output=True)
        assert witness.residual < 1e-14 * max(1, witness.condition)


def test_the_residual_of_a_merged_spectrum_is_of_the_order_of_the_tolerance():
    noise = np.random.default_rng(0).standard_normal((2, 2))
    d = -np.eye(2) + 1e-4 * noise
    witness = odemom.represent(d, 0.5, tol=1e-3, full_output=True)
    assert witness.report.status == "borderline"
    assert 1e-6 < witness.residual < 1e-3


# --- what is refused ---------------------------------------------------------------------------


def test_what_doubles_cannot_hold_is_an_error_with_the_witness():
    # x'(0) = theta x0 takes -1e13 only where psi oscillates with that amplitude
    with pytest.raises(odemom.IllConditionedError, match="misses D by") as caught:
        odemom.represent([[-1e13]], SecondOrder(1, "field"))
    assert caught.value.witness is not None
    assert caught.value.witness.residual > 1e-6
    # psi' ~ exp(-500) at the zero of psi: theta's corner is the inverse of that, and more
    with pytest.raises((odemom.IllConditionedError, odemom.ResultOverflowError)):
        odemom.represent(jordan_block(0, 3), "1/1000")


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ({"full_output": 1}, "full_output"),
        ({"tol": 2.0}, "tol"),
        ({"exact": "yes"}, "exact"),
    ],
)
def test_bad_arguments_are_refused_by_name(keywords, message):
    with pytest.raises(odemom.InvalidInputError, match=message):
        odemom.represent(np.eye(2), 1, **keywords)


@pytest.mark.parametrize(
    "matrix", [np.eye(2)[None], np.ones((2, 3)), [[math.nan]], [[1j]], [], [[10**400]]]
)
def test_bad_matrices_are_refused(matrix):
    with pytest.raises(odemom.InvalidInputError):
        odemom.represent(matrix, 1)


def test_a_witness_as_plain_data():
    witness = odemom.represent([[0, -1], [1, 0]], 0, full_output=True)
    data = json.loads(json.dumps(witness.to_dict()))
    assert np.allclose(data["theta"], [[0, -math.pi / 2], [math.pi / 2, 0]])
    assert data["report"]["representable"] is True
    assert data["condition"] == pytest.approx(math.pi / 2, rel=1e-12)  # ||theta||, theta normal


@pytest.fixture
def few_steps(monkeypatch):
    """The continuation gives up after 500 steps instead of 50,000, ten seconds later."""
    monkeypatch.setattr(preimages, "LARGEST_COUNT", 500)


@pytest.mark.parametrize(
    "flow", [SecondOrder(1e-5, "field"), SecondOrder(0.5, "field", 1e300), SecondOrder(1e308)]
)
@pytest.mark.parametrize("number", [int, float])
def test_parameters_out_of_reach_are_an_error_of_ours(flow, number, few_steps):
    d = [[number(-1), number(0)], [number(0), number(-1)]]
    with pytest.raises((odemom.UndecidedError, odemom.ResultOverflowError)):
        odemom.represent(d, flow)


def test_a_pair_at_any_distance_below_the_threshold_has_a_witness(few_steps):
    """lambda_eps + 1 is about 1e-100 there."""
    theta = odemom.represent([[-1, 0], [0, -1]], 1e100)
    # theta/eps is that of the undamped flow
    assert np.allclose(theta / 1e100, -(math.pi**2) * np.eye(2))
