"""Run every benchmark: ``python -m benchmarks --out results/bench``."""

from __future__ import annotations

import argparse
from pathlib import Path

from rich.console import Console

from benchmarks import decision, psi
from benchmarks.harness import table_of
from odemom.records import provenance, write_json

BENCHMARKS = {"psi": psi.run, "decision": decision.run}


def main() -> None:
    """Measure, print a table, write the numbers."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("results/bench"))
    parser.add_argument("--only", choices=sorted(BENCHMARKS))
    arguments = parser.parse_args()
    ratios = []
    for name, run in BENCHMARKS.items():
        if arguments.only in (None, name):
            ratios += run()
    Console().print(table_of(ratios))
    print(write_json(arguments.out / "ratios.json", {"ratios": ratios, **provenance()}))


if __name__ == "__main__":
    main()
