"""odemom.jordan_structure: eigenvalue -> Jordan block sizes, exactly or within a tolerance."""

from __future__ import annotations

from typing import Any

from odemom.representability.algebraic import Eigenvalue
from odemom.representability.spectrum import spectrum

__all__ = ["jordan_structure"]


def jordan_structure(
    D: Any, *, tol: Any = None, exact: bool | None = None, max_bits: int | None = None
) -> dict[Eigenvalue, tuple[int, ...]]:
    """The Jordan block sizes of every eigenvalue of D.

    Parameters
    ----------
    D : array_like of real numbers, shape (d, d), or Spectrum
        Exact numbers (ints, Fractions, SymPy rationals) are treated exactly: the characteristic
        polynomial is factored over Q, and the sizes come from ranks of p(D)^k.
    tol : float in (0, 1), optional
        On floating input, eigenvalues are merged and singular values taken for 0 as far as a matrix
        within ``tol * ||D||_2`` of D allows (the staircase of Kågström and Ruhe). Default 8 d u.
    exact, max_bits
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
    return spectrum(D, tol=tol, exact=exact, max_bits=max_bits).jordan_structure()
