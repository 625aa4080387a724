"""The decision: exact against SymPy's Jordan form and python-flint, floating against LAPACK.

    python -m benchmarks.decision [--out DIR]

Of a random integer matrix, SymPy's jordan_form raises MatrixError or does not come back from d = 5
on. A ratio to it can therefore only be had where all eigenvalues are rational. The larger exact
sizes are compared with what python-flint needs for the characteristic polynomial, its factors and
their roots; the floating ones with the Schur form or the eigenvalues alone: one with many clusters
of eigenvalues takes far longer than that.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import flint
import numpy as np
import scipy.linalg
import sympy
from rich.console import Console

import odemom
from benchmarks._decision_worker import random_integers
from benchmarks.harness import Ratio, compare, seconds, table_of
from odemom.records import provenance, write_json
from tests.oracles import block_matrix, companion, conjugated, direct_sum, rotation_block

__all__ = ["integer_matrix", "run"]

EPS = "1/2"
LIMIT = 20.0  # seconds that SymPy is given
FLINT = "python-flint: charpoly, factor, roots"


def integer_matrix(d: int, seed: int) -> list[list[int]]:
    """U T U^{-1} with T triangular, its diagonal in [-3, 3], and U unimodular."""
    rng = np.random.default_rng(seed)
    triangular = np.triu(rng.integers(-1, 2, (d, d)), 1) + np.diag(rng.integers(-3, 4, d))
    lower = np.tril(rng.integers(-1, 2, (d, d)), -1) + np.eye(d, dtype=int)
    inverse = np.rint(np.linalg.inv(lower)).astype(int)
    return (lower @ triangular @ inverse).tolist()


def structured(*, paired: bool) -> list[list[int]]:
    """200 x 200, dense, with many repeated factors and Jordan blocks below the threshold.

    ``paired``: all of them occur in equal pairs, so that it is representable; else one block of the
    eigenvalue -1 is one too large, another is missing.
    """
    first = [3, 3, 2, 2, 1, 1] if paired else [4, 3, 2, 2, 1]
    rational = {
        Fraction(-1): [*first, 3, 3, 2, 2, 1, 1],
        Fraction(-2): [2] * 12,
        Fraction(-3): [1] * 20,
        Fraction(-5): [4, 4],
        Fraction(0): [3, 2, 1, 1],
        Fraction(2): [2, 2, 1, 1, 1],
    }
    form = direct_sum(
        block_matrix(rational),
        _blocks_of([-2, 0], [3, 3, 2, 2]),  # +- sqrt 2
        _blocks_of([1, -4, 0, 0, 0], [2, 2, 1, 1]),  # x^5 - 4 x + 1: three real roots
        _blocks_of([1, 3], [2, 2, 2, 2]),  # (-3 +- sqrt 5)/2
        *[rotation_block(-2, 1, 2)] * 11,
    )
    assert len(form) == 200
    integers: Any = [[int(x) for x in row] for row in form]  # ten times as fast as Fractions
    rows: Any = conjugated(integers, np.random.default_rng(1), steps=10 * len(form))
    return rows


def _blocks_of(coefficients: list[int], sizes: list[int]) -> list[list[Fraction]]:
    """Jordan blocks of these sizes for every root of an irreducible polynomial."""
    c, n = companion(coefficients), len(coefficients)
    blocks = []
    for k in sizes:
        rows = direct_sum(*[c] * k)
        for i in range(n * (k - 1)):
            rows[i][i + n] = Fraction(1)
        blocks.append(rows)
    return direct_sum(*blocks)


def by_flint(rows: list[list[int]]) -> list[Any]:
    """What the decision needs of python-flint before any comparison."""
    _, factors = flint.fmpz_mat(rows).charpoly().factor()
    return [factor.complex_roots() for factor, _ in factors]


def run() -> list[Ratio]:
    """The ratios."""
    found = [_rational(d) for d in (3, 5, 8)]
    for d in (100, 200, 300):
        rows = random_integers(d, seed=d)
        found.append(_exact(f"exact, random integers, d = {d}", rows, rounds=3 if d > 200 else 5))
    for paired, verdict in ((True, "yes"), (False, "no")):
        rows = structured(paired=paired)
        assert odemom.is_representable(rows, EPS) == paired
        found.append(_exact(f"exact, 200 x 200 of many Jordan blocks: {verdict}", rows, rounds=3))
    rng = np.random.default_rng(0)
    schur = ("scipy schur", scipy.linalg.schur)
    found.append(_floating("d = 500", rng.standard_normal((500, 500)), *schur))
    # The hard case: each pair is merged by rank decisions of its own on the whole matrix.
    q, _ = np.linalg.qr(rng.standard_normal((200, 200)))
    pairs = q @ np.diag(-np.repeat(np.linspace(1, 3, 100), 2)) @ q.T
    found.append(_floating("d = 200, 100 double eigenvalues below", pairs, *schur))
    stack = rng.standard_normal((100_000, 3, 3))
    found.append(_floating("100,000 of 3 x 3", stack, "numpy eigvals", np.linalg.eigvals))
    return found


def _rational(d: int) -> Ratio:
    rows = integer_matrix(d, seed=d)
    return compare(
        f"exact, rational eigenvalues, d = {d}",
        lambda: odemom.is_representable(rows, EPS),
        "sympy jordan_form",
        lambda: sympy.Matrix(rows).jordan_form(calc_transform=False),
        rounds=5,
    )


def _exact(name: str, rows: list[list[int]], rounds: int) -> Ratio:
    def ours() -> object:
        return odemom.is_representable(rows, EPS)

    return compare(name, ours, FLINT, lambda: by_flint(rows), rounds)


def _floating(
    name: str, matrices: np.ndarray, peer: str, theirs: Callable[[np.ndarray], object]
) -> Ratio:
    def ours() -> object:
        return odemom.is_representable(matrices, 0.5)

    return compare(f"floating, {name}", ours, peer, lambda: theirs(matrices), rounds=5)


# --- in processes of their own -----------------------------------------------------------------


def ask(request: dict[str, Any], limit: float) -> dict[str, Any]:
    """The worker's answer; one that does not come within ``limit`` seconds is killed."""
    command = [sys.executable, "-m", "benchmarks._decision_worker", json.dumps(request)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=limit)
    except subprocess.TimeoutExpired:
        return {"outcome": f"killed after {limit:g} s", "seconds": None}
    return json.loads(done.stdout)


def against_sympy(sizes: tuple[int, ...] = (2, 3, 4, 5, 6, 8, 12, 20, 40)) -> list[dict[str, Any]]:
    """SymPy's Jordan form of random integer matrices, and our decision on the same ones."""
    found = []
    for d in sizes:
        rows = random_integers(d, seed=d)
        odemom.is_representable(rows, EPS)
        ours = min(seconds(lambda rows=rows: odemom.is_representable(rows, EPS)) for _ in range(5))
        answer = ask({"kind": "sympy", "d": d, "seed": d}, LIMIT)
        found.append({"d": d, "ours_seconds": ours, "sympy": answer})
        print(f"d = {d}: ours {1e3 * ours:.2g} ms, sympy jordan_form: {answer}", flush=True)
    return found


def main() -> None:
    """Measure everything, print it, write it."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"))
    arguments = parser.parse_args()
    failures = against_sympy()
    memory = ask({"kind": "peak", "d": 200, "seed": 200}, 600)
    print(f"peak of the exact path at d = 200: {memory['peak'] / 2**20:.0f} MiB", flush=True)
    ratios = run()
    Console().print(table_of(ratios))
    payload = {
        "ratios": ratios,
        "sympy_on_random_integers": failures,
        "peak_bytes_exact_d_200": memory,
        "threads": os.environ.get("OMP_NUM_THREADS", "default"),
        **provenance(),
    }
    payload["versions"] |= {"python-flint": flint.__version__, "sympy": sympy.__version__}
    print(write_json(arguments.out / "decision.json", payload))


if __name__ == "__main__":
    main()
