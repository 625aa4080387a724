"""Training on folders of images: resuming bit for bit, refusals, what is written."""

from __future__ import annotations

import dataclasses
import os
import shutil
import warnings

import numpy as np
import pytest
import torch
import torch._dynamo.exc as dynamo_errors

from odemom.errors import (
    DivergedError,
    InvalidInputError,
    NotEnoughMemoryError,
    OdemomWarning,
)
from odemom.training import TrainingConfig, conditions, run
from odemom.training.checkpoint_files import CheckpointFiles
from odemom.training.dry_run import dry_run
from odemom.training.graphs import capture_passes, stopped_replays_named
from odemom.training.lightning import Classifier
from odemom.training.presets import configured
from odemom.training.run import train
from tests.pictures import image_folder


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    return image_folder(tmp_path_factory.mktemp("images") / "tints", images=32)


@pytest.fixture(scope="module")
def small(pictures):
    return TrainingConfig(
        data=str(pictures),
        root=str(pictures.parent / "cache"),
        model="odenet",
        model_options={"channels": 2, "blocks": 1},
        epochs=3,
        batch_size=8,
        learning_rate=0.03,
        augment="crop+flip",
        accelerator="cpu",
    )


@pytest.fixture(scope="module")
def whole(small, tmp_path_factory):
    """A training without interruption."""
    return train(small, out_dir=tmp_path_factory.mktemp("whole"), progress=False)


def assert_same(one, other):
    """Weights, and what the optimizer and the schedule hold, bit for bit."""
    one, other = (torch.load(path, weights_only=True) for path in (one, other))
    assert one["state_dict"].keys() == other["state_dict"].keys()
    for name, value in one["state_dict"].items():
        assert torch.equal(value, other["state_dict"][name]), name
    moments = [each["optimizer_states"][0]["state"] for each in (one, other)]
    for a, b in zip(moments[0].values(), moments[1].values(), strict=True):
        assert all(torch.equal(a[k], b[k]) for k in a)
    assert one["lr_schedulers"] == other["lr_schedulers"]


def test_it_learns_the_tints(whole):
    assert whole.test_accuracy == 1.0
    assert whole.source == "tints"


class Killed(BaseException):
    """What stands for the end of the process: nothing catches it."""


@pytest.mark.parametrize(("checkpoint_steps", "epoch", "batch"), [(0, 1, 3), (2, 1, 3), (2, 2, 1)])
def test_killed_in_the_middle_it_resumes_to_the_same_weights(
    small, whole, tmp_path, monkeypatch, checkpoint_steps, epoch, batch
):
    config = dataclasses.replace(small, checkpoint_steps=checkpoint_steps)
    step = Classifier.training_step

    def killed(self, batch_, batch_idx):
        if (self.current_epoch, batch_idx) == (epoch, batch):
            raise Killed
        return step(self, batch_, batch_idx)

    with monkeypatch.context() as patch:
        patch.setattr(Classifier, "training_step", killed)
        with pytest.raises(Killed):
            train(config, out_dir=tmp_path, progress=False)
    last = tmp_path / "checkpoints" / "last.ckpt"
    torch.rand(5)
    resumed = train(config, out_dir=tmp_path, resume=last, progress=False)
    assert_same(resumed.checkpoint, whole.checkpoint)
    assert resumed.test_accuracy == whole.test_accuracy
    for name in ("epoch", "step", "train_loss", "validation_loss", "learning_rate"):
        assert [r[name] for r in resumed.history] == [r[name] for r in whole.history], name


@pytest.mark.parametrize(
    "changes",
    [
        {"precision": "bf16-mixed", "channels_last": True, "deterministic": False},
        {"optimizer": "sgd", "label_smoothing": 0.1, "augment": "flip", "validation": 0.0},
        {"model": "resnet20", "model_options": {}},
        {"model": "momentum-resnet20", "model_options": {"gamma": 0.5}},
    ],
    ids=str,
)
def test_other_settings_train(small, tmp_path, changes, monkeypatch):
    monkeypatch.setattr(conditions, "has_bfloat16_convolutions", lambda: True)
    config = dataclasses.replace(small, epochs=1, **changes)
    result = train(config, out_dir=tmp_path, progress=False)
    assert np.isfinite(result.history[0]["train_loss"])
    assert result.checkpoint.is_file()
    assert result.best_checkpoint.is_file()
    has_validation = changes.get("validation", 0.1) > 0
    assert np.isfinite(result.history[0]["validation_loss"]) == has_validation
    assert result.to_dict()["config"] == config.in_force()
    assert TrainingConfig.from_dict(config.to_dict()) == config


def test_a_precision_that_the_processor_imitates_is_named(small, monkeypatch):
    half = dataclasses.replace(small, precision="bf16-mixed", accelerator="cpu")
    gpu = dataclasses.replace(half, accelerator="gpu")

    def on(config, bfloat16=False, cuda=False):
        conditions._say_once.cache_clear()
        monkeypatch.setattr(conditions, "has_bfloat16_convolutions", lambda: bfloat16)
        monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
        with warnings.catch_warnings(record=True) as found:
            warnings.simplefilter("always")
            with conditions.settings_of(config):
                pass
        return [str(w.message).partition(",")[0] for w in found]

    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    named = ["precision: bf16-mixed"]
    assert on(half) == named
    assert on(gpu) == named  # a dry run of what is for another machine
    assert on(dataclasses.replace(half, accelerator="auto")) == named
    assert on(half, bfloat16=True) == on(dataclasses.replace(half, precision="32")) == []
    assert on(gpu, cuda=True) == on(dataclasses.replace(half, accelerator="mps")) == []


def test_that_is_said_once_and_of_the_line_that_asked(small, monkeypatch):
    monkeypatch.setattr(conditions, "has_bfloat16_convolutions", lambda: False)
    conditions._say_once.cache_clear()
    half = dataclasses.replace(small, precision="bf16-mixed", limit=16, model_options={})
    with pytest.warns(OdemomWarning, match="Take --precision 32 here") as found:
        dry_run(half)
    assert [w.filename for w in found] == [__file__]
    dry_run(half)  # a second warning would be an error


def test_capturing_graphs_leaves_no_trace_but_the_graphs(small, tmp_path, monkeypatch):
    config = dataclasses.replace(
        small, model="resnet20", model_options={}, epochs=1, accelerator="auto"
    )
    without = train(config, out_dir=tmp_path / "without", progress=False)
    shapes = []

    def as_pytorch_does(network, images, **options):
        shapes.append(tuple(images[0].shape))
        for _ in range(3):
            network(*images)
            torch.rand(3)

    monkeypatch.setattr(torch.cuda, "make_graphed_callables", as_pytorch_does)
    monkeypatch.setattr(run, "require_cuda", lambda config: None)
    graphed = dataclasses.replace(config, cuda_graph=True)
    found = train(graphed, out_dir=tmp_path / "graphed", progress=False)
    assert shapes == [(8, 3, 8, 8)]
    assert_same(found.checkpoint, without.checkpoint)
    again = dataclasses.replace(graphed, epochs=1)
    train(again, out_dir=tmp_path / "again", resume=without.checkpoint, progress=False)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
@pytest.mark.parametrize("model", ["resnet20", "momentum-resnet20"])
def test_replays_train_as_steps_without_graphs_do(small, tmp_path, model):
    config = dataclasses.replace(
        small, model=model, model_options={}, epochs=2, accelerator="gpu", optimizer="sgd"
    )
    found = [
        train(
            dataclasses.replace(config, cuda_graph=graph),
            out_dir=tmp_path / str(graph),
            progress=False,
        )
        for graph in (False, True)
    ]
    losses = [[row["train_loss"] for row in result.history] for result in found]
    assert losses[1] == pytest.approx(losses[0], rel=1e-3)
    weights = [torch.load(f.checkpoint, weights_only=True)["state_dict"] for f in found]
    counts = [[v for k, v in w.items() if k.endswith("num_batches_tracked")] for w in weights]
    assert counts[0] == counts[1]


# --- what goes wrong ---------------------------------------------------------------------------


@pytest.mark.skipif(torch.cuda.is_available(), reason="a GPU")
def test_graphs_are_refused_without_a_gpu_before_anything_is_made(small, tmp_path):
    graphed = dataclasses.replace(small, cuda_graph=True, accelerator="auto")
    for call in (dry_run, lambda c: train(c, out_dir=tmp_path / "none", progress=False)):
        with pytest.raises(InvalidInputError, match=r"finds no NVIDIA GPU.*--no-cuda-graph"):
            call(graphed)
    assert not (tmp_path / "none").exists()


def test_a_network_that_cannot_be_captured_is_named(monkeypatch):
    def fails(*args, **kwargs):
        raise RuntimeError("CUDA error: operation not permitted when stream is capturing")

    monkeypatch.setattr(torch.cuda, "make_graphed_callables", fails)
    with pytest.raises(InvalidInputError, match=r"cannot be captured.*--no-cuda-graph"):
        capture_passes(torch.nn.Linear(2, 2), torch.ones(2, 2))


def test_graphs_need_a_gpu_and_one_process(small):
    small = dataclasses.replace(small, accelerator="gpu")
    with pytest.raises(InvalidInputError, match=r"on 'cpu'.*--no-cuda-graph"):
        dataclasses.replace(small, cuda_graph=True, accelerator="cpu")
    with pytest.raises(InvalidInputError, match=r"odenet-digits.*odenet has fixed steps"):
        TrainingConfig(cuda_graph=True)
    with pytest.raises(InvalidInputError, match="for 2 processes"):
        dataclasses.replace(small, cuda_graph=True, devices=2)
    with pytest.raises(InvalidInputError, match=r"beside compile=True.*--no-compile"):
        dataclasses.replace(small, cuda_graph=True, compile=True)


def test_a_replay_that_stopped_itself_is_named(small, whole, tmp_path):
    graphed = dataclasses.replace(small, cuda_graph=True, accelerator="gpu")
    said = "CUDA error: device-side assert triggered"
    goes_on = CheckpointFiles(tmp_path / "checkpoints", whole.checkpoint)
    fresh = CheckpointFiles(whole.checkpoint.parent)  # what lies there is of another training
    for files, words in ((goes_on, "--no-cuda-graph and --resume .*last.ckpt"), (fresh, "ph: ")):
        with pytest.raises(DivergedError, match=words), stopped_replays_named(graphed, files):
            raise RuntimeError(said)
    with pytest.raises(RuntimeError, match=said), stopped_replays_named(small, fresh):
        raise RuntimeError(said)


def test_the_preset_for_gpus_is_captured_instead_of_compiled():
    asked = {"data": "digits", "cuda_graph": True}
    assert not configured("gpu", "resnet20", {}, asked).compile
    with pytest.raises(InvalidInputError, match="odenet-digits"):
        configured("gpu", None, {}, asked)
    with pytest.raises(InvalidInputError, match="one of the two"):
        configured("gpu", "resnet20", {}, asked | {"compile": True})


@pytest.mark.parametrize("model", ["odenet", "resnet20"])
def test_a_loss_that_is_not_finite_stops_the_training_and_is_not_saved(small, tmp_path, model):
    config = dataclasses.replace(
        small, model=model, model_options={}, learning_rate=1e30, optimizer="sgd"
    )
    with pytest.raises(DivergedError, match=r"(loss is|refuses).*step.*smaller learning_rate"):
        train(config, out_dir=tmp_path, progress=False)
    assert not (tmp_path / "checkpoints" / "last.ckpt").exists()


def test_a_full_disk_keeps_the_old_checkpoint(small, whole, tmp_path, monkeypatch):
    shutil.copytree(whole.checkpoint.parent, tmp_path / "checkpoints")
    before = (tmp_path / "checkpoints" / "last.ckpt").read_bytes()
    real = os.fsync

    def full(descriptor):
        if ".ckpt" in os.readlink(f"/proc/self/fd/{descriptor}"):
            raise OSError(28, "No space left on device")
        real(descriptor)

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(InvalidInputError, match=r"No space left.*had written none before\."):
        train(dataclasses.replace(small, seed=1), out_dir=tmp_path, progress=False)
    files = sorted(p.name for p in (tmp_path / "checkpoints").iterdir())
    assert files == ["best.ckpt", "last.ckpt"]
    assert (tmp_path / "checkpoints" / "last.ckpt").read_bytes() == before
    written = []

    def full_later(descriptor):
        if ".ckpt" in os.readlink(f"/proc/self/fd/{descriptor}"):
            written.append(descriptor)
            if len(written) > 2:  # the best and the last of the first epoch
                raise OSError(28, "No space left on device")
        real(descriptor)

    monkeypatch.setattr(os, "fsync", full_later)
    with pytest.raises(InvalidInputError, match=r"No space left.*then --resume .*last\.ckpt"):
        train(dataclasses.replace(small, seed=1), out_dir=tmp_path, progress=False)
    kept = torch.load(tmp_path / "checkpoints" / "last.ckpt", weights_only=True)
    assert len(kept["odemom"]["history"]) == kept["odemom"]["config"]["seed"] == 1


def test_out_of_memory_names_the_need_and_a_batch_that_fits(small, tmp_path, monkeypatch):
    def full(self, batch, batch_idx):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB")

    monkeypatch.setattr(Classifier, "training_step", full)
    with pytest.raises(NotEnoughMemoryError, match=r"batch_size 8.*Estimate.*take batch_size \d"):
        train(small, out_dir=tmp_path, progress=False)


def test_a_checkpoint_of_other_images_is_refused(small, whole, tmp_path):
    other = image_folder(tmp_path / "other", images=32, seed=1)
    config = dataclasses.replace(small, data=str(other))
    with pytest.raises(InvalidInputError, match=r"on other images \(tints"):
        train(config, out_dir=tmp_path / "out", resume=whole.checkpoint, progress=False)
    assert not (tmp_path / "out").exists()


def test_a_device_that_is_not_there_is_refused(small, tmp_path):
    if torch.cuda.is_available():
        pytest.skip("there is one")
    config = dataclasses.replace(small, accelerator="gpu")
    with pytest.raises(InvalidInputError, match=r"accelerator: got 'gpu'.*--accelerator cpu"):
        train(config, out_dir=tmp_path, progress=False)


def test_a_network_that_cannot_be_compiled_is_named(small, tmp_path, monkeypatch):
    def compiled(self, batch, batch_idx):
        raise dynamo_errors.TorchDynamoException("no compiler")

    monkeypatch.setattr(Classifier, "training_step", compiled)
    config = dataclasses.replace(small, compile=True)
    with pytest.raises(InvalidInputError, match=r"compile: got odenet.*no compiler.*--no-compile"):
        train(config, out_dir=tmp_path, progress=False)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model": "resnet21"}, "model: got 'resnet21'.*Did you mean resnet2"),
        (
            {"model_options": {"chanels": 3}},
            "chanels: got 3 for the network odenet.*Did you mean channels",
        ),
        ({"model_options": 3}, "model_options: got 3"),
        ({"order": 1}, "order: got 1 beside the network odenet"),
        ({"model": "odenet-digits", "model_options": {"width": 8}}, "its options as fields"),
        ({"augment": "cut"}, "augment: got 'cut'; expected one of 'none', 'flip'"),
        ({"precision": "8"}, "precision: got '8'"),
        ({"optimizer": "lion"}, "optimizer: got 'lion'"),
        ({"strategy": "magic"}, "strategy: got 'magic'"),
        ({"label_smoothing": 1.0}, "label_smoothing: got 1.0"),
        ({"validation": -0.1}, "validation: got -0.1"),
        ({"limit": 0}, "limit: got 0"),
        ({"devices": 0}, "devices: got 0"),
        ({"compile": 1}, "compile: got 1"),
        ({"data": "imagenet"}, "data: got 'imagenet'.*or a folder of images"),
    ],
    ids=str,
)
def test_bad_configurations_are_refused(small, changes, message):
    with pytest.raises(InvalidInputError, match=message):
        dataclasses.replace(small, **changes)
