"""psi(theta) against the exponentials that a user could call instead.

Run by itself it measures everything and writes the ratios::

    OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 python -m benchmarks.psi
"""

from __future__ import annotations

import argparse
import os
import tracemalloc
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import scipy
import scipy.linalg
import scipy.sparse as sp
import scipy.sparse.linalg as sparse_linalg
import torch

import odemom
import odemom.nn
from benchmarks.harness import Ratio, compare
from odemom.records import provenance, write_json

__all__ = ["run"]

SCIPY = f"SciPy {scipy.__version__}"
PEER = f"{SCIPY}, expm of the companion matrix"
# Of the entries of psi, relative to its norm: a peer that is further off is wrong, not inaccurate.
SAME = 1e-8
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


def checked(peer: str, value: Any, expected: Any) -> None:
    """Refuse to time a peer that computes something else.

    Raises
    ------
    RuntimeError
        With the relative difference.
    """
    value, expected = np.asarray(value), np.asarray(expected)
    sizes = np.abs(expected).sum(axis=-2, keepdims=True).max(axis=-1, keepdims=True)
    difference = float((np.abs(value - expected) / sizes).max())
    if not difference <= SAME:
        raise RuntimeError(f"{peer}: differs from psi by {difference:.3g} of its norm.")


def one_size(d: int, eps: float) -> list[Ratio]:
    """Against both exponentials of SciPy, and torch's."""
    theta = matrix(d)
    built = companion(theta, eps)
    block = torch.as_tensor(built)
    rounds = 41 if d <= 64 else (15 if d <= 256 else 5)
    repeats = max(1, 2000 // d**2)
    peers = {
        PEER: lambda: scipy.linalg.expm(companion(theta, eps))[:d, :d],
        f"{PEER}, built before": lambda: scipy.linalg.expm(built),
        f"{SCIPY}, expm of theta": lambda: scipy.linalg.expm(theta),
        f"torch {torch.__version__}, matrix_exp of the companion matrix": (
            lambda: torch.linalg.matrix_exp(block)
        ),
    }

    def ours() -> None:
        for _ in range(repeats):
            odemom.psi(theta, eps)

    ratios = []
    value, exponential = odemom.psi(theta, eps), odemom.psi(theta, 0)
    for peer, call in peers.items():
        expected = exponential if peer.endswith("of theta") else value
        checked(peer, np.asarray(call())[:d, :d], expected)

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

    built = [companion(theta) for theta in stack]

    def theirs_built() -> None:
        for block in built:
            scipy.linalg.expm(block)

    name, peer = "psi, 10,000 of size 4", f"loop of {PEER}"
    ratios = [
        compare(name, lambda: odemom.psi(stack, EPS), peer, theirs, rounds=9),
        compare(name, lambda: odemom.psi(stack, EPS), f"{peer}, built before", theirs_built),
    ]
    blocks = np.array(built)
    try:
        checked(PEER, scipy.linalg.expm(blocks)[:, :4, :4], odemom.psi(stack, EPS))
    except RuntimeError as error:  # its issue 25924
        print(f"Not timed, of the whole stack at once: {error}")
        return ratios
    peer = f"{PEER}, of the whole stack, built before"
    at_once = partial(scipy.linalg.expm, blocks)
    return [*ratios, compare(name, lambda: odemom.psi(stack, EPS), peer, at_once, rounds=9)]


def laplacian(n: int) -> sp.csr_array:
    """Minus the graph Laplacian of the n x n grid."""
    offsets: Any = (-1, 0, 1)
    line = sp.diags_array([1.0, -2.0, 1.0], offsets=offsets, shape=(n, n)).tolil()
    line[0, 0] = line[-1, -1] = -1
    identity = sp.eye_array(n)
    return sp.csr_array(sp.kron(line, identity) + sp.kron(identity, line))


def separable(n: int, eps: float, horizon: float) -> tuple[np.ndarray, np.ndarray]:
    """A start of three product modes of the grid, and the solution from it."""
    nodes = np.arange(n) + 0.5
    start, end = np.zeros(n * n), np.zeros(n * n)
    for p, q in ((1, 2), (n // 12, n // 30), (n - 1, n // 2)):
        mode = np.outer(np.cos(np.pi * p * nodes / n), np.cos(np.pi * q * nodes / n)).ravel()
        z = -4 * (np.sin(np.pi * p / 2 / n) ** 2 + np.sin(np.pi * q / 2 / n) ** 2)
        start += mode
        end += odemom.flows.SecondOrder(eps, horizon=horizon).scalar(z) * mode
    return start, end


def action() -> tuple[list[Ratio], dict[str, float]]:
    """The telegraph equation on a grid, with the error and the peaks of memory."""
    theta, size = laplacian(GRID), GRID**2
    start, end = separable(GRID, 1.0, HORIZON)

    def ours() -> np.ndarray:
        return odemom.psi_multiply(theta, start, 1.0, horizon=HORIZON)

    def theirs() -> np.ndarray:
        identity = sp.eye_array(size, format="csr")
        block = HORIZON * sp.block_array([[None, identity], [theta, -identity]], format="csr")
        state = np.concatenate([start, np.zeros(size)])
        return sparse_linalg.expm_multiply(block, state, traceA=-HORIZON * size)[:size]

    peaks = {
        "psi_multiply, largest error": float(np.abs(ours() - end).max()),
        "expm_multiply, largest error": float(np.abs(theirs() - end).max()),
    }
    for name, call in (("psi_multiply", ours), ("expm_multiply", theirs)):
        tracemalloc.start()
        call()
        peaks[f"{name}, peak MB"] = tracemalloc.get_traced_memory()[1] / 1e6
        tracemalloc.stop()
    peer = f"{SCIPY}, expm_multiply of the companion matrix"
    return [compare(f"psi_multiply, grid {GRID} x {GRID}", ours, peer, theirs, rounds=5)], peaks


def convection(n: int = 300) -> list[Ratio]:
    """The same with a drift, so that theta is not symmetric; at eps = 0 against theta itself."""
    offsets: Any = (-1, 1)
    drift = sp.kron(sp.eye_array(n), sp.diags_array([-1.0, 1.0], offsets=offsets, shape=(n, n)))
    theta, size = sp.csr_array(laplacian(n) + 0.3 * drift), n * n
    start, identity = np.random.default_rng(0).standard_normal(size), sp.eye_array(size)
    state = np.concatenate([start, np.zeros(size)])

    def theirs() -> np.ndarray:
        block = HORIZON * sp.block_array([[None, identity], [theta, -identity]], format="csr")
        return sparse_linalg.expm_multiply(block, state, traceA=-HORIZON * size)[:size]

    peer, name = f"{SCIPY}, expm_multiply", f"psi_multiply, drift, {n} x {n}"
    return [
        compare(
            f"{name}, eps = {eps}",
            lambda eps=eps: odemom.psi_multiply(theta, start, eps, horizon=HORIZON),
            f"{peer} of {of}",
            call,
            rounds=5,
        )
        for eps, of, call in (
            (1, "the companion matrix", theirs),
            (0, "theta", lambda: sparse_linalg.expm_multiply(HORIZON * theta, start)),
        )
    ]


def backward() -> list[Ratio]:
    """Forward and backward of odemom.nn.psi, in forward evaluations: the peer is slower."""
    ratios = []
    for shape in ((64, 64), (256, 256), (512, 512), (1000, 8, 8), (100, 32, 32)):
        generator = torch.Generator().manual_seed(0)
        theta = torch.randn(*shape, dtype=torch.float64, generator=generator) / shape[-1] ** 0.5
        leaf, seed = theta.clone().requires_grad_(), torch.ones_like(theta)
        mass = torch.tensor(EPS, dtype=torch.float64, requires_grad=True)

        def forward(theta: torch.Tensor = theta) -> object:
            return odemom.nn.psi(theta, EPS)

        def both(leaf: torch.Tensor = leaf, seed: torch.Tensor = seed) -> object:
            return torch.autograd.grad(odemom.nn.psi(leaf, EPS), leaf, seed)

        def both_in_eps(
            leaf: torch.Tensor = leaf, mass: torch.Tensor = mass, seed: torch.Tensor = seed
        ) -> object:
            return torch.autograd.grad(odemom.nn.psi(leaf, mass), (leaf, mass), seed)

        name, peer = f"nn.psi forward, {shape}", "its forward and backward"
        ratios.append(compare(name, forward, peer, both, rounds=15))
        ratios.append(compare(name, forward, f"{peer}, in eps too", both_in_eps, rounds=15))
    return ratios


def throughput(device: str) -> list[Ratio]:
    """Stacks of tensors against torch's exponential of the companion matrices."""
    ratios = []
    for n, d in ((10_000, 4), (1000, 32), (16, 256)):
        generator = torch.Generator().manual_seed(0)
        stack = torch.randn(n, d, d, dtype=torch.float64, generator=generator) / d**0.5
        theta = stack.to(device)
        eye = torch.eye(d, dtype=theta.dtype, device=device).expand(n, d, d)
        top = torch.cat([torch.zeros_like(theta), eye], -1)
        block = torch.cat([top, torch.cat([theta / EPS, -eye / EPS], -1)], -2)

        def synchronised(call: Callable[[], object]) -> Callable[[], None]:
            def run() -> None:
                call()
                if device == "cuda":
                    torch.cuda.synchronize()

            return run

        ours = synchronised(lambda theta=theta: odemom.nn.psi(theta, EPS))
        theirs = synchronised(lambda block=block: torch.linalg.matrix_exp(block))
        peer = f"torch {torch.__version__}, matrix_exp of the companion matrices, built before"
        value = torch.linalg.matrix_exp(block)[:, :d, :d].cpu()
        checked(peer, value, odemom.nn.psi(theta, EPS).cpu())
        name = f"nn.psi, {n} of size {d}, {device}"
        ratios.append(compare(name, ours, peer, theirs, rounds=7))
    return ratios


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.psi", description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"))
    arguments = parser.parse_args()
    telegraph, peaks = action()
    devices = ["cpu", "cuda"] if torch.cuda.is_available() else ["cpu"]
    stacks = [ratio for device in devices for ratio in throughput(device)]
    ratios = [*run(), *batch(), *telegraph, *convection(), *backward(), *stacks]
    print(f"{SCIPY}, NumPy {np.__version__}, torch {torch.__version__}")
    for r in ratios:
        print(f"{r.name:34} {r.peer:64} {r.median:7.3g}  [{r.low:.3g}, {r.high:.3g}]")
    print(peaks)
    threads = {key: os.environ.get(key) for key in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS")}
    payload = {"ratios": ratios, "action": peaks, "threads": threads, **provenance(seed=0)}
    print(write_json(arguments.out / "psi.json", payload))


if __name__ == "__main__":
    main()
