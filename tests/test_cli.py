"""The command line, run as a user runs it."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest


@pytest.fixture
def matrix(tmp_path):
    path = tmp_path / "D.txt"
    path.write_text("-3/4 1\n0 -3/4\n")
    return str(path)


@pytest.mark.parametrize(("eps", "status"), [("2", 0), ("1/2", 1), ("0", 1), ("inf", 0)])
def test_check_answers_by_its_exit_status(run, matrix, eps, status):
    code, out, _ = run("check", matrix, "--eps", eps)
    assert code == status
    assert out.startswith("This 2 x 2 matrix is representable") == (status == 0)


def test_check_json_holds_the_whole_report(run, matrix):
    code, out, _ = run("check", matrix, "--eps", "1/2", "--json")
    report = json.loads(out)
    assert code == 1
    assert report["representable"] is False
    assert report["exact"] is True
    assert report["obstructions"][0]["blocks"] == [2]
    assert report["eigenvalues"][0]["value"] == "-3/4"


def test_check_takes_horizon_velocity_and_tolerance(run, matrix):
    # psi_{eps,T} = psi_{eps/T}(T .): eps = 2 on [0, 4] is eps = 1/2 on [0, 1]
    assert run("check", matrix, "--eps", "2", "--horizon", "4")[0] == 1
    assert run("check", matrix, "--eps", "1/2", "--initial-velocity", "field")[0] == 0
    code, out, _ = run("check", matrix, "--eps", "1/2", "--no-exact", "--tol", "1e-6", "--json")
    assert (code, json.loads(out)["tol"], json.loads(out)["status"]) == (1, 1e-6, "borderline")


def test_check_exact_reads_decimals_as_they_are_spelt(run, tmp_path):
    path = tmp_path / "D.csv"
    path.write_text("-0.1\n")
    _, out, _ = run("check", str(path), "--eps", "1/10", "--exact", "--json")
    assert json.loads(out)["eigenvalues"][0]["value"] == "-1/10"


def test_check_reads_npy(run, tmp_path):
    np.save(tmp_path / "D.npy", np.eye(3))
    assert run("check", str(tmp_path / "D.npy"), "--eps", "0")[0] == 0


@pytest.mark.parametrize(
    "arguments",
    [
        ("check", "missing.txt", "--eps", "1"),
        ("check", "{matrix}", "--eps", "-1"),
        ("check", "{matrix}", "--eps", "nan"),
        ("check", "{matrix}", "--eps", "half"),
        ("check", "{matrix}"),
        ("check", "{matrix}", "--eps", "1", "--tol", "2", "--no-exact"),
        ("check", "{matrix}", "--eps", "1", "--horizon", "0"),
        ("check", "{matrix}", "--eps", "1", "--initial-velocity", "fast"),
        ("check", "{matrix}", "--eps", "inf", "--initial-velocity", "field"),
        ("lambda", "--", "-1"),
        ("lambda", "1", "--dps", "0"),
        ("reproduce", "fig99"),
        ("reproduce", "fig4", "--redraw", "missing.json"),
        ("reproduce", "fig4", "--redraw", "{matrix}"),
        ("train", "--data", "nothing"),
        ("train", "--order", "3"),
        ("train", "--epochs", "0"),
        ("train", "--eps", "-1"),
        ("train", "--resume", "missing.ckpt"),
        ("demo", "--epochs", "0"),
        ("bogus",),
    ],
)
def test_bad_input_leaves_with_status_2_a_sentence_and_nothing_on_disk(
    run, matrix, tmp_path, monkeypatch, arguments
):
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    code, out, err = run(*(a.format(matrix=matrix) for a in arguments))
    assert code == 2
    assert out == ""
    assert err.strip()
    assert "Traceback" not in err
    assert list(folder.iterdir()) == []


def test_non_square_is_refused_by_shape(run, tmp_path):
    path = tmp_path / "D.txt"
    path.write_text("1 2 3\n4 5 6\n")
    code, _, err = run("check", str(path), "--eps", "1")
    assert (code, "2 rows and 3 columns" in err) == (2, True)


def test_lambda_prints_doubles_and_any_number_of_digits(run):
    assert run("lambda", "1/2")[1] == "-0.38332160026432566\n"
    assert run("lambda", "1/2", "--dps", "28")[1] == "-0.3833216002643256166714011248\n"
    assert json.loads(run("lambda", "2", "--json")[1])["lambda_eps"] == -0.781147139975695511017


def test_train_writes_its_files_and_prints_json(run, tmp_path):
    code, out, _ = run(
        "train", "--epochs", "1", "--batch-size", "256", "--out", str(tmp_path / "t"), "--json"
    )
    assert code == 0
    assert 0 <= json.loads(out)["test_accuracy"] <= 1
    assert (tmp_path / "t" / "result.json").exists()


def test_the_module_answers_help_without_loading_heavy_packages():
    code = (
        "import sys, odemom.cli\n"
        "assert not {'torch', 'matplotlib', 'sympy', 'flint', 'scipy'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
