"""The command line: exit status 0 done, 1 a negative answer to a question, 2 bad input.

Heavy modules are imported inside the commands, so that ``odemom --help`` answers at once.
"""

from __future__ import annotations

import sys
import traceback
import warnings
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from odemom.cli import decide, doctor, exploring, figures, fine_tuning, training
from odemom.cli.commands import SpeltTyper, terminated_as_interrupted
from odemom.cli.shared import INTERRUPTED, complain, hush, interruptible, note, tell
from odemom.cli.streams import patient_streams
from odemom.errors import OdemomError, OdemomWarning

__all__ = ["DEFECT", "INTERRUPTED", "app", "main"]

DEFECT = 70  # EX_SOFTWARE of sysexits.h: an error of odemom itself never looks like a "no"
NOTHING_KEPT = "nothing was finished, and no file is half-written"


class Commands(TyperGroup):
    """The commands; Ctrl-C ends each with a sentence."""

    def make_context(self, *arguments: Any, **more: Any) -> Any:
        """Read the options before the command."""
        with interruptible(NOTHING_KEPT):
            return super().make_context(*arguments, **more)

    def invoke(self, ctx: Any) -> Any:
        """Run the command that was asked for."""
        with interruptible(NOTHING_KEPT):
            return super().invoke(ctx)


app = SpeltTyper(
    name="odemom",
    cls=Commands,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="""Which maps can a second-order ODE, and the Momentum ResNet, represent?

    The command check decides it for a matrix in a file, represent finds a witness, reproduce
    computes the figures of the paper, and demo shows it all in a minute and
    a half.

    Example: odemom check D.txt --eps 1/2

    Help on a command: odemom check -h

    The exit status is 0 done, 1 a negative answer (check: not representable; represent: there is
    no theta; doctor: the core does not work), 2 bad input or something missing, 70 a defect of
    odemom itself, 130 interrupted by Ctrl-C.
    """,
)


def main() -> None:
    """Run the command line and leave with its status."""
    with patient_streams() as streams, warnings.catch_warnings(), terminated_as_interrupted():
        warnings.showwarning = _sentence_of(warnings.showwarning)
        status = _status()
        for stream in streams:
            stream.flush()
        lost = [stream.lost for stream in streams if stream.lost is not None]
        if lost:
            complain(f"the output cannot be written ({lost[0].strerror})")
    sys.exit(2 if lost else status)


def _sentence_of(show: Any) -> Any:
    """How warnings are shown: ours as a sentence, others as before."""

    def shown(message: Warning | str, category: type[Warning], *place: Any, **more: Any) -> None:
        if issubclass(category, OdemomWarning):
            note(f"warning: {message}")
        else:
            show(message, category, *place, **more)

    return shown


def _status() -> int:
    hush(False)
    try:
        app(prog_name="odemom")
    except SystemExit as left:
        return left.code if isinstance(left.code, int) else 0 if left.code is None else 2
    except OdemomError as error:
        complain(str(error))
        return 2
    except KeyboardInterrupt:
        tell(f"\ninterrupted: {NOTHING_KEPT}")
        return INTERRUPTED
    except Exception:
        tell(traceback.format_exc().rstrip())
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


for room in (decide, figures, training, fine_tuning, exploring, doctor):
    room.register(app)
