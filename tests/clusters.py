"""Dask clusters for tests, of processes that can be killed."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any


@contextlib.contextmanager
def cluster(tmp_path: Path, workers: int, without: Sequence[str] = ()) -> Iterator[Any]:
    """A scheduler and workers, each a process without a nanny: its address and the workers.

    Those ``without`` ("dask_scheduler", "dask_worker") cannot import odemom.
    """
    hidden = tmp_path / "hidden"
    hidden.mkdir()
    (hidden / "odemom.py").write_text("raise ModuleNotFoundError(\"No module named 'odemom'\")\n")
    file = tmp_path / "scheduler.json"
    started = []

    def start(*command):
        first = [str(hidden)] if command[0] in without else [os.getcwd()]
        env = {**os.environ, "PYTHONPATH": os.pathsep.join([*first, *sys.path[1:]])}
        program = [sys.executable, "-m", "distributed.cli." + command[0], *command[1:]]
        none = subprocess.DEVNULL
        started.append(subprocess.Popen(program, env=env, cwd=tmp_path, stdout=none, stderr=none))

    try:
        options = ("--host", "127.0.0.1", "--port", "0", "--no-dashboard", "--no-show")
        start("dask_scheduler", *options, "--scheduler-file", str(file))
        while not file.exists():
            time.sleep(0.1)
        for _ in range(workers):
            one = ("--nworkers", "1", "--nthreads", "1", "--no-nanny", "--no-dashboard")
            start("dask_worker", "--scheduler-file", str(file), *one)
        yield json.loads(file.read_text())["address"], started[1:]
    finally:
        for process in started:
            process.kill()
            process.wait(30)
