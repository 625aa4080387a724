"""JSON: a nested list, or an object that holds one under the key "matrix" or "D"."""

from __future__ import annotations

import json
from typing import Any

from odemom.checks import shown
from odemom.matrix_files.registry import reads
from odemom.matrix_files.source import Source
from odemom.matrix_files.tokens import numbers_of_rows

__all__ = ["read_json"]

KEYS = ("matrix", "D")


class _Spelt(str):
    """A JSON number as it is spelt: whether it is to be exact is known when all are read."""


class _NotFiniteError(Exception):
    pass


class _RepeatedKeyError(Exception):
    pass


@reads(".json", kind="text")
def read_json(source: Source, exact: bool | None) -> Any:
    """The rows of a JSON text; numbers in quotes are read as the text formats read them.

    Booleans are zeros and ones where all entries are booleans; beside numbers they are refused.
    """
    rows = _rows(source, _parsed(source))
    entries = [entry for row in rows for entry in row]
    if all(isinstance(entry, bool) for entry in entries):
        rows = [[_Spelt(int(entry)) for entry in row] for row in rows]
    tokens = [
        [_token(source, i, j, entry) for j, entry in enumerate(row)] for i, row in enumerate(rows)
    ]
    return numbers_of_rows(source, tokens, exact)


def _parsed(source: Source) -> Any:
    text = source.text()
    source.require_entries(max(text.count(","), text.count("[")))
    try:
        return json.loads(
            text,
            parse_float=_Spelt,
            parse_int=_Spelt,
            parse_constant=_refuse_constant,
            object_pairs_hook=_object,
        )
    except json.JSONDecodeError as error:
        raise source.unreadable(f"not valid JSON ({error})") from None
    except _NotFiniteError as error:
        raise source.error(f"got {error}; expected finite numbers.") from None
    except _RepeatedKeyError as error:
        raise source.error(f"got the key {shown(str(error))} twice; expected it once.") from None
    except RecursionError:
        raise source.unreadable("it is nested too deeply for a matrix") from None


def _refuse_constant(name: str) -> None:
    raise _NotFiniteError(name)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise _RepeatedKeyError(key)
        found[key] = value
    return found


def _rows(source: Source, data: Any) -> list[list[Any]]:
    if isinstance(data, dict):
        keys = [key for key in KEYS if key in data]
        if len(keys) > 1:
            raise source.error(
                'got an object with both keys "matrix" and "D"; expected one of them: which is the '
                "matrix?"
            )
        if not keys:
            raise source.error(
                f"got an object with the keys {shown(sorted(data))}; expected a "
                'nested list or the key "matrix" or "D".'
            )
        data = data[keys[0]]
    if not isinstance(data, list) or not all(isinstance(row, list) for row in data):
        raise source.error(f"got {shown(data)}; expected a list of rows.")
    return data


def _token(source: Source, i: int, j: int, value: Any) -> str:
    if isinstance(value, str):
        return value if isinstance(value, _Spelt) else value.strip()
    hint = " Booleans beside numbers are none." if isinstance(value, bool) else ""
    raise source.error(
        f"got {shown(value)} in row {i + 1}, column {j + 1}; expected a number, or a "
        f'rational in quotes, "-3/4".{hint}'
    )
