"""The decision for stacks of floating matrices at once, where only simple eigenvalues occur.

A matrix is decided here only if no matrix near it has a multiple eigenvalue, nor one on the other
side of the threshold or of the real axis; the verdict is then read off its own spectrum. All others
are left to `odemom.representability.floating`, with which the verdicts agree.

*The proof.* Let D have simple eigenvalues lambda_i with the condition numbers c_i. Every matrix
within delta of D has its eigenvalues in the discs of centre lambda_i and radius d c_i delta, as
many in each component of their union as there are discs (Wilkinson 1965, chapter 2, section 31:
the theorem of Gershgorin for X^{-1} (D + E) X, whose entries are at most c_i ||E|| in row i when
the columns of X are unit vectors). Required is the distance of max(``APART``, 4 d) times c_i delta
to every other eigenvalue, the conjugate included, and to the threshold: the discs are then
disjoint, those of real eigenvalues hold one eigenvalue each, which is real, and those of the others
meet neither the real axis nor each other. delta is the tolerance plus the backward error of the
eigenvalues, times ||D||_F.

*The condition numbers without eigenvectors.* With g_i the distance from lambda_i to the nearest
other eigenvalue and N the departure from normality, N² = ||D||_F² - sum |lambda_j|² <= ||D||_F²,
c_i <= (1 + N²/((d - 1) g_i²))^{(d - 1)/2} (Smith 1967). For g_i > 0 nothing else is assumed: in the
Schur form with lambda_i first, the left eigenvector y with y_1 = 1 has c_i = ||y||, and
|y_j|² <= (|y_1|² + ... + |y_{j-1}|²) n_j²/g_i² with n_j the norm of column j above the diagonal;
so c_i² <= prod_j (1 + n_j²/g_i²), which is largest when the n_j are equal. A symmetric matrix has
N = 0. Where that bound is too weak, eigenvectors are computed.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from odemom.flows.base import RealImage
from odemom.representability.clusters import ISOLATED
from odemom.representability.criterion import unmet_condition
from odemom.representability.schur import default_tol

__all__ = ["SimpleSpectra", "simple_verdicts"]

# Twice that of `clusters.isolated`, so that what is isolated here is isolated there, whatever the
# rounding of the condition numbers.
APART = 2 * ISOLATED
# Beyond this dimension the bound without eigenvectors, a power d - 1, decides next to nothing.
BOUND_UP_TO = 8
# Entries of the matrices worked on at a time: 2 MiB, so that a block stays in the cache.
BLOCK_ENTRIES = 1 << 18
# Of smaller matrices the tolerance is not relative to the norm: see `schur.resolved_tol`.
SMALLEST_EXPONENT = -1020
LARGEST_EXPONENT = 700.0  # exp of it is finite; no eigenvalue so ill conditioned is ever isolated


@dataclass(frozen=True)
class SimpleSpectra:
    """The spectra of a stack of matrices, each divided by a power of two near its largest entry.

    Computed once, they are decided for as many flows as one likes.

    Attributes
    ----------
    eigenvalues : ndarray of float64 or complex128, shape (n, d)
        Real ones have an imaginary part that is exactly 0.
    reach : ndarray of float64, shape (n, d)
        How far an eigenvalue must be from another, or from a threshold, to be told from it.
    isolated : ndarray of bool, shape (n,)
        Whether every eigenvalue is farther than its reach from every other.
    exponents : ndarray of int, shape (n,)
        The powers of two.
    """

    eigenvalues: np.ndarray
    reach: np.ndarray
    isolated: np.ndarray
    exponents: np.ndarray

    @classmethod
    def of(cls, stack: np.ndarray, tol: float) -> SimpleSpectra:
        """The spectra of a stack of finite matrices, shape (n, d, d) with n >= 1.

        Parameters
        ----------
        stack : ndarray of float64, shape (n, d, d)
        tol : float
            Relative to the norm of each matrix, as in `odemom.analyze`.
        """
        block = max(1, BLOCK_ENTRIES // stack.shape[-1] ** 2)
        parts = [_block(stack[i : i + block], tol) for i in range(0, len(stack), block)]
        return cls(
            np.concatenate([part.eigenvalues for part in parts]),
            np.concatenate([part.reach for part in parts]),
            np.concatenate([part.isolated for part in parts]),
            np.concatenate([part.exponents for part in parts]),
        )

    def verdicts(self, image: RealImage) -> tuple[np.ndarray, np.ndarray]:
        """Which matrices are representable, and for which of them that is decided.

        Parameters
        ----------
        image : RealImage
            Of the flow.

        Returns
        -------
        verdicts, decided : ndarray of bool, shape (n,)
            Where ``decided`` is False, the verdict means nothing.
        """
        if image.threshold is None:
            return _all_true(len(self.isolated))
        z = self.eigenvalues
        with np.errstate(over="ignore", under="ignore"):  # then t is far away, or 0
            t = np.ldexp(image.threshold.value, -self.exponents)[:, None]
        decided = self.isolated & (np.abs(z - t) > self.reach).all(axis=1)
        if unmet_condition(image.below, (1,)) is None:
            return np.ones(len(z), dtype=bool), decided
        below = (np.real(z) < t) & (np.imag(z) == 0)
        return ~below.any(axis=1), decided


def simple_verdicts(
    stack: np.ndarray, image: RealImage, tol: float
) -> tuple[np.ndarray, np.ndarray]:
    """Decide the matrices of a stack whose eigenvalues are all provably simple at the tolerance.

    Parameters
    ----------
    stack : ndarray of float64, shape (n, d, d)
        Finite matrices.
    image : RealImage
        Of the flow.
    tol : float
        Relative to the norm of each matrix, as in `odemom.analyze`.

    Returns
    -------
    verdicts : ndarray of bool, shape (n,)
        What `odemom.analyze` says, where ``decided`` holds; meaningless elsewhere.
    decided : ndarray of bool, shape (n,)
        False where an eigenvalue is too close to another one, to the real axis or to the threshold,
        or too ill conditioned: there `odemom.analyze` must decide.

    References
    ----------
    Smith, The condition numbers of the matrix eigenvalue problem, Numer. Math. 10, 1967.
    Wilkinson, The Algebraic Eigenvalue Problem, 1965, chapter 2.

    Examples
    --------
    >>> from odemom.flows import Undamped
    >>> stack = np.array([[[1.0, 0.0], [0.0, -2.0]], [[0.0, -3.0], [3.0, 0.0]], np.eye(2)])
    >>> verdicts, decided = simple_verdicts(stack, Undamped().real_image, 1e-14)
    >>> decided.tolist(), verdicts[decided].tolist()
    ([True, True, False], [False, True])
    """
    if image.threshold is None or not len(stack):
        return _all_true(len(stack))
    return SimpleSpectra.of(stack, tol).verdicts(image)


def _all_true(n: int) -> tuple[np.ndarray, np.ndarray]:
    return np.ones(n, dtype=bool), np.ones(n, dtype=bool)


def _block(stack: np.ndarray, tol: float) -> SimpleSpectra:
    n, d, _ = stack.shape
    _, exponents = np.frexp(np.abs(stack).max(axis=(1, 2)))
    matrices = np.ldexp(stack, -exponents[:, None, None])
    norms = np.sqrt(np.einsum("nij,nij->n", matrices, matrices))
    # The backward error of the eigenvalues is that of the Schur form: see `default_tol`.
    delta = max(APART, 4.0 * d) * (tol + default_tol(d, np.finfo(float).eps)) * norms
    departure = np.where((matrices == matrices.transpose(0, 2, 1)).all(axis=(1, 2)), 0.0, norms)
    if d <= BOUND_UP_TO or not departure.any():
        eigenvalues = _eigenvalues(matrices)
        gaps = _gaps(eigenvalues)
        reach = delta[:, None] * _condition_bound(departure[:, None], gaps)
        isolated = (reach < gaps).all(axis=1)
    else:
        eigenvalues = np.full((n, d), np.nan)
        reach, isolated = np.full((n, d), np.inf), np.zeros(n, dtype=bool)
    rest = np.flatnonzero(~isolated & (departure > 0))
    if rest.size:
        z, conditions = _eigenvalues_and_conditions(matrices[rest])
        # NumPy returns complex numbers as soon as one matrix of the stack has some.
        eigenvalues = eigenvalues.astype(np.result_type(eigenvalues, z), copy=False)
        eigenvalues[rest], reach[rest] = z, delta[rest, None] * conditions
        isolated[rest] = (reach[rest] < _gaps(z)).all(axis=1)
    isolated &= (norms > 0) & (exponents > SMALLEST_EXPONENT)
    return SimpleSpectra(eigenvalues, reach, isolated, exponents)


def _eigenvalues(matrices: np.ndarray) -> np.ndarray:
    """The eigenvalues, or nan for the whole stack where the iteration fails on one matrix."""
    try:
        return np.linalg.eigvals(matrices)
    except np.linalg.LinAlgError:
        return np.full(matrices.shape[:-1], np.nan)


def _eigenvalues_and_conditions(matrices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The eigenvalues and their condition numbers; infinite ones where they cannot be had."""
    conditions = np.full(matrices.shape[:-1], np.inf)
    try:
        eigenvalues, vectors = np.linalg.eig(matrices)
    except np.linalg.LinAlgError:
        return np.full(matrices.shape[:-1], np.nan), conditions
    # One singular matrix makes `inv` raise for all: the same factorisation tells them beforehand.
    regular = np.linalg.det(vectors) != 0
    with np.errstate(over="ignore", invalid="ignore"):
        # Columns are unit vectors, so 1/|y* x| is the norm of the row y* of the inverse.
        conditions[regular] = np.linalg.norm(np.linalg.inv(vectors[regular]), axis=-1)
    return eigenvalues, conditions


def _gaps(eigenvalues: np.ndarray) -> np.ndarray:
    """The distance from each eigenvalue to the nearest other one; inf for d = 1."""
    d = eigenvalues.shape[1]
    gaps = np.full(eigenvalues.shape, np.inf)
    for shift in range(1, d):
        # every ordered pair of different eigenvalues once, in d - 1 passes without a d x d table
        np.minimum(gaps, np.abs(eigenvalues - np.roll(eigenvalues, shift, axis=1)), out=gaps)
    return gaps


def _condition_bound(departure: np.ndarray, gaps: np.ndarray) -> np.ndarray:
    """Smith's bound on the condition numbers, cut off where its size no longer matters."""
    freedom = gaps.shape[1] - 1
    if freedom == 0:
        return np.ones_like(gaps)
    with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
        exponent = freedom / 2 * np.log1p((departure / gaps) ** 2 / freedom)
    # nan: a normal matrix with two computed eigenvalues equal, which its gap refuses anyway
    return np.exp(np.fmin(exponent, LARGEST_EXPONENT))
