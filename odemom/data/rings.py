"""Four nested rings in the plane: classes that no map without folds or crossings takes apart."""

from __future__ import annotations

import numpy as np

__all__ = ["NOISE", "RADII", "ring_labels", "rings"]

RADII = (0.5, 1.0, 1.5, 2.0)
NOISE = 0.02  # standard deviation, in each coordinate


def rings(generator: np.random.Generator, points: int, batch: tuple[int, ...] = ()) -> np.ndarray:
    """Points on the rings, equally many on each, at random angles, with a little noise.

    Parameters
    ----------
    generator : numpy.random.Generator
    points : int
        A multiple of 4; those of a ring stand together, the innermost first.
    batch : tuple of int
        How many such sets.

    Returns
    -------
    ndarray of float32
        (*batch, 2, points).

    Examples
    --------
    >>> x = rings(np.random.default_rng(0), 400)
    >>> np.hypot(*x).reshape(4, 100).mean(axis=1).round(1)
    array([0.5, 1. , 1.5, 2. ], dtype=float32)
    """
    radii = np.array(RADII, dtype=np.float32)[ring_labels(points)]
    angle = 2 * np.pi * generator.random((*batch, points), dtype=np.float32)
    x = np.stack([radii * np.cos(angle), radii * np.sin(angle)], axis=-2)
    return x + np.float32(NOISE) * generator.standard_normal(x.shape, dtype=np.float32)


def ring_labels(points: int) -> np.ndarray:
    """The ring of every point of `rings`, 0 for the innermost.

    Examples
    --------
    >>> ring_labels(8)
    array([0, 0, 1, 1, 2, 2, 3, 3])
    """
    return np.repeat(np.arange(len(RADII)), points // len(RADII))
