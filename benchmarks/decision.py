"""The exact decision against SymPy's Jordan form.

SymPy is asked for what a user would need of it, the Jordan form of an integer matrix whose
eigenvalues are all rational: of a random one it raises MatrixError from d = 5 on.
"""

from __future__ import annotations

import numpy as np
import sympy

import odemom
from benchmarks.harness import Ratio, compare

__all__ = ["integer_matrix", "run"]


def integer_matrix(d: int, seed: int) -> list[list[int]]:
    """U T U^{-1} with T triangular, its diagonal in [-3, 3], and U unimodular."""
    rng = np.random.default_rng(seed)
    triangular = np.triu(rng.integers(-1, 2, (d, d)), 1) + np.diag(rng.integers(-3, 4, d))
    lower = np.tril(rng.integers(-1, 2, (d, d)), -1) + np.eye(d, dtype=int)
    inverse = np.rint(np.linalg.inv(lower)).astype(int)
    return (lower @ triangular @ inverse).tolist()


def run() -> list[Ratio]:
    """One ratio for every size."""
    ratios = []
    for d in (3, 5, 8):
        matrix = integer_matrix(d, seed=d)

        def ours(matrix: list[list[int]] = matrix) -> object:
            return odemom.is_representable(matrix, "1/2")

        def theirs(matrix: list[list[int]] = matrix) -> object:
            return sympy.Matrix(matrix).jordan_form(calc_transform=False)

        ratios.append(
            compare(f"exact decision, d = {d}", ours, "sympy jordan_form", theirs, rounds=5)
        )
    return ratios
