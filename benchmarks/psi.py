"""psi(theta) against SciPy's exponential of the 2d x 2d companion matrix."""

from __future__ import annotations

import numpy as np
import scipy.linalg

import odemom
from benchmarks.harness import Ratio, compare

__all__ = ["run"]

PEER = "scipy.linalg.expm of the companion matrix"
EPS = 0.5


def companion(theta: np.ndarray) -> np.ndarray:
    """The matrix that takes (x, x') to its derivative."""
    d = len(theta)
    top = np.hstack([np.zeros((d, d)), np.eye(d)])
    return np.vstack([top, np.hstack([theta / EPS, -np.eye(d) / EPS])])


def run() -> list[Ratio]:
    """One ratio for every size."""
    rng = np.random.default_rng(0)
    ratios = []
    for d in (4, 16, 64, 128, 256, 512):
        theta = rng.standard_normal((d, d)) / np.sqrt(d)

        def ours(theta: np.ndarray = theta) -> object:
            return odemom.psi(theta, EPS)

        def theirs(theta: np.ndarray = theta, d: int = d) -> object:
            return scipy.linalg.expm(companion(theta))[:d, :d]

        ratios.append(compare(f"psi, d = {d}", ours, PEER, theirs))
    return ratios
