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
    if name == "nn":
        pytest.importorskip("torch")
    assert getattr(odemom, name) is not None
    assert name in dir(odemom)


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'lamda_eps'"):
        odemom.lamda_eps  # noqa: B018  # pyright: ignore[reportAttributeAccessIssue]
