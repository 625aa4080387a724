"""What the commands that train say early: of Ctrl-C, of steps beyond a processor, of a dry run."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from PIL import Image

from odemom import InvalidInputError
from odemom.errors import FixedPointRangeError, OdemomWarning
from odemom.experiments import fig6, fig7, table2
from odemom.experiments._image_trainings import train_one
from odemom.models import model_options
from odemom.training import TrainingConfig
from odemom.training.dry_run import dry_run
from odemom.training.lightning import Classifier
from odemom.training.run import train
from odemom.training.use import predict
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
    assert (code, err) == (130, f"\ninterrupted: the same command with --resume {last} goes on\n")
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


def test_a_dry_run_counts_the_images_and_what_a_pass_leaves(run, images):
    code, out, _ = run("train", *images, "--set", "steps=1", "--dry-run")
    assert code == 0
    said = (
        "tints: 58 training images, 6 for validation, 16 to test; 30 steps in all, 10 images of a"
    )
    assert said in out
    assert "for all steps, without validation and test" in out
    code, out, _ = run("train", *images, "--set", "steps=1", "--dry-run", "--json")
    found = json.loads(out)
    counts = [found[name] for name in ("images", "validated", "tested", "left")]
    assert (code, counts) == (0, [58, 6, 16, 10])


def test_a_dry_run_of_what_is_for_a_gpu_says_where_it_measured(tmp_path, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    asked = dataclasses.replace(odenet(tmp_path), accelerator="gpu", compile=True)
    with pytest.warns(OdemomWarning, match="accelerator: 'gpu' is not measured here"):
        assert dry_run(asked).device == "cpu"


def test_the_rate_of_an_epoch_is_that_of_its_last_step(tmp_path):
    config = dataclasses.replace(odenet(tmp_path), epochs=3)
    history = train(config, out_dir=tmp_path / "out", progress=False).history
    total = int(history[-1]["step"])
    weight = torch.nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.AdamW([weight], lr=config.learning_rate)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, max_lr=config.learning_rate, total_steps=total
    )
    rates = []
    for _ in range(total):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    expected = [rates[int(row["step"]) - 1] for row in history]
    assert [row["learning_rate"] for row in history] == pytest.approx(expected, rel=1e-12)


def test_a_result_names_the_options_that_acted(tmp_path):
    result = train(odenet(tmp_path), out_dir=tmp_path / "out", progress=False)
    config = json.loads((tmp_path / "out" / "result.json").read_text())["config"]
    assert config["model_options"] == {**model_options("odenet"), "blocks": 2}
    assert not {"width", "rtol", "adjoint", "order"} & set(config)
    assert TrainingConfig.from_dict(config).options == config["model_options"]
    assert result.tested == 16


def test_a_checkpoint_with_a_number_spelt_as_text_goes_on(tmp_path):
    config = odenet(tmp_path, eps=0.5)
    saved = config.to_dict()
    saved["model_options"]["eps"] = "1/2"
    assert config.differences(saved) == []
    saved["model_options"]["eps"] = "1/3"
    (difference,) = config.differences(saved)
    assert difference.startswith("model_options = ")


def test_what_no_option_cures_is_refused_first(run, tmp_path, images):
    made, grey = tmp_path / "made", tmp_path / "grey"
    assert run("train", *images, "--model", "resnet20", *SMALL[2:], "--out", str(made))[0] == 0
    for path in image_folder(grey).rglob("*.png"):
        Image.open(path).convert("L").save(path)
    source = str(made / "checkpoints" / "last.ckpt")
    code, _, err = run("transform", source, "--data", str(grey), "--root", str(tmp_path / "cache"))
    assert code == 2
    assert "data: got grey: grey images" in err


def test_predict_speaks_of_transparent_places(tmp_path):
    train(odenet(tmp_path), out_dir=tmp_path / "out", progress=False)
    Image.new("RGBA", (8, 8), (9, 9, 9, 0)).save(tmp_path / "clear.png")
    last = tmp_path / "out" / "checkpoints" / "last.ckpt"
    files = [tmp_path / "clear.png", *sorted((tmp_path / "tints" / "red").iterdir())[:2]]
    with pytest.warns(OdemomWarning, match=r"image: 1 image of 3 with transparent .*clear\.png"):
        assert len(predict(last, files)) == 3
    predict(last, files[1:])  # no warning


@pytest.mark.slow
def test_ctrl_c_while_processes_start_ends_them_all(tmp_path):
    path = image_folder(tmp_path / "tints", images=40)
    data = ("--data", str(path), "--root", str(tmp_path / "cache"), "--batch-size", "8")
    two = ("--devices", "2", "--strategy", "ddp", "--accelerator", "cpu", "--epochs", "3000")
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([os.getcwd(), *sys.path])}
    for wait in (4, 8, 12, 20):
        process = subprocess.Popen(
            [sys.executable, "-m", "odemom", "train", *data, *two, "--out", str(tmp_path / "out")],
            env=env,
            cwd=tmp_path,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        time.sleep(wait)
        os.killpg(process.pid, signal.SIGINT)
        _, said = process.communicate(timeout=60)
        assert process.returncode in (130, -signal.SIGINT), said
        assert "interrupted: " in said or process.returncode == -signal.SIGINT


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
    with pytest.raises(
        InvalidInputError, match=r"at most 28, .* Set it: --batch-size 16 \(in an exp"
    ):
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


def test_a_device_that_is_not_there_is_named_by_every_experiment(monkeypatch):
    monkeypatch.setattr("odemom.experiments._measuring._usable", lambda device: False)
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
