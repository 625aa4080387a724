"""Damaged checkpoints, foreign ones, and full disks: a sentence, and old files are whole."""

from __future__ import annotations

import io
import os
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from odemom.errors import InvalidInputError
from odemom.training import TrainingConfig
from odemom.training.checkpoint_files import CheckpointFiles
from odemom.training.checkpoints import load_trained
from odemom.training.conditions import named_disk_errors
from odemom.training.lightning import fit
from odemom.training.metrics_table import MetricsTable
from odemom.training.run import train
from odemom.training.seal import is_whole, sealed

SMALL = TrainingConfig(
    width=8, epochs=1, limit=400, batch_size=256, method="euler", accelerator="cpu"
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A finished training."""
    place = tmp_path_factory.mktemp("whole")
    train(SMALL, out_dir=place, progress=False)
    return place


def test_the_best_and_the_last_checkpoint_are_sealed_and_read_as_before(folder):
    for name in ("best.ckpt", "last.ckpt"):
        path = folder / "checkpoints" / name
        assert b"odemom sha256 " in path.read_bytes()[-100:]
        assert is_whole(path)
        assert "state_dict" in torch.load(path, weights_only=True)


def test_a_bit_that_flips_anywhere_is_seen(tmp_path):
    torch.save({"weights": torch.arange(300.0)}, buffer := io.BytesIO())
    content = sealed(buffer.getvalue())
    path = tmp_path / "a.ckpt"
    for place in [*range(0, len(content), 17), *range(len(content) - 110, len(content))]:
        flipped = bytearray(content)
        flipped[place] ^= 1 << place % 8
        path.write_bytes(flipped)
        assert not is_whole(path), place
    for length in (0, 10, len(content) - 1):
        path.write_bytes(content[:length])
        assert not is_whole(path)
    path.write_bytes(content)
    assert is_whole(path)


def test_an_archive_without_a_seal_is_read_by_its_own_checksums(tmp_path):
    path = tmp_path / "a.ckpt"
    torch.save({"weights": torch.arange(300.0)}, path)
    assert is_whole(path)
    content = bytearray(path.read_bytes())
    content[content.index(torch.arange(300.0).numpy().tobytes()[400:500])] ^= 1
    path.write_bytes(content)
    assert not is_whole(path)


def without_weights(payload):
    del payload["state_dict"]


def weights_of_another_kind(payload):
    payload["state_dict"]["network.stem.0.weight"] = [1.0]


def no_weights_at_all(payload):
    payload["state_dict"] = 5


def a_field_of_a_later_version(payload):
    payload["odemom"]["config"]["momentum_of_time"] = 3


def other_shapes(payload):
    payload["state_dict"] = {k: torch.zeros(3, 1, 2) for k in payload["state_dict"]}


def images_in_other_words(payload):
    payload["odemom"]["images"] = {"classes": 5}


def an_origin_in_other_words(payload):
    payload["odemom"]["origin"] = {"weights": "those"}


def epochs_in_other_words(payload):
    payload["odemom"]["history"] = [{"epoch": 1}]


def without_the_optimizer(payload):
    del payload["optimizer_states"]


def without_the_sums(payload):
    del payload["odemom"]["sums"]


def without_loops(payload):
    payload["loops"] = {"fit_loop": 1}


def changed(folder, tmp_path, change):
    payload = torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)
    change(payload)
    torch.save(payload, tmp_path / "changed.ckpt")
    return tmp_path / "changed.ckpt"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (without_weights, "which holds no weights"),
        (no_weights_at_all, "whose state_dict is a int"),
        (weights_of_another_kind, r"no tensor under 'network\.stem\.0\.weight'"),
        (other_shapes, "whose weights are not those of odenet"),
        (images_in_other_words, "describes its images in another way"),
        (a_field_of_a_later_version, r"changed\.ckpt, whose configuration this version .*of_time"),
    ],
)
def test_a_checkpoint_that_holds_no_such_network_is_named(folder, tmp_path, change, message):
    with pytest.raises(InvalidInputError, match=message):
        load_trained(changed(folder, tmp_path, change))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (without_weights, "which holds no weights"),
        (other_shapes, "whose state does not fit the network"),
        (without_the_optimizer, "of a network that was only transformed"),
        (images_in_other_words, "describes its images in another way"),
        (an_origin_in_other_words, "describes its origin in another way"),
        (epochs_in_other_words, "describes its history in another way"),
        (without_the_sums, "whose state does not fit the network"),
        (without_loops, "whose state does not fit the network"),
        (a_field_of_a_later_version, r"changed\.ckpt, whose configuration this version .*of_time"),
    ],
)
def test_a_training_does_not_go_on_from_what_is_none_of_its_own(folder, tmp_path, change, message):
    path = changed(folder, tmp_path, change)
    with pytest.raises(InvalidInputError, match=message):
        train(SMALL, out_dir=tmp_path, resume=path, progress=False)


def test_too_little_memory_for_what_is_restored_is_not_laid_to_the_file():
    def restore(*_, **__):
        raise torch.OutOfMemoryError("CUDA out of memory")

    network, trainer = SimpleNamespace(started=False), SimpleNamespace(fit=restore)
    with pytest.raises(torch.OutOfMemoryError):
        fit(trainer, network, None, Path("last.ckpt"))  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize(
    ("file", "number"),
    [("metrics.csv", 30), ("best.ckpt", 28), ("last.ckpt", 28), ("result.json", 28)],
)
def test_on_a_full_or_read_only_disk_a_sentence_comes_and_old_files_are_whole(
    folder, tmp_path, monkeypatch, file, number
):
    shutil.copytree(folder, tmp_path / "t")
    path = next((tmp_path / "t").rglob(file))
    before = path.read_bytes()
    real = os.fsync

    def full(descriptor):
        if f".{file}." in os.readlink(f"/proc/self/fd/{descriptor}"):
            raise OSError(number, os.strerror(number))
        real(descriptor)

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(InvalidInputError, match=os.strerror(number)):
        train(SMALL, out_dir=tmp_path / "t", progress=False)
    if file == "result.json":
        assert not path.exists()  # it went with the checkpoints that it was of
    else:
        assert path.read_bytes() == before
    assert not list((tmp_path / "t").rglob("*.tmp"))


def test_what_a_logger_says_of_the_disk_is_a_sentence_too(folder, tmp_path, monkeypatch):
    shutil.copytree(folder, tmp_path / "t")

    def full(self, metrics, step=None):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(MetricsTable, "log_metrics", full)
    last = tmp_path / "t" / "checkpoints" / "last.ckpt"
    with pytest.raises(InvalidInputError, match=r"out: got .*No space left.*another folder\.$"):
        train(SMALL, out_dir=tmp_path / "t", progress=False)
    goes_on = CheckpointFiles(last.parent, last)
    with (
        pytest.raises(
            InvalidInputError, match=f"out: got .*No space left.*--resume {last} goes on"
        ),
        named_disk_errors(goes_on),
    ):
        raise OSError(28, "No space left on device")
