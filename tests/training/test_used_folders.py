"""Trainings into a folder in which one was before: what stays, what goes, and what is named."""

from __future__ import annotations

import dataclasses
import importlib
import shutil

import pytest
import torch

from odemom.errors import DivergedError, InvalidInputError
from odemom.training import TrainingConfig
from odemom.training.dry_run import dry_run
from odemom.training.fine_tuning import refit, refit_config
from odemom.training.lightning import Classifier
from odemom.training.run import network_for, train, training_data
from odemom.training.sources import load_source
from tests.pictures import image_folder

FILES = {"best.ckpt", "last.ckpt"}


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    path = image_folder(tmp_path_factory.mktemp("images") / "tints", images=30)
    return TrainingConfig(
        data=str(path),
        root=str(path.parent),
        model="odenet",
        model_options={"channels": 2, "blocks": 1},
        epochs=3,
        batch_size=12,
        accelerator="cpu",
    )


@pytest.fixture
def used(config, tmp_path):
    """A folder with a finished training of another seed."""
    train(dataclasses.replace(config, seed=7, epochs=1), out_dir=tmp_path / "out", progress=False)
    return tmp_path / "out"


def stopped_in(monkeypatch, epoch, error):
    real = Classifier.training_step

    def step(self, batch, batch_idx):
        if self.current_epoch == epoch:
            raise error
        return real(self, batch, batch_idx)

    monkeypatch.setattr(Classifier, "training_step", step)


def seeds_of(folder):
    return {
        path.name: torch.load(path, weights_only=True)["odemom"]["config"]["seed"]
        for path in (folder / "checkpoints").iterdir()
    }


def test_a_message_never_names_the_state_of_another_training(used, config, monkeypatch):
    stopped_in(monkeypatch, 0, KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt, match=r"no epoch was finished; start again"):
        train(config, out_dir=used, progress=False)
    assert seeds_of(used) == dict.fromkeys(FILES, 7)
    assert (used / "result.json").exists()


def test_what_another_training_left_goes_with_the_first_checkpoint(used, config, monkeypatch):
    stopped_in(monkeypatch, 1, KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt, match=r"--resume .*out/checkpoints/last\.ckpt goes on"):
        train(config, out_dir=used, progress=False)
    assert seeds_of(used) == dict.fromkeys(FILES, 0)
    assert not (used / "result.json").exists()


def test_without_validation_no_best_state_of_another_training_stays(used, config):
    result = train(dataclasses.replace(config, validation=0.0), out_dir=used, progress=False)
    assert seeds_of(used) == {"last.ckpt": 0}
    assert result.best_checkpoint == result.checkpoint


def test_a_resumed_training_names_what_it_went_on_from(used, config, monkeypatch, tmp_path):
    with monkeypatch.context() as patch:
        stopped_in(patch, 1, KeyboardInterrupt())
        with pytest.raises(KeyboardInterrupt):
            train(config, out_dir=tmp_path / "first", progress=False)
    last = tmp_path / "first" / "checkpoints" / "last.ckpt"
    stopped_in(monkeypatch, 1, KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt, match=f"--resume {last} goes on"):
        train(config, out_dir=used, resume=last, progress=False)


@pytest.mark.parametrize("moved", [False, True])
def test_the_best_score_is_known_in_another_folder(config, monkeypatch, tmp_path, moved):
    whole = train(config, out_dir=tmp_path / "whole", progress=False)
    accuracies = [row["validation_accuracy"] for row in whole.history]
    with monkeypatch.context() as patch:
        stopped_in(patch, 2, KeyboardInterrupt())
        with pytest.raises(KeyboardInterrupt):
            train(config, out_dir=tmp_path / "first", progress=False)
    out = tmp_path / "second"
    last = tmp_path / "first" / "checkpoints" / "last.ckpt"
    if moved:
        shutil.move(tmp_path / "first", out)
        last = out / "checkpoints" / "last.ckpt"
    found = train(config, out_dir=out, resume=last, progress=False)
    assert found.best_checkpoint == out / "checkpoints" / "best.ckpt"
    best = torch.load(found.best_checkpoint, weights_only=True)["epoch"]
    assert best == accuracies.index(max(accuracies))
    assert last.exists()
    assert found.best_checkpoint.exists()


def test_a_finished_training_names_its_files_and_not_those_of_another(used, config, tmp_path):
    whole = train(config, out_dir=tmp_path / "whole", progress=False)
    found = train(config, out_dir=tmp_path / "new", resume=whole.checkpoint, progress=False)
    for name in ("checkpoint", "best_checkpoint", "csv"):
        assert getattr(found, name) == getattr(whole, name)
    assert (tmp_path / "new" / "result.json").exists()
    before = (used / "result.json").read_bytes()
    with pytest.raises(InvalidInputError, match=r"out: got .*out, which holds another training"):
        train(config, out_dir=used, resume=whole.checkpoint, progress=False)
    assert (used / "result.json").read_bytes() == before
    assert seeds_of(used) == dict.fromkeys(FILES, 7)


@pytest.mark.parametrize("where", ["beside", "inside", "recorded"])
def test_the_best_of_another_training_is_never_taken(config, monkeypatch, tmp_path, where):
    other = dataclasses.replace(config, seed=7)
    last = stop_after_an_epoch(config, tmp_path / "part", monkeypatch)
    (tmp_path / "copy").mkdir()
    start = shutil.copy(last, tmp_path / "copy" / "last.ckpt")
    shutil.rmtree(tmp_path / "part")
    out = tmp_path / "out"
    if where == "recorded":
        train(other, out_dir=tmp_path / "part", progress=False)
    elif where == "inside":
        train(other, out_dir=out, progress=False)
        start = shutil.copy(start, out / "checkpoints" / "mine.ckpt")
    else:
        best = train(other, out_dir=tmp_path / "other", progress=False).best_checkpoint
        shutil.copy(best, tmp_path / "copy" / "best.ckpt")
    found = train(config, out_dir=out, resume=start, progress=False)
    assert found.best_checkpoint == out / "checkpoints" / "best.ckpt"
    assert {n: s for n, s in seeds_of(out).items() if n in FILES} == dict.fromkeys(FILES, 0)


def stop_after_an_epoch(config, out, monkeypatch):
    with monkeypatch.context() as patch:
        stopped_in(patch, 1, KeyboardInterrupt())
        with pytest.raises(KeyboardInterrupt):
            train(config, out_dir=out, progress=False)
    return out / "checkpoints" / "last.ckpt"


def test_nothing_is_written_before_the_first_checkpoint(used, config, monkeypatch, tmp_path):
    last = stop_after_an_epoch(config, tmp_path / "first", monkeypatch)
    stopped_in(monkeypatch, 1, KeyboardInterrupt())
    before = {path: path.read_bytes() for path in (used / "checkpoints").iterdir()}
    with pytest.raises(KeyboardInterrupt):
        train(config, out_dir=used, resume=last, progress=False)
    assert {path: path.read_bytes() for path in before} == before
    assert (used / "result.json").exists()


def test_a_copy_of_the_last_state_knows_the_best_one(config, monkeypatch, tmp_path):
    last = stop_after_an_epoch(config, tmp_path / "out", monkeypatch)
    copy = shutil.copy(last, tmp_path / "out" / "backup.ckpt")
    whole = train(config, out_dir=tmp_path / "whole", progress=False)
    found = train(config, out_dir=tmp_path / "out", resume=copy, progress=False)
    epochs = [torch.load(r.best_checkpoint, weights_only=True)["epoch"] for r in (found, whole)]
    assert epochs[0] == epochs[1]
    assert found.best_checkpoint == last.with_name("best.ckpt")


def test_a_last_state_alone_does_not_take_the_best_of_another(used, config, monkeypatch, tmp_path):
    last = stop_after_an_epoch(config, tmp_path / "first", monkeypatch)
    (tmp_path / "alone").mkdir()
    shutil.move(last, tmp_path / "alone" / "last.ckpt")
    shutil.rmtree(tmp_path / "first")
    found = train(config, out_dir=used, resume=tmp_path / "alone" / "last.ckpt", progress=False)
    assert found.best_checkpoint.exists()
    assert seeds_of(used) == dict.fromkeys(FILES, 0)


def test_the_checkpoint_that_a_training_starts_with_is_not_replaced(config, tmp_path):
    first = train(config, out_dir=tmp_path, progress=False)
    for start in (first.checkpoint, first.best_checkpoint):
        source = load_source(start)
        again = refit_config(source, gamma=0, batch_size=12, accelerator="cpu")
        for call in (
            lambda s=source, c=again: refit(s, c, out_dir=tmp_path, epochs=0, progress=False),
            lambda s=start: train(config, out_dir=tmp_path, weights=s, progress=False),
        ):
            with pytest.raises(InvalidInputError, match=r"out: got .*with which it starts"):
                call()
    assert {path.name for path in (tmp_path / "checkpoints").iterdir()} == FILES


def test_a_network_that_was_only_transformed_has_no_tables(used, config, tmp_path):
    source = load_source(train(config, out_dir=tmp_path / "s", progress=False).checkpoint)
    again = refit_config(source, gamma=0, batch_size=12, accelerator="cpu")
    refit(source, again, out_dir=used, epochs=0, progress=False)
    left = {path.name for path in used.rglob("*") if path.is_file()} - {"hparams.yaml"}
    assert left == {"last.ckpt", "transform.json"}


def test_tensorboard_has_the_rows_of_one_training(used, config, monkeypatch):
    event = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    (before,) = (used / "tensorboard").glob("events*")
    real = Classifier.training_step
    with monkeypatch.context() as patch:
        stopped_in(patch, 2, KeyboardInterrupt())
        with pytest.raises(KeyboardInterrupt):
            train(config, out_dir=used, progress=False)
    assert not before.exists()
    assert Classifier.training_step is real
    last = used / "checkpoints" / "last.ckpt"
    result = train(config, out_dir=used, resume=last, progress=False)
    train(config, out_dir=used, resume=last, progress=False)  # it is finished
    found = event.EventAccumulator(str(used / "tensorboard")).Reload()
    rows = [(e.step, round(e.value, 5)) for e in found.Scalars("train_loss")]
    assert rows == [(int(r["step"]), round(r["train_loss"], 5)) for r in result.history]


def test_a_broken_tensorboard_leaves_the_table(config, monkeypatch, tmp_path):
    real = importlib.import_module

    def missing(name, package=None):
        if name == "torch.utils.tensorboard":
            raise ImportError("No module named google.protobuf")
        return real(name, package)

    monkeypatch.setattr("odemom.training.lightning.importlib.import_module", missing)
    train(dataclasses.replace(config, epochs=1), out_dir=tmp_path, progress=False)
    assert (tmp_path / "metrics.csv").exists()
    assert not (tmp_path / "tensorboard").exists()


def test_divergence_of_the_network_for_digits_names_the_rate(tmp_path):
    config = TrainingConfig(
        width=8, limit=200, epochs=2, learning_rate=1e3, optimizer="sgd", accelerator="cpu"
    )
    with pytest.raises(DivergedError, match=r"smaller learning_rate than 1000"):
        train(config, out_dir=tmp_path, progress=False)


@pytest.mark.parametrize(("model", "takes"), [("alexnet", False), ("squeezenet1_1", True)])
def test_a_network_of_torchvision_says_which_images_it_takes(config, model, takes):
    small = dataclasses.replace(
        config, model=f"torchvision:{model}", model_options={}, image_size=32, limit=12
    )
    if takes:
        assert dry_run(small).steps > 0
        return
    for call in (dry_run, lambda c: network_for(c, training_data(c))):
        with pytest.raises(
            InvalidInputError, match=r"image_size: got 32 pixels for .*alexnet.*224"
        ):
            call(small)
    at_224 = dataclasses.replace(small, image_size=224, batch_size=1)
    assert network_for(at_224, training_data(at_224)).training


def test_more_processes_than_images_are_named(config):
    with pytest.raises(InvalidInputError, match=r"devices: got 64 processes; expected at most"):
        training_data(dataclasses.replace(config, devices=64))


def test_a_batch_of_one_that_a_batch_norm_cannot_normalise_is_named(config, tmp_path):
    one = dataclasses.replace(config, model="resnet18", model_options={}, batch_size=1)
    with pytest.raises(InvalidInputError, match=r"batch_size: got 1 for resnet18.*at least 2"):
        train(one, out_dir=tmp_path, progress=False)
