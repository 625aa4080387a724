"""Stability of fixed points: spectra of the Jacobians of RevNets, ResNets and Momentum ResNets.

Proposition 1 of Sander et al. (2021): RevNets have no attracting fixed point, Momentum ResNets do.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from odemom.checks import as_array, as_float_matrices, as_number, expect, invalid, shown
from odemom.errors import ResultOverflowError

__all__ = ["momentum_spectrum", "resnet_spectrum", "revnet_jacobian", "revnet_spectrum"]


def revnet_jacobian(A: Any, B: Any) -> np.ndarray:
    """The Jacobian [[I, A], [B, I + B A]] of a reversible block at a fixed point.

    The block maps x to x + F(y), then y to y + G(x); A and B are the Jacobians of F and G.

    Parameters
    ----------
    A : array_like of real numbers, shape (p, q)
    B : array_like of real numbers, shape (q, p)

    Returns
    -------
    ndarray of float64, shape (p + q, p + q)

    Raises
    ------
    InvalidInputError
        If the arguments are not finite real matrices of such shapes.
    ResultOverflowError
        If B A, or for the spectrum an eigenvalue of it, exceeds the range of doubles.

    References
    ----------
    Sander et al. 2021, Proposition 1.

    Examples
    --------
    >>> revnet_jacobian([[2.0]], [[3.0]]).tolist()
    [[1.0, 2.0], [3.0, 7.0]]
    """
    a, b = _pair(A, B)
    with np.errstate(over="ignore", invalid="ignore"):
        corner = np.eye(len(b)) + b @ a
    _require_finite(corner, "the entries of B A")
    return np.block([[np.eye(len(a)), a], [b, corner]])


def revnet_spectrum(A: Any, B: Any) -> np.ndarray:
    """The eigenvalues of `revnet_jacobian`: (lam - 1)² = mu lam for the mu in Sp(B A).

    They come in reciprocal pairs, so with A and B invertible one of them has |lam| >= 1 and is not
    1: the fixed point is never attracting.

    Parameters
    ----------
    A : array_like of real numbers, shape (p, q)
    B : array_like of real numbers, shape (q, p)

    Returns
    -------
    ndarray of complex128, shape (p + q,)
        Each larger eigenvalue, then its reciprocal; last |p - q| ones.

    Raises
    ------
    InvalidInputError
        If the arguments are not finite real matrices of such shapes.
    ResultOverflowError
        If B A, or for the spectrum an eigenvalue of it, exceeds the range of doubles.

    References
    ----------
    Sander et al. 2021, Proposition 1.

    Examples
    --------
    >>> revnet_spectrum([[0.5]], [[1.0]]).real.tolist()
    [2.0, 0.5]
    """
    a, b = _pair(A, B)
    sizes = [np.exp2(np.floor(np.log2(np.abs(x).max() or 1.0))) for x in (a, b)]
    a, b = a / sizes[0], b / sizes[1]
    smaller = b @ a if len(b) <= len(a) else a @ b  # the other one has only zeros besides
    with np.errstate(over="ignore", invalid="ignore"):
        mu = np.linalg.eigvals(smaller).astype(np.complex128) * sizes[0] * sizes[1]
    _require_finite(mu, "the eigenvalues of B A")
    large, small = _roots(2 + mu, np.ones_like(mu))
    ones = np.ones(abs(len(a) - len(b)), dtype=np.complex128)
    return np.concatenate([np.stack([large, small], axis=-1).ravel(), ones])


def resnet_spectrum(K: Any) -> np.ndarray:
    """The eigenvalues 1 + kappa of the Jacobian I + K of a residual layer, kappa in Sp(K).

    Parameters
    ----------
    K : array_like of real numbers, shape (..., d, d)
        The Jacobian of the residual function at a fixed point.

    Returns
    -------
    ndarray of complex128, shape (..., d)

    Raises
    ------
    InvalidInputError
        If K is not a finite real square matrix, or a stack of them.
    ResultOverflowError
        If an eigenvalue of K exceeds the range of doubles.

    References
    ----------
    Sander et al. 2021, Proposition 1.

    Examples
    --------
    >>> resnet_spectrum([[-0.5]]).real.tolist()
    [0.5]
    """
    return 1 + _kappa(K)


def momentum_spectrum(K: Any, gamma: Any) -> np.ndarray:
    """The eigenvalues of a Momentum ResNet layer at a fixed point.

    (lam - 1)(lam - gamma) = lam (1 - gamma) kappa for the kappa in Sp(K). For gamma < 1 the fixed
    point is attracting exactly where every kappa lies inside the ellipse

        (Re kappa / c + 1)² + (Im kappa)² < 1,    c = (1 + gamma)/(1 - gamma),

    which meets the real line in -2 c < kappa < 0: with lam + gamma/lam = 1 + gamma + (1 - gamma)
    kappa, the circle |lam| = 1 is mapped onto the ellipse, and |lam| < 1 for both roots (their
    product is gamma) onto its inside. At gamma = 0 it is the disk |kappa + 1| < 1 of the ResNet.

    Parameters
    ----------
    K : array_like of real numbers, shape (..., d, d)
        The Jacobian of the residual function at a fixed point.
    gamma : number
        The momentum, in [0, 1].

    Returns
    -------
    ndarray of complex128, shape (..., 2 d)
        Of each kappa the eigenvalue of larger modulus, then gamma over it.

    Raises
    ------
    InvalidInputError
        If K is not a finite real square matrix, or a stack, or ``gamma`` is not in [0, 1].
    ResultOverflowError
        If an eigenvalue of K exceeds the range of doubles.

    References
    ----------
    Sander et al. 2021, Proposition 1.

    Examples
    --------
    >>> momentum_spectrum([[-1.0]], 0.5).real.round(12).tolist()
    [0.5, 0.5]

    On the edge of the ellipse of gamma = 1/2, for which c = 3, one of the roots has modulus 1:

    >>> K = [[-3.0, 1.0], [-1.0, -3.0]]  # kappa = -3 ± i
    >>> abs(momentum_spectrum(K, 0.5)).round(12).tolist()
    [1.0, 0.5, 1.0, 0.5]
    """
    expected = "a number in [0, 1]"
    value = as_number(gamma, "gamma", expected)
    expect(0 <= value <= 1, "gamma", got=shown(gamma), expected=expected)
    g, rest = float(value), float(1 - value)  # of an exact gamma the difference is exact
    kappa = _kappa(K)
    large, small = _roots(1 + g + rest * kappa, np.full_like(kappa, g))
    return np.stack([large, small], axis=-1).reshape(*kappa.shape[:-1], -1)


def _roots(total: np.ndarray, product: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The roots of lam² - total lam + product: the larger without cancellation, then the other."""
    # Divided by a power of two near their size, so that no square leaves the doubles.
    size = np.maximum(np.maximum(np.abs(np.real(total)), np.abs(np.imag(total))), 1.0)
    scale = np.exp2(np.floor(np.log2(size)))
    scaled = total / scale
    root = np.sqrt(scaled**2 - 4 * (product / scale / scale))
    sign = np.where(np.real(scaled.conj() * root) >= 0, 1, -1)
    large = (scaled + sign * root) / 2 * scale
    small = np.divide(product, large, out=np.zeros_like(large), where=large != 0)
    return large, small


def _kappa(K: Any) -> np.ndarray:
    """The eigenvalues of K."""
    kappa = np.linalg.eigvals(as_float_matrices(K, "K")).astype(np.complex128)
    _require_finite(kappa, "the eigenvalues of K", "K")
    return kappa


def _require_finite(values: np.ndarray, what: str, given: str = "A and B") -> None:
    if not np.isfinite(values).all():
        raise ResultOverflowError(f"{what} exceed the range of doubles. Scale {given}.")


def _pair(A: Any, B: Any) -> tuple[np.ndarray, np.ndarray]:
    a, b = _matrix(A, "A"), _matrix(B, "B")
    if a.shape != b.shape[::-1]:
        raise invalid(
            "A, B",
            got=f"shapes {a.shape} and {b.shape}",
            expected="shapes (p, q) and (q, p)",
        )
    return a, b


def _matrix(value: Any, name: str) -> np.ndarray:
    expected = "a finite real matrix"
    array = as_array(value, name, expected)
    fits = array.ndim == 2 and array.size > 0 and array.dtype.kind in "iuf"
    expect(fits, name, got=f"{array.dtype} of shape {array.shape}", expected=expected)
    array = array.astype(np.float64)
    expect(np.isfinite(array).all(), name, got="an entry that is not finite", expected=expected)
    return array
