"""The GPU run: a measurement that fails leaves the others, and none begins after the budget."""

from __future__ import annotations

import json
from fractions import Fraction

import torch

from benchmarks.gpu import training
from benchmarks.gpu.kernels import equal_bits
from benchmarks.gpu.log import Log, Timer


def log_in(folder, budget=60.0):
    return Log(folder / "gpu.json", budget, torch.device("cpu"))


def rows_in(folder):
    return json.loads((folder / "gpu.json").read_text())["rows"]


def test_an_error_is_a_row_and_every_row_is_written_at_once(tmp_path, capsys):
    log = log_in(tmp_path)

    def fails():
        raise RuntimeError("out of memory")

    log.measure("step", "first", fails)
    assert rows_in(tmp_path)[0]["error"] == "RuntimeError: out of memory"
    log.measure("step", "second", lambda: {"ms": 1.5})
    assert rows_in(tmp_path)[1]["ms"] == 1.5
    assert "out of memory" in capsys.readouterr().out


def test_no_measurement_begins_without_the_time_it_needs(tmp_path):
    called = []
    log_in(tmp_path, 10.0).measure("step", "late", lambda: called.append(1) or {}, needs=20.0)
    assert not called
    assert "20 needed" in rows_in(tmp_path)[0]["skipped"]


def test_the_bits_of_the_paths_are_compared(tmp_path):
    log = log_in(tmp_path)
    found = equal_bits(Fraction(9, 10), log)
    assert all(found["equal"].values())
    assert found["undone"]


def test_an_experiment_that_takes_too_long_is_cut_off_with_its_workers(tmp_path):
    found = training.reproduce("fig9", {"data": "digits"}, 1, tmp_path, limit=0.5)
    assert "cut off after 0 s" in found["error"] or "cut off after 1 s" in found["error"]


def test_the_median_of_a_few_calls_is_taken():
    calls = []
    assert Timer(torch.device("cpu"))(lambda: calls.append(1), repeats=3) >= 0
    assert len(calls) == 3
