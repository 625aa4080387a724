"""The command line: exit status 0 done, 1 a negative answer to `check`, 2 bad input.

Heavy modules are imported inside the commands, so that ``odemom --help`` answers at once.
"""

from __future__ import annotations

import sys
import traceback
from typing import Annotated

import typer

from odemom.cli import decide, exploring, figures, fine_tuning, training
from odemom.cli.shared import complain
from odemom.cli.streams import patient_streams
from odemom.errors import OdemomError

__all__ = ["app", "main"]

DEFECT = 70  # EX_SOFTWARE of sysexits.h: an error of odemom itself never looks like a "no"

app = typer.Typer(
    name="odemom",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="""Which maps can a second-order ODE, and the Momentum ResNet, represent?

    The command check decides it for a matrix in a file, represent finds a witness, reproduce
    computes the figures of the paper, and demo shows it all in a minute.

    Example: odemom check D.txt --eps 1/2

    Help on a command: odemom check -h
    """,
)


def main() -> None:
    """Run the command line and leave with its status."""
    with patient_streams() as streams:
        status = _status()
        for stream in streams:
            stream.flush()
        lost = [stream.lost for stream in streams if stream.lost is not None]
        if lost:
            complain(f"the output cannot be written ({lost[0].strerror})")
    sys.exit(2 if lost else status)


def _status() -> int:
    try:
        app(prog_name="odemom")
    except SystemExit as left:
        return left.code if isinstance(left.code, int) else 0 if left.code is None else 2
    except OdemomError as error:
        complain(str(error))
        return 2
    except Exception:
        traceback.print_exc()
        return DEFECT
    return 0


def _version(asked: bool) -> None:
    if asked:
        from odemom import __version__

        print(f"odemom {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_version, is_eager=True, help="Print the version."),
    ] = False,
) -> None:
    del version


for room in (decide, figures, training, fine_tuning, exploring):
    room.register(app)
