"""Splits of labelled images that keep the shares of the classes."""

from __future__ import annotations

import numpy as np

from odemom.checks import counted, expect

__all__ = ["parts", "taken"]


def taken(labels: np.ndarray, count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Positions of ``count`` entries, with the shares of the classes, and the positions left.

    Shares are rounded by the largest remainder, so that the counts add up. Both lists are in
    increasing order.

    Parameters
    ----------
    labels : ndarray of int, shape (n,)
    count : int
        At most n.
    seed : int
        Of the choice within each class.

    Examples
    --------
    >>> labels = np.repeat([0, 1], [6, 3])
    >>> one, other = taken(labels, 3, seed=0)
    >>> labels[one].tolist(), len(other)
    ([0, 0, 1], 6)
    """
    rng = np.random.default_rng((seed, 7))
    classes, sizes = np.unique(labels, return_counts=True)
    exact = sizes * count / max(len(labels), 1)
    quota = np.floor(exact).astype(int)
    largest = np.argsort(quota - exact, kind="stable")[: count - quota.sum()]
    quota[largest] += 1
    chosen = np.zeros(len(labels), dtype=bool)
    for label, number in zip(classes, quota, strict=True):
        chosen[rng.permutation(np.flatnonzero(labels == label))[:number]] = True
    return np.flatnonzero(chosen), np.flatnonzero(~chosen)


def parts(labels: np.ndarray, share: float, seed: int, what: str) -> tuple[np.ndarray, np.ndarray]:
    """Positions of a share of every class, at least one image of each, and the positions left.

    Raises
    ------
    InvalidInputError
        If a class has only one image, which cannot be in both.
    """
    if share == 0:
        return np.arange(0), np.arange(len(labels))
    classes, sizes = np.unique(labels, return_counts=True)
    expect(
        sizes.min() > 1,
        "data",
        got=f"a class with {counted(sizes.min(), 'image')}",
        expected=f"at least two images of each class, one of them for {what}",
    )
    rng = np.random.default_rng((seed, 11))
    chosen = np.zeros(len(labels), dtype=bool)
    for label, size in zip(classes, sizes, strict=True):
        number = min(max(round(share * size), 1), size - 1)
        chosen[rng.permutation(np.flatnonzero(labels == label))[:number]] = True
    return np.flatnonzero(chosen), np.flatnonzero(~chosen)
