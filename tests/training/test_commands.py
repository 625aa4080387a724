"""What the commands that train say early: of Ctrl-C, of steps beyond a processor, of a dry run."""

from __future__ import annotations

import dataclasses
import signal
import sys
from pathlib import Path

import pytest
import torch

from odemom import InvalidInputError
from odemom.errors import FixedPointRangeError
from odemom.experiments import fig6, fig7, table2
from odemom.experiments._image_trainings import train_one
from odemom.training import TrainingConfig
from odemom.training.dry_run import dry_run
from odemom.training.lightning import Classifier
from odemom.training.run import train
from tests.pictures import image_folder

SMALL = ("--limit", "64", "--epochs", "1", "--accelerator", "cpu", "--quiet")


@pytest.fixture
def images(tmp_path):
    """A folder of images in colour, as options."""
    path = image_folder(tmp_path / "tints", images=40)
    return ("--data", str(path), "--root", str(tmp_path / "cache"), "--batch-size", "16")


def test_ctrl_c_before_the_first_epoch_says_how_to_begin_again(run, tmp_path, monkeypatch, ctrl_c):
    monkeypatch.setattr("odemom.training.run.training_data", ctrl_c)
    code, _, err = run("train", *SMALL, "--out", str(tmp_path / "out"))
    assert (code, err) == (130, "\ninterrupted: no epoch was finished; start again\n")


def test_ctrl_c_during_the_test_goes_on_from_the_last_epoch(run, tmp_path, monkeypatch, ctrl_c):
    out = tmp_path / "out"
    with monkeypatch.context() as patch:
        patch.setattr(Classifier, "test_step", ctrl_c)
        code, _, err = run("train", *SMALL, "--out", str(out))
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    last = out / "checkpoints" / "last.ckpt"
    assert (code, err) == (130, f"\ninterrupted: resume from {last}\n")
    assert run("train", *SMALL, "--out", str(out), "--resume", str(last))[0] == 0
    assert (out / "result.json").is_file()


def test_a_dry_run_answers_quietly_too_and_wants_a_step(run, tmp_path, images):
    code, out, err = run("train", *images, "--set", "steps=1", "--dry-run", "--quiet")
    assert code == 0
    assert "parameters" in out
    assert not err
    asked = ("--gamma", "0", *images, "--refit", "0")
    made = tmp_path / "made"
    assert run("train", *images, "--model", "resnet20", *SMALL[2:], "--out", str(made))[0] == 0
    source = str(made / "checkpoints" / "last.ckpt")
    code, _, err = run("transform", source, *asked, "--dry-run")
    assert code == 2
    assert "dry_run: got it beside a refit of 0 epochs" in err


def test_paths_are_printed_from_the_working_directory(run, tmp_path, images, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, out, _ = run("train", *images, "--model", "resnet20", "--epochs", "1", "--out", "made")
    assert code == 0
    printed = out.splitlines()[-3:]
    assert [Path(line).parts[0] for line in printed] == ["made"] * 3
    assert all(Path(line).is_file() for line in printed)


def test_a_batch_that_fits_is_named_and_fits(tmp_path):
    path = str(image_folder(tmp_path / "tints"))
    config = TrainingConfig(data=path, root=str(tmp_path / "cache"), width=8, accelerator="cpu")
    with pytest.raises(InvalidInputError, match=r"at most 28, .* Set it: --batch-size 16\.$"):
        dry_run(config)
    assert dry_run(dataclasses.replace(config, batch_size=16)).steps > 0


def odenet(tmp_path, **options):
    path = tmp_path / "tints"
    if not path.exists():
        image_folder(path, images=40)
    return TrainingConfig(
        data=str(path),
        root=str(tmp_path / "cache"),
        model="odenet",
        model_options={"blocks": 2, **options},
        epochs=1,
        batch_size=16,
        accelerator="cpu",
    )


def test_a_mass_below_the_step_is_named_and_what_is_advised_trains(tmp_path):
    message = r"With eps = 0\.001 a step of 1 is too long.* eps = 1 or more, or --set steps=1000\.$"
    with pytest.raises(FixedPointRangeError, match=message) as refused:
        dry_run(odenet(tmp_path, eps=1e-3))
    assert "coarser" not in str(refused.value)
    for advised in ({"eps": 1}, {"eps": 0.05, "steps": 20}):
        result = train(odenet(tmp_path, **advised), out_dir=tmp_path / "out", progress=False)
        assert result.history[-1]["train_loss"] > 0


def test_activations_beyond_the_fixed_point_may_be_kept_as_numbers(tmp_path, monkeypatch):
    from odemom.training.conditions import conditions_of

    for config, advice in (
        (odenet(tmp_path), "gradient=backprop"),
        (TrainingConfig(model="momentum-resnet20"), "reversible=false"),
    ):
        message = rf"^a block: got 9\. To keep activations as floating-.*: --set {advice}\.$"
        with (
            pytest.raises(FixedPointRangeError, match=message),
            conditions_of(config, None),  # pyright: ignore[reportArgumentType]
        ):
            raise FixedPointRangeError("a block: got 9. Pass a coarser resolution.")


def test_digits_are_integrated_in_single_precision(tmp_path):
    from odemom.models import build_model

    net = build_model("odenet-digits", in_channels=1, image_size=8, method="euler")
    with torch.autocast("cpu", dtype=torch.bfloat16):
        logits = net(torch.rand(3, 1, 8, 8))
    assert bool(logits.isfinite().all())


@pytest.mark.skipif(torch.cuda.is_available(), reason="the device is there")
@pytest.mark.skipif(sys.platform == "darwin", reason="another device is there")
def test_a_device_that_is_not_there_is_named_by_every_experiment():
    (training, *_) = fig6.Config(data="digits", device="cuda").trainings("resnet20", {})
    message = r"device: got 'cuda'; expected cpu, or a CUDA device that PyTorch finds"
    with pytest.raises(InvalidInputError, match=message):
        train_one(training)
    quick = dataclasses.replace(table2.EXPERIMENT.quick, device="cuda")
    with pytest.raises(InvalidInputError, match=message):
        table2.run(table2.tasks(quick)[0])


@pytest.mark.parametrize("module", [table2, fig7])
@pytest.mark.parametrize("limit", [9, 1294])
def test_a_limit_is_refused_before_a_step_is_measured(module, limit):
    config = dataclasses.replace(module.EXPERIMENT.quick, limit=limit)
    message = rf"limit: got {limit}; expected at least 10, .* at most 1293, .*With 0 all are taken"
    with pytest.raises(InvalidInputError, match=message):
        module.tasks(config)


def test_the_number_of_digits_is_what_experiments_take_it_for():
    from odemom.data.images import load_images
    from odemom.experiments._image_trainings import IN_ALL

    assert len(load_images("digits").train) == IN_ALL["digits"]
