"""Every experiment: a quick run, there and back through JSON, the picture again, bad input."""

from __future__ import annotations

import dataclasses
import io
import json
import pickle

import pytest

from odemom import InvalidInputError, MissingDependencyError
from odemom.experiments import frame
from odemom.plots import style
from odemom.records import from_json, jsonable, write_json
from odemom.reproduce import configured, redraw
from odemom.reproduce.run import drawn, payload_of, read_payload

NAMES = frame.names()


@pytest.fixture(scope="module", params=NAMES)
def quick(request, tmp_path_factory):
    """An experiment and the files of its quick run."""
    try:
        experiment = frame.load(request.param)
    except MissingDependencyError as missing:
        pytest.skip(str(missing))
    finished = experiment.carry_out(experiment.quick)
    path = tmp_path_factory.mktemp(request.param) / f"{experiment.name}.json"
    write_json(path, payload_of(experiment, experiment.quick, finished))
    return experiment, path, finished.result


def test_the_quick_run_gives_numbers_with_provenance_and_verdicts(quick):
    experiment, path, _ = quick
    payload = read_payload(path)
    assert payload["experiment"] == experiment.name
    assert payload["summary"] == frame.summary_of(experiment.name)
    assert 20 < len(payload["summary"]) < 110
    assert payload["config"] == jsonable(experiment.quick)
    assert payload["provenance"]["versions"]["numpy"]
    if "device" in payload["config"]:  # whoever ran the tasks
        assert payload["provenance"]["versions"]["torch"]
    assert payload["claims"]
    for claim in payload["claims"]:
        assert claim["verdict"] in ("holds", "does not hold", "not judged")
        assert claim["words"]
        assert claim["where"]
        assert claim["measured"]


def test_the_result_comes_back_from_json_and_is_judged_the_same(quick):
    experiment, path, computed = quick
    payload = read_payload(path)
    result = from_json(experiment.result_type, payload["result"])
    assert result == computed
    assert json.loads(json.dumps(jsonable(result))) == payload["result"]
    assert jsonable(experiment.claims(result)) == payload["claims"]


# Text takes most of the time of a picture: here most are drawn once, from the file, in one form and
# as they are laid out at first.
TWICE = {"fig4", "prop1", "survey"}


@pytest.mark.parametrize("often", ["some", pytest.param("all", marks=pytest.mark.slow)])
def test_the_pictures_are_drawn_again_byte_for_byte(quick, tmp_path, monkeypatch, often):
    experiment, path, computed = quick
    if often == "some" and experiment.name != "fig4":
        monkeypatch.setattr(style, "rendered", as_png)
    # An animation is its first frame here: some of them take as long as all figures together.
    monkeypatch.setattr(style, "rendered_animation", one_frame)
    again = redraw(path, tmp_path)
    assert {"png", "pdf"} <= again.keys()
    files = {file.name: file.read_bytes() for file in again.values()}
    assert files[f"{experiment.name}.png"].startswith(b"\x89PNG")
    if often == "all" or experiment.name in TWICE:
        assert files == drawn(experiment, computed)


def as_png(figure, name, **_):
    buffer = io.BytesIO()
    with style.shared_style():
        figure.set_layout_engine("none")
        figure.savefig(buffer, format="png", bbox_inches=None)
    return {f"{name}.png": buffer.getvalue(), f"{name}.pdf": b"not drawn"}


def one_frame(animation, name, **_):
    animation._init_draw()  # pyright: ignore[reportAttributeAccessIssue]
    return {f"{name}.gif": b"one frame"}


def test_configurations_and_tasks_can_be_sent_and_are_told_apart(quick):
    experiment, _, _ = quick
    assert from_json(experiment.config, jsonable(experiment.quick)) == experiment.quick
    tasks = experiment.tasks(experiment.quick)
    assert pickle.loads(pickle.dumps(tasks)) == tasks
    assert pickle.loads(pickle.dumps(experiment.run)) is experiment.run
    keys = {frame.task_key(task) for task in tasks}
    assert len(keys) == len(tasks)


def test_a_bad_configuration_is_refused(quick):
    experiment, _, _ = quick
    with pytest.raises(InvalidInputError, match="nonsense"):
        configured(experiment, settings=["nonsense=1"])
    for field in dataclasses.fields(experiment.config):
        with pytest.raises(InvalidInputError):
            dataclasses.replace(experiment.quick, **{field.name: object()})


def test_a_config_of_another_experiment_is_refused():
    with pytest.raises(InvalidInputError, match="config"):
        frame.load("fig4").carry_out(frame.load("borderline").quick)


def test_a_name_with_an_underscore_is_the_same_experiment():
    assert frame.load("discrete_lambda") is frame.load("discrete-lambda")


def test_the_claim_says_when_it_was_not_run():
    assert frame.Claim.judged("a", "b", "c", None).verdict == "not judged"
