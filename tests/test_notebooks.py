"""The notebooks: executed from top to bottom, with outputs that belong to their sources."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("nbclient")
SCRIPT = Path(__file__).parents[1] / "scripts" / "execute_notebooks.py"
SPEC = importlib.util.spec_from_file_location(SCRIPT.stem, SCRIPT)
assert SPEC is not None
assert SPEC.loader is not None
script: Any = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(script)

PATHS = sorted(script.FOLDER.glob("*.ipynb"))
pytestmark = pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)


def test_outputs_belong_to_the_sources(path):
    notebook = script.read(path)
    assert not script.is_stale(notebook), "run make notebooks"
    assert len(notebook.cells) <= script.MOST_CELLS
    assert path.stat().st_size <= script.LARGEST
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))


def test_a_changed_source_is_noticed(path):
    notebook = script.read(path)
    notebook.cells[-1].source += "\n"
    assert script.is_stale(notebook)


def test_every_cell_runs(path):
    notebook = script.execute(path)
    assert all(cell.outputs for cell in notebook.cells if cell.metadata.get("tags") == ["picture"])
