"""Large matrices: exact ones by their block structure, floating ones with hundreds of clusters."""

from fractions import Fraction
from typing import Any

import flint
import numpy as np
import pytest

import odemom
from odemom.errors import OdemomWarning
from odemom.representability import charpoly, clusters
from odemom.representability.charpoly import characteristic_polynomial
from odemom.representability.exact import ExactSpectrum
from odemom.representability.exact_matrix import ExactMatrix
from odemom.representability.schur import LARGE, SchurForm, default_tol
from tests.oracles import block_matrix, direct_sum

F = Fraction


def permuted(rows, seed):
    order = np.random.default_rng(seed).permutation(len(rows))
    return [[rows[i][j] for j in order] for i in order]


@pytest.mark.parametrize("seed", range(12))
def test_the_blocks_of_a_sparse_matrix_are_those_of_the_same_matrix_filled_up(seed):
    """A unimodular change of basis makes one component of it."""
    rng = np.random.default_rng(seed)
    d = int(rng.integers(2, 9))
    sparse = np.diag(rng.integers(-2, 2, d)) + np.triu(rng.integers(-1, 2, (d, d)), 1)
    if seed % 3 == 0:
        sparse[0, 1], sparse[1, 0] = 1, 2
    basis = np.tril(rng.integers(-1, 2, (d, d)), -1) + np.eye(d, dtype=int)
    other = np.triu(rng.integers(-1, 2, (d, d)), 1) + np.eye(d, dtype=int)
    v: Any = flint.fmpz_mat((basis @ other).tolist())
    full = v * flint.fmpz_mat(sparse.tolist()) * v.inv(True)
    found = odemom.jordan_structure(permuted(sparse.tolist(), seed))
    assert found == odemom.jordan_structure([[int(x) for x in row] for row in full.tolist()])


def test_a_row_between_two_components_joins_their_blocks():
    """-1, 5, -1 in a chain: the two -1 are one block; without the chain two."""
    chain = [[-1, 1, 0], [0, 5, 1], [0, 0, -1]]
    assert odemom.jordan_structure(chain)[F(-1)] == (2,)
    assert odemom.jordan_structure([[-1, 1, 0], [0, 5, 0], [0, 0, -1]])[F(-1)] == (1, 1)
    assert odemom.jordan_structure([[5, 1, 0], [0, -1, 0], [0, 1, -1]])[F(-1)] == (2,)


def test_a_large_sparse_matrix_is_decided_by_its_blocks():
    blocks = [block_matrix({F(-1): [2], F(k): [1]}) for k in range(1, 100)]
    rows = permuted(direct_sum(*blocks), 0)
    report = odemom.analyze(rows, "1/2")
    assert not report
    assert report.obstructions[0].eigenvalue.blocks == (2,) * 99
    assert len(report.eigenvalues) == 100


def test_the_characteristic_polynomial_modulo_primes_is_that_of_flint(monkeypatch):
    rows = np.random.default_rng(0).integers(-(10**6), 10**6, (30, 30)).tolist()
    matrix = flint.fmpz_mat(rows)
    expected = matrix.charpoly()
    monkeypatch.setattr(charpoly, "SMALL", 0)
    assert characteristic_polynomial(matrix) == expected
    monkeypatch.undo()
    monkeypatch.setattr(charpoly, "_estimate_of_products", lambda _: 130.0)
    with pytest.warns(OdemomWarning, match="2 minutes"):
        assert characteristic_polynomial(matrix) == expected
    monkeypatch.undo()
    assert characteristic_polynomial(flint.fmpz_mat([[0] * 3] * 3)) == flint.fmpz_poly([0, 0, 0, 1])


def test_what_takes_long_is_announced_and_can_be_interrupted(monkeypatch, capsys):
    matrix = flint.fmpz_mat(np.random.default_rng(0).integers(-9, 9, (20, 20)).tolist())
    monkeypatch.setattr(charpoly, "SMALL", 0)
    monkeypatch.setattr(charpoly, "_estimate", lambda *_: 7300.0)
    monkeypatch.setattr(charpoly.sys.stderr, "isatty", lambda: True, raising=False)
    with pytest.warns(OdemomWarning, match="about 2 hours in exact arithmetic.*exact=False"):
        characteristic_polynomial(matrix)
    charpoly._tell(3, 10, 30.0)
    assert "3 of 10, about 70 seconds left" in capsys.readouterr().err

    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(charpoly, "_tell", interrupted)
    spectrum = ExactSpectrum(ExactMatrix(matrix, 1))
    with pytest.warns(OdemomWarning), pytest.raises(KeyboardInterrupt):
        spectrum.decide("1/2")


def test_a_singular_value_below_the_tolerance_may_be_a_bound():
    d = LARGE + 6
    q = np.linalg.qr(np.random.default_rng(0).standard_normal((d, d)))[0]
    form = SchurForm.of(q @ np.diag(np.linspace(-2.0, 2.0, d)) @ q.T)
    least = default_tol(d, np.finfo(float).eps) * form.norm
    for x in [-2.0, float(np.linspace(-2.0, 2.0, d)[7]), -1.234, 0.1]:
        exact = np.linalg.svd(form.t - x * np.eye(d), compute_uv=False)[-1]
        found = form.smallest_singular_value(x)
        assert found <= least if exact < least / 10 else found == pytest.approx(exact)


def test_without_effort_clusters_are_left_as_computed(monkeypatch):
    q = np.linalg.qr(np.random.default_rng(0).standard_normal((12, 12)))[0]
    matrix = q @ (-np.eye(12) + np.diag(np.tile([1.0, 0.0], 6)[:11], 1)) @ q.T
    assert odemom.analyze(matrix, 0.5)
    assert len(odemom.analyze(matrix, 0.5).eigenvalues) == 1
    monkeypatch.setattr(clusters, "MOST_WORK", 1.0)
    report = odemom.analyze(matrix, 0.5)
    assert report.status == "borderline"
    assert len(report.eigenvalues) == 12
