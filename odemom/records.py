"""Results on disk: written whole or not at all, as strict JSON, with where they come from.

This module imports no torch: it reports on torch only where something else has loaded it.
"""

from __future__ import annotations

import contextlib
import dataclasses
import importlib.metadata
import json
import math
import os
import platform
import secrets
import sys
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from odemom.checks import expect, invalid, shown

__all__ = ["jsonable", "provenance", "write_bytes_atomic", "write_json", "write_text_atomic"]

# module -> distribution, of the packages reported only where something has loaded them
_IF_LOADED = {
    "torch": "torch",
    "torchdiffeq": "torchdiffeq",
    "lightning": "lightning",
    "sklearn": "scikit-learn",
    "joblib": "joblib",
    "distributed": "distributed",
}


def write_text_atomic(path: str | os.PathLike[str], text: str) -> Path:
    """Write ``text`` (UTF-8) to ``path``, so that a reader sees the old file or the new one.

    The text goes to a temporary file in the same folder, reaches the disk, and is renamed over
    ``path``: a crash half-way leaves the old file as it was.

    Parameters
    ----------
    path : path-like
        Missing parent folders are created.
    text : str
        Written with Unix line ends on every platform.

    Returns
    -------
    Path
        The path written.

    Raises
    ------
    InvalidInputError
        If ``path`` is a folder, or cannot be written.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_text_atomic(Path(folder) / "new" / "note.txt", "x' = f(x)").read_text()
    "x' = f(x)"
    """
    return write_bytes_atomic(path, text.encode())


def write_bytes_atomic(path: str | os.PathLike[str], content: bytes) -> Path:
    """Write ``content`` to ``path`` as `write_text_atomic` writes text."""
    target = Path(path)
    with _writable(target):
        folder = os.fspath(path).endswith(("/", os.sep)) or target.is_dir()
        expect(not folder, "path", got=f"the folder {target}", expected="the path of a file")
        expect(
            target.is_file() or not target.exists(),
            "path",
            got=f"{target}, a device or pipe",
            expected="the path of a file",
        )
        target.parent.mkdir(parents=True, exist_ok=True)
        beside = target.with_name(f".{target.name}.{secrets.token_hex(4)}.tmp")
        try:
            with open(beside, "xb") as stream:
                stream.write(content)
                stream.flush()
                os.fsync(stream.fileno())
            os.replace(beside, target)
        except BaseException:
            with contextlib.suppress(OSError):
                beside.unlink(missing_ok=True)
            raise
    return target


@contextlib.contextmanager
def _writable(path: Path) -> Iterator[None]:
    """Turn what the operating system says of an output file into the error for bad input."""
    try:
        yield
    except (FileExistsError, NotADirectoryError):
        raise invalid(
            "path",
            got=f"{path}, of which a parent is a file",
            expected="a path in a folder that exists or can be made",
        ) from None
    except OSError as error:
        raise invalid(
            "path",
            got=f"{shown(str(path), 200)}, which cannot be written ({error.strerror})",
            expected="a file in a folder that exists, or can be made, and that you may write to",
        ) from None


def write_json(path: str | os.PathLike[str], payload: object) -> Path:
    """Write ``payload`` as strict JSON, atomically: see `jsonable` and `write_text_atomic`.

    Keys keep the order of ``payload``, so that equal payloads give equal files.

    Parameters
    ----------
    path : path-like
        Missing parent folders are created.
    payload : object
        Anything that `jsonable` takes.

    Returns
    -------
    Path
        The path written.

    Raises
    ------
    InvalidInputError
        If ``payload`` holds what JSON cannot say; nothing is written then.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     print(write_json(Path(folder) / "r.json", {"eps": math.inf}).read_text(), end="")
    {
      "eps": "inf"
    }
    """
    text = json.dumps(jsonable(payload), indent=2, allow_nan=False, ensure_ascii=False)
    return write_text_atomic(path, text + "\n")


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
        return jsonable(value.tolist(), name)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = dataclasses.fields(value)
        return {f.name: jsonable(getattr(value, f.name), f"{name}.{f.name}") for f in fields}
    if isinstance(value, Mapping):
        return {
            _key(key, name): jsonable(entry, f"{name}[{key!r}]") for key, entry in value.items()
        }
    if isinstance(value, list | tuple):
        return [jsonable(entry, f"{name}[{i}]") for i, entry in enumerate(value)]
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


def provenance(seed: int | None = None) -> dict[str, Any]:
    """Where a result comes from: versions, machine, seed and date.

    Parameters
    ----------
    seed : int, optional
        The seed of the run, recorded as it is.

    Returns
    -------
    dict
        ``seed``, ``date`` (UTC, ISO 8601), ``versions`` (odemom, python, numpy, scipy and, only
        where they are loaded, torch and what trains with it), ``platform``, ``cpu``,
        ``cpu_count`` and ``gpu`` (a list of
        names, or None where torch is not loaded and nobody has looked).

    Examples
    --------
    >>> sorted(provenance(seed=3))
    ['cpu', 'cpu_count', 'date', 'gpu', 'platform', 'seed', 'versions']
    """
    return {
        "seed": seed,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "versions": versions(),
        "platform": platform.platform(),
        "cpu": _cpu_name(),
        "cpu_count": os.cpu_count(),
        "gpu": _gpu_names(),
    }


def versions() -> dict[str, str]:
    """Versions of odemom, python and the packages below (torch and others only where loaded).

    Examples
    --------
    >>> versions()["numpy"] == np.__version__
    True
    """
    from odemom import __version__

    found = {"odemom": __version__, "python": platform.python_version()}
    for package in ("numpy", "scipy", *(_IF_LOADED[m] for m in _IF_LOADED if m in sys.modules)):
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found[package] = importlib.metadata.version(package)
    return found


def _cpu_name() -> str:
    # platform.processor() is empty or only the architecture on Linux.
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def _gpu_names() -> list[str] | None:
    torch = sys.modules.get("torch")
    if torch is None:
        return None
    return [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
