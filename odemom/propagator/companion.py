"""psi as a block of the exponential of the 2d x 2d companion matrix: the textbook way.

It is the peer that the other evaluators are measured against.
"""

from __future__ import annotations

import numpy as np
import scipy.linalg

__all__ = ["companion_exponential", "exponentials"]


def exponentials(matrices: np.ndarray) -> np.ndarray:
    """SciPy's expm of one matrix, or of the matrices of a stack one by one.

    The expm of SciPy 1.18.0 takes for a whole stack the plan of its first matrix (its issue 25924):
    the others are wrong.
    """
    if matrices.ndim == 2:
        return scipy.linalg.expm(matrices)
    result = np.empty_like(matrices)
    for place in np.ndindex(matrices.shape[:-2]):
        result[place] = scipy.linalg.expm(matrices[place])
    return result


def companion_exponential(
    acceleration: np.ndarray, damping: float, velocity: np.ndarray | None = None
) -> np.ndarray:
    """The map x0 -> x(1) of x'' = acceleration x - damping x', x'(0) = velocity x0.

    Parameters
    ----------
    acceleration : ndarray of float64, shape (..., d, d)
    damping : float
    velocity : ndarray of float64, shape (..., d, d), optional
        Zero by default.

    Returns
    -------
    ndarray of float64, shape (..., d, d)
    """
    d = acceleration.shape[-1]
    companion = np.zeros((*acceleration.shape[:-2], 2 * d, 2 * d))
    companion[..., :d, d:] = np.eye(d)
    companion[..., d:, :d] = acceleration
    companion[..., d:, d:] = -damping * np.eye(d)
    flow = exponentials(companion)
    if velocity is None:
        return flow[..., :d, :d]
    return flow[..., :d, :d] + flow[..., :d, d:] @ velocity
