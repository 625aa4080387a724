"""The settings of a training, and sentences for what ends it early."""

from __future__ import annotations

import contextlib
import errno
import functools
import warnings
from collections.abc import Iterator

import torch

from odemom.checks import invalid, optional_import, shown
from odemom.data.images import ImageData
from odemom.errors import OdemomWarning
from odemom.nn.memory.workspace import has_bfloat16_convolutions
from odemom.training.checkpoint_files import CheckpointFiles
from odemom.training.config import TrainingConfig
from odemom.training.lightning import cpu_threads, quiet_lightning
from odemom.training.memory import named_out_of_memory

seeds = optional_import("lightning.pytorch.utilities.seed", "train")

__all__ = ["conditions_of", "named_disk_errors"]

COMPILERS = ("torch._inductor", "torch._dynamo")
SLOW_PRECISION = (
    "precision: bf16-mixed, on a processor without the instructions (on x86: AVX-512) that "
    "PyTorch's layers in bfloat16 take. They are imitated there: a step of a ResNet takes ten to "
    "twenty times as long as with precision 32. Take that here, from the start of a training."
)


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
