"""Dependencies flow downwards only, no room is in a circle, and no file is long."""

import functools

import pytest

from scripts import architecture
from tests import floors

OTHER_CODE = ("benchmarks", "docs", "scripts", "tests")
imports = functools.cache(floors.all_imports)


def test_every_room_has_a_floor_of_its_own():
    named = [room for floor in floors.FLOORS for room in floor]
    assert len(named) == len(set(named))
    assert {floors.room_of(module) for module in imports()} - {None} <= set(named)
    assert floors.NEVER_LOADED.keys() | floors.STRANGERS.keys() <= set(named)


def test_dependencies_flow_downwards_only():
    assert not list(floors.offences(imports()))


def test_no_rooms_import_each_other_in_a_circle():
    assert not floors.circle(floors.room_graph(imports()))
    looped = {"flows": {"propagator"}, "propagator": {"checks"}, "checks": {"flows"}}
    assert floors.circle(looped) == ["checks", "flows", "propagator"]


def test_no_file_is_longer_than_400_lines(tmp_path):
    for folder in (floors.ROOT, *(floors.ROOT.parent / name for name in OTHER_CODE)):
        assert not floors.long_files(sorted(folder.rglob("*.py")))
    long = tmp_path / "long.py"
    long.write_text("\n" * 401)
    assert floors.long_files([long]) == [f"{long}: 401 lines"]


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("odemom.errors", "from odemom.checks import shown"),
        ("odemom.checks", "def f():\n    from odemom.flows import Flow"),
        ("odemom.flows.psi", "import odemom.representability.analyze"),
        ("odemom.flows.psi", "from ..representability import analyze"),
        ("odemom.propagator.double", "from odemom.flows.base import Flow"),
        ("odemom.propagator.double", "from odemom import flows"),
        ("odemom.propagator.double", "import torch"),
        ("odemom.representability.exact", "from odemom import nn"),
        ("odemom.stability", "from odemom.representability import analyze"),
        ("odemom.nn.layers", "from odemom.representability import analyze"),
        ("odemom.nn.layers", "from odemom.flows.threshold import lambda_eps"),
        ("odemom.nn.layers", "import sympy as sp"),
        ("odemom.experiments.digits", "from odemom.plots import curves"),
        ("odemom.experiments.digits", "import flint"),
        ("odemom.plots.curves", "from torch import nn"),
        ("odemom.experiments.digits", "def f():\n    import matplotlib.pyplot"),
        ("odemom.plots.curves", "from odemom.cli import main"),
        ("odemom.records", "from odemom import cli"),
        ("odemom.sweep.store", "from odemom.experiments import frame"),
    ],
)
def test_the_directions_are_held_by_the_test_itself(module, source):
    assert list(floors.offences({module: floors.imports_of(source, module, False)}))


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("odemom.flows.psi", "from odemom.propagator.double import propagate"),
        ("odemom.nn.psi", "from odemom.propagator.plans import schedule"),
        ("odemom.plots.fig4", "from odemom.experiments.fig4 import Fig4"),
        ("odemom.records", "from odemom import __version__"),
        ("odemom.cli.decide", "from odemom.cli.shared import say"),
    ],
)
def test_downwards_is_allowed(module, source):
    assert not list(floors.offences({module: floors.imports_of(source, module, False)}))


def test_imports_for_type_checkers_do_not_count():
    source = "if TYPE_CHECKING:\n    from odemom.representability import report"
    assert floors.imports_of(source, "odemom.errors", False) == set()


def test_every_module_of_the_theory_is_read():
    theory = {"odemom.errors", "odemom.propagator.double", "odemom.flows.psi"}
    assert theory | {"odemom.representability.exact"} <= imports().keys()


def test_the_table_of_rooms_is_that_of_the_code():
    """Write it again with: python -m scripts.architecture."""
    page = architecture.PAGE.read_text(encoding="utf-8")
    assert architecture.written(page) == page
    assert all(f"| `{room}` | " in page for room in floors.rooms())
    with pytest.raises(SystemExit, match="table of rooms"):
        architecture.written("# a page without the two lines")


def test_every_room_says_what_it_knows_in_one_line():
    for room in floors.rooms():
        line = architecture.first_line(room)
        assert 20 < len(line) <= 100, room
        assert line[-1] in ".?", room
