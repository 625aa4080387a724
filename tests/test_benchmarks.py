"""The benchmark of the decision: its inputs are what it says, and a peer that hangs is killed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import odemom
from benchmarks.decision import ask, by_flint, structured

RESULTS = Path(__file__).parents[1] / "benchmarks" / "results" / "decision.json"


@pytest.mark.parametrize("paired", [True, pytest.param(False, marks=pytest.mark.slow)])
def test_the_structured_matrix_has_its_blocks_and_its_verdict(paired):
    rows = structured(paired=paired)
    spectrum = odemom.spectrum(rows)
    assert odemom.is_representable(spectrum, "1/2") is paired
    blocks = odemom.jordan_structure(spectrum)
    assert blocks[-1] == ((3, 3, 3, 3) if paired else (4, 3, 3, 3)) + (2, 2, 2, 2) + (
        (1, 1, 1, 1) if paired else (1, 1, 1)
    )
    assert len(rows) == sum(map(sum, blocks.values())) == 200
    # 6 rational eigenvalues, +- sqrt 2, five roots, two roots, -2 +- i
    assert len(blocks) == 6 + 2 + 5 + 2 + 2
    assert sum(map(len, by_flint(rows))) == len(blocks)


def test_a_peer_that_does_not_come_back_is_killed():
    answer = ask({"kind": "sympy", "d": 40, "seed": 40}, limit=1)
    assert answer == {"outcome": "killed after 1 s", "seconds": None}


def test_the_published_results_show_sympy_failing_from_5_on():
    results = json.loads(RESULTS.read_text(encoding="utf-8"))
    assert {"odemom", "numpy", "python-flint", "sympy"} <= results["versions"].keys()
    outcomes = {
        entry["d"]: entry["sympy"]["outcome"] for entry in results["sympy_on_random_integers"]
    }
    assert all(text == "answered" for d, text in outcomes.items() if d < 5)
    assert all(text.startswith(("MatrixError", "killed")) for d, text in outcomes.items() if d >= 5)
    assert results["peak_bytes_exact_d_200"]["peak"] < 2**30


ODE = RESULTS.with_name("ode.json")


def test_the_table_of_ode_schemes_is_that_of_the_results():
    accuracy = json.loads(ODE.read_text(encoding="utf-8"))["accuracy"]
    page = (Path(__file__).parents[1] / "docs" / "ode.md").read_text(encoding="utf-8")
    table = page.partition("<!-- accuracy: begin -->")[2].partition("<!-- accuracy: end -->")[0]
    lines = [line.strip("| ").split(" | ") for line in table.strip().splitlines()]
    names = [cell.strip("`") for cell in lines[0][1:]]
    assert len(lines) == 9
    for scheme, *cells in lines[2:]:
        for name, cell in zip(names, cells, strict=False):
            found = accuracy[name].get(scheme)
            assert cell.strip() == ("" if found is None else f"{found[1]:.0e}")


def test_the_explorer_decides_within_150_ms_of_a_change_of_eps():
    results = json.loads(RESULTS.with_name("explore.json").read_text(encoding="utf-8"))
    assert {name[:5] for name in results["ms"]} == {"d = 1", "d = 2", "d = 3", "d = 4"}
    for found in results["ms"].values():
        assert found["decision"]["changes"] >= 20
        assert found["decision"]["median"] < 150
    assert results["marimo"]["ratio"]["low"] > 1
