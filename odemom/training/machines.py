"""Trainings on several machines: what each needs to know of the others, and the wait for them."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import sys
import threading
import warnings
from collections.abc import Iterator
from typing import Any

import torch

from odemom.checks import counted, expect, invalid, optional_import, shown
from odemom.errors import OdemomWarning
from odemom.training.config import TrainingConfig

callbacks = optional_import("lightning.pytorch.callbacks", "train")
environments = optional_import("lightning.fabric.plugins.environments", "train")

__all__ = ["Joining", "check_meeting_place", "meeting"]

PLACE = ("MASTER_ADDR", "MASTER_PORT", "NODE_RANK")
HOW = (
    "Start this command on every machine, with the address and a free port of the first one and "
    "the number of each, as in MASTER_ADDR=10.0.0.1 MASTER_PORT=29500 NODE_RANK=0 odemom train "
    "...; or let torchrun or Slurm start them."
)
PATIENCE = 2.0  # seconds before a wait is told
INTERRUPTED = 130  # the status of a program that Ctrl-C has ended


def check_meeting_place(config: TrainingConfig, strategy: Any) -> None:
    """Refuse a training on several machines that could not find each other.

    Parameters
    ----------
    config : TrainingConfig
    strategy : Strategy
        Lightning's; what torchrun, Slurm and others start knows its place.

    Raises
    ------
    InvalidInputError
    """
    own = isinstance(
        getattr(strategy, "cluster_environment", None), environments.LightningEnvironment
    )
    if config.num_nodes == 1 or not own:
        return
    missing = [name for name in PLACE if not os.environ.get(name)]
    expect(
        not missing,
        "num_nodes",
        got=f"{config.num_nodes} without {' and '.join(missing)} in the environment",
        expected=f"{', '.join(PLACE[:-1])} and {PLACE[-1]}, by which the machines meet",
        fix=HOW,
    )
    for name, least, most in (("MASTER_PORT", 1, 65535), ("NODE_RANK", 0, config.num_nodes - 1)):
        value = os.environ[name]
        expect(
            value.isdecimal() and least <= int(value) <= most,
            name,
            got=shown(value),
            expected=f"an integer from {least} to {most}",
            fix=HOW,
        )


@contextlib.contextmanager
def meeting(config: TrainingConfig, trainer: Any) -> Iterator[None]:
    """A training in several processes: the wait for the others, and a sentence where they part.

    Raises
    ------
    InvalidInputError
    """
    joining = [each for each in trainer.callbacks if isinstance(each, Joining)]
    try:
        for each in joining:
            each.start(trainer)
        yield
    except (torch.distributed.DistStoreError, torch.distributed.DistNetworkError) as error:
        said = shown(str(error).partition("\n")[0], 160)
        raise invalid(
            "num_nodes",
            got=f"{counted(config.num_nodes, 'machine')} of which one is not there ({said})",
            expected=f"all of them at {_meeting_place()}",
            fix=HOW,
        ) from error
    finally:
        for each in joining:
            each.stop()


def _meeting_place() -> str:
    return f"{os.environ.get('MASTER_ADDR')}:{os.environ.get('MASTER_PORT')}"


class Joining(callbacks.Callback):
    """Let Ctrl-C end the wait for other processes, and say where other machines are waited for.

    PyTorch waits for them inside of a call that looks at no signal: a thread does.

    Parameters
    ----------
    config : TrainingConfig
    """

    def __init__(self, config: TrainingConfig) -> None:
        self._config = config
        self._trainer: Any = None
        self._ends: tuple[socket.socket, socket.socket] | None = None
        self._before = -1

    def start(self, trainer: Any) -> None:
        """Begin, in the main thread: elsewhere no signal arrives."""
        if threading.current_thread() is not threading.main_thread():
            return
        self._trainer = trainer
        self._ends = socket.socketpair()
        for end in self._ends:
            end.setblocking(False)
        self._before = signal.set_wakeup_fd(self._ends[1].fileno(), warn_on_full_buffer=False)
        threading.Thread(target=self._watch, args=(self._ends[0],), daemon=True).start()

    def setup(self, trainer: Any, pl_module: Any, stage: str) -> None:
        """All are there."""
        self.stop()

    def stop(self) -> None:
        """End the wait."""
        if self._ends is not None:
            signal.set_wakeup_fd(self._before)
            self._ends[1].close()  # which the thread sees
            self._ends = None

    def _watch(self, end: socket.socket) -> None:
        patience: float | None = PATIENCE
        with end:
            while True:
                if not select.select([end], [], [], patience)[0]:
                    patience = None
                    self._tell()
                    continue
                numbers = end.recv(64)
                if not numbers:
                    return
                if {signal.SIGINT, signal.SIGTERM} & set(numbers):
                    self._leave()

    def _tell(self) -> None:
        if self._config.num_nodes == 1 or os.environ.get("LOCAL_RANK", "0") != "0":
            return
        others = counted(self._config.num_nodes - 1, "other machine")
        warnings.warn(
            f"num_nodes: waiting for {others} to start this command too, with MASTER_ADDR and "
            f"MASTER_PORT of {_meeting_place()}; this one is NODE_RANK "
            f"{os.environ.get('NODE_RANK', '0')}. Ctrl-C ends the wait.",
            OdemomWarning,
            stacklevel=2,
        )

    def _leave(self) -> None:
        """End this process and those that it has started; nothing is on disk yet."""
        for process in getattr(self._trainer.strategy.launcher, "procs", ()):
            process.kill()
        if sys.stderr is not None:
            print("\ninterrupted: no training was begun", file=sys.stderr, flush=True)
        os._exit(INTERRUPTED)
