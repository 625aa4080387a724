"""`import odemom` is light, and every public name resolves."""

import json
import subprocess
import sys

import pytest

import odemom

IMPORTED = """
import json, sys
before = set(sys.modules)
import odemom
after_import = sorted(set(sys.modules) - before)
odemom.is_representable([[-1.0]], 0.5)
odemom.psi([[1.0]], 1)
print(json.dumps({"import": after_import, "decision": sorted(set(sys.modules) - before)}))
"""


@pytest.fixture(scope="module")
def loaded():
    """The modules that a fresh process has loaded after the import, and after a decision."""
    done = subprocess.run(
        [sys.executable, "-c", IMPORTED], capture_output=True, text=True, check=True
    )
    return json.loads(done.stdout)


def test_import_odemom_loads_no_other_package(loaded):
    packages = {name.partition(".")[0] for name in loaded["import"]}
    assert packages - sys.stdlib_module_names == {"odemom"}


def test_import_odemom_loads_few_modules(loaded):
    # 31 of the standard library and odemom: a time would depend on what else the machine does
    assert len(loaded["import"]) <= 60


@pytest.mark.parametrize("heavy", ["torch", "matplotlib", "sympy"])
def test_deciding_a_floating_matrix_loads_no_package_that_it_does_not_need(heavy, loaded):
    assert "numpy" in loaded["decision"]
    assert heavy not in loaded["decision"]


@pytest.mark.parametrize("name", odemom.__all__)
def test_every_public_name_resolves(name):
    assert getattr(odemom, name) is not None
    assert name in dir(odemom)


@pytest.mark.parametrize(
    ("name", "has"),
    [
        ("models", "build_model"),
        ("nn", "transform"),
        ("plots", "trajectories"),
        ("reproduce", "redraw"),
        ("sweep", "Backend"),
        ("training", "train"),
    ],
)
def test_rooms_that_need_an_extra_are_there_by_name(name, has):
    for package in ("matplotlib", "torch", "lightning"):
        pytest.importorskip(package)
    assert name in dir(odemom)
    assert hasattr(getattr(odemom, name), has)


def test_all_names_can_be_taken_without_any_extra():
    code = """
import sys
for package in ("torch", "matplotlib", "lightning", "joblib", "dask"):
    sys.modules[package] = None
from odemom import *
print(lambda_eps(1) < 0, flows.SecondOrder(1).eps, callable(matrix_files.read_matrix))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "True 1 True\n"


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'lamda_eps'"):
        odemom.lamda_eps  # noqa: B018  # pyright: ignore[reportAttributeAccessIssue]
