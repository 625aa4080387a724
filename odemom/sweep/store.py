"""Finished tasks on disk, so that an interrupted run goes on where it was."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from odemom.checks import expect, invalid, shown
from odemom.records import jsonable

__all__ = ["Stored", "TaskStore", "task_key"]


@dataclass(frozen=True)
class Stored:
    """What a finished task left.

    Attributes
    ----------
    outcome : object
        In the types of JSON.
    seconds : float
        What it took.
    """

    outcome: Any
    seconds: float


def task_key(task: Any) -> str:
    """A digest of all that a task holds: equal tasks have equal keys.

    Parameters
    ----------
    task : object
        Anything that `jsonable` takes; it holds all that the outcome depends on, the seed included.

    Examples
    --------
    >>> task_key({"seed": 1}) == task_key({"seed": 1}) != task_key({"seed": 2})
    True
    """
    text = json.dumps([type(task).__name__, jsonable(task, "task")], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:24]


@dataclass(frozen=True)
class TaskStore:
    """JSON lines in one file: a header, then one line per finished task, appended as they come.

    The header says who made the outcomes; those of another program or version are never mixed in.
    A task is found by what it holds (`task_key`), so that a run that asks for more, or for
    something else, never takes an outcome that is not its own.

    Parameters
    ----------
    path : Path
    identity : mapping of str to str
        What else the outcomes depend on: the experiment, the version of odemom, its code.
    """

    path: Path
    identity: Mapping[str, str]

    def load(self) -> dict[str, Stored]:
        """The finished tasks by their keys.

        A last line that was cut off is dropped, from disk too.

        Raises
        ------
        InvalidInputError
            If the file is of another version, or not such a file at all.
        """
        expect(
            self.path.parent.is_dir() or not self.path.parent.exists(),
            "out",
            got=f"{self.path.parent}, which is a file",
            expected="a folder, which may be new",
        )
        if not self.path.exists():
            return {}
        found: dict[str, Stored] = {}
        whole = 0
        with self._opened("rb") as stream:
            for number, line in enumerate(stream):
                if not line.endswith(b"\n"):
                    break
                if number == 0:
                    self._check_header(line)
                else:
                    key, stored = self._parsed(line)
                    found[key] = stored
                whole += len(line)
        with self._opened("r+b") as stream:
            stream.truncate(whole)
        return found

    def append(self, key: str, outcome: Any, seconds: float) -> None:
        """Add a finished task; it is on disk when this returns."""
        line = {"task": key, "outcome": outcome, "seconds": seconds}
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise self._not_writable(error) from None
        with self._opened("a") as stream:
            try:
                if stream.tell() == 0:
                    stream.write(json.dumps(dict(self.identity)) + "\n")
                stream.write(json.dumps(line, allow_nan=False) + "\n")
                stream.flush()
                os.fsync(stream.fileno())
            except OSError as error:
                raise self._not_writable(error) from None

    def discard(self) -> None:
        """Remove the file, once the outcomes stand elsewhere."""
        self.path.unlink(missing_ok=True)

    def _opened(self, mode: str) -> Any:
        text: dict[str, Any] = {} if "b" in mode else {"encoding": "utf-8", "newline": "\n"}
        try:
            return open(self.path, mode, **text)
        except OSError as error:
            raise self._not_writable(error) from None

    def _not_writable(self, error: OSError) -> Exception:
        return invalid(
            "out",
            got=f"{self.path.parent}, which cannot be written to ({error.strerror})",
            expected="a folder, which may be new",
        )

    def _check_header(self, line: bytes) -> None:
        try:
            found = dict(json.loads(line))
        except (ValueError, TypeError):
            raise self._foreign("a first line that is no header") from None
        differ = [
            f"{name} {shown(found.get(name))}, not {shown(value)}"
            for name, value in self.identity.items()
            if found.get(name) != value
        ]
        if differ:
            raise self._foreign(f"tasks of {'; '.join(differ)}")

    def _parsed(self, line: bytes) -> tuple[str, Stored]:
        try:
            entry = json.loads(line)
            return str(entry["task"]), Stored(entry["outcome"], float(entry["seconds"]))
        except (ValueError, TypeError, KeyError):
            raise self._foreign("a line that is no finished task") from None

    def _foreign(self, what: str) -> Exception:
        return invalid(
            "out",
            got=f"{self.path} with {what}",
            expected="what an interrupted run of the same experiment and version left",
            fix="Name another folder, or delete the file to start again.",
        )
