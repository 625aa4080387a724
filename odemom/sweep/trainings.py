"""Trainings for every combination of settings, as tasks that are kept once they are finished."""

from __future__ import annotations

import csv
import dataclasses
import io
import itertools
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from odemom import __version__
from odemom.checks import did_you_mean, expect, invalid, shown
from odemom.data.names import files_behind
from odemom.models.table import MODELS, check_options, model_options
from odemom.records import as_folder, from_json, json_text, jsonable, write_all_atomic
from odemom.sweep.backends import Backend
from odemom.sweep.store import TaskStore, task_key
from odemom.sweep.yaml_file import read_yaml
from odemom.training.config import OF_DIGITS, TrainingConfig
from odemom.training.presets import configured, refuse_idle_mass

__all__ = ["Failure", "Row", "Sweep", "SweepResult", "read_sweep", "run_sweep", "said"]

PARTS = ("base", "grid")
OTHERWISE = {
    "lr": "Did you mean learning_rate?",
    "out": "It is an option of the command: odemom sweep FILE --out DIR.",
}
"""Of what is no setting, where it is found."""


@dataclass(frozen=True)
class Sweep:
    """The trainings of a sweep.

    Attributes
    ----------
    settings : tuple of dict
        What is varied, for each training.
    configs : tuple of TrainingConfig
        The trainings in full, in the same order.
    """

    settings: tuple[dict[str, Any], ...]
    configs: tuple[TrainingConfig, ...]


@dataclass(frozen=True)
class Row:
    """What came of one training.

    Attributes
    ----------
    settings : dict
        What was varied.
    source : str
        What the images are.
    test_accuracy, train_loss, validation_accuracy : float
        After the last epoch.
    parameters : int
    seconds : float
    folder : str
        Where its checkpoints and tables are.
    """

    settings: dict[str, Any]
    source: str
    test_accuracy: float
    train_loss: float
    validation_accuracy: float
    parameters: int
    seconds: float
    folder: str


@dataclass(frozen=True)
class Failure:
    """A training that ended early.

    Attributes
    ----------
    settings : dict
        What was varied.
    error : str
        The exception and its message.
    """

    settings: dict[str, Any]
    error: str


@dataclass(frozen=True)
class SweepResult:
    """What came of a sweep, in the order of its combinations.

    Attributes
    ----------
    rows : tuple of Row
    failures : tuple of Failure
        Trainings that ended early; the same sweep tries them again.
    """

    rows: tuple[Row, ...]
    failures: tuple[Failure, ...] = ()


@dataclass(frozen=True)
class Task:
    """One training, and the folder that it writes into: one that all workers see."""

    config: TrainingConfig
    folder: str


def read_sweep(path: Path) -> Sweep:
    """The trainings that a file asks for.

    The file has a mapping ``base``, of settings that all have in common, and a mapping ``grid``,
    of settings with lists of values; every combination is a training. Settings are ``preset``,
    ``model``, the fields of `TrainingConfig`, and the options of the network.

    Parameters
    ----------
    path : Path
        A YAML file; see `odemom.sweep.yaml_file.read_yaml`.

    Returns
    -------
    Sweep

    Raises
    ------
    InvalidInputError
        If the file is missing or no such file, or a configuration is refused.
    """
    content = read_yaml(path)
    base, grid = _parts(path, content)
    for name, part in (("base", base), ("grid", grid)):
        expect(isinstance(part, dict), name, got=shown(part), expected="a mapping of settings")
    expect(bool(grid), "grid", got="nothing", expected="settings with lists of values")
    for name, values in grid.items():
        expect(
            isinstance(values, list) and len(values) > 0,
            f"grid: {name}",
            got=shown(values),
            expected="a list of values",
        )
        expect(name not in base, f"grid: {name}", got="it in base too", expected="it in one place")
    settings = [
        dict(zip(grid, values, strict=True)) for values in itertools.product(*grid.values())
    ]
    configs = [_config(base, each) for each in settings]
    for n, config in enumerate(configs):
        first = configs.index(config)
        expect(
            first == n,
            "grid",
            got=f"one training twice: {said(settings[first])} and {said(settings[n])}",
            expected="different ones",
            fix="Name each value once.",
        )
    return Sweep(tuple(settings), tuple(configs))


def _parts(path: Path, content: Any) -> tuple[Any, Any]:
    """The mappings of a file."""
    expected = "a mapping grid, of settings with lists of values, and a mapping base beside it"
    fix = "For example:\n\nbase:\n  epochs: 3\ngrid:\n  seed: [0, 1]"
    expect(content is not None, "file", got=f"{path}, which is empty", expected=expected, fix=fix)
    mapping = isinstance(content, dict)
    expect(mapping, "file", got=f"{path} with {shown(content)}", expected=expected, fix=fix)
    others = [name for name in content if name not in PARTS]
    expect(
        not others,
        "file",
        got=f"{path} with {shown(others[:1])[1:-1]} beside base and grid",
        expected=expected,
        fix="A setting that all trainings have in common stands in base.",
    )
    fix = "One training alone: odemom train." if content.get("base") else fix
    expect("grid" in content, "file", got=f"{path} without grid", expected=expected, fix=fix)
    return content.get("base") or {}, content["grid"]


def _config(base: Mapping[str, Any], varied: Mapping[str, Any]) -> TrainingConfig:
    fields = [field.name for field in dataclasses.fields(TrainingConfig)]
    asked = {**base, **varied}
    preset, model = asked.pop("preset", None), asked.pop("model", None)
    own = asked.pop("model_options", None) or {}
    expected = "a mapping of options of the network"
    expect(isinstance(own, Mapping), "model_options", got=shown(own), expected=expected)
    data = asked.get("data", "digits")
    name = model or ("odenet-digits" if data == "digits" else "odenet")
    options = model_options(name)
    brief = {key: asked.pop(key) for key in list(asked) if key in options}
    unknown = [key for key in asked if key not in fields or key in OF_DIGITS]
    if unknown:
        _refuse_if_of_others(name, unknown[0], asked[unknown[0]])
        known = ["preset", *(n for n in fields if n not in OF_DIGITS)]
        raise invalid(
            "setting",
            got=shown(unknown[0]),
            expected=f"one of {', '.join(known)}"
            + (f", or an option of {name}: {', '.join(options)}" if options else ""),
            fix=OTHERWISE.get(unknown[0], did_you_mean(unknown[0], [*known, *options])),
        )
    for key in brief:
        expect(
            key not in own,
            key,
            got=f"{shown(brief[key])} beside {shown(own.get(key))} in model_options",
            expected="it in one place",
        )
    given = {**own, **brief}
    if given.get("order") == 1 and "order" in _names(varied) and "eps" not in _names(varied):
        given.pop("eps", None)  # of the trainings beside, which are of order 2
    refuse_idle_mass(given)
    config = configured(preset, model, given, asked)
    expect(
        config.devices * config.num_nodes == 1,
        "devices",
        got=f"{config.devices} on {config.num_nodes} machine{'s' * (config.num_nodes > 1)}",
        expected="1: each training of a sweep is one process",
        fix="Trainings run side by side with --backend joblib --workers N, or dask.",
    )
    return config


def _refuse_if_of_others(name: str, setting: str, value: Any) -> None:
    """Refuse an option of other networks, with the name of one that has it."""
    if any(setting in model.accepted for model in MODELS.values()):
        check_options(name, {setting: value})


def _names(settings: Mapping[str, Any]) -> set[str]:
    """The settings that are given, with those inside of model_options."""
    own = settings.get("model_options")
    return {*settings, *(own if isinstance(own, Mapping) else ())}


def run_sweep(
    plan: Sweep,
    out_dir: Path,
    *,
    backend: str = "serial",
    workers: int | None = None,
    scheduler: str | None = None,
    progress: Callable[[int, int], object] | None = None,
) -> SweepResult:
    """Train all combinations; those that are finished are read, not trained again.

    Writes ``sweep.csv`` and ``sweep.json`` into ``out_dir``, and a folder per training below
    ``runs``. A training that was interrupted goes on from its last checkpoint. One that fails, as
    by divergence, does not stop the others.

    Parameters
    ----------
    plan : Sweep
    out_dir : Path
    backend, workers, scheduler
        Where trainings run: see `Backend`. Over machines ``out_dir`` is on a disk that all see.
    progress : callable, optional
        Called with (trainings done, in all).

    Returns
    -------
    SweepResult

    Raises
    ------
    InvalidInputError
        If a training would be refused: all are looked at before the first one starts. On a cluster
        data may be where only its workers see them, and are not looked at then.
    """
    place = Backend(backend, workers, scheduler)
    folder = as_folder(out_dir).resolve()
    store = TaskStore(folder / "sweep.parts.jsonl", {"sweep": "trainings", "version": __version__})
    keys = [task_key(config, files_behind(config.data)) for config in plan.configs]
    known = {key: stored.outcome for key, stored in store.load().items()}
    waiting = {
        key: Task(config, str(folder / "runs" / key))
        for key, config in zip(keys, plan.configs, strict=True)
        if key not in known
    }
    asked = dict(zip(keys, plan.settings, strict=True))
    _check_all([(asked[key], task.config) for key, task in waiting.items()], backend != "dask")
    total = len(set(keys))
    failed: dict[str, str] = {}

    def tell() -> None:
        if progress is not None:
            progress(sum(key in known for key in set(keys)), total)

    tell()
    if waiting:
        with place.running() as each, store.writing() as keep:
            for key, outcome, seconds in each(_run, list(waiting.items())):
                if isinstance(outcome, str):
                    failed[key] = outcome
                else:
                    known[key] = outcome
                    keep(key, outcome, seconds)
                tell()
    each_one = list(zip(keys, map(jsonable, plan.settings), plan.configs, strict=True))
    result = SweepResult(
        tuple(
            from_json(Row, {**known[key], "settings": settings}, "outcome")
            for key, settings, _ in each_one
            if key in known
        ),
        tuple(Failure(settings, failed[key]) for key, settings, _ in each_one if key in failed),
    )
    configs = [config.to_dict() for key, _, config in each_one if key in known]
    content = {"rows": result.rows, "configs": configs, "failures": result.failures}
    write_all_atomic(
        {
            folder / "sweep.csv": _table(list(plan.settings[0]), result).encode(),
            folder / "sweep.json": json_text(content).encode(),
        }
    )
    return result


def _check_all(trainings: list[tuple[dict[str, Any], TrainingConfig]], local: bool) -> None:
    """Refuse what the data or the network of a training would refuse, by its settings."""
    from odemom.errors import InvalidInputError
    from odemom.training.conditions import conditions_of
    from odemom.training.run import network_for, training_data

    seen = set()
    for settings, config in trainings:
        # The seed splits the images, but there are as many of them.
        alike = task_key(dataclasses.replace(config, seed=0, learning_rate=1.0, epochs=1))
        here = local or config.data == "digits" or bool(files_behind(config.data))
        if alike in seen or not here:
            continue
        seen.add(alike)
        try:
            data = training_data(config)
            with conditions_of(config, data):
                network_for(config, data)
        except InvalidInputError as error:
            raise InvalidInputError(f"{said(settings)}: {error}") from error


def said(settings: Mapping[str, Any]) -> str:
    """What was varied, in words.

    Examples
    --------
    >>> said({"seed": 1, "gamma": 0.9})
    'seed 1, gamma 0.9'
    """
    return ", ".join(f"{name} {value}" for name, value in settings.items())


def _run(item: tuple[str, Task]) -> tuple[str, dict[str, Any] | str, float]:
    """Train one combination, from its last checkpoint where there is one; or why it failed."""
    from odemom.errors import InvalidInputError, OdemomError
    from odemom.training.run import train

    key, task = item
    start = time.perf_counter()
    last = Path(task.folder) / "checkpoints" / "last.ckpt"
    resume = last if last.is_file() else None
    try:
        try:
            result = train(task.config, out_dir=task.folder, resume=resume, progress=False)
        except InvalidInputError as error:
            if resume is None or not str(error).startswith("resume:"):
                raise
            # It is damaged, or of images that were replaced: nothing but it is lost.
            result = train(task.config, out_dir=task.folder, progress=False)
    except OdemomError as error:
        return key, f"{type(error).__name__}: {error}", time.perf_counter() - start
    outcome = {
        "source": result.source,
        "test_accuracy": result.test_accuracy,
        "train_loss": result.history[-1]["train_loss"],
        "validation_accuracy": result.history[-1]["validation_accuracy"],
        "parameters": result.parameters,
        "seconds": result.seconds,
        "folder": task.folder,
    }
    return key, jsonable(outcome, "outcome"), time.perf_counter() - start


def _table(varied: list[str], result: SweepResult) -> str:
    stream = io.StringIO()
    names = [field.name for field in dataclasses.fields(Row) if field.name != "settings"]
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow([*varied, *names])
    for row in result.rows:
        writer.writerow([*row.settings.values(), *(getattr(row, name) for name in names)])
    return stream.getvalue()
