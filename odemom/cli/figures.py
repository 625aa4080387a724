"""``odemom reproduce`` and ``survey``: experiments, their numbers, pictures and verdicts."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from odemom.cli.shared import (
    AsJson,
    Backend,
    Quiet,
    Scheduler,
    Workers,
    answer,
    integer_or_text,
    listed,
    note,
    print_json,
    progress_bar,
    resumable,
    say,
    waiting,
)

__all__ = ["register"]


def _out(default: str) -> Any:
    """The option --out, which says where the files go without it."""
    return typer.Option(
        "--out",
        "-o",
        metavar="FOLDER",
        help=f"The folder to write into; it may be new. By default {default}; with --redraw the "
        "folder of the numbers.",
    )


Formats = Annotated[
    list[str] | None,
    typer.Option(
        "--format",
        metavar="FORMATS",
        autocompletion=lambda: ["png", "pdf", "svg"],
        help="The formats of the pictures, some of png,pdf,svg. By default png,pdf.",
    ),
]
Style = Annotated[
    str,
    typer.Option(
        metavar="paper|slides|dark",
        autocompletion=lambda: ["paper", "slides", "dark"],
        help="What the pictures are for: paper, slides (larger text) or dark (slides, light on a "
        "dark ground).",
    ),
]
Overwrite = Annotated[
    bool,
    typer.Option(
        "--overwrite",
        help="Replace the results of another configuration or version that the folder holds.",
    ),
]
Redraw = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="Draw again from this .json instead of computing."),
]


def _names() -> list[str]:
    """What the tab key offers."""
    from odemom.experiments import frame

    return [*frame.names(), "all"]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(reproduce)
    app.command()(survey)


def reproduce(
    name: Annotated[
        str | None,
        typer.Argument(
            metavar="NAME",
            autocompletion=_names,
            help="The experiment, one of --list; or all, for all of them and a page of verdicts.",
        ),
    ] = None,
    list_: Annotated[
        bool, typer.Option("--list", help="Print the experiments, one per line, and leave.")
    ] = False,
    quick: Annotated[
        bool, typer.Option("--quick", help="Run a small configuration, which takes under a minute.")
    ] = False,
    set_: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="KEY=VALUE",
            help="Change one setting: points=101, or depths=2,4 for a list. May be given often; a "
            "wrong key is answered with the list of all.",
        ),
    ] = None,
    seeds: Annotated[
        int | None,
        typer.Option(metavar="N", help="Run so many seeds, where the experiment has seeds."),
    ] = None,
    device: Annotated[
        str | None, typer.Option(metavar="DEVICE", help="Where tensors live: cpu or cuda.")
    ] = None,
    backend: Backend = "serial",
    workers: Workers = None,
    scheduler: Scheduler = None,
    out: Annotated[Path | None, _out("results")] = None,
    redraw: Redraw = None,
    format_: Formats = None,
    style: Style = "paper",
    overwrite: Overwrite = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Compute an experiment: its numbers, pictures and verdicts.

    The numbers go to NAME.json, the pictures drawn from them beside it, and every claim gets the
    figure that was measured and a verdict. An interrupted run goes on where it was when the same
    command is given again.

    Example: odemom reproduce fig4 --quick --set points=101

    A list: odemom reproduce --list
    """
    from odemom import reproduce as figures
    from odemom.checks import invalid
    from odemom.experiments import frame
    from odemom.reproduce.run import check_pictures

    if list_:
        _print_list(as_json)
        return
    look: dict[str, Any] = {"formats": listed(format_) or ("png", "pdf"), "style": style}
    asked: dict[str, Any] = {"quick": quick, "seeds": seeds, "device": device}
    place: dict[str, Any] = {"backend": backend, "workers": workers, "scheduler": scheduler}
    if redraw is not None:
        _refuse_beside_redraw(set=set_, overwrite=overwrite, **asked, **place)
        _redraw(redraw, out, name, look, as_json)
        return
    check_pictures(**look)
    place |= look
    out = Path("results") if out is None else out
    if name is None:
        raise invalid(
            "experiment", got="no name", expected="a name of odemom reproduce --list, or all"
        )
    if name == "all":
        if set_:
            raise invalid("--set", got="it beside all", expected="it with one experiment")
        with resumable(out):
            _reproduce_all(out, asked, place, overwrite, as_json)
        return
    experiment = frame.load(name)
    config = figures.configured(experiment, settings=set_ or (), **asked)
    with resumable(out), progress_bar("tasks", shown=not as_json) as progress:
        files = figures.reproduce(
            name, out, config=config, overwrite=overwrite, progress=progress, **place
        )
    if not as_json:
        _print_claims(files["json"])
    _print_files(files, as_json)


def _print_list(as_json: bool) -> None:
    from odemom.experiments import frame

    summaries = {name: frame.summary_of(name) for name in frame.names()}
    if as_json:
        print_json(summaries)
        return
    width = max(map(len, summaries))
    for name, summary in summaries.items():
        answer(f"{name:<{width}}  {summary}")


def _refuse_beside_redraw(**options: Any) -> None:
    """What changes numbers changes nothing where those of a file are drawn again."""
    from odemom.checks import invalid

    given = [f"--{name}" for name, value in options.items() if value not in (None, 0, "serial")]
    if given:
        raise invalid(
            "--redraw",
            got=f"it beside {', '.join(given)}",
            expected="it with --out, --format and --style, which change no numbers",
        )


def _redraw(path: Path, out: Path | None, name: str | None, look: Any, as_json: bool) -> None:
    from odemom.reproduce import redraw

    with waiting("drawing"):
        files = redraw(path, out, name=name, **look)
    _print_files(files, as_json)


def _print_files(files: dict[str, Path], as_json: bool) -> None:
    if as_json:
        print_json(files)
    else:
        say("\n".join(map(str, files.values())))


def _print_claims(path: Path) -> None:
    from odemom.reproduce.run import read_payload

    for claim in read_payload(path)["claims"]:
        say(f"{claim['verdict']}: {claim['words']} ({claim['where']}): {claim['measured']}")


def _reproduce_all(
    out: Path, asked: dict[str, Any], place: dict[str, Any], overwrite: bool, as_json: bool
) -> None:
    """Every experiment, then the summary page; those that fail are named, the others go on."""
    from odemom.errors import OdemomError
    from odemom.experiments import frame
    from odemom.reproduce import configured, write_summary
    from odemom.reproduce import reproduce as reproduce_one

    failed: dict[str, str] = {}
    for name in frame.names():
        try:
            experiment = frame.load(name)
            fields = experiment.config.__dataclass_fields__
            mine = {k: v for k, v in asked.items() if k == "quick" or k in fields}
            config = configured(experiment, **mine)
            with progress_bar(name, shown=not as_json) as progress:
                files = reproduce_one(
                    name, out, config=config, overwrite=overwrite, progress=progress, **place
                )
        except Exception as error:  # a defect of one experiment leaves the others
            named = "" if isinstance(error, OdemomError) else f"{type(error).__name__}: "
            failed[name] = f"{named}{error}"
            note(f"{name}: not run: {failed[name]}")
        else:
            if not as_json:
                say(f"{name}: {files['json']}")
    pages = write_summary(out)
    if as_json:
        print_json({"files": pages, "failed": failed})
    else:
        say(f"{pages['html']}\n{pages['md']}")
    if failed:
        raise typer.Exit(2)


def survey(
    ensemble: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAMES",
            autocompletion=lambda: ["ginibre", "orthogonal", "symmetric", "integer"],
            help="How the matrices are drawn: ginibre (independent normal entries), orthogonal "
            "(uniformly), symmetric (the Gaussian orthogonal ensemble), integer (entries from -9 "
            "to 9). By default all four.",
        ),
    ] = None,
    dim: Annotated[
        list[str] | None,
        typer.Option(metavar="DIMS", help="The dimensions, such as 2,3,5. By default 1,2,3,5,10."),
    ] = None,
    eps: Annotated[
        list[str] | None,
        typer.Option(
            metavar="EPS",
            help="The masses in [0, inf], such as 0,1/2,2,inf. Every matrix is decided for all of "
            "them. By default 0, 1/32, 3/64, 1/16, 3/32, ... to 64, and inf.",
        ),
    ] = None,
    samples: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            help="How many matrices are drawn per ensemble and dimension. By default 10000.",
        ),
    ] = None,
    seed: Annotated[
        int,
        typer.Option(metavar="N", help="The seed of the matrices: equal seeds give equal numbers."),
    ] = 0,
    out: Annotated[Path | None, _out("results/survey")] = None,
    backend: Backend = "serial",
    workers: Workers = None,
    scheduler: Scheduler = None,
    redraw: Redraw = None,
    format_: Formats = None,
    style: Style = "paper",
    overwrite: Overwrite = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Estimate how likely random matrices are representable.

    Prints a probability and its 95 % confidence interval for every ensemble, dimension and eps,
    and writes survey.json and pictures. Lists stand between commas, or the option is given again:
    --dim 2,3 is --dim 2 --dim 3. An interrupted survey goes on where it was when the same command
    is given again.

    Example: odemom survey --ensemble ginibre --dim 2,3 --samples 1000

    On all cores: odemom survey --backend joblib
    """
    from odemom import reproduce as figures
    from odemom.checks import counted
    from odemom.experiments.survey import Survey, SurveyConfig
    from odemom.records import from_json
    from odemom.reproduce.run import read_payload

    look: dict[str, Any] = {"formats": listed(format_) or ("png", "pdf"), "style": style}
    place: dict[str, Any] = {"backend": backend, "workers": workers, "scheduler": scheduler}
    if redraw is not None:
        drawn = {"ensemble": ensemble, "dim": dim, "eps": eps, "samples": samples, "seed": seed}
        _refuse_beside_redraw(overwrite=overwrite, **drawn, **place)
        _redraw(redraw, out, "survey", look, as_json)
        return
    place |= look
    out = Path("results/survey") if out is None else out
    asked = {
        "ensembles": listed(ensemble),
        "dimensions": None if dim is None else [integer_or_text(d) for d in listed(dim) or ()],
        "eps": listed(eps),
        "samples": samples,
    }
    given: dict[str, Any] = {k: v for k, v in asked.items() if v is not None}
    config = SurveyConfig(**given, seed=seed)
    with resumable(out), progress_bar("chunks", shown=not as_json) as progress:
        files = figures.reproduce(
            "survey", out, config=config, overwrite=overwrite, progress=progress, **place
        )
    result = from_json(Survey, read_payload(files["json"])["result"], "result")
    if as_json:
        print_json({"files": files, "result": result})
        return
    for cell in result.cells:
        count = counted(cell.samples, "matrix", "matrices")
        say(f"{cell.ensemble}, d = {cell.dimension}, {count}:")
        for mass, p, low, high in zip(
            result.config.eps, cell.probability, cell.low, cell.high, strict=True
        ):
            say(f"  eps = {mass!s:<6} {p:.4f}   [{low:.4f}, {high:.4f}]")
    _print_files(files, as_json)
