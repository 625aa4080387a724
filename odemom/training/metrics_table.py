"""The table of a training, ``metrics.csv``: a row per epoch, whole on disk after each."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

from odemom.checks import optional_import
from odemom.records import write_text_atomic

loggers = optional_import("lightning.pytorch.loggers", "train")
rank_zero = optional_import("lightning.pytorch.utilities.rank_zero", "train")

__all__ = ["MetricsTable"]


class MetricsTable(loggers.Logger):
    """A logger of Lightning's that writes all its rows again, beside the old file, then renames.

    Parameters
    ----------
    path : Path
        The file, which is replaced when the first row comes.
    """

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = path
        self._rows: list[dict[str, float]] = []

    @property
    def name(self) -> str:
        """Of no subfolder."""
        return ""

    @property
    def version(self) -> str:
        """Of no subfolder."""
        return ""

    @property
    def save_dir(self) -> str:
        """The folder of the table."""
        return str(self._path.parent)

    def log_hyperparams(self, *_: Any, **__: Any) -> None:
        """The configuration stands in the checkpoints and in ``result.json``."""

    @rank_zero.rank_zero_only
    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        """Add a row and write the table.

        Raises
        ------
        InvalidInputError
            If it cannot be written; the one of before is whole.
        """
        self._rows.append({**metrics, **({} if step is None else {"step": step})})
        text = io.StringIO(newline="")
        columns = sorted({column for row in self._rows for column in row})
        writer = csv.DictWriter(text, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(self._rows)
        write_text_atomic(self._path, text.getvalue())
