"""What Lightning and PyTorch change around a training, and that all is put back after it."""

from __future__ import annotations

import contextlib
import logging
import signal
import threading
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from odemom.records import from_here

__all__ = ["START_AGAIN", "cpu_threads", "go_on_from", "interrupts_named", "quiet_lightning"]

CHATTER = (
    ".*does not have many workers.*",  # the images are in memory
    ".*The dirpath has changed from.*",  # --resume into another folder
    ".*exists and is not empty.*",  # what is replaced there are our own files
    ".*LeafSpec.*is deprecated.*",  # Lightning's own use of torch
    ".*It is recommended to use `self.log.*sync_dist.*",  # the counts are those of all processes
    r".*Found \d+ module\(s\) in eval mode at the start of training.*",  # those that are frozen
    r".*The number of training batches \(\d+\) is smaller than the logging interval.*",
)
START_AGAIN = "no epoch was finished; start again"


def go_on_from(checkpoint: Path) -> str:
    """How a training goes on from a checkpoint.

    Examples
    --------
    >>> go_on_from(Path("results/train/checkpoints/last.ckpt"))
    'the same command with --resume results/train/checkpoints/last.ckpt goes on'
    """
    return f"the same command with --resume {from_here(checkpoint)} goes on"


@contextlib.contextmanager
def interrupts_named(trainer: Any) -> Iterator[None]:
    """Let Ctrl-C raise a KeyboardInterrupt that says how to go on.

    Lightning turns it into an exit of the whole process, and is deaf to the next one.

    Raises
    ------
    KeyboardInterrupt
    """
    here = threading.current_thread() is threading.main_thread()
    before = signal.getsignal(signal.SIGINT)
    try:
        yield
    except SystemExit:
        if not trainer.interrupted:
            raise
    finally:
        if here:
            signal.signal(signal.SIGINT, before)
    if trainer.interrupted:
        last = trainer.strategy.checkpoint_io.last
        raise KeyboardInterrupt(go_on_from(last) if last else START_AGAIN)


@contextlib.contextmanager
def cpu_threads(number: int) -> Iterator[None]:
    """Let PyTorch use ``number`` threads on the CPU; restore what was set before."""
    before = torch.get_num_threads()
    torch.set_num_threads(number)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextlib.contextmanager
def quiet_lightning() -> Iterator[None]:
    """Hide Lightning's tips and the warnings in `CHATTER`; restore what it changes globally."""
    loggers = [logging.getLogger(name) for name in ("lightning.pytorch", "lightning.fabric")]
    levels = [logger.level for logger in loggers]
    deterministic = torch.are_deterministic_algorithms_enabled()
    benchmark = torch.backends.cudnn.benchmark
    try:
        for logger in loggers:
            logger.setLevel(logging.WARNING)
        with warnings.catch_warnings():
            for message in CHATTER:
                warnings.filterwarnings("ignore", message=message)
            yield
    finally:
        torch.use_deterministic_algorithms(deterministic)
        torch.backends.cudnn.benchmark = benchmark
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
