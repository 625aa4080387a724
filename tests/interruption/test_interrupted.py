"""Killed, terminated, interrupted at any step, on a full or read-only disk: old files are whole.

And the same command, given again, does what it would have done.
"""

from __future__ import annotations

import importlib
import json
import shutil
import signal
from pathlib import Path

import numpy as np
import pytest

import odemom
from odemom.records import write_text_atomic
from tests.interruption.harness import run_until

# Once, before the forks: each would do it again.
for room in ("representability.witness", "matrix_files", "experiments.survey", "plots.style"):
    importlib.import_module(f"odemom.{room}")
odemom.represent([[1]], 1)


SIGNALS = [signal.SIGKILL, signal.SIGTERM, signal.SIGINT]
SURVEY = ["survey", "--dim", "2", "--ensemble", "ginibre", "--eps", "1", "--out", "r", "--samples"]
PRICE = ["reproduce", "price", "--quick", "--out", "r", "--set"]
TRAIN = ["train", "--set", "width=8", "--set", "method=euler", "--batch-size", "1024", "--epochs"]
SWEEP = ["sweep", "s.yaml", "--out", "r"]
GRID = "base: {width: 8, epochs: 1, batch_size: 1024, method: euler}\ngrid: {seed: [0, 1]}\n"


@pytest.fixture
def before(tmp_path):
    """A folder with a matrix and what a sweep asks for."""
    folder = tmp_path / "before"
    folder.mkdir()
    write_text_atomic(folder / "D.txt", "2 1\n0 3\n")
    write_text_atomic(folder / "s.yaml", GRID)
    return folder


def files_of(folder: Path) -> dict[str, bytes]:
    return {
        str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()
    }


def is_whole(path: Path) -> bool:
    """Whether a reader of that kind of file takes it."""
    if path.suffix == ".json":
        return bool(json.loads(path.read_text()))
    if path.suffix == ".npy":
        return np.load(path).ndim == 2
    if path.suffix == ".ckpt":
        from odemom.training.seal import is_whole as is_sealed

        return is_sealed(path)
    ends = {".png": (b"\x89PNG", b"IEND\xaeB`\x82"), ".pdf": (b"%PDF", b"%%EOF\n")}
    content = path.read_bytes()
    if path.suffix == ".jsonl" and not content:
        return True  # no task was finished, and nothing says of which version
    begin, end = ends.get(path.suffix, (b"", b"\n"))
    return content.startswith(begin) and content.endswith(end)


def ended_everywhere(before, command, again=None, signals=SIGNALS, stride=1):
    """End the command before each of its steps, look at the files, and give it again."""
    old = files_of(before)
    full = before.with_name("full")
    shutil.copytree(before, full)
    whole = run_until(command, full)
    assert whole.status == 0, whole.err
    expected = files_of(full)
    for number in signals:
        for step in range(1, whole.steps + 1, stride):
            folder = before.with_name("ended")
            shutil.rmtree(folder, ignore_errors=True)
            shutil.copytree(before, folder)
            ended = run_until(command, folder, at=step, number=number)
            if number == signal.SIGKILL:
                assert ended.status == -number
            else:
                assert (ended.status, "interrupted" in ended.err) == (130, True), (step, ended.err)
                assert not list(folder.rglob("*.tmp")), step
            for name in [*old, *expected]:
                path = folder / name
                assert path.exists() or name not in old, (number, step, name)
                assert not path.exists() or is_whole(path), (number, step, name)
            third = run_until(command if again is None else again(folder), folder)
            assert third.status == 0, (number, step, third.err)
            assert set(files_of(folder)) >= set(expected), (number, step)


def test_represent_leaves_the_old_theta_or_the_new_one(before):
    command = ["represent", "D.txt", "--eps", "1", "--out", "r/theta.npy"]
    assert run_until(command, before).status == 0
    again = [*command[:3], "2", *command[4:]]
    ended_everywhere(before, again, signals=SIGNALS[:2])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("command", "first", "then"), [(SURVEY, "30", "40"), (PRICE, "points=21", "points=31")]
)
def test_numbers_and_pictures_are_old_or_new(before, command, first, then):
    assert run_until([*command, first], before).status == 0
    ended_everywhere(before, [*command, then, "--overwrite"])


@pytest.mark.slow
def test_a_training_goes_on_from_its_last_checkpoint(before):
    command = [*TRAIN, "2", "--out", "r"]

    def again(folder):
        last = folder / "r" / "checkpoints" / "last.ckpt"
        return [*command, "--resume", str(last)] if last.exists() else command

    ended_everywhere(before, command, again, stride=3)


@pytest.mark.slow
def test_a_sweep_goes_on_with_the_trainings_that_are_not_finished(before):
    ended_everywhere(before, SWEEP, signals=[signal.SIGKILL, signal.SIGTERM], stride=5)


# --- full disks and folders that cannot be written ----------------------------------------------


@pytest.mark.parametrize("command", [["represent", "D.txt", "--eps", "1", "--out", "theta.npy"]])
def test_a_full_disk_is_a_sentence(before, command):
    full_disk(before, command, 100)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("command", "limit"),
    [
        ([*SURVEY, "40", "--overwrite"], 100),
        ([*SURVEY, "40", "--overwrite"], 5000),
        ([*PRICE, "points=31", "--overwrite"], 5000),
        ([*TRAIN, "1", "--out", "r"], 5000),
        (SWEEP, 5000),
    ],
)
def test_a_full_disk_is_a_sentence_for_all_that_writes(before, command, limit):
    full_disk(before, command, limit)


def full_disk(before, command, limit):
    """What is longer than the limit cannot be written: status 2, a sentence, old files whole."""
    old = files_of(before)
    ended = run_until(command, before, largest_file=limit)
    assert ended.status == 2, ended.err
    assert "error: " in ended.err
    assert "Traceback" not in ended.err
    found = files_of(before)
    assert {name: found.get(name) for name in old} == old
    assert not [name for name in found if name.endswith(".tmp")]


@pytest.mark.slow
def test_a_folder_that_is_a_file_is_a_sentence(before):
    for command in (["survey"], ["reproduce", "price"], ["train"]):
        ended = run_until([*command, "--out", "D.txt/r"], before)
        assert ended.status == 2, ended.err
        assert "error: " in ended.err
        assert files_of(before)["D.txt"] == b"2 1\n0 3\n"
