"""Figures: compute the numbers, write them, draw them.

Every figure leaves three files: ``NAME.json`` (the numbers, with versions and machine),
``NAME.png`` and ``NAME.pdf``, which are drawn from the numbers alone.
"""

from __future__ import annotations

import importlib
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from odemom.checks import expect, shown
from odemom.errors import InvalidInputError
from odemom.records import jsonable, provenance, write_json

__all__ = ["FIGURES", "FigureEntry", "redraw", "reproduce", "write_figure"]


@dataclass(frozen=True)
class FigureEntry:
    """A figure that can be reproduced.

    Attributes
    ----------
    summary : str
        What it shows, in a line.
    module : str
        The module name shared by `odemom.experiments` (``compute``, the data class) and
        `odemom.plots` (``draw``).
    data : str
        The data class, with a ``from_dict``.
    """

    summary: str
    module: str
    data: str


FIGURES = {
    "fig4": FigureEntry(
        "lambda_eps against eps, and the representable plane of eigenvalue pairs", "fig4", "Figure4"
    ),
    "discrete-lambda": FigureEntry(
        "the threshold of Momentum ResNets against depth, beside that of their ODE",
        "discrete_lambda",
        "DiscreteLambda",
    ),
    "survey": FigureEntry(
        "the probability that a random matrix is representable, against eps", "survey", "Survey"
    ),
}


def reproduce(name: str, out_dir: str | os.PathLike[str]) -> dict[str, Path]:
    """Compute a figure and write its numbers and pictures.

    Parameters
    ----------
    name : str
        A key of `FIGURES`.
    out_dir : path-like
        A folder; it is made if it is missing.

    Returns
    -------
    dict
        ``json``, ``png`` and ``pdf``: the files written.

    Raises
    ------
    InvalidInputError
        If the figure is unknown or ``out_dir`` cannot be a folder.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:      # doctest: +SKIP
    ...     reproduce("fig4", folder)["png"].name
    'fig4.png'
    """
    entry = _entry(name)
    folder = as_folder(out_dir)
    return write_figure(name, _experiment(entry).compute(), folder)


def write_figure(
    name: str, data: Any, out_dir: str | os.PathLike[str], *, seed: int | None = None
) -> dict[str, Path]:
    """Write the numbers of a figure, with where they come from, and its pictures.

    Parameters
    ----------
    name : str
        A key of `FIGURES`.
    data : object
        What the ``compute`` of the figure's module returned.
    out_dir : path-like
    seed : int, optional
        For the record.

    Returns
    -------
    dict
        ``json``, ``png`` and ``pdf``: the files written.
    """
    folder = as_folder(out_dir)
    payload = {"figure": name, "data": jsonable(data, "data"), "provenance": provenance(seed)}
    numbers = write_json(folder / f"{name}.json", payload)
    return {"json": numbers, **_saved(_figure(_entry(name), data), folder, name)}


def redraw(path: str | os.PathLike[str], out_dir: str | os.PathLike[str]) -> dict[str, Path]:
    """Draw a figure again from the numbers on disk.

    Parameters
    ----------
    path : path-like
        A ``NAME.json`` that `reproduce` or `write_figure` wrote.
    out_dir : path-like

    Returns
    -------
    dict
        ``png`` and ``pdf``.

    Raises
    ------
    InvalidInputError
        If the file is missing or is not such a file.
    """
    try:
        payload = json.loads(Path(path).read_text(encoding="utf-8"))
        name = payload["figure"]
        entry = _entry(name)
        data = getattr(_experiment(entry), entry.data).from_dict(payload["data"])
        figure = _figure(entry, data)
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise InvalidInputError(
            f"{path}: got no numbers of a figure ({shown(str(error), 100)}); expected a .json file "
            "that odemom reproduce or odemom survey wrote."
        ) from None
    return _saved(figure, as_folder(out_dir), name)


def as_folder(out_dir: str | os.PathLike[str]) -> Path:
    """``out_dir`` as a folder that exists."""
    folder = Path(out_dir)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InvalidInputError(
            f"out: got {folder}, which cannot be a folder ({error.strerror}); expected a folder, "
            "which may be new."
        ) from None
    return folder


def _entry(name: str) -> FigureEntry:
    expect(
        name in FIGURES,
        "figure",
        got=shown(name),
        expected=", ".join(FIGURES),
    )
    return FIGURES[name]


def _experiment(entry: FigureEntry) -> Any:
    return importlib.import_module(f"odemom.experiments.{entry.module}")


def _figure(entry: FigureEntry, data: Any) -> Any:
    return importlib.import_module(f"odemom.plots.{entry.module}").draw(data)


def _saved(figure: Any, folder: Path, name: str) -> dict[str, Path]:
    from odemom.plots.style import save_figure

    return {path.suffix[1:]: path for path in save_figure(figure, folder, name)}
