"""Spectra of random layers at a fixed point: by formula, and from the whole Jacobian."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.optimize import linear_sum_assignment

import odemom

__all__ = [
    "Spectra",
    "SpectraTask",
    "distance_of_spectra",
    "momentum_jacobian",
    "random_jacobians",
    "spectra",
]

GAMMA = 0.6


@dataclass(frozen=True)
class SpectraTask:
    """Spectra of one dimension, by formula and from the whole Jacobian."""

    dimension: int
    seeds: int


@dataclass(frozen=True)
class Spectra:
    """Spectra of one dimension; mappings name the net.

    Attributes
    ----------
    dimension, seeds : int
    error : mapping of str to float
        The largest distance between eigenvalues by formula and by NumPy, matched one to one.
    formula_seconds, numpy_seconds : mapping of str to float
        Of the processor, the least over the seeds: others on the machine count little.
    pair_error : float
        The largest |lam lam' - 1| in the pairs of a RevNet's eigenvalues as NumPy finds them.
    smallest_radius : float
        The smallest spectral radius of a RevNet's Jacobian.
    twin_error : float
        Of the square roots of Sp(A B) against NumPy on [[0, A], [B, 0]].
    twin_largest_real : float
        The smallest, over the seeds, of the largest real part in the RevNet's twin.
    """

    dimension: int
    seeds: int
    error: dict[str, float]
    formula_seconds: dict[str, float]
    numpy_seconds: dict[str, float]
    pair_error: float
    smallest_radius: float
    twin_error: float
    twin_largest_real: float


def spectra(task: SpectraTask) -> Spectra:
    """Compare the spectra of one dimension."""
    d, draws = (
        task.dimension,
        [random_jacobians(task.dimension, seed) for seed in range(task.seeds)],
    )
    eigvals = np.linalg.eigvals
    gamma, narrow = GAMMA, d - d // 3
    pairs: dict[str, tuple[Callable[..., Any], Callable[..., Any]]] = {
        "RevNet": (
            lambda A, B, K: odemom.revnet_spectrum(A, B),
            lambda A, B, K: eigvals(odemom.revnet_jacobian(A, B)),
        ),
        "RevNet, unequal halves": (
            lambda A, B, K: odemom.revnet_spectrum(A[:, :narrow], B[:narrow]),
            lambda A, B, K: eigvals(odemom.revnet_jacobian(A[:, :narrow], B[:narrow])),
        ),
        "Momentum ResNet": (
            lambda A, B, K: odemom.momentum_spectrum(K, gamma),
            lambda A, B, K: eigvals(momentum_jacobian(K, gamma)),
        ),
        "ResNet": (
            lambda A, B, K: odemom.resnet_spectrum(K),
            lambda A, B, K: eigvals(np.eye(d) + K),
        ),
    }
    for both in pairs.values():  # the first call of a routine takes longer
        _compared(*both, draws[0])
    measured = {name: [_compared(*both, draw) for draw in draws] for name, both in pairs.items()}
    full = [eigvals(odemom.revnet_jacobian(A, B)) for A, B, _ in draws]
    twins = [_revnet_twin(A, B) for A, B, _ in draws]
    return Spectra(
        dimension=d,
        seeds=task.seeds,
        error={name: max(m[0] for m in found) for name, found in measured.items()},
        formula_seconds={n: min(m[1] for m in f) for n, f in measured.items()},
        numpy_seconds={n: min(m[2] for m in f) for n, f in measured.items()},
        pair_error=max(distance_of_spectra(lam, 1 / lam) for lam in full),
        smallest_radius=float(min(np.abs(lam).max() for lam in full)),
        twin_error=max(error for error, _ in twins),
        twin_largest_real=min(real for _, real in twins),
    )


def random_jacobians(d: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Random A, B, K with spectra of radius near 1; those of K lie around -1."""
    A, B, K = np.random.default_rng([seed, d]).standard_normal((3, d, d)) / np.sqrt(d)
    return A, B, 0.6 * K - np.eye(d)


def _compared(formula: Any, whole: Any, draw: Any) -> tuple[float, float, float]:
    start = time.process_time()
    quick = formula(*draw)
    middle = time.process_time()
    slow = whole(*draw)
    end = time.process_time()
    return distance_of_spectra(quick, slow), middle - start, end - middle


def _revnet_twin(A: np.ndarray, B: np.ndarray) -> tuple[float, float]:
    zero = np.zeros_like(A)
    whole = np.linalg.eigvals(np.block([[zero, A], [B, zero]]))
    root = np.sqrt(np.linalg.eigvals(A @ B).astype(np.complex128))
    return distance_of_spectra(np.concatenate([root, -root]), whole), float(whole.real.max())


def momentum_jacobian(K: np.ndarray, gamma: float) -> np.ndarray:
    """The Jacobian of a Momentum ResNet layer in (x, v), shape (..., 2 d, 2 d)."""
    eye = np.broadcast_to(np.eye(K.shape[-1]), K.shape)
    velocity = np.concatenate([(1 - gamma) * K, gamma * eye], axis=-1)
    position = np.concatenate([eye, np.zeros_like(K)], axis=-1) + velocity
    return np.concatenate([position, velocity], axis=-2)


def distance_of_spectra(left: np.ndarray, right: np.ndarray) -> float:
    """The largest distance between two spectra, matched one to one at least cost."""
    cost = np.abs(left[:, None] - right[None, :])
    return float(cost[linear_sum_assignment(cost)].max())
