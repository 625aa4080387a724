"""The form of every message: what was given, what was expected, what to do."""

from __future__ import annotations

import functools
import importlib
import math
from collections.abc import Mapping
from types import ModuleType

import numpy as np

from odemom.errors import InvalidInputError, MissingDependencyError

__all__ = ["expect", "invalid", "optional_import", "readable", "shown"]


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


def shown(value: object, limit: int = 60) -> str:
    """One-line form of ``value`` for a message, cut to ``limit`` characters.

    Examples
    --------
    >>> shown("a word"), shown(list(range(100)), 20)
    ("'a word'", '[0, 1, 2, 3, 4, 5...')
    """
    try:
        text = " ".join(repr(value).split())
    except ValueError:  # Python refuses to spell ints of more than 4300 digits
        text = f"a number of type {type(value).__name__}, too long to print,"
    return text if len(text) <= limit else text[: limit - 3] + "..."


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
