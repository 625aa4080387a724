"""The notebooks: executed from top to bottom, with outputs that belong to their sources."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

pytest.importorskip("nbclient")
sys.path.insert(0, str(Path(__file__).parents[1] / "scripts"))

import notebooks  # pyright: ignore[reportMissingImports]

PATHS = sorted(notebooks.FOLDER.glob("*.ipynb"))
pytestmark = pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)


def test_outputs_belong_to_the_sources(path):
    notebook = notebooks.read(path)
    assert not notebooks.is_stale(notebook), "run make notebooks"
    assert len(notebook.cells) <= notebooks.MOST_CELLS
    assert path.stat().st_size <= notebooks.LARGEST
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))


def test_a_changed_source_is_noticed(path):
    notebook = notebooks.read(path)
    notebook.cells[-1].source += "\n"
    assert notebooks.is_stale(notebook)


def test_every_cell_runs(path):
    notebook = notebooks.execute(path)
    assert all(cell.outputs for cell in notebook.cells if cell.metadata.get("tags") == ["picture"])
