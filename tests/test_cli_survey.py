"""``odemom survey``, run as a user runs it."""

from __future__ import annotations

import json

import pytest

from odemom.experiments import survey

ARGUMENTS = ("survey", "--ensemble", "ginibre,symmetric", "--dim", "1", "--dim", "2,3")
ARGUMENTS = (*ARGUMENTS, "--eps", "0,1/2", "--eps", "inf", "--samples", "40", "--seed", "3")


def test_survey_writes_numbers_and_pictures_and_prints_both(run, tmp_path):
    code, out, _ = run(*ARGUMENTS, "--out", str(tmp_path / "s"), "--json")
    assert code == 0
    printed = json.loads(out)
    names = sorted(p.name for p in (tmp_path / "s").iterdir())
    assert names == ["survey.json", "survey.pdf", "survey.png"]  # and no parts
    written = json.loads((tmp_path / "s" / "survey.json").read_text())
    assert written["result"] == printed["result"]
    assert written["provenance"]["seed"] == 3
    assert written["config"]["eps"] == ["0", "1/2", "inf"]
    assert [(c["ensemble"], c["dimension"]) for c in printed["result"]["cells"]] == [
        (e, d) for e in ("ginibre", "symmetric") for d in (1, 2, 3)
    ]


def test_survey_prints_a_line_a_probability(run, tmp_path):
    code, out, _ = run(*ARGUMENTS, "--out", str(tmp_path), "--backend", "joblib", "--workers", "2")
    assert code == 0
    assert out.count("eps = ") == 18
    assert "symmetric, d = 3, 40 matrices:" in out


def test_survey_draws_again_from_its_numbers(run, tmp_path):
    run(*ARGUMENTS, "--out", str(tmp_path / "a"))
    numbers = str(tmp_path / "a" / "survey.json")
    code, out, _ = run("survey", "--redraw", numbers, "--out", str(tmp_path / "b"))
    assert (code, len(out.splitlines())) == (0, 2)
    first, again = (tmp_path / x / "survey.pdf" for x in "ab")
    assert first.read_bytes() == again.read_bytes()


def test_an_interrupted_survey_says_so_and_goes_on(run, tmp_path, monkeypatch):
    sample = survey.SimpleSpectra.of
    drawn = []

    def interrupted(stack, tol):
        drawn.append(stack)
        if len(drawn) == 5:
            raise KeyboardInterrupt
        return sample(stack, tol)

    with monkeypatch.context() as patch:
        patch.setattr(survey.SimpleSpectra, "of", interrupted)
        code, _, err = run(*ARGUMENTS, "--out", str(tmp_path), "--json")
    assert (code, "the same command goes on" in err) == (130, True)
    (parts,) = tmp_path.iterdir()
    assert len(parts.read_text().splitlines()) == 1 + 4
    code, out, _ = run(*ARGUMENTS, "--out", str(tmp_path), "--json")
    assert code == 0
    assert not parts.exists()
    assert len(json.loads(out)["result"]["cells"]) == 6


@pytest.mark.parametrize(
    "arguments",
    [
        ("--ensemble", "gauss"),
        ("--ensemble", ","),
        ("--dim", "two"),
        ("--dim", "0"),
        ("--dim=-1",),
        ("--eps=-1",),
        ("--eps", "half"),
        ("--eps", "1,1"),
        ("--samples", "0"),
        ("--seed=-1",),
        ("--backend", "mpi"),
        ("--workers", "2"),
        ("--scheduler", "tcp://127.0.0.1:1"),
        ("--backend", "dask", "--scheduler", "nowhere"),
        ("--redraw", "missing.json"),
    ],
)
def test_bad_input_leaves_with_status_2_a_sentence_and_nothing_on_disk(
    run, tmp_path, monkeypatch, arguments
):
    monkeypatch.chdir(tmp_path)
    code, out, err = run("survey", *arguments)
    assert (code, out) == (2, "")
    assert err.strip()
    assert "Traceback" not in err
    assert list(tmp_path.iterdir()) == []


def test_a_mass_too_long_for_text_is_refused(run, tmp_path):
    options = ["--dim", "2", "--samples", "10", "--eps", "1e-4400", "--out", str(tmp_path / "s")]
    code, _, err = run("survey", *options)
    assert code == 2
    assert "4300 digits" in err
    assert "Traceback" not in err
