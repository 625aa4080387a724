"""The catalogue of errors in docs/errors.md: none is missing, and every example raises its own.

The examples are run by tests/test_docs.py, as the sessions of every page are.
"""

from __future__ import annotations

import ast
import doctest
import importlib
import re
from pathlib import Path

import pytest

from odemom import errors
from tests.floors import ROOT, module_name

PAGE = Path(__file__).parents[1] / "docs" / "errors.md"
BASES = {"OdemomError": "InvalidInputError"}  # never raised itself: what its example shows


def classes_of_ours() -> dict[str, str]:
    """The public subclasses of `OdemomError` and `OdemomWarning`, each with its module."""
    bases: dict[str, set[str]] = {}
    home: dict[str, str] = {}
    for path in ROOT.rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        if not re.search(r"^\s*class .*(Error|Warning)", text, re.MULTILINE):
            continue  # without a second of walking through all that is no error
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.ClassDef):
                bases[node.name] = {ast.unparse(base).rpartition(".")[2] for base in node.bases}
                home[node.name] = module_name(path)
    found = {"OdemomError", "OdemomWarning"}
    while more := {name for name, of in bases.items() if of & found} - found:
        found |= more
    return {name: home[name] for name in found if not name.startswith("_")}


CLASSES = classes_of_ours()


@pytest.fixture(scope="module")
def sections() -> dict[str, str]:
    parts = re.split(r"^## (.*)$", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def test_every_error_has_a_section_and_every_section_an_error(sections):
    assert set(sections) == set(CLASSES)
    public = {name for name, home in CLASSES.items() if home == errors.__name__}
    assert set(errors.__all__) == public


@pytest.mark.parametrize("name", sorted(CLASSES))
def test_a_section_has_cause_cure_and_an_example_that_raises_the_error(sections, name):
    text = sections[name]
    assert name in BASES or "**Cause.**" in text
    assert name in BASES or "**Cure.**" in text
    examples = doctest.DocTestParser().get_examples(text)
    if name in BASES:
        assert f"{BASES[name]}\n" in [example.want for example in examples]
        return
    raised = [example.exc_msg for example in examples if example.exc_msg]
    assert [message.partition(":")[0] for message in raised] == [f"{CLASSES[name]}.{name}"]


@pytest.mark.parametrize("name", sorted(CLASSES))
def test_what_the_page_says_of_the_bases_holds(sections, name):
    kind = getattr(importlib.import_module(CLASSES[name]), name)
    said = re.search(r"It is an? `(\w+)`", " ".join(sections[name].split()))
    if said is not None:
        bases = {base.__name__ for base in kind.__mro__}
        assert said[1] in bases - {name}
