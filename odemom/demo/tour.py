"""The guided tour: decisions, Figure 4, two trained networks, one page of results."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from odemom.checks import optional_import
from odemom.demo.matrices import EPS, Example, examples, write_matrix_file
from odemom.demo.page import Decided, Page, write_page
from odemom.records import as_folder, jsonable, write_json
from odemom.representability.analyze import analyze
from odemom.reproduce import reproduce

__all__ = ["tour"]


def tour(out_dir: str | os.PathLike[str], *, epochs: int | None = None) -> Path:
    """Run the tour and write its page.

    Parameters
    ----------
    out_dir : path-like
        A folder; it is made if it is missing.
    epochs : int, optional
        Of each of the two trainings; the default of `TrainingConfig`, which is enough for 95 %.

    Returns
    -------
    Path
        ``index.html``.

    Raises
    ------
    MissingDependencyError
        If the packages of the extra ``train`` are not installed.
    InvalidInputError
        If ``out_dir`` cannot be a folder or ``epochs`` is not positive.
    """
    for module in ("torch", "torchdiffeq", "lightning", "sklearn"):
        optional_import(module, "train")
    start = time.perf_counter()
    configs = _configs(epochs)
    folder, console = as_folder(out_dir), Console(highlight=False)
    console.rule("1  Which matrices can a second-order ODE represent?")
    decided = _decide(folder, console)
    console.rule("2  The threshold: Figure 4")
    with console.status("deciding the plane"):
        figure = reproduce("fig4", folder)
    console.print(f"written: {figure['png']}")
    console.rule("3  First against second order, trained on handwritten digits")
    results = _train(folder, configs, console)
    chart = _draw_training(results, folder)
    page = Page(decided, figure["png"], chart, results, time.perf_counter() - start)
    path = write_page(page, folder)
    console.rule("4  The results")
    console.print(
        f"{page.seconds:.0f} s in all. Open [bold]{path.resolve()}[/bold]", soft_wrap=True
    )
    return path


def _decide(folder: Path, console: Console) -> list[Decided]:
    matrix_file = write_matrix_file(folder / "matrix.txt")
    decided = [
        Decided(example, [analyze(example.matrix, eps) for eps in EPS])
        for example in examples(matrix_file)
    ]
    table = Table(title="representable by  eps x'' + x' = theta x,  x'(0) = 0 ?")
    table.add_column("matrix")
    for eps in EPS:
        table.add_column(f"eps = {eps}", justify="center")
    for entry in decided:
        marks = ["[green]yes[/green]" if r else "[red]no[/red]" for r in entry.reports]
        table.add_row(entry.example.name, *marks)
    console.print(table)
    for entry in decided:
        _explain(entry.example, entry.reports[EPS.index("1/2")], console)
    console.print(
        f"The last one was read from a file. The same from your shell, for a file of your own:\n"
        f"  odemom check {matrix_file} --eps 1/2",
        soft_wrap=True,
    )
    payload = [{"name": d.example.name, "decisions": d.to_dict()} for d in decided]
    write_json(folder / "decisions.json", jsonable(payload))
    return decided


def _explain(example: Example, report: Any, console: Console) -> None:
    console.print(f"[bold]{example.name}[/bold]. {example.lesson}")
    console.print(f"  {report.explain()}", style="dim", markup=False)


def _configs(epochs: int | None) -> list[Any]:
    """The two trainings; made first, so that a bad number of epochs leaves nothing behind."""
    from odemom.training import TrainingConfig

    limits: dict[str, Any] = {} if epochs is None else {"epochs": epochs}
    return [TrainingConfig(order=order, **limits) for order in (1, 2)]


def _train(folder: Path, configs: list[Any], console: Console) -> dict[int, Any]:
    from odemom.training.run import train

    results = {}
    for config in configs:
        console.print(f"training the network of order {config.order}")
        results[config.order] = train(config, out_dir=folder / f"order{config.order}")
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
    return results


def _draw_training(results: dict[int, Any], folder: Path) -> Path:
    from odemom.plots.digits import draw_histories
    from odemom.plots.style import save_figure

    histories = {f"order {order}": [list(result.history)] for order, result in results.items()}
    return save_figure(draw_histories(histories), folder, "training")[0]
