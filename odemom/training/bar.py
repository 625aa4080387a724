"""The progress of a training, on the error stream: standard output is for answers."""

from __future__ import annotations

import math
import sys
from typing import Any

import rich
from rich.console import Console

from odemom.checks import optional_import

callbacks = optional_import("lightning.pytorch.callbacks", "train")

__all__ = ["Bar", "Lines", "duration", "progress_of"]


def progress_of() -> Any:
    """A bar where it can move, on a terminal or in a notebook; else a line per epoch.

    Returns
    -------
    Bar or Lines
        A callback for Lightning.
    """
    console = Console(stderr=True)
    return Bar() if console.is_terminal or console.is_jupyter else Lines()


class Lines(callbacks.Callback):
    """A line per epoch, for logs: what was reached, and when the training will end."""

    def __init__(self) -> None:
        self._told = 0

    def on_train_start(self, trainer: Any, pl_module: Any) -> None:
        """Leave the epochs before an interruption to the log of that time."""
        self._told = len(pl_module.history)

    def on_train_epoch_start(self, trainer: Any, pl_module: Any) -> None:
        """Print the line of the epoch before, which is in the checkpoint now."""
        self._tell(trainer, pl_module)

    def on_train_end(self, trainer: Any, pl_module: Any) -> None:
        """Print the line of the last epoch."""
        self._tell(trainer, pl_module)

    def _tell(self, trainer: Any, pl_module: Any) -> None:
        rows, self._told = pl_module.history[self._told :], len(pl_module.history)
        if sys.stderr is None or not trainer.is_global_zero:
            return
        for row in rows:
            of = trainer.max_epochs
            done = f"epoch {row['epoch']} of {of}: train loss {row['train_loss']:.4g}"
            if not math.isnan(row["validation_accuracy"]):
                done += f", validation accuracy {row['validation_accuracy']:.2%}"
            left = row["seconds"] / row["epoch"] * (of - row["epoch"])
            print(f"{done}; {duration(left)} left", file=sys.stderr, flush=True)


def duration(seconds: float) -> str:
    """Seconds, minutes or hours, as they come.

    Examples
    --------
    >>> [duration(s) for s in (0.42, 119, 150, 7000, 9000, 864000)]
    ['0.42 seconds', '119 seconds', '2.5 minutes', '117 minutes', '2.5 hours', '240 hours']
    """
    units = (("hours", 3600), ("minutes", 60), ("seconds", 1))
    unit, size = next((u, s) for u, s in units if seconds >= 2 * s or s == 1)
    number = seconds / size
    return f"{number:.0f} {unit}" if number >= 10 else f"{number:.2g} {unit}"


class Bar(callbacks.RichProgressBar):
    """A bar that leaves rich's own console as it was: Lightning makes it over."""

    def __init__(self) -> None:
        super().__init__(console_kwargs={"stderr": True})
        self._console_before: dict[str, Any] = {}

    def setup(self, trainer: Any, pl_module: Any, stage: str) -> None:
        """Remember the console."""
        self._console_before = dict(vars(rich.get_console()))
        super().setup(trainer, pl_module, stage)

    def teardown(self, trainer: Any, pl_module: Any, stage: str) -> None:
        """End the bar."""
        super().teardown(trainer, pl_module, stage)
        self._restore()

    def on_exception(self, trainer: Any, pl_module: Any, exception: BaseException) -> None:
        """End the bar of a training that fails, for which there is no teardown."""
        super().on_exception(trainer, pl_module, exception)
        self._restore()

    def _restore(self) -> None:
        vars(rich.get_console()).update(self._console_before)
