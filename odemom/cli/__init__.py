"""The command line: exit status 0 done, 1 a negative answer to `check`, 2 bad input.

Heavy modules are imported inside the commands, so that ``odemom --help`` answers at once.
"""

from __future__ import annotations

import sys
from typing import Annotated

import typer
from rich.console import Console

from odemom.cli import decide, figures, fine_tuning, training
from odemom.errors import OdemomError

__all__ = ["app", "main"]

app = typer.Typer(
    name="odemom",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help="Which maps can a second-order ODE, and the Momentum ResNet, represent?",
)


def main() -> None:
    """Run the command line and leave with its status."""
    try:
        app()
    except OdemomError as error:
        Console(stderr=True, highlight=False, soft_wrap=True).print(
            f"error: {error}", markup=False, style="red"
        )
        sys.exit(2)


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


for room in (decide, figures, training, fine_tuning):
    room.register(app)
