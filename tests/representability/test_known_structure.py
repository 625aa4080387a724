"""Random matrices of known Jordan structure: every decision is the theorem's, for every flow.

The expected answers come from `tests.oracles`: the block sizes are assembled by brute force, and
how a net takes a value is read off its polynomial by Sturm's theorem.
"""

from __future__ import annotations

import itertools
import math
from fractions import Fraction
from functools import cache

import numpy as np
import pytest

import odemom
from odemom.flows import MomentumResNet, ResNet, SecondOrder
from tests.oracles import (
    block_matrix,
    conjugated_with_basis,
    direct_sum,
    floats,
    representable,
    representable_by_net,
    rotation_block,
)

F = Fraction
LARGEST_DIMENSION = 14
EPS = [0, F(1, 10), F(1, 4), F(1, 2), 1, 2, 10, math.inf]
# -9/16 is the threshold of (1/2, 2), the others lie between those of the nets below:
# -0.0147, -0.445, -0.5625, -1.61, -2.65, -3.03.
NETS = [
    (0, 1),
    (0, 2),
    (0, 3),
    (0, 6),
    (0, 7),
    (F(1, 10), 4),
    (F(1, 2), 2),
    (F(1, 2), 3),
    (F(1, 2), 4),
    (F(9, 10), 4),
    (F(9, 10), 10),
    (F(9, 10), 20),
    (F(9, 10), 21),
]
NUMBERS = [
    (-4, 1),
    (-3, 1),
    (-2, 1),
    (-1, 1),
    (-9, 16),
    (-1, 2),
    (-1, 5),
    (-1, 100),
    (0, 1),
    (4, 1),
]
POOL = [F(p, q) for p, q in NUMBERS]


def net(gamma, depth):
    return MomentumResNet(gamma, depth) if gamma else ResNet(depth)


def random_spectrum(rng):
    """Block sizes by eigenvalue, often in pairs, and the blocks of complex pairs."""
    spectrum = {}
    for i in rng.choice(len(POOL), rng.integers(1, 4), replace=False):
        sizes = [int(k) for k in rng.integers(1, 4, rng.integers(1, 4))]
        spectrum[POOL[i]] = sizes * int(rng.integers(1, 3))
    rotations = [
        rotation_block(int(rng.integers(-3, 2)), int(rng.integers(1, 3)), int(rng.integers(1, 3)))
        for _ in range(rng.integers(0, 3))
    ]
    return spectrum, rotations


@cache  # for the tests of this file, which all begin with the same
def random_case(seed):
    """(spectrum, matrix, the unimodular V that takes the Jordan form to it)."""
    rng = np.random.default_rng(seed)
    while True:
        spectrum, rotations = random_spectrum(rng)
        form = direct_sum(block_matrix(spectrum), *rotations)
        if len(form) <= LARGEST_DIMENSION:
            steps = len(form) * int(rng.integers(1, 16))
            return spectrum, *conjugated_with_basis(form, rng, steps)


def questions(spectrum):
    """Every flow with the oracle's answer."""
    for eps in EPS:
        yield eps, representable(spectrum, eps)
    for gamma, depth in NETS:
        yield net(gamma, depth), representable_by_net(spectrum, depth, gamma)
    yield SecondOrder(1, "field"), True


@pytest.mark.parametrize("matrices", [250, pytest.param(2000, marks=pytest.mark.slow)])
def test_exact_matrices_are_decided_right_by_every_flow(matrices):
    verdicts = set()
    for seed in range(matrices):
        sizes, rows, _ = random_case(seed)
        spectrum = odemom.spectrum(rows)
        for flow, expected in questions(sizes):
            report = spectrum.decide(flow)
            assert (report.exact, report.status) == (True, "certain")
            assert report.representable == expected, (seed, flow)
            verdicts.add((flow, expected))
    always = {ResNet(1), SecondOrder(1, "field")} | {net(g, n) for g, n in NETS if g and n % 2}
    flows = {*EPS, *(net(g, n) for g, n in NETS), SecondOrder(1, "field")}
    assert verdicts == {(f, True) for f in flows} | {(f, False) for f in flows - always}


def certain_verdicts(seeds, share):
    """Of each ``share``-th question about the matrices, rounded, whose V is well conditioned."""
    verdicts, matrices = [], 0
    for seed in seeds:
        sizes, rows, basis = random_case(seed)
        if np.linalg.cond(np.array(basis, dtype=float)) > 1e6:
            continue
        matrices += 1
        spectrum = odemom.spectrum(floats(rows))
        for flow, expected in itertools.islice(questions(sizes), seed % share, None, share):
            report = spectrum.decide(flow)
            if report.status == "certain":
                assert report.representable == expected, (seed, flow)
                verdicts.append(expected)
    return verdicts, matrices


@pytest.mark.parametrize(
    ("seeds", "share"),
    [(350, 11), *(pytest.param(2300, share, marks=pytest.mark.slow) for share in (11, 1))],
)
def test_floating_matrices_are_never_wrong_when_certain(seeds, share):
    verdicts, matrices = certain_verdicts(range(seeds), share)
    assert matrices >= 0.85 * seeds
    assert min(verdicts.count(True), verdicts.count(False)) > 2.4 * seeds / share


def test_the_structure_of_300_exact_matrices_is_found():
    for seed in range(300):
        spectrum, rows, _ = random_case(seed)
        found = odemom.jordan_structure(rows)
        real = {k: sorted(v) for k, v in found.items() if isinstance(k, Fraction)}
        assert real == {k: sorted(v) for k, v in spectrum.items()}
