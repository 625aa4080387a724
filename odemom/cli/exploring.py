"""``odemom explore``: the page in a browser."""

from __future__ import annotations

from typing import Annotated

import typer

from odemom.cli.shared import note

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(explore)


def explore(
    host: Annotated[
        str,
        typer.Option(
            metavar="ADDRESS",
            help="The address to listen on. By default only this machine reaches the page; 0.0.0.0 "
            "lets in the network.",
        ),
    ] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(metavar="PORT", help="The port; 0 takes any that is free.")
    ] = 8642,
    no_browser: Annotated[
        bool, typer.Option("--no-browser", help="Print the address, and open nothing.")
    ] = False,
) -> None:
    """Open a page on which one drags eps and the matrix D.

    The decision with its reasons, the region of Figure 4, the witness, the paths of points and the
    net beside them, for up to four rows. It runs until Ctrl-C and then leaves with status 0; 2 is
    for a port that is taken.

    Example: odemom explore

    Elsewhere: odemom explore --port 0 --no-browser
    """
    from odemom.explore.server import explore as serve

    serve(host, port, browser=not no_browser, say=note)
