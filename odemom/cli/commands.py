"""What all commands do: they read numbers as all text is read, and take SIGTERM as Ctrl-C."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, get_args, get_type_hints

import typer
from typer.models import ParameterInfo

__all__ = ["SpeltTyper", "terminated_as_interrupted"]


class SpeltTyper(typer.Typer):
    """A `typer.Typer` whose commands read integers and floats by our grammar.

    Python's own readers take 1_0 for 10, and the digits of every script.
    """

    def command(self, name: str | None = None, **more: Any) -> Callable[..., Any]:
        """The decorator of a command, as of `typer.Typer`."""
        register = super().command(name, **more)

        def decorated(function: Callable[..., Any]) -> Callable[..., Any]:
            hints = get_type_hints(function, include_extras=True)
            for annotation in hints.values():
                _spell(annotation)
            function.__annotations__ = hints  # or they would be evaluated anew, from their text
            return register(function)

        return decorated


@contextmanager
def terminated_as_interrupted() -> Iterator[None]:
    """Take SIGTERM, which schedulers send, as Ctrl-C: workers end, and how to go on is said."""
    main = threading.current_thread() is threading.main_thread()
    before = signal.getsignal(signal.SIGTERM)
    if not main or before is not signal.SIG_DFL:
        yield
        return
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _interrupt(*_: Any) -> None:
    raise KeyboardInterrupt


def _spell(annotation: Any) -> None:
    """Give the option of an ``Annotated[int | None, typer.Option(...)]`` our reader."""
    kind, *notes = get_args(annotation) or (None,)
    kinds = {kind, *get_args(kind)}
    for option in notes:
        if isinstance(option, ParameterInfo) and option.parser is None:
            if int in kinds:
                option.parser = integer
            elif float in kinds:
                option.parser = number


def integer(text: str | int) -> int:
    """The integer that the text spells, or a default."""
    from odemom.checks.spelling import SpellingError, is_integer_text, spelt_exactly

    if isinstance(text, int):
        return text
    try:
        if is_integer_text(text):
            return int(spelt_exactly(text))
    except SpellingError:
        pass  # more digits than any integer here has
    raise typer.BadParameter(f"{_shown(text)} is not a valid integer.")


def number(text: str | float) -> float:
    """The double nearest to the number that the text spells, or a default."""
    from odemom.checks.spelling import SpellingError, spelt_double

    if isinstance(text, float | int):
        return float(text)
    try:
        return spelt_double(text)
    except SpellingError:
        raise typer.BadParameter(f"{_shown(text)} is not a valid number.") from None


def _shown(text: str) -> str:
    return repr(text if len(text) <= 60 else text[:57] + "...")
