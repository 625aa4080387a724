"""Checkpoints in use: evaluate, predict, dry runs, presets, and the command line."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from odemom.data.images import load_images
from odemom.errors import InvalidInputError
from odemom.models import build_model
from odemom.training import TrainingConfig
from odemom.training.checkpoints import load_trained
from odemom.training.dry_run import dry_run
from odemom.training.memory import step_estimate
from odemom.training.presets import configured
from odemom.training.run import network_for, train, training_data
from odemom.training.use import evaluate, predict
from tests.pictures import image_folder


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    folder = tmp_path_factory.mktemp("images")
    image_folder(folder / "tints", images=30)
    return TrainingConfig(
        data=str(folder / "tints"),
        root=str(folder / "cache"),
        model="momentum-resnet20",
        model_options={"gamma": 0.5},
        epochs=2,
        batch_size=12,
        accelerator="cpu",
    )


@pytest.fixture(scope="module")
def result(config, tmp_path_factory):
    return train(config, out_dir=tmp_path_factory.mktemp("out"), progress=False)


def test_evaluate_finds_the_accuracy_of_the_training_again(result, config):
    found = evaluate(result.checkpoint)
    assert found.accuracy == result.test_accuracy
    assert (found.images, found.source) == (12, "tints")
    assert evaluate(result.checkpoint, gamma=0.5) == dataclasses.replace(found, gamma=0.5)
    assert evaluate(result.checkpoint, gamma=0.99).loss != found.loss
    near = evaluate(result.checkpoint, gamma=0.5 + 1e-9)  # no fraction that a way back could take
    assert near.loss == pytest.approx(found.loss, rel=1e-5)


def test_evaluate_on_other_images_with_the_same_classes(result, config, tmp_path):
    other = image_folder(tmp_path / "other", seed=5, images=10)
    found = evaluate(result.checkpoint, data=str(other), root=config.root)
    assert (found.source, found.images) == ("other", 20)  # all: it was trained on none of them
    image_folder(tmp_path / "split" / "train", seed=6, images=10)
    image_folder(tmp_path / "split" / "test", seed=7, images=3)
    assert evaluate(result.checkpoint, data=str(tmp_path / "split"), root=config.root).images == 6
    image_folder(tmp_path / "three", ("blue", "red", "green"), images=5)
    with pytest.raises(InvalidInputError, match=r"classes \('blue', 'green', 'red'\).*trained on"):
        evaluate(result.checkpoint, data=str(tmp_path / "three"), root=config.root)
    with pytest.raises(InvalidInputError, match=r"digits: .*, 1 channel, 8 pixels; .*3 channels"):
        evaluate(result.checkpoint, data="digits", root=config.root)


def test_a_network_without_gamma_refuses_one(tmp_path):
    small = TrainingConfig(width=8, epochs=1, batch_size=512, method="euler", accelerator="cpu")
    path = train(small, out_dir=tmp_path, progress=False).checkpoint
    with pytest.raises(InvalidInputError, match=r"gamma: got 0\.5 for a checkpoint of odenet"):
        evaluate(path, gamma=0.5)
    # the embedded digits have 16 levels, a file 255: the same image, the same answer
    data = training_data(small)
    Image.fromarray((data.test.pixels[0, 0].numpy() * 15.9375).round().astype(np.uint8)).save(
        tmp_path / "digit.png"
    )
    trained = load_trained(path)
    expected = trained.network(data.test.pixels[:1].float() / 16).softmax(dim=1)[0].detach()
    (found,) = predict(path, [tmp_path / "digit.png"])
    assert found.label == str(int(expected.argmax()))
    # the file rounds a level to 1/255 of the whole range
    for k, label in enumerate(trained.classes):
        assert abs(found.probabilities[label] - float(expected[k])) < 5e-4


def test_predict_names_the_class_of_files(result, config, tmp_path):
    network = load_trained(result.checkpoint)
    for name in network.classes:
        network.network(torch.zeros(1, 3, 8, 8))  # takes what predict gives it
        (found,) = predict(result.checkpoint, [f"{config.data}/{name}/000.png"])
        assert list(found.probabilities) == sorted(
            found.probabilities, key=found.probabilities.__getitem__, reverse=True
        )
        assert abs(sum(found.probabilities.values()) - 1) < 1e-6
        assert found.label in network.classes
    with pytest.raises(InvalidInputError, match=r"image: got .*none\.png, which is not there"):
        predict(result.checkpoint, [tmp_path / "none.png"])


def test_checkpoints_that_are_none_are_refused(tmp_path):
    (tmp_path / "a.ckpt").write_bytes(b"nothing")
    for path, message in (("a.ckpt", "cannot be read"), ("b.ckpt", "no file")):
        with pytest.raises(InvalidInputError, match=f"checkpoint: got .*{message}"):
            evaluate(tmp_path / path)


def test_a_checkpoint_of_another_model_is_refused(result, tmp_path):
    payload = torch.load(result.checkpoint, weights_only=True)
    payload["odemom"]["config"]["model"] = "momentum-resnet56"
    torch.save(payload, tmp_path / "other.ckpt")
    with pytest.raises(InvalidInputError, match="weights are not those of momentum-resnet56"):
        evaluate(tmp_path / "other.ckpt")


def test_weights_that_are_not_finite_are_refused(result, tmp_path):
    payload = torch.load(result.checkpoint, weights_only=True)
    payload["state_dict"]["network.head.weight"][-1, -1] = torch.nan
    torch.save(payload, tmp_path / "nan.ckpt")
    with pytest.raises(InvalidInputError, match=r"nan\.ckpt, whose head\.weight is not finite"):
        evaluate(tmp_path / "nan.ckpt")


def test_floating_point_pixels_are_refused(result, tmp_path):
    Image.new("F", (8, 8), 0.5).save(tmp_path / "floats.tif")
    with pytest.raises(InvalidInputError, match=r"floats\.tif of floating-point pixels"):
        predict(result.checkpoint, [tmp_path / "floats.tif"])


def test_a_device_without_numbers_is_refused(result):
    with pytest.raises(InvalidInputError, match=r"device: got 'meta' .*machine: cpu"):
        evaluate(result.checkpoint, device="meta")


def test_a_finished_training_resumed_elsewhere_names_the_files_that_are_there(
    result, config, tmp_path
):
    again = train(config, out_dir=tmp_path, resume=result.checkpoint, progress=False)
    assert again.test_accuracy == result.test_accuracy
    assert (again.checkpoint, again.csv) == (result.checkpoint, result.csv)
    assert again.checkpoint.is_file()
    assert again.csv.is_file()


# --- before the training -----------------------------------------------------------------------


SMALL: dict[str, Any] = {
    "model": "vit-tiny",
    "model_options": {"depth": 1, "width": 16, "heads": 2},
}


def test_the_memory_of_a_step_grows_with_the_batch_and_says_what_fits(config):
    data, cpu = training_data(config), torch.device("cpu")
    plain = dataclasses.replace(config, **SMALL)
    found = step_estimate(network_for(plain, data), plain, data, cpu)
    assert found.parameters == sum(p.numel() for p in network_for(plain, data).parameters())
    # Weights, gradients and the two moments of AdamW, at the least.
    assert dataclasses.replace(found, batch_size=24).step > found.step > 16 * found.parameters
    limit = found.largest_batch
    fits, too_large = (dataclasses.replace(found, batch_size=n).step for n in (limit, limit + 1))
    assert fits <= found.available < too_large
    # In large batches images count, and not the copies of weights in half precision.
    one, two = (
        step_estimate(network_for(each, data), each, data, cpu).memory.total(1000)
        for each in (dataclasses.replace(plain, precision="bf16-mixed"), plain)
    )
    assert one < 0.8 * two
    assert "room for more than 100,000 images" in str(found)
    assert "room for about 2," in str(dataclasses.replace(found, available=found.step * 100))


def test_a_dry_run_trains_nothing(config):
    found = dry_run(dataclasses.replace(config, **SMALL))
    assert (found.source, found.images, found.steps) == ("tints", 44, 6)
    assert found.seconds == 6 * found.step_seconds > 0


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ((None, None, {}, {}), TrainingConfig()),
        ((None, None, {"order": 1}, {"epochs": 2}), TrainingConfig(order=1, epochs=2)),
        (
            ("laptop", "resnet20", {}, {"data": "a/b", "batch_size": 8}),
            TrainingConfig(
                model="resnet20",
                data="a/b",
                batch_size=8,
                epochs=10,
                learning_rate=5e-3,
                augment="flip",
            ),
        ),
    ],
)
def test_presets_are_defaults_that_what_is_asked_for_replaces(arguments, expected):
    assert configured(*arguments) == expected


def test_an_option_that_a_network_does_not_have_is_refused():
    with pytest.raises(InvalidInputError, match=r"gamma: got 0\.9 for the network resnet20"):
        configured(None, "resnet20", {"gamma": 0.9}, {})


@pytest.mark.parametrize(
    "field", [{"seed": 2**32}, {"threads": 10**6}, {"image_size": 10**5, "data": "a/b"}]
)
def test_numbers_that_the_machine_would_not_survive_are_refused(field):
    with pytest.raises(InvalidInputError, match=f"{next(iter(field))}: got .*at most"):
        TrainingConfig(**field)


@pytest.mark.parametrize(
    "options", [{"order": 3}, {"eps": 0}, {"initial_velocity": "foo"}, {"method": "none"}]
)
def test_options_of_blocks_are_looked_at_without_blocks_too(options):
    with pytest.raises(InvalidInputError, match=next(iter(options))):
        network_for(
            TrainingConfig(model="odenet", model_options={"blocks": 0, **options}),
            load_images("digits"),
        )


# --- the command line --------------------------------------------------------------------------


def test_train_evaluate_and_predict_on_a_folder(run, tmp_path):
    path = image_folder(tmp_path / "tints", images=24)
    network = ("--model", "odenet", "--channels", "2", "--set", "blocks=1", "--order", "1")
    shared = ("--data", str(path), "--root", str(tmp_path / "cache"), "--accelerator", "cpu")
    asked = ("train", *shared, *network, "--epochs", "1", "--batch-size", "8")
    code, out, _ = run(*asked, "--dry-run", "--json")
    assert code == 0
    assert json.loads(out)["largest_batch"] > 8
    assert not (tmp_path / "out").exists()
    code, out, err = run(*asked, "--dry-run", "--resume", str(tmp_path / "no.ckpt"))
    assert (code, "resume: got" in err) == (2, True)
    code, out, err = run(*asked, "--dry-run", "--set", "channels=4")
    assert (code, out) == (2, "")
    assert "channels: got 4 by --set and 2 by --channels; expected one of the two" in err
    code, out, err = run(*asked, "--dry-run", "--set", "blocks=0")
    assert (code, out) == (2, "")
    assert "--set: got blocks twice; expected each option once" in err
    code, out, err = run(*asked, "--out", str(tmp_path / "out"))
    assert (code, "odenet, order 1: test accuracy" in out, "on tints (10 images)" in out) == (
        0,
        True,
        True,
    ), err
    last = str(tmp_path / "out" / "checkpoints" / "last.ckpt")
    code, out, _ = run("evaluate", last, "--json")
    written = json.loads((tmp_path / "out" / "result.json").read_text())
    assert json.loads(out)["accuracy"] == written["test_accuracy"]
    code, out, _ = run("predict", last, str(path / "red" / "000.png"))
    assert (code, "red" in out) == (0, True)
    assert run("predict", last, str(tmp_path))[0] == 2
    assert run("evaluate", last, "--gamma", "0.5")[0] == 2


def test_the_network_is_built_as_it_was_trained(result, config):
    trained = load_trained(result.checkpoint)
    again = build_model("momentum-resnet20", image_size=8, classes=2, gamma=0.5)
    assert trained.network.state_dict().keys() == again.state_dict().keys()
