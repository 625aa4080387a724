"""Finished chunks of a survey on disk, so that an interrupted one goes on where it was."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from pathlib import Path
from typing import Any

from odemom.checks import expect, invalid

__all__ = ["ChunkKey", "ChunkStore"]

ChunkKey = tuple[str, int, int, int]  # ensemble, dimension, index, samples


@dataclasses.dataclass(frozen=True)
class ChunkStore:
    """JSON lines in ``folder``, one a finished chunk, appended as they come.

    The file name holds a digest of all that a chunk depends on besides its own key, so that
    surveys that differ never share a file, and one that only asks for more goes on with it.
    """

    path: Path

    @classmethod
    def of(cls, folder: Path, dependencies: Any) -> ChunkStore:
        """The store of the surveys with these ``dependencies``, any JSON value."""
        expect(
            folder.is_dir() or not folder.exists(),
            "out",
            got=f"{folder}, which is a file",
            expected="a folder, which may be new",
        )
        digest = hashlib.sha256(json.dumps(dependencies).encode()).hexdigest()[:12]
        return cls(folder / f"survey.{digest}.parts.jsonl")

    def load(self) -> dict[ChunkKey, dict[str, Any]]:
        """The chunks that were finished. A last line that was cut off is dropped, from disk too."""
        if not self.path.exists():
            return {}
        found, whole = {}, 0
        with open(self.path, "rb") as stream:
            for line in stream:
                if not line.endswith(b"\n"):
                    break
                key, result = self._parsed(line)
                found[key] = result
                whole += len(line)
        with open(self.path, "r+b") as stream:
            stream.truncate(whole)
        return found

    def _parsed(self, line: bytes) -> tuple[ChunkKey, dict[str, Any]]:
        try:
            (ensemble, dimension, index, samples), result = json.loads(line)
            return (str(ensemble), int(dimension), int(index), int(samples)), dict(result)
        except (ValueError, TypeError):
            raise invalid(
                "out",
                got=f"{self.path} with a line that is no chunk of a survey",
                expected="what an interrupted survey left",
                fix="Delete the file to start again.",
            ) from None

    def append(self, key: ChunkKey, result: dict[str, Any]) -> None:
        """Add a finished chunk."""
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with open(self.path, "a", encoding="utf-8", newline="\n") as stream:
                stream.write(json.dumps([list(key), result]) + "\n")
        except OSError as error:
            raise invalid(
                "out",
                got=f"{self.path.parent}, which cannot be written to ({error.strerror})",
                expected="a folder, which may be new",
            ) from None

    def discard(self) -> None:
        """Remove the file, once the survey stands elsewhere."""
        self.path.unlink(missing_ok=True)
