"""Sweeps in which a training fails or would be refused, and clusters that cannot run any."""

from __future__ import annotations

import json
import os

import pytest

from odemom import BackendError
from odemom.errors import InvalidInputError
from odemom.sweep import Backend
from odemom.sweep.trainings import read_sweep, run_sweep
from tests.clusters import cluster
from tests.pictures import image_folder
from tests.sweep.test_backends import killed, own_pid, results, square

SMALL = "model: resnet20, limit: 64, epochs: 1, batch_size: 32, accelerator: cpu"


def written(tmp_path, text):
    path = tmp_path / "sweep.yaml"
    path.write_text(text)
    return path


def test_a_training_that_fails_does_not_stop_the_others(run, tmp_path):
    path = written(tmp_path, f"base: {{{SMALL}}}\ngrid: {{learning_rate: [1e30, 1e-3]}}\n")
    out = tmp_path / "out"
    code, said, err = run("sweep", str(path), "--out", str(out))
    assert code == 2
    assert "learning_rate 0.001: test accuracy" in said
    assert "error: learning_rate 1e+30: DivergedError: the train loss is" in err
    assert "the same command tries again what failed" in err
    found = json.loads((out / "sweep.json").read_text())
    assert [row["settings"] for row in found["rows"]] == [{"learning_rate": 0.001}]
    assert [f["settings"] for f in found["failures"]] == [{"learning_rate": 1e30}]
    assert len((out / "sweep.csv").read_text().splitlines()) == 2
    code, said, _ = run("sweep", str(path), "--out", str(out), "--json")
    again = json.loads(said)
    assert (code, len(again["rows"]), len(again["failures"])) == (2, 1, 1)


@pytest.mark.parametrize(
    ("grid", "message"),
    [
        ("batch_size: [32, 65]", "^batch_size 65: batch_size: got 65; expected at most 64"),
        (
            "model: [resnet20, momentum-resnet20], model_options: [{}, {gamma: 1.5}]",
            "gamma",
        ),
        ("model: [resnet20, 'torchvision:alexnet']", "^model torchvision:alexnet: in_channels"),
        ("seed: [0], devices: [2]", "^devices: got 2 on 1 machine; expected 1: .*--backend joblib"),
    ],
)
def test_all_trainings_are_looked_at_before_the_first_one(tmp_path, monkeypatch, grid, message):
    monkeypatch.setattr("odemom.training.run.train", None)  # not called
    base = SMALL
    for name in ("model", "batch_size"):
        if f"{name}:" in grid:
            base = ", ".join(part for part in base.split(", ") if not part.startswith(f"{name}:"))
    path = written(tmp_path, f"base: {{{base}}}\ngrid: {{{grid}}}\n")
    with pytest.raises(InvalidInputError, match=message):
        run_sweep(read_sweep(path), tmp_path / "out")


def test_a_damaged_checkpoint_of_a_run_is_trained_again(tmp_path):
    path = written(tmp_path, f"base: {{{SMALL}}}\ngrid: {{seed: [0]}}\n")
    first = run_sweep(read_sweep(path), tmp_path / "out")
    (last,) = (tmp_path / "out").rglob("last.ckpt")
    last.write_bytes(last.read_bytes()[:-100])
    (tmp_path / "out" / "sweep.parts.jsonl").unlink()
    again = run_sweep(read_sweep(path), tmp_path / "out")
    assert again.rows[0].test_accuracy == first.rows[0].test_accuracy
    assert again.failures == ()


def test_a_relative_folder_is_one_for_every_worker(tmp_path, monkeypatch):
    image_folder(tmp_path / "tints")
    monkeypatch.chdir(tmp_path)
    text = f"base: {{data: tints, {SMALL.replace(', limit: 64', '')}}}\ngrid: {{seed: [0]}}\n"
    assert read_sweep(written(tmp_path, text)).configs[0].data == str(tmp_path / "tints")


def test_an_empty_grid_is_refused(tmp_path):
    with pytest.raises(InvalidInputError, match="grid: got nothing"):
        read_sweep(written(tmp_path, "grid: {}"))


@pytest.mark.slow
def test_one_worker_with_one_thread_does_the_tasks_itself(tmp_path):
    distributed = pytest.importorskip("distributed")
    with cluster(tmp_path, 1) as (address, workers):
        with distributed.Client(address) as client:
            client.wait_for_workers(1, timeout=120)
        found = results(Backend("dask", scheduler=address), own_pid)
    assert set(found) == {workers[0].pid} != {os.getpid()}


@pytest.mark.slow
@pytest.mark.parametrize("without", ["dask_scheduler", "dask_worker"])
def test_a_cluster_without_odemom_is_refused(tmp_path, without):
    distributed = pytest.importorskip("distributed")
    with cluster(tmp_path, 1, [without]) as (address, _):
        with distributed.Client(address) as client:
            client.wait_for_workers(1, timeout=120)
        with pytest.raises(InvalidInputError, match=r"another odemom or none .*No module named"):
            results(Backend("dask", scheduler=address), square)


@pytest.mark.slow
def test_a_task_that_ends_its_workers_is_named():
    pytest.importorskip("distributed")
    with pytest.raises(BackendError, match="a worker ended before its task was done"):
        results(Backend("dask", 1), killed)
