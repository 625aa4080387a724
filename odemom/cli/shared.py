"""What the commands share: options, the form of the output, progress."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

Eps = Annotated[
    str,
    typer.Option("--eps", "-e", help="The mass in [0, inf]: 0.5, 1/2, inf. Text is taken exactly."),
]
File = Annotated[
    str,
    typer.Argument(
        help="The matrix: a file (.npy, .npz, .mat, .pt, .csv, .json, .mtx, or text), - for "
        'standard input, or itself in brackets: "[-1 1; 0 -1]".'
    ),
]
FlowEps = Annotated[
    str | None,
    typer.Option("--eps", "-e", help="The mass in [0, inf]: 0.5, 1/2, inf. Text is taken exactly."),
]
Horizon = Annotated[str | None, typer.Option(help="With --eps: the final time T, by default 1.")]
Velocity = Annotated[str | None, typer.Option(help='With --eps: "zero", the default, or "field".')]
Switch = Annotated[
    str | None,
    typer.Option(help="With --eps: the time from which on theta is 0."),
]
Depth = Annotated[
    int | None,
    typer.Option(help="In place of --eps: the number of layers of a net with tied weights."),
]
Gamma = Annotated[
    str | None,
    typer.Option(help="With --depth: the momentum in (0, 1); without it the net is a ResNet."),
]
Tol = Annotated[
    str | None, typer.Option(help="Relative tolerance on floating input; by default 8 d u.")
]
Exact = Annotated[
    bool | None,
    typer.Option(
        "--exact/--no-exact",
        help="Read decimals as the rationals that they are; by default ints and rationals such as "
        "-3/4 are exact and decimals are not.",
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for a program to read.")]
Out = Annotated[Path, typer.Option("--out", "-o", help="The folder to write into; it may be new.")]


def print_json(payload: Any) -> None:
    """Print a payload as strict JSON."""
    from odemom.records import jsonable

    print(json.dumps(jsonable(payload), indent=2, ensure_ascii=False, allow_nan=False))


def say(text: str) -> None:
    """Print a sentence."""
    Console(highlight=False, soft_wrap=True).print(text, markup=False)


def note(text: str) -> None:
    """Print a sentence on the error stream."""
    Console(stderr=True, highlight=False, soft_wrap=True).print(text, markup=False)


def listed(values: list[str] | None) -> list[str] | None:
    """The entries of an option that may be repeated, and may hold several between commas."""
    if values is None:
        return None
    return [entry.strip() for value in values for entry in value.split(",")]


def integer(text: str) -> int | str:
    """The integer that the text spells, or the text, which the configuration refuses by name."""
    return int(text) if text.isascii() and text.isdecimal() else text


@contextmanager
def progress_bar(unit: str, *, shown: bool) -> Iterator[Callable[[int, int], None] | None]:
    """A bar on the terminal's error stream, as a function of (done, in all)."""
    if not shown:
        yield None
        return
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    columns = (BarColumn(), MofNCompleteColumn(), TextColumn(unit), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(unit)
        yield lambda done, total: bar.update(task, completed=done, total=total)
