"""Public test matrices of the matrix exponential and of numerical linear algebra, by definition.

The families are those of Higham's gallery, of the collections of test matrices for functions of
matrices, and of papers on the exponential, written down from their formulas.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

__all__ = ["gallery"]


def triw(d: int, above: float = -1.0, unit: float = 1.0) -> np.ndarray:
    """Unit upper triangular, one number above the diagonal (Kahan, Golub, Wilkinson)."""
    return unit * np.eye(d) + above * np.triu(np.ones((d, d)), 1)


def condex(d: int, theta: float = 100.0) -> np.ndarray:
    """The counterexample to LINPACK's estimate: I + theta Q Q^T, Q an orthonormal pair."""
    x = np.ones((d, 2))
    x[:, 1] = (-1.0) ** np.arange(d) * (1 + np.arange(d) / (d - 1))
    q = np.linalg.qr(x)[0]
    return np.eye(d) + theta * q @ q.T


def condex_upper(d: int, angle: float = 1.0) -> np.ndarray:
    """The triangular counterexample of Cline and Rew: -cos above a diagonal of ones."""
    return triw(d, -math.cos(angle))


def kahan(d: int, angle: float = 1.2) -> np.ndarray:
    """Upper trapezoidal, rows that shrink by sin(angle)."""
    return np.diag(math.sin(angle) ** np.arange(d)) @ triw(d, -math.cos(angle))


def grcar(d: int, k: int = 3) -> np.ndarray:
    """Toeplitz, -1 below the diagonal and k + 1 diagonals of ones."""
    return sum((np.eye(d, k=j) for j in range(k + 1)), -np.eye(d, k=-1))


def chebspec(d: int) -> np.ndarray:
    """Differentiation at Chebyshev points, nilpotent in exact arithmetic."""
    x = np.cos(np.pi * np.arange(d + 1) / d)
    c = np.ones(d + 1)
    c[[0, -1]] = 2
    c *= (-1.0) ** np.arange(d + 1)
    gaps = x[:, None] - x + np.eye(d + 1)
    matrix = np.outer(c, 1 / c) / gaps
    matrix -= np.diag(matrix.sum(axis=1))
    return matrix[1:, 1:]


def frank(d: int) -> np.ndarray:
    """Upper Hessenberg, determinant 1, ill-conditioned eigenvalues."""
    i, j = np.indices((d, d))
    return np.where(j >= i - 1, d - np.maximum(i, j), 0).astype(float)


def lotkin(d: int) -> np.ndarray:
    """Hilbert's matrix with a first row of ones."""
    i, j = np.indices((d, d)) + 1.0
    matrix = 1 / (i + j - 1)
    matrix[0] = 1
    return matrix


def redheffer(d: int) -> np.ndarray:
    """1 where i divides j or j = 1."""
    i, j = np.indices((d, d)) + 1
    return ((j % i == 0) | (j == 1)).astype(float)


def riemann(d: int) -> np.ndarray:
    """i - 1 where i divides j, else -1, of indices from 2."""
    i, j = np.indices((d, d)) + 2
    return np.where(j % i == 0, i - 1.0, -1.0)


def clement(d: int) -> np.ndarray:
    """Tridiagonal with zero diagonal and eigenvalues d - 1, d - 3, ..."""
    k = np.arange(1.0, d)
    return np.diag(k, -1) + np.diag(k[::-1], 1)


def forsythe(d: int, corner: float = 1e-8, value: float = 0.0) -> np.ndarray:
    """A perturbed Jordan block."""
    matrix = value * np.eye(d) + np.eye(d, k=1)
    matrix[-1, 0] = corner
    return matrix


def gearmat(d: int) -> np.ndarray:
    """Tridiagonal ones with two corners."""
    matrix = np.eye(d, k=1) + np.eye(d, k=-1)
    matrix[0, -1], matrix[-1, 0] = 1, -1
    return matrix


def invhess(d: int) -> np.ndarray:
    """The inverse of an upper Hessenberg matrix."""
    x, y = np.arange(1.0, d + 1), -np.arange(1.0, d)
    matrix = np.tril(np.tile(x, (d, 1)))
    matrix[:-1] += np.triu(np.tile(y, (d, 1)).T, 1)[:, :d][: d - 1] if d > 1 else 0
    return matrix


def leslie(d: int) -> np.ndarray:
    """A population model: births in the first row, survival below the diagonal."""
    matrix = np.diag(np.full(d - 1, 0.9), -1)
    matrix[0] = np.linspace(0.5, 2.0, d)
    return matrix


def lesp(d: int) -> np.ndarray:
    """Tridiagonal, real and sensitive eigenvalues."""
    k = np.arange(2.0, d + 1)
    return np.diag(-(2 * np.arange(2.0, d + 2) + 1)) + np.diag(k, 1) + np.diag(1 / k, -1)


def parter(d: int) -> np.ndarray:
    """Cauchy and Toeplitz, singular values near pi."""
    i, j = np.indices((d, d))
    return 1 / (i - j + 0.5)


def smoke(d: int, closed: bool = False) -> np.ndarray:
    """Trefethen's smoke rings: the real and imaginary parts in blocks."""
    half = d // 2
    roots = np.exp(2j * np.pi * np.arange(1, half + 1) / half)
    matrix = np.diag(roots) + np.eye(half, k=1)
    if closed:
        matrix[-1, 0] = 1
    return np.block([[matrix.real, -matrix.imag], [matrix.imag, matrix.real]])


def tridiagonal(d: int, below: float, middle: float, above: float) -> np.ndarray:
    """Toeplitz and tridiagonal."""
    return below * np.eye(d, k=-1) + middle * np.eye(d) + above * np.eye(d, k=1)


def wilkinson(d: int) -> np.ndarray:
    """Tridiagonal, with pairs of nearly equal eigenvalues."""
    return tridiagonal(d, 1.0, 0.0, 1.0) - np.diag(np.abs(np.arange(d) - (d - 1) / 2))


def signs(d: int) -> np.ndarray:
    """-1 and 0, in stripes above the diagonal."""
    i, j = np.indices((d, d))
    return np.where((j >= i) & ((i - j) % 3 != 0), 0.0, -1.0)


def pascal_log(d: int) -> np.ndarray:
    """Nilpotent, of which Pascal's triangle is the exponential."""
    return np.diag(np.arange(1.0, d), -1)


def two_by_two() -> dict[str, np.ndarray]:
    """Small examples of Moler and Van Loan, Ward, Kenney and Laub, Dieci and Papini, Higham."""
    return {
        "moler-van-loan": np.array([[-49.0, 24.0], [-64.0, 31.0]]),
        "overscaling 1e6": np.array([[1.0, 1e6], [0.0, -1.0]]),
        "overscaling 1e7": np.array([[0.5, 1e7], [0.0, -0.5]]),
        "nearly equal": np.array([[1 + 1e-8, 1.0], [0.0, 1 - 1e-8]]),
        "ward 1": np.array([[4.0, 2, 0], [1, 4, 1], [1, 1, 4]]),
        "ward 3": np.array([[-131.0, 19, 18], [-390, 56, 54], [-387, 57, 52]]),
        "ward 2": np.array(
            [
                [29.87942128909879, 0.7815750847907159, -2.289519314033932],
                [0.7815750847907159, 25.72656945571064, 8.680737820540137],
                [-2.289519314033932, 8.680737820540137, 34.39400925519054],
            ]
        ),
        "rotation": np.array([[0.0, 100.0], [-100.0, 0.0]]),
        "najfeld-havel": np.array([[-1.0, 1e4, 0], [0, -2, 1e4], [0, 0, -3]]),
        "kenney-laub": np.array(
            [[48.0, -49, 50, 49], [0, -2, 100, 0], [0, -1, -2, 1], [-50, 50, 50, -52]]
        ),
        "dieci-papini": np.array([[1.0, 1e4], [-1e-4, 1.0]]),
        "badly scaled": np.array(
            [[0.0, 1e-8, 0], [-2e10 - 4e8 / 6, -3, 2e10], [200 / 3, 0, -200 / 3]]
        ),
    }


FAMILIES: dict[str, Any] = {
    "triw": triw,
    "triw nilpotent": lambda d: triw(d, 1.0, 0.0),
    "triw stable": lambda d: triw(d, 2.0, -1.0),
    "condex": lambda d: condex(d) / 20,
    "condex upper": condex_upper,
    "condex upper, 0.3": lambda d: condex_upper(d, 0.3),
    "kahan": kahan,
    "grcar": grcar,
    "chebspec": chebspec,
    "frank": lambda d: frank(d) / d,
    "lotkin": lotkin,
    "redheffer": redheffer,
    "riemann": lambda d: riemann(d) / d,
    "clement": lambda d: clement(d) / math.sqrt(d),
    "forsythe": forsythe,
    "forsythe stable": lambda d: forsythe(d, 1e-8, -2.0),
    "gear": gearmat,
    "inverse hessenberg": lambda d: invhess(d) / d,
    "leslie": leslie,
    "lesp": lesp,
    "parter": parter,
    "smoke": smoke,
    "smoke closed": lambda d: smoke(d, True),
    "heat": lambda d: tridiagonal(d, 1.0, -2.0, 1.0) * d,
    "transport": lambda d: tridiagonal(d, 10.0, -10.0, 0.0),
    "drift": lambda d: tridiagonal(d, 8.0, -10.0, 2.0),
    "signs": signs,
    "pascal": pascal_log,
    "cauchy": lambda d: 1 / (np.add.outer(np.arange(1.0, d + 1), np.arange(1.0, d + 1))),
    "minij": lambda d: -np.minimum.outer(np.arange(1.0, d + 1), np.arange(1.0, d + 1)) / d,
    "lehmer": lambda d: (
        np.minimum.outer(np.arange(1.0, d + 1), np.arange(1.0, d + 1))
        / np.maximum.outer(np.arange(1.0, d + 1), np.arange(1.0, d + 1))
    ),
    "jordan": lambda d: tridiagonal(d, 0.0, -1.0, 1.0),
    "jordan, large": lambda d: tridiagonal(d, 0.0, 0.5, 10.0),
    "wilkinson": lambda d: (
        tridiagonal(d, 1.0, 0.0, 1.0) - np.diag(np.abs(np.arange(d) - (d - 1) / 2))
    ),
    "triangular random": lambda d: np.triu(np.random.default_rng(d).standard_normal((d, d))),
    "badly scaled triangle": lambda d: (
        np.triu(np.random.default_rng(d).standard_normal((d, d)))
        * np.outer(10.0 ** np.linspace(3, -3, d), 10.0 ** np.linspace(-3, 3, d))
    ),
    "random": lambda d: np.random.default_rng(d).standard_normal((d, d)) / math.sqrt(d),
}


def gallery(sizes: tuple[int, ...] = (4, 10, 24, 48)) -> dict[str, np.ndarray]:
    """The families in every size, and the small examples."""
    cases = {f"{name} d={d}": make(d) for name, make in FAMILIES.items() for d in sizes}
    return {**cases, **two_by_two()}
