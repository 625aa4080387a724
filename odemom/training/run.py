"""Train and test one network, with checkpoints, a table per epoch, and a result on disk.

The command line's ``odemom train`` runs this. On two cores a training on the digits takes about
half a minute.
"""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from odemom.checks import expect, invalid, optional_import, shown
from odemom.data.images import ImageData, load_images
from odemom.models.table import build_model
from odemom.records import as_folder, provenance, write_json
from odemom.training.checkpoint_files import LAST, CheckpointFiles, refuse_to_replace
from odemom.training.checkpoints import (
    check_images,
    check_origin,
    load_trained,
    read_checkpoint,
    signature,
)
from odemom.training.conditions import conditions_of, named_disk_errors
from odemom.training.config import TrainingConfig
from odemom.training.graphs import require_cuda, stopped_replays_named
from odemom.training.image_module import ImageModule
from odemom.training.lightning import Classifier, fit, make_trainer
from odemom.training.machines import meeting
from odemom.training.result import TrainingResult
from odemom.training.seen import seen_in, warn_of_seen
from odemom.training.surroundings import interrupts_named

lightning = optional_import("lightning.pytorch", "train")

__all__ = [
    "images_of",
    "network_for",
    "train",
    "train_network",
    "training_data",
]


def train(
    config: TrainingConfig,
    *,
    out_dir: str | os.PathLike[str],
    resume: str | os.PathLike[str] | None = None,
    weights: str | os.PathLike[str] | None = None,
    progress: bool = True,
) -> TrainingResult:
    """Train a network on images and test it once, with the weights after the last epoch.

    Writes into ``out_dir``: ``checkpoints/last.ckpt`` and ``checkpoints/best.ckpt`` (the best
    validation accuracy) and ``metrics.csv`` after every epoch, ``result.json`` at the end, and
    ``tensorboard/`` where TensorBoard can be imported. Files of an earlier training there are
    replaced.

    Parameters
    ----------
    config : TrainingConfig
        What to train.
    out_dir : path-like
        A folder; it is made if it is missing.
    resume : path-like, optional
        The ``last.ckpt`` of an interrupted training of the same configuration. It goes on after its
        last finished epoch, or what ``checkpoint_steps`` has kept since, to the very weights of a
        training without interruption.
    weights : path-like, optional
        A checkpoint whose weights the training starts with: that of the same network, or of one
        with the same parameters, as a ResNet and its momentum twins have.
    progress : bool, default True
        Whether to show a progress bar.

    Returns
    -------
    TrainingResult
        The same numbers as in ``result.json``.

    Raises
    ------
    InvalidInputError
        If ``out_dir`` cannot be a folder or its disk is full, the images cannot be had, the batch
        is larger than the training set, or ``resume`` is missing, damaged, or belongs to another
        configuration or other images, or ``weights`` are those of another network.
    KeyboardInterrupt
        On Ctrl-C; its message names the checkpoint to resume from.
    IntegrationError
        If the ODE of a block cannot be solved.
    DivergedError
        If the loss is not finite.
    NotEnoughMemoryError
        If a step does not fit; the message says what does.

    Examples
    --------
    >>> import tempfile
    >>> from odemom.training import TrainingConfig
    >>> config = TrainingConfig(order=1, width=8, epochs=1, batch_size=256, accelerator="cpu")
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     result = train(config, out_dir=folder, progress=False)
    >>> len(result.history), 0 <= result.test_accuracy <= 1
    (1, True)
    """
    expect(
        isinstance(config, TrainingConfig),
        "config",
        got=shown(config),
        expected="a TrainingConfig",
    )
    checkpoint = None if resume is None else Path(resume).absolute()
    about = None if checkpoint is None else read_checkpoint(checkpoint, config)
    data = training_data(config)
    if about is not None:
        check_origin(about, None)
        check_images(about, data)
    folder = as_folder(out_dir)
    refuse_to_replace(None if weights is None else Path(weights), folder)
    with conditions_of(config, data):
        network = network_for(config, data)
        seen = None if weights is None else _start_with(network, config, weights)
        return train_network(
            config, data, network, folder, checkpoint, progress=progress, seen=seen
        )


def training_data(config: TrainingConfig, *, download: bool = False) -> ImageData:
    """The images of a configuration.

    Raises
    ------
    InvalidInputError
        See `load_images`; or if an epoch would not have a single batch, or graphs are asked for
        where there is no GPU.
    """
    require_cuda(config)
    data = images_of(config, download=download)
    images, processes = len(data.train), config.devices * config.num_nodes
    expect(
        processes <= images,
        "devices",
        got=f"{processes} processes",
        expected=f"at most {images}, the number of training images",
    )
    fits = 2 ** int(math.log2(images // processes))
    each = "" if processes == 1 else f" for each of {processes} processes"
    expect(
        config.batch_size * processes <= images,
        "batch_size",
        got=f"{config.batch_size}{each}",
        expected=f"at most {images // processes}, the number of training images{each}",
        fix=f"Set it: --batch-size {fits} (in an experiment --set batch_size={fits}).",
    )
    return data


def images_of(config: TrainingConfig, *, download: bool = False) -> ImageData:
    """The images of a configuration, however few: see `load_images`."""
    return load_images(
        config.data,
        root=config.root,
        seed=config.seed,
        limit=config.limit,
        validation=config.validation,
        image_size=config.image_size,
        download=download,
    )


def network_for(config: TrainingConfig, data: ImageData) -> nn.Module:
    """The network of a configuration, with fresh weights from its seed."""
    lightning.seed_everything(config.seed, workers=True, verbose=False)
    network = build_model(
        config.model,
        in_channels=data.channels,
        classes=len(data.classes),
        image_size=data.image_size,
        **config.options,
    )
    if config.channels_last:
        network = network.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
    return network


def _start_with(
    network: nn.Module, config: TrainingConfig, weights: str | os.PathLike[str]
) -> Tensor | None:
    """Load the weights of a checkpoint; which images it has seen."""
    trained = load_trained(weights)
    try:
        network.load_state_dict(trained.network.state_dict())
    except RuntimeError as error:
        raise invalid(
            "weights",
            got=f"a checkpoint of {trained.config.model}",
            expected=f"one with the parameters of {config.model} and as many classes",
        ) from error
    return trained.seen


def train_network(
    config: TrainingConfig,
    data: ImageData,
    network: nn.Module,
    folder: Path,
    resume: Path | None,
    *,
    progress: bool,
    origin: dict[str, Any] | None = None,
    seen: Tensor | None = None,
) -> TrainingResult:
    """Train a network that is there, and test it: the inside of `train`.

    Parameters
    ----------
    config : TrainingConfig
    data : ImageData
    network : Module
        With the weights that the training starts from.
    folder : Path
        It exists.
    resume : Path or None
        A checkpoint that `read_checkpoint` has let through.
    progress : bool
    origin : dict, optional
        What its checkpoints say about the network that it started from.
    seen : Tensor, optional
        Which images that network was trained on.
    """
    if config.compile:
        network.compile(dynamic=False)
    steps = len(data.train) // (config.batch_size * config.devices * config.num_nodes)
    seen = seen_in(data, seen)
    warn_of_seen(data, seen)
    model = Classifier(network, config, signature(data), steps * config.epochs, origin, seen)
    module = ImageModule(
        data,
        config.batch_size,
        config.seed,
        augment=config.augment,
        channels_last=config.channels_last,
    )
    validated = len(data.validation) > 0
    files = CheckpointFiles(folder / "checkpoints", resume)
    trainer = make_trainer(config, files, progress=progress, validation=validated)
    with (
        named_disk_errors(files),
        stopped_replays_named(config, files),
        interrupts_named(trainer),
        meeting(config, trainer),
    ):
        fit(trainer, model, module, resume)
        trainer.test(model, datamodule=module, verbose=False)
    result = _result(config, model, files)
    kept = result.checkpoint.parent
    expect(
        kept.resolve() == files.folder.resolve() or not (files.folder / LAST).exists(),
        "out",
        got=f"{folder}, which holds another training",
        expected=f"another folder for the result of {resume}, which is finished",
    )
    if trainer.is_global_zero:
        write_json(folder / "result.json", result.to_dict())
    return result


def _result(config: TrainingConfig, model: Classifier, files: CheckpointFiles) -> TrainingResult:
    test = model.sums["test"]
    last = files.last or files.folder / LAST  # of several machines the first one writes it
    return TrainingResult(
        config=config,
        source=model.images["source"],
        tested=test.images,
        test_accuracy=test.accuracy,
        mean_nfe=test.mean_nfe,
        parameters=sum(p.numel() for p in model.parameters() if p.requires_grad),
        seconds=model.history[-1]["seconds"],
        history=tuple(model.history),
        provenance=provenance(config.seed),
        checkpoint=last,
        best_checkpoint=files.best or last,
        csv=last.parent.parent / "metrics.csv",
    )
