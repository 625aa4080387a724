"""The command line: exit status 0 done, 1 a negative answer to `check`, 2 bad input.

Heavy modules are imported inside the commands, so that ``odemom --help`` answers at once.
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from odemom.errors import OdemomError

if TYPE_CHECKING:
    from odemom.representability.report import Representability

__all__ = ["app", "main"]

app = typer.Typer(
    name="odemom",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help="Which maps can a second-order ODE, and the Momentum ResNet, represent?",
)

Eps = Annotated[
    str,
    typer.Option("--eps", "-e", help="The mass in [0, inf]: 0.5, 1/2, inf. Text is taken exactly."),
]
File = Annotated[Path, typer.Argument(help=".npy, .csv, .json, .mtx, or text.")]
FlowEps = Annotated[
    str | None,
    typer.Option("--eps", "-e", help="The mass in [0, inf]: 0.5, 1/2, inf. Text is taken exactly."),
]
Horizon = Annotated[str | None, typer.Option(help="With --eps: the final time T, by default 1.")]
Velocity = Annotated[str | None, typer.Option(help='With --eps: "zero", the default, or "field".')]
Depth = Annotated[
    int | None,
    typer.Option(help="In place of --eps: the number of layers of a net with tied weights."),
]
Gamma = Annotated[
    str | None,
    typer.Option(help="With --depth: the momentum in (0, 1); without it the net is a ResNet."),
]
Tol = Annotated[str | None, typer.Option(help="Relative tolerance on floating input.")]
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


def main() -> None:
    """Run the command line and leave with its status."""
    try:
        app()
    except OdemomError as error:
        Console(stderr=True, highlight=False, soft_wrap=True).print(
            f"error: {error}", markup=False, style="red"
        )
        sys.exit(2)


def _print_json(payload: Any) -> None:
    from odemom.records import jsonable

    print(json.dumps(jsonable(payload), indent=2, ensure_ascii=False, allow_nan=False))


def _say(text: str) -> None:
    Console(highlight=False, soft_wrap=True).print(text, markup=False)


def _note(text: str) -> None:
    Console(stderr=True, highlight=False, soft_wrap=True).print(text, markup=False)


def _version(asked: bool) -> None:
    if asked:
        from odemom import __version__

        print(f"odemom {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    del version


@app.command()
def check(
    file: File,
    eps: Annotated[
        str | None,
        typer.Option(
            "--eps",
            "-e",
            help="The mass in [0, inf]: 0.5, 1/2, inf. Text is taken exactly. Several give a "
            "table: 0,1/2,2,inf.",
        ),
    ] = None,
    horizon: Horizon = None,
    initial_velocity: Velocity = None,
    depth: Depth = None,
    gamma: Gamma = None,
    tol: Tol = None,
    exact: Exact = None,
    as_json: AsJson = False,
) -> None:
    """Decide whether the matrix in FILE is representable. Exit status 0 yes, 1 no, 2 bad input.

    With several values of --eps the matrix is factored once; 0 then says that all are a yes.
    """
    from odemom.matrix_files import read_matrix
    from odemom.representability.analyze import analyze

    masses = [None] if eps is None else [mass.strip() for mass in eps.split(",")]
    flows = [_flow(mass, horizon, initial_velocity, depth, gamma) for mass in masses]
    reports = analyze(read_matrix(file, exact=exact), flows, tol=tol, exact=exact)
    one = len(reports) == 1
    if as_json:
        answers = [report.to_dict() for report in reports]
        _print_json(answers[0] if one else answers)
    else:
        _say(reports[0].explain() if one else _table(masses, reports))
    raise typer.Exit(0 if all(reports) else 1)


def _table(masses: Sequence[str | None], reports: Sequence[Representability]) -> str:
    """One row for each mass: verdict, status, and what decided against the matrix."""
    rows = [("eps", "representable", "status", "reason")]
    for mass, report in zip(masses, reports, strict=True):
        rows.append((str(mass), "yes" if report else "no", report.status, report.brief()))
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    return "\n".join(
        "  ".join([*(cell.ljust(w) for cell, w in zip(row, widths, strict=False)), row[3]]).rstrip()
        for row in rows
    )


@app.command()
def represent(
    file: File,
    eps: FlowEps = None,
    horizon: Horizon = None,
    initial_velocity: Velocity = None,
    depth: Depth = None,
    gamma: Gamma = None,
    tol: Tol = None,
    exact: Exact = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="Write theta there: .npy, .csv, .json, .mtx, text."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Find theta with psi(theta) = D for D in FILE. Exit status 0 done, 1 none exists, 2 bad input.

    theta goes to --out, or is printed, a row a line; its residual goes to the error stream.
    """
    from odemom.errors import NotRepresentableError
    from odemom.matrix_files import matrix_text, read_matrix, write_matrix
    from odemom.representability.witness import represent as witness_of

    flow = _flow(eps, horizon, initial_velocity, depth, gamma)
    matrix = read_matrix(file, exact=exact)
    try:
        witness = witness_of(matrix, flow, tol=tol, exact=exact, full_output=True)
    except NotRepresentableError as error:
        if as_json:
            _print_json({"theta": None, "report": error.report.to_dict()})
        else:
            _say(str(error))
        raise typer.Exit(1) from None
    if out is not None:
        write_matrix(out, witness.theta)
    if as_json:
        _print_json(witness.to_dict())
    elif out is None:
        print(matrix_text(witness.theta), end="")
    if not as_json:
        known = math.isfinite(witness.condition)
        _note(
            f"||psi(theta) - D|| = {witness.residual:.2g} ||D||; the condition number of psi at "
            f"theta {f'is {witness.condition:.2g}' if known else 'is beyond the doubles'}"
        )


def _flow(
    eps: str | None,
    horizon: str | None,
    initial_velocity: str | None,
    depth: int | None,
    gamma: str | None,
) -> Any:
    """The flow that the options describe: an ODE by --eps, or a net by --depth."""
    from odemom.checks import invalid
    from odemom.flows.discrete import MomentumResNet, ResNet
    from odemom.flows.psi import flow_of

    ode = {"--eps": eps, "--horizon": horizon, "--initial-velocity": initial_velocity}
    net = {"--depth": depth, "--gamma": gamma}
    given = [name for name, value in {**ode, **net}.items() if value is not None]
    if (eps is None) == (depth is None) or len({name in ode for name in given}) > 1:
        raise invalid(
            "the flow",
            got=", ".join(given) or "neither --eps nor --depth",
            expected="--eps, with --horizon and --initial-velocity, for an ODE; or --depth, with "
            "--gamma, for a net",
        )
    if depth is not None:
        return ResNet(depth) if gamma is None else MomentumResNet(gamma, depth)
    velocity: Any = "zero" if initial_velocity is None else initial_velocity
    return flow_of(eps, horizon="1" if horizon is None else horizon, initial_velocity=velocity)


@app.command("lambda")
def lambda_(
    eps: Annotated[str, typer.Argument(help="The mass in [0, inf].")],
    dps: Annotated[int | None, typer.Option(help="Decimal digits; any number of them.")] = None,
    as_json: AsJson = False,
) -> None:
    """Print lambda_eps, the smallest real value of psi (Theorem 1)."""
    import mpmath

    from odemom.checks import as_eps
    from odemom.flows.threshold import lambda_eps

    value = lambda_eps(eps) if dps is None else lambda_eps(eps, dps=dps)
    text = repr(value) if dps is None else mpmath.nstr(value, dps)
    if value == 0 and as_eps(eps) > 0:
        _note("lambda_eps is negative, and below the range of doubles: add --dps 6, or so")
    if as_json:
        _print_json({"eps": eps, "lambda_eps": value if dps is None else text, "dps": dps})
    else:
        print(text)


@app.command()
def reproduce(
    figure: Annotated[str, typer.Argument(help="fig4 of the paper, discrete-lambda, or survey.")],
    out: Out = Path("results"),
    redraw: Annotated[
        Path | None, typer.Option(help="Draw again from this .json instead of computing.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Compute a figure: its numbers as JSON, and PNG and PDF drawn from them."""
    from odemom import reproduce as figures

    if redraw is None:
        with Console(stderr=True).status(f"computing {figure}"):
            files = figures.reproduce(figure, out)
    else:
        files = figures.redraw(redraw, out)
    if as_json:
        _print_json(files)
    else:
        for path in files.values():
            print(path)


@app.command()
def survey(
    ensemble: Annotated[
        list[str] | None, typer.Option(help="ginibre, orthogonal, symmetric, integer; by default.")
    ] = None,
    dim: Annotated[list[str] | None, typer.Option(help="Dimensions: 2,3,5.")] = None,
    eps: Annotated[list[str] | None, typer.Option(help="Masses in [0, inf]: 0,1/2,2,inf.")] = None,
    samples: Annotated[int | None, typer.Option(help="Matrices an ensemble and dimension.")] = None,
    seed: Annotated[int, typer.Option(help="Of the matrices.")] = 0,
    out: Out = Path("results/survey"),
    backend: Annotated[str, typer.Option(help="serial, joblib (cores) or dask.")] = "serial",
    workers: Annotated[int | None, typer.Option(help="Processes of joblib or dask.")] = None,
    scheduler: Annotated[
        str | None, typer.Option(help="The address of a Dask scheduler: tcp://10.0.0.1:8786.")
    ] = None,
    redraw: Annotated[
        Path | None, typer.Option(help="Draw again from this survey.json instead of computing.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Estimate how likely a random matrix is representable. Lists: --dim 2,3 or --dim 2 --dim 3.

    An interrupted survey goes on where it was when the same command is given again.
    """
    from odemom import reproduce as figures
    from odemom.experiments import survey as experiment

    if redraw is not None:
        files = figures.redraw(redraw, out)
        if as_json:
            _print_json(files)
        else:
            _say("\n".join(map(str, files.values())))
        return
    asked = {
        "ensembles": _listed(ensemble),
        "dimensions": None if dim is None else [_integer(d) for d in _listed(dim) or ()],
        "eps": _listed(eps),
        "samples": samples,
    }
    given: dict[str, Any] = {k: v for k, v in asked.items() if v is not None}
    config = experiment.SurveyConfig(**given, seed=seed)
    try:
        with _progress("matrices", shown=not as_json) as progress:
            result = experiment.compute(
                config,
                backend=backend,
                workers=workers,
                scheduler=scheduler,
                out=out,
                progress=progress,
            )
    except KeyboardInterrupt:
        print(f"\ninterrupted: the same command goes on from what {out} holds", file=sys.stderr)
        raise typer.Exit(130) from None
    files = figures.write_figure("survey", result, out, seed=seed)
    experiment.discard_parts(config, out)
    if as_json:
        _print_json({"files": files, "data": result})
        return
    for cell in result.cells:
        _say(f"{cell.ensemble}, d = {cell.dimension}, {cell.samples} matrices:")
        for mass, p, low, high in zip(
            config.eps, cell.probability, cell.low, cell.high, strict=True
        ):
            _say(f"  eps = {mass!s:<6} {p:.4f}   [{low:.4f}, {high:.4f}]")
    _say("\n".join(map(str, files.values())))


def _listed(values: list[str] | None) -> list[str] | None:
    """The entries of an option that may be repeated, and may hold several between commas."""
    if values is None:
        return None
    return [entry.strip() for value in values for entry in value.split(",")]


def _integer(text: str) -> int | str:
    """The integer that the text spells, or the text, which the configuration refuses by name."""
    return int(text) if text.isdecimal() else text


@contextmanager
def _progress(unit: str, *, shown: bool) -> Iterator[Callable[[int, int], None] | None]:
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


@app.command()
def train(
    data: Annotated[str, typer.Option(help="The data set: digits.")] = "digits",
    order: Annotated[int, typer.Option(help="The order of the ODE blocks: 1 or 2.")] = 2,
    eps: Eps = "1",
    initial_velocity: Annotated[str, typer.Option(help='"zero" or "field".')] = "zero",
    epochs: Annotated[int | None, typer.Option(help="Passes through the training set.")] = None,
    batch_size: Annotated[int | None, typer.Option(help="Images a step.")] = None,
    learning_rate: Annotated[float | None, typer.Option(help="Peak of the schedule.")] = None,
    seed: Annotated[int, typer.Option(help="Of data split, weights and order of images.")] = 0,
    adjoint: Annotated[bool, typer.Option(help="Gradients by the adjoint ODE.")] = False,
    threads: Annotated[int, typer.Option(help="Threads on the CPU; one suits small images.")] = 1,
    out: Out = Path("results/train"),
    resume: Annotated[
        Path | None, typer.Option(help="Go on from the last.ckpt of an interrupted training.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Train a small ODE network on real images, and test it."""
    from odemom.checks import as_eps, optional_import

    optional_import("torch", "train")
    from odemom.experiments import digits

    asked: dict[str, Any] = {
        "data": data,
        "order": order,
        "eps": float(as_eps(eps)),
        "initial_velocity": initial_velocity,
        "seed": seed,
        "adjoint": adjoint,
        "threads": threads,
        "epochs": epochs,
        "batch_size": batch_size,
        "learning_rate": learning_rate,
    }
    config = digits.TrainingConfig(**{k: v for k, v in asked.items() if v is not None})
    try:
        result = digits.train(config, out_dir=out, resume=resume, progress=not as_json)
    except KeyboardInterrupt as interrupt:  # its message names the checkpoint to resume from
        print(f"\ninterrupted: {interrupt}", file=sys.stderr)
        raise typer.Exit(130) from None
    if as_json:
        _print_json(result.to_dict())
        return
    _say(
        f"order {config.order}: test accuracy {result.test_accuracy:.2%}, "
        f"{result.mean_nfe:.1f} function evaluations a forward pass, "
        f"{result.seconds:.1f} s of training"
    )
    _say(f"{result.csv}\n{result.checkpoint}\n{Path(out) / 'result.json'}")


@app.command()
def demo(
    out: Out = Path("results/demo"),
    epochs: Annotated[int | None, typer.Option(help="Of each of the two trainings.")] = None,
) -> None:
    """A guided tour: decisions explained, Figure 4, two trained networks, one page of results."""
    from odemom.demo.tour import tour

    tour(out, epochs=epochs)
