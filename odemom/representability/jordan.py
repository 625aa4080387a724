"""odemom.jordan_structure: eigenvalue -> Jordan block sizes, exactly or within a tolerance."""

from __future__ import annotations

from typing import Any

import numpy as np

from odemom.checks import require_square
from odemom.flows.base import RealImage
from odemom.representability.algebraic import Eigenvalue
from odemom.representability.exact import jordan_exact
from odemom.representability.exact_matrix import ExactMatrix, read_matrices
from odemom.representability.floating import SchurForm, as_tolerance, in_range, structured_clusters

__all__ = ["jordan_structure"]


def jordan_structure(
    D: Any, *, tol: Any = None, exact: bool | None = None
) -> dict[Eigenvalue, tuple[int, ...]]:
    """The Jordan block sizes of every eigenvalue of D.

    Parameters
    ----------
    D : array_like of real numbers, shape (d, d)
        Exact numbers (ints, Fractions, SymPy rationals) are treated exactly: the characteristic
        polynomial is factored over Q, and the sizes come from ranks of p(D)^k.
    tol : float in (0, 1), optional
        On floating input, eigenvalues are merged and singular values taken for 0 as far as a matrix
        within ``tol * ||D||_2`` of D allows (the staircase of Kågström and Ruhe). Default 8 d u.
    exact : bool, optional
        See `odemom.analyze`.

    Returns
    -------
    dict
        Eigenvalue -> block sizes, in decreasing order; real eigenvalues first, in increasing order.
        Keys are `Fraction` or `AlgebraicNumber` on exact input, float or complex otherwise.

    Raises
    ------
    InvalidInputError
        If D is not one finite, real, square, non-empty matrix, or ``tol`` is outside its domain.

    References
    ----------
    Kågström and Ruhe, An algorithm for numerical computation of the Jordan normal form of a complex
    matrix, ACM Trans. Math. Software, 1980.

    Examples
    --------
    >>> import odemom
    >>> odemom.jordan_structure([[2, 1, 0], [0, 2, 0], [0, 0, -1]])
    {Fraction(-1, 1): (1,), Fraction(2, 1): (2,)}
    >>> odemom.jordan_structure([[0, 2], [1, 0]])
    {root of x^2 - 2 near -1.41421: (1,), root of x^2 - 2 near 1.41421: (1,)}
    """
    matrix = read_matrices(D, exact)
    require_square(matrix.shape, "D", stacks=False)
    if matrix.dtype != np.float64:
        return jordan_exact(ExactMatrix.from_entries(matrix.tolist()))
    if not matrix.any():  # relative to the norm 0 no perturbation is small
        return {0.0: (1,) * len(matrix)}
    return jordan_floating(matrix, as_tolerance(tol, D, matrix))


def jordan_floating(matrix: np.ndarray, tol: float) -> dict[Eigenvalue, tuple[int, ...]]:
    """The structure of the nearest structured matrix within ``tol`` times the norm."""
    form = SchurForm.of(in_range(matrix))
    clusters = structured_clusters(form, RealImage(None), tol, everywhere=True)
    structure: dict[Eigenvalue, tuple[int, ...]] = {}
    for c in sorted(clusters, key=lambda c: (c.value.imag != 0, c.value.real, c.value.imag)):
        structure[c.value] = c.sizes
        if c.value.imag:
            structure[c.value.conjugate()] = c.sizes
    return structure
