"""The form of every message: what was given, what was expected, what to do."""

from __future__ import annotations

import difflib
import functools
import importlib
import math
from collections.abc import Iterable, Mapping
from types import ModuleType

import numpy as np

from odemom.errors import InvalidInputError, MissingDependencyError

__all__ = [
    "counted",
    "did_you_mean",
    "expect",
    "first_sentence",
    "invalid",
    "optional_import",
    "readable",
    "shown",
]


def readable(size: float) -> str:
    """Bytes in the unit that fits.

    Examples
    --------
    >>> [readable(n) for n in (0, 999, 20480, 4.2e6, 24e9, 3e12)]
    ['0 bytes', '999 bytes', '20.5 kB', '4.20 MB', '24.0 GB', '3.00 TB']
    """
    if size < 1000:
        return f"{size:.0f} bytes"
    rounded = float(f"{size:.3g}")
    power = min(int(math.log10(rounded) + 1e-9) // 3, 4)
    scaled = rounded / 1000**power
    digits = max(0, 2 - int(math.log10(scaled) + 1e-9))
    return f"{scaled:.{digits}f} {('kB', 'MB', 'GB', 'TB')[power - 1]}"


def counted(count: int, noun: str, several: str = "") -> str:
    """A number of things in words: of one the noun as it is, else with an s, or ``several``.

    Examples
    --------
    >>> counted(1, "row"), counted(0, "row"), counted(20000, "entry", "entries")
    ('1 row', '0 rows', '20,000 entries')
    """
    return f"{count:,} {noun if count == 1 else several or f'{noun}s'}"


def did_you_mean(word: object, names: Iterable[str]) -> str:
    """The question for the name that was meant, where one of the names is close; else nothing.

    Examples
    --------
    >>> did_you_mean("epochz", ["seed", "epochs"]), did_you_mean("x", ["seed"])
    ('Did you mean epochs?', '')
    """
    near = difflib.get_close_matches(str(word), list(names), n=1)
    return f"Did you mean {near[0]}?" if near else ""


def shown(value: object, limit: int = 60) -> str:
    """One-line form of ``value`` for a message, cut to ``limit`` characters; quotes are closed.

    Examples
    --------
    >>> shown("a word"), shown("a long sentence", 12), shown(list(range(100)), 20)
    ("'a word'", "'a long...'", '[0, 1, 2, 3, 4, 5...')
    """
    try:
        text = " ".join(repr(value).split())
    except ValueError:  # Python refuses to spell ints of more than 4300 digits
        text = f"a number of type {type(value).__name__}, too long to print,"
    if len(text) <= limit:
        return text
    end = "..." + text[-1] if isinstance(value, str) else "..."
    return text[: limit - len(end)] + end


def first_sentence(error: BaseException) -> str:
    """What an error says up to its first full stop: without what to do about it.

    Examples
    --------
    >>> first_sentence(ValueError("x: got 1.5; expected 2. Take two."))
    'x: got 1.5; expected 2'
    """
    return str(error).partition(". ")[0].removesuffix(".")


def invalid(name: str, *, got: str, expected: str, fix: str = "") -> InvalidInputError:
    """The error for the argument ``name``, in the one form that every message has.

    Examples
    --------
    >>> print(invalid("eps", got="-1", expected="a number in [0, inf]"))
    eps: got -1; expected a number in [0, inf].
    """
    message = f"{name}: got {got}; expected {expected}."
    return InvalidInputError(f"{message} {fix}" if fix else message)


def expect(
    condition: bool | np.bool_, name: str, *, got: str, expected: str, fix: str = ""
) -> None:
    """Raise the error of `invalid` unless ``condition`` holds."""
    if not condition:
        raise invalid(name, got=got, expected=expected, fix=fix)


def optional_import(module: str, extra: str) -> ModuleType:
    """Import ``module``, or say which extra of odemom brings it.

    Raises
    ------
    MissingDependencyError
        If the module is not installed, or its import fails.
    """
    try:
        return importlib.import_module(module)
    except (ImportError, OSError) as error:  # OSError: a library of its own is missing
        if isinstance(error, ModuleNotFoundError) and f"{module}.".startswith(f"{error.name}."):
            state, verb = "not installed", "Install"
        else:
            state, verb = f"installed, but its import fails ({shown(str(error), 200)})", "Repair"
        raise MissingDependencyError(
            f"{module} is {state}; this part of odemom needs it. "
            f"{verb} it with: pip install 'odemom[{extra}]'"
            + ("" if state == "not installed" else f", after pip uninstall {_distribution(module)}")
        ) from error


def _distribution(module: str) -> str:
    """What pip calls the package that brings a module: scikit-learn, not sklearn."""
    package = module.partition(".")[0]
    try:
        return _distributions()[package][0]
    except Exception:  # it is not installed by pip, or metadata are damaged in any way
        return package


@functools.cache
def _distributions() -> Mapping[str, list[str]]:
    """The packages that bring each module; to look through them all takes a second."""
    from importlib.metadata import packages_distributions

    return packages_distributions()
