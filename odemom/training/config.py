"""What a training is asked to do, and what came of it."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from odemom.checks import as_eps, as_initial_velocity, as_integer, as_number, expect, shown
from odemom.records import jsonable

__all__ = ["TrainingConfig", "TrainingResult"]

NAMES_OF_DATA = ("digits",)
ACCELERATORS = ("auto", "cpu", "gpu", "mps")


@dataclass(frozen=True)
class TrainingConfig:
    """A training, in full: equal configurations on the same machine give equal weights.

    Parameters
    ----------
    data : {"digits"}
        The data set.
    order : {2, 1}
        The order of the ODE blocks.
    eps : number, default 1.0
        The mass, in (0, inf]; first-order networks do not use it.
    initial_velocity : {"zero", "field"}
        See `ODEBlock`; first-order networks take ``"zero"``.
    width : int, default 24
        Channels of the first stage, a multiple of 8.
    epochs, batch_size : int
        Passes through the training images, and images per step.
    learning_rate : float
        The peak of the one-cycle schedule, which spans all epochs.
    weight_decay : float
        Of AdamW.
    seed : int
        Of the splits, the initial weights and the order of the images.
    method, rtol, atol, adjoint
        See `ODEBlock`. Fixed-step methods take a step of a tenth of the horizon.
    accelerator : {"auto", "cpu", "gpu", "mps"}
        What Lightning trains on.
    threads : int, default 1
        Threads of PyTorch on the CPU. The tensors are small: a second thread gains a third at most,
        and on a machine that has other work the threads wait for each other many times as long.

    Raises
    ------
    InvalidInputError
        If a value is outside its domain.

    Examples
    --------
    >>> TrainingConfig(order=1, seed=3).eps
    1.0
    """

    data: str = "digits"
    order: Literal[1, 2] = 2
    eps: Any = 1.0
    initial_velocity: Literal["zero", "field"] = "zero"
    width: int = 24
    epochs: int = 15
    batch_size: int = 64
    learning_rate: float = 0.01
    weight_decay: float = 0.01
    seed: int = 0
    method: str = "dopri5"
    rtol: float = 1e-3
    atol: float = 1e-3
    adjoint: bool = False
    accelerator: str = "auto"
    threads: int = 1

    def __post_init__(self) -> None:
        _one_of("data", self.data, NAMES_OF_DATA)
        _one_of("order", self.order, (1, 2))
        _one_of("accelerator", self.accelerator, ACCELERATORS)
        as_initial_velocity(self.initial_velocity)
        at_least = {"epochs": 1, "batch_size": 1, "width": 8, "seed": 0, "threads": 1}
        for name, least in at_least.items():
            as_integer(getattr(self, name), name, least)
        expect(self.width % 8 == 0, "width", got=str(self.width), expected="a multiple of 8")
        for name in ("learning_rate", "rtol", "atol"):
            _number(name, getattr(self, name), "a finite number > 0", least=math.ulp(0.0))
        _number("weight_decay", self.weight_decay, "a finite number >= 0", least=0.0)
        # A plain double, so that configurations compare and go through JSON.
        object.__setattr__(self, "eps", float(as_eps(self.eps)))

    def block(self) -> dict[str, Any]:
        """The parameters of `ODEBlock` other than the field and the order."""
        from odemom.nn.ode.checks import FIXED_STEP_METHODS

        options = {"step_size": 0.1} if self.method in FIXED_STEP_METHODS else None
        names = ["initial_velocity", "method", "rtol", "atol", "adjoint"]
        names += ["eps"] if self.order == 2 else []  # a first-order equation has none
        return {name: getattr(self, name) for name in names} | {"options": options}

    def to_dict(self) -> dict[str, Any]:
        """The fields in the types of JSON."""
        return jsonable(self, "config")


@dataclass(frozen=True)
class TrainingResult:
    """What came of a training; the same numbers stand in ``result.json``.

    Attributes
    ----------
    config : TrainingConfig
    test_accuracy : float
        Share of test images classified correctly, with the weights after the last epoch: the test
        set has no say in which weights are kept.
    mean_nfe : float
        Evaluations of the fields in a forward pass, summed over the blocks, mean over the test
        batches.
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
        The state after the last epoch, and that of the best validation accuracy.
    csv : Path
        The history as a table.
    """

    config: TrainingConfig
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
        return {f.name: jsonable(getattr(self, f.name), f.name) for f in dataclasses.fields(self)}


def _one_of(name: str, value: Any, known: tuple[Any, ...]) -> None:
    fits = not isinstance(value, bool) and isinstance(value, str | int) and value in known
    expect(fits, name, got=shown(value), expected="one of " + ", ".join(map(repr, known)))


def _number(name: str, value: Any, expected: str, *, least: float) -> None:
    number = float(as_number(value, name, expected))
    expect(least <= number < math.inf, name, got=shown(value), expected=expected)
