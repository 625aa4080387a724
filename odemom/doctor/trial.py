"""Packages tried out in another process, so that none can break this one."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from odemom.doctor import child

__all__ = ["Answer", "ask"]

SECONDS = 120.0


@dataclass(frozen=True)
class Answer:
    """What came of a question.

    Attributes
    ----------
    found : object
        What was found, in the types of JSON; None where there is nothing to tell.
    error : str or None
        What went wrong.
    """

    found: Any = None
    error: str | None = None


def ask(questions: Sequence[str], seconds: float = SECONDS) -> dict[str, Answer]:
    """Import modules, and answer questions of `odemom.doctor.child`, in a process of its own.

    Where one crashes the process, or does not end, the rest goes on in another.

    Examples
    --------
    >>> found = ask(["json", "no_such_module"])
    >>> found["json"].error, found["no_such_module"].error
    (None, "ModuleNotFoundError: No module named 'no_such_module'")
    """
    found: dict[str, Answer] = {}
    waiting = list(dict.fromkeys(questions))
    while waiting:
        output, end = _run(waiting, seconds)
        lines = [line for line in output.splitlines() if line.startswith(child.MARK)]
        answers = [Answer(**json.loads(line.removeprefix(child.MARK))) for line in lines]
        found |= dict(zip(waiting, answers, strict=False))
        waiting = waiting[len(answers) :]
        if waiting:
            found[waiting.pop(0)] = Answer(error=end)
    return found


def _run(questions: Sequence[str], seconds: float) -> tuple[str, str]:
    """What the process printed, and how it ended."""
    command = [sys.executable, "-P", child.__file__, json.dumps(questions)]
    root = str(Path(child.__file__).parents[2])
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([*filter(None, sys.path), root])}
    try:
        done = subprocess.run(
            command, env=environment, capture_output=True, timeout=seconds, check=False
        )
    except subprocess.TimeoutExpired as late:
        return _text(late.stdout), f"it does not end within {seconds:.0f} s"
    except OSError as error:
        return "", f"Python cannot be started again: {error}"
    if done.returncode < 0:
        number = -done.returncode
        named = number in set(signal.Signals)
        name = signal.Signals(number).name if named else f"signal {number}"
        return _text(done.stdout), f"it crashes Python ({name})"
    last = _text(done.stderr).strip().splitlines()[-1:]
    end = f"Python leaves with status {done.returncode}"
    return _text(done.stdout), ": ".join([end, *last])


def _text(output: bytes | None) -> str:
    return (output or b"").decode("utf-8", "replace")
