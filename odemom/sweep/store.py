"""Finished tasks on disk, so that an interrupted run goes on where it was."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from odemom.checks import expect, invalid, shown
from odemom.records import jsonable

__all__ = ["Stored", "TaskStore", "task_key"]


# What reading a damaged line raises.
NOT_LINES = (ValueError, TypeError, KeyError, ArithmeticError, RecursionError)


def _line(payload: Any) -> bytes:
    return (json.dumps(payload, allow_nan=False) + "\n").encode()


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


def task_key(task: Any, inputs: Mapping[str, str] | None = None) -> str:
    """A digest of all that a task holds: equal tasks have equal keys.

    Parameters
    ----------
    task : object
        Anything that `jsonable` takes; it holds all that the outcome depends on, the seed included.
    inputs : mapping of str to str, optional
        What the outcome depends on beside it, such as a digest of the files that the task names.

    Examples
    --------
    >>> task_key({"seed": 1}) == task_key({"seed": 1}) != task_key({"seed": 2})
    True
    """
    held = [type(task).__name__, jsonable(task, "task"), *([dict(inputs)] if inputs else [])]
    text = json.dumps(held, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:24]


@dataclass(frozen=True)
class TaskStore:
    """JSON lines in one file: a header, then one line per finished task, appended as they come.

    The header says who made the outcomes; those of another program or version are never mixed in.
    A task is found by what it holds (`task_key`), so that a run that asks for more, or for
    something else, never takes an outcome that is not its own. One process writes at a time.

    Parameters
    ----------
    path : Path
    identity : mapping of str to str
        What else the outcomes depend on: the experiment, the version of odemom, its code.
    """

    path: Path
    identity: Mapping[str, str]

    def load(self) -> dict[str, Stored]:
        """The finished tasks by their keys; a last line that was cut off does not count.

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
        expect(
            self.path.is_file(),
            "out",
            got=f"{self.path}, which is no file",
            expected="what an interrupted run of the same experiment and version left",
        )
        try:
            content = self.path.read_bytes()
        except OSError as error:
            raise self._not_writable(error) from None
        return self._read(content)[0]

    @contextlib.contextmanager
    def writing(self) -> Iterator[Callable[[str, Any, float], None]]:
        """The function ``append(key, outcome, seconds)``; only one process has it at a time.

        A task is on disk when ``append`` returns, whole or not at all. A last line that was cut off
        is removed first.

        Raises
        ------
        InvalidInputError
            If the file cannot be written, is of another version, or another run is writing to it.
        """
        with self._refusing():
            self.path.parent.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o666)
        try:
            self._lock(descriptor)
            try:
                _, whole = self._read(self.path.read_bytes())
                with self._refusing():
                    os.ftruncate(descriptor, whole)

                def append(key: str, outcome: Any, seconds: float) -> None:
                    line = _line({"task": key, "outcome": outcome, "seconds": seconds})
                    with self._refusing():
                        # With the first task: a run that kept none leaves nothing behind.
                        fresh = os.fstat(descriptor).st_size == 0
                        self._write(descriptor, self._header() + line if fresh else line)

                yield append
            finally:
                if os.fstat(descriptor).st_size == 0:
                    with contextlib.suppress(OSError):
                        self.discard()
        finally:
            os.close(descriptor)

    def _lock(self, descriptor: int) -> None:
        """Keep others out while the descriptor is open, where the system has such locks."""
        try:
            import fcntl
        except ImportError:  # Windows
            return
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise self._in_use() from None
        except OSError:  # a file system without locks, as some network ones are
            return
        # Who was here before may have removed the file since it was opened.
        try:
            same = os.path.samestat(os.fstat(descriptor), os.stat(self.path))
        except FileNotFoundError:
            same = False
        if not same:
            raise self._in_use()

    def _in_use(self) -> Exception:
        return invalid(
            "out",
            got=f"{self.path.parent}, to which another run of this experiment is writing",
            expected="a folder of its own for every run",
            fix="Wait for it, or name another folder.",
        )

    def _write(self, descriptor: int, line: bytes) -> None:
        """Add a line and bring it to the disk, or leave the file as it was."""
        length = os.fstat(descriptor).st_size
        try:
            rest = memoryview(line)
            while rest:
                rest = rest[os.write(descriptor, rest) :]
            os.fsync(descriptor)
        except BaseException:
            with contextlib.suppress(OSError):
                os.ftruncate(descriptor, length)
            raise

    def _header(self) -> bytes:
        return _line(dict(self.identity))

    def _read(self, content: bytes) -> tuple[dict[str, Stored], int]:
        """The finished tasks, and the length of the lines that are whole."""
        found: dict[str, Stored] = {}
        whole = 0
        for number, line in enumerate(content.splitlines(keepends=True)):
            if not line.endswith(b"\n"):
                if number == 0 and not self._header().startswith(line):
                    raise self._foreign("a first line that is no header")
                break
            if number == 0:
                self._check_header(line)
            else:
                key, stored = self._parsed(line)
                found[key] = stored
            whole += len(line)
        return found, whole

    def discard(self) -> None:
        """Remove the file, once the outcomes stand elsewhere."""
        self.path.unlink(missing_ok=True)

    @contextlib.contextmanager
    def _refusing(self) -> Iterator[None]:
        """Turn what the operating system says of the file into the error for bad input."""
        try:
            yield
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
        except NOT_LINES:
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
        except NOT_LINES:
            raise self._foreign("a line that is no finished task") from None

    def _foreign(self, what: str) -> Exception:
        return invalid(
            "out",
            got=f"{self.path} with {what}",
            expected="what an interrupted run of the same experiment and version left",
            fix="Name another folder, or delete the file to start again.",
        )
