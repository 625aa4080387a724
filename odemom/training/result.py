"""What came of a training."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from odemom.records import jsonable
from odemom.training.config import TrainingConfig

__all__ = ["TrainingResult"]


@dataclass(frozen=True)
class TrainingResult:
    """What came of a training; the same numbers stand in ``result.json``.

    Attributes
    ----------
    config : TrainingConfig
    source : str
        What the images are: "digits", "CIFAR-10 (JPEG)", the name of a folder.
    tested : int
        Number of test images.
    test_accuracy : float
        Share of test images classified correctly, with the weights after the last epoch: the test
        set has no say in which weights are kept.
    mean_nfe : float
        Evaluations of the fields in a forward pass, summed over the blocks, mean over the test
        batches; 0 for networks without ODE blocks.
    parameters : int
        Number of trainable scalars.
    seconds : float
        Wall-clock time of the epochs, including those before an interruption.
    history : tuple of dict
        A row per epoch: ``epoch`` (from 1), ``step``, ``train_loss``, ``validation_loss``,
        ``validation_accuracy``, ``nfe``, ``learning_rate``, ``seconds``.
    provenance : dict
        See `odemom.records.provenance`.
    checkpoint, best_checkpoint : Path
        The state after the last epoch, and that of the best validation accuracy; without a
        validation set the best one is the last.
    csv : Path
        The history as a table.
    """

    config: TrainingConfig
    source: str
    tested: int
    test_accuracy: float
    mean_nfe: float
    parameters: int
    seconds: float
    history: tuple[dict[str, float], ...]
    provenance: dict[str, Any]
    checkpoint: Path
    best_checkpoint: Path
    csv: Path

    @property
    def versions(self) -> dict[str, str]:
        """Versions of odemom, python and the packages that took part."""
        return self.provenance["versions"]

    def to_dict(self) -> dict[str, Any]:
        """The fields in the types of JSON."""
        fields = {f.name: jsonable(getattr(self, f.name), f.name) for f in dataclasses.fields(self)}
        return fields | {"config": self.config.in_force()}
