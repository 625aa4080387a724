"""Files that are written whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import secrets
from collections.abc import Iterator, Mapping
from pathlib import Path

from odemom.checks import expect, invalid, shown
from odemom.errors import InvalidInputError
from odemom.records.values import jsonable

__all__ = [
    "as_folder",
    "as_path",
    "from_here",
    "json_text",
    "write_all_atomic",
    "write_bytes_atomic",
    "write_json",
    "write_text_atomic",
]


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
    return write_all_atomic({path: content})[0]


def write_all_atomic(contents: Mapping[str | os.PathLike[str], bytes]) -> list[Path]:
    """Write several files, each whole or not at all, and none if there is no room for all.

    All are written beside their targets before the first is renamed: when the disk is full, or a
    folder cannot be written, every old file stands as it was.

    Parameters
    ----------
    contents : mapping of path to bytes

    Returns
    -------
    list of Path
        The files, in the order of ``contents``.

    Raises
    ------
    InvalidInputError
        If a path is a folder, or cannot be written.
    """
    written: list[tuple[Path, Path]] = []
    try:
        for path, content in contents.items():
            written.append(_written_beside(path, content))
        for beside, target in written:
            with _writable(target):
                os.replace(beside, target)
    except BaseException:
        for beside, _ in written:
            with contextlib.suppress(OSError):
                beside.unlink(missing_ok=True)
        raise
    return [target for _, target in written]


def _written_beside(path: str | os.PathLike[str], content: bytes) -> tuple[Path, Path]:
    """A temporary file in the folder of ``path``, which holds the content; and the path."""
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
        except BaseException:
            with contextlib.suppress(OSError):
                beside.unlink(missing_ok=True)
            raise
    return beside, target


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
    ...     print(write_json(Path(folder) / "r.json", {"eps": float("inf")}).read_text(), end="")
    {
      "eps": "inf"
    }
    """
    return write_text_atomic(path, json_text(payload))


def json_text(payload: object) -> str:
    """``payload`` as strict JSON, indented, with a final line end; text that UTF-8 can hold.

    Raises
    ------
    InvalidInputError
        If there is a lone surrogate in it, or an integer of more than 4300 digits.
    """
    try:
        text = json.dumps(jsonable(payload), indent=2, allow_nan=False, ensure_ascii=False)
        text.encode()
    except InvalidInputError:
        raise
    except ValueError as error:  # UnicodeEncodeError too
        raise invalid("payload", got=shown(str(error), 100), expected="what JSON can say") from None
    return text + "\n"


def from_here(path: Path) -> Path:
    """A path from the working directory, where it lies in it; else as it is.

    Examples
    --------
    >>> str(from_here(Path.cwd() / "results" / "fig4.json")), from_here(Path("fig4.json")).name
    ('results/fig4.json', 'fig4.json')
    """
    here = Path.cwd()
    return path.relative_to(here) if path.is_relative_to(here) else path


def as_path(path: str | os.PathLike[str], name: str) -> Path:
    """A path that the system can look up, whether or not something is there.

    Raises
    ------
    InvalidInputError
        If it is no text, holds a NUL, or is too long; the message calls it ``name``.
    """
    try:
        found = Path(path)
    except TypeError as error:
        raise invalid(name, got=f"{shown(path)} ({error})", expected="a path") from None
    try:
        found.stat()
    except FileNotFoundError:
        return found
    except ValueError as error:
        raise invalid(name, got=f"{shown(path)} ({error})", expected="a path") from None
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:
            raise invalid(
                name,
                got=f"a path of {len(os.fspath(path))} characters ({error.strerror})",
                expected="a shorter path",
            ) from None
    return Path(path)


def as_folder(out_dir: str | os.PathLike[str]) -> Path:
    """``out_dir`` as a folder that exists.

    Raises
    ------
    InvalidInputError
        If it cannot be one.
    """
    folder = as_path(out_dir, "out")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InvalidInputError(
            f"out: got {folder}, which cannot be a folder ({error.strerror}); expected a folder, "
            "which may be new."
        ) from None
    return folder
