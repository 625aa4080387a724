"""``odemom check``, ``represent``, ``routes`` and ``lambda``: decisions, witnesses, remedies."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from odemom.cli.shared import (
    SUFFIXES,
    AsJson,
    Depth,
    Exact,
    File,
    FlowEps,
    Gamma,
    Horizon,
    Quiet,
    Switch,
    Tol,
    Velocity,
    note,
    print_json,
    say,
    waiting,
)

if TYPE_CHECKING:
    from odemom.representability.base import Spectrum
    from odemom.representability.report import Representability

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(check)
    app.command()(represent)
    app.command()(routes)
    app.command("lambda")(lambda_)


def check(
    file: File,
    eps: Annotated[
        str | None,
        typer.Option(
            "--eps",
            "-e",
            metavar="EPS",
            help="The mass in [0, inf], such as 0.5, 1/2 or inf. Text is taken exactly. Several "
            "give a table: 0,1/2,2,inf.",
        ),
    ] = None,
    horizon: Horizon = None,
    initial_velocity: Velocity = None,
    switch: Switch = None,
    depth: Depth = None,
    gamma: Gamma = None,
    tol: Tol = None,
    exact: Exact = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Decide whether a matrix is representable, and say why.

    The exit status is 0 for yes, 1 for no, and 2 for bad input. With several values of --eps the
    matrix is factored once; 0 then says that all are a yes.

    Example: odemom check D.txt --eps 1/2

    A table: odemom check D.txt --eps 0,1/2,2,inf

    A net: odemom check D.txt --depth 20 --gamma 9/10
    """
    from odemom.cli.matrix_argument import matrix_of
    from odemom.representability.analyze import analyze
    from odemom.representability.spectrum import spectrum

    masses = [None] if eps is None else [mass.strip() for mass in eps.split(",")]
    flows = [_flow(mass, horizon, initial_velocity, switch, depth, gamma) for mass in masses]
    matrix = matrix_of(file, exact)
    with waiting("deciding"):
        found = spectrum(matrix, tol=tol, exact=exact)
        reports = analyze(found, flows)
    one = len(reports) == 1
    if as_json:
        answers = [_json_of(report, found) for report in reports]
        print_json(answers[0] if one else answers)
    elif one:
        say(reports[0].explain())
    else:
        _say_table(masses, reports)
    raise typer.Exit(0 if all(reports) else 1)


def _json_of(report: Representability, found: Spectrum) -> dict[str, Any]:
    """The report, with the least eps and the largest scale whatever the answer is."""
    from odemom.representability.report_json import repairs_json

    return {**report.to_dict(), **repairs_json(found.repairs(report.flow), report.flow)}


def _say_table(masses: Sequence[str | None], reports: Sequence[Representability]) -> None:
    """One row for each mass: verdict, status, and what decided against the matrix."""
    rows = [("eps", "representable", "status", "reason")]
    for mass, report in zip(masses, reports, strict=True):
        rows.append((str(mass), "yes" if report else "no", report.status, report.brief()))
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    for row in rows:
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=False)]
        say("  ".join([*cells, row[3]]).rstrip(), " " * (sum(widths) + 2 * len(widths)))


def represent(
    file: File,
    eps: FlowEps = None,
    horizon: Horizon = None,
    initial_velocity: Velocity = None,
    switch: Switch = None,
    depth: Depth = None,
    gamma: Gamma = None,
    tol: Tol = None,
    exact: Exact = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "-o",
            metavar="FILE",
            help="Write theta to this file, whose suffix says the format: .npy, .csv, .json, .mtx, "
            "or .txt.",
        ),
    ] = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Find a real theta with psi(theta) = D for the matrix D in FILE.

    theta goes to --out, or is printed, a row per line; how exactly it hits D, and how sensitive it
    is, is said on the error stream. The exit status is 0 if there is one, 1 if there is none, and
    2 for bad input.

    Example: odemom represent D.txt --eps 2 --out theta.npy
    """
    from odemom.cli.matrix_argument import matrix_of
    from odemom.errors import NotRepresentableError
    from odemom.matrix_files import matrix_text, write_matrix
    from odemom.representability.witness import represent as witness_of

    flow = _flow(eps, horizon, initial_velocity, switch, depth, gamma)
    _refuse_unknown_suffix(out)
    matrix = matrix_of(file, exact)
    try:
        with waiting("looking for theta"):
            witness = witness_of(matrix, flow, tol=tol, exact=exact, full_output=True)
    except NotRepresentableError as error:
        if as_json:
            print_json({"theta": None, "report": error.report.to_dict()})
        else:
            say(str(error))
        raise typer.Exit(1) from None
    if out is not None:
        write_matrix(out, witness.theta)
    if as_json:
        print_json(witness.to_dict())
    elif out is None:
        print(matrix_text(witness.theta), end="")
    if not as_json:
        known = math.isfinite(witness.condition)
        note(
            f"||psi(theta) - D|| = {witness.residual:.2g} ||D||; the condition number of psi at "
            f"theta {f'is {witness.condition:.2g}' if known else 'is beyond the doubles'}"
        )


def routes(
    file: File,
    eps: FlowEps = None,
    horizon: Horizon = None,
    initial_velocity: Velocity = None,
    switch: Switch = None,
    depth: Depth = None,
    gamma: Gamma = None,
    tol: Tol = None,
    exact: Exact = None,
    norms: Annotated[
        bool | None,
        typer.Option(
            "--norms/--no-norms",
            help="Compute every theta, for its norm, and the nearest map; by default up to 8 rows.",
        ),
    ] = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """List what reaches a matrix, with or without a change.

    The exit status is 0 done, 2 bad input.

    Example: odemom routes D.txt --eps 1/2
    """
    from odemom.cli.matrix_argument import matrix_of
    from odemom.representability.routes import routes as routes_to

    flow = _flow(eps, horizon, initial_velocity, switch, depth, gamma)
    matrix = matrix_of(file, exact)
    with waiting("looking for routes"):
        found = routes_to(matrix, flow, tol=tol, exact=exact, norms=norms)
    if as_json:
        print_json(found.to_dict())
    else:
        say(f"{found.report.explain()}\n")
        print(found)


def _refuse_unknown_suffix(out: Path | None) -> None:
    """Before anything is computed: a file ``theta.mat`` that holds text would be read by nobody."""
    from odemom.checks import invalid

    if out is not None and out.suffix.lower() not in ("", *SUFFIXES):
        raise invalid(
            "--out",
            got=f"{out}, whose suffix names no format that odemom writes",
            expected=f"one of {', '.join(SUFFIXES)}, or none, for text",
        )


def _flow(
    eps: str | None,
    horizon: str | None,
    initial_velocity: str | None,
    switch: str | None,
    depth: int | None,
    gamma: str | None,
) -> Any:
    """The flow that the options describe: an ODE by --eps or --gamma, or a net by --depth."""
    from odemom.checks import expect, invalid
    from odemom.flows.by_eps import flow_of
    from odemom.flows.coasting import Coasting
    from odemom.flows.discrete import MomentumResNet, ResNet

    ode = {"--eps": eps, "--horizon": horizon, "--initial-velocity": initial_velocity}
    ode["--switch"] = switch
    net = {"--depth": depth}
    given = [name for name, value in {**ode, **net, "--gamma": gamma}.items() if value is not None]
    of_ode = [name for name in given if name in ode]
    masses = [eps, depth if depth is not None else gamma]
    if masses.count(None) != 1 or (depth is not None and of_ode):
        raise invalid(
            "the flow",
            got=", ".join(given) or "neither --eps nor --depth",
            expected="--eps, with --horizon, --initial-velocity and --switch, for an ODE; or "
            "--depth, with --gamma, for a net; or --gamma without both, for the ODE with "
            "eps = 1/(1 - gamma)",
        )
    if depth is not None:
        return ResNet(depth) if gamma is None else MomentumResNet(gamma, depth)
    mass: Any = (
        eps if gamma is None else _mass_of(gamma, " without --depth", "; for the net add --depth")
    )
    if switch is not None and initial_velocity in (None, "zero"):
        return Coasting(mass, switch, "1" if horizon is None else horizon)
    expect(
        switch is None,
        "--switch",
        got=f"{switch} beside --initial-velocity {initial_velocity}",
        expected="one of the two",
        fix="Each alone reaches every matrix.",
    )
    velocity: Any = "zero" if initial_velocity is None else initial_velocity
    return flow_of(mass, horizon="1" if horizon is None else horizon, initial_velocity=velocity)


def _mass_of(gamma: str, alone: str, instead: str) -> Any:
    """The mass of the flow that a gamma by itself stands for, which is said."""
    from odemom.checks import eps_or_gamma

    mass = eps_or_gamma(None, gamma)
    note(f"--gamma {gamma}{alone}: the flow with eps = 1/(1 - gamma) = {mass}{instead}")
    return mass


def lambda_(
    eps: Annotated[
        str | None,
        typer.Argument(
            metavar="EPS", help="The mass in [0, inf], or several between commas: 0.1,1/2,inf."
        ),
    ] = None,
    gamma: Annotated[
        str | None,
        typer.Option(
            metavar="GAMMA",
            help="In place of EPS: the threshold of the flow of mass 1/(1 - gamma), not of a net.",
        ),
    ] = None,
    dps: Annotated[
        int | None,
        typer.Option(metavar="N", help="How many decimal digits are printed, from 1 to 100000."),
    ] = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Print lambda_eps, the smallest real value of psi (Theorem 1).

    Eigenvalues below it must come in pairs. Several values of EPS give a line each.

    Example: odemom lambda 1/2

    A table: odemom lambda 0.1,0.5,inf --dps 30
    """
    from odemom.checks import invalid

    if (eps is None) == (gamma is None):
        raise invalid(
            "EPS",
            got="no mass" if eps is None else "EPS beside --gamma",
            expected="either of the two: odemom lambda 1/2, or odemom lambda --gamma 0.9",
        )
    if gamma is None:
        masses = [mass.strip() for mass in str(eps).split(",")]
    else:
        masses = [_mass_of(gamma, "", ", not the net")]
    with waiting("computing"):
        rows = [(str(mass), *_threshold(mass, dps)) for mass in masses]
    if as_json:
        answers = [{"eps": mass, "lambda_eps": value, "dps": dps} for mass, value, _ in rows]
        print_json(answers[0] if len(answers) == 1 else answers)
    elif len(rows) == 1:
        print(rows[0][2])
    else:
        width = max(len(mass) for mass, *_ in rows)
        for mass, _, text in rows:
            print(f"{mass:<{width}}  {text}")


def _threshold(mass: Any, dps: int | None) -> tuple[Any, str]:
    """lambda_eps for JSON, and as it is printed."""
    import mpmath

    from odemom.checks import as_eps
    from odemom.flows.threshold import lambda_eps

    value = lambda_eps(mass) if dps is None else lambda_eps(mass, dps=dps)
    text = repr(value) if dps is None else str(mpmath.nstr(value, dps))
    if value == 0 and as_eps(mass) > 0:
        note(
            f"lambda_eps of {mass} is negative, and below the range of doubles: add --dps 6, or so"
        )
    return (value if dps is None else text), text
