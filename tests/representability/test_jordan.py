"""jordan_structure, exact and floating."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import odemom
from odemom.representability import AlgebraicNumber
from tests.oracles import block_matrix, conjugated

F = Fraction

spectra = st.dictionaries(
    st.sampled_from([F(-2), F(-1, 2), F(0), F(3, 4), F(5)]),
    st.lists(st.integers(1, 3), min_size=1, max_size=3),
    min_size=1,
    max_size=3,
)


@given(spectra, st.integers(0, 2**32 - 1))
@settings(max_examples=60)
def test_the_structure_that_was_built_is_found(spectrum, seed):
    matrix = conjugated(block_matrix(spectrum), np.random.default_rng(seed))
    expected = {mu: tuple(sorted(sizes, reverse=True)) for mu, sizes in spectrum.items()}
    assert odemom.jordan_structure(matrix) == expected


@given(spectra, st.integers(0, 2**32 - 1))
@settings(max_examples=60)
def test_floats_of_moderate_condition_give_the_same(spectrum, seed):
    rng = np.random.default_rng(seed)
    blocks = np.array(block_matrix(spectrum), dtype=float)
    q, _ = np.linalg.qr(rng.standard_normal(blocks.shape))
    found = odemom.jordan_structure(q @ blocks @ q.T, tol=1e-12)
    expected = {tuple(sorted(sizes, reverse=True)): mu for mu, sizes in spectrum.items()}
    assert sorted(found.values()) == sorted(tuple(sorted(s)[::-1]) for s in spectrum.values())
    for z, sizes in found.items():
        if list(found.values()).count(sizes) == 1:  # a perturbed J_k moves its mean by O(u)
            assert abs(complex(z) - complex(expected[sizes])) <= 1e-10


def test_conjugate_blocks_are_found_off_the_real_line():
    rotation = np.array([[1.0, 2.0], [-2.0, 1.0]])
    matrix = np.kron(np.eye(2), rotation) + np.diag([1.0, 1.0], 2)
    found = odemom.jordan_structure(matrix)
    assert sorted(found.values()) == [(2,), (2,)]
    assert sorted(complex(z).imag for z in found) == pytest.approx([-2, 2])
    exact = odemom.jordan_structure(matrix.astype(int))
    assert list(exact.values()) == [(2,), (2,)]


def test_irrational_eigenvalues_have_exact_names():
    # companion of (x^2 - 2)^2: one block of size 2 for each root
    found = odemom.jordan_structure([[0, 0, 0, -4], [1, 0, 0, 0], [0, 1, 0, 4], [0, 0, 1, 0]])
    assert list(found.values()) == [(2,), (2,)]
    roots = [k for k in found if isinstance(k, AlgebraicNumber)]
    assert [k.polynomial for k in roots] == [(-2, 0, 1)] * 2
    assert [float(k) for k in roots] == pytest.approx([-(2**0.5), 2**0.5])


def test_the_zero_matrix_and_the_identity():
    assert odemom.jordan_structure(np.zeros((3, 3))) == {0.0: (1, 1, 1)}
    assert odemom.jordan_structure([[0, 0], [0, 0]]) == {F(0): (1, 1)}
    assert odemom.jordan_structure(np.eye(2)) == {1.0: (1, 1)}


@pytest.mark.parametrize("bad", [[[1, 2]], [[float("nan")]], np.zeros((2, 2, 2)), "x"])
def test_bad_input_is_refused(bad):
    with pytest.raises(odemom.InvalidInputError):
        odemom.jordan_structure(bad)
