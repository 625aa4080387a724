"""Checkpoints of a training on disk: whole or not at all, and none of another one beside them."""

from __future__ import annotations

import io
import os
from collections.abc import Container
from pathlib import Path
from typing import Any

import torch

from odemom.checks import expect, optional_import
from odemom.errors import InvalidInputError
from odemom.records import write_bytes_atomic
from odemom.training.seal import is_whole, sealed

plugins = optional_import("lightning.pytorch.plugins.io", "train")
callbacks = optional_import("lightning.pytorch.callbacks", "train")
rank_zero = optional_import("lightning.pytorch.utilities.rank_zero", "train")

__all__ = ["LAST", "CheckpointFiles", "Checkpoints", "remove_results"]

LAST, BEST = "last.ckpt", "best.ckpt"
RESULTS = (f"checkpoints/{BEST}", "result.json", "transform.json")
CURVES = "tensorboard/events.out.tfevents.*"


class CheckpointFiles(plugins.TorchCheckpointIO):
    """Lightning's checkpoints, of which the old one stands until the new one is on disk.

    Parameters
    ----------
    folder : Path
        Where they are written to. What another training has left there, with its result, is
        removed once this one has written a checkpoint of its own.
    resume : Path, optional
        The checkpoint that the training goes on from.
    """

    def __init__(self, folder: Path, resume: Path | None = None) -> None:
        super().__init__()
        self.folder = folder
        self._begun = False
        self._last = resume
        self._best: Path | None = None
        self._about = {} if resume is None else _about(resume)
        if resume is not None:
            self.look_for_best(resume)

    @property
    def best(self) -> Path | None:
        """The best state of this training that is on disk."""
        return self._best

    @property
    def last(self) -> Path | None:
        """The last state of this training that is on disk, or one that is as good to go on from."""
        last = self.folder / LAST
        if self._last is None and rank_zero.rank_zero_only.rank:
            return last if last.exists() else None  # the first process has written it
        return self._last or self._best

    def look_for_best(self, beside: Path) -> None:
        """Take the best state that lies beside a file, if it is one of this training."""
        best = beside.with_name(BEST)
        if self._best is None and best.is_file() and _are_of_one(self._about, _about(best)):
            self._best = best

    def _wrote(self, path: Path) -> None:
        if path.name == LAST:
            self._last = path
        if path.name == BEST:
            self._best = path
        if self._begun:
            return
        self._begun = True
        own = self.folder / BEST
        if self._best is not None and self._best.resolve() != own.resolve():
            # The best until then goes with it into another folder.
            self._best = write_bytes_atomic(own, self._best.read_bytes())
        remove_results(self.folder.parent, () if self._best is None else (BEST,))

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: str | os.PathLike[str], storage_options: Any = None
    ) -> None:
        """Write beside ``path``, then rename.

        Raises
        ------
        InvalidInputError
            If there is no room; the file of before is whole.
        """
        buffer = io.BytesIO()
        torch.save(checkpoint, buffer)
        try:
            write_bytes_atomic(path, sealed(buffer.getvalue()))
        except InvalidInputError as error:
            if self.last is not None:
                kept = f"The one before is whole: make room, then --resume {self.last}."
            else:
                kept = "This training had written none before."
            raise InvalidInputError(
                f"{error} The checkpoint has {len(buffer.getvalue()) / 1e6:.1f} MB. {kept}"
            ) from None
        self._wrote(Path(path))


def _about(path: Path) -> dict[str, Any]:
    """What a checkpoint says of itself; nothing if it cannot be read."""
    try:
        if is_whole(path):
            return torch.load(path, map_location="cpu", weights_only=True)["odemom"]
    except Exception:  # a damaged pickle or archive can raise nearly anything
        return {}
    return {}


def _are_of_one(one: dict[str, Any], other: dict[str, Any]) -> bool:
    """Whether two checkpoints are states of one training: of two epochs both have the earlier."""
    if not one or not other or any(one.get(n) != other.get(n) for n in ("images", "origin")):
        return False
    configs = [{**a["config"], "data": "", "root": ""} for a in (one, other)]  # these may move
    rows = [
        [{name: x for name, x in row.items() if name != "seconds"} for row in a["history"]]
        for a in (one, other)
    ]
    common = min(map(len, rows))
    return configs[0] == configs[1] and rows[0][:common] == rows[1][:common]


def remove_results(folder: Path, keep: Container[str] = (), *, trained: bool = True) -> None:
    """Remove what an earlier training has left in a folder and nothing will replace at once.

    Parameters
    ----------
    folder : Path
        The ``--out`` of a training.
    keep : container of str
        Names of files that stay.
    trained : bool, default True
        Whether a training writes there; otherwise the tables go too.
    """
    tables = [] if trained else [folder / "metrics.csv", *folder.glob(CURVES)]
    for left in (*(folder / name for name in RESULTS), *tables):
        if left.name not in keep:
            left.unlink(missing_ok=True)


def refuse_to_replace(start: Path | None, folder: Path) -> None:
    """Refuse to write where the checkpoint lies that a training starts with.

    Parameters
    ----------
    start : Path or None
        That checkpoint, if there is one.
    folder : Path
        The ``--out`` of the training.

    Raises
    ------
    InvalidInputError
    """
    inside = start is not None and start.resolve().parent == (folder / "checkpoints").resolve()
    expect(
        not inside,
        "out",
        got=f"{folder}, where {start} lies, with which it starts",
        expected="another folder: the checkpoints there would be replaced",
    )


class Checkpoints(callbacks.ModelCheckpoint):
    """When checkpoints are written; the best score is known in whatever folder it goes on.

    Parameters
    ----------
    files : CheckpointFiles
    **options
        Those of Lightning's ``ModelCheckpoint``, without the folder.
    """

    def __init__(self, files: CheckpointFiles, **options: Any) -> None:
        super().__init__(dirpath=files.folder, enable_version_counter=False, **options)
        self._files = files

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take up what was the best, as of this folder, into which its file goes too."""
        if self.monitor is not None:
            self._files.look_for_best(Path(state_dict["best_model_path"] or BEST))
            score = state_dict["best_model_score"]
            if score is None or self._files.best is None:
                return  # the next epoch is the best then
            at = str(self._files.folder / BEST)
            paths = {"best_model_path": at, "kth_best_model_path": at, "dirpath": self.dirpath}
            state_dict = {**state_dict, **paths, "best_k_models": {at: score}}
        super().load_state_dict(state_dict)
