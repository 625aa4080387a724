"""Sweeps of trainings: every combination once, finished ones kept, bad files refused."""

from __future__ import annotations

import csv
import json
import shutil
import signal
import threading
import time
from pathlib import Path

import pytest

from odemom.errors import InvalidInputError
from odemom.sweep.trainings import read_sweep, run_sweep
from tests.clusters import cluster
from tests.pictures import image_folder

SMALL = "base: {width: 8, epochs: 1, batch_size: 512, method: euler, accelerator: cpu}\n"


def written(tmp_path, text):
    path = tmp_path / "sweep.yaml"
    path.write_text(text)
    return path


def test_a_grid_is_every_combination(tmp_path):
    plan = read_sweep(
        written(tmp_path, "base: {model: odenet, data: a/b}\ngrid: {seed: [0, 1], order: [1, 2]}\n")
    )
    assert [(c.seed, c.options["order"]) for c in plan.configs] == [(0, 1), (0, 2), (1, 1), (1, 2)]
    assert plan.settings[1] == {"seed": 0, "order": 2}


def test_numbers_are_those_that_the_file_spells(tmp_path):
    plan = read_sweep(
        written(
            tmp_path,
            "base: {model: odenet, data: a/b, limit: 010}\n"
            'grid: {learning_rate: [1e-3, .5, "2e-3", 1], root: [on, null]}\n',
        )
    )
    rates = [config.learning_rate for config in plan.configs]
    assert rates == [0.001, 0.001, 0.5, 0.5, 0.002, 0.002, 1, 1]
    assert {type(rate) for rate in rates} == {float}
    assert [config.root for config in plan.configs[:2]] == [str(Path.cwd() / "on"), None]
    assert plan.configs[0].limit == 10


def test_finished_trainings_are_not_done_again(tmp_path, monkeypatch):
    path = written(tmp_path, SMALL + "grid: {order: [1, 2]}\n")
    first = run_sweep(read_sweep(path), tmp_path / "out")
    assert [row.settings for row in first.rows] == [{"order": 1}, {"order": 2}]
    monkeypatch.setattr("odemom.training.run.train", None)  # not called again
    assert run_sweep(read_sweep(path), tmp_path / "out") == first
    with open(tmp_path / "out" / "sweep.csv", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [float(r["test_accuracy"]) for r in rows] == [r.test_accuracy for r in first.rows]
    written_rows = json.loads((tmp_path / "out" / "sweep.json").read_text())["rows"]
    assert len(written_rows) == 2


def test_trainings_on_images_that_were_replaced_are_done_again(tmp_path):
    folder = image_folder(tmp_path / "tints", images=20)
    text = (
        f"base: {{model: odenet, data: {folder}, root: {tmp_path}, epochs: 1, batch_size: 7, "
        "accelerator: cpu}\n"
        "grid: {seed: [0]}\n"
    )
    plan = read_sweep(written(tmp_path, text))
    before = run_sweep(plan, tmp_path / "out")
    assert run_sweep(plan, tmp_path / "out") == before
    shutil.rmtree(folder)
    image_folder(folder, images=20, seed=1)
    assert run_sweep(plan, tmp_path / "out").rows[0].seconds != before.rows[0].seconds
    assert len([*(tmp_path / "out" / "runs").iterdir()]) == 2


def test_a_sweep_from_the_command_line(run, tmp_path):
    path = written(tmp_path, SMALL + "grid: {order: [1]}\n")
    code, out, _ = run("sweep", str(path), "--out", str(tmp_path / "out"), "--json")
    assert (code, len(json.loads(out)["rows"])) == (0, 1)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("grid: [", "file: got"),
        ("[" * 3000, "file: got"),
        ("#" * (2**20 + 1), r"^file: got \S*, over 1048576 bytes; expected a YAML file\.$"),
        ("- 1", r"with \[1\]; expected a mapping grid"),
        ("base: {}", "without grid; expected a mapping grid"),
        ("base: {epochs: 1}", r"without grid.* One training alone: odemom train\.$"),
        ("", r"which is empty; expected a mapping grid.*(?s:.*)seed: \[0, 1\]$"),
        ("grid: {seed: [1]}\nbase: {}\nothers: {epochs: 1}", "with 'others' beside base and grid"),
        ("grid: {model: [resnet20], foo: [1]}", r"strategy\.$"),
        (
            "base: {model: resnet20, eps: '1/2'}\ngrid: {seed: [1]}",
            "no options. The network odenet",
        ),
        ("base: {model: resnet20, rtol: 0.001}\ngrid: {seed: [1]}", "network odenet-digits has it"),
        ("grid: {lr: [1]}", r"setting: got 'lr'.* Did you mean learning_rate\?$"),
        ("base: {out: x}\ngrid: {seed: [1]}", "It is an option of the command: odemom sweep FILE"),
        ("base: {model: resnet20}\ngrid: {wrong: [1]}", r"one of preset, data, epochs, batch_size"),
        ("grid: {eps: ['1/2', 0.5]}", "one training twice: eps 1/2 and eps 0.5"),
        ("base: {order: 1, eps: 0.5}\ngrid: {seed: [1]}", "eps: got 0.5 beside order 1"),
        (
            "base: {model: odenet, model_options: {eps: 2}, eps: 3}\ngrid: {seed: [1]}",
            "eps: got 3 beside 2 in model_options; expected it in one place",
        ),
        (
            "grid: {order: [1], eps: [1, 2]}",
            "eps: got 1 beside order 1; expected it beside order 2",
        ),
        ("grid: {seed: 3}", "grid: seed: got 3; expected a list"),
        ("grid: {seed: []}", "grid: seed: got"),
        ("base: {seed: 1}\ngrid: {seed: [0]}", "it in base too"),
        ("grid: {seed: [0, 1, 0]}", "grid: got one training twice: seed 0 and seed 0; expected"),
        ("grid: {sead: [1]}", "setting: got 'sead'"),
        ("base: {epochz: 1}\ngrid: {seed: [1]}", "expected one of preset, .*Did you mean epochs"),
        ("grid: {ordr: [1]}", "or an option of odenet-digits: .*Did you mean order"),
        (
            "base: {model: resnet20}\ngrid: {gamma: [0.9]}",
            r"no options\. The network momentum-resnet20 has it",
        ),
        ("grid: {epochs: [1, 0]}", "epochs: got 0"),
        ("grid: {epochs: [1_0]}", "epochs: got '1_0'"),
        ("grid: {learning_rate: [1_0e-3]}", "learning_rate: got the text '1_0e-3'"),
        ("grid: {seed: [1:30]}", "seed: got '1:30'"),
        ("grid: {seed: [1], epochs: [2], seed: [3]}", "the key 'seed' comes twice"),
        ("grid: {seed: [1]}\ngrid: {seed: [3]}", "the key 'grid' comes twice"),
        ("grid: {seed: [.nan]}", "seed: got nan"),
        (f"grid: {{seed: [{'9' * 5000}]}}", "file: got"),
        ("grid: {? {a: 1} : [3]}", "file: got"),
        ("grid: !!python/object/apply:os.getcwd []", "file: got"),
        ("grid: {model: [resnet21]}", "model: got 'resnet21'"),
        ("grid: {model_options: [5]}", "model_options: got 5; expected a mapping"),
        ("grid: {preset: [[gpu]]}", r"preset: got \['gpu'\]; expected one of laptop"),
    ],
)
def test_bad_files_are_refused_before_anything_is_trained(tmp_path, text, message):
    with pytest.raises(InvalidInputError, match=message):
        read_sweep(written(tmp_path, text))


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(InvalidInputError, match="none"):
        read_sweep(tmp_path / "none.yaml")


@pytest.mark.parametrize("base", ["eps: 0.5", "model_options: {eps: 0.5}"])
def test_a_mass_in_base_is_for_the_second_order(tmp_path, base):
    (tmp_path / "sweep.yaml").write_text(
        f"base: {{model: odenet, {base}}}\ngrid: {{order: [1, 2]}}"
    )
    first, second = read_sweep(tmp_path / "sweep.yaml").configs
    assert first.options == {"order": 1}
    assert second.options == {"order": 2, "eps": 0.5}


def test_ctrl_c_ends_a_sweep_and_a_training_in_a_sentence(run, tmp_path, monkeypatch, ctrl_c):
    from odemom.training.lightning import Classifier

    (tmp_path / "sweep.yaml").write_text(f"{SMALL}grid: {{seed: [0, 1]}}\n")
    sweep = ("sweep", str(tmp_path / "sweep.yaml"), "--out", str(tmp_path / "sweep"))
    training = ("train", "--limit", "64", "--epochs", "1", "--out", str(tmp_path / "train"))
    monkeypatch.setattr(Classifier, "training_step", ctrl_c)
    code, _, err = run(*training, "--quiet")
    assert code == 130
    assert err.endswith("\ninterrupted: no epoch was finished; start again\n")
    code, _, err = run(*sweep, "--quiet")
    assert code == 130
    assert f"interrupted: the same command goes on from what {tmp_path / 'sweep'} holds" in err
    for file in tmp_path.rglob("*"):
        assert not file.name.endswith((".ckpt", ".tmp")), file


@pytest.mark.slow
def test_a_dask_cluster_does_each_training_once(tmp_path):
    pytest.importorskip("distributed")
    path = written(tmp_path, SMALL + "grid: {order: [1, 2], seed: [0, 1]}\n")
    over = run_sweep(read_sweep(path), tmp_path / "dask", backend="dask", workers=2)
    alone = run_sweep(read_sweep(path), tmp_path / "alone")
    assert [r.test_accuracy for r in over.rows] == [r.test_accuracy for r in alone.rows]
    lines = (tmp_path / "dask" / "sweep.parts.jsonl").read_text().splitlines()
    assert len(lines) == 1 + 4


@pytest.mark.slow
def test_a_lost_workers_training_is_done_elsewhere_and_none_twice(tmp_path):
    distributed = pytest.importorskip("distributed")
    path = written(tmp_path, SMALL + "grid: {order: [1, 2], seed: [0, 1, 2, 3]}\n")
    plan, store = read_sweep(path), tmp_path / "out" / "sweep.parts.jsonl"
    with cluster(tmp_path, 2) as (address, workers):
        with distributed.Client(address) as client:
            client.wait_for_workers(2, timeout=120)

        def kill_one():
            while not store.exists() or len(store.read_text().splitlines()) < 3:
                time.sleep(0.05)
            workers[0].send_signal(signal.SIGKILL)

        killer = threading.Thread(target=kill_one, daemon=True)
        killer.start()
        found = run_sweep(plan, tmp_path / "out", backend="dask", scheduler=address)
        killer.join(1)
        assert workers[0].wait(30) == -signal.SIGKILL
    assert len(found.rows) == 8
    keys = [json.loads(line).get("task") for line in store.read_text().splitlines()[1:]]
    assert len(keys) == len(set(keys)) == 8
