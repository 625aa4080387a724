"""An experiment is two new files: the one of docs/experiments.md, put beside the others."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

import odemom.experiments
import odemom.plots
from odemom.experiments import frame
from odemom.reproduce import write_summary

PAGE = Path(__file__).parents[2] / "docs" / "experiments.md"
PLOT = """
from matplotlib.figure import Figure


def draw(result):
    figure = Figure(figsize=(1, 1))
    figure.subplots().plot(result.powers)
    return {"": figure, "again": figure}
"""


@pytest.fixture
def toy(tmp_path, monkeypatch):
    """The experiment of the page under the name toy, in folders of its own."""
    (source,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    for package, text in ((odemom.experiments, source), (odemom.plots, PLOT)):
        folder = tmp_path / package.__name__
        folder.mkdir()
        (folder / "toy.py").write_text(text)
        monkeypatch.setattr(package, "__path__", [*package.__path__, str(folder)])
    yield "toy"
    for package in ("experiments", "plots"):
        sys.modules.pop(f"odemom.{package}.toy", None)


def test_it_is_listed_run_drawn_and_judged(run, toy, tmp_path):
    assert toy in frame.names()
    code, out, _ = run("reproduce", "--list")
    assert (code, "toy " in out) == (0, True)
    folder = tmp_path / "out"
    code, out, _ = run("reproduce", toy, "--set", "turns=2,4", "--out", str(folder))
    assert code == 0
    assert "holds: they come back (beyond the paper): (2, 4)" in out
    names = sorted(path.name for path in folder.iterdir())
    assert names == ["toy-again.pdf", "toy-again.png", "toy.json", "toy.pdf", "toy.png"]
    page = write_summary(folder)["html"].read_text()
    assert "they come back" in page
    assert "toy-again.png" in page


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--set", "turn=2"), "Did you mean turns"),
        (("--set", "turns=0"), "turns: got 0"),
        (("--set", "turns=a"), "expected an integer"),
        (("--seeds", "2"), "the experiment toy has none"),
    ],
)
def test_its_configuration_is_refused_by_name(run, toy, tmp_path, arguments, message):
    code, out, err = run("reproduce", toy, *arguments, "--out", str(tmp_path / "out"))
    assert (code, out) == (2, "")
    assert message in err
    assert not (tmp_path / "out").exists()
