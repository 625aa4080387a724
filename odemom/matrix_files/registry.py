"""The readers: each registers itself, beside its own code, for the suffixes that it reads."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from odemom.matrix_files.source import Source

__all__ = ["READERS", "Reader", "reads"]

ReadSource = Callable[[Source, bool | None], Any]


@dataclass(frozen=True)
class Reader:
    """How one format is read.

    Attributes
    ----------
    read : callable
        From a source, and whether to be exact, to an array or nested lists.
    kind : str
        "text" or "binary".
    """

    read: ReadSource
    kind: str


READERS: dict[str, Reader] = {}


def reads(*suffixes: str, kind: str) -> Callable[[ReadSource], ReadSource]:
    """Register a function as the reader of files with these suffixes."""

    def register(read: ReadSource) -> ReadSource:
        for suffix in suffixes:
            READERS[suffix] = Reader(read, kind)
        return read

    return register
