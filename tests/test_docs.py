"""The pages in docs: sessions and programs, run; pictures, links and names, there.

What the manual's pages are made of is tested here, too; `make docs` builds it, and warns of the
rest.
"""

from __future__ import annotations

import doctest
import json
import re
import shlex
import shutil
from pathlib import Path
from typing import Any

import pytest
import typer.main

from odemom import cli
from odemom.errors import MissingDependencyError
from odemom.experiments.frame import load
from odemom.models import MODELS
from odemom.records import jsonable
from odemom.reproduce import settings
from odemom.reproduce.settings import command_for, configured
from scripts.manual import FOLDERS, docstrings, generated, guides, markdown
from tests.consoles import assert_prints_what_it_shows

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
MADE = {*FOLDERS, "generated"}
PAGES = sorted(page for page in DOCS.rglob("*.md") if MADE.isdisjoint(page.relative_to(DOCS).parts))
WRITTEN = [page for page in PAGES if page.parent.name != "results"]
SLOW = {"transform"}  # a ViT-B/16, forward and back
TESTED_ELSEWHERE = {"experiments"}  # tests/experiments/test_new_experiment.py


def name_of(page: Path) -> str:
    return page.relative_to(DOCS).with_suffix("").as_posix()


def with_text(mark: str) -> list[Path]:
    return [page for page in WRITTEN if mark in page.read_text(encoding="utf-8")]


def blocks(page: Path, language: str) -> list[str]:
    text = page.read_text(encoding="utf-8")
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


@pytest.fixture(scope="module")
def made() -> dict[str, str]:
    return generated(ROOT)


def test_some_pages_have_sessions():
    names = {name_of(page) for page in with_text(">>>")}
    assert {"borderline", "discrete", "psi", "tutorial", "mathematics/theorem"} <= names


@pytest.mark.parametrize("page", with_text(">>>"), ids=name_of)
def test_sessions_print_what_they_show(page):
    failed, tried = doctest.testfile(
        str(page),
        module_relative=False,
        encoding="utf-8",
        optionflags=doctest.NORMALIZE_WHITESPACE,
    )
    assert tried > 0
    assert failed == 0


@pytest.mark.parametrize(
    "page",
    [
        pytest.param(page, marks=[pytest.mark.slow] if page.stem in SLOW else [])
        for page in with_text("```python\n")
        if page.stem not in TESTED_ELSEWHERE
    ],
    ids=name_of,
)
def test_programs_run_one_after_the_other(page, capsys):
    names: dict[str, object] = {}
    for program in blocks(page, "python"):
        exec(compile(program, str(page), "exec"), names)
    assert "False" not in capsys.readouterr().out


@pytest.mark.parametrize("page", with_text("```console\n"), ids=name_of)
def test_console_sessions_print_what_they_show(page, run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert_prints_what_it_shows("".join(blocks(page, "console")), run)


def commands(page: Path) -> list[list[str]]:
    """The commands of odemom in the blocks of a page, continued lines joined."""
    text = page.read_text(encoding="utf-8")
    found = re.findall(r"```(?!python|pycon|yaml)\w*\n(.*?)```", text, re.DOTALL)
    lines = "".join(found).replace("\\\n", " ").splitlines()
    shown = [line.removeprefix("$ ") for line in lines if re.match(r"(\$ )?odemom ", line)]
    split = [shlex.split(line, comments=True) for line in shown]
    return [words for words in split if "..." not in words]


def test_some_pages_have_commands():
    assert {"training", "guides/cluster"} <= {name_of(page) for page in WRITTEN if commands(page)}


@pytest.mark.parametrize("page", [page for page in WRITTEN if commands(page)], ids=name_of)
def test_commands_have_the_options_that_are_shown(page):
    known: Any = typer.main.get_command(cli.app)
    for _, name, *words in commands(page):
        options = {o for parameter in known.commands[name].params for o in parameter.opts}
        given = {word.partition("=")[0] for word in words if re.match("--?[a-z]", word)}
        assert given <= options, (name, given - options)


@pytest.mark.parametrize("module", [docstrings, markdown], ids=lambda module: module.__name__)
def test_examples_of_what_makes_the_pages_hold(module):
    failed, tried = doctest.testmod(module)
    assert tried > 0
    assert failed == 0


def test_starred_arguments_of_a_docstring_are_names():
    assert docstrings.with_bars(["*args, **kwargs", "*a step* of 2 * 3"]) == [
        r"\*args, \*\*kwargs",
        "*a step* of 2 * 3",
    ]


def anchors(text: str) -> set[str]:
    """The headings of a page as links name them, on a forge and by MyST."""
    headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", h.lower()).strip().replace(" ", "-") for h in headings}


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_pictures_and_pages_linked_to_exist(page, made):
    text = page.read_text(encoding="utf-8")
    for target, anchor in re.findall(r"\]\((?!\w+:)([^)#\s]*)#?([^)\s]*)\)", text):
        linked = (page.parent / target).resolve() if target else page
        name = linked.relative_to(DOCS).as_posix() if linked.is_relative_to(DOCS) else ""
        assert name in made or linked.exists(), target
        if anchor and linked.suffix == ".md":
            found = made[name] if name in made else linked.read_text(encoding="utf-8")
            assert anchor in anchors(found), f"{target}#{anchor}"


def test_every_public_name_is_in_the_reference():
    import odemom.nn

    text = "".join(page.read_text(encoding="utf-8") for page in (DOCS / "reference").glob("*.md"))
    listed = set(re.findall(r"^   ([\w.]+)$", text, re.MULTILINE))
    public = set(odemom.__all__) - {
        "__version__",
        "errors",
        "flows",
        "matrix_files",
        "representability",
    }
    assert public - listed == set()
    in_nn = {name for name in vars(odemom.nn) if name[0].isupper()}
    assert in_nn - listed == set()
    assert {"FirstOrder", "SecondOrder", "Undamped", "ResNet", "MomentumResNet"} <= listed


RESULTS = sorted((DOCS / "results").glob("*.json"))
OTHER_RESULTS = sorted((DOCS / "results").glob("*/*.json"))


@pytest.mark.parametrize("path", RESULTS, ids=lambda path: path.stem)
def test_the_gallery_shows_every_claim_with_its_verdict(path, made):
    page = made[f"gallery/{path.stem}.md"]
    plain = page.replace("\\", "")
    for claim in json.loads(path.read_text(encoding="utf-8"))["claims"]:
        entry = plain.partition(f"**{claim['words']}**")[2].partition(":::")[0]
        assert claim["measured"].replace("\\", "") in entry
        assert f"`{claim['verdict']}`" in entry
        if claim["verdict"] == "does not hold":
            assert claim["words"] in made["made/failed-claims.md"].replace("\\", "")
    assert f":link: {path.stem}\n" in made["gallery/index.md"]
    assert re.search(r"\n[\d,.]+ s of tasks on ", page)  # and not 1.84e+04


def test_the_gallery_counts_its_claims_in_a_sentence(made):
    claims = r"\d+ claims of \d+ experiments: \d+ hold, \d+ do not hold, \d+ were not judged\."
    assert re.search(claims, made["gallery/index.md"])


@pytest.mark.parametrize("path", OTHER_RESULTS, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_the_gallery_has_a_section_for_other_data(path, made):
    headings = {
        "digits": "On digits",
        "gamma-0.5": "With gamma = 0.5",
        "first-seed-2": "With first_seed = 2, epochs = 5, precision = 32, gamma = 0.5",
    }
    page, heading = made[f"gallery/{path.stem}.md"], headings[path.parent.name]
    section = page.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    claims = json.loads(path.read_text(encoding="utf-8"))["claims"]
    assert section.count(":::{card}") == len(claims) > 0
    assert f"../results/{path.parent.name}/{path.stem}.json" in section


@pytest.mark.parametrize("path", [*RESULTS, *OTHER_RESULTS], ids=lambda path: path.stem)
def test_the_command_beside_a_result_asks_for_its_configuration(path, tmp_path, monkeypatch):
    payload = json.loads(path.read_text(encoding="utf-8"))
    if "data" in payload["config"]:
        (tmp_path / payload["config"]["data"]).mkdir()
        monkeypatch.chdir(tmp_path)
    words = shlex.split(command_for(payload["experiment"], payload["config"]))
    assert words[:3] == ["odemom", "reproduce", payload["experiment"]]
    changes = words[4::2]
    assert words[3::2] == ["--set"] * len(changes)
    config = configured(load(payload["experiment"]), settings=changes)
    asked = jsonable(config, "config")
    assert {key: asked[key] for key in payload["config"]} == payload["config"]


def test_results_on_other_data_stand_beside_those_of_the_experiment(tmp_path):
    from scripts.manual.gallery import gallery_pages

    (tmp_path / "digits").mkdir()
    for name in ("fig6.json", "fig6.png"):
        shutil.copy(DOCS / "results" / "digits" / name, tmp_path / "digits")
    with pytest.raises(ValueError, match=r"no fig6\.json"):
        gallery_pages(tmp_path)


def test_where_the_full_run_is_not_known_the_command_names_every_field(monkeypatch):
    def missing(name):
        raise MissingDependencyError("torch is not installed")

    monkeypatch.setattr(settings, "load", missing)
    command = settings.command_for(
        "fig6", {"data": "a folder", "trained": [0.0, 0.9], "compile": False}
    )
    assert shlex.split(command)[3:] == [
        "--set", "data=a folder", "--set", "trained=0.0,0.9", "--set", "compile=false"
    ]  # fmt: skip


def test_the_gallery_is_not_made_without_a_result_that_cannot_be_read(tmp_path):
    from scripts.manual.gallery import gallery_pages

    (tmp_path / "fig4.json").write_text("{}")
    with pytest.raises(ValueError, match=r"fig4\.json"):
        gallery_pages(tmp_path)


def test_the_benchmark_tables_are_those_of_the_results(made):
    psi = json.loads((ROOT / "benchmarks" / "results" / "psi.json").read_text(encoding="utf-8"))
    table = made["made/benchmark-psi.md"]
    assert all(f"{ratio['median']:.3g}" in table for ratio in psi["ratios"])
    assert psi["cpu"] in table
    assert psi["versions"]["scipy"] in table


def test_every_network_and_every_preset_is_in_the_manual(made):
    assert all(f"`{name}`" in made["made/networks.md"] for name in MODELS)
    assert "`channels=8`" in made["made/networks.md"]
    for setting in ("| `batch_size` | `64` | `512` |", "| `deterministic` | `true` | `false` |"):
        assert setting in made["made/presets.md"]


def test_commands_have_their_defaults_and_negations_in_the_manual(made):
    commands = made["made/commands.md"]
    assert re.search(r"\| `--threads` \|.*\| `1` \|", commands)
    assert re.search(r"\| `--exact/--no-exact` \|.*\|  \|", commands)


def test_a_page_that_no_list_names_is_a_guide(tmp_path):
    (tmp_path / "about.md").write_text("```{toctree}\n:maxdepth: 1\n\nnamed\nso <titled>\n```\n")
    (tmp_path / "index.md").write_text("```{toctree}\nabout\n```\n")
    for name in ("named", "titled", "forgotten"):
        (tmp_path / f"{name}.md").write_text("# A page\n")
    (tmp_path / "made").mkdir()
    for _ in range(2):  # also where the list of the build before lies
        text = guides.guide_list(tmp_path)["made/guides.md"]
        assert re.findall(r"^\.\./(.*)$", text, re.MULTILINE) == ["forgotten"]
        (tmp_path / "made" / "guides.md").write_text(text)


def test_notebooks_in_the_manual_link_to_its_pages(made):
    notebooks = [text for name, text in made.items() if name.endswith(".ipynb")]
    assert len(notebooks) == len(list((ROOT / "notebooks").glob("*.ipynb")))
    for text in notebooks:
        for target in re.findall(r"\]\((?!\w+:)([^)#\s]+)", text):
            name = (DOCS / "notebooks" / target).resolve().relative_to(DOCS).as_posix()
            assert name in made or (DOCS / name).exists(), target
