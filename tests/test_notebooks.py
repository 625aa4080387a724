"""The notebooks: executed from top to bottom, with outputs that belong to their sources."""

from __future__ import annotations

import ast
import importlib.util
import re
from pathlib import Path
from typing import Any

import pytest
from matplotlib.figure import Figure

pytest.importorskip("nbclient")
SCRIPT = Path(__file__).parents[1] / "scripts" / "execute_notebooks.py"
SPEC = importlib.util.spec_from_file_location(SCRIPT.stem, SCRIPT)
assert SPEC is not None
assert SPEC.loader is not None
script: Any = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(script)

PATHS = sorted(script.FOLDER.glob("*.ipynb"))
QUICK = "03"  # the others train networks, and are run by make notebooks and make test-all
(QUICK_PATH,) = (path for path in PATHS if path.name.startswith(QUICK))
of_each = pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)


def test_there_is_a_notebook_for_each_story():
    assert [path.name[:2] for path in PATHS] == ["01", "02", "03", "04", "05", "06", "07"]


@of_each
def test_outputs_belong_to_the_sources(path):
    notebook = script.read(path)
    assert not script.is_stale(notebook), "run make notebooks"
    assert len(notebook.cells) <= script.MOST_CELLS
    assert path.stat().st_size <= script.LARGEST
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))


@of_each
def test_a_changed_source_is_noticed(path):
    notebook = script.read(path)
    notebook.cells[-1].source += "\n"
    assert script.is_stale(notebook)


@of_each
def test_pages_and_notebooks_linked_to_exist(path):
    for cell in script.read(path).cells:
        if cell.cell_type == "markdown":
            for target in re.findall(r"\]\((?!\w+:)([^)#\s]+)", cell.source):
                assert (path.parent / target).exists(), target


@of_each
def test_pictures_are_shown_without_running(path):
    for cell in script.read(path).cells:
        if cell.metadata.get("tags") == ["picture"]:
            assert any("image/png" in output.get("data", {}) for output in cell.outputs)


def test_those_that_are_named_are_executed(monkeypatch, capsys):
    asked = []
    monkeypatch.setattr(script, "execute", lambda path: asked.append(path) or script.read(path))
    assert script.main(["03", "07", "--check"]) == 0
    assert [path.name[:2] for path in asked] == ["03", "07"]
    with pytest.raises(SystemExit):
        script.main(["99"])
    assert "no notebook" in capsys.readouterr().err


def test_the_cells_of_a_quick_one_run_in_this_process(monkeypatch):
    """A kernel of its own would load all libraries again."""
    monkeypatch.chdir(QUICK_PATH.parent)
    names: dict[str, object] = {}
    for cell in script.read(QUICK_PATH).cells:
        if cell.cell_type == "code":
            source = re.sub(r"^%.*$", "", cell.source, flags=re.MULTILINE)  # how to show pictures
            *body, last = ast.parse(source).body
            exec(compile(ast.Module(body, []), QUICK_PATH.name, "exec"), names)
            if isinstance(last, ast.Expr):
                shown = eval(compile(ast.Expression(last.value), QUICK_PATH.name, "eval"), names)
            else:
                exec(compile(ast.Module([last], []), QUICK_PATH.name, "exec"), names)
                shown = None
            assert isinstance(shown, Figure) == (cell.metadata.get("tags") == ["picture"])


@pytest.mark.slow
@of_each
def test_every_cell_runs(path):
    notebook = script.execute(path)
    assert all(cell.outputs for cell in notebook.cells if cell.metadata.get("tags") == ["picture"])
