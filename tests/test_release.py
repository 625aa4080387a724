"""What a release hangs on: one version, workflows whose targets exist, a page that is followed."""

from __future__ import annotations

import re
import tomllib
from datetime import date
from pathlib import Path

import pytest

import odemom
from scripts import try_wheel

ROOT = Path(__file__).parents[1]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
yaml = pytest.importorskip("yaml")


def text_of(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def steps(path: Path):
    for job in yaml.safe_load(path.read_text(encoding="utf-8"))["jobs"].values():
        assert ("steps" in job) != ("uses" in job)  # another workflow of this repository
        yield from job.get("steps", [])


def test_the_version_has_one_home_and_what_repeats_it_agrees():
    project = tomllib.loads(text_of("pyproject.toml"))
    assert project["project"]["dynamic"] == ["version"]
    assert project["tool"]["hatch"]["version"]["path"] == "odemom/__init__.py"
    citation = yaml.safe_load(text_of("CITATION.cff"))
    assert citation["version"] == odemom.__version__
    assert f"version = {{{odemom.__version__}}}" in text_of("README.md")
    assert f"odemom {odemom.__version__} (" in text_of("docs/about.md")
    heading = re.search(r"^## \[(\d+\.\d+\.\d+)\] - (\S+)$", text_of("CHANGELOG.md"), re.MULTILINE)
    assert heading is not None
    assert heading[1] == odemom.__version__
    assert date.fromisoformat(heading[2]) == citation["date-released"]
    assert f"year    = {{{citation['date-released'].year}}}" in text_of("README.md")


def test_there_are_workflows_for_tests_docs_and_release():
    assert [path.stem for path in WORKFLOWS] == ["docs", "release", "tests"]


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_every_target_that_a_workflow_makes_exists(path):
    targets = set(re.findall(r"^([a-z-]+):", text_of("Makefile"), re.MULTILINE))
    made = [word for step in steps(path) for word in re.findall(r"make (\S+)", step.get("run", ""))]
    assert made
    assert set(made) <= targets
    for step in steps(path):
        assert ("run" in step) != ("uses" in step)
        assert "uses" not in step or re.fullmatch(r"[\w-]+/[\w.-]+@[\w./]+", step["uses"])


def test_a_release_is_published_without_a_password_after_it_was_tried():
    workflow = yaml.safe_load(text_of(".github/workflows/release.yml"))
    publish = workflow["jobs"]["publish"]
    assert publish["permissions"] == {"id-token": "write"}
    assert publish["needs"] == ["tests", "build"]
    assert workflow["jobs"]["tests"]["uses"] == "./.github/workflows/tests.yml"
    assert "make dist" in str(workflow["jobs"]["build"]["steps"])
    assert "secrets" not in text_of(".github/workflows/release.yml")


def test_pre_commit_takes_the_ruff_of_the_project():
    (repository,) = yaml.safe_load(text_of(".pre-commit-config.yaml"))["repos"]
    dev = tomllib.loads(text_of("pyproject.toml"))["project"]["optional-dependencies"]["dev"]
    assert f"ruff=={repository['rev'].removeprefix('v')}" in dev
    assert {hook["id"] for hook in repository["hooks"]} == {"ruff-check", "ruff-format"}


def test_contributing_fits_on_a_page_and_names_targets_that_exist():
    text = text_of("CONTRIBUTING.md")
    assert len(text.splitlines()) <= 60
    targets = set(re.findall(r"^([a-z-]+):.*##", text_of("Makefile"), re.MULTILINE))
    assert set(re.findall(r"^make ([a-z-]+)", text, re.MULTILINE)) <= targets


def test_dependencies_that_a_feature_can_do_without_are_extras():
    project = tomllib.loads(text_of("pyproject.toml"))["project"]
    names = {re.split(r"[<>=]", line)[0] for line in project["dependencies"]}
    assert names == {"numpy", "scipy", "mpmath", "python-flint", "rich", "typer"}
    assert project["optional-dependencies"]["plots"] == ["matplotlib>=3.8"]


def test_the_source_distribution_holds_all_that_its_tests_need():
    hatch = tomllib.loads(text_of("pyproject.toml"))["tool"]["hatch"]
    included = set(hatch["build"]["targets"]["sdist"]["include"])
    assert {"odemom", "tests", "docs", "notebooks", "benchmarks", "scripts"} <= included


@pytest.mark.parametrize(
    ("page", "expected"),
    [
        (">>> 1 + 1\n2\n", False),
        (">>> 1 + 1\n3\n", True),
        ("```console\n$ echo two words\ntwo words\n$ false\n```\n", False),
        ("```console\n$ echo two words\nthree\n```\n", True),
        ("```python\nn = 1\n```\n\n```python\nassert n == 1\n```\n", False),
        ("```python\nassert False\n```\n", True),
        ("```python\nimport never_installed\n```\n", False),
    ],
)
def test_a_page_that_does_not_print_what_it_shows_is_found(tmp_path, capsys, page, expected):
    (tmp_path / "page.md").write_text(page)
    assert try_wheel.failures(str(tmp_path / "page.md")) is expected
    assert ("FAILED" in capsys.readouterr().out) is expected
