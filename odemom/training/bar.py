"""Lightning's progress bar, on the error stream: standard output is for answers."""

from __future__ import annotations

from typing import Any

import rich

from odemom.checks import optional_import

callbacks = optional_import("lightning.pytorch.callbacks", "train")

__all__ = ["Bar"]


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
