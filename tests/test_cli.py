"""The command line, run as a user runs it."""

from __future__ import annotations

import json
import math
import subprocess
import sys

import numpy as np
import pytest

import odemom
from odemom.matrix_files import read_matrix


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


def test_check_with_several_masses_prints_a_table(run, matrix):
    code, out, _ = run("check", matrix, "--eps", "0, 1/2,2,inf")
    heads, *rows = out.splitlines()
    assert code == 1
    assert heads.split() == ["eps", "representable", "status", "reason"]
    assert [row.split()[:3] for row in rows] == [
        ["0", "no", "certain"],
        ["1/2", "no", "certain"],
        ["2", "yes", "certain"],
        ["inf", "yes", "certain"],
    ]
    assert rows[1].endswith(
        "-3/4 lies below lambda_eps = -0.383322, with one Jordan block, of size 2"
    )
    assert run("check", matrix, "--eps", "2,inf")[0] == 0


def test_check_with_several_masses_gives_a_list_as_json(run, matrix):
    code, out, _ = run("check", matrix, "--eps", "1/2,2", "--json")
    assert code == 1
    alone = [json.loads(run("check", matrix, "--eps", eps, "--json")[1]) for eps in ("1/2", "2")]
    assert json.loads(out) == alone


@pytest.mark.parametrize("eps", ["1/2,", "1,nan", ",", "1,,2"])
def test_a_list_of_masses_with_a_bad_one_is_refused(run, matrix, eps):
    code, out, err = run("check", matrix, "--eps", eps)
    assert (code, out) == (2, "")
    assert "error: eps" in err


def test_check_takes_horizon_velocity_and_tolerance(run, matrix):
    # psi_{eps,T} = psi_{eps/T}(T .): eps = 2 on [0, 4] is eps = 1/2 on [0, 1]
    assert run("check", matrix, "--eps", "2", "--horizon", "4")[0] == 1
    assert run("check", matrix, "--eps", "1/2", "--initial-velocity", "field")[0] == 0
    code, out, _ = run("check", matrix, "--eps", "1/2", "--no-exact", "--tol", "1e-6", "--json")
    assert (code, json.loads(out)["tol"], json.loads(out)["status"]) == (1, 1e-6, "borderline")


def test_check_takes_a_switch(run, matrix):
    code, out, _ = run("check", matrix, "--eps", "1/2", "--switch", "1/2")
    assert code == 0
    assert "until t = 1/2, then theta = 0" in out
    assert run("check", matrix, "--eps", "1/2", "--switch", "2")[0] == 2
    both = ("--switch", "1/2", "--initial-velocity", "field")
    assert "one of the two" in run("check", matrix, "--eps", "1/2", *both)[2]


def test_check_exact_reads_decimals_as_they_are_spelt(run, tmp_path):
    path = tmp_path / "D.csv"
    path.write_text("-0.1\n")
    _, out, _ = run("check", str(path), "--eps", "1/10", "--exact", "--json")
    assert json.loads(out)["eigenvalues"][0]["value"] == "-1/10"


def test_check_reads_npy(run, tmp_path):
    np.save(tmp_path / "D.npy", np.eye(3))
    assert run("check", str(tmp_path / "D.npy"), "--eps", "0")[0] == 0


def test_represent_prints_theta_that_reads_back(run, tmp_path):
    source = tmp_path / "D.txt"
    source.write_text("-2 0 0\n0 -2 0\n0 0 3\n")
    code, out, err = run("represent", str(source), "--eps", "1/2")
    assert code == 0
    theta = np.array([[float(x) for x in line.split()] for line in out.splitlines()])
    assert np.array_equal(theta, odemom.represent([[-2, 0, 0], [0, -2, 0], [0, 0, 3]], "1/2"))
    assert "the condition number of psi" in err


@pytest.mark.parametrize("suffix", [".npy", ".csv", ".json", ".txt"])
def test_represent_writes_theta_to_a_file(run, tmp_path, suffix):
    source, target = tmp_path / "D.npy", tmp_path / "new" / f"theta{suffix}"
    np.save(source, np.array([[0.3, 2.0], [0.1, 1.7]]))
    code, out, _ = run(
        "represent", str(source), "--depth", "4", "--gamma", "1/2", "-o", str(target)
    )
    assert (code, out) == (0, "")
    theta = np.asarray(read_matrix(target))
    net = odemom.flows.MomentumResNet("1/2", 4)
    assert np.array_equal(theta, odemom.represent(np.load(source), net))
    assert [p.name for p in target.parent.iterdir()] == [target.name]


def test_represent_says_why_there_is_none(run, matrix):
    code, out, _ = run("represent", matrix, "--eps", "1/2")
    assert code == 1
    assert out.startswith("This 2 x 2 matrix is not representable")
    code, out, _ = run("represent", matrix, "--eps", "1/2", "--json")
    assert code == 1
    assert json.loads(out)["theta"] is None
    assert json.loads(out)["report"]["obstructions"]


def test_represent_json_holds_theta_and_its_residual(run, matrix):
    code, out, _ = run("represent", matrix, "--eps", "2", "--json")
    answer = json.loads(out)
    assert code == 0
    assert answer["residual"] < 1e-13
    assert answer["report"]["representable"] is True
    assert np.shape(answer["theta"]) == (2, 2)


@pytest.mark.parametrize(
    "options",
    [
        (),
        ("--eps", "1", "--depth", "3"),
        ("--depth", "3", "--horizon", "2"),
        ("--eps", "1", "--gamma", "1/2"),
    ],
)
def test_a_flow_is_an_ode_or_a_net(run, matrix, options):
    for command in ("check", "represent"):
        code, out, err = run(command, matrix, *options)
        assert (code, out) == (2, "")
        assert "the flow: got" in err


def test_check_decides_for_nets(run, matrix):
    # the depth is odd: every matrix
    assert run("check", matrix, "--depth", "3", "--gamma", "9/10")[0] == 0
    assert run("check", matrix, "--depth", "2")[0] == 1


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
        ("train", "--eps", "1e400", "--gamma", "0.9"),
        ("evaluate", "missing.ckpt", "--gamma", "1e400"),
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
    printed = run("lambda", "1/2")[1]
    assert printed == f"{odemom.lambda_eps(0.5)!r}\n"
    assert float(printed) == pytest.approx(-0.3833216002643256166714, rel=4.5e-16, abs=0)
    assert run("lambda", "1/2", "--dps", "28")[1] == "-0.3833216002643256166714011248\n"
    value = json.loads(run("lambda", "2", "--json")[1])["lambda_eps"]
    assert value == pytest.approx(-0.781147139975695511017, rel=4.5e-16, abs=0)


def test_lambda_below_the_doubles_says_so(run):
    code, _, err = run("lambda", "1e-4")
    assert code == 0
    assert "--dps" in err
    assert run("lambda", "0") == (0, "0.0\n", "")


@pytest.mark.parametrize("eps", ["1e-4", "1e-10", "1e-100", "1e-4400"])
def test_check_answers_at_once_for_the_smallest_masses(run, matrix, eps):
    code, out, _ = run("check", matrix, "--eps", eps)
    assert code == 1
    assert "lies below lambda_eps = -" in out
    assert "= -0 " not in out


def test_an_unknown_condition_number_is_no_nan(run, tmp_path, monkeypatch):
    (tmp_path / "D.txt").write_text("0.5 0\n0 0.25\n")
    arguments = ("represent", str(tmp_path / "D.txt"), "--eps", "1e300")
    code, _, err = run(*arguments)
    # psi is cosh sqrt(z/eps) there: 1.52 by hand, in the Frobenius norm
    assert (code, "at theta is 1.5" in err) == (0, True)
    monkeypatch.setattr("odemom.representability.measured.condition_number", lambda *_: math.inf)
    code, _, err = run(*arguments)
    assert (code, "is beyond the doubles" in err) == (0, True)


@pytest.mark.parametrize("option", ["--horizon", "--initial-velocity"])
def test_an_empty_option_is_not_the_default(run, matrix, option):
    assert run("check", matrix, "--eps", "1", option, "")[0] == 2


def test_train_writes_its_files_and_prints_json(run, tmp_path):
    code, out, _ = run(
        "train",
        "--epochs",
        "1",
        "--limit",
        "400",
        "--batch-size",
        "128",
        "--out",
        str(tmp_path / "t"),
        "--json",
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
