"""One request of the benchmark of the decision, in a process of its own that may be killed."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import numpy as np

__all__ = ["random_integers"]


def random_integers(d: int, seed: int) -> list[list[int]]:
    """Independent entries, uniform on {-9, ..., 9}."""
    return np.random.default_rng(seed).integers(-9, 9, (d, d), endpoint=True).tolist()


def sympy_jordan(request: dict) -> dict:
    """How long SymPy takes for the Jordan form of a random integer matrix, or how it fails."""
    import sympy

    matrix = sympy.Matrix(random_integers(request["d"], request["seed"]))
    start = time.perf_counter()
    try:
        matrix.jordan_form(calc_transform=False)
    except sympy.matrices.exceptions.MatrixError as error:
        return {"outcome": f"MatrixError: {error}", "seconds": time.perf_counter() - start}
    return {"outcome": "answered", "seconds": time.perf_counter() - start}


def peak(request: dict) -> dict:
    """The largest resident set before and after an exact decision, in bytes."""
    import odemom

    odemom.is_representable([[1]], "1/2")
    matrix = random_integers(request["d"], request["seed"])
    before = _largest_resident_set()
    odemom.is_representable(matrix, "1/2")
    return {"before": before, "peak": _largest_resident_set()}


def _largest_resident_set() -> int:
    # Of this program: getrusage's ru_maxrss would count that of the parent before exec.
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024


KINDS = {"sympy": sympy_jordan, "peak": peak}

if __name__ == "__main__":
    asked = json.loads(sys.argv[1])
    print(json.dumps(KINDS[asked["kind"]](asked)))
