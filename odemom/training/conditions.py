"""The settings of a training, and sentences for what ends it early."""

from __future__ import annotations

import contextlib
import errno
import functools
import math
import warnings
from collections.abc import Iterator, Mapping
from typing import Any

import torch

from odemom.checks import first_sentence, invalid, optional_import, shown
from odemom.data.images import ImageData
from odemom.errors import FixedPointRangeError, OdemomWarning
from odemom.models.table import model_options
from odemom.nn.memory.workspace import has_bfloat16_convolutions
from odemom.training.checkpoint_files import CheckpointFiles
from odemom.training.config import TrainingConfig
from odemom.training.memory import named_out_of_memory
from odemom.training.surroundings import cpu_threads, quiet_lightning

seeds = optional_import("lightning.pytorch.utilities.seed", "train")

__all__ = ["conditions_of", "named_disk_errors"]

COMPILERS = ("torch._inductor", "torch._dynamo")
SLOW_PRECISION = (
    "precision: bf16-mixed, on a processor without the instructions (on x86: AVX-512) that "
    "PyTorch's layers in bfloat16 take. They are imitated there: a step of a ResNet takes ten to "
    "twenty times as long as with precision 32. Take --precision 32 here, from the start: none "
    "goes on with another precision."
)


@contextlib.contextmanager
def conditions_of(config: TrainingConfig, data: ImageData) -> Iterator[None]:
    """The settings of a training; what ends it early is said in a sentence.

    Raises
    ------
    NotEnoughMemoryError
        If a step does not fit.
    FixedPointRangeError
        If activations are beyond the fixed point before the first step.
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
        named_range(config),
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
        warnings.warn(SLOW_PRECISION, OdemomWarning, stacklevel=7)


# Of a disk that is full or broken, of a folder that may not be written to.
DISK = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO}


@contextlib.contextmanager
def named_disk_errors(files: CheckpointFiles) -> Iterator[None]:
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
        last = files.last
        kept = f" {last} is whole: --resume {last} goes on." if last else ""
        raise invalid(
            "out",
            got=f"{files.folder.parent}, which cannot be written to ({error.strerror})",
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
def named_range(config: TrainingConfig) -> Iterator[None]:
    """Say what a setting of the training does about activations beyond the fixed point.

    Raises
    ------
    FixedPointRangeError
    """
    try:
        yield
    except FixedPointRangeError as error:
        options = {**model_options(config.model), **config.options}
        raise FixedPointRangeError(f"{first_sentence(error)}. {_way_out(options)}") from error


def _way_out(options: Mapping[str, Any]) -> str:
    """How the activations of a network become smaller, or are kept in floating point."""
    steps, eps = options.get("steps"), float(options.get("eps", math.inf))
    if steps and options["order"] == 2 and eps * steps < 1:
        return (
            f"With eps = {eps:g} a step of {1 / steps:g} is too long: the velocity follows the "
            f"field within a time of eps. Take eps = {1 / steps:g} or more, or "
            f"--set steps={math.ceil(1 / eps)}."
        )
    kept = "gradient=backprop" if "gradient" in options else "reversible=false"
    return f"To keep activations as floating-point numbers: --set {kept}."


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
