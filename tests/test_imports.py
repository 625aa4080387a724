"""`import odemom` is light, every public name resolves, and dependencies flow downwards only."""

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

import odemom

ROOT = Path(odemom.__file__).parent


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


# --- directions --------------------------------------------------------------------------------

THEORY = ["odemom.errors", "odemom.checks", "odemom.flows"]
EXACT_FLOWS = ["odemom.flows.precise", "odemom.flows.threshold"]

# part -> what it may import of odemom
ALLOWED = {
    "odemom.errors": ["odemom.errors"],
    "odemom.checks": ["odemom.errors", "odemom.checks"],
    "odemom.flows": THEORY,
    "odemom.representability": [*THEORY, "odemom.representability"],
}
# part -> what it must not import
FORBIDDEN = {
    "odemom.nn": ["odemom.representability", *EXACT_FLOWS, "flint", "sympy"],
    "odemom.experiments": ["odemom.plots", "odemom.cli", "flint", "sympy"],
    "odemom.plots": ["odemom.nn", "odemom.cli", "torch"],
    "odemom": ["odemom.cli"],
}
ENTRY_POINTS = {"odemom.cli", "odemom.__main__"}  # the only places that may name the command line


def module_name(path):
    parts = ("odemom", *path.relative_to(ROOT).with_suffix("").parts)
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def within(module, part):
    return module == part or module.startswith(part + ".")


def imports_of(source, module, is_package):
    """Every module named by an import statement, at any depth, except for type checkers only."""
    found = set()
    pending = list(ast.iter_child_nodes(ast.parse(source)))
    while pending:
        node = pending.pop()
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            pending.extend(node.orelse)
        elif isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                package = module.split(".")[: None if is_package else -1]
                package = package[: len(package) - node.level + 1]
                base = ".".join([*package, base]) if base else ".".join(package)
            found.update(f"{base}.{alias.name}" for alias in node.names)
        else:
            pending.extend(ast.iter_child_nodes(node))
    return found


FILES = sorted(ROOT.rglob("*.py"))
IMPORTS = {
    module_name(path): imports_of(path.read_text(), module_name(path), path.name == "__init__.py")
    for path in FILES
}


def offences(imports):
    for module, names in sorted(imports.items()):
        for part, allowed in ALLOWED.items():
            if within(module, part):
                for name in names:
                    if within(name, "odemom") and not any(within(name, a) for a in allowed):
                        yield f"{module} imports {name}"
        for part, forbidden in FORBIDDEN.items():
            if within(module, part) and module not in ENTRY_POINTS:
                if part == "odemom" and any(within(module, e) for e in ENTRY_POINTS):
                    continue
                for name in names:
                    if any(within(name, f) for f in forbidden):
                        yield f"{module} imports {name}"


def test_dependencies_flow_downwards_only():
    assert not list(offences(IMPORTS))


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("odemom.errors", "from odemom.checks import shown"),
        ("odemom.checks", "def f():\n    from odemom.flows import Flow"),
        ("odemom.flows.psi", "import odemom.representability.analyze"),
        ("odemom.flows.psi", "from ..representability import analyze"),
        ("odemom.representability.exact", "from odemom import nn"),
        ("odemom.nn.layers", "from odemom.representability import analyze"),
        ("odemom.nn.layers", "from odemom.flows.threshold import lambda_eps"),
        ("odemom.nn.layers", "import sympy as sp"),
        ("odemom.experiments.digits", "from odemom.plots import curves"),
        ("odemom.experiments.digits", "import flint"),
        ("odemom.plots.curves", "from odemom.nn import ODEBlock"),
        ("odemom.records", "from odemom import cli"),
    ],
)
def test_the_directions_are_held_by_the_test_itself(module, source):
    assert list(offences({module: imports_of(source, module, False)}))


def test_imports_for_type_checkers_do_not_count():
    source = "if TYPE_CHECKING:\n    from odemom.representability import report"
    assert imports_of(source, "odemom.errors", False) == set()


def test_every_module_of_the_theory_is_read():
    assert {"odemom.errors", "odemom.flows.psi", "odemom.representability.exact"} <= IMPORTS.keys()
