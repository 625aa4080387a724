"""The staircase of rank decisions, against structures by construction and plain SVDs."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from odemom.representability.staircase import BLOCK, GAP, LARGE, null_space, staircase


def nilpotent_part(sizes, d, rng, *, complex_entries=False):
    """A d x d matrix whose eigenvalue 0 has these Jordan blocks, in an orthonormal basis."""

    def gaussian():
        real = rng.standard_normal((d, d))
        return real + 1j * rng.standard_normal((d, d)) if complex_entries else real

    n = np.triu(gaussian()) / np.sqrt(d)
    np.fill_diagonal(n, 1 + rng.random(d))
    start = 0
    for k in sizes:
        n[start : start + k, start:] = 0
        n[start : start + k, start : start + k] = np.eye(k, k=1)
        start += k
    q = np.linalg.qr(gaussian())[0]
    return q @ n @ q.conj().T


def weyr(sizes):
    return [sum(1 for s in sizes if s > k) for k in range(max(sizes, default=0))]


@settings(max_examples=60)
@given(
    sizes=st.lists(st.integers(1, 4), max_size=BLOCK + 3),
    d=st.sampled_from([LARGE - 20, LARGE + 5]),
    complex_entries=st.booleans(),
    seed=st.integers(0, 2**32 - 1),
)
def test_block_sizes_are_found(sizes, d, complex_entries, seed):
    rng = np.random.default_rng(seed)
    n = nilpotent_part(sizes, d, rng, complex_entries=complex_entries)
    assert staircase(n, 1e-12 * d) == weyr(sizes)


@pytest.mark.parametrize(("limit", "found"), [(0, [4]), (3, [4]), (4, [4, 3]), (7, [4, 3, 1])])
def test_it_stops_beyond_the_limit(limit, found):
    n = nilpotent_part([3, 2, 2, 1], 20, np.random.default_rng(0), complex_entries=False)
    assert staircase(n, 1e-11, limit=limit) == found


@pytest.mark.parametrize("n", [np.zeros((LARGE, LARGE)), np.eye(LARGE, k=1)])
def test_exactly_singular_matrices(n):
    assert staircase(n, 1e-14) == ([LARGE] if not n.any() else [1] * LARGE)


@pytest.mark.parametrize("factor", [0.1, 0.99, 1.01, 3.0, 0.9 * GAP, 1.1 * GAP, 1e6])
@pytest.mark.parametrize("count", [1, BLOCK - 1, BLOCK, BLOCK + 1])
def test_null_space_is_that_of_the_singular_values_with_and_without_a_gap(count, factor):
    rng = np.random.default_rng(count)
    d, delta = LARGE + 6, 1e-10
    u, v = (np.linalg.qr(rng.standard_normal((d, d)))[0] for _ in range(2))
    singular = np.linspace(1, 2, d)
    singular[:count] = delta * np.linspace(0.05, 0.9, count)
    singular[count] = factor * delta
    null = null_space((u * singular) @ v.T, delta)
    expected = v[:, singular <= delta]
    assert null.shape == expected.shape
    # the angle between the spaces, whose vectors are known to u ||N|| over the gap
    assert np.linalg.norm(null - expected @ (expected.T @ null), 2) < 1e-4
    np.testing.assert_allclose(null.T @ null, np.eye(null.shape[1]), atol=1e-13)


def test_a_regular_matrix_has_no_null_space():
    n = np.random.default_rng(0).standard_normal((LARGE, LARGE))
    assert null_space(n, 1e-14).shape == (LARGE, 0)
    assert staircase(n, 1e-14) == []
