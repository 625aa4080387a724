"""``odemom check``, ``represent``, ``routes`` and ``lambda``: decisions, witnesses, remedies."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from odemom.cli.shared import (
    AsJson,
    Depth,
    Exact,
    File,
    FlowEps,
    Gamma,
    Horizon,
    Switch,
    Tol,
    Velocity,
    note,
    print_json,
    say,
)

if TYPE_CHECKING:
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
            help="The mass in [0, inf]: 0.5, 1/2, inf. Text is taken exactly. Several give a "
            "table: 0,1/2,2,inf.",
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
) -> None:
    """Decide whether the matrix in FILE is representable. Exit status 0 yes, 1 no, 2 bad input.

    With several values of --eps the matrix is factored once; 0 then says that all are a yes.
    """
    from odemom.cli.matrix_argument import matrix_of
    from odemom.representability.analyze import analyze

    masses = [None] if eps is None else [mass.strip() for mass in eps.split(",")]
    flows = [_flow(mass, horizon, initial_velocity, switch, depth, gamma) for mass in masses]
    reports = analyze(matrix_of(file, exact), flows, tol=tol, exact=exact)
    one = len(reports) == 1
    if as_json:
        answers = [report.to_dict() for report in reports]
        print_json(answers[0] if one else answers)
    else:
        say(reports[0].explain() if one else _table(masses, reports))
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
        typer.Option("--out", "-o", help="Write theta there: .npy, .csv, .json, .mtx, text."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Find theta with psi(theta) = D for D in FILE. Exit status 0 done, 1 none exists, 2 bad input.

    theta goes to --out, or is printed, a row a line; its residual goes to the error stream.
    """
    from odemom.cli.matrix_argument import matrix_of
    from odemom.errors import NotRepresentableError
    from odemom.matrix_files import matrix_text, write_matrix
    from odemom.representability.witness import represent as witness_of

    flow = _flow(eps, horizon, initial_velocity, switch, depth, gamma)
    matrix = matrix_of(file, exact)
    try:
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
) -> None:
    """List what reaches the matrix in FILE, and what it costs: one theta, or what is to be changed.

    Exit status 0 done, 2 bad input.
    """
    from odemom.cli.matrix_argument import matrix_of
    from odemom.representability.routes import routes as routes_to

    flow = _flow(eps, horizon, initial_velocity, switch, depth, gamma)
    found = routes_to(matrix_of(file, exact), flow, tol=tol, exact=exact, norms=norms)
    if as_json:
        print_json(found.to_dict())
    else:
        say(found.report.explain())
        print(f"\n{found}")


def _flow(
    eps: str | None,
    horizon: str | None,
    initial_velocity: str | None,
    switch: str | None,
    depth: int | None,
    gamma: str | None,
) -> Any:
    """The flow that the options describe: an ODE by --eps, or a net by --depth."""
    from odemom.checks import expect, invalid
    from odemom.flows.by_eps import flow_of
    from odemom.flows.coasting import Coasting
    from odemom.flows.discrete import MomentumResNet, ResNet

    ode = {"--eps": eps, "--horizon": horizon, "--initial-velocity": initial_velocity}
    ode["--switch"] = switch
    net = {"--depth": depth, "--gamma": gamma}
    given = [name for name, value in {**ode, **net}.items() if value is not None]
    if (eps is None) == (depth is None) or len({name in ode for name in given}) > 1:
        raise invalid(
            "the flow",
            got=", ".join(given) or "neither --eps nor --depth",
            expected="--eps, with --horizon, --initial-velocity and --switch, for an ODE; or "
            "--depth, with --gamma, for a net",
        )
    if depth is not None:
        return ResNet(depth) if gamma is None else MomentumResNet(gamma, depth)
    if switch is not None and initial_velocity in (None, "zero"):
        return Coasting(str(eps), switch, "1" if horizon is None else horizon)
    expect(
        switch is None,
        "--switch",
        got=f"{switch} beside --initial-velocity {initial_velocity}",
        expected="one of the two",
        fix="Each alone reaches every matrix.",
    )
    velocity: Any = "zero" if initial_velocity is None else initial_velocity
    return flow_of(eps, horizon="1" if horizon is None else horizon, initial_velocity=velocity)


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
        note("lambda_eps is negative, and below the range of doubles: add --dps 6, or so")
    if as_json:
        print_json({"eps": eps, "lambda_eps": value if dps is None else text, "dps": dps})
    else:
        print(text)
