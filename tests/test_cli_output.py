"""What the commands print with --json and --quiet, and what Ctrl-C leaves; docs/command-line.md."""

from __future__ import annotations

import contextlib
import importlib
import io
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
import warnings
from pathlib import Path
from typing import Any

import pytest
import typer.core
import typer.main

from odemom import OdemomWarning, cli
from odemom.cli import shared
from odemom.experiments import fig4, survey

GROUP: Any = typer.main.get_command(cli.app)
PAGE = (Path(__file__).parents[1] / "docs" / "command-line.md").read_text(encoding="utf-8")
MATRIX = "[-1 1; 0 -1]"
INTERRUPTED = "\ninterrupted: nothing was finished, and no file is half-written\n"
SERVERS = {"explore"}  # runs until it is stopped, and has no answer
REPRODUCE = ("reproduce", "fig4", "--set", "points=5", "--set", "per_unit=1")
SURVEY = ("survey", "--ensemble", "ginibre", "--dim", "1,2,3", "--eps", "1", "--samples", "20")


def options_of(name: str) -> set[str]:
    return {option for parameter in GROUP.commands[name].params for option in parameter.opts}


# --- --json and --quiet ------------------------------------------------------------------------


@pytest.mark.parametrize("name", sorted(set(GROUP.commands) - SERVERS))
def test_every_command_has_json_and_quiet_and_a_row_in_the_manual(name):
    assert {"--json", "--quiet", "-q"} <= options_of(name)
    table = PAGE.partition("| `--quiet` leaves |")[2].partition("\n\n")[0]
    assert f"| `{name}` |" in table


@pytest.mark.parametrize(
    ("arguments", "status", "printed"),
    [
        (("check", MATRIX, "--eps", "2"), 1, ""),
        (("check", "[1]", "--eps", "0,2"), 0, ""),
        (("check", "[1]", "--gamma", "1/2"), 0, ""),  # without the note on gamma
        (("represent", "[1]", "--eps", "1"), 0, "0.0\n"),
        (("represent", MATRIX, "--eps", "1"), 1, ""),
        (("represent", "[1]", "--eps", "1", "--out", "{folder}/theta.txt"), 0, ""),
        (("lambda", "0"), 0, "0.0\n"),
    ],
)
def test_quiet_leaves_the_answer_alone(run, tmp_path, arguments, status, printed):
    asked = [argument.format(folder=tmp_path) for argument in arguments]
    assert run(*asked, "--quiet") == (status, printed, "")


@pytest.mark.parametrize("arguments", [("routes", MATRIX, "--eps", "1/2"), ("reproduce", "--list")])
def test_what_is_asked_for_is_printed_with_quiet_too(run, arguments):
    code, out, err = run(*arguments, "--quiet")
    assert (code, err) == (0, "")
    assert out.count("\n") >= 8
    assert run(*arguments)[1].endswith(out)


def test_with_json_and_quiet_the_json_remains(run):
    code, out, err = run("check", MATRIX, "--gamma", "1/2", "--json", "--quiet")
    assert (code, err) == (1, "")
    assert json.loads(out)["representable"] is False
    assert "error: " in run("check", "[1 2]", "--eps", "1", "--quiet")[2]
    assert run("check", "[1]", "--eps", "1")[1] != ""  # and the next command speaks again


def test_the_demo_is_silent_with_quiet_and_json_names_its_files(run, tmp_path, monkeypatch):
    from odemom.demo import tour

    def toured(out, *, quiet, **_):
        assert quiet
        (out / "index.html").write_text("")
        return out / "index.html"

    monkeypatch.setattr(tour, "tour", toured)
    assert run("demo", "--out", str(tmp_path), "--quiet") == (0, "", "")
    page = str(tmp_path / "index.html")
    assert json.loads(run("demo", "--out", str(tmp_path), "--json")[1]) == {
        "page": page, "files": [page],
    }  # fmt: skip


def test_warnings_of_ours_are_sentences_on_the_command_line(run, monkeypatch):
    spectrum = importlib.import_module("odemom.representability.spectrum")
    real = spectrum.spectrum

    def slow(*arguments, **options):
        warnings.warn("this takes 2 hours", OdemomWarning, stacklevel=2)
        return real(*arguments, **options)

    monkeypatch.setattr(spectrum, "spectrum", slow)
    with warnings.catch_warnings():
        warnings.simplefilter("default", OdemomWarning)
        assert run("check", "[1]", "--eps", "1")[2] == "warning: this takes 2 hours\n"
        assert run("check", "[1]", "--eps", "1", "--quiet")[2] == ""


# --- what is missing ---------------------------------------------------------------------------


@pytest.mark.parametrize("arguments", [REPRODUCE, SURVEY, ("demo",), ("reproduce", "all")])
def test_without_matplotlib_pictures_are_refused_before_anything_is_computed(
    run, tmp_path, monkeypatch, arguments
):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    for name in [name for name in sys.modules if name.startswith("odemom.plots")]:
        monkeypatch.delitem(sys.modules, name)
    code, out, err = run(*arguments, "--out", str(tmp_path / "out"))
    assert (code, out) == (2, "")
    assert "matplotlib is not installed" in err
    assert "pip install 'odemom[plots]'" in err
    assert not (tmp_path / "out").exists()


# --- progress ----------------------------------------------------------------------------------


class Terminal:
    """An error stream that says that it is a terminal, and keeps what is written."""

    def __init__(self) -> None:
        self.text = ""

    def write(self, text: str) -> int:
        self.text += text
        return len(text)

    def flush(self) -> None:
        pass

    def isatty(self) -> bool:
        return True


def test_what_takes_long_says_so_on_a_terminal(monkeypatch):
    monkeypatch.setattr(sys, "stderr", terminal := Terminal())
    with shared.waiting("deciding"):
        pass
    assert terminal.text == ""
    words, end = "deciding, which takes longer than 0.05 s; Ctrl-C ends it\n", time.monotonic() + 20
    with shared.waiting("deciding", after=0.05):
        while words not in terminal.text and time.monotonic() < end:
            time.sleep(0.02)
    assert terminal.text == words


def test_a_bar_is_for_terminals_alone(monkeypatch):
    monkeypatch.setattr(sys, "stderr", Terminal())
    with shared.progress_bar("tasks", shown=True) as progress:
        assert progress is not None
    monkeypatch.setattr(sys, "stderr", file := io.StringIO())
    with shared.progress_bar("tasks", shown=True) as progress:
        assert progress is None
    assert file.getvalue() == ""  # not even the end of a line


# --- exit status -------------------------------------------------------------------------------


def test_the_statuses_are_those_of_the_manual(run):
    table = PAGE.partition("| status | meaning |")[2].partition("\n\n")[0]
    assert re.findall(r"^\| (\d+) \|", table, re.MULTILINE) == [
        "0", "1", "2", str(cli.DEFECT), str(cli.INTERRUPTED),
    ]  # fmt: skip
    words = " ".join(run("-h")[1].split())
    assert all(re.search(rf"\b{status} [a-z]", words) for status in (0, 1, 2, 70, 130))


# --- Ctrl-C ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("inside", "arguments"),
    [
        ("odemom.representability.spectrum.spectrum", ("check", "{file}", "--eps", "1")),
        (
            "odemom.representability.witness.witness_of",
            ("represent", "{file}", "--eps", "1", "--out", "{folder}/theta.txt"),
        ),
        ("odemom.representability.routes.routes", ("routes", "{file}", "--eps", "1")),
        ("odemom.flows.threshold.lambda_eps", ("lambda", "1")),
        ("odemom.doctor.checkup.check_up", ("doctor",)),
        ("odemom.demo.tour.tour", ("demo",)),
    ],
)
def test_ctrl_c_is_a_sentence_and_old_files_are_whole(
    run, tmp_path, monkeypatch, ctrl_c, inside, arguments
):
    (tmp_path / "D.txt").write_text("1 2\n3 4\n")
    (tmp_path / "theta.txt").write_text("old\n")
    module, _, name = inside.rpartition(".")
    monkeypatch.setattr(importlib.import_module(module), name, ctrl_c)
    asked = [a.format(folder=tmp_path, file=tmp_path / "D.txt") for a in arguments]
    assert run(*asked) == (130, "", INTERRUPTED)
    assert (tmp_path / "theta.txt").read_text() == "old\n"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["D.txt", "theta.txt"]


def test_ctrl_c_before_the_command_is_known_is_the_same_sentence(run, monkeypatch, ctrl_c):
    monkeypatch.setattr(typer.core.TyperGroup, "parse_args", ctrl_c)
    assert run("check", MATRIX) == (130, "", INTERRUPTED)


@pytest.mark.parametrize(
    ("owner", "name", "calls", "arguments", "kept"),
    [
        (survey.SimpleSpectra, "of", 2, SURVEY, "survey.parts.jsonl"),
        (fig4, "is_representable", 60, REPRODUCE, "fig4.parts.jsonl"),
    ],
)
def test_ctrl_c_keeps_finished_tasks_and_the_same_command_goes_on(
    run, tmp_path, monkeypatch, ctrl_c, owner, name, calls, arguments, kept
):
    real, made = getattr(owner, name), []

    def counted(*given):
        made.append(given)
        return ctrl_c() if len(made) == calls else real(*given)

    with monkeypatch.context() as patch:
        patch.setattr(owner, name, counted)
        code, out, err = run(*arguments, "--out", str(tmp_path), "--quiet")
    assert (code, out) == (130, "")
    assert err == f"\ninterrupted: the same command goes on from what {tmp_path} holds\n"
    assert [path.name for path in tmp_path.iterdir()] == [kept]
    finished = len((tmp_path / kept).read_text().splitlines()) - 1
    assert finished >= 1
    assert run(*arguments, "--out", str(tmp_path), "--quiet") == (0, "", "")
    assert not (tmp_path / kept).exists()


@pytest.mark.slow
@pytest.mark.parametrize("after", [8.0, 14.0])  # imports take seconds
@pytest.mark.parametrize(
    "arguments",
    [
        ("represent", "{folder}/big.txt", "--eps", "2", "--out", "{folder}/theta.npy"),
        ("reproduce", "fig4", "--set", "points=4001", "--out", "{folder}/out"),
        ("reproduce", "descent", "--out", "{folder}/out", "--backend", "joblib", "--workers", "2"),
        ("survey", "--out", "{folder}/out"),
        ("sweep", "{folder}/sweep.yaml", "--out", "{folder}/out"),
        ("train", "--epochs", "500", "--out", "{folder}/out"),
        ("demo", "--out", "{folder}/out"),
    ],
)
def test_ctrl_c_in_a_process_of_its_own(tmp_path, arguments, after):
    """After so many seconds; workers that are just starting say that they were interrupted."""
    rows = [[(i * j * j) % 997 - 498 for j in range(400)] for i in range(400)]
    (tmp_path / "big.txt").write_text("\n".join(" ".join(map(str, row)) for row in rows))
    (tmp_path / "sweep.yaml").write_text("base: {epochs: 200}\ngrid: {seed: [0, 1, 2]}\n")
    started = subprocess.Popen(
        [sys.executable, "-m", "odemom", *(a.format(folder=tmp_path) for a in arguments)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )  # fmt: skip
    time.sleep(after)
    late = threading.Timer(120, started.kill)
    late.start()
    with contextlib.suppress(ProcessLookupError):
        os.killpg(started.pid, signal.SIGINT)  # as a terminal does: the workers hear it too
    _, err = started.communicate()
    late.cancel()
    # Python may end itself by the signal, where an import was interrupted: a shell shows 130, too.
    assert started.returncode in (130, -signal.SIGINT), err
    assert err.count("interrupted: ") == 1
    assert "Traceback" not in err or "joblib" in arguments
    assert not list(tmp_path.rglob("*.tmp"))
    assert not (tmp_path / "theta.npy").exists()
