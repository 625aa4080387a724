"""``python -m tests.fuzz``: each format for some minutes, in a process of its own."""

from __future__ import annotations

import argparse
import importlib.util
import re
import subprocess
import sys
from pathlib import Path

from tests.fuzz.properties import FORMATS

__all__: list[str] = []


def main() -> int:
    """Run the formats one after the other; the exit status is the number of those with a find."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("formats", nargs="*", default=list(FORMATS), help=", ".join(FORMATS))
    parser.add_argument("--minutes", type=float, default=10.0, help="for each format")
    parser.add_argument("--engine", choices=("atheris", "mutations"), help="atheris where it is")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, default=Path("results/fuzz"), help="a folder for finds")
    options = parser.parse_args()
    engine = options.engine or ("atheris" if importlib.util.find_spec("atheris") else "mutations")
    failed = 0
    for suffix in options.formats:
        folder = options.out / suffix
        folder.mkdir(parents=True, exist_ok=True)
        words = [suffix, str(60 * options.minutes), engine, str(folder), str(options.seed)]
        child = subprocess.run(
            [sys.executable, "-m", "tests.fuzz.child", *words],
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
        )
        said = child.stdout + child.stderr
        (folder / "log.txt").write_text(said)
        runs = re.findall(r"(\d+) executions.*|number_of_executed_units: (\d+)", said)
        verdict = "no find" if child.returncode == 0 else f"a find (status {child.returncode})"
        print(f"{suffix}: {engine}, {''.join(runs[-1]) if runs else '?'} executions, {verdict}")
        failed += child.returncode != 0
    return failed


if __name__ == "__main__":
    sys.exit(main())
