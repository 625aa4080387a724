"""Training on folders of images: resuming bit for bit, refusals, what is written."""

from __future__ import annotations

import dataclasses
import os
import signal

import numpy as np
import pytest
import torch
from PIL import Image

from odemom.errors import DivergedError, InvalidInputError, NotEnoughMemoryError
from odemom.training import TrainingConfig, checkpoints
from odemom.training import lightning as room
from odemom.training.lightning import Classifier
from odemom.training.run import train


def image_folder(path, classes=("blue", "red"), images=20, size=8, seed=0):
    """Noise with a tint per class, as PNG."""
    rng = np.random.default_rng(seed)
    for k, name in enumerate(classes):
        (path / name).mkdir(parents=True)
        for i in range(images):
            pixels = rng.integers(0, 120, size=(size, size, 3))
            pixels[..., k % 3] += 100
            Image.fromarray(pixels.astype(np.uint8)).save(path / name / f"{i:03}.png")
    return path


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


@pytest.mark.parametrize("checkpoint_steps", [0, 2])
@pytest.mark.parametrize(("epoch", "batch"), [(1, 3), (2, 1)])
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
