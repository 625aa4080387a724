"""nearest_representable: representable, as near as it says, and nothing nearer where it says so."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import odemom
from odemom.flows import MomentumResNet, ResNet

LAMBDA = odemom.lambda_eps(0.5)


def normal_matrix(spectrum, seed):
    q, _ = np.linalg.qr(np.random.default_rng(seed).standard_normal((len(spectrum),) * 2))
    return q @ np.diag(spectrum) @ q.T


def least_distance(spectrum, threshold):
    """By hand, for normal matrices: the best of pairing the lowest 2 j and lifting the others."""
    mu = sorted(spectrum)
    costs = []
    for pairs in range(len(mu) // 2 + 1):
        meet = max((mu[2 * i + 1] - mu[2 * i] for i in range(pairs)), default=0.0) / 2
        left = threshold - mu[2 * pairs] if 2 * pairs < len(mu) else 0.0
        costs.append(max(meet, left, 0.0))
    return min(costs)


@given(
    st.lists(st.sampled_from([-5, -3, -2, -1.5, -1, -0.5, 0.5, 2]), min_size=1, max_size=6),
    st.integers(0, 2**32 - 1),
)
@settings(max_examples=25)
def test_for_normal_matrices_it_is_the_nearest(spectrum, seed):
    matrix = normal_matrix([float(mu) for mu in spectrum], seed)
    near = odemom.nearest_representable(matrix, 0.5)
    assert odemom.is_representable(near.matrix, 0.5)
    # the result lies 1e-9 ||D|| inside, along each of at most two moves of a block
    slack = 4e-9 * np.abs(spectrum).max()
    expected = least_distance([float(mu) for mu in spectrum], LAMBDA)
    assert near.distance == pytest.approx(expected, abs=slack)
    assert near.optimal


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("eps", [0, 0.1, 1, "inf"])
def test_for_any_matrix_it_is_representable_and_no_nearer_than_the_bound(seed, eps):
    matrix = np.random.default_rng(seed).standard_normal((5, 5))
    near = odemom.nearest_representable(matrix, eps)
    report = odemom.analyze(near.matrix, eps)
    assert (bool(report), report.status) == (True, "certain")
    assert near.lower_bound <= near.distance
    assert near.distance == np.linalg.norm(near.matrix - matrix, 2)
    for _ in range(20):  # nothing that is representable lies within the bound
        direction = np.random.default_rng(seed).standard_normal((5, 5))
        inside = matrix + 0.99 * near.lower_bound * direction / np.linalg.norm(direction, 2)
        assert near.distance == 0 or not odemom.is_representable(inside, eps)


@pytest.mark.parametrize(
    ("matrix", "flow", "distance"),
    [
        ([[-1, 1], [0, -1]], 0.5, 0.0),  # any complex pair nearby
        ([[2]], 0.5, 0.0),
        ([[-1]], 0, 1.0),  # the positive numbers are open: 1e-9 beyond 0
        ([[0, 1], [0, 0]], ResNet(3), 0.0),
        ([[-4]], MomentumResNet("9/10", 20), 4 - 3.0338762726628263),
        ([[-4]], MomentumResNet("9/10", 21), 0.0),
    ],
)
def test_cases_by_hand(matrix, flow, distance):
    near = odemom.nearest_representable(matrix, flow)
    assert odemom.is_representable(near.matrix, flow)
    assert near.distance == pytest.approx(distance, abs=1e-8)


@pytest.mark.parametrize("tol", [1e-12, 2e-9, 1e-6, 1e-4])
@pytest.mark.parametrize(
    ("matrix", "flow"), [([[-1.0, 0.5], [0, -1]], 0.5), ([[-2.0, 1], [0, -2]], "inf")]
)
def test_the_margin_exceeds_the_tolerance(matrix, flow, tol):
    near = odemom.nearest_representable(matrix, flow, tol=tol)
    assert odemom.is_representable(near.matrix, flow, tol=tol)
    assert near.distance <= 1.01 * max(4 * tol, 1e-9) * np.linalg.norm(matrix)


def test_a_tolerance_too_large_for_an_answer_is_refused():
    matrix = [[2, -3, -3, -2, 2], [-2, -3, 2, 2, 1], [0, -1, -3, -1, 2], [-1, -1, 1, -2, -1]]
    matrix = np.array([*matrix, [-2, -2, 0, 1, -1]], dtype=float)
    with pytest.raises(odemom.UndecidedError, match="smaller tol"):
        odemom.nearest_representable(matrix, ResNet(2), tol=0.9)


def rotated_block(mu, sizes, seed, shift=0.0):
    """Q (J + shift I) Q' with Jordan blocks of mu: what rounding makes of it is never defective."""
    d = sum(sizes)
    coupled = np.ones(d - 1)
    coupled[np.cumsum(sizes)[:-1] - 1] = 0
    q, _ = np.linalg.qr(np.random.default_rng(seed).standard_normal((d, d)))
    return q @ (mu * np.eye(d) + np.diag(coupled, 1)) @ q.T + shift * np.eye(d)


@pytest.mark.parametrize("flow", [0, 0.5, "inf", ResNet(2), MomentumResNet("1/2", 4)])
@pytest.mark.parametrize("sizes", [[2], [2, 2], [4], [2, 1, 1], [3], [3, 2]])
@pytest.mark.parametrize("seed", range(3))
def test_defective_matrices_have_a_certain_neighbour(sizes, flow, seed):
    matrix = rotated_block(-2.0, sizes, seed)
    near = odemom.nearest_representable(matrix, flow)
    report = odemom.analyze(near.matrix, flow)
    assert (bool(report), report.status) == (True, "certain")
    assert near.lower_bound <= near.distance
    if sum(sizes) % 2 == 0:  # all become complex pairs: the infimum is 0
        assert near.distance < 1e-5
        assert near.optimal


@pytest.mark.parametrize("scale", [1.0, 1e-100, 1e250])
@pytest.mark.parametrize("seed", range(3))
def test_two_odd_blocks_become_complex_by_a_small_change(seed, scale):
    """Not by taking -2 and -2 of the Schur form up to 0, which is 2 away."""
    near = odemom.nearest_representable(scale * rotated_block(-2.0, [3, 1], seed), 0)
    assert near.distance < 0.02 * scale
    assert odemom.analyze(near.matrix, 0).status == "certain"


@pytest.mark.parametrize(
    ("matrix", "flow"),
    [
        ([[-2, -2], [2, 2]], 0),
        ([[-4, -3], [3, 2]], 0.5),
        (-np.eye(2), 0.5),
        ([[-1.0]], "inf"),
        ([[0.0, 1.0], [0.0, 0.0]], ResNet(3)),
        (rotated_block(-1.0, [2], 0, shift=1.0), 0),
    ],
)
def test_on_the_edge_it_is_moved_inside_for_certain(matrix, flow):
    near = odemom.nearest_representable(matrix, flow)
    assert odemom.analyze(near.matrix, flow).status == "certain"
    assert 0 < near.distance < 1e-8


@pytest.mark.parametrize(
    ("matrix", "flow"),
    [
        ([[-1]], "inf"),
        ([[-1, 0], [0, -1]], Fraction(1, 2)),
        ([[Fraction(-2, 3), 0], [0, Fraction(-2, 3)]], 0),  # rounded, they are still a pair
        (odemom.spectrum([[-2, 0], [0, -2]]), 0),
        ([[0, 0], [0, 0]], ResNet(3)),
    ],
)
def test_an_exact_yes_on_the_edge_is_its_own_nearest(matrix, flow):
    assert odemom.analyze(matrix, flow)
    near = odemom.nearest_representable(matrix, flow)
    assert (near.distance, near.lower_bound, near.optimal) == (0.0, 0.0, True)
    assert odemom.is_representable(near.matrix, flow, exact=True)
    assert odemom.routes(matrix, flow)["nearest map"].distance == 0


def test_an_exact_yes_that_rounding_makes_a_no_is_moved_inside():
    """-1/3 comes twice, in one block each, but not in the doubles."""
    thirds = [[-9, 8, 0], [-12, 11, 0], [-4, 4, -1]]
    matrix = [[Fraction(x, 3) for x in row] for row in thirds]
    assert odemom.analyze(matrix, 0)
    assert not odemom.is_representable(np.array(matrix, dtype=float), 0, exact=True)
    near = odemom.nearest_representable(matrix, 0)
    assert 0 < near.distance < 1e-7
    assert odemom.is_representable(near.matrix, 0, exact=True)


def test_an_odd_spectrum_needs_a_lift():
    near = odemom.nearest_representable(-np.eye(3), 0.5)
    assert near.distance == pytest.approx(1 + LAMBDA, abs=1e-8)
    assert near.optimal


@pytest.mark.parametrize("bad", [[[1, 2]], [[float("nan")]], np.zeros((2, 2, 2)), [["one"]]])
def test_bad_input_is_refused(bad):
    with pytest.raises(odemom.InvalidInputError):
        odemom.nearest_representable(bad, 0.5)


@pytest.mark.parametrize(("size", "count", "farthest"), [(2, 20, 1e-7), (5, 4, 4.0), (40, 1, 1e-7)])
def test_many_defective_eigenvalues_are_moved_together(size, count, farthest):
    """One move after the other reached no certain matrix; for d = 100 that took a minute."""
    values = -2 - 0.3 * np.arange(count) * (size == 5)
    blocks = np.kron(np.diag(values), np.eye(size)) + np.kron(np.eye(count), np.eye(size, k=1))
    d = size * count
    q = np.linalg.qr(np.random.default_rng(d).standard_normal((d, d)))[0]
    near = odemom.nearest_representable(q @ blocks @ q.T, 0.5)
    assert near.distance <= farthest
    report = odemom.analyze(near.matrix, 0.5)
    assert report.representable
    assert report.status == "certain"


def test_an_entry_near_the_end_of_the_doubles_is_refused_without_an_option_that_is_not_there():
    message = r"entries up to 1e\+305 in floating point\. Scale D\."
    with pytest.raises(odemom.InvalidInputError, match=message):
        odemom.nearest_representable([[-1e306]], 1)
