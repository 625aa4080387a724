"""The guided tour: decisions, a witness, Figure 4, what separates the orders, and one page."""

from __future__ import annotations

import os
import shlex
import time
from pathlib import Path
from typing import Any

import numpy as np
from rich import markup
from rich.console import Console
from rich.table import Table

from odemom.checks import as_integer, optional_import
from odemom.checks.symbols import in_symbols
from odemom.demo import orders
from odemom.demo.matrices import EPS, examples, write_matrix_file
from odemom.demo.page import Decided, Page, Witnessed, write_page
from odemom.records import as_folder, jsonable, write_bytes_atomic, write_json
from odemom.representability.analyze import analyze
from odemom.reproduce import reproduce

__all__ = ["tour"]

SECONDS, DIGITS_SECONDS = 60, 40
WITNESS_EPS = "1/2"
INSTALL = "pip install 'odemom[train]' brings them"


def tour(
    out_dir: str | os.PathLike[str],
    *,
    epochs: int | None = None,
    digits: bool = True,
    quiet: bool = False,
) -> Path:
    """Run the tour and write its page.

    The pictures need Matplotlib. What trains needs more, and is left out where that is not
    installed, which the page says.

    Parameters
    ----------
    out_dir : path-like
        A folder; it is made if it is missing.
    epochs : int, optional
        Of each of the two trainings on digits; 4 by default, which is enough for 95 %.
    digits : bool, default True
        Whether networks are trained on digits.
    quiet : bool, default False
        Whether nothing is printed.

    Returns
    -------
    Path
        ``index.html``.

    Raises
    ------
    InvalidInputError
        If ``out_dir`` cannot be a folder or ``epochs`` is not positive.
    MissingDependencyError
        If Matplotlib is not installed.
    """
    optional_import("matplotlib", "plots")
    if epochs is not None:
        as_integer(epochs, "epochs", 1)
    folder, console = as_folder(out_dir), Console(highlight=False, quiet=quiet)
    start = time.perf_counter()
    left_out = _left_out(digits)
    _announce(console, left_out, digits)
    console.rule("1  Which matrices can a second-order ODE represent?")
    decided = _decide(folder, console)
    witness = _witness(folder, console)
    console.rule("2  The threshold: Figure 4")
    with console.status("deciding the plane"):
        figure = reproduce("fig4", folder, overwrite=True)  # as all other files of the tour
    _tell_written(console, figure["png"])
    console.rule("3  What separates the orders: a mirror, and x → −x³")
    with console.status("folding the plane"):
        mirror = orders.mirror_pictures(folder)
    _tell_written(console, mirror["png"], mirror["gif"])
    line = None if "line" in left_out else _line(folder, console)
    results: dict[int, Any] = {}
    if digits and "digits" not in left_out:
        console.rule("4  Both orders, trained on handwritten digits")
        results = orders.train_on_digits(folder, epochs, console.is_terminal and not quiet)
        _tell_digits(results, console)
    page = Page(
        decided,
        witness,
        figure,
        mirror,
        line,
        results,
        tuple(left_out.values()),
        time.perf_counter() - start,
    )
    path = write_page(page, folder)
    console.rule("The results")
    console.print(
        f"{page.seconds:.0f} s in all. Open [bold]{markup.escape(str(path.resolve()))}[/bold]",
        soft_wrap=True,
    )
    return path


def _left_out(digits: bool) -> dict[str, str]:
    """The parts that cannot be run here, each with a sentence."""
    line, training = map(orders.missing_packages, (orders.FOR_NETWORKS, orders.FOR_DIGITS))
    found = {}
    if line:
        found["line"] = (
            f"The networks on the line are left out: {', '.join(line)} not installed; {INSTALL}."
        )
    if digits and training:
        found["digits"] = (
            f"The networks on digits are left out: {', '.join(training)} not installed; {INSTALL}."
        )
    return found


def _announce(console: Console, left_out: dict[str, str], digits: bool) -> None:
    """How long it takes, before it starts."""
    trained = digits and "digits" not in left_out
    more = f", and some {DIGITS_SECONDS} s more for networks on digits (--no-train leaves them out)"
    console.print(f"This takes up to {SECONDS} s on two cores{more if trained else ''}.")
    for sentence in left_out.values():
        console.print(sentence, markup=False)


def _tell_written(console: Console, *files: Path) -> None:
    console.print(f"written: {', '.join(map(str, files))}", soft_wrap=True, markup=False)


def _decide(folder: Path, console: Console) -> list[Decided]:
    matrix_file = write_matrix_file(folder / "matrix.txt")
    decided = [
        Decided(example, [analyze(example.matrix, eps) for eps in EPS])
        for example in examples(matrix_file)
    ]
    table = Table(title="representable by  ε x″ + x′ = θ x,  x′(0) = 0 ?")
    table.add_column("matrix")
    for eps in EPS:
        table.add_column(in_symbols(f"eps = {eps}"), justify="center")
    for entry in decided:
        marks = ["[green]yes[/green]" if r else "[red]no[/red]" for r in entry.reports]
        table.add_row(entry.example.name, *marks)
    console.print(table)
    for entry in decided:
        console.print(f"[bold]{entry.example.name}[/bold]. {entry.example.lesson}")
        report = entry.reports[EPS.index("1/2")]
        console.print(f"  {in_symbols(report.explain())}", style="dim", markup=False)
    console.print(
        f"The last one was read from a file. The same from your shell, for a file of your own:\n"
        f"  odemom check {shlex.quote(str(matrix_file))} --eps 1/2",
        soft_wrap=True,
        markup=False,
    )
    payload = [{"name": d.example.name, "decisions": d.to_dict()} for d in decided]
    write_json(folder / "decisions.json", jsonable(payload))
    return decided


def _witness(folder: Path, console: Console) -> Witnessed:
    """A θ for −I₂, which is no polynomial in it, and the paths of points on their way there."""
    from odemom.plots.planar import trajectories
    from odemom.plots.style import rendered
    from odemom.representability.witness import represent

    target = [[-1, 0], [0, -1]]
    found = represent(target, WITNESS_EPS, full_output=True)
    picture = rendered(trajectories(found.theta, WITNESS_EPS), "witness", formats=("png",))
    rows = in_symbols("; ".join(" ".join(f"{x:.4f}" for x in row) for row in found.theta))
    console.print(
        f"A witness: ψ(θ) = −I₂ at ε = {WITNESS_EPS} for θ = [{rows}], up to {found.residual:.1g}.",
        markup=False,
    )
    path = write_bytes_atomic(folder / "witness.png", picture["witness.png"])
    return Witnessed(WITNESS_EPS, np.asarray(found.theta), found.residual, path)


def _line(folder: Path, console: Console) -> orders.Line:
    with console.status("learning x → −x³"):
        line = orders.line_map(folder)
    console.print(
        f"x → −x³ on [−1, 1]: mean square error {line.first:.3f} at first order, {line.second:.4f} "
        "at second order",
        markup=False,
    )
    return line


def _tell_digits(results: dict[int, Any], console: Console) -> None:
    table = Table(title="digits: 1,797 real 8 x 8 images, a fifth of them for the test")
    for heading in ("order", "test accuracy", "function evaluations", "parameters", "seconds"):
        table.add_column(heading, justify="right")
    for order, result in results.items():
        table.add_row(
            str(order),
            f"{result.test_accuracy:.2%}",
            f"{result.mean_nfe:.1f}",
            f"{result.parameters:,}",
            f"{result.seconds:.1f}",
        )
    console.print(table)
