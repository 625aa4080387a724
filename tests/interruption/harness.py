"""Commands that are ended at a chosen step of what they do to files.

A child process runs the command line; an audit hook counts the files that it opens for writing,
renames, removes, and the folders that it makes, below its working folder. At step ``at`` it gets a
signal, so that every state in which the disk can be left is reached by counting, not by luck.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

__all__ = ["Ended", "run_until"]

WRITING = ("w", "x", "a", "+")
CHANGES = ("os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.truncate", "shutil.move")


@dataclass(frozen=True)
class Ended:
    """How a command ended.

    Attributes
    ----------
    status : int
        The exit status, or minus the number of the signal that ended it.
    steps : int
        How many steps it took, or had taken when the signal came.
    out, err : str
    """

    status: int
    steps: int
    out: str
    err: str


def run_until(
    arguments: Sequence[str],
    folder: Path,
    *,
    at: int | None = None,
    number: int = signal.SIGKILL,
    largest_file: int | None = None,
) -> Ended:
    """Run ``odemom`` with these arguments in ``folder``, in a fork of this process.

    Parameters
    ----------
    arguments : sequence of str
    folder : Path
    at : int, optional
        Send the signal ``number`` before that step, counted from 1.
    number : int, default SIGKILL
    largest_file : int, optional
        In bytes: what is longer cannot be written, as on a full disk.
    """
    logs = folder.parent / f"{folder.name}.logs"
    logs.mkdir(exist_ok=True)
    sys.stdout.flush()
    sys.stderr.flush()
    child = os.fork()
    if child == 0:
        _be_the_child(arguments, folder, logs, at, number, largest_file)
    _, code = os.waitpid(child, 0)
    steps = (logs / "steps").read_bytes().count(b"\n")
    out, err = ((logs / name).read_text(errors="replace") for name in ("out", "err"))
    return Ended(os.waitstatus_to_exitcode(code), steps, out, err)


def _be_the_child(
    arguments: Sequence[str],
    folder: Path,
    logs: Path,
    at: int | None,
    number: int,
    largest_file: int | None,
) -> NoReturn:
    status = 70
    try:
        for stream, name in ((1, "out"), (2, "err")):
            os.dup2(os.open(logs / name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), stream)
        sys.stdout = os.fdopen(1, "w", closefd=False)
        sys.stderr = os.fdopen(2, "w", closefd=False)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        counted = os.open(logs / "steps", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.chdir(folder)
        if largest_file is not None:
            import resource

            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (largest_file, largest_file))
        _count(folder, counted, at, number)
        sys.argv = ["odemom", *arguments]
        from odemom import cli

        cli.main()
    except SystemExit as left:
        status = left.code if isinstance(left.code, int) else 0 if left.code is None else 2
    except BaseException:
        traceback.print_exc()
        status = 99  # whatever this is, it is not a status of odemom
    finally:
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError):
                stream.flush()
        os._exit(status)


def _count(folder: Path, counted: int, at: int | None, number: int) -> None:
    state = {"steps": 0, "off": False}
    inside = str(folder)

    def hook(event: str, details: tuple) -> None:
        if state["off"] or not (event == "open" or event in CHANGES):
            return
        path = details[0]
        if not isinstance(path, str | bytes | os.PathLike):
            return
        if event == "open":
            mode, flags = details[1], details[2]
            writes = isinstance(mode, str) and any(c in mode for c in WRITING)
            if not writes and not (mode is None and flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)):
                return
        if not os.path.abspath(os.fsdecode(path)).startswith(inside):
            return
        state["steps"] += 1
        os.write(counted, b"%d\n" % state["steps"])
        if at is not None and state["steps"] == at:
            state["off"] = True
            os.kill(os.getpid(), number)

    sys.addaudithook(hook)
