"""Execute the notebooks in place, so that a reader sees their pictures without running them.

    python scripts/execute_notebooks.py                 # all of notebooks/
    python scripts/execute_notebooks.py 03 07           # those whose names begin so
    python scripts/execute_notebooks.py --check         # execute, compare nothing, write nothing

Every notebook is written with a digest of its cells' sources. `stale` says which ones have been
changed since they were executed.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import nbclient
import nbformat
from nbclient.exceptions import CellExecutionError

from odemom.records import write_text_atomic

FOLDER = Path(__file__).parents[1] / "notebooks"
TIMEOUT = 600  # seconds for one cell, on a machine that has other work
LARGEST = 400_000  # bytes of a notebook with its outputs
MOST_CELLS = 14


def digest(notebook: Any) -> str:
    """Of the sources of all cells."""
    sources = [[cell.cell_type, cell.source] for cell in notebook.cells]
    return hashlib.sha256(json.dumps(sources).encode()).hexdigest()[:16]


def read(path: Path) -> Any:
    """The notebook."""
    return nbformat.read(path, as_version=4)


def is_stale(notebook: Any) -> bool:
    """Whether a source was changed since the notebook was executed."""
    return notebook.metadata.get("odemom", {}).get("executed") != digest(notebook)


def execute(path: Path) -> Any:
    """The notebook with fresh outputs; an error in a cell is raised."""
    notebook = read(path)
    resources = {"metadata": {"path": str(path.parent)}}
    nbclient.NotebookClient(
        notebook, timeout=TIMEOUT, resources=resources, coalesce_streams=True
    ).execute()
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)  # times, which would differ from run to run
    notebook.metadata.pop("widgets", None)
    notebook.metadata["odemom"] = {"executed": digest(notebook)}
    return notebook


def main(arguments: Sequence[str] | None = None) -> int:
    """Execute the notebooks; status 1 when one fails or is too large."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help="beginnings of names; by default all notebooks")
    parser.add_argument("--check", action="store_true", help="write nothing")
    options = parser.parse_args(arguments)
    begun = tuple(options.names) or ("",)
    paths = [path for path in sorted(FOLDER.glob("*.ipynb")) if path.name.startswith(begun)]
    if not paths:
        parser.error(f"no notebook in {FOLDER} has a name that begins so")
    status = 0
    for path in paths:
        start = time.perf_counter()
        try:
            notebook = execute(path)
        except CellExecutionError as error:
            print(f"{path.name}: failed\n{error}", file=sys.stderr)
            status = 1
            continue
        text = nbformat.writes(notebook) + "\n"
        if len(text) > LARGEST or len(notebook.cells) > MOST_CELLS:
            print(f"{path.name}: {len(text)} bytes, {len(notebook.cells)} cells", file=sys.stderr)
            status = 1
        elif not options.check:
            write_text_atomic(path, text)
        print(f"{path.name}: {time.perf_counter() - start:.0f} s, {len(text) // 1000} kB")
    return status


if __name__ == "__main__":
    sys.exit(main())
