"""The training of small ODE networks on digits: what it learns, writes, resumes and refuses."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
import logging
import os
import signal
import subprocess
import sys
import warnings

import numpy as np
import pytest
import torch

from odemom.data.images import load_images
from odemom.errors import InvalidInputError
from odemom.models.ode_net import ODENet
from odemom.training import TrainingConfig
from odemom.training.lightning import Classifier
from odemom.training.run import train
from odemom.training.surroundings import cpu_threads

SMALL = TrainingConfig(
    width=8,
    epochs=3,
    batch_size=128,
    method="euler",
    accelerator="cpu",
)
SHORT = dataclasses.replace(SMALL, epochs=1, batch_size=512)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A training without interruption, and its folder."""
    folder = tmp_path_factory.mktemp("whole")
    return train(SMALL, out_dir=folder, progress=False), folder


def weights(path):
    return torch.load(path, weights_only=True)["state_dict"]


def assert_same_weights(one, other):
    one, other = weights(one), weights(other)
    assert one.keys() == other.keys()
    assert all(torch.equal(one[name], other[name]) for name in one)


@pytest.fixture
def interrupted(tmp_path, monkeypatch):
    """The folder of the same training, after Ctrl-C in its third epoch."""
    step = Classifier.training_step

    def training_step(self, batch, batch_idx):
        if self.current_epoch == 2 and batch_idx == 3:
            os.kill(os.getpid(), signal.SIGINT)
        return step(self, batch, batch_idx)

    monkeypatch.setattr(Classifier, "training_step", training_step)
    # A shell starts background jobs with SIGINT ignored.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(
            KeyboardInterrupt, match=r"the same command with --resume .*last\.ckpt goes on"
        ):
            train(SMALL, out_dir=tmp_path, progress=False)
        monkeypatch.undo()
        yield tmp_path
    finally:
        signal.signal(signal.SIGINT, before)


def test_it_learns(whole):
    result, _ = whole
    # Chance is 0.1; the losses fall from log(10) on.
    assert result.test_accuracy > 0.5
    assert result.history[-1]["train_loss"] < result.history[0]["train_loss"] < 2.4


def test_an_interrupted_training_resumes_to_the_same_weights(whole, interrupted):
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler  # Ctrl-C works again
    result, _ = whole
    resumed = train(
        SMALL, out_dir=interrupted, resume=interrupted / "checkpoints" / "last.ckpt", progress=False
    )
    assert_same_weights(resumed.checkpoint, result.checkpoint)
    assert_same_weights(resumed.best_checkpoint, result.best_checkpoint)
    assert resumed.test_accuracy == result.test_accuracy
    for name in ("epoch", "step", "train_loss", "validation_accuracy", "learning_rate", "nfe"):
        assert [row[name] for row in resumed.history] == [row[name] for row in result.history]
    assert len(read_csv(resumed.csv)) == SMALL.epochs


def test_the_same_seed_gives_the_same_weights_and_the_caller_his_random_numbers_back(tmp_path):
    one = train(SHORT, out_dir=tmp_path / "one", progress=False)
    torch.manual_seed(5)  # what the caller drew before has no say
    expected = torch.rand(1)
    torch.manual_seed(5)
    other = train(SHORT, out_dir=tmp_path / "other", progress=False)
    assert torch.equal(torch.rand(1), expected)
    assert not torch.are_deterministic_algorithms_enabled()
    assert_same_weights(one.checkpoint, other.checkpoint)


def read_csv(path):
    with open(path, newline="") as stream:
        return list(csv.DictReader(stream))


def test_the_files_hold_the_result(whole):
    result, folder = whole
    written = json.loads((folder / "result.json").read_text())
    assert written == result.to_dict()
    assert written["provenance"]["seed"] == SMALL.seed
    assert {"torch", "lightning", "torchdiffeq", "scikit-learn"} <= result.versions.keys()
    rows = read_csv(folder / "metrics.csv")
    assert [float(row["train_loss"]) for row in rows] == [r["train_loss"] for r in result.history]
    assert result.best_checkpoint.is_file()


def test_nfe_and_parameters_are_counted(whole):
    result, _ = whole
    assert result.mean_nfe == 2 * 10 * 1  # two blocks, ten steps of Euler
    net = ODENet(width=8)
    assert result.parameters == sum(p.numel() for p in net.parameters())


@pytest.mark.parametrize(
    "changes",
    [
        {"order": 1},
        {"eps": "inf", "adjoint": True},
        {"initial_velocity": "field", "method": "dopri5"},
    ],
    ids=str,
)
def test_every_kind_of_block_trains_without_a_warning(changes, tmp_path):
    config = dataclasses.replace(SHORT, **changes)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        result = train(config, out_dir=tmp_path, progress=False)
    assert np.isfinite(result.history[0]["validation_loss"])


def test_without_progress_nothing_is_printed(tmp_path, capfd):
    # Under pytest, Lightning's log does not reach the terminal: here it does.
    heard = logging.StreamHandler(io.StringIO())
    loggers = [logging.getLogger(name) for name in ("lightning.pytorch", "lightning.fabric")]
    for logger in loggers:
        logger.addHandler(heard)
    try:
        train(SHORT, out_dir=tmp_path, progress=False)
    finally:
        for logger in loggers:
            logger.removeHandler(heard)
    assert (*capfd.readouterr(), heard.stream.getvalue()) == ("", "", "")


@pytest.mark.slow
def test_without_progress_a_fresh_process_prints_nothing(tmp_path):
    code = (
        "from odemom.training import TrainingConfig, train;"
        "config = TrainingConfig(width=8, epochs=1, batch_size=512, method='euler');"
        f"train(config, out_dir={str(tmp_path)!r}, progress=False)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("", "")


@pytest.mark.parametrize(("terminal", "said"), [(True, "Epoch 0/0"), (False, "epoch 1 of 1: ")])
def test_progress_shows_the_epoch(tmp_path, capfd, monkeypatch, terminal, said):
    monkeypatch.setattr("rich.console.Console.is_terminal", terminal)
    train(SHORT, out_dir=tmp_path)
    out, err = capfd.readouterr()
    assert (out, said in err) == ("", True)  # standard output is for answers


# --- the data ----------------------------------------------------------------------------------


def test_the_splits_are_disjoint_stratified_and_whole():
    data = load_images("digits", seed=3)
    sets = {name: getattr(data, name) for name in ("train", "validation", "test")}
    assert {name: len(s) for name, s in sets.items()} == {
        "train": 1293,
        "validation": 144,
        "test": 360,
    }
    shares = [torch.bincount(s.labels, minlength=10) / len(s) for s in sets.values()]
    # Stratification rounds each class to a whole image: of 144, by less than 1 %.
    assert all((share - shares[0]).abs().max() <= 1 / 144 for share in shares)
    images = torch.cat([s.pixels for s in sets.values()]).flatten(1)
    assert images.shape == (1797, 64)
    assert len(images.unique(dim=0)) == 1797
    assert (images.min() / data.std[0], images.max() / data.std[0]) == (0, 1)


def test_the_splits_depend_on_the_seed_alone():
    one, same, other = (load_images("digits", seed=seed).test.pixels for seed in (1, 1, 2))
    assert torch.equal(one, same)
    assert not torch.equal(one, other)


# --- refusals ----------------------------------------------------------------------------------

BAD_CONFIGS = [
    ({"data": "imagenet"}, "data: got 'imagenet', and there is no folder '/.*/imagenet'; expected"),
    ({"data": 3}, "data: got 3"),
    ({"order": 3}, "order: got 3"),
    ({"order": True}, "order: got True"),
    ({"eps": -1}, "eps: got -1"),
    ({"initial_velocity": "one"}, "initial_velocity: got 'one'"),
    ({"epochs": 0}, "epochs: got 0; expected an integer >= 1"),
    ({"epochs": 1.5}, "epochs: got 1.5"),
    ({"batch_size": 0}, "batch_size: got 0"),
    ({"width": 12}, "width: got 12; expected a multiple of 8"),
    ({"seed": -1}, "seed: got -1"),
    ({"learning_rate": 0}, "learning_rate: got 0"),
    ({"learning_rate": float("nan")}, "learning_rate: got nan"),
    ({"weight_decay": -0.1}, "weight_decay: got -0.1"),
    ({"accelerator": "abacus"}, "accelerator: got 'abacus'"),
]


@pytest.mark.parametrize(("changes", "message"), BAD_CONFIGS, ids=str)
def test_bad_configurations_are_refused(changes, message):
    with pytest.raises(InvalidInputError, match=message):
        TrainingConfig(**changes)


BAD_TRAININGS = [
    ({"batch_size": 1294}, "batch_size: got 1294; expected at most 1293"),
    ({"eps": 0}, r"eps: got 0.*\(0, inf\].*order 1"),
    ({"method": "magic"}, "method: got 'magic'"),
    ({"order": 1, "initial_velocity": "field"}, "use order=2"),
]


@pytest.mark.parametrize(("changes", "message"), BAD_TRAININGS, ids=str)
def test_what_cannot_be_trained_is_refused(changes, message, tmp_path):
    with pytest.raises(InvalidInputError, match=message):
        train(dataclasses.replace(SMALL, **changes), out_dir=tmp_path, progress=False)


def test_a_folder_that_is_a_file_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    for path in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(InvalidInputError, match="out: got"):
            train(SMALL, out_dir=path, progress=False)


def truncated(whole, tmp_path):
    path = tmp_path / "cut.ckpt"
    path.write_bytes(whole[0].checkpoint.read_bytes()[:1000])
    return path


def of_another_program(whole, tmp_path):
    torch.save({"state_dict": {}}, tmp_path / "other.ckpt")
    return tmp_path / "other.ckpt"


def missing(whole, tmp_path):
    return tmp_path / "none.ckpt"


def of_another_configuration(whole, tmp_path):
    return whole[0].checkpoint


@pytest.mark.parametrize(
    ("checkpoint", "message"),
    [
        (missing, "which is no file"),
        (truncated, "which cannot be read"),
        (of_another_program, "which cannot be read"),
        (of_another_configuration, r"with epochs = 3, not 5"),
    ],
)
def test_a_checkpoint_that_does_not_fit_is_refused(checkpoint, message, whole, tmp_path):
    config = dataclasses.replace(SMALL, epochs=5)
    with pytest.raises(InvalidInputError, match=message):
        train(config, out_dir=tmp_path, resume=checkpoint(whole, tmp_path), progress=False)


def test_it_runs_on_the_threads_that_were_asked_for_and_gives_them_back():
    before = torch.get_num_threads()
    with cpu_threads(before + 1):
        assert torch.get_num_threads() == before + 1
    assert torch.get_num_threads() == before
