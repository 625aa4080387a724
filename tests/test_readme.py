"""The README's examples, run."""

from __future__ import annotations

import doctest
import os
import re
import subprocess
import sys
from pathlib import Path

from odemom.experiments import frame

README = Path(__file__).parents[1] / "README.md"


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)


def test_python_sessions_print_what_they_show():
    options = {"encoding": "utf-8", "optionflags": doctest.NORMALIZE_WHITESPACE}
    failed, tried = doctest.testfile(str(README), module_relative=False, **options)
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


def test_every_program_runs_by_itself():
    programs = blocks("python")
    assert len(programs) >= 2
    for program in programs:
        exec(compile(program, "README.md", "exec"), {})


def test_linked_files_exist():
    text = README.read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)]+)\)", text) + re.findall(r'src="([^"]+)"', text):
        path, _, _ = target.partition("#")
        assert target.startswith("https://") or (README.parent / path).exists(), target


def test_the_table_of_experiments_names_all_of_them():
    table = README.read_text(encoding="utf-8").split("| figure |")[1].split("\n\n")[0]
    names = set(re.findall(r"\b[a-z][a-z0-9-]+\b", table)) | {"prop2", "prop3"}
    assert set(frame.names()) <= names
