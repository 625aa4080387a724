"""The vectorised decision: it agrees with the scalar one, and abstains where it must."""

from __future__ import annotations

import math
from collections import Counter
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import odemom
from odemom.errors import InvalidInputError
from odemom.flows import FirstOrder, SecondOrder, Undamped
from odemom.flows.base import CRITICAL, PAIRS, Attainment, RationalThreshold, RealImage
from odemom.representability.analyze import analyze
from odemom.representability.batch import BLOCK_ENTRIES, SimpleSpectra, simple_verdicts
from odemom.representability.floating import FloatingSpectrum, default_tol

UNIT = float(np.finfo(float).eps)
FLOWS = [
    FirstOrder(),
    SecondOrder(0.05),
    SecondOrder(Fraction(1, 2)),
    SecondOrder(10, horizon=3),
    SecondOrder(1e-3),  # lambda_eps is subnormal
    SecondOrder(2, "field"),
    Undamped(),
]


def scalar_verdicts(stack, flow, tol):
    return np.array([FloatingSpectrum(d, tol).decide(flow).representable for d in stack])


def assert_agreement(stack, flow, tol=None, *, decided_share=0.0):
    """Every decided verdict is the scalar one, and at least the given share is decided."""
    tol = default_tol(stack.shape[-1], UNIT) if tol is None else tol
    verdicts, decided = simple_verdicts(stack, flow.real_image, tol)
    np.testing.assert_array_equal(verdicts[decided], scalar_verdicts(stack[decided], flow, tol))
    assert decided.mean() >= decided_share


def similar(rng, jordan):
    """The given matrix in a random well-conditioned basis."""
    q, _ = np.linalg.qr(rng.normal(size=jordan.shape))
    basis = q @ np.diag(rng.uniform(1, 3, len(jordan)))
    return basis @ jordan @ np.linalg.inv(basis)


@pytest.mark.parametrize("flow", FLOWS, ids=lambda flow: flow.describe())
@pytest.mark.parametrize("d", [1, 2, 3, 7, 12])
def test_random_matrices_are_decided_as_one_by_one(flow, d):
    rng = np.random.default_rng(d)
    # a gap g refuses when 200 c delta >= g, c <= (F/g)^(d-1): far below 1 % of Ginibre matrices
    assert_agreement(rng.normal(size=(60, d, d)) / math.sqrt(d), flow, decided_share=0.98)


@pytest.mark.parametrize("flow", FLOWS, ids=lambda flow: flow.describe())
@pytest.mark.parametrize("noise", [0.0, 1e-16, 1e-13, 1e-10, 1e-7, 1e-4])
def test_adversarial_matrices_are_decided_as_one_by_one_or_left_alone(flow, noise):
    rng = np.random.default_rng(0)
    t = 0.0 if flow.real_image.threshold is None else flow.real_image.threshold.value
    tiny = max(noise, 1e-15)
    cases = [
        np.diag([t, 1.0, 2.0]),  # at the threshold
        np.diag([-3.0, -3.0, 1.0]),  # a pair
        np.array([[-3.0, 1.0, 0.0], [0.0, -3.0, 0.0], [0.0, 0.0, 2.0]]),  # a Jordan block
        np.array([[-2.0, tiny, 0.0], [-tiny, -2.0, 0.0], [0.0, 0.0, 1.0]]),  # a nearly real pair
        np.diag([-2.0, -2.0 + tiny, t + tiny]),
        np.diag([t - tiny, t + tiny, 5.0]),
        np.array([[-2.0, tiny, 0.0], [-tiny, -2.0, 0.0], [0.0, 0.0, -2.0]]),  # real inside a pair
        np.array([[-1.0, 1e8, 0.0], [0.0, -1.1, 1e8], [0.0, 0.0, 1.0]]),  # far from normal
        np.array([[-1.0, 1e-9, 0.0], [1e9, -1.0, 1e-9], [0.0, 1e9, -1.0]]),  # graded
        np.zeros((3, 3)),
    ]
    rotated = [similar(rng, case) for case in cases[:7]]
    noisy = [m + noise * rng.normal(size=(3, 3)) for m in (*cases[:7], *rotated)]
    stack = np.array(cases + rotated + (noisy if noise else []))
    one_by_one = np.array([analyze(matrix, flow).representable for matrix in stack])
    np.testing.assert_array_equal(odemom.is_representable(stack, flow), one_by_one)
    floating = np.any(stack, axis=(1, 2))  # the zero matrix is decided exactly
    verdicts, decided = simple_verdicts(stack[floating], flow.real_image, default_tol(3, UNIT))
    np.testing.assert_array_equal(verdicts[decided], one_by_one[floating][decided])


def test_repeated_eigenvalues_and_eigenvalues_at_the_threshold_are_never_decided():
    t = SecondOrder(0.5).real_image.threshold
    assert t is not None
    rng = np.random.default_rng(1)
    shared = [np.diag([-2.0, -2.0, 1.0]), np.diag([t.value, 1.0, 2.0]), 3 * np.eye(3)]
    jordan = np.array([[-2.0, 1.0, 0.0], [0.0, -2.0, 0.0], [0.0, 0.0, 1.0]])
    stack = np.array([similar(rng, m) for m in (*shared, jordan) for _ in range(50)])
    _, decided = simple_verdicts(stack, SecondOrder(0.5).real_image, default_tol(3, UNIT))
    assert not decided.any()


def test_what_is_decided_holds_for_every_matrix_within_the_tolerance():
    # 4 perturbations of norm tol ||D|| each, judged by the signs of their own eigenvalues
    rng, tol = np.random.default_rng(2), 1e-4
    t = odemom.lambda_eps(0.5)
    stack = rng.normal(size=(4000, 3, 3))
    verdicts, decided = simple_verdicts(stack, SecondOrder(0.5).real_image, tol)
    assert 0.2 < decided.mean() < 0.95  # so that the tolerance matters
    for _ in range(4):
        noise = rng.normal(size=stack.shape)
        noise /= np.linalg.norm(noise, 2, axis=(1, 2))[:, None, None]
        near = stack + tol * np.linalg.norm(stack, 2, axis=(1, 2))[:, None, None] * noise
        z = np.linalg.eigvals(near)
        obstructed = ((np.real(z) < t) & (np.imag(z) == 0)).any(axis=1)
        np.testing.assert_array_equal(verdicts[decided], ~obstructed[decided])


def test_smiths_bound_is_above_the_condition_numbers():
    rng = np.random.default_rng(3)
    stack = rng.normal(size=(200, 4, 4)) * np.logspace(0, 3, 4)[:, None]
    spectra = SimpleSpectra.of(stack, 1e-9)
    for i in np.flatnonzero(spectra.isolated):
        z, x = np.linalg.eig(stack[i])
        conditions = np.linalg.norm(np.linalg.inv(x), axis=1)
        delta = 200 * 1e-9 * np.linalg.norm(stack[i]) * 2.0 ** -float(spectra.exponents[i])
        ours = spectra.eigenvalues[i] * 2.0 ** float(spectra.exponents[i])
        order = [int(np.abs(z - w).argmin()) for w in ours]
        # the ones from eigenvectors are equal up to their own rounding, cond(X) u << 1e-6
        assert (spectra.reach[i] >= delta * conditions[order] * (1 - 1e-6)).all()


entry = st.one_of(
    st.sampled_from([0.0, 1.0, -1.0, -2.0, 1e-8, -0.38332160026432561667]),
    st.floats(-3, 3, allow_nan=False),
)


@settings(max_examples=30, deadline=None)
@given(
    st.integers(1, 4).flatmap(
        lambda d: st.lists(st.lists(entry, min_size=d * d, max_size=d * d), min_size=1, max_size=4)
    ),
    st.sampled_from(FLOWS),
)
def test_a_stack_is_decided_as_its_matrices(rows, flow):
    d = math.isqrt(len(rows[0]))
    stack = np.array(rows).reshape(-1, d, d)
    one_by_one = [analyze(matrix, flow).representable for matrix in stack]
    np.testing.assert_array_equal(odemom.is_representable(stack, flow), one_by_one)


@pytest.mark.parametrize("scale", [1e-320, 1e-306, 1e-160, 1e160, 1e307])
def test_no_overflow_at_either_end_of_the_doubles(scale):
    # |mu| is beyond any threshold, or so close to 0 that it is above all but that of exp
    stack = scale * np.array(
        [[[0.0, 1.0], [2.0, 0.0]], [[0.0, 1.0], [-2.0, 0.0]], [[1.0, 1.0], [0.0, 3.0]]]
    )
    with np.errstate(all="raise", under="ignore"):
        verdicts, decided = simple_verdicts(stack, FirstOrder().real_image, 1e-14)
    if scale < 1e-307:  # the tolerance is wider there, and these are decided one by one
        assert not decided.any()
        verdicts = odemom.is_representable(stack, FirstOrder())
    else:
        assert decided.all()
    assert verdicts.tolist() == [False, True, True]


def test_a_flow_that_splits_or_takes_what_is_below_obstructs_nothing_simple():
    stack = np.array([np.diag([-5.0, 1.0]), np.diag([-5.0, -4.0])])
    for below in (Attainment("regular"), CRITICAL):
        image = RealImage(RationalThreshold(Fraction(-1)), CRITICAL, below)
        assert [x.tolist() for x in simple_verdicts(stack, image, 1e-14)] == [[True, True]] * 2
    for below in (PAIRS, Attainment("never")):
        image = RealImage(RationalThreshold(Fraction(-1)), CRITICAL, below)
        assert simple_verdicts(stack, image, 1e-14)[0].tolist() == [False, False]


def test_leading_axes_float32_and_an_exact_stack_keep_their_meaning():
    rng = np.random.default_rng(5)
    stack = rng.normal(size=(2, 3, 4, 4))
    found = odemom.is_representable(stack, 1)
    assert found.shape == (2, 3)
    np.testing.assert_array_equal(found[1], odemom.is_representable(stack[1], 1))
    single = np.array([[[-1.0, 0.0], [0.0, -1.0 + 1e-5]]], dtype=np.float32)
    assert odemom.is_representable(single, 0.5).tolist() == [False]
    assert odemom.is_representable(single, 0.5, tol=1e-4).tolist() == [True]
    assert odemom.is_representable([[[-1, 0], [0, -1]]], 0.5).tolist() == [True]
    with pytest.raises(InvalidInputError):
        odemom.is_representable(np.zeros((0, 2, 2)), 0.5)


def test_a_large_stack_is_one_call_of_lapack_a_block_and_hardly_anything_is_left(monkeypatch):
    # what the ratio to the eigenvalues alone, in benchmarks/decision.py, comes from
    calls = Counter()

    def count(name):
        original = getattr(np.linalg, name)

        def counted(*arguments):
            calls[name] += 1
            return original(*arguments)

        monkeypatch.setattr(np.linalg, name, counted)

    count("eigvals")
    count("eig")
    stack = np.random.default_rng(6).normal(size=(100_000, 3, 3))
    tol = default_tol(3, UNIT)
    _, decided = simple_verdicts(stack, SecondOrder(0.5).real_image, tol)
    blocks = math.ceil(len(stack) / (BLOCK_ENTRIES // 9))
    assert calls["eigvals"] == blocks
    assert calls["eig"] <= blocks
    assert np.count_nonzero(~decided) <= len(stack) // 1000


def test_one_failing_iteration_leaves_its_block_to_the_scalar_path(monkeypatch):
    def fails(_):
        raise np.linalg.LinAlgError

    monkeypatch.setattr(np.linalg, "eigvals", fails)
    monkeypatch.setattr(np.linalg, "eig", fails)
    _, decided = simple_verdicts(np.ones((2, 2, 2)), Undamped().real_image, 1e-14)
    assert not decided.any()
