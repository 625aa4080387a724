"""Jordan block sizes of one eigenvalue, by rank decisions (Kågström and Ruhe, 1980)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.linalg

__all__ = ["Effort", "null_space", "staircase"]

# Below this dimension the singular values cost no more than what avoids them.
LARGE = 64
# Vectors of an inverse iteration: null spaces up to somewhat less are found by it.
BLOCK = 8
STEPS = 3
# By how much the next singular value has to exceed delta for the iteration to be trusted.
GAP = 100.0
# What the two ways cost, in nanoseconds of a processor of today, as a rule: times n² and n³.
ITERATION, DECOMPOSITION = 40.0, 0.6


@dataclass
class Effort:
    """How much work may still be done, about in nanoseconds; used up by `staircase`.

    It is counted, not measured, so that the same question has the same answer everywhere.
    """

    left: float

    def spend(self, cost: float) -> None:
        """Note work that is done, or was done before for the same question."""
        self.left -= cost

    @property
    def exhausted(self) -> bool:
        """Whether there is nothing left."""
        return self.left <= 0


def staircase(
    n: np.ndarray, delta: float, limit: int | None = None, effort: Effort | None = None
) -> list[int]:
    """How many nilpotent Jordan blocks of ``n`` have size >= 1, >= 2, ...

    Each step splits off the null space, singular values up to ``delta`` being 0, and goes on with
    the quotient.

    Parameters
    ----------
    n : ndarray of float64 or complex128, shape (d, d)
    delta : float
    limit : int, optional
        Stop as soon as the blocks found hold more eigenvalues than that.
    effort : Effort, optional
        Stop as soon as it is exhausted.

    Returns
    -------
    list of int
        The Weyr characteristic of the eigenvalue 0 of a matrix near ``n``.
    """
    at_least = []
    most = len(n) if limit is None else limit
    effort = Effort(np.inf) if effort is None else effort
    while len(n) and sum(at_least) <= most and not effort.exhausted:
        null = null_space(n, delta, effort)
        if not null.shape[1]:
            break
        at_least.append(null.shape[1])
        n = _quotient(n, null)
    return at_least


def null_space(n: np.ndarray, delta: float, effort: Effort | None = None) -> np.ndarray:
    """An orthonormal basis of the null space, singular values up to ``delta`` being 0.

    Parameters
    ----------
    n : ndarray of float64 or complex128, shape (d, d)
    delta : float
    effort : Effort, optional
        What is done is taken from it.

    Returns
    -------
    ndarray, shape (d, k)
    """
    effort = Effort(np.inf) if effort is None else effort
    if len(n) >= LARGE:
        effort.spend(ITERATION * len(n) ** 2)
        null = _by_inverse_iteration(n, delta)
        if null is not None:
            return null
    effort.spend(DECOMPOSITION * len(n) ** 3)
    _, singular, vt = np.linalg.svd(n)
    return vt[singular <= delta].conj().T


def _by_inverse_iteration(n: np.ndarray, delta: float) -> np.ndarray | None:
    """The null space where it is small and set off by a gap, else None; for a tenth of the time.

    A null space is there only if ||N^-1||_1 >= 1/(sqrt(d) delta), which Hager and Higham's
    estimator finds within a factor 3 in practice; 10 are allowed for. Then (N* N)^-1, in a few
    steps from a random start, spans the last right singular vectors. The singular values of N on
    them are upper bounds of its own, and where the next one is `GAP` larger, near them.
    """
    d = len(n)
    getrf, getrs, gecon = scipy.linalg.get_lapack_funcs(("getrf", "getrs", "gecon"), (n,))
    norm = float(np.abs(n).sum(axis=0).max())
    lu, pivots, _ = getrf(n)
    diagonal = np.einsum("ii->i", lu)
    diagonal[diagonal == 0] = np.finfo(float).eps * norm
    if norm * gecon(lu, norm)[0] > 10 * np.sqrt(d) * delta:
        return np.empty((d, 0), dtype=n.dtype)
    adjoint = 2 if np.iscomplexobj(n) else 1
    vectors = np.random.default_rng(0).standard_normal((d, BLOCK))
    for _ in range(STEPS):
        with np.errstate(all="ignore"):
            vectors = np.linalg.qr(getrs(lu, pivots, vectors, trans=adjoint)[0])[0]
            vectors = np.linalg.qr(getrs(lu, pivots, vectors)[0])[0]
        if not np.isfinite(vectors).all():
            return None
    _, singular, vt = np.linalg.svd(n @ vectors, full_matrices=False)
    small = singular <= delta
    clear = small.sum() < BLOCK and singular[~small].min() >= GAP * delta
    return vectors @ vt[small].conj().T if clear else None


def _quotient(n: np.ndarray, null: np.ndarray) -> np.ndarray:
    """``n`` on the orthogonal complement of its null space.

    H = I - V (I + P)^-1 V* takes the basis Z to -[U; 0], where V = Z + [U; 0] and U P is the polar
    decomposition of the first rows of Z: a block Householder reflector.
    """
    k = null.shape[1]
    if k == len(n):
        return n[:0, :0]
    left, cosines, right = np.linalg.svd(null[:k])
    v = null.copy()
    v[:k] += left @ right
    weighted = (v @ right.conj().T) / (1 + cosines) @ right
    n = n - (n @ weighted) @ v.conj().T
    return (n - weighted @ (v.conj().T @ n))[k:, k:]
