"""Values in the types of JSON, and back into the classes they came from."""

from __future__ import annotations

import collections.abc
import dataclasses
import math
import os
import types
import typing
from collections.abc import Callable, Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from odemom.checks import as_number, counted, invalid, shown
from odemom.errors import InvalidInputError

__all__ = ["check_fields", "from_json", "jsonable"]

T = TypeVar("T")


def jsonable(value: Any, name: str = "payload") -> Any:
    """``value`` in the types of JSON, without losing what a number is.

    Strict JSON has no non-finite numbers. They become the strings ``"inf"``, ``"-inf"`` and
    ``"nan"``, which Python's `float` reads back; a ``null`` could not say which one it was.
    Fractions become strings such as ``"1/3"``, which `fractions.Fraction` reads back.

    Parameters
    ----------
    value : object
        None, bools, numbers, strings, paths, NumPy scalars and arrays, dataclass instances, and
        mappings with string keys, lists and tuples of these.
    name : str
        What the message calls the value.

    Returns
    -------
    object
        None, bool, int, float, str, list or dict.

    Raises
    ------
    InvalidInputError
        If an entry is of another type; the message says where.

    Examples
    --------
    >>> jsonable({"eps": Fraction(1, 3), "loss": [0.5, math.nan]})
    {'eps': '1/3', 'loss': [0.5, 'nan']}
    """
    try:
        return _plain(value, name)
    except RecursionError:
        raise invalid(name, got="data nested too deeply", expected="plain data") from None


def _plain(value: Any, name: str) -> Any:
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float | np.floating):
        number = float(value)
        return number if math.isfinite(number) else str(number)
    if isinstance(value, Fraction | os.PathLike):
        try:
            return str(value)
        except ValueError:  # Python neither spells nor reads ints of more than 4300 digits
            raise invalid(name, got=shown(value), expected="at most 4300 digits") from None
    if isinstance(value, np.bool_ | np.integer | np.ndarray):
        return _plain(value.tolist(), name)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = dataclasses.fields(value)
        return {f.name: _plain(getattr(value, f.name), f"{name}.{f.name}") for f in fields}
    if isinstance(value, Mapping):
        return {_key(key, name): _plain(entry, f"{name}[{key!r}]") for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(entry, f"{name}[{i}]") for i, entry in enumerate(value)]
    raise invalid(
        name,
        got=f"{shown(value)} of type {type(value).__name__}",
        expected="numbers, strings, lists and mappings, which JSON can say",
    )


def _key(key: object, name: str) -> str:
    if not isinstance(key, str):
        raise invalid(
            name,
            got=f"the key {shown(key)} of type {type(key).__name__}",
            expected="string keys",
            fix="JSON would turn it into a string without a word; convert it first.",
        )
    return key


def from_json(cls: type[T], data: Any, name: str = "data") -> T:
    """The inverse of `jsonable`: plain data as an instance of ``cls``, types checked.

    Parameters
    ----------
    cls : type
        A dataclass, or any annotation made of bool, int, float, str, Fraction, Path, None, Any,
        Literal, unions, tuples, lists, sequences, mappings with string keys, and dataclasses.
    data : object
        What ``json.loads`` returned.
    name : str
        What the message calls the value.

    Returns
    -------
    cls
        Sequences become tuples. Fields of a dataclass that are missing take their defaults.

    Raises
    ------
    InvalidInputError
        If the data do not fit; the message says where.

    Examples
    --------
    >>> from_json(tuple[Fraction | float, ...], ["1/3", 0.5, "inf"])
    (Fraction(1, 3), 0.5, inf)
    """
    try:
        return _decoded(cls, data, name)
    except RecursionError:
        raise invalid(name, got="data nested too deeply", expected="plain data") from None


def check_fields(instance: Any) -> None:
    """Refuse fields of a frozen dataclass that are not of their type; lists become tuples.

    For ``__post_init__``: what a field may hold is what `from_json` reads into it.

    Raises
    ------
    InvalidInputError
        The message names the field.
    """
    hints = typing.get_type_hints(type(instance))
    for field in dataclasses.fields(instance):
        value = getattr(instance, field.name)
        if not dataclasses.is_dataclass(value):
            value = _decoded(hints[field.name], jsonable(value, field.name), field.name)
            object.__setattr__(instance, field.name, value)


def _decoded(hint: Any, data: Any, name: str) -> Any:
    if hint is Any:
        return data
    if dataclasses.is_dataclass(hint):
        return _dataclass(hint, data, name)
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is typing.Literal:
        if any(data == value and type(data) is type(value) for value in arguments):
            return data
        raise _unfit(name, data, "one of " + ", ".join(map(repr, arguments)))
    if origin in (typing.Union, types.UnionType):
        return _union(arguments, data, name)
    if origin in (tuple, list, collections.abc.Sequence):
        return _sequence(origin, arguments, data, name)
    if origin in (dict, collections.abc.Mapping):
        if not isinstance(data, dict):
            raise _unfit(name, data, "an object")
        return {k: _decoded(arguments[1], v, f"{name}[{k!r}]") for k, v in data.items()}
    if hint in SCALARS:
        fits, make, expected = SCALARS[hint]
        try:
            if fits(data):
                return make(data)
        except (ValueError, ZeroDivisionError, OverflowError):
            pass
        raise _unfit(name, data, expected)
    raise TypeError(f"{name}: cannot read values of type {hint!r} from JSON")


def _is_int(data: Any) -> bool:
    return isinstance(data, int) and not isinstance(data, bool)


def _fraction(data: Any) -> Fraction:
    """The rational number; text such as 1e99999999, which takes for ever, is refused."""
    number = as_number(data, "number", "a rational number")
    if not isinstance(number, Fraction):
        raise ValueError("not finite")
    return number


NOT_FINITE = ("inf", "-inf", "nan")
# annotation -> (does the JSON value fit, how it is read, what is expected)
SCALARS: dict[Any, tuple[Callable[[Any], bool], Callable[[Any], Any], str]] = {
    bool: (lambda d: isinstance(d, bool), bool, "true or false"),
    int: (_is_int, int, "an integer"),
    float: (
        lambda d: _is_int(d) or isinstance(d, float) or (isinstance(d, str) and d in NOT_FINITE),
        float,
        "a number",
    ),
    str: (lambda d: isinstance(d, str), str, "text"),
    Fraction: (
        lambda d: isinstance(d, str) or _is_int(d),
        _fraction,
        'a rational number in quotes, "1/3"',
    ),
    Path: (lambda d: isinstance(d, str), Path, "a path"),
    type(None): (lambda d: d is None, lambda _: None, "null"),
}


def _union(arguments: tuple[Any, ...], data: Any, name: str) -> Any:
    refusals = []
    for argument in arguments:
        try:
            return _decoded(argument, data, name)
        except InvalidInputError as error:
            refusals.append(error)
    raise refusals[0]


def _sequence(origin: Any, arguments: tuple[Any, ...], data: Any, name: str) -> Any:
    if not isinstance(data, list | tuple):
        raise _unfit(name, data, "a list")
    if origin is tuple and (len(arguments) != 2 or arguments[1] is not Ellipsis):
        if len(data) != len(arguments):
            raise _unfit(name, data, f"a list of {counted(len(arguments), 'entry', 'entries')}")
        hints = arguments
    else:
        hints = (arguments[0],) * len(data)
    decoded = [
        _decoded(hint, entry, f"{name}[{i}]")
        for i, (hint, entry) in enumerate(zip(hints, data, strict=True))
    ]
    return decoded if origin is list else tuple(decoded)


def _dataclass(cls: Any, data: Any, name: str) -> Any:
    if not isinstance(data, dict):
        raise _unfit(name, data, f"an object with the fields of {cls.__name__}")
    hints = typing.get_type_hints(cls)
    fields = {f.name: f for f in dataclasses.fields(cls) if f.init}
    unknown = [key for key in data if key not in fields]
    if unknown:
        raise _unfit(name, data, f"no field {unknown[0]!r}: {cls.__name__} has none")
    for key, field in fields.items():
        optional = (
            field.default is not dataclasses.MISSING
            or field.default_factory is not dataclasses.MISSING
        )
        if key not in data and not optional:
            raise _unfit(name, data, f"the field {key!r} of {cls.__name__}")
    return cls(**{k: _decoded(hints[k], v, f"{name}.{k}") for k, v in data.items()})


def _unfit(name: str, data: Any, expected: str) -> InvalidInputError:
    return invalid(name, got=shown(data), expected=expected)
