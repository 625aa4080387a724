"""The pages in docs: their sessions, run, and their pictures, there."""

from __future__ import annotations

import doctest
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import typer

from odemom import cli

PAGES = sorted((Path(__file__).parents[1] / "docs").glob("*.md"))
WITH_SESSIONS = [page for page in PAGES if ">>>" in page.read_text(encoding="utf-8")]


def test_some_pages_have_sessions():
    assert {"borderline", "discrete", "psi"} <= {page.stem for page in WITH_SESSIONS}


@pytest.mark.parametrize("page", WITH_SESSIONS, ids=lambda page: page.stem)
def test_sessions_print_what_they_show(page):
    failed, tried = doctest.testfile(str(page), module_relative=False, encoding="utf-8")
    assert tried > 0
    assert failed == 0


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_pictures_and_pages_linked_to_exist(page):
    links = re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text(encoding="utf-8"))
    assert all((page.parent / link).exists() for link in links)


def commands(page):
    """The commands of odemom in the blocks of a page, continued lines joined."""
    blocks = re.findall(
        r"```(?!python|pycon|yaml)\w*\n(.*?)```", page.read_text("utf-8"), re.DOTALL
    )
    lines = "".join(blocks).replace("\\\n", " ").splitlines()
    found = [shlex.split(line.removeprefix("$ "), comments=True) for line in lines
             if re.match(r"(\$ )?odemom ", line)]  # fmt: skip
    return [words for words in found if "..." not in words]


PAGES_WITH_COMMANDS = [page for page in PAGES if commands(page)]


def test_some_pages_have_commands():
    assert {"fine-tuning", "training"} <= {page.stem for page in PAGES_WITH_COMMANDS}


@pytest.mark.parametrize("page", PAGES_WITH_COMMANDS, ids=lambda page: page.stem)
def test_commands_have_the_options_that_are_shown(page):
    group: Any = typer.main.get_command(cli.app)
    for _, name, *words in commands(page):
        options = {option for parameter in group.commands[name].params for option in parameter.opts}
        given = {word.partition("=")[0] for word in words if re.match("--?[a-z]", word)}
        assert given <= options, (name, given - options)
