"""The README's examples, run."""

from __future__ import annotations

import doctest
import os
import re
import subprocess
import sys
from pathlib import Path

README = Path(__file__).parents[1] / "README.md"


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)


def test_python_sessions_print_what_they_show():
    failed, tried = doctest.testfile(str(README), module_relative=False, encoding="utf-8")
    assert tried >= 8
    assert failed == 0


def test_console_sessions_print_what_they_show(tmp_path):
    binaries = str(Path(sys.executable).parent)
    environment = {**os.environ, "PATH": binaries + os.pathsep + os.environ["PATH"]}
    sessions = "".join(blocks("console"))
    entries = re.findall(r"^\$ (.*)\n((?:[^$].*\n)*)", sessions, re.MULTILINE)
    assert len(entries) >= 5
    for command, shown in entries:
        done = subprocess.run(
            command, shell=True, cwd=tmp_path, env=environment, capture_output=True, text=True
        )
        assert done.stdout == shown, command
        assert done.returncode in (0, 1)


def test_programs_run_one_after_the_other():
    names: dict[str, object] = {}
    for program in blocks("python"):
        exec(compile(program, "README.md", "exec"), names)
    assert "twin" in names


def test_linked_files_exist():
    for target in re.findall(r"\]\(([^)]+)\)", README.read_text(encoding="utf-8")):
        assert target.startswith("https://") or (README.parent / target).exists(), target
