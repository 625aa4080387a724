"""``odemom check``, ``represent`` and ``lambda``: decisions, witnesses, thresholds."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated, Any

import typer

from odemom.cli.shared import (
    AsJson,
    Depth,
    Exact,
    File,
    FlowEps,
    Gamma,
    Horizon,
    Tol,
    Velocity,
    note,
    print_json,
    say,
)

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(check)
    app.command()(represent)
    app.command("lambda")(lambda_)


def check(
    file: File,
    eps: FlowEps = None,
    horizon: Horizon = None,
    initial_velocity: Velocity = None,
    depth: Depth = None,
    gamma: Gamma = None,
    tol: Tol = None,
    exact: Exact = None,
    as_json: AsJson = False,
) -> None:
    """Decide whether the matrix in FILE is representable. Exit status 0 yes, 1 no, 2 bad input."""
    from odemom.matrix_files import read_matrix
    from odemom.representability.analyze import analyze

    flow = _flow(eps, horizon, initial_velocity, depth, gamma)
    report = analyze(read_matrix(file, exact=exact), flow, tol=tol, exact=exact)
    if as_json:
        print_json(report.to_dict())
    else:
        say(report.explain())
    raise typer.Exit(0 if report else 1)


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
