"""`odemom transform`: weights that go over, the head, what is frozen, resuming, refusals."""

from __future__ import annotations

import dataclasses
import json
import urllib.error
from functools import partial

import pytest
import torch
from PIL import Image
from torch import nn
from torchvision.models import mobilenet_v3_small, squeezenet1_1
from torchvision.models.resnet import BasicBlock

from odemom.cli.training_options import note_compiling
from odemom.data.images import load_images
from odemom.errors import InvalidInputError
from odemom.models.table import MODELS, Model, _twin_of
from odemom.training import TrainingConfig
from odemom.training.checkpoints import load_trained
from odemom.training.fine_tuning import refit, refit_config
from odemom.training.lightning import Classifier
from odemom.training.run import train
from odemom.training.sources import load_source
from odemom.training.use import evaluate, predict
from tests.pictures import image_folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Images of two classes, and of three others."""
    path = tmp_path_factory.mktemp("images")
    image_folder(path / "two", images=24)
    image_folder(path / "three", ("cyan", "pink", "teal"), images=16, seed=1)
    return path


@pytest.fixture(scope="module")
def checkpoint(folder):
    """A ResNet-20 that has learnt the two."""
    config = TrainingConfig(
        data=str(folder / "two"), root=str(folder / "cache"), model="resnet20", epochs=2,
        batch_size=12, accelerator="cpu",
    )  # fmt: skip
    return train(config, out_dir=folder / "first", progress=False).checkpoint


@pytest.fixture(scope="module")
def source(checkpoint):
    return load_source(checkpoint)


def to_three(folder, source, **changes):
    fields = {"data": str(folder / "three"), "root": str(folder / "cache"), "epochs": 1}
    fields |= {"batch_size": 12, "accelerator": "cpu", **changes}
    return refit_config(source, **fields)


def weights_of(path):
    return load_trained(path).network.state_dict()


def is_body(name):
    return not name.startswith("head.")


def test_the_twin_has_the_weights_and_gamma_0_is_the_network_itself(checkpoint, source, tmp_path):
    given = {"batch_size": 12, "accelerator": "cpu"}
    made = {}
    for gamma in (0.9, 0.0):
        config = refit_config(source, gamma=gamma, **given)
        out = tmp_path / str(gamma)
        made[gamma] = refit(source, config, out_dir=out, epochs=0, progress=False)
    assert (made[0.9].model, made[0.0].model) == ("momentum-resnet20", "resnet20")
    for found in made.values():
        assert b"odemom sha256 " in found.checkpoint.read_bytes()[-100:]
        before, after = weights_of(checkpoint), weights_of(found.checkpoint)
        assert all(torch.equal(before[name], after[name]) for name in before)
        assert (found.new_head, found.after, found.original) == (False, None, made[0.0].before)
        assert evaluate(found.checkpoint).accuracy == found.before
    assert (made[0.9].rows, made[0.9].layers, made[0.0].rows) == (3, 7, 0)
    # the twin goes on as a source: its gamma is the default, and 0 gives the ResNet back
    again = load_source(made[0.9].checkpoint)
    assert refit_config(again, **given).options == {"gamma": 0.9}
    assert refit_config(again, gamma=0, **given).model == "resnet20"
    options = {"gamma": 0.9, "initial_velocity": "field"}
    assert refit_config(again, options={"initial_velocity": "field"}, **given).options == options


def test_other_classes_get_a_new_head_and_the_rest_starts_as_it_was(folder, source, tmp_path):
    config = to_three(folder, source, gamma=0.9)
    start = refit(source, config, out_dir=tmp_path / "0", epochs=0, progress=False)
    found = refit(source, config, out_dir=tmp_path / "1", progress=False)
    old, new = source.weights, weights_of(start.checkpoint)
    assert new["head.weight"].shape == (3, 64)
    assert all(torch.equal(old[name], new[name]) for name in old if is_body(name))
    after = weights_of(found.checkpoint)
    assert not any(torch.equal(old[n], after[n]) for n in old if n.endswith("conv1.weight"))
    assert (found.new_head, found.classes) == (True, ("cyan", "pink", "teal"))
    assert (found.original, found.before) == (None, start.before)
    assert evaluate(found.checkpoint).accuracy == found.after
    assert found.training is not None
    assert found.training.test_accuracy == found.after
    (label,) = predict(found.checkpoint, [folder / "three" / "pink" / "000.png"])
    assert label.label in found.classes
    written = json.loads((tmp_path / "1" / "transform.json").read_text())
    assert written["training"]["config"] == config.in_force()
    assert (tmp_path / "1" / "metrics.csv").is_file()
    # images are normalised as those that the weights have seen
    assert load_trained(found.checkpoint).mean == source.mean


def test_a_frozen_body_keeps_weights_and_statistics(folder, source, tmp_path):
    config = to_three(folder, source, gamma=0.9, epochs=2)
    found = refit(source, config, out_dir=tmp_path, freeze=True, progress=False)
    old, new = source.weights, weights_of(found.checkpoint)
    assert all(torch.equal(old[name], new[name]) for name in old if is_body(name))
    start = refit(source, config, out_dir=tmp_path / "0", epochs=0, progress=False)
    assert not torch.equal(weights_of(start.checkpoint)["head.weight"], new["head.weight"])
    assert (found.trained_parameters, found.frozen) == (3 * 65, True)


class Killed(BaseException):
    """What stands for the end of the process: nothing catches it."""


def test_a_killed_refit_resumes_to_the_same_weights(folder, source, tmp_path, monkeypatch):
    config = to_three(folder, source, gamma=0, epochs=2)
    whole = refit(source, config, out_dir=tmp_path / "whole", progress=False)
    step = Classifier.training_step

    def killed(self, batch, batch_idx):
        if (self.current_epoch, batch_idx) == (1, 1):
            raise Killed
        return step(self, batch, batch_idx)

    with monkeypatch.context() as patch:
        patch.setattr(Classifier, "training_step", killed)
        with pytest.raises(Killed):
            refit(source, config, out_dir=tmp_path / "cut", progress=False)
    last = tmp_path / "cut" / "checkpoints" / "last.ckpt"
    cut = {"out_dir": tmp_path / "cut", "resume": last, "progress": False}
    with pytest.raises(InvalidInputError, match="resume: got a checkpoint of a refit of resnet20"):
        refit(source, config, freeze=True, **cut)
    with pytest.raises(InvalidInputError, match="expected one of a training from fresh weights"):
        train(config, **cut)
    found = refit(source, config, **cut)
    one, other = weights_of(whole.checkpoint), weights_of(found.checkpoint)
    assert all(torch.equal(one[name], other[name]) for name in one)
    assert (found.before, found.after) == (whole.before, whole.after)


def test_a_transformed_network_is_no_training_to_resume(folder, source, tmp_path):
    config = to_three(folder, source)
    only = refit(source, config, out_dir=tmp_path, epochs=0, progress=False)
    with pytest.raises(InvalidInputError, match=r"resume: got .*only transformed"):
        refit(source, config, out_dir=tmp_path, resume=only.checkpoint, progress=False)
    with pytest.raises(InvalidInputError, match="beside a refit of 0 epochs"):
        refit(source, config, out_dir=tmp_path, epochs=0, resume=only.checkpoint)


def ink(path, seed=0):
    """The embedded digits as files of grey images, in a folder without test/."""
    data = load_images("digits", seed=seed)
    for part in (data.train, data.test):
        for i in range(80):
            label = path / str(int(part.labels[i]))
            label.mkdir(parents=True, exist_ok=True)
            pixels = (part.pixels[i, 0] * 15.9375).round().byte().numpy()
            Image.fromarray(pixels).save(label / f"{len(part)}-{i}.png")
    return path


def test_levels_of_ink_and_of_files_are_brought_together(tmp_path):
    path = ink(tmp_path / "ink" / "train").parent
    ink(path / "test", seed=1)
    common = {"model": "odenet", "model_options": {"blocks": 0}, "accelerator": "cpu"}
    config = TrainingConfig(epochs=1, batch_size=256, **common)
    first = train(config, out_dir=tmp_path / "a", progress=False)
    on_files = evaluate(first.checkpoint, data=str(path), root=tmp_path)
    source = load_source(first.checkpoint)
    fields = {"data": str(path), "root": str(tmp_path), "gamma": 0, "accelerator": "cpu"}
    to_files = refit(
        source, refit_config(source, **fields), out_dir=tmp_path / "b", epochs=0, progress=False
    )
    assert to_files.before == on_files.accuracy
    back = load_source(to_files.checkpoint)
    assert back.mean == pytest.approx(source.mean)
    assert back.std == pytest.approx(source.std)
    to_ink = refit_config(back, data="digits", gamma=0, accelerator="cpu")
    again = refit(back, to_ink, out_dir=tmp_path / "c", epochs=0, progress=False)
    assert again.before == first.test_accuracy


# --- torchvision -------------------------------------------------------------------------------

MOBILE = "torchvision:mobilenet_v3_small"


def test_weights_of_torchvision_come_with_their_normalisation(
    folder, tmp_path, monkeypatch, capsys
):
    state = mobilenet_v3_small().state_dict()

    def fetched(*_, **__):
        print("Downloading, as torch.hub says")
        return state

    monkeypatch.setattr(torch.hub, "load_state_dict_from_url", fetched)
    source = load_source(MOBILE)
    assert capsys.readouterr() == ("", "Downloading, as torch.hub says\n")
    assert source.name == f"{MOBILE} with the weights IMAGENET1K_V1"
    assert (source.image_size, source.mean[0]) == (224, 255 * 0.485)
    config = to_three(folder, source, image_size=32)
    found = refit(source, config, out_dir=tmp_path, epochs=0, progress=False)
    assert (found.model, found.new_head, found.rows) == (f"momentum-{MOBILE}", True, 4)
    new = weights_of(found.checkpoint)
    assert new["classifier.3.weight"].shape[0] == 3
    assert all(torch.equal(state[n], new[n]) for n in state if not n.startswith("classifier.3"))


def test_a_state_dict_with_as_many_classes_keeps_its_head(folder, tmp_path):
    state = squeezenet1_1(num_classes=3).state_dict()
    torch.save(
        {"model": {f"module._orig_mod.{n}": v for n, v in state.items()}}, tmp_path / "own.pth"
    )
    source = load_source("torchvision:squeezenet1_1", str(tmp_path / "own.pth"))
    config = to_three(folder, source, gamma=0, image_size=32)
    found = refit(source, config, out_dir=tmp_path, epochs=0, progress=False)
    assert (found.model, found.new_head) == ("torchvision:squeezenet1_1", False)
    new = weights_of(found.checkpoint)
    assert all(torch.equal(state[name], new[name]) for name in state)


def test_weights_that_are_not_finite_are_refused(tmp_path):
    state = squeezenet1_1(num_classes=3).state_dict()
    state["classifier.1.bias"][1] = torch.nan
    torch.save(state, tmp_path / "own.pth")
    with pytest.raises(InvalidInputError, match=r"own\.pth, whose classifier\.1\.bias is not fini"):
        load_source("torchvision:squeezenet1_1", str(tmp_path / "own.pth"))


def unreachable(*_, **__):
    raise urllib.error.URLError("Name or service not known")


BAD_SOURCES = [
    (("torchvision:resnet5",), "model: got 'resnet5' after torchvision:.*Did you mean resnet50"),
    (("torchvision:googlenet",), "model: got 'googlenet'"),
    (("resnet50",), "source: got 'resnet50'.*torchvision:resnet50"),
    ((MOBILE,), r"weights: got IMAGENET1K_V1 of .*cannot be had.*--weights none"),
    ((MOBILE, "V9"), r"weights: got 'V9', which is no file; expected default, imagenet1k_v1"),
    ((MOBILE, __file__), "weights: got .*which cannot be read"),
    (("none.ckpt",), "checkpoint: got none.ckpt, which is no file"),
    ((__file__,), "checkpoint: got .*which cannot be read"),
    ((__file__, "none"), "weights: got 'none' beside the checkpoint"),
]


@pytest.mark.parametrize(("arguments", "message"), BAD_SOURCES, ids=str)
def test_what_is_no_trained_network_is_refused(arguments, message, monkeypatch):
    monkeypatch.setattr(torch.hub, "load_state_dict_from_url", unreachable)
    with pytest.raises(InvalidInputError, match=message):
        load_source(*arguments)


def test_a_file_with_something_else_than_weights_is_refused(tmp_path):
    torch.save({"epoch": 3}, tmp_path / "other.pth")
    with pytest.raises(InvalidInputError, match=r"weights: got .*holds something else"):
        load_source(MOBILE, str(tmp_path / "other.pth"))


# --- refusals ----------------------------------------------------------------------------------


@pytest.mark.parametrize("gamma", [1, -0.1, float("nan"), "x"])
def test_a_gamma_outside_of_its_domain_is_refused(source, gamma):
    with pytest.raises(InvalidInputError, match="gamma: got"):
        refit_config(source, gamma=gamma)


def test_a_network_without_twin_takes_gamma_0_only(source):
    ode = dataclasses.replace(source, model="odenet", options={"blocks": 1})
    with pytest.raises(InvalidInputError, match=r"gamma: got 0\.9 for odenet.*gamma 0"):
        refit_config(ode)
    assert refit_config(ode, gamma=0).model == "odenet"


def test_torchvision_needs_data():
    with pytest.raises(InvalidInputError, match=r"data: got none beside torchvision:.*--data DIR"):
        refit_config(load_source(MOBILE, "none"))


def strided(in_channels, classes, _, *, further):
    """Two residual blocks that change the shape, and ``further`` ones that keep it."""
    blocks = [BasicBlock(a, b, 2, nn.Conv2d(a, b, 1, 2)) for a, b in ((in_channels, 4), (4, 8))]
    stage = nn.Sequential(*blocks, *(BasicBlock(8, 8) for _ in range(further)))
    return nn.Sequential(stage, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, classes))


def test_a_network_in_which_no_row_forms_is_named(folder, source, tmp_path, monkeypatch):
    for further in (0, 1, 2):
        model = Model("strided", {}, partial(strided, further=further))
        monkeypatch.setitem(MODELS, f"strided-{further}", model)
        monkeypatch.setitem(MODELS, f"momentum-strided-{further}", _twin_of("strided", model))
    for name in ("torchvision:squeezenet1_0", "strided-0", "strided-1"):
        own = dataclasses.replace(source, model=name, options={}, weights=None)
        with pytest.raises(
            InvalidInputError, match=rf"got 0\.\d+ for {name}, in which no momentum row"
        ):
            refit(own, to_three(folder, own, image_size=32), out_dir=tmp_path, epochs=0)
    own = dataclasses.replace(source, model="strided-2", options={}, weights=None)
    assert refit(own, to_three(folder, own), out_dir=tmp_path, epochs=0).layers == 2


@pytest.mark.parametrize(
    ("changes", "name", "message"),
    [
        ({"in_channels": 1}, "data", "three: images in colour.*expected grey images"),
        ({"weights": {}}, "weights", "stem.0.weight is missing.* more"),
        ({"model": "resnet56"}, "weights", r"stages\.0\.3\.conv1\.weight is missing"),
    ],
)
def test_images_and_weights_that_do_not_fit_are_refused(
    folder, source, tmp_path, changes, name, message
):
    other = dataclasses.replace(source, **changes)
    with pytest.raises(InvalidInputError, match=f"{name}: got .*{message}"):
        refit(other, to_three(folder, other), out_dir=tmp_path, epochs=0)


def test_the_size_of_the_images_is_that_of_the_training_or_refused(folder, source, tmp_path):
    assert to_three(folder, source).image_size == 8
    squeezed = dataclasses.replace(source, model="torchvision:squeezenet1_0", weights=None)
    with pytest.raises(InvalidInputError, match="image_size: got 8 pixels for torchvision"):
        refit(squeezed, to_three(folder, squeezed, gamma=0), out_dir=tmp_path, epochs=0)
    grey = dataclasses.replace(source, in_channels=1, image_size=32)
    with pytest.raises(InvalidInputError, match=r"data: got digits: images of 8 pixels.*--data"):
        refit(grey, to_three(folder, grey, data="digits"), out_dir=tmp_path, epochs=0)


def test_a_seed_that_makes_test_images_of_training_images_is_refused(source, folder, tmp_path):
    config = refit_config(source, seed=1, batch_size=12, accelerator="cpu")
    with pytest.raises(InvalidInputError, match="seed: got 1 beside a network trained on two"):
        refit(source, config, out_dir=tmp_path, epochs=0)


# --- the command line --------------------------------------------------------------------------


def test_one_command_for_the_twin_and_one_for_the_network(
    run, folder, checkpoint, tmp_path, monkeypatch
):
    shared = ("--data", str(folder / "three"), "--root", str(folder / "cache"), "--epochs", "1")
    asked = ("transform", str(checkpoint), *shared, "--batch-size", "12", "--accelerator", "cpu")
    code, out, err = run(*asked, "--freeze", "--out", str(tmp_path / "twin"))
    assert code == 0, err
    assert "momentum-resnet20, gamma 0.9, from resnet20 trained on two; momentum rows: 3" in out
    assert "head: new, for 3 classes; 195 of" in out
    assert "after it, 1 epoch in" in out
    code, out, err = run(*asked, "--gamma", "0", "--refit", "0", "--json", "--out", str(tmp_path))
    assert code == 0, err
    assert json.loads(out)["model"] == "resnet20"
    last = str(tmp_path / "twin" / "checkpoints" / "last.ckpt")
    code, out, _ = run("transform", last, "--refit", "0", "--out", str(tmp_path / "again"))
    assert (code, "of the source" in out) == (0, True)
    assert run(*asked, "--refit", "-1")[0] == 2
    measured = []
    monkeypatch.setattr("odemom.cli.fine_tuning.print_dry_run", lambda *a: measured.append(a))
    assert run(*asked, "--dry-run", "--gamma", "0.5")[0] == 0
    assert [config.options for config, _ in measured] == [{"gamma": 0.5}]


@pytest.mark.parametrize(
    ("model", "options", "said"),
    [
        ("momentum-resnet20", {}, True),
        ("revnet20", {}, True),
        ("momentum-resnet20", {"reversible": False}, False),
        ("resnet20", {}, False),
    ],
)
def test_it_is_said_where_there_is_nothing_to_compile(model, options, said, capsys):
    for compiled in (True, False):
        note_compiling(TrainingConfig(model=model, model_options=options, compile=compiled))
        assert ("outside of compiled code" in capsys.readouterr().err) == (said and compiled)


def test_an_interrupted_refit_says_how_to_go_on(run, folder, checkpoint, tmp_path, monkeypatch):
    def interrupted(*_, **__):
        raise KeyboardInterrupt("resume from last.ckpt")

    monkeypatch.setattr("odemom.training.fine_tuning.train_network", interrupted)
    asked = ("transform", str(checkpoint), "--batch-size", "12", "--out", str(tmp_path))
    code, _, err = run(*asked, "--accelerator", "cpu")
    assert code == 130
    assert "interrupted: resume from last.ckpt" in err
