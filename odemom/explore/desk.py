"""The desk where questions are handed in: processes that compute, and a limit on their time."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import odemom

__all__ = ["Desk"]

LIMIT = 5.0
START = 60.0
"""Seconds to load, on a machine that does much else."""

SLOW = (
    "The answer took longer than {:g} s and was stopped. Numbers with fewer digits are decided "
    "faster; odemom check takes all the time that it needs."
)
LATE = (
    "The process that computes did not start within {:g} s, and is started again with the next "
    "change: this machine does much else."
)
BUSY = "Other pages are waiting for answers too, and this one did not get its turn: try again."
LOST = "The process that computes has ended; it is started again with the next change."


class Desk:
    """Hands each question to a process that is free, and stops it after some seconds.

    A process keeps nothing of a question: the next one may be that of another visitor.

    Parameters
    ----------
    workers : int
        How many questions are answered at a time.
    limit : float
        Seconds an answer may take.
    command : list of str, optional
        What is started, in place of the worker of this room.
    """

    def __init__(
        self, workers: int = 2, limit: float = LIMIT, command: list[str] | None = None
    ) -> None:
        self.limit = limit
        self._command = command or [sys.executable, "-m", "odemom.explore.worker"]
        self._free: queue.Queue[_Worker] = queue.Queue()
        self._all = [_Worker(self._command) for _ in range(workers)]
        for worker in self._all:
            worker.start()
            self._free.put(worker)

    def ask(self, part: str, fields: Any) -> str:
        """The answer as JSON; ``{"error": sentence}`` where there is none in time."""
        try:
            worker = self._free.get(timeout=2 * self.limit)
        except queue.Empty:
            return _sorry(BUSY)
        try:
            return worker.ask(json.dumps([part, fields]), self.limit)
        finally:
            self._free.put(worker)

    def close(self) -> None:
        """End the processes."""
        for worker in self._all:
            worker.stop(for_good=True)


class _Worker:
    """A process, started again when it was stopped or lost."""

    def __init__(self, command: list[str]) -> None:
        self._command = command
        self._lines: queue.Queue[str | None] = queue.Queue()
        self._ready = self._closed = False
        self.process: subprocess.Popen[str] | None = None

    def start(self) -> subprocess.Popen[str]:
        """The process that runs, or a new one."""
        if self.process is not None and (self.process.poll() is None or self._closed):
            return self.process
        root = str(Path(odemom.__file__).parents[1])  # the same odemom, wherever it lies
        paths = [root, *filter(None, [os.environ.get("PYTHONPATH")])]
        threads = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}  # of four rows
        self.process = subprocess.Popen(
            self._command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            encoding="utf-8",
            env={**os.environ, **threads, "PYTHONPATH": os.pathsep.join(paths)},
            start_new_session=True,
        )
        self._lines, self._ready = queue.Queue(), False
        words = (self.process.stdout, self._lines)
        threading.Thread(target=_read, args=words, daemon=True).start()
        return self.process

    def ask(self, line: str, limit: float) -> str:
        """The answer, as JSON, or a sentence in its place."""
        try:
            process = self.start()
            if not self._ready:
                self._ready = self._lines.get(timeout=START) is not None
            assert process.stdin is not None
            process.stdin.write(line + "\n")
            process.stdin.flush()
            answer = self._lines.get(timeout=limit)
        except queue.Empty:
            self.stop()
            return _sorry(SLOW.format(limit) if self._ready else LATE.format(START))
        except (OSError, ValueError):  # no process can be had, its end, or a stream was closed
            answer = None
        if answer is None:
            self.stop()
            return _sorry(LOST)
        return answer

    def stop(self, *, for_good: bool = False) -> None:
        """End the process."""
        self._closed = self._closed or for_good
        if self.process is None:
            return
        self.process.kill()
        self.process.wait()
        for stream in (self.process.stdin, self.process.stdout):
            if stream is not None:
                with contextlib.suppress(OSError):
                    stream.close()


def _read(stream: Any, lines: queue.Queue[str | None]) -> None:
    """Hand on the lines of a process, and None at its end."""
    with contextlib.suppress(ValueError, OSError):  # closed while it was read
        for line in stream:
            lines.put(line)
    lines.put(None)


def _sorry(sentence: str) -> str:
    return json.dumps({"error": sentence})
