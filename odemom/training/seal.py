"""A checksum at the end of a checkpoint, so that a byte that flips on disk is seen.

PyTorch's files are ZIP archives, and read as before: the checksum is the comment of the archive.
"""

from __future__ import annotations

import hashlib
import zipfile
from pathlib import Path

__all__ = ["is_whole", "sealed"]

MARK = b"odemom sha256 "
SEAL = len(MARK) + 64
END = b"PK\x05\x06"  # of an archive; its record, 22 bytes, ends with the length of the comment
END_LENGTH = 22


def sealed(archive: bytes) -> bytes:
    """The archive with the digest of all its bytes as its comment.

    Examples
    --------
    >>> import io, torch
    >>> torch.save({"x": 1}, buffer := io.BytesIO())
    >>> content = sealed(buffer.getvalue())
    >>> torch.load(io.BytesIO(content), weights_only=True)
    {'x': 1}
    """
    body = archive[:-2] + SEAL.to_bytes(2, "little")
    return body + MARK + hashlib.sha256(body).hexdigest().encode()


def is_whole(path: Path) -> bool:
    """Whether a file is as `sealed` left it, or, without a seal, an archive with right checksums.

    Raises
    ------
    OSError
        If the file cannot be read.
    """
    with open(path, "rb") as stream:
        size = stream.seek(0, 2)
        stream.seek(max(0, size - SEAL))
        seal = stream.read()
        if seal.startswith(MARK):
            stream.seek(0)
            digest = hashlib.sha256()
            left = size - SEAL
            while left > 0:
                block = stream.read(min(left, 1 << 20))
                digest.update(block)
                left -= len(block)
            return seal == MARK + digest.hexdigest().encode()
    return _is_archive(path, seal)


def _is_archive(path: Path, end: bytes) -> bool:
    """Whether it is an archive without a comment, as other programs write it, and whole."""
    record = end[-END_LENGTH:]
    if not (record.startswith(END) and record.endswith(b"\0\0")):
        return False
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.testzip() is None
    except (zipfile.BadZipFile, ValueError, NotImplementedError, RuntimeError, EOFError):
        return False
