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

    def teardown(self, trainer: Any, pl_module: Any, stage: str) -> None:
        """End the bar."""
        super().teardown(trainer, pl_module, stage)
        rich.reconfigure()
