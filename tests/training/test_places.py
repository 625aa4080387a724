"""Folders of images that are named from elsewhere, move, or change after a training."""

from __future__ import annotations

import dataclasses
import shutil
from typing import Any

import numpy as np
import pytest
from PIL import Image

from odemom.errors import InvalidInputError, OdemomWarning
from odemom.experiments import fig7, table2
from odemom.training import TrainingConfig
from odemom.training.fine_tuning import refit, refit_config
from odemom.training.run import train
from odemom.training.sources import load_source
from odemom.training.use import evaluate, predict
from tests.pictures import image_folder, tinted

SMALL: dict[str, Any] = {"model": "resnet20", "epochs": 1, "batch_size": 12, "accelerator": "cpu"}


@pytest.fixture
def trained(tmp_path, monkeypatch):
    """A training on a folder that was named by a lone word, seen from another directory."""
    image_folder(tmp_path / "home" / "pics")
    monkeypatch.chdir(tmp_path / "home")
    config = TrainingConfig(data="pics", root="cache", **SMALL)
    result = train(config, out_dir=tmp_path / "out", progress=False)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    return result


def test_a_lone_name_is_the_same_folder_from_everywhere(trained, tmp_path):
    config = trained.config
    assert config.data == str(tmp_path / "home" / "pics")
    assert config.root == str(tmp_path / "home" / "cache")
    assert TrainingConfig(data=f"imagefolder:{config.data}", **SMALL).data == config.data
    assert evaluate(trained.checkpoint).accuracy == trained.test_accuracy
    again = train(config, out_dir=tmp_path / "again", resume=trained.checkpoint, progress=False)
    assert again.test_accuracy == trained.test_accuracy


def test_a_folder_that_has_moved_is_named_again(trained, tmp_path):
    moved = tmp_path / "moved"
    shutil.move(tmp_path / "home" / "pics", moved)
    (found,) = predict(trained.checkpoint, [moved / "red" / "000.png"])
    assert found.label in ("blue", "red")
    with pytest.raises(InvalidInputError, match=r"home/pics', which is not there.*--data DIR"):
        evaluate(trained.checkpoint)
    found = evaluate(trained.checkpoint, data=str(moved))
    assert (found.images, found.accuracy) == (8, trained.test_accuracy)  # its test images alone
    source = load_source(trained.checkpoint)
    same, other = (
        refit_config(source, data=str(moved), seed=seed, batch_size=8, accelerator="cpu")
        for seed in (0, 1)
    )
    refit(source, same, out_dir=tmp_path / "refit", epochs=0, progress=False)
    with pytest.raises(InvalidInputError, match="seed: got 1 beside a network trained on moved"):
        refit(source, other, out_dir=tmp_path / "refit", epochs=0, progress=False)


def test_a_configuration_of_before_with_a_lone_name_is_still_read():
    fields = TrainingConfig(data="/gone/pics", **SMALL).to_dict() | {"data": "pics"}
    assert TrainingConfig.from_dict(fields).data.endswith("/pics")
    with pytest.raises(InvalidInputError, match="data: got 'pics', and there is no folder"):
        TrainingConfig(data="pics", **SMALL)


def added(folder):
    tinted(np.random.default_rng(9), 0, (8, 8)).save(folder / "blue" / "new.png")


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("change", [added, lambda folder: (folder / "red" / "007.png").unlink()])
def test_a_folder_that_has_changed_is_not_split_again(trained, tmp_path, change, seed):
    change(tmp_path / "home" / "pics")
    with pytest.raises(InvalidInputError, match="not those of the training any more"):
        evaluate(trained.checkpoint)
    with pytest.raises(InvalidInputError, match="not those of the training any more"):
        evaluate(trained.checkpoint, data=str(tmp_path / "home" / "pics"))
    source = load_source(trained.checkpoint)
    config = refit_config(source, gamma=0.5, seed=seed, batch_size=8, accelerator="cpu")
    with pytest.raises(InvalidInputError, match="not those of the training any more"):
        refit(source, config, out_dir=tmp_path / "refit", epochs=0, progress=False)
    # what the message advises
    image_folder(tmp_path / "unseen", seed=3, images=5)
    assert evaluate(trained.checkpoint, data=str(tmp_path / "unseen")).images == 10


def test_a_limit_does_not_hide_a_change(tmp_path):
    image_folder(tmp_path / "pics")
    config = TrainingConfig(data=str(tmp_path / "pics"), root=str(tmp_path), limit=28, **SMALL)
    result = train(config, out_dir=tmp_path / "out", progress=False)
    assert evaluate(result.checkpoint).accuracy == result.test_accuracy
    for name in ("blue/000.png", "red/000.png", "red/001.png"):
        (tmp_path / "pics" / name).unlink()  # fewer than the limit are left
    with pytest.raises(InvalidInputError, match="not those of the training any more"):
        evaluate(result.checkpoint)


def test_a_test_folder_of_its_own_may_change(tmp_path):
    image_folder(tmp_path / "pics" / "train")
    image_folder(tmp_path / "pics" / "test", seed=1, images=6)
    config = TrainingConfig(data=str(tmp_path / "pics"), root=str(tmp_path), **SMALL)
    result = train(config, out_dir=tmp_path / "out", progress=False)
    added(tmp_path / "pics" / "train")
    assert evaluate(result.checkpoint).accuracy == result.test_accuracy
    added(tmp_path / "pics" / "test")
    assert evaluate(result.checkpoint).images == 13


def test_images_that_were_trained_on_are_spoken_of_wherever_they_are(trained, tmp_path):
    """Arranged anew, in another folder, with others, or seen by the network it was made of."""
    pics = tmp_path / "home" / "pics"
    copied = shutil.copytree(pics, tmp_path / "copied")
    added(copied)
    with pytest.warns(OdemomWarning, match=r"data: 32 of 41 test images of copied are images that"):
        evaluate(trained.checkpoint, data=str(copied))
    source = load_source(trained.checkpoint)
    config = refit_config(source, data=str(copied), gamma=0.5, batch_size=8, accelerator="cpu")
    with pytest.warns(OdemomWarning, match=r"of 8 test images of copied are images that"):
        refit(source, config, out_dir=tmp_path / "warned", epochs=0, progress=False)
    image_folder(tmp_path / "other", seed=4, images=8)
    fields = {"data": str(tmp_path / "other"), "gamma": 0.5, "batch_size": 8}
    config = refit_config(source, **fields, accelerator="cpu")
    for epochs in (0, 1):
        made = refit(source, config, out_dir=tmp_path / "m", epochs=epochs, progress=False)
        with pytest.warns(OdemomWarning, match=r"data: 32 of 40 test images of pics are images"):
            evaluate(made.checkpoint, data=str(pics))
    shutil.move(pics, tmp_path / "train")
    pics.mkdir()
    shutil.move(tmp_path / "train", pics / "train")
    for label in ("blue", "red"):
        (pics / "test" / label).mkdir(parents=True)
        for n in range(10):
            shutil.move(pics / "train" / label / f"{n:03}.png", pics / "test" / label)
    with pytest.warns(OdemomWarning, match=r"data: \d+ of 20 test images of pics are images that"):
        evaluate(trained.checkpoint)


def test_a_training_speaks_of_test_images_that_it_learns(trained, tmp_path):
    pics = tmp_path / "home" / "pics"
    shutil.copytree(pics, tmp_path / "both" / "train")
    shutil.copytree(pics, tmp_path / "both" / "test")
    config = dataclasses.replace(trained.config, data=str(tmp_path / "both"))
    with pytest.warns(OdemomWarning, match=r"data: 40 of 40 test images of both are images that"):
        train(config, out_dir=tmp_path / "leaky", progress=False)
    image_folder(tmp_path / "other", seed=4, images=20)
    config = dataclasses.replace(trained.config, data=str(tmp_path / "other"))
    made = train(config, out_dir=tmp_path / "w", weights=trained.checkpoint, progress=False)
    with pytest.warns(OdemomWarning, match=r"data: 32 of 40 test images of pics are images that"):
        evaluate(made.checkpoint, data=str(pics))


def test_a_folder_to_test_on_needs_one_image_of_each_class(trained, tmp_path):
    for images in (1, 2, 3):
        image_folder(tmp_path / f"few{images}", seed=images, images=images)
        found = evaluate(trained.checkpoint, data=str(tmp_path / f"few{images}"))
        assert found.images == 2 * images


def test_another_gamma_takes_the_place_of_one_that_was_learnt(tmp_path):
    image_folder(tmp_path / "pics")
    config = TrainingConfig(data=str(tmp_path / "pics"), root=str(tmp_path), **SMALL)
    config = dataclasses.replace(config, model="learnt-momentum-resnet20")
    path = train(config, out_dir=tmp_path / "out", progress=False).checkpoint
    losses = [evaluate(path, gamma=gamma).loss for gamma in (None, 0.1, 0.99)]
    assert len({round(loss, 4) for loss in losses}) == 3


@pytest.mark.parametrize("experiment", [fig7, table2])
def test_steps_are_measured_with_images_of_the_folder(tmp_path, monkeypatch, experiment):
    path = tmp_path / "grey"
    for label in ("a", "b", "c"):
        (path / label).mkdir(parents=True)
        for n in range(4):
            Image.fromarray(np.full((12, 12), 20 * n, np.uint8)).save(path / label / f"{n}.png")
    asked = []
    monkeypatch.setattr(
        "odemom.experiments._image_step.answer_of", lambda _, steps: asked.append(steps) or []
    )
    config = experiment.Config(data=str(path), root=str(tmp_path), batch_size=4, limit=0)
    steps = experiment.tasks(config)[0]
    steps.measure()
    shapes = {(r.in_channels, r.classes, r.image_size) for r in asked[0].requests}
    assert shapes == {(1, 3, 12)}
    hundred = experiment.tasks(experiment.Config(data="cifar100"))[0]
    assert {(r.in_channels, r.classes, r.image_size) for r in hundred.requests} == {(3, 100, 32)}
