"""What the commands share: options, the form of the output, progress."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from odemom.cli.streams import wrapped

INTERRUPTED = 130  # 128 + SIGINT, as of every program that Ctrl-C ends
SUFFIXES = (".npy", ".csv", ".json", ".mtx", ".txt")
File = Annotated[
    str,
    typer.Argument(
        metavar="FILE",
        help="The matrix: a file (.npy, .npz, .mat, .pt, .csv, .json, .mtx, or text), - for "
        'standard input, or itself in brackets: "[-1 1; 0 -1]".',
    ),
]
FlowEps = Annotated[
    str | None,
    typer.Option(
        "--eps",
        "-e",
        metavar="EPS",
        help="The mass in [0, inf], such as 0.5, 1/2 or inf. Text is taken exactly.",
    ),
]
Horizon = Annotated[
    str | None,
    typer.Option(metavar="T", help="With --eps: the flow runs to this time, by default to 1."),
]
Velocity = Annotated[
    str | None,
    typer.Option(
        metavar="zero|field",
        autocompletion=lambda: ["zero", "field"],
        help="With --eps: the flow starts with x'(0) = 0 (zero, by default) or theta x(0) (field).",
    ),
]
Switch = Annotated[
    str | None,
    typer.Option(metavar="S", help="With --eps: from this time on theta is 0."),
]
Depth = Annotated[
    int | None,
    typer.Option(
        metavar="N",
        help="In place of --eps: ask about a net with this many layers, which share their weights.",
    ),
]
Gamma = Annotated[
    str | None,
    typer.Option(
        metavar="GAMMA",
        help="With --depth: the net is a Momentum ResNet of this momentum in (0, 1), not a ResNet. "
        "Alone: the flow of the mass eps = 1/(1 - gamma) on [0, 1]; a net of N layers is an Euler "
        "scheme on [0, N], whose flow is that of --eps 1/(N (1 - gamma)).",
    ),
]
Tol = Annotated[
    str | None,
    typer.Option(
        metavar="TOL",
        help="On floats the answer holds for all matrices within TOL ||D||; by default 8 d u.",
    ),
]
Exact = Annotated[
    bool | None,
    typer.Option(
        "--exact/--no-exact",
        help="Read decimals as the rationals that they spell. By default ints and rationals such "
        "as -3/4 are exact and decimals are not.",
    ),
]
Backend = Annotated[
    str,
    typer.Option(
        metavar="serial|joblib|dask",
        autocompletion=lambda: ["serial", "joblib", "dask"],
        help="Where tasks run: in this process, over the cores (joblib), or over a cluster (dask).",
    ),
]
Workers = Annotated[
    int | None,
    typer.Option(
        metavar="N", help="How many processes joblib or dask starts, by default one a core."
    ),
]
Scheduler = Annotated[
    str | None,
    typer.Option(
        metavar="ADDRESS",
        help="With dask: join the cluster of this scheduler, such as tcp://10.0.0.1:8786. Use "
        "tls:// or a network of your own: a cluster without TLS runs anybody's code.",
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for a program to read.")]
_QUIET: ContextVar[bool] = ContextVar("quiet", default=False)


def hush(quiet: bool) -> bool:
    """Let `say`, `note` and progress print nothing from now on, or print again."""
    _QUIET.set(quiet)
    return quiet


def is_quiet() -> bool:
    """Whether ``--quiet`` was given."""
    return _QUIET.get()


Quiet = Annotated[
    bool,
    typer.Option(
        "--quiet",
        "-q",
        callback=hush,
        help="Print errors alone, and what --json or the question asks for; no sentences, no notes "
        "and no progress.",
    ),
]
Out = Annotated[
    Path,
    typer.Option("--out", "-o", metavar="FOLDER", help="The folder to write into; it may be new."),
]


def print_json(payload: Any) -> None:
    """Print a payload as strict JSON."""
    from odemom.records import jsonable

    print_plain_json(jsonable(payload))


def print_plain_json(payload: Any) -> None:
    """Print what is in the types of JSON already; in ASCII where the output is not UTF-8."""
    unicode = "utf" in str(getattr(sys.stdout, "encoding", None) or "utf-8").lower()
    print(json.dumps(payload, indent=2, ensure_ascii=not unicode, allow_nan=False))


def answer(text: str, indent: str = "") -> None:
    """Print what was asked for, wrapped on a terminal; broken lines go on after ``indent``."""
    print(wrapped(text, sys.stdout, indent))


def say(text: str, indent: str = "") -> None:
    """As `answer`, but nothing with ``--quiet``."""
    if not is_quiet():
        answer(text, indent)


def note(text: str) -> None:
    """Print a sentence on the error stream, after what was printed before.

    Nothing, with ``--quiet``.
    """
    if is_quiet():
        return
    if sys.stdout is not None:
        sys.stdout.flush()
    tell(wrapped(text, sys.stderr))


def tell(text: str) -> None:
    """Print on the error stream where there is one; `print` would take standard output instead."""
    if sys.stderr is not None:
        print(text, file=sys.stderr)


def complain(text: str) -> None:
    """Print an error on the error stream, in red where a terminal has colours."""
    Console(stderr=True, highlight=False, soft_wrap=True).print(
        wrapped(f"error: {text}", sys.stderr), markup=False, style="red"
    )


def listed(values: list[str] | None) -> list[str] | None:
    """The entries of an option that may be repeated, and may hold several between commas."""
    if values is None:
        return None
    return [entry.strip() for value in values for entry in value.split(",")]


def integer_or_text(text: str) -> int | str:
    """The integer that the text spells, or the text, which the configuration refuses by name."""
    from odemom.checks import SpellingError, is_integer_text, spelt_exactly

    try:
        return int(spelt_exactly(text)) if is_integer_text(text) else text
    except SpellingError:  # more digits than any integer here has
        return text


@contextmanager
def interruptible(how: str = "", otherwise: str = "") -> Iterator[None]:
    """End at Ctrl-C with a sentence on how to go on, and the status of an interrupted program.

    Parameters
    ----------
    how : str
        The sentence; by default the message of the `KeyboardInterrupt`.
    otherwise : str
        The sentence where that one has no message.
    """
    try:
        yield
    except KeyboardInterrupt as interrupt:
        tell(f"\ninterrupted: {how or str(interrupt) or otherwise}")
        raise typer.Exit(INTERRUPTED) from None


def resumable(out: Path) -> AbstractContextManager[None]:
    """As `interruptible`, of what keeps its finished tasks in a folder."""
    return interruptible(f"the same command goes on from what {out} holds")


def on_terminal() -> bool:
    """Whether progress is shown: the error stream is a terminal, and ``--quiet`` was not given."""
    return not is_quiet() and sys.stderr is not None and sys.stderr.isatty()


@contextmanager
def waiting(words: str, after: float = 2.0) -> Iterator[None]:
    """Say on a terminal that something takes longer than two seconds.

    One line, and nothing that moves: what works inside may have a progress line of its own.
    """
    if not on_terminal():
        yield
        return
    stream: Any = sys.stderr
    line = f"{words}, which takes longer than {after:g} s; Ctrl-C ends it"
    timer = threading.Timer(after, lambda: print(line, file=stream, flush=True))
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


@contextmanager
def progress_bar(unit: str, *, shown: bool) -> Iterator[Callable[[int, int], None] | None]:
    """A bar on the terminal's error stream, as a function of (done, in all)."""
    if not shown or not on_terminal():
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
