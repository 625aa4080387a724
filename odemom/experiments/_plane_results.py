"""What training reached in the plane of diag(l1, l2), beside the representable set."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

__all__ = ["REACHED", "Escape", "Figure4Trained", "Plane", "distance"]

REACHED = 1e-3  # of the loss; half a step of the finest grid is 25 times as much


def distance(l1: np.ndarray, l2: np.ndarray, threshold: float) -> np.ndarray:
    """How far, in the Frobenius norm, diag(l1, l2) is from the representable matrices.

    An eigenvalue below the threshold is lifted to it, or the two are made to meet, by a matrix of
    rank one: what costs less.
    """
    low, high = np.minimum(l1, l2), np.maximum(l1, l2)
    least = np.minimum(threshold - low, (high - low) / 2)
    return np.where((low >= threshold) | (l1 == l2), 0.0, least)


@dataclass(frozen=True)
class Plane:
    """What training reached on a grid.

    Attributes
    ----------
    model : str
        "psi", "ODE block", or "depth N".
    seed : int
    scale : float
        Of the initial weights; see `Escape`.
    threshold : float
        lambda_eps, or the first minimum of the net.
    axis : tuple of float
        The values of l1 and l2.
    losses : tuple of tuple of float
        ||model(theta) - diag(l1, l2)|| for l1 = axis[j], l2 = axis[i], row i, column j.
    """

    model: str
    seed: int
    scale: float
    threshold: float
    axis: tuple[float, ...]
    losses: tuple[tuple[float, ...], ...]

    def cells(self, threshold: float | None = None) -> tuple[np.ndarray, np.ndarray]:
        """The losses, and the distances from what a threshold (by default its own) allows."""
        l1, l2 = np.meshgrid(self.axis, self.axis)
        edge = self.threshold if threshold is None else threshold
        return np.array(self.losses), distance(l1, l2, edge)

    def disagreements(self, threshold: float | None = None) -> int:
        """Cells reached though a threshold excludes them, or not reached though it allows them."""
        losses, distances = self.cells(threshold)
        return int(((losses < REACHED) != (distances == 0)).sum())


@dataclass(frozen=True)
class Escape:
    """Which cells beyond its first minimum a net reaches, from weights of some size.

    Attributes
    ----------
    depth : int
    start : str
        "normal": entries of standard deviation s; "turning": -s I and a fifth of that, so that the
        state turns from the first iteration on.
    scales : tuple of float
        The values of s.
    beyond, allowed : tuple of tuple of float
        The share reached of the cells that the first minimum excludes, and of those that it allows;
        one row per seed.
    """

    depth: int
    start: str
    scales: tuple[float, ...]
    beyond: tuple[tuple[float, ...], ...]
    allowed: tuple[tuple[float, ...], ...]


@dataclass(frozen=True)
class Figure4Trained:
    """All trainings.

    Attributes
    ----------
    planes : tuple of Plane
        One per model and seed.
    wide : tuple of Plane
        The wider square, from small and from large weights, one of each per seed.
    escapes : tuple of Escape
        One per depth and kind of start.
    least : tuple of float
        The least value of psi of the nets, depth by depth; -inf where there is none.
    """

    planes: tuple[Plane, ...]
    wide: tuple[Plane, ...]
    escapes: tuple[Escape, ...]
    least: tuple[float, ...]

    def of(self, model: str) -> list[Plane]:
        """The planes of a model, seed by seed."""
        return [plane for plane in self.planes if plane.model == model]
