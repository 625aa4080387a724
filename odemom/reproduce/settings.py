"""Configurations of experiments from text: ``key=value`` as typed on the command line."""

from __future__ import annotations

import collections.abc
import dataclasses
import shlex
import types
import typing
from collections.abc import Iterable, Mapping
from fractions import Fraction
from typing import Any

from odemom.checks import (
    as_integer,
    as_number,
    counted,
    did_you_mean,
    invalid,
    is_integer_text,
    shown,
)
from odemom.errors import InvalidInputError, MissingDependencyError
from odemom.experiments.frame import Experiment, load
from odemom.records import jsonable

__all__ = ["command_for", "configured", "value_from_text"]


def configured(
    experiment: Experiment[Any, Any, Any, Any],
    *,
    quick: bool = False,
    settings: Iterable[str] = (),
    seeds: int | None = None,
    device: str | None = None,
) -> Any:
    """The configuration that was asked for: the full or the quick one, with some fields changed.

    Parameters
    ----------
    experiment : Experiment
    quick : bool
    settings : iterable of str
        ``key=value``; several entries of a list stand between commas.
    seeds : int, optional
        The field ``seeds``: how many seeds are run.
    device : str, optional
        The field ``device``: where tensors live.

    Raises
    ------
    InvalidInputError
        If a key is unknown, or a value is not of its type or outside its domain.

    Examples
    --------
    >>> from odemom.experiments import fig4
    >>> configured(fig4.EXPERIMENT, settings=["points=5"]).points
    5
    """
    base = experiment.quick if quick else experiment.config()
    hints = typing.get_type_hints(experiment.config)
    fields = [f.name for f in dataclasses.fields(experiment.config) if f.init]
    changes: dict[str, Any] = {}
    for setting in settings:
        key, sign, text = setting.partition("=")
        key = key.strip().replace("-", "_")
        if not sign:
            raise invalid("--set", got=shown(setting), expected="key=value")
        if key not in fields:
            raise _unknown(experiment.name, key, fields, hints)
        if key in changes:
            raise invalid("--set", got=f"the key {shown(key)} twice", expected="every key once")
        changes[key] = value_from_text(hints[key], text.strip(), f"--set {key}")
    for name, value in (("seeds", seeds), ("device", device)):
        if value is None:
            continue
        if name not in fields:
            raise invalid(
                f"--{name}",
                got=shown(value),
                expected=f"no --{name}: the experiment {experiment.name} has none",
            )
        changes[name] = value
    if "seeds" in changes:
        as_integer(changes["seeds"], "seeds", 1, MOST_SEEDS)
    return dataclasses.replace(base, **changes)


def command_for(name: str, config: Mapping[str, Any]) -> str:
    """The command that computes a result again: what differs from the full run stands in it.

    Where the experiment misses a package its full run is not known: every field stands in it.

    Parameters
    ----------
    name : str
        The experiment.
    config : mapping
        Its configuration, as it stands in the numbers on disk.

    Examples
    --------
    >>> command_for("fig4", {"points": 5})
    'odemom reproduce fig4 --set points=5'
    """
    try:
        full = jsonable(load(name).config(), "config")
    except MissingDependencyError:
        full = {}
    differ = [
        f"--set {key}={shlex.quote(_text(value))}"
        for key, value in config.items()
        if key not in full or full[key] != value
    ]
    return " ".join([f"odemom reproduce {name}", *differ])


def _text(value: Any) -> str:
    """A value of a field as `value_from_text` reads it."""
    if isinstance(value, list):
        return ",".join(map(_text, value))
    if value is None or isinstance(value, bool):
        return str(value).lower()
    return str(value)


def _unknown(
    experiment: str, key: str, fields: list[str], hints: dict[str, Any]
) -> InvalidInputError:
    known = ", ".join(f"{name} ({described(hints[name])})" for name in fields)
    return invalid(
        "--set",
        got=f"the key {shown(key)}",
        expected=f"a key of {experiment}: {known or 'it has none'}",
        fix=did_you_mean(key, fields),
    )


def described(hint: Any) -> str:
    """What a field takes, in words.

    Examples
    --------
    >>> described(tuple[float, ...]), described(int | None)
    ('numbers between commas', 'an integer or none')
    """
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        return " or ".join(dict.fromkeys(described(argument) for argument in arguments))
    if origin is typing.Literal:
        return " or ".join(map(str, arguments))
    if origin in (tuple, list, collections.abc.Sequence):
        words = {"an integer": "integers", "a number": "numbers", "text": "names"}
        inner = described(arguments[0])
        return f"{words.get(inner, inner)} between commas"
    return WORDS.get(hint, "text")


WORDS: dict[Any, str] = {
    int: "an integer",
    float: "a number",
    Fraction: "a number",
    bool: "true or false",
    str: "text",
    type(None): "none",
}
MOST_SEEDS = 10_000
YES, NO = ("true", "yes", "on", "1"), ("false", "no", "off", "0")


def value_from_text(hint: Any, text: str, name: str) -> Any:
    """The value of a field from text.

    Examples
    --------
    >>> value_from_text(tuple[float, ...], "0.5, 1/4, inf", "eps")
    (0.5, 0.25, inf)
    """
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        return _first_that_fits(arguments, hint, text, name)
    if origin in (tuple, list, collections.abc.Sequence):
        entries = [entry.strip() for entry in text.split(",")]
        fixed = origin is tuple and arguments[-1] is not Ellipsis
        inner = arguments if fixed else (arguments[0],) * len(entries)
        if len(inner) != len(entries):
            raise invalid(
                name,
                got=shown(text),
                expected=f"{counted(len(inner), 'entry', 'entries')} between commas",
            )
        return tuple(
            value_from_text(h, entry, name) for h, entry in zip(inner, entries, strict=True)
        )
    try:
        return _scalar(hint, arguments if origin is typing.Literal else None, text)
    except (ValueError, ZeroDivisionError, OverflowError):
        raise invalid(name, got=shown(text), expected=described(hint)) from None


def _first_that_fits(arguments: tuple[Any, ...], hint: Any, text: str, name: str) -> Any:
    for argument in arguments:
        try:
            return value_from_text(argument, text, name)
        except InvalidInputError:
            continue
    raise invalid(name, got=shown(text), expected=described(hint))


def _scalar(hint: Any, choices: tuple[Any, ...] | None, text: str) -> Any:
    if choices is not None:
        return {str(choice): choice for choice in choices}.get(text) or _refuse()
    if hint is bool:
        return text.lower() in YES or (_refuse() if text.lower() not in NO else False)
    if hint is type(None):
        return None if text.lower() == "none" else _refuse()
    if hint in (float, Fraction):
        number = as_number(text, "number", "a number")
        if hint is float:
            return float(number)
        return number if isinstance(number, Fraction) else _refuse()
    if hint is int:
        return int(text) if is_integer_text(text) else _refuse()
    return text


def _refuse() -> Any:
    raise ValueError
