"""Run every benchmark: ``python -m benchmarks --out results/bench``."""

from __future__ import annotations

import argparse
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks import decision, psi
from odemom.records import provenance, write_json

BENCHMARKS = {"psi": psi.run, "decision": decision.run}


def main() -> None:
    """Measure, print a table, write the numbers."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("results/bench"))
    parser.add_argument("--only", choices=sorted(BENCHMARKS))
    arguments = parser.parse_args()
    table = Table(title="how many times longer the peer takes")
    for heading in ("measured", "peer", "ratio", "quartiles", "ours, ms"):
        table.add_column(heading, justify="left" if heading in ("measured", "peer") else "right")
    ratios = []
    for name, run in BENCHMARKS.items():
        if arguments.only in (None, name):
            ratios += run()
    for r in ratios:
        spread = f"{r.low:.2g} to {r.high:.2g}"
        table.add_row(r.name, r.peer, f"{r.median:.2g}", spread, f"{1e3 * r.ours:.3g}")
    Console().print(table)
    print(write_json(arguments.out / "ratios.json", {"ratios": ratios, **provenance()}))


if __name__ == "__main__":
    main()
