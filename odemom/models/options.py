"""What the options of the networks may be, in words and as a test."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from odemom.checks import as_integer, as_number, expect, nearest_double, shown
from odemom.errors import InvalidInputError

__all__ = [
    "DIGITS", "FIGURE_9", "LEARNT", "REVNET", "STEM", "TWIN", "VIT", "Option", "check_values",
]  # fmt: skip


@dataclass(frozen=True)
class Option:
    """An option of a network.

    Attributes
    ----------
    default : object
    values : str
        What it may be, in words.
    holds : callable
        Whether a value is one of them. What hangs on other options or on the images, the network
        itself looks at.
    fix : str
        What an error says beside.
    number : bool
        Whether it is a number, which may be spelt as text.
    """

    default: Any
    values: str
    holds: Callable[[Any], bool]
    fix: str = ""
    number: bool = False

    def plain(self, value: Any) -> Any:
        """A value as it is, or the double nearest to a number that is spelt as text."""
        if self.number and isinstance(value, str):
            return nearest_double(as_number(value, "number", self.values))
        return value


def check_values(options: Mapping[str, Option], given: Mapping[str, Any]) -> None:
    """Refuse a value that its option may not have.

    Parameters
    ----------
    options : mapping of str to Option
    given : mapping of str to object
        Of these options.

    Raises
    ------
    InvalidInputError
        By the option's name.

    Examples
    --------
    >>> check_values(TWIN, {"gamma": 0.5, "reversible": "auto"})
    """
    for name, value in given.items():
        option = options[name]
        expect(option.holds(value), name, got=shown(value), expected=option.values, fix=option.fix)


def _choice(*values: Any, default: Any = None) -> Option:
    """One of some values, by default the first; True is not 1."""
    words = [json.dumps(value) for value in values]
    said = f"{', '.join(words[:-1])} or {words[-1]}"

    def holds(given: Any) -> bool:
        return any(type(given) is type(value) and given == value for value in values)

    return Option(values[0] if default is None else default, said, holds)


def _integer(default: int, least: int) -> Option:
    def holds(given: Any) -> bool:
        try:
            as_integer(given, "number", least)
        except InvalidInputError:
            return False
        return True

    return Option(default, f"an integer >= {least}", holds)


def _number(
    default: float, values: str, within: Callable[[float], bool], fix: str = ""
) -> Option:  # fmt: skip
    def holds(given: Any) -> bool:
        try:
            return bool(within(float(as_number(given, "number", values))))
        except (InvalidInputError, OverflowError):
            return False

    return Option(default, values, holds, fix, number=True)


def _width(default: int | None, values: str, multiple: int) -> Option:
    def holds(given: Any) -> bool:
        if given is None:
            return default is None
        return _integer(multiple, multiple).holds(given) and given % multiple == 0

    return Option(default, values, holds)


VELOCITY = _choice("zero", "field")
TOLERANCE = _number(1e-3, "a finite number > 0", lambda x: 0 < x < math.inf)
METHOD = "the name of a solver that `ODEBlock` takes"
TWIN = {
    "gamma": _number(
        0.9,
        "a number in [0, 1)",
        lambda x: 0 <= x < 1,
        "At 1 the velocity keeps its first value: what the blocks learn would have no effect.",
    ),
    "initial_velocity": VELOCITY,
    "reversible": _choice(True, False, "auto", default="auto"),
}
LEARNT = {
    "gamma": _number(0.9, "a number in (0, 1), from which it starts", lambda x: 0 < x < 1),
}
STEM = {"stem": _choice("cifar", "imagenet")}
VIT = {
    "patch": _integer(4, 1),
    "width": _integer(128, 1),
    "depth": _integer(6, 1),
    "heads": _integer(4, 1),
}
REVNET = {
    "width": _width(None, "an even integer > 0, or null for that of equal size", 2),
    "reversible": _choice(True, False),
}
ODE = {
    "order": _choice(1, 2, default=2),
    "eps": _number(
        1.0,
        "a number in (0, inf]",
        lambda x: x > 0,
        "A first-order equation, which has no mass, is order 1.",
    ),
    "initial_velocity": VELOCITY,
}
FIGURE_9 = {
    "channels": _integer(8, 1),
    "hidden": _integer(16, 1),
    "blocks": _integer(10, 0),
    **ODE,
    "method": Option("rk4", METHOD, lambda given: isinstance(given, str)),
    "steps": _integer(1, 1),
    "gradient": _choice("reversible", "adjoint", "backprop"),
    "head": _choice("flat", "mean"),
    "stride": _integer(4, 1),
}
DIGITS = {
    "width": _width(24, "a multiple of 8, from 8 on", 8),
    **ODE,
    "method": Option("dopri5", METHOD, lambda given: isinstance(given, str)),
    "rtol": TOLERANCE,
    "atol": TOLERANCE,
    "adjoint": _choice(True, False, default=False),
}
