"""Run an experiment, write its numbers and pictures, and draw it again from its numbers."""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import json
import os
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from odemom.checks import expect, invalid, optional_import, shown
from odemom.errors import InvalidInputError
from odemom.experiments.frame import Claim, Experiment, Finished, Progress, load, summary_of
from odemom.records import (
    as_folder,
    as_path,
    from_json,
    json_text,
    jsonable,
    provenance,
    write_all_atomic,
)

__all__ = ["check_pictures", "drawn", "payload_of", "read_payload", "redraw", "reproduce"]

FORMATS = ("png", "pdf")
SUFFIXES = ("png", "pdf", "svg", "gif")  # of all that was ever drawn
AnyExperiment = Experiment[Any, Any, Any, Any]


def reproduce(
    name: str,
    out_dir: str | os.PathLike[str],
    *,
    config: Any = None,
    backend: str = "serial",
    workers: int | None = None,
    scheduler: str | None = None,
    overwrite: bool = False,
    progress: Progress | None = None,
    formats: Sequence[str] = FORMATS,
    style: str = "paper",
) -> dict[str, Path]:
    """Compute an experiment and write its numbers and pictures.

    An interrupted run goes on where it was when it is asked for again. A run that is finished, of
    the same configuration and version, is only drawn again.

    Parameters
    ----------
    name : str
        One of `odemom.experiments.frame.names`.
    out_dir : path-like
        A folder; it is made if it is missing.
    config : optional
        A configuration of the experiment, by default the full run.
    backend, workers, scheduler
        Where the tasks run: see `odemom.sweep.Backend`.
    overwrite : bool, default False
        Whether to replace the results of another configuration or version in the folder.
    progress : callable, optional
        Called with (tasks done, tasks in all).
    formats : sequence of str, default ("png", "pdf")
        Of the pictures: png, pdf, svg.
    style : {"paper", "slides", "dark"}
        What the pictures are for; see `odemom.plots.style.rendered`.

    Returns
    -------
    dict
        ``json``, ``png``, ``pdf``, and what else was drawn: the files written.

    Raises
    ------
    InvalidInputError
        If the experiment is unknown, ``out_dir`` cannot be a folder, or holds results of another
        configuration or version.
    MissingDependencyError
        If the experiment needs a package that is not installed.

    Examples
    --------
    >>> import tempfile
    >>> from odemom.experiments import fig4
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     reproduce("fig4", folder, config=fig4.Config(points=5, per_unit=1))["png"].name
    'fig4.png'
    """
    experiment = load(name)
    check_pictures(formats, style)
    _plots_of(experiment)  # before hours of computing
    config = experiment.config() if config is None else config
    folder = as_path(out_dir, "out")
    numbers = folder / f"{experiment.name}.json"
    payload = None if overwrite else _finished(experiment, config, numbers)
    if payload is not None:
        with _whole(numbers):
            result = from_json(experiment.result_type, payload["result"], "result")
            files = drawn(experiment, result, formats, style)
        return {"json": numbers, **_written(experiment, folder, files)}
    finished = experiment.carry_out(
        config,
        backend=backend,
        workers=workers,
        scheduler=scheduler,
        folder=folder,
        progress=progress,
    )
    text = json_text(payload_of(experiment, config, finished))
    pictures = drawn(experiment, finished.result, formats, style)
    files = {numbers.name: text.encode(), **pictures}
    written = _written(experiment, as_folder(folder), files)
    _remove_older(folder, pictures)
    experiment.store_in(folder).discard()
    return written


def payload_of(experiment: AnyExperiment, config: Any, finished: Finished[Any]) -> dict[str, Any]:
    """What stands in ``NAME.json``."""
    if hasattr(config, "device"):  # workers used it; its version and its GPU belong to the results
        optional_import("torch", "train")
    return {
        **experiment.identity,
        "summary": summary_of(experiment.name),
        "config": jsonable(config, "config"),
        "claims": jsonable(experiment.claims(finished.result), "claims"),
        "seconds": finished.seconds,
        "inputs": finished.inputs,
        "provenance": provenance(getattr(config, "seed", None)),
        "result": jsonable(finished.result, "result"),
    }


def _finished(experiment: AnyExperiment, config: Any, path: Path) -> dict[str, Any] | None:
    """What an earlier run of the same configuration and version left; None if there is nothing."""
    if not path.exists():
        return None
    payload = read_payload(path)
    asked = {**experiment.identity, **jsonable(config, "config")}
    found = {**{k: payload.get(k) for k in experiment.identity}, **payload["config"]}
    differ = [
        f"{key} {shown(found.get(key))}, not {shown(asked.get(key))}"
        for key in dict.fromkeys([*asked, *found])
        if asked.get(key) != found.get(key)
    ]
    known, now = payload.get("inputs") or {}, experiment.inputs(config)  # older results say nothing
    others = [key for key in known if key in now and known[key] != now[key]]
    differ += [f"other {key} in {shown(config.data, 200)}" for key in others]
    if differ:
        raise invalid(
            "out",
            got=f"{path.parent}, which holds results of {experiment.name} with {'; '.join(differ)}",
            expected="a folder without them",
            fix="Name another folder, or overwrite them: --overwrite.",
        )
    return payload


@dataclass(frozen=True)
class Payload:
    """What stands in ``NAME.json``, type by type."""

    experiment: str
    version: str
    code: str
    summary: str
    config: dict[str, Any]
    claims: tuple[Claim, ...]
    seconds: float
    provenance: dict[str, Any]
    result: Any
    inputs: dict[str, str] = field(default_factory=dict)


# What reading and drawing a damaged file raises.
DAMAGED = (
    OSError,
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    ArithmeticError,
    RecursionError,
)


def read_payload(path: str | os.PathLike[str]) -> dict[str, Any]:
    """The parsed ``NAME.json`` of an experiment.

    Raises
    ------
    InvalidInputError
        If the file is missing or is not such a file.
    """
    path = as_path(path, "file")
    expect(
        path.is_file(),
        "file",
        got=f"{path}, which {'is no file' if path.exists() else 'does not exist'}",
        expected="a .json file that odemom reproduce wrote",
    )
    try:
        payload = json.loads(path.read_text(encoding="utf-8"))
        checked = from_json(Payload, payload, "file")
        from_json(dict[str, str], checked.provenance["versions"], "provenance.versions")
        from_json(str, checked.provenance["cpu"], "provenance.cpu")
        from_json(tuple[str, ...], checked.provenance["gpu"] or (), "provenance.gpu")
        float(checked.seconds)
    except DAMAGED as error:
        raise _not_numbers(path, error) from None
    return payload


@contextlib.contextmanager
def _whole(path: Path) -> Iterator[None]:
    """Turn what drawing damaged numbers raises into the error for bad input."""
    try:
        yield
    except DAMAGED as error:
        raise _not_numbers(path, error) from None


def redraw(
    path: str | os.PathLike[str],
    out_dir: str | os.PathLike[str] | None = None,
    *,
    name: str | None = None,
    formats: Sequence[str] = FORMATS,
    style: str = "paper",
) -> dict[str, Path]:
    """Draw an experiment again from the numbers on disk.

    Parameters
    ----------
    path : path-like
        A ``NAME.json`` that `reproduce` wrote.
    out_dir : path-like, optional
        By default the folder of the numbers.
    name : str, optional
        The experiment that is expected there.
    formats, style
        See `reproduce`.

    Returns
    -------
    dict
        ``png``, ``pdf``, and what else was drawn.

    Raises
    ------
    InvalidInputError
        If the file is missing, is not such a file, or is one of another experiment.
    """
    path = as_path(path, "file")
    check_pictures(formats, style)
    payload = read_payload(path)
    with _whole(path):
        experiment = load(payload["experiment"])
    expect(
        name is None or load(name) is experiment,
        "experiment",
        got=f"{shown(name)} beside numbers of {experiment.name}",
        expected=f"the name {experiment.name}, or none",
    )
    with _whole(path):
        result = from_json(experiment.result_type, payload["result"], "result")
        files = drawn(experiment, result, formats, style)
    folder = path.parent if out_dir is None else out_dir
    return _written(experiment, as_folder(folder), files)


def _not_numbers(path: str | os.PathLike[str], error: Exception) -> InvalidInputError:
    return InvalidInputError(
        f"{path}: got no numbers of an experiment ({shown(str(error), 100)}); expected a .json "
        "file that odemom reproduce wrote."
    )


def check_pictures(formats: Sequence[str], style: str) -> None:
    """Refuse formats and styles that there are not.

    Raises
    ------
    InvalidInputError
    """
    from odemom.plots import style as styles

    several = isinstance(formats, Collection) and not isinstance(formats, str)
    asked = list(formats) if several else []
    expect(
        len(asked) > 0 and all(asked.count(one) == 1 and one in styles.FORMATS for one in asked),
        "format",
        got=shown(",".join(map(str, asked)) if asked else formats),
        expected=f"some of {', '.join(styles.FORMATS)}",
    )
    expect(style in styles.STYLES, "style", got=shown(style), expected=" or ".join(styles.STYLES))


def _remove_older(folder: Path, pictures: dict[str, bytes]) -> None:
    """Remove pictures of the same names in other formats: they show the numbers of before."""
    for stem in {Path(name).stem for name in pictures}:
        for suffix in SUFFIXES:
            if f"{stem}.{suffix}" not in pictures:
                (folder / f"{stem}.{suffix}").unlink(missing_ok=True)


def drawn(
    experiment: AnyExperiment,
    result: Any,
    formats: Sequence[str] = FORMATS,
    style: str = "paper",
) -> dict[str, bytes]:
    """The pictures of a result, file name -> content."""
    from odemom.plots.style import rendered, rendered_animation

    plots = importlib.import_module(_plots_of(experiment))
    figures = plots.draw(result)
    files: dict[str, bytes] = {}
    for suffix, figure in (figures if isinstance(figures, dict) else {"": figures}).items():
        name = f"{experiment.name}-{suffix}" if suffix else experiment.name
        files |= rendered(figure, name, formats=formats, style=style)
    if hasattr(plots, "animate"):
        files |= rendered_animation(plots.animate(result), experiment.name, style=style)
    return files


def _plots_of(experiment: AnyExperiment) -> str:
    """The name of the module that draws an experiment.

    Raises
    ------
    InvalidInputError
        If there is none.
    """
    name = experiment.module.rpartition(".")[2]
    if importlib.util.find_spec(f"odemom.plots.{name}") is None:
        raise invalid(
            "experiment",
            got=f"{experiment.name}, which has no odemom/plots/{name}.py",
            expected="a module there with draw(result), which returns a figure",
            fix='See "Adding one" in docs/experiments.md.',
        )
    return f"odemom.plots.{name}"


def _written(experiment: AnyExperiment, folder: Path, files: dict[str, bytes]) -> dict[str, Path]:
    """Write the files together; ``json``, ``png``, ... -> path, ``zoom-png`` for NAME-zoom.png."""
    paths = write_all_atomic({folder / name: content for name, content in files.items()})
    return {_kind(experiment.name, path.name): path for path in paths}


def _kind(experiment: str, file: str) -> str:
    stem, _, suffix = file.rpartition(".")
    more = stem[len(experiment) + 1 :]
    return f"{more}-{suffix}" if more else suffix
