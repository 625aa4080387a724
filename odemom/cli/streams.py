"""Standard output and error: text wrapped on a terminal, and a reader who leaves is no error."""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import textwrap
from collections.abc import Iterator
from typing import IO, Any, cast

__all__ = ["PatientStream", "patient_streams", "wrapped"]


class PatientStream:
    """A text stream that goes on in silence once nobody reads it: ``odemom check ... | head -1``.

    The status of the program is that of its work then, and no other. Characters that the encoding
    of the stream does not have, such as a ³ in ASCII, are written as escapes.

    Parameters
    ----------
    stream : text stream

    Attributes
    ----------
    lost : OSError or None
        What kept the text from being written, where it was not a reader who had left: a full disk.
    """

    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream
        self.lost: OSError | None = None

    def write(self, text: str) -> int:
        """Write the text, or drop it where it cannot be written."""
        with self._dropping():
            try:
                self._stream.write(text)
            except UnicodeEncodeError as error:
                encoded = text.encode(error.encoding, "backslashreplace")
                self._stream.write(encoded.decode(error.encoding))
        return len(text)

    def flush(self) -> None:
        """Flush what was written, or drop it."""
        with self._dropping():
            self._stream.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    @contextlib.contextmanager
    def _dropping(self) -> Iterator[None]:
        try:
            yield
        except BrokenPipeError:
            self._leave()
        except OSError as error:
            self.lost = error
            self._leave()

    def _leave(self) -> None:
        """What the stream still holds, and all that comes, goes nowhere."""
        nowhere = os.open(os.devnull, os.O_WRONLY)
        try:
            os.dup2(nowhere, self._stream.fileno())
        finally:
            os.close(nowhere)


@contextlib.contextmanager
def patient_streams() -> Iterator[list[PatientStream]]:
    """Make ``sys.stdout`` and ``sys.stderr`` patient for a while; those that there are."""
    before = sys.stdout, sys.stderr
    patient = [None if stream is None else PatientStream(stream) for stream in before]
    sys.stdout, sys.stderr = cast(Any, patient)
    found = [stream for stream in patient if stream is not None]
    try:
        yield found
    finally:
        for stream in found:
            stream.flush()
        sys.stdout, sys.stderr = before


def wrapped(text: str, stream: Any, indent: str = "") -> str:
    """Text with lines as wide as the terminal, broken between words; as it is where there is none.

    Parameters
    ----------
    text : str
    stream : text stream or None
        Where it is to be printed.
    indent : str
        What the lines that were broken off begin with.
    """
    if stream is None or not stream.isatty():
        return text
    columns = shutil.get_terminal_size().columns
    wrapper = textwrap.TextWrapper(
        max(columns, len(indent) + 20),
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
        replace_whitespace=False,
    )
    return "\n".join(wrapper.fill(line) for line in text.split("\n"))
