"""A trained network, or its momentum twin, trained on with the user's own images.

The twin has the parameters of the network; a head for other classes is new. With gamma = 0 the
network stays what it is, so that the same call fine-tunes a ResNet and its twin.
"""

from __future__ import annotations

import dataclasses
import io
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from odemom.checks import as_number, expect, invalid, shown
from odemom.data.batches import evaluated_at_once
from odemom.data.images import ImageData
from odemom.data.names import NAMES_OF_DATA, full_scale, same_place
from odemom.models.table import model_options, with_and_without_momentum
from odemom.records import as_folder, jsonable, provenance, write_bytes_atomic, write_json
from odemom.training.checkpoint_files import LAST, refuse_to_replace, remove_results
from odemom.training.checkpoints import check_images, check_origin, read_checkpoint, signature
from odemom.training.conditions import conditions_of
from odemom.training.config import TrainingConfig
from odemom.training.presets import configured
from odemom.training.result import TrainingResult
from odemom.training.run import images_of, train_network, training_data
from odemom.training.seal import sealed
from odemom.training.seen import are_those, changed_since, warn_of_seen
from odemom.training.sources import Source
from odemom.training.transfer import freeze_all_but, network_from, network_of, rows_of
from odemom.training.use import accuracy_and_loss

__all__ = ["Refit", "refit", "refit_config"]

GAMMA = 0.9
RATE_SHARE = 0.25
"""Of the learning rate of a preset: the peak in a refit, which starts near its goal."""


@dataclass(frozen=True)
class Refit:
    """What came of a transformation, and of the refit after it; it stands in ``transform.json``.

    Attributes
    ----------
    source : str
        The trained network.
    model : str
        The network that was made of it: see `odemom.models.build_model`.
    gamma : float
        0: the network itself.
    rows, layers : int
        Momentum rows of the twin, and layers in them; 0 for the network itself.
    images, classes, tested : str, tuple of str, int
        What it was refitted to, and how many images it was tested on.
    new_head : bool
        Whether the head is new, because the classes are.
    frozen : bool
        Whether the head alone was trained.
    parameters, trained_parameters : int
    original : float or None
        Test accuracy of the trained network, where its classes are these.
    before : float
        Test accuracy of what was made of it, before the refit.
    after : float or None
        After the refit, if there was one.
    checkpoint : Path
        For `odemom.training.use` and further refits.
    training : TrainingResult or None
        The refit.
    provenance : dict
        See `odemom.records.provenance`.
    """

    source: str
    model: str
    gamma: float
    rows: int
    layers: int
    images: str
    classes: tuple[str, ...]
    tested: int
    new_head: bool
    frozen: bool
    parameters: int
    trained_parameters: int
    original: float | None
    before: float
    after: float | None
    checkpoint: Path
    training: TrainingResult | None
    provenance: dict[str, Any]

    def to_dict(self) -> dict[str, Any]:
        """The fields in the types of JSON."""
        fields = {
            f.name: jsonable(getattr(self, f.name), f.name)
            for f in dataclasses.fields(self)
            if f.name != "training"
        }
        return fields | {"training": None if self.training is None else self.training.to_dict()}


def refit_config(
    source: Source,
    *,
    gamma: float | None = None,
    preset: str | None = None,
    options: Mapping[str, Any] | None = None,
    **fields: Any,
) -> TrainingConfig:
    """The configuration of a refit: that of the source's own data, a preset, and what was asked.

    Parameters
    ----------
    source : Source
    gamma : float, optional
        In [0, 1); 0 is the network without momentum. By default that of the source, or 0.9.
    preset : {"laptop", "gpu"}, optional
        Its learning rate is divided by four.
    options : mapping, optional
        Further options of the network.
    **fields
        Of `TrainingConfig`. By default the data, their splits and the seed are those of the
        source's training; images of folders are brought to the size of those of the source.

    Returns
    -------
    TrainingConfig

    Raises
    ------
    InvalidInputError
        If a value is outside its domain, the network has no momentum twin, or the source does not
        say which data it was trained on and none are given.
    """
    model, own = _network(source, gamma)
    trained = source.training
    if "data" not in fields:
        if trained is None:
            raise invalid(
                "data",
                got=f"none beside {source.name}",
                expected="--data DIR, a folder with one folder per class",
            )
        known = ("data", "root", "limit", "validation", "image_size")
        fields = {name: getattr(trained, name) for name in known} | fields
    fields.setdefault("seed", 0 if trained is None else trained.seed)
    if fields["data"] not in NAMES_OF_DATA and fields.get("image_size") is None:
        fields["image_size"] = source.image_size
    config = configured(preset, model, {**own, **(options or {})}, fields)
    if "learning_rate" in fields:
        return config
    return dataclasses.replace(config, learning_rate=RATE_SHARE * config.learning_rate)


def _network(source: Source, gamma: float | None) -> tuple[str, dict[str, Any]]:
    """The name and the options of the twin with a gamma, or of the network itself."""
    twin, original = with_and_without_momentum(source.model)
    if gamma is None:
        own = {**model_options(source.model), **source.options}
        gamma = own["gamma"] if source.model == twin else GAMMA
    domain = "a number in [0, 1); 0 is the network without momentum"
    number = float(as_number(gamma, "gamma", domain))
    expect(0 <= number < 1, "gamma", got=shown(gamma), expected=domain)
    if twin is None:
        expect(
            number == 0,
            "gamma",
            got=f"{number:g} for {source.model}, which has no momentum twin",
            expected="a ResNet or a Vision Transformer",
            fix="With gamma 0 the network itself is refitted.",
        )
        return source.model, dict(source.options)
    if number == 0:
        known = model_options(original)
        return original, {name: v for name, v in source.options.items() if name in known}
    return twin, {**source.options, "gamma": number}


def refit(
    source: Source,
    config: TrainingConfig,
    *,
    out_dir: str | os.PathLike[str],
    epochs: int | None = None,
    freeze: bool = False,
    resume: str | os.PathLike[str] | None = None,
    progress: bool = True,
) -> Refit:
    """Make a network of a trained one, train it on, and test it before and after.

    Writes ``transform.json`` into ``out_dir``, and what `odemom.training.train` writes there; or,
    without a refit, ``checkpoints/last.ckpt`` alone.

    Parameters
    ----------
    source : Source
        See `load_source`.
    config : TrainingConfig
        See `refit_config`.
    out_dir : path-like
        A folder; it is made if it is missing.
    epochs : int, optional
        0: there is no refit. By default those of ``config``.
    freeze : bool, default False
        Train the head alone; the rest keeps its weights and the statistics of its batch norms.
    resume : path-like, optional
        The ``last.ckpt`` of an interrupted refit of the same source with the same configuration.
    progress : bool, default True
        Whether to show a progress bar.

    Returns
    -------
    Refit

    Raises
    ------
    InvalidInputError
        If the images are not of the kind that the network takes, no momentum row forms in it, the
        weights do not fit, images that the source was trained on are among the test images; and
        what `odemom.training.train` refuses.
    KeyboardInterrupt
        As `odemom.training.train`, as for its other errors.
    """
    if epochs is not None and epochs > 0:
        config = dataclasses.replace(config, epochs=epochs)
    expect(
        epochs != 0 or resume is None,
        "resume",
        got=f"{resume} beside a refit of 0 epochs",
        expected="the number of epochs that was interrupted",
    )
    checkpoint = None if resume is None else Path(resume).absolute()
    about = None if checkpoint is None else read_checkpoint(checkpoint, config)
    data = _images(source, config, training_data if epochs != 0 else images_of)
    if epochs == 0:  # a training says it itself
        warn_of_seen(data, source.seen)
    origin = {"source": source.name, "digest": source.digest, "freeze": freeze}
    if about is not None:
        check_origin(about, origin)
        check_images(about, data)
    folder = as_folder(out_dir)
    refuse_to_replace(source.path, folder)
    with conditions_of(config, data):
        network, head, new_head = network_from(source, config, data)
        rows = rows_of(network, config, data)
        original = None if new_head else _accuracy(network_of(source, config, data), config, data)
        before = _accuracy(network, config, data)
        total = sum(p.numel() for p in network.parameters())
        if freeze:
            freeze_all_but(network, head)
        trained = sum(p.numel() for p in network.parameters() if p.requires_grad)
        if epochs == 0:
            result = None
            about = {"config": config.to_dict(), "images": signature(data), "history": []}
            path = _save(folder, network, about | {"origin": origin, "seen": source.seen})
        else:
            result = train_network(
                config, data, network, folder, checkpoint,
                progress=progress, origin=origin, seen=source.seen,
            )  # fmt: skip
            path = result.checkpoint
    found = Refit(
        source=source.name,
        model=config.model,
        gamma=float({**model_options(config.model), **config.options}.get("gamma", 0)),
        rows=rows[0],
        layers=rows[1],
        images=data.source,
        classes=data.classes,
        tested=len(data.test),
        new_head=new_head,
        frozen=freeze,
        parameters=total,
        trained_parameters=trained if result else 0,
        original=original,
        before=before,
        after=None if result is None else result.test_accuracy,
        checkpoint=path,
        training=result,
        provenance=provenance(config.seed),
    )
    write_json(folder / "transform.json", found.to_dict())
    return found


# --- the images --------------------------------------------------------------------------------


def _images(
    source: Source, config: TrainingConfig, load: Callable[[TrainingConfig], ImageData]
) -> ImageData:
    """The images of a refit, normalised as those that the source was trained on."""
    _check_form(source, config, images_of(config))
    data = load(config)
    _check_unseen(source, config, data)
    if not source.mean:
        return data
    scale = full_scale(config.data) / 255
    mean, std = (tuple(scale * x for x in each) for each in (source.mean, source.std))
    return dataclasses.replace(data, mean=mean, std=std)


def _check_form(source: Source, config: TrainingConfig, data: ImageData) -> None:
    kinds = {1: "grey images, of 1 channel", 3: "images in colour, of 3 channels"}
    expect(
        data.channels == source.in_channels,
        "data",
        got=f"{data.source}: {kinds[data.channels]}",
        expected=f"{kinds[source.in_channels]}, as {source.name} takes them",
        fix="Save them in colour, each with three equal channels."
        if data.channels == 1
        else "Save them in grey.",
    )
    size = config.image_size or source.image_size
    expect(
        data.image_size == size,
        "data",
        got=f"{data.source}: images of {data.image_size} pixels",
        expected=f"{size} pixels, as {source.name} takes them",
        fix="Images in a folder are brought to that size: --data DIR.",
    )


def _check_unseen(source: Source, config: TrainingConfig, data: ImageData) -> None:
    """Refuse a split of the source's own images by which it has seen some of the test images."""
    trained = source.training
    if trained is None or data.own_test or data.classes != source.classes:
        return
    size = None if config.data in NAMES_OF_DATA else trained.image_size
    root = config.root or trained.root
    place = dataclasses.replace(trained, data=config.data, root=root, image_size=size)

    def load(limit: int | None = None) -> ImageData:
        return images_of(dataclasses.replace(place, limit=limit))

    then = load()
    if not are_those(then, source.images, trained.limit, load):
        if same_place(trained.data, config.data):
            raise changed_since(trained.data, "DIR/test, beside DIR/train")
        return  # they are others; the source's own are known wherever they are
    expect(
        then.test.is_of(data.test),
        "seed",
        got=f"{config.seed} beside a network trained on {data.source} with seed {trained.seed}",
        expected=f"seed {trained.seed}, which split off the same test images",
        fix="Otherwise the network is tested on images that it was trained on. A folder with "
        "train/ and test/ does not depend on the seed.",
    )


# --- tests and files ---------------------------------------------------------------------------


def _accuracy(network: nn.Module, config: TrainingConfig, data: ImageData) -> float:
    on_gpu = config.accelerator in ("auto", "gpu") and torch.cuda.is_available()
    device = torch.device("cuda" if on_gpu else "cpu")
    at_once = evaluated_at_once(data.image_size, config.batch_size)
    found = accuracy_and_loss(network.to(device), data.test, data.mean, data.std, at_once, device)
    network.train()
    return found[0]


def _save(folder: Path, network: nn.Module, about: dict[str, Any]) -> Path:
    """A checkpoint of a network that was not trained on."""
    weights = {f"network.{name}": value.cpu() for name, value in network.state_dict().items()}
    buffer = io.BytesIO()
    torch.save({"state_dict": weights, "odemom": about}, buffer)
    path = write_bytes_atomic(folder / "checkpoints" / LAST, sealed(buffer.getvalue()))
    remove_results(folder, trained=False)
    return path
