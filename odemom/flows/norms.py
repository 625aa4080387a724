"""1-norms, of one matrix without the overhead of NumPy's."""

from __future__ import annotations

from functools import reduce
from typing import Any

import numpy as np
from scipy.linalg import get_lapack_funcs

__all__ = ["norm1", "norms1"]

LANGE: Any = get_lapack_funcs("lange", dtype=np.float64)


def norm1(matrix: np.ndarray) -> float:
    """1-norm of one matrix: LAPACK reads the transpose of a C-contiguous one without a copy."""
    return LANGE("I", matrix.T)


def norms1(matrices: np.ndarray) -> np.ndarray:
    """The 1-norms of a stack of matrices (..., d, d), shape (...)."""
    # NumPy reduces short axes slowly: one product, and d maxima of long columns, take a fifth.
    sums = np.ones(matrices.shape[-1]) @ np.abs(matrices)
    return reduce(np.maximum, np.moveaxis(sums, -1, 0))
