"""The console sessions of the pages: what each command prints is what is shown below it."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

SHELL = re.compile(r"[|<>&;$*`]")


def entries(session: str) -> list[tuple[str, str]]:
    """The commands of a session, each with what is shown below it."""
    return re.findall(r"^\$ (.*)\n((?:[^$].*\n)*)", session, re.MULTILINE)


def by_a_shell(command: str) -> tuple[int, str]:
    """The status and the output of a command in a shell that finds this `odemom`."""
    binaries = str(Path(sys.executable).parent)
    environment = {**os.environ, "PATH": binaries + os.pathsep + os.environ["PATH"]}
    done = subprocess.run(command, shell=True, env=environment, capture_output=True, text=True)
    return done.returncode, done.stdout


def assert_prints_what_it_shows(session: str, run) -> None:
    """Run a session in this folder: in this process by the fixture `run`, but for the first command
    and for what only a shell does."""
    for n, (command, shown) in enumerate(entries(session)):
        _, *words = shlex.split(command)
        alone = command.startswith("odemom ") and not SHELL.search(command)
        code, out = run(*words)[:2] if n and alone else by_a_shell(command)
        assert out == shown, command
        assert code in (0, 1)
