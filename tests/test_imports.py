"""`import odemom` is light, and every public name resolves."""

import subprocess
import sys

import pytest

import odemom

HEAVY = ["torch", "matplotlib", "sympy", "flint", "mpmath", "scipy"]


def in_a_fresh_process(code):
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    return done.stdout.strip()


def test_import_odemom_loads_nothing_heavy():
    code = f"import odemom, sys; print([m for m in {HEAVY} if m in sys.modules])"
    assert in_a_fresh_process(code) == "[]"


@pytest.mark.parametrize("heavy", ["torch", "matplotlib", "sympy"])
def test_deciding_a_floating_matrix_loads_no_package_that_it_does_not_need(heavy):
    code = "import odemom, sys; odemom.is_representable([[-1.0]], 0.5); odemom.psi([[1.0]], 1)"
    assert in_a_fresh_process(f"{code}; print({heavy!r} in sys.modules)") == "False"


def test_import_odemom_takes_less_than_half_a_second():
    code = "import time; t = time.perf_counter(); import odemom; print(time.perf_counter() - t)"
    assert min(float(in_a_fresh_process(code)) for _ in range(3)) < 0.5


@pytest.mark.parametrize("name", odemom.__all__)
def test_every_public_name_resolves(name):
    if name == "nn":
        pytest.importorskip("torch")
    assert getattr(odemom, name) is not None
    assert name in dir(odemom)


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'lamda_eps'"):
        odemom.lamda_eps  # noqa: B018  # pyright: ignore[reportAttributeAccessIssue]
