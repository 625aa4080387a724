"""The pages in docs: their sessions, run, and their pictures, there."""

from __future__ import annotations

import doctest
import re
from pathlib import Path

import pytest

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
