"""The README's examples, run."""

from __future__ import annotations

import doctest
import re
from pathlib import Path

from odemom.experiments import frame
from tests.consoles import assert_prints_what_it_shows, entries

README = Path(__file__).parents[1] / "README.md"


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)


def test_python_sessions_print_what_they_show():
    options = {"encoding": "utf-8", "optionflags": doctest.NORMALIZE_WHITESPACE}
    failed, tried = doctest.testfile(str(README), module_relative=False, **options)
    assert tried >= 8
    assert failed == 0


def test_console_sessions_print_what_they_show(run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    sessions = "".join(blocks("console"))
    assert len(entries(sessions)) >= 5
    assert_prints_what_it_shows(sessions, run)


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
