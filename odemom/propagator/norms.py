"""1-norms, of one matrix without the overhead of NumPy's."""

from __future__ import annotations

from functools import reduce
from typing import Any

import numpy as np
from scipy.linalg import get_lapack_funcs

__all__ = ["norm1", "norms1"]

# Up to this size the columns of a whole stack are summed by one product.
SHORT = 6
LANGE: Any = get_lapack_funcs("lange", dtype=np.float64)


def norm1(matrix: np.ndarray) -> float:
    """1-norm of one matrix: LAPACK reads the transpose of a C-contiguous one without a copy."""
    return LANGE("I", matrix.T)


def norms1(matrices: np.ndarray) -> np.ndarray:
    """The 1-norms of a stack (..., d, d), shape (...); inf or nan where an entry is."""
    # NumPy reduces short axes slowly, and multiplies many small matrices slowly too.
    d = matrices.shape[-1]
    if 0 < d <= SHORT:
        entries = np.abs(matrices).reshape(-1, d * d)
        sums = np.tile(np.eye(d), d) @ entries.T
        sums[np.isnan(sums)] = np.inf  # 0 times inf
        return sums.max(axis=0).reshape(matrices.shape[:-2])
    sums = np.ones(d) @ np.abs(matrices)
    return reduce(np.maximum, np.moveaxis(sums, -1, 0))
