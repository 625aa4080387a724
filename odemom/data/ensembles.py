"""Random real matrices, each ensemble scaled so that its spectrum keeps its size as d grows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

__all__ = ["ENSEMBLES", "Ensemble"]


@dataclass(frozen=True)
class Ensemble:
    """A distribution of d x d matrices for every d.

    Attributes
    ----------
    key : int
        Part of the seed of its streams: never changed, so that old results can be had again.
    title : str
        For a figure.
    sample : callable
        ``sample(rng, n, d)``: an array of shape (n, d, d).
    """

    key: int
    title: str
    sample: Callable[[np.random.Generator, int, int], np.ndarray]


def ginibre(rng: np.random.Generator, n: int, d: int) -> np.ndarray:
    """Independent entries N(0, 1/d): the spectrum fills the unit disc as d grows.

    References
    ----------
    Edelman, The probability that a random real Gaussian matrix has k real eigenvalues, 1997.
    """
    return rng.standard_normal((n, d, d)) / np.sqrt(d)


def orthogonal(rng: np.random.Generator, n: int, d: int) -> np.ndarray:
    """The Haar measure on O(d): QR of a Gaussian matrix, the diagonal of R made positive.

    References
    ----------
    Mezzadri, How to generate random matrices from the classical compact groups, 2007.
    """
    q, r = np.linalg.qr(rng.standard_normal((n, d, d)))
    return q * np.where(np.diagonal(r, axis1=1, axis2=2) < 0, -1.0, 1.0)[:, None, :]


def symmetric(rng: np.random.Generator, n: int, d: int) -> np.ndarray:
    """(G + G')/sqrt(2 d), G of entries N(0, 1): the spectrum fills [-2, 2] (GOE)."""
    g = rng.standard_normal((n, d, d))
    return (g + g.transpose(0, 2, 1)) / np.sqrt(2 * d)


def integer(rng: np.random.Generator, n: int, d: int) -> np.ndarray:
    """Independent entries, uniform on {-9, ..., 9}, not scaled."""
    return rng.integers(-9, 9, size=(n, d, d), endpoint=True)


ENSEMBLES = {
    "ginibre": Ensemble(0, r"Ginibre, entries $N(0, 1/d)$", ginibre),
    "orthogonal": Ensemble(1, r"orthogonal, Haar on $O(d)$", orthogonal),
    "symmetric": Ensemble(2, r"symmetric, GOE on $[-2, 2]$", symmetric),
    "integer": Ensemble(3, r"integer, entries in $[-9, 9]$", integer),
}
