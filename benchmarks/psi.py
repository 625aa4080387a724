"""psi(theta) against the exponentials that a user could call instead.

Run by itself it measures everything and writes the ratios::

    OMP_NUM_THREADS=2 OPENBLAS_NUM_THREADS=2 python -m benchmarks.psi
"""

from __future__ import annotations

import argparse
import os
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import scipy.linalg
import scipy.sparse as sp
import scipy.sparse.linalg as sparse_linalg
import torch

import odemom
import odemom.nn
from benchmarks.harness import Ratio, compare
from odemom.records import provenance, write_json

__all__ = ["run"]

PEER = "scipy.linalg.expm of the companion matrix"
EPS = 0.5
SIZES = (2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)
GRID, HORIZON = 500, 10.0


def companion(theta: np.ndarray, eps: float = EPS) -> np.ndarray:
    """The matrix that takes (x, x') to its derivative."""
    d = len(theta)
    top = np.hstack([np.zeros((d, d)), np.eye(d)])
    return np.vstack([top, np.hstack([theta / eps, -np.eye(d) / eps])])


def matrix(d: int) -> np.ndarray:
    """Gaussian, of spectral radius near 1."""
    return np.random.default_rng(d).standard_normal((d, d)) / np.sqrt(d)


def one_size(d: int, eps: float) -> list[Ratio]:
    """Against both exponentials of SciPy, and torch's."""
    theta = matrix(d)
    block = torch.as_tensor(companion(theta, eps))
    rounds = 41 if d <= 64 else (15 if d <= 256 else 5)
    repeats = max(1, 2000 // d**2)
    peers = {
        PEER: lambda: scipy.linalg.expm(companion(theta, eps))[:d, :d],
        "scipy.linalg.expm of theta": lambda: scipy.linalg.expm(theta),
        "torch.linalg.matrix_exp of the companion matrix": lambda: torch.linalg.matrix_exp(block),
    }

    def ours() -> None:
        for _ in range(repeats):
            odemom.psi(theta, eps)

    ratios = []
    for peer, call in peers.items():

        def theirs(call=call) -> None:
            for _ in range(repeats):
                call()

        ratios.append(compare(f"psi, d = {d}, eps = {eps}", ours, peer, theirs, rounds=rounds))
    return ratios


def run() -> list[Ratio]:
    """One ratio for every size and peer."""
    ratios = []
    for d in SIZES:
        for eps in (EPS, 0.01) if d >= 128 else (EPS,):
            ratios += one_size(d, eps)
    return ratios


def batch() -> list[Ratio]:
    """10,000 matrices of size 4 against a loop, which is what a user of expm writes."""
    stack = np.random.default_rng(0).standard_normal((10_000, 4, 4)) / 2

    def theirs() -> None:
        for theta in stack:
            scipy.linalg.expm(companion(theta))[:4, :4]

    ours = lambda: odemom.psi(stack, EPS)  # noqa: E731
    return [compare("psi, 10,000 of size 4", ours, f"loop of {PEER}", theirs, rounds=5)]


def laplacian(n: int) -> sp.csr_array:
    """Minus the graph Laplacian of the n x n grid."""
    offsets: Any = (-1, 0, 1)
    line = sp.diags_array([1.0, -2.0, 1.0], offsets=offsets, shape=(n, n)).tolil()
    line[0, 0] = line[-1, -1] = -1
    identity = sp.eye_array(n)
    return sp.csr_array(sp.kron(line, identity) + sp.kron(identity, line))


def action() -> tuple[list[Ratio], dict[str, float]]:
    """The telegraph equation on a grid, with the peaks of memory."""
    theta, size = laplacian(GRID), GRID**2
    start = np.random.default_rng(0).standard_normal(size)

    def ours() -> np.ndarray:
        return odemom.psi_multiply(theta, start, 1.0, horizon=HORIZON)

    def theirs() -> np.ndarray:
        identity = sp.eye_array(size, format="csr")
        block = HORIZON * sp.block_array([[None, identity], [theta, -identity]], format="csr")
        state = np.concatenate([start, np.zeros(size)])
        return sparse_linalg.expm_multiply(block, state, traceA=-HORIZON * size)[:size]

    peaks = {}
    for name, call in (("psi_multiply", ours), ("expm_multiply", theirs)):
        tracemalloc.start()
        call()
        peaks[f"{name}, peak MB"] = tracemalloc.get_traced_memory()[1] / 1e6
        tracemalloc.stop()
    peer = "scipy.sparse.linalg.expm_multiply of the companion matrix"
    return [compare(f"psi_multiply, grid {GRID} x {GRID}", ours, peer, theirs, rounds=5)], peaks


def backward() -> list[Ratio]:
    """Forward and backward of odemom.nn.psi, in forward evaluations: the peer is slower."""
    ratios = []
    for shape in ((64, 64), (256, 256), (512, 512), (1000, 8, 8), (100, 32, 32)):
        generator = torch.Generator().manual_seed(0)
        theta = torch.randn(*shape, dtype=torch.float64, generator=generator) / shape[-1] ** 0.5
        leaf, seed = theta.clone().requires_grad_(), torch.ones_like(theta)

        def forward(theta: torch.Tensor = theta) -> object:
            return odemom.nn.psi(theta, EPS)

        def both(leaf: torch.Tensor = leaf, seed: torch.Tensor = seed) -> object:
            return torch.autograd.grad(odemom.nn.psi(leaf, EPS), leaf, seed)

        name = f"nn.psi forward, {shape}"
        ratios.append(compare(name, forward, "its forward and backward", both, rounds=15))
    return ratios


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.psi", description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/psi.json"))
    arguments = parser.parse_args()
    telegraph, peaks = action()
    ratios = [*run(), *batch(), *telegraph, *backward()]
    for r in ratios:
        print(f"{r.name:32} {r.peer:58} {r.median:7.3g}  [{r.low:.3g}, {r.high:.3g}]")
    print(peaks)
    threads = {key: os.environ.get(key) for key in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS")}
    payload = {"ratios": ratios, "memory": peaks, "threads": threads, **provenance(seed=0)}
    print(write_json(arguments.out, payload))


if __name__ == "__main__":
    main()
