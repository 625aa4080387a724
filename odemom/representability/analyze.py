"""The public questions: is D representable by a second-order flow, and why?"""

from __future__ import annotations

from typing import Any

import numpy as np

from odemom.checks import require_square
from odemom.flows.base import Flow
from odemom.flows.psi import flow_of
from odemom.representability.batch import simple_verdicts
from odemom.representability.exact import analyze_exact
from odemom.representability.exact_matrix import ExactMatrix, matrices_of, read_matrices
from odemom.representability.floating import analyze_floating, as_tolerance, in_range
from odemom.representability.report import Representability

__all__ = ["analyze", "is_representable"]


def is_representable(
    D: Any, eps: Any, *, tol: Any = None, exact: bool | None = None, max_bits: int | None = None
) -> Any:
    """Whether some real theta has psi(theta) = D: the answer of `analyze`, alone.

    Parameters
    ----------
    D : array_like of real numbers, shape (..., d, d)
        One matrix or a stack. Ints, Fractions, SymPy rationals and integer arrays are decided in
        exact arithmetic, floats with a tolerance; see `analyze`. The matrices of a floating stack
        that have simple eigenvalues only are decided together, in vectorised form.
    eps : number or str in [0, inf], or Flow
        0 is the first-order flow x' = theta x, inf the undamped one x'' = theta x.
    tol, exact, max_bits
        See `analyze`.

    Returns
    -------
    bool, or ndarray of bool of shape (...) for a stack

    Raises
    ------
    InvalidInputError
        If D is not a finite, real, square, non-empty matrix (or stack), or another argument is
        outside its domain.

    References
    ----------
    Sander, Ablin, Blondel, Peyré, Momentum Residual Neural Networks, ICML 2021, Theorem 1; for
    non-diagonalisable D see `odemom.representability.criterion`.

    Examples
    --------
    >>> import odemom
    >>> odemom.is_representable([[0, -1], [1, 0]], 0)          # a rotation, by x' = theta x
    True
    >>> odemom.is_representable([[-1]], 0)                     # -1 on the line: not by x' = theta x
    False
    >>> from fractions import Fraction
    >>> odemom.is_representable([[Fraction(-1, 3)]], 0.5)      # but by x'' / 2 + x' = theta x
    True
    """
    matrices = read_matrices(D, exact)
    require_square(matrices.shape, "D", stacks=True)
    flow = flow_of(eps)
    tolerance = as_tolerance(tol, D, matrices)
    if matrices.ndim == 2:
        return _analyze(matrices, flow, tolerance, max_bits).representable
    verdicts, decided = _decide_together(matrices, flow, tolerance)
    for where, matrix in matrices_of(matrices):
        if not decided[where]:
            verdicts[where] = _analyze(matrix, flow, tolerance, max_bits).representable
    return verdicts


def analyze(
    D: Any, eps: Any, *, tol: Any = None, exact: bool | None = None, max_bits: int | None = None
) -> Representability:
    """Decide whether a flow represents D, with the reasons.

    Parameters
    ----------
    D : array_like of real numbers, shape (d, d)
        Ints, Fractions, SymPy rationals (nested lists, object or integer arrays of them) are
        decided in exact arithmetic: the answer is a theorem. Floats are decided with a tolerance.
    eps : number or str in [0, inf], or Flow
        The mass: 0 is x' = theta x, inf is x'' = theta x. A float is taken as the dyadic rational
        that it is, a string as the decimal or fraction that it spells.
    tol : float in (0, 1), optional
        On floating input, the answer is about all real matrices within ``tol * ||D||_2`` of D, or
        the report's ``status`` is ``"borderline"``. Default 8 d u, u the unit roundoff of the
        input's type: what the Schur form and the rank decisions can themselves resolve. What is
        smaller than that for doubles is raised to it.
    exact : bool, optional
        True reads floats as the dyadic rationals that they are, and decides exactly; False rounds
        exact numbers to double precision. By default exact numbers are exact and floats are not.
    max_bits : int, optional
        The largest size of a characteristic polynomial that exact arithmetic may take on: d² times
        the bits of an entry over the common denominator. Default 2^32, which is 512 MiB.

    Returns
    -------
    Representability
        ``bool(report)`` is the verdict; ``.obstructions`` the reasons, ``.explain()`` in sentences.

    Raises
    ------
    InvalidInputError
        If D is not one finite, real, square, non-empty matrix, or another argument is outside its
        domain.
    UndecidedError
        If an eigenvalue agrees with the threshold to 131,072 bits.

    References
    ----------
    Sander et al. 2021, Theorem 1. Culver, On the existence and uniqueness of the real logarithm of
    a matrix, 1966. Cross and Lancaster, Square roots of complex matrices, 1974. Kågström and Ruhe,
    An algorithm for numerical computation of the Jordan normal form, 1980.

    Examples
    --------
    >>> import odemom
    >>> report = odemom.analyze([[-1, 1], [0, -1]], "1/2")
    >>> bool(report), report.obstructions[0].condition
    (False, 'every block size must occur an even number of times, but size 2 occurs once')
    >>> bool(odemom.analyze([[-1, 0], [0, -1]], "1/2"))
    True
    """
    matrices = read_matrices(D, exact)
    require_square(matrices.shape, "D", stacks=False)
    return _analyze(matrices, flow_of(eps), as_tolerance(tol, D, matrices), max_bits)


def _decide_together(matrices: np.ndarray, flow: Flow, tol: float) -> tuple[np.ndarray, np.ndarray]:
    """The verdicts of a stack that can be had in a vectorised way, and where."""
    shape, d = matrices.shape[:-2], matrices.shape[-1]
    if matrices.dtype != np.float64:
        return np.zeros(shape, dtype=bool), np.zeros(shape, dtype=bool)
    verdicts, decided = simple_verdicts(matrices.reshape(-1, d, d), flow.real_image, tol)
    return verdicts.reshape(shape), decided.reshape(shape)


def _analyze(matrix: np.ndarray, flow: Flow, tol: float, max_bits: int | None) -> Representability:
    if matrix.dtype != np.float64:
        return analyze_exact(ExactMatrix.from_entries(matrix.tolist(), max_bits), flow)
    if not matrix.any():
        # Relative to the norm 0 no perturbation is small: the zero matrix is exact.
        return analyze_exact(ExactMatrix.from_entries([[0] * len(matrix)] * len(matrix)), flow)
    return analyze_floating(in_range(matrix), flow, tol)
