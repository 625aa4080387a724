"""odemom.spectrum: a matrix, factored once, and asked about as many flows as one likes."""

from __future__ import annotations

from typing import Any

import numpy as np

from odemom.checks import invalid
from odemom.representability.base import Spectrum
from odemom.representability.exact import ExactSpectrum, ZeroSpectrum
from odemom.representability.exact_matrix import ExactMatrix, as_max_bits, read_matrices
from odemom.representability.floating import FloatingSpectrum
from odemom.representability.schur import as_tolerance

__all__ = ["Spectrum", "spectrum"]


def spectrum(
    D: Any, *, tol: Any = None, exact: bool | None = None, max_bits: int | None = None
) -> Spectrum:
    """The spectrum of a matrix: factored once, it is decided for many flows at little more cost.

    Parameters
    ----------
    D : array_like of real numbers, shape (d, d), or Spectrum
        Exact numbers or floats, as in `odemom.analyze`; a spectrum is returned as it is.
    tol, exact, max_bits
        See `odemom.analyze`. A spectrum has its own.

    Returns
    -------
    Spectrum
        ``.decide(eps)`` is what `odemom.analyze` returns; ``.real_eigenvalues()``,
        ``.block_sizes(mu)``, ``.positions(eps)``, ``.minimal_eps()`` and ``.maximal_scale(eps)``
        are read off the same factors. Nothing is factored before it is needed, or twice.

    Raises
    ------
    InvalidInputError
        If D is not one finite, real, square, non-empty matrix, or another argument is outside its
        domain or given beside a spectrum.

    Examples
    --------
    The larger eps, the more is representable:

    >>> import odemom
    >>> found = odemom.spectrum([[-3, 1], [0, 4]], exact=False)
    >>> found.real_eigenvalues()
    (-3.0, 4.0)
    >>> found = odemom.spectrum([[-1, 0], [0, 4]])
    >>> [bool(found.decide(eps)) for eps in (0, "1/2", 10, "inf")]
    [False, False, False, True]
    """
    if isinstance(D, Spectrum):
        if any(given is not None for given in (tol, exact, max_bits)):
            raise invalid(
                "tol, exact, max_bits",
                got="one of them beside a spectrum",
                expected="them as arguments of odemom.spectrum, which made it",
            )
        return D
    matrix = read_matrices(D, exact, stacks=False)
    return spectrum_of(matrix, as_tolerance(tol, D, matrix), max_bits)


def spectrum_of(matrix: np.ndarray, tol: float, max_bits: int | None) -> Spectrum:
    """That of a matrix as `read_matrices` returns it: here it is decided who decides.

    Floats are judged with the tolerance; all else, and zero, in exact arithmetic.
    """
    if matrix.dtype != np.float64:
        return ExactSpectrum(ExactMatrix.from_entries(matrix.tolist(), max_bits))
    as_max_bits(max_bits)  # a budget that is none is refused, whoever decides
    if not matrix.any():
        return ZeroSpectrum(ExactMatrix.from_entries([[0] * len(matrix)] * len(matrix)))
    return FloatingSpectrum(matrix, tol)
