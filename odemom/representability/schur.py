"""The real Schur form of a floating matrix, and the tolerance to which it is known."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import scipy.linalg

from odemom.checks import as_number, expect, shown, spacing_of
from odemom.representability.staircase import Effort, staircase
from odemom.representability.weyr import sizes_from_weyr

__all__ = ["SchurForm", "as_tolerance", "default_tol", "in_range", "resolved_tol"]

LARGEST_ENTRY = 1e305
LARGE = 64  # from this dimension on inverse iteration is faster than singular values


def default_tol(d: int, unit: float) -> float:
    """8 d u: the backward error of the Schur form is below d u ||D|| in practice (Higham 2002,
    chapter 1), and the rank decisions of the staircase are taken at 1/sqrt(d) of it.

    Parameters
    ----------
    d : int
        The dimension.
    unit : float
        The spacing 2u of the input's floating-point type at 1.
    """
    return 4 * d * unit


def as_tolerance(tol: Any, given: Any, matrices: np.ndarray) -> float:
    """The relative tolerance: ``tol`` in (0, 1), or the default for the type that was given.

    What is below the default for doubles cannot be resolved, and is raised to it.
    """
    least = default_tol(matrices.shape[-1], float(np.finfo(np.float64).eps))
    if tol is not None:
        expected = "a number in (0, 1)"
        value = as_number(tol, "tol", expected)
        expect(0 < value < 1, "tol", got=shown(tol), expected=expected)
        return max(float(value), least)
    spacing = spacing_of(given)
    return least if spacing is None else max(least, default_tol(matrices.shape[-1], spacing))


def resolved_tol(tol: float, matrix: np.ndarray) -> float:
    """The tolerance, or what the doubles resolve where they are equidistant: below 2**-1022.

    It may exceed 1, for matrices whose entries are a few times the smallest double.

    Parameters
    ----------
    tol : float
        Relative to the norm, from `as_tolerance`.
    matrix : ndarray of float64, shape (d, d)
        Not zero.
    """
    spacing = float(np.finfo(float).smallest_subnormal / np.abs(matrix).max())
    return max(tol, default_tol(len(matrix), spacing))


def in_range(matrix: np.ndarray, fix: str = "exact=True has no such limit.") -> np.ndarray:
    """The matrix, if its norm is one that doubles can square and sum; an error with a ``fix``."""
    largest = np.abs(matrix).max()
    expect(
        largest <= LARGEST_ENTRY,
        "D",
        got=f"an entry of size {largest:.3g}",
        expected=f"entries up to {LARGEST_ENTRY:g} in floating point",
        fix=fix,
    )
    return matrix


@dataclass(frozen=True)
class SchurForm:
    """A real Schur form with what the decision asks of it.

    Attributes
    ----------
    t, q : ndarray of float64, shape (d, d)
        D = q t q', q orthogonal.
    eigenvalues : ndarray of complex128, shape (d,)
        Real ones have an imaginary part that is exactly 0.
    conditions : ndarray of float64, shape (d,)
        Condition numbers of the eigenvalues: 1/|y* x|, for left and right unit eigenvectors.
    basis_condition : float
        Condition number of the matrix of unit eigenvectors, in the Frobenius norm.
    norm : float
        The spectral norm.

    What is asked of it is kept: one flow asks what another did.
    """

    t: np.ndarray
    q: np.ndarray
    eigenvalues: np.ndarray
    conditions: np.ndarray
    basis_condition: float
    norm: float
    _distances: dict[float, float] = field(default_factory=dict, repr=False, compare=False)
    _level_sets: dict[float, np.ndarray] = field(default_factory=dict, repr=False, compare=False)
    _sizes: dict[tuple[complex, int, float], tuple[tuple[int, ...] | None, float]] = field(
        default_factory=dict, repr=False, compare=False
    )

    @classmethod
    def of(cls, d: np.ndarray) -> SchurForm:
        """The form of a matrix, shape (d, d)."""
        factors: Any = scipy.linalg.schur(d, output="real")
        t, q = factors
        eigenvalues, vectors = np.linalg.eig(t)
        size = len(t)
        with np.errstate(over="ignore", invalid="ignore"):
            try:
                inverse = np.linalg.inv(vectors)
            except np.linalg.LinAlgError:  # exactly defective
                inverse = np.full((size, size), np.inf)
            inverse = np.where(np.isnan(inverse), np.inf, np.abs(inverse))
            conditions = np.linalg.norm(inverse, axis=1)
            basis = float(np.linalg.norm(vectors) * np.linalg.norm(inverse))
        norm = float(np.linalg.norm(t, 2))
        return cls(t, q, eigenvalues.astype(np.complex128), conditions, basis, norm)

    @property
    def dimension(self) -> int:
        """The number of rows."""
        return self.t.shape[0]

    def smallest_singular_value(self, x: float) -> float:
        """The distance from D to the real matrices that have the real eigenvalue x.

        Where it is below the least tolerance, which is d times roundoff, it is an upper bound of
        it, by inverse iteration; for large matrices that takes a fraction of the time.
        """
        if x not in self._distances:
            shifted = self.t - x * np.eye(self.dimension)
            bound = self._bound_by_iteration(x, shifted) if self.dimension >= LARGE else np.inf
            if bound > default_tol(self.dimension, np.finfo(float).eps) * self.norm:
                bound = float(np.linalg.svd(shifted, compute_uv=False)[-1])
            self._distances[x] = bound
        return self._distances[x]

    def moves_less_than(self, distance: float, delta: float) -> bool:
        """Whether no eigenvalue moves as far as ``distance`` when D changes by ``delta``.

        By the theorem of Bauer and Fike (1960); False where it does not show that.
        """
        # The residual of computed eigenpairs is of the order of roundoff times the norm.
        residual = self.dimension * np.finfo(float).eps * self.norm
        with np.errstate(over="ignore"):  # then nothing is shown
            return bool(self.basis_condition * (delta + residual) < distance)

    def _bound_by_iteration(self, x: float, shifted: np.ndarray) -> float:
        """||(D - x I) v|| of a unit vector v that two steps of inverse iteration give."""
        upper = self._triangle - x * np.eye(self.dimension)
        diagonal = np.einsum("ii->i", upper)
        diagonal[diagonal == 0] = np.finfo(float).eps * self.norm
        trtrs: Any = scipy.linalg.get_lapack_funcs("trtrs", (upper,))
        v = np.random.default_rng(0).standard_normal(self.dimension).astype(complex)
        with np.errstate(all="ignore"):
            for _ in range(2):
                v = trtrs(upper, v, trans=2)[0]
                v = trtrs(upper, v / np.linalg.norm(v))[0]
                v /= np.linalg.norm(v)
        v = self._rotation @ v
        value = float(np.linalg.norm(shifted @ v))
        return value if np.isfinite(value) else np.inf

    @cached_property
    def _complex_form(self) -> tuple[np.ndarray, np.ndarray]:
        factors: Any = scipy.linalg.rsf2csf(self.t, np.eye(self.dimension))
        return factors

    @property
    def _triangle(self) -> np.ndarray:
        return self._complex_form[0]

    @property
    def _rotation(self) -> np.ndarray:
        return self._complex_form[1]

    def level_set(self, delta: float) -> np.ndarray:
        """The numbers at which some singular value of D - x I equals delta, where they are real."""
        if delta not in self._level_sets:
            coupling = -delta * np.eye(self.dimension)
            pencil = np.block([[self.t, coupling], [coupling, self.t.T]])
            self._level_sets[delta] = np.linalg.eigvals(pencil)
        return self._level_sets[delta]

    def block_sizes(
        self, mu: complex, m: int, delta: float, effort: Effort
    ) -> tuple[int, ...] | None:
        """Jordan block sizes of the m-fold eigenvalue mu of a matrix near D; None if not m-fold.

        Nor where the effort does not suffice to tell. An answer that is known costs as much as it
        did, so that it makes no difference what was asked before.
        """
        key = (mu, m, delta)
        if key in self._sizes:
            sizes, cost = self._sizes[key]
            effort.spend(cost)
            return None if effort.exhausted else sizes
        before = effort.left
        at_least = staircase(self.t - mu * np.eye(self.dimension), delta, m, effort)
        sizes = sizes_from_weyr(at_least) if sum(at_least) == m else None
        if effort.exhausted:
            return None
        self._sizes[key] = sizes, before - effort.left
        return sizes
