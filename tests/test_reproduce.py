"""Reproducing experiments: files, resuming, refusing to mix, redrawing, the summary page."""

from __future__ import annotations

import dataclasses
import json
import shutil
from types import SimpleNamespace

import pytest

from odemom import InvalidInputError, MissingDependencyError
from odemom.experiments import fig4, fig9
from odemom.experiments.frame import load
from odemom.reproduce import redraw, reproduce, write_summary
from tests.pictures import image_folder

TINY = fig4.Config(points=5, per_unit=1)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """The files of a finished run."""
    return reproduce("fig4", tmp_path_factory.mktemp("finished"), config=TINY)


@pytest.fixture
def undrawn(monkeypatch):
    """Pictures without a content, where files matter and not what they show."""

    def rendered(figure, name, *, formats=("png", "pdf"), style="paper"):
        return {f"{name}.{suffix}": b"a picture" for suffix in formats}

    monkeypatch.setattr("odemom.plots.style.rendered", rendered)


def test_an_experiment_that_nothing_draws_is_refused_before_it_is_computed(tmp_path, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(InvalidInputError, match=r"no odemom/plots/fig4\.py"):
        reproduce("fig4", tmp_path / "out", config=TINY)
    assert not (tmp_path / "out").exists()


def test_reproduce_writes_numbers_with_where_they_come_from(finished):
    payload = json.loads(finished["json"].read_text())
    assert payload["experiment"] == "fig4"
    assert payload["config"] == {"points": 5, "per_unit": 1, "extent": 2}
    assert payload["provenance"]["versions"]["odemom"] == payload["version"]
    assert [claim["verdict"] for claim in payload["claims"]] == ["holds", "holds"]
    assert finished["png"].read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    assert finished["pdf"].read_bytes()[:5] == b"%PDF-"
    names = sorted(path.name for path in finished["json"].parent.iterdir())
    assert names == ["fig4.json", "fig4.pdf", "fig4.png"]  # and no parts


def test_a_finished_run_is_not_computed_again(finished, monkeypatch):
    monkeypatch.setattr(fig4, "is_representable", None)
    before = finished["json"].read_bytes()
    again = reproduce("fig4", finished["json"].parent, config=TINY)
    assert again["json"].read_bytes() == before


def test_results_of_another_configuration_are_not_mixed_in(finished):
    with pytest.raises(InvalidInputError, match="points 5, not 6"):
        reproduce("fig4", finished["json"].parent, config=fig4.Config(points=6, per_unit=1))
    assert json.loads(finished["json"].read_text())["config"]["points"] == 5


@pytest.mark.usefixtures("undrawn")
def test_results_of_another_version_are_not_mixed_in_and_can_be_overwritten(tmp_path):
    files = reproduce("fig4", tmp_path, config=TINY)
    payload = json.loads(files["json"].read_text())
    files["json"].write_text(json.dumps({**payload, "version": "0.0.1"}))
    with pytest.raises(InvalidInputError, match=r"version '0\.0\.1', not"):
        reproduce("fig4", tmp_path, config=TINY)
    reproduce("fig4", tmp_path, config=TINY, overwrite=True)
    assert json.loads(files["json"].read_text())["version"] == payload["version"]


def test_a_file_that_is_no_result_is_not_replaced(tmp_path):
    (tmp_path / "fig4.json").write_text("mine")
    with pytest.raises(InvalidInputError, match="no numbers of an experiment"):
        reproduce("fig4", tmp_path, config=TINY)
    assert (tmp_path / "fig4.json").read_text() == "mine"


@pytest.mark.usefixtures("undrawn")
def test_an_interrupted_run_goes_on_where_it_was(tmp_path):
    def interrupt(done, total):
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        reproduce("fig4", tmp_path, config=TINY, progress=interrupt)
    assert [path.name for path in tmp_path.iterdir()] == ["fig4.parts.jsonl"]
    seen = []
    reproduce("fig4", tmp_path, config=TINY, progress=lambda done, total: seen.append(done))
    assert seen == [2, 3]
    assert not (tmp_path / "fig4.parts.jsonl").exists()


def test_tasks_of_another_version_are_not_taken_up(tmp_path):
    parts = tmp_path / "fig4.parts.jsonl"
    parts.write_text(json.dumps({**fig4.EXPERIMENT.identity, "version": "0.0.1"}) + "\n")
    with pytest.raises(InvalidInputError, match=r"version '0\.0\.1', not"):
        reproduce("fig4", tmp_path, config=TINY)
    assert "0.0.1" in parts.read_text()


@pytest.mark.usefixtures("undrawn")
def test_when_the_disk_is_full_the_old_files_stand_as_they_were(finished, monkeypatch):
    import os

    before = {path: path.read_bytes() for path in finished.values()}
    written = []

    def full(descriptor):
        written.append(descriptor)
        if len(written) == 3 + 2:  # three tasks, the first file, and then
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(InvalidInputError, match="No space left"):
        reproduce("fig4", finished["json"].parent, config=TINY, overwrite=True)
    assert {path: path.read_bytes() for path in finished.values()} == before
    parts = finished["json"].parent / "fig4.parts.jsonl"
    assert set(finished["json"].parent.iterdir()) == {*finished.values(), parts}
    parts.unlink()


def test_pictures_in_other_formats_of_older_numbers_are_removed(tmp_path):
    for name in ("fig4.svg", "fig4-mine.png", "fig5.png"):
        (tmp_path / name).write_text("older")
    reproduce("fig4", tmp_path, config=TINY, formats=["svg"])
    assert (tmp_path / "fig4.svg").read_text().startswith("<?xml")
    (tmp_path / "fig4.pdf").write_text("of the same numbers")
    again = fig4.Config(points=7, per_unit=1)
    files = reproduce("fig4", tmp_path, config=again, formats=["png"], overwrite=True)
    assert sorted(files) == ["json", "png"]
    left = sorted(path.name for path in tmp_path.iterdir())
    assert left == ["fig4-mine.png", "fig4.json", "fig4.png", "fig5.png"]


@pytest.mark.parametrize(
    "look",
    [
        {"formats": ["jpg"]},
        {"formats": []},
        {"formats": "svg"},
        {"formats": [["png"]]},
        {"formats": None},
        {"formats": ["png", "png"]},
        {"style": "poster"},
    ],
)
def test_formats_and_styles_that_there_are_not_are_refused(tmp_path, look):
    with pytest.raises(InvalidInputError, match=r"format|style"):
        reproduce("fig4", tmp_path / "new", config=TINY, **look)
    assert not (tmp_path / "new").exists()


# --- the configuration from text ---------------------------------------------------------------


# --- the summary -------------------------------------------------------------------------------


def test_the_summary_has_a_row_per_claim_and_every_picture(finished):
    folder = finished["json"].parent
    pages = write_summary(folder)
    text, page = pages["md"].read_text(), pages["html"].read_text()
    for part in ("holds", "Theorem 1", "fig4.png", "odemom reproduce fig4"):
        assert part in text
        assert part in page
    assert page.count("<tr>") == 1 + 2
    assert "2 claims of 1 experiment: 2 hold, 0 do not hold, 0 were not judged." in text
    for path in pages.values():
        path.unlink()


def test_a_folder_without_results_has_no_summary(tmp_path):
    with pytest.raises(InvalidInputError, match="no numbers of an experiment"):
        write_summary(tmp_path)


# --- drawing again -----------------------------------------------------------------------------


def test_redraw_draws_the_same(finished, tmp_path):
    again = redraw(finished["json"], tmp_path)
    assert {k: again[k].read_bytes() for k in again} == {k: finished[k].read_bytes() for k in again}


@pytest.mark.usefixtures("undrawn")
def test_trainings_on_images_that_were_replaced_are_not_taken_for_these(tmp_path, monkeypatch):
    def train(config, **_):
        history = ({"validation_accuracy": 0.5, "seconds": 1.0},)
        return SimpleNamespace(source="", parameters=1, test_accuracy=0.5, history=history)

    monkeypatch.setattr("odemom.training.run.train", train)
    folder, out, done = image_folder(tmp_path / "tints"), tmp_path / "out", []
    config = fig9.Config(data=str(folder), seeds=1, epochs=1, limit=0, channels=(2,))

    def carry_out():
        fig9.EXPERIMENT.carry_out(config, folder=out, progress=lambda *at: done.append(at))

    carry_out()
    carry_out()
    assert done[-1:] == [(3, 3)]  # those of the first run
    reproduce("fig9", out, config=config)
    reproduce("fig9", out, config=config)
    shutil.rmtree(folder)
    reproduce("fig9", out, config=config)  # only drawn again
    image_folder(folder, seed=1)
    with pytest.raises(InvalidInputError, match=r"with other images in '\S*tints'; expected"):
        reproduce("fig9", out, config=config)
    done.clear()
    carry_out()
    assert done[0] == (0, 3)
    reproduce("fig9", out, config=config, overwrite=True)


def test_an_interrupted_drawing_leaves_no_half_file(tmp_path, monkeypatch):
    from matplotlib.figure import Figure

    def interrupted(self, file, **options):
        file.write(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr(Figure, "savefig", interrupted)
    from odemom.plots.style import new_figure, save_figure

    with pytest.raises(KeyboardInterrupt):
        save_figure(new_figure(1, 1), tmp_path, "a")
    assert list(tmp_path.iterdir()) == []


def mutated(payload, where, value):
    """The payload with the entry at a path of keys replaced, or removed for `...`."""
    found = json.loads(json.dumps(payload))
    *path, last = where
    entry = found
    for key in path:
        entry = entry[key]
    if value is ...:
        del entry[last]
    else:
        entry[last] = value
    return found


HUGE = 10**400
DAMAGES = [
    (("experiment",), "x"),
    (("experiment",), 3),
    (("config",), ...),
    (("config",), [5]),
    (("claims",), ...),
    (("claims",), [{}]),
    (("claims", 0, "verdict"), "perhaps"),
    (("provenance",), {}),
    (("provenance",), 5),
    (("provenance", "versions"), 5),
    (("provenance", "gpu"), 5),
    (("seconds",), HUGE),
    (("seconds",), "long"),
    (("result",), ...),
    (("result",), 1),
    (("result", "planes"), []),
    (("result", "axis"), []),
    (("result", "eps", 0), HUGE),
    (("result", "planes", 0, "threshold"), [0]),
]


@pytest.mark.parametrize(("where", "value"), DAMAGES, ids=lambda v: str(v)[:40])
def test_damaged_numbers_are_refused_by_name(finished, tmp_path, where, value):
    payload = json.loads(finished["json"].read_text())
    (tmp_path / "fig4.json").write_text(json.dumps(mutated(payload, where, value)))
    with pytest.raises(InvalidInputError, match=r"fig4\.json|out: got"):
        redraw(tmp_path / "fig4.json", tmp_path / "out")
    with pytest.raises(InvalidInputError):
        reproduce("fig4", tmp_path, config=TINY)
    assert [path.name for path in tmp_path.iterdir()] == ["fig4.json"]


@pytest.mark.parametrize(
    "text", ["", "{}", "[]", "[" * 100_000, "\ud800", '{"experiment": "fig4"}']
)
def test_redraw_refuses_what_reproduce_did_not_write(tmp_path, text):
    (tmp_path / "a.json").write_text(text, errors="surrogatepass")
    with pytest.raises(InvalidInputError):
        redraw(tmp_path / "a.json", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_summary_names_what_it_cannot_read_and_shows_the_rest(finished, tmp_path):
    payload = json.loads(finished["json"].read_text())
    (tmp_path / "fig4.json").write_text(json.dumps(payload))
    (tmp_path / "survey.json").write_text("broken")
    (tmp_path / "mirror.json").write_text(json.dumps(payload))  # of another experiment
    text = write_summary(tmp_path)["md"].read_text()
    assert "2 claims of 1 experiment: 2 hold" in text
    assert text.count("Not read: ") == 2
    assert "numbers of 'fig4'; expected those of mirror" in text


@pytest.mark.parametrize("out", ["x" * 300, "a\0b", 5, None])
def test_a_path_that_is_none_is_refused(out):
    with pytest.raises(InvalidInputError, match="out: got"):
        reproduce("fig4", out, config=TINY)


@pytest.mark.usefixtures("undrawn")
def test_all_goes_on_when_one_experiment_fails(run, tmp_path, monkeypatch):
    def failing(config, planes):
        raise ZeroDivisionError("a defect")

    broken = dataclasses.replace(fig4.EXPERIMENT, gather=failing)
    other = load("borderline")
    monkeypatch.setattr("odemom.experiments.frame.names", lambda: ["borderline", "fig4"])
    for place in ("odemom.experiments.frame.load", "odemom.reproduce.run.load"):
        monkeypatch.setattr(place, lambda name: {"fig4": broken}.get(name, other))
    code, out, err = run("reproduce", "all", "--quick", "--out", str(tmp_path))
    assert code == 2
    assert "fig4: not run: ZeroDivisionError: a defect" in err
    assert "summary.html" in out
    assert (tmp_path / "borderline.json").exists()


def test_a_file_in_the_way_of_the_folder_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InvalidInputError, match="which is a file"):
        reproduce("fig4", tmp_path / "file")


@pytest.mark.usefixtures("undrawn")
def test_numbers_are_drawn_beside_themselves_and_only_under_their_own_name(finished, tmp_path):
    copy = tmp_path / "copy.json"
    copy.write_bytes(finished["json"].read_bytes())
    assert redraw(copy, name="fig4")["png"] == tmp_path / "fig4.png"
    with pytest.raises(InvalidInputError, match="'survey' beside numbers of fig4"):
        redraw(copy, name="survey")


def test_numbers_that_are_not_there_are_named(tmp_path):
    with pytest.raises(InvalidInputError, match=r"missing\.json, which does not exist"):
        redraw(tmp_path / "missing.json", tmp_path)


@pytest.mark.parametrize("path", ["/dev/full", "/dev/zero", "/dev/null", "/"])
def test_devices_and_folders_are_no_numbers(path, run):
    code, out, err = run("reproduce", "fig4", "--redraw", path)
    assert (code, out) == (2, "")
    assert f"{path}, which is no file" in err


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (("reproduce", "fig4", "--set", "points=5", "--quick"), "--set, --quick"),
        (("reproduce", "fig4", "--backend", "joblib"), "--backend"),
        (("survey", "--dim", "2", "--seed", "1"), "--dim, --seed"),
    ],
)
def test_numbers_are_not_changed_by_drawing_them_again(run, finished, arguments, named):
    code, out, err = run(*arguments, "--redraw", str(finished["json"]))
    assert (code, out) == (2, "")
    assert f"--redraw: got it beside {named}; expected" in err


@pytest.mark.usefixtures("undrawn")
def test_a_device_is_no_folder_to_draw_into(run, finished):
    code, out, err = run("reproduce", "--redraw", str(finished["json"]), "--out", "/dev/full")
    assert (code, out) == (2, "")
    assert "out: got /dev/full" in err


@pytest.mark.parametrize(("package", "extra"), [("torch", "torch"), ("lightning.pytorch", "train")])
def test_a_task_that_misses_a_package_names_the_extra(package, extra):
    def without(task):
        raise ModuleNotFoundError(f"No module named {package!r}", name=package)

    experiment = dataclasses.replace(fig4.EXPERIMENT, run=without)
    with pytest.raises(MissingDependencyError, match=rf"odemom\[{extra}\]"):
        experiment.carry_out(TINY)
