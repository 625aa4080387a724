"""Small random perturbations of a matrix that make it representable.

Eigenvalues of defective matrices move by much more than the matrix: a change of size s takes apart
a Jordan block of size k by about s^(1/k), some of it into conjugate pairs, which never obstruct.
Which change does it best is not known; of some random ones, skew-symmetric and not, the least that
will do is often a hundredth of what moving the eigenvalues of the Schur form takes.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

__all__ = ["LARGEST", "perturbed"]

LARGEST = 32  # matrices of up to so many rows are perturbed
# So many directions are tried for small matrices, to find one even if only one in thirty will do;
# for larger ones so many that directions times entries is `WORK`, a millisecond or two each size.
DIRECTIONS, WORK = 64, 4096
GROWTH = 2.0  # from one size of the change to the next
HALVINGS = 5  # bisections, on a logarithmic scale, of the size that was found


def perturbed(
    matrix: np.ndarray,
    threshold: float,
    represented: Callable[[np.ndarray], bool],
    smallest: float,
    largest: float,
) -> np.ndarray | None:
    """The matrix after the least of the changes that makes it representable.

    Parameters
    ----------
    matrix : ndarray of float64, shape (d, d)
    threshold : float
        Below it, simple real eigenvalues obstruct.
    represented : callable
        Whether a matrix is representable for certain.
    smallest, largest : float
        Between them the spectral norm of the change is looked for.

    Returns
    -------
    ndarray of float64, shape (d, d), or None
        None where no change below ``largest`` does.
    """
    directions = _directions(len(matrix))
    size = smallest
    while size < largest:
        z = np.linalg.eigvals(matrix + size * directions)
        likely = ~((z.real < threshold) & (z.imag == 0)).any(axis=-1)
        for direction in directions[likely]:
            if represented(matrix + size * direction):
                return _least(matrix, direction, represented, size)
        size *= GROWTH
    return None


def _directions(d: int) -> np.ndarray:
    """Matrices of norm 1, the same in every call: half of them skew-symmetric."""
    count = max(2, min(DIRECTIONS, WORK // d**2) // 2)
    drawn = np.random.default_rng(0).standard_normal((count, d, d))
    every = np.concatenate([drawn - drawn.transpose(0, 2, 1), drawn]) if d > 1 else drawn
    return every / np.linalg.norm(every, 2, axis=(1, 2))[:, None, None]


def _least(
    matrix: np.ndarray,
    direction: np.ndarray,
    represented: Callable[[np.ndarray], bool],
    size: float,
) -> np.ndarray:
    """With less of a change that does, as long as that does too."""
    low, high = size / GROWTH, size
    for _ in range(HALVINGS):
        middle = low**0.5 * high**0.5
        low, high = (low, middle) if represented(matrix + middle * direction) else (middle, high)
    return matrix + high * direction
