"""What is to hold a matrix: its bytes, read within a limit, and the form of what is said of it."""

from __future__ import annotations

import os
import stat
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from odemom.checks import shown
from odemom.errors import MatrixFileError, OdemomError, OdemomWarning

__all__ = [
    "FORMATS",
    "MOST_BYTES",
    "MOST_ENTRIES",
    "MatrixFileNote",
    "Source",
    "source_of_file",
    "source_of_stream",
]

FORMATS = ".npy, .npz, .mat, .pt, .csv, .json, .mtx, or text with white space (.txt, .dat, none)"
# Of text 2,000 x 2,000 doubles take 80 MB; of a binary format 10,000 x 10,000 take 800 MB.
MOST_BYTES = {"text": 2**28, "binary": 2**30}
# 4,096 x 4,096: beyond what is decided in a reasonable time, and within memory as Python's objects.
MOST_ENTRIES = 2**24
LONGEST_NAME = 200


class MatrixFileNote(OdemomWarning):
    """What of a file was taken as the matrix, where it holds more."""


@dataclass(frozen=True)
class Source:
    """Bytes that are to hold a matrix.

    Attributes
    ----------
    name : str
        What messages call them: a path, or "standard input".
    content : bytes
    """

    name: str
    content: bytes

    def error(self, message: str) -> MatrixFileError:
        """The error of this source."""
        return MatrixFileError(f"{_short(self.name)}: {message}")

    def unreadable(self, why: str) -> MatrixFileError:
        """The error of a source that is no matrix file."""
        return _unreadable(self.name, why)

    def note(self, message: str) -> None:
        """Say what was taken as the matrix, as a warning."""
        warnings.warn(f"{_short(self.name)}: {message}", MatrixFileNote, stacklevel=4)

    def require_entries(self, count: int) -> None:
        """Refuse more entries than `MOST_ENTRIES`."""
        if count > MOST_ENTRIES:
            raise self.unreadable(f"it has more than {MOST_ENTRIES:,} entries")

    def text(self) -> str:
        """The content as text, line ends as they are."""
        try:
            text = self.content.decode("utf-8-sig")
        except UnicodeDecodeError:
            raise self.unreadable("it is not text; is the suffix right?") from None
        if "\0" in text:
            raise self.unreadable("it is not text: there is a NUL in it; is the suffix right?")
        return text

    @contextmanager
    def read_elsewhere(self, what: str) -> Iterator[None]:
        """Turn whatever another package raises over damaged content into the error of the source.

        Parsers of binary formats raise what their authors did not foresee: any exception says that
        the content is not what it claims to be.
        """
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                yield
        except OdemomError:
            raise
        except MemoryError:
            raise self.unreadable(f"too large for memory, or not a complete {what}") from None
        except Exception as error:
            said = shown(str(error) or type(error).__name__, 100)
            raise self.unreadable(f"not a complete {what} ({said})") from None


def source_of_file(path: Path, kind: str) -> Source:
    """The bytes of a file or pipe, of kind "text" or "binary", within the limit of the kind.

    Raises
    ------
    MatrixFileError
        If there is no such file, or it is a folder, a device, or too large.
    """
    try:
        if path.is_dir():
            raise _unreadable(str(path), "it is a folder")
        with path.open("rb") as stream:
            mode = os.fstat(stream.fileno()).st_mode
            device = stat.S_ISCHR(mode) or stat.S_ISBLK(mode)
            if device and not stream.isatty():
                raise _unreadable(str(path), "it is a device")
            return source_of_stream(stream, str(path), kind)
    except FileNotFoundError:
        raise _unreadable(str(path), "there is no such file") from None
    except OSError as error:
        raise _unreadable(str(path), error.strerror or str(error)) from None
    except MemoryError:
        raise _unreadable(str(path), "too large for memory") from None
    except ValueError as error:
        if isinstance(error, OdemomError):
            raise
        raise _unreadable(str(path), f"it is no path ({error})") from None


def source_of_stream(stream: IO[bytes], name: str, kind: str) -> Source:
    """The bytes that a stream still gives, within the limit of the kind."""
    most = MOST_BYTES[kind]
    content = stream.read(most + 1)
    if len(content) > most:
        raise _unreadable(name, _too_large(kind))
    return Source(name, content)


def _unreadable(name: str, why: str) -> MatrixFileError:
    return MatrixFileError(
        f"{_short(name)}: cannot be read: {why}. Expected a matrix in {FORMATS}."
    )


def _too_large(kind: str) -> str:
    return f"it is larger than {MOST_BYTES[kind] >> 20} MiB, the most that is read of a {kind} file"


def _short(name: str) -> str:
    if len(name) <= LONGEST_NAME:
        return name
    return f"{name[: LONGEST_NAME // 2]}...{name[-LONGEST_NAME // 2 :]}"
