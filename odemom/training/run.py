"""Train and test one network, with checkpoints, a table per epoch, and a result on disk.

The command line's ``odemom train`` runs this. On two cores a training on the digits takes about
half a minute.
"""

from __future__ import annotations

import contextlib
import errno
import functools
import os
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import nn

from odemom.checks import expect, invalid, optional_import, shown
from odemom.data.images import ImageData, load_images
from odemom.errors import OdemomWarning
from odemom.models.table import build_model
from odemom.nn.memory.workspace import has_bfloat16_convolutions
from odemom.records import as_folder, provenance, write_json
from odemom.training.checkpoints import (
    check_images,
    check_origin,
    load_trained,
    read_checkpoint,
    signature,
)
from odemom.training.config import TrainingConfig, TrainingResult
from odemom.training.graphs import require_cuda, stopped_replays_named
from odemom.training.image_module import ImageModule
from odemom.training.lightning import (
    Classifier,
    cpu_threads,
    fit,
    make_trainer,
    quiet_lightning,
)
from odemom.training.memory import named_out_of_memory

lightning = optional_import("lightning.pytorch", "train")
seeds = optional_import("lightning.pytorch.utilities.seed", "train")

__all__ = [
    "conditions_of",
    "images_of",
    "network_for",
    "train",
    "train_network",
    "training_data",
]

COMPILERS = ("torch._inductor", "torch._dynamo")
SLOW_PRECISION = (
    "precision: bf16-mixed, on a processor without the instructions (on x86: AVX-512) that "
    "PyTorch's layers in bfloat16 take. They are imitated there: a step of a ResNet takes ten to "
    "twenty times as long as with precision 32. Take that here, from the start of a training."
)


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
    ``tensorboard/`` where TensorBoard is installed. Files of an earlier training there are
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
    checkpoint = None if resume is None else Path(resume)
    about = None if checkpoint is None else read_checkpoint(checkpoint, config)
    data = training_data(config)
    if about is not None:
        check_origin(about, None)
        check_images(about, data)
    folder = as_folder(out_dir)
    with conditions_of(config, data):
        network = network_for(config, data)
        if weights is not None:
            _start_with(network, config, weights)
        return train_network(config, data, network, folder, checkpoint, progress=progress)


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
    each = "" if processes == 1 else f" for each of {processes} processes"
    expect(
        config.batch_size * processes <= images,
        "batch_size",
        got=f"{config.batch_size}{each}",
        expected=f"at most {images // processes}, the number of training images{each}",
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


@contextlib.contextmanager
def conditions_of(config: TrainingConfig, data: ImageData) -> Iterator[None]:
    """The settings of a training; what ends it early is said in a sentence.

    Raises
    ------
    NotEnoughMemoryError
        If a step does not fit.
    InvalidInputError
        If the network cannot be compiled, or a batch norm meets a batch of one value per channel.

    Warns
    -----
    OdemomWarning
        If the precision is one that this processor has to imitate.
    """
    with (
        settings_of(config),
        named_out_of_memory(config, data),
        named_compile_errors(config),
        named_single_values(config),
    ):
        yield


@contextlib.contextmanager
def settings_of(config: TrainingConfig) -> Iterator[None]:
    """Threads, a quiet Lightning and random numbers of a training; those of before are put back.

    Warns
    -----
    OdemomWarning
        If the precision is one that this processor has to imitate.
    """
    if config.precision == "bf16-mixed" and _on_processor(config):
        _say_once(has_bfloat16_convolutions())
    with quiet_lightning(), seeds.isolate_rng(), cpu_threads(config.threads):
        yield


def _on_processor(config: TrainingConfig) -> bool:
    """Whether a step is taken on a CPU, be it for a dry run of a training that wants a GPU."""
    if config.accelerator in ("auto", "gpu"):
        return not (torch.cuda.is_available() or torch.backends.mps.is_available())
    return config.accelerator == "cpu"


@functools.cache
def _say_once(has_bfloat16: bool) -> None:
    """An experiment has dozens of trainings."""
    if not has_bfloat16:
        warnings.warn(SLOW_PRECISION, OdemomWarning, stacklevel=5)


def _start_with(
    network: nn.Module, config: TrainingConfig, weights: str | os.PathLike[str]
) -> None:
    trained = load_trained(weights)
    try:
        network.load_state_dict(trained.network.state_dict())
    except RuntimeError as error:
        raise invalid(
            "weights",
            got=f"a checkpoint of {trained.config.model}",
            expected=f"one with the parameters of {config.model} and as many classes",
        ) from error


# Of a disk that is full or broken, of a folder that may not be written to.
DISK = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO}


@contextlib.contextmanager
def named_disk_errors(folder: Path) -> Iterator[None]:
    """Turn what the operating system says of the files of a training into a sentence.

    Raises
    ------
    InvalidInputError
    """
    try:
        yield
    except OSError as error:
        if error.errno not in DISK:
            raise
        last = folder / "checkpoints" / "last.ckpt"
        kept = f" {last} is whole: --resume {last} goes on." if last.exists() else ""
        raise invalid(
            "out",
            got=f"{folder}, which cannot be written to ({error.strerror})",
            expected="a folder that may be written to, with room for checkpoints",
            fix=f"Make room, or name another folder.{kept}",
        ) from error


@contextlib.contextmanager
def named_compile_errors(config: TrainingConfig) -> Iterator[None]:
    """Turn what the compiler says of a network, or of its own absence, into a sentence.

    Raises
    ------
    InvalidInputError
    """
    try:
        yield
    except Exception as error:
        if not config.compile or not type(error).__module__.startswith(COMPILERS):
            raise
        raise invalid(
            "compile",
            got=f"{config.model}, which torch.compile cannot compile on this machine "
            f"({type(error).__name__}: {shown(str(error), 160)})",
            expected="a network and a machine that it can do",
            fix="Train without: --no-compile.",
        ) from error


@contextlib.contextmanager
def named_single_values(config: TrainingConfig) -> Iterator[None]:
    """Turn what a batch norm says of a batch with one value per channel into a sentence.

    Raises
    ------
    InvalidInputError
    """
    try:
        yield
    except ValueError as error:
        if "more than 1 value per channel" not in str(error):
            raise
        raise invalid(
            "batch_size",
            got=f"{config.batch_size} for {config.model}, whose last batch norms see one value per "
            "channel then",
            expected="at least 2, or larger images: one value has no spread",
        ) from error


def train_network(
    config: TrainingConfig,
    data: ImageData,
    network: nn.Module,
    folder: Path,
    resume: Path | None,
    *,
    progress: bool,
    origin: dict[str, Any] | None = None,
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
    """
    if config.compile:
        network.compile(dynamic=False)
    steps = len(data.train) // (config.batch_size * config.devices * config.num_nodes)
    model = Classifier(network, config, signature(data), steps * config.epochs, origin)
    module = ImageModule(
        data,
        config.batch_size,
        config.seed,
        augment=config.augment,
        channels_last=config.channels_last,
    )
    validated = len(data.validation) > 0
    trainer = make_trainer(config, folder, progress=progress, validation=validated)
    with named_disk_errors(folder), stopped_replays_named(config, folder):
        fit(trainer, model, module, resume)
        trainer.test(model, datamodule=module, verbose=False)
    # A finished training that goes on into another folder leaves its files where they are.
    kept = folder
    if resume is not None and not (folder / "checkpoints" / "last.ckpt").exists():
        kept = resume.parent.parent
    result = _result(config, model, trainer, kept)
    if trainer.is_global_zero:
        write_json(folder / "result.json", result.to_dict())
    return result


def _result(
    config: TrainingConfig, model: Classifier, trainer: Any, folder: Path
) -> TrainingResult:
    test = model.sums["test"]
    return TrainingResult(
        config=config,
        source=model.images["source"],
        test_accuracy=test.accuracy,
        mean_nfe=test.mean_nfe,
        parameters=sum(p.numel() for p in model.parameters() if p.requires_grad),
        seconds=model.history[-1]["seconds"],
        history=tuple(model.history),
        provenance=provenance(config.seed),
        checkpoint=folder / "checkpoints" / "last.ckpt",
        best_checkpoint=Path(trainer.checkpoint_callback.best_model_path),
        csv=folder / "metrics.csv",
    )
