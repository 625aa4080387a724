"""The command line in the first hour: help, pipes, terminals, completion, several masses."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from typing import Any

import pytest
import typer

import odemom
from odemom.cli import DEFECT, app, main, streams
from odemom.matrix_files import read_matrix

GROUP: Any = typer.main.get_command(app)
COMMANDS: dict[str, Any] = GROUP.commands


@pytest.fixture
def matrix(tmp_path):
    path = tmp_path / "D.txt"
    path.write_text("-3/4 1\n0 -3/4\n")
    return str(path)


@pytest.fixture
def status(monkeypatch):
    """The status of the command line, whose output goes to the stream."""

    def call(stream, *arguments: str) -> int:
        with monkeypatch.context() as patch:
            patch.setattr(sys, "argv", ["odemom", *arguments])
            patch.setattr(sys, "stdout", stream)
            with pytest.raises(SystemExit) as left:
                main()
        return int(left.value.code or 0)

    return call


@pytest.mark.parametrize("name", COMMANDS)
def test_h_is_help_which_ends_sentences_and_has_an_example(run, name):
    code, out, err = run(name, "-h")
    assert (code, err) == (0, "")
    assert out == run(name, "--help")[1]
    words = " ".join(out.split())
    assert f"odemom {name}" in words.split("Example: ")[1]
    for parameter in COMMANDS[name].params:
        words = str(parameter.help).split()
        assert len(words) >= 4, parameter.name
        assert words[0][0].isupper() or words[0].startswith("torch"), parameter.name


def test_commands_are_listed_whole(run):
    listed = run("-h")[1].split("Commands:")[1]
    assert "..." not in listed
    assert [line.split()[0] for line in listed.strip().splitlines()] == list(COMMANDS)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("check", "{matrix}", "--eps", "2"), 0),
        (("check", "{matrix}", "--eps", "1/2"), 1),
        (("check", "{matrix}", "--eps", "0,2", "--json"), 1),
        (("check", "-h"), 0),
        (("reproduce", "--list"), 0),
    ],
)
def test_a_reader_who_has_left_changes_no_status(status, matrix, capfd, arguments, expected):
    reading, writing = os.pipe()
    os.close(reading)
    with open(writing, "w") as stream:
        assert status(stream, *(a.format(matrix=matrix) for a in arguments)) == expected
    assert capfd.readouterr().err == ""


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="the system has no /dev/full")
def test_a_full_disk_behind_the_output_is_a_sentence_and_status_2(status, matrix, capfd):
    with open("/dev/full", "w") as stream:
        assert status(stream, "check", matrix, "--eps", "2") == 2
    assert "the output cannot be written (No space left on device)" in capfd.readouterr().err


@pytest.mark.parametrize("more", [(), ("--json",)])
def test_what_the_encoding_does_not_have_is_escaped(status, tmp_path, more):
    with open(tmp_path / "out", "w", encoding="ascii") as stream:
        assert status(stream, "reproduce", "--list", *more) == 0
    text = (tmp_path / "out").read_text(encoding="ascii")
    if more:
        assert "x³" in json.loads(text)["fig1"]
    else:
        assert r"x -> -x\xb3" in text


def test_without_an_error_stream_notes_go_nowhere(status, monkeypatch, tmp_path):
    monkeypatch.setattr(sys, "stderr", None)
    with open(tmp_path / "out", "w") as stream:
        assert status(stream, "represent", "[1]", "--eps", "1") == 0
    assert (tmp_path / "out").read_text() == "0.0\n"


def test_a_defect_of_odemom_is_no_answer(status, matrix, monkeypatch, capsys):
    def broken(*_, **__):
        raise ZeroDivisionError("a defect")

    monkeypatch.setattr("odemom.matrix_files.read_matrix", broken)
    assert status(sys.stdout, "check", matrix, "--eps", "2") == DEFECT
    assert "ZeroDivisionError: a defect" in capsys.readouterr().err


class Terminal:
    """A stream that says that it is a terminal."""

    def isatty(self) -> bool:
        return True


def test_text_is_wrapped_between_words_on_a_terminal_only(monkeypatch):
    monkeypatch.setenv("COLUMNS", "30")
    text = "one two three four five six seven /a/path/that/is/longer/than/the/line"
    lines = streams.wrapped(text, Terminal(), "  ").splitlines()
    assert lines == ["one two three four five six", "  seven", f"  {text.split()[-1]}"]
    assert streams.wrapped(text, io.StringIO()) == text
    assert streams.wrapped(text, None) == text


@pytest.mark.parametrize(("variable", "colour"), [({}, True), ({"NO_COLOR": "1"}, False)])
def test_errors_are_red_unless_no_colour_is_asked_for(monkeypatch, capsys, variable, colour):
    from odemom.cli.shared import complain

    for name in ("NO_COLOR", "TERM", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    for name, value in {"TERM": "xterm-256color", "FORCE_COLOR": "1", **variable}.items():
        monkeypatch.setenv(name, value)
    complain("wrong")
    assert ("\x1b[31m" in capsys.readouterr().err) == colour


def test_the_module_is_the_command_line():
    module = [sys.executable, "-m", "odemom", "lambda", "inf"]
    done = subprocess.run(module, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "-1.0\n")


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("odemom re", ["represent", "reproduce"]),
        ("odemom reproduce fig4", ["fig4", "fig4-empirical"]),
        ("odemom survey --backend j", ["joblib"]),
        ("odemom check --initial-velocity f", ["field"]),
    ],
)
def test_the_tab_key_completes_commands_and_values(run, monkeypatch, line, expected):
    monkeypatch.setenv("_ODEMOM_COMPLETE", "complete_bash")
    monkeypatch.setenv("COMP_WORDS", line)
    monkeypatch.setenv("COMP_CWORD", str(len(line.split()) - 1))
    assert run()[1].split() == expected


@pytest.mark.parametrize("name", ["theta.mat", "theta.npz", "theta.png", "theta.TXT.gz"])
def test_a_suffix_that_names_no_format_is_refused_before_anything_is_computed(
    run, matrix, tmp_path, name
):
    code, out, err = run("represent", matrix, "--eps", "2", "--out", str(tmp_path / name))
    assert (code, out) == (2, "")
    assert "expected one of .npy, .csv, .json, .mtx, .txt" in err
    assert not (tmp_path / name).exists()


def test_lambda_takes_several_masses(run):
    code, out, _ = run("lambda", "0.1, 1/2,inf")
    assert code == 0
    printed = [line.split() for line in out.splitlines()]
    assert [mass for mass, _ in printed] == ["0.1", "1/2", "inf"]
    exact = [odemom.lambda_eps(mass) for mass in ("0.1", "1/2")]
    assert [float(value) for _, value in printed] == [*exact, -1]
    rows = json.loads(run("lambda", "0.1,1/2", "--json")[1])
    assert [row["lambda_eps"] for row in rows] == exact
    assert [run("lambda", text)[0] for text in ("1,", "1,-1")] == [2, 2]


def test_a_gamma_alone_is_the_flow_of_its_mass_and_this_is_said(run, matrix):
    code, out, err = run("check", matrix, "--gamma", "1/2")
    assert (code, out) == (0, run("check", matrix, "--eps", "2")[1])
    assert "the flow with eps = 1/(1 - gamma) = 2; for the net add --depth" in err
    code, out, err = run("lambda", "--gamma", "9/10")
    assert out == run("lambda", "10")[1]
    assert err == "--gamma 9/10: the flow with eps = 1/(1 - gamma) = 10, not the net\n"
    for options in (("--gamma", "-1/2"), ("--gamma", "2"), ("--gamma", "1/2", "--eps", "2")):
        assert run("check", matrix, *options)[:2] == (2, "")
    assert run("lambda", "--gamma", "1/2", "2")[:2] == (2, "")
    assert run("lambda")[:2] == (2, "")


@pytest.mark.parametrize("eps", ["1/2", "2"])
def test_check_json_holds_the_least_eps_and_the_largest_scale_whatever_the_answer(run, matrix, eps):
    found = json.loads(run("check", matrix, "--eps", eps, "--json")[1])
    D = read_matrix(matrix)
    assert found["minimal_eps"]["value"] == odemom.minimal_eps(D).value
    assert found["maximal_scale"]["value"] == odemom.maximal_scale(D, eps).value
