"""Extra coordinates and constant pieces: counts against brute force, witnesses against mpmath."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import mpmath
import numpy as np
import pytest

import odemom
from odemom.flows import Coasting, FirstOrder, MomentumResNet, ResNet, SecondOrder, Undamped
from tests.oracles import (
    block_matrix,
    conjugated,
    direct_sum,
    floats,
    kind_by_layers,
    kind_of,
    producible,
    rotation_block,
)
from tests.representability.witnesses import psi_by_reference, real

F = Fraction
FLOWS = [
    FirstOrder(),
    SecondOrder(F(1, 4)),
    SecondOrder(2),
    SecondOrder(1, "field"),
    Undamped(),
    ResNet(2),
    ResNet(3),
    ResNet(4),
    MomentumResNet("1/2", 2),
    MomentumResNet("1/2", 3),
    MomentumResNet("9/10", 4),
]
NUMBERS = [F(-3), F(-1), F(-9, 16), F(-1, 5), F(0), F(0), F(2)]


def taken(mu, flow):
    """How the flow takes mu: kind and order, by the oracles."""
    if isinstance(flow, ResNet):
        return kind_by_layers(mu, F(0), flow.depth)
    if isinstance(flow, MomentumResNet):
        return kind_by_layers(mu, F(flow.gamma), flow.depth)
    return kind_of(mu, flow.unit_eps, bool(flow.field)), 2


def interlaced(sizes: list[int], p: int) -> Iterator[list[int]]:
    """All t with s_{k+p} <= t_k <= s_{k-p}, the first p of them up to one more than s_1."""
    s = sorted(sizes, reverse=True)

    def grow(t: list[int]) -> Iterator[list[int]]:
        k = len(t)
        if k == len(s) + p:
            yield [x for x in t if x]
            return
        low = s[k + p] if k + p < len(s) else 0
        high = s[0] + 1 if k < p else (s[k - p] if k - p < len(s) else 0)
        for x in range(low, min([high, *t[-1:]]) + 1):
            yield from grow([*t, x])

    yield from grow([])


def brute_force(spectrum, pairs, flow):
    """The least p: over all sizes that interlace, are produced, and whose degrees fit."""
    d = sum(map(sum, spectrum.values())) + 2 * sum(pairs)
    for p in itertools.count():
        total = 2 * sum(sorted(pairs, reverse=True)[p:])
        for mu, sizes in spectrum.items():
            kind, order = taken(mu, flow)
            fit = [sum(t) for t in interlaced(sizes, p) if producible(kind, t, order)]
            total += min(fit, default=math.inf)
        if total <= d + p:
            return p
    raise AssertionError


def random_case(rng):
    """A spectrum of rational numbers with block sizes, and sizes of blocks of 1 +- 2i."""
    spectrum: dict[Fraction, list[int]] = {}
    for _ in range(int(rng.integers(1, 4))):
        mu = NUMBERS[rng.integers(len(NUMBERS))]
        count = int(rng.integers(1, 4))
        spectrum[mu] = rng.integers(1, 4, count).tolist()
    while sum(map(sum, spectrum.values())) > 9:
        spectrum.pop(next(iter(spectrum)))
    if not spectrum:
        spectrum = {F(-3): [2, 1]}
    pairs = [1] * int(rng.integers(0, 2))
    rows = direct_sum(block_matrix(spectrum), *(rotation_block(1, 2, k) for k in pairs))
    return spectrum, pairs, conjugated(rows, rng)


def missed_in_mpmath(found, rows, flow):
    """||leading block of psi(theta) - D||/||D||, theta and D taken exactly."""
    with mpmath.workdps(40):
        d = mpmath.matrix([[real(Fraction(x)) for x in row] for row in rows])
        block = psi_by_reference(found.theta, flow)[: len(rows), : len(rows)]
        return float(mpmath.norm(block - d, 2) / (mpmath.norm(d, 2) or 1))


def sweep(count, seed, witnesses):
    """Counts of decisions, witnesses, witnesses above 1e-9, and the largest residual."""
    rng = np.random.default_rng(seed)
    decided, held, above, worst = 0, 0, 0, 0.0
    for i in range(count):
        spectrum, pairs, rows = random_case(rng)
        found = odemom.spectrum(rows)
        flows = FLOWS if count > 100 else FLOWS[i % 3 :: 3]
        for flow in flows:
            p = odemom.augmentation(found, flow)
            assert p == brute_force(spectrum, pairs, flow), (spectrum, pairs, flow)
            assert odemom.pieces(found, flow) == pieces_by_rule(spectrum, pairs, flow)
            decided += 1
        if i % witnesses == 0:
            flow = FLOWS[(i // witnesses) % len(FLOWS)]
            full = held_or_ill_conditioned(found, flow)
            missed = full.residual
            if len(full.theta) <= 8:
                missed = missed_in_mpmath(full, rows, flow)
            held, worst = held + 1, max(worst, missed)
            above += missed > 1e-9
            assert missed <= max(1e-9, 1e-12 * full.condition), (spectrum, flow, missed)
    return decided, held, above, worst


def held_or_ill_conditioned(found, flow) -> Any:
    """The witness, though doubles may not hold it."""
    try:
        return odemom.augmentation(found, flow, full_output=True)
    except odemom.IllConditionedError as error:
        found = error.witness
    assert found is not None
    return found


def pieces_by_rule(spectrum, pairs, flow):
    """1 where D is representable, else 2, but for the first-order flow with det D <= 0."""
    if all(producible(taken(mu, flow)[0], s, taken(mu, flow)[1]) for mu, s in spectrum.items()):
        return 1
    if isinstance(flow, FirstOrder):
        determinant = math.prod(mu ** sum(sizes) for mu, sizes in spectrum.items())
        return 2 if determinant > 0 else None
    return 2


def test_counts_equal_brute_force_and_witnesses_hold():
    decided, held, *_ = sweep(24, 0, 3)
    assert (decided, held) >= (80, 8)


@pytest.mark.slow
def test_a_thousand_matrices_and_all_flows():
    decided, held, above, worst = sweep(1000, 1, 5)
    print(f"{decided} decisions, {held} witnesses, {above} above 1e-9, worst residual {worst:.2g}")
    assert decided == 11_000


@pytest.mark.parametrize(
    ("spectrum", "flow", "count"),
    [
        ({F(-1): [1]}, FirstOrder(), 1),
        ({F(0): [2, 1, 1]}, FirstOrder(), 3),
        ({F(0): [2, 1], F(-2): [3, 1]}, FirstOrder(), 2),
        ({F(-1): [2, 1, 1]}, SecondOrder(F(1, 2)), 1),
        ({F(-3): [3, 2, 2, 1]}, SecondOrder(F(1, 2)), 1),
        ({F(-1): [3, 1]}, Undamped(), 1),
        ({F(0): [2, 2, 2]}, ResNet(4), 1),  # becomes 2, 2, 1, 1
        ({F(0): [2, 2], F(4): [2, 2, 1]}, ResNet(5), 2),
        ({F(-5): [1]}, MomentumResNet("1/2", 2), 1),
    ],
)
@pytest.mark.parametrize("exact", [True, False])
def test_witnesses_of_derogatory_cases(spectrum, flow, count, exact):
    rows = conjugated(block_matrix(spectrum), np.random.default_rng(2), 4)
    assert brute_force(spectrum, [], flow) == count
    found = odemom.augmentation(rows if exact else floats(rows), flow, full_output=True)
    assert found.count == count
    d = len(rows)
    assert found.theta.shape == found.matrix.shape == (d + count, d + count)
    np.testing.assert_allclose(found.matrix[:d, :d], floats(rows), atol=1e-9)
    if exact:
        assert missed_in_mpmath(found, rows, flow) <= max(1e-9, 1e-14 * found.condition)
    assert found.residual <= max(1e-9, 1e-14 * found.condition)


@pytest.mark.parametrize(
    ("spectrum", "count"),
    [({F(0): [5, 5, 5]}, 2), ({F(0): [5, 5, 5], F(3): [3]}, 1)],
    ids=["the degrees do not suffice for one", "those of another eigenvalue do"],
)
def test_larger_blocks_take_degrees(spectrum, count):
    """To 18 degrees at 0 of at most d + p; a theta with a nilpotent block of 18 is no double's."""
    rows = conjugated(block_matrix(spectrum), np.random.default_rng(2), 4)
    assert odemom.augmentation(rows, ResNet(4)) == brute_force(spectrum, [], ResNet(4)) == count
    found = held_or_ill_conditioned(odemom.spectrum(rows), ResNet(4))
    assert found.residual <= 1e-13 * found.condition


GIVERS = [
    ({F(0): [4, 4], F(3): [1]}, [], ResNet(3), 1),
    ({F(0): [4, 4], F(3): [2]}, [], ResNet(3), 1),
    ({F(0): [4, 4]}, [1], ResNet(3), 1),
    ({F(0): [4, 4]}, [2], ResNet(3), 1),
    ({F(0): [4, 4]}, [], ResNet(3), 2),
    ({F(0): [4, 4, 3], F(-3): [1, 1]}, [], ResNet(4), 2),  # those come in pairs, and must
    ({F(0): [4, 4, 3], F(-3): [1, 1], F(3): [1]}, [], ResNet(4), 1),
    ({F(0): [4, 4, 3], F(-3): [1, 1]}, [1], ResNet(4), 1),
]


@pytest.mark.parametrize(("spectrum", "pairs", "flow", "count"), GIVERS, ids=str)
@pytest.mark.parametrize("exact", [True, False])
def test_degrees_of_other_eigenvalues_are_in_the_witness(spectrum, pairs, flow, count, exact):
    rows = direct_sum(block_matrix(spectrum), *(rotation_block(1, 2, k) for k in pairs))
    assert brute_force(spectrum, pairs, flow) == count
    if exact:
        matrix = conjugated(rows, np.random.default_rng(3), 3)
    else:
        q = np.linalg.qr(np.random.default_rng(3).standard_normal((len(rows), len(rows))))[0]
        matrix = q @ floats(rows) @ q.T
    found = held_or_ill_conditioned(odemom.spectrum(matrix), flow)
    assert found.count == count
    assert found.residual <= 1e-13 * max(1, found.condition)
    assert exact or found.residual <= 1e-9


@pytest.mark.parametrize("other", [[[0, 2], [1, 0]], [[0, -1], [1, 0]]], ids=["sqrt 2", "i"])
def test_other_eigenvalues_keep_their_blocks_while_those_at_0_grow(other):
    """To drop them at the first border and make them again at the second cost ten digits."""
    rows = direct_sum(block_matrix({F(0): [2, 2, 2, 1], F(-3): [2, 2]}), other, other)
    found = odemom.augmentation(rows, ResNet(6), full_output=True)
    assert found.count == 2
    assert found.condition < 50
    assert found.residual <= 1e-14


@pytest.mark.parametrize("eps", [0.3, 0.5, 0.7])  # as a double lambda_eps is above, above, below
def test_floating_blocks_at_the_threshold_are_at_it_in_the_witness(eps):
    mu = odemom.lambda_eps(eps)
    found = odemom.augmentation([[mu, 1.0], [0.0, mu]], eps, full_output=True)
    assert found.count == 1
    assert found.residual <= 1e-14


def test_structure_that_rounding_hides_at_the_tolerance_is_found_at_a_wider_one():
    """Turned nilpotent blocks have five eigenvalues of size 1e-8, or one 0: as rounding has it.

    Cube roots of five are far apart for what rounding leaves of their eigenvectors.
    """
    blocks, net = floats(block_matrix({F(0): [2, 2, 1]})), ResNet(3)
    for seed in range(20):
        q = np.linalg.qr(np.random.default_rng(seed).standard_normal((5, 5)))[0]
        matrix = q @ blocks @ q.T
        if odemom.is_representable(matrix, net):
            for find in (odemom.represent, odemom.pieces, odemom.augmentation):
                assert find(matrix, net, full_output=True).residual <= 1e-10, seed


def test_irrational_eigenvalues_are_bordered_together():
    found = odemom.augmentation([[0, 2], [1, 0]], 0, full_output=True)  # +- sqrt 2
    assert found.count == 1
    assert found.residual <= 1e-13


@pytest.mark.parametrize("eps", [F(1, 20), F(1, 2), 5, math.inf, 0])
def test_two_pieces_reach_their_matrix(eps):
    rng = np.random.default_rng(5)
    for d in (1, 3):
        matrix = rng.standard_normal((d, d))
        matrix[0] *= 1 if eps else np.sign(np.linalg.det(matrix))
        matrix -= 0 if eps == 0 else 2 * np.eye(d)
        found = odemom.pieces(matrix, eps, full_output=True)
        assert found.count is not None
        assert found.residual <= 1e-9
        np.testing.assert_allclose(composed(found, eps), matrix, atol=1e-8 * np.abs(matrix).max())


def composed(found, eps):
    """The map of the pieces, by exponentials of companion matrices."""
    import scipy.linalg

    d = len(found.thetas[0])
    if eps == 0:
        total = np.eye(d)
        for theta, time in zip(found.thetas, found.times, strict=True):
            total = scipy.linalg.expm(time * theta) @ total
        return total
    force, rate = (1.0, 0.0) if eps == math.inf else (1 / float(eps), 1 / float(eps))
    total = np.eye(2 * d)
    for theta, time in zip(found.thetas, found.times, strict=True):
        block = np.block([[0 * theta, np.eye(d)], [force * theta, -rate * np.eye(d)]])
        total = scipy.linalg.expm(time * block) @ total
    return total[:d, :d]


def test_a_rotation_with_eigenvalues_minus_one_is_a_first_piece():
    found = odemom.pieces(np.diag([-1.0, -2.0, 3.0]), 0, full_output=True)
    first, _ = found.thetas
    np.testing.assert_allclose(first, -first.T)
    np.testing.assert_allclose(composed(found, 0), np.diag([-1.0, -2.0, 3.0]), atol=1e-13)


@pytest.mark.parametrize("net", [ResNet(4), MomentumResNet("9/10", 4)])
def test_one_layer_of_a_net_reaches_any_matrix(net):
    matrix = np.array([[-5.0, 1.0], [0.0, -7.0]])
    found = odemom.pieces(matrix, net, full_output=True)
    x, v, gamma = np.eye(2), np.zeros((2, 2)), float(getattr(net, "gamma", 0))
    for theta, layers in zip(found.thetas, found.times, strict=True):
        for _ in range(int(layers)):
            v = gamma * v + (1 - gamma) * theta @ x
            x = x + v
    np.testing.assert_allclose(x, matrix, rtol=1e-14)


def test_a_determinant_within_the_tolerance_is_borderline():
    matrix = np.diag([-1.0, -2.0, 1e-16])
    assert odemom.pieces(matrix, 0, full_output=True).status == "borderline"
    assert odemom.pieces(np.diag([-1.0, 2.0]), 0, full_output=True).status == "certain"


def test_pieces_of_a_flow_with_a_switch_are_refused():
    with pytest.raises(odemom.InvalidInputError, match="has a switch already"):
        odemom.pieces([[1]], Coasting(1, "1/2"))
    assert odemom.augmentation([[-7]], Coasting(1, "1/2")) == 0
    with pytest.raises(odemom.InvalidInputError, match="full_output"):
        odemom.augmentation([[1]], 0, full_output=1)  # pyright: ignore[reportArgumentType, reportCallIssue]


@pytest.mark.parametrize("eps", ["1e-4", "1/100", "1e8"])
def test_pieces_reach_at_very_small_and_large_masses(eps):
    found = odemom.pieces([[-3]], eps, full_output=True)
    assert found.residual <= 1e-10
    assert found.norm < 1e10
