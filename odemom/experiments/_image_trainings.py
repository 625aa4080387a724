"""Trainings on images that several experiments are made of, and what is kept of each."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from odemom.checks import as_integer, as_number, counted, expect, shown
from odemom.data.names import NAMES_OF_DATA, check_data, placed
from odemom.experiments._image_step import StepRequest, Steps
from odemom.experiments._measuring import require_device
from odemom.experiments._spread import deviation
from odemom.records import check_fields
from odemom.training import TrainingConfig

__all__ = [
    "Compared", "ImageConfig", "Trained", "Training", "best_rate", "check_family", "said",
    "train_one", "tried",
]  # fmt: skip

DEVICES = ("cpu", "cuda")
IN_ALL = {"digits": 1293, "cifar10": 45_000, "cifar100": 45_000}
"""Training images, without those for validation."""
SHAPES = {"digits": (1, 10, 8), "cifar10": (3, 10, 32), "cifar100": (3, 100, 32)}
MOST_SEED = 2**32 - 1
"""The largest that NumPy's generators take."""


@dataclass(frozen=True)
class ImageConfig:
    """What the experiments on images have in common.

    Parameters
    ----------
    data, root : str
        The images: "digits", "cifar10", "cifar100" or a folder, and where they lie or are decoded
        to; an empty ``root`` is the user's cache (`odemom.data.images.load_images`).
    device : {"cpu", "cuda"}
    seeds : int
        Trainings per network: initial weights, order of the images, validation split.
    first_seed : int
        The seeds are ``first_seed``, ``first_seed + 1``, ...: a setting that was chosen on some
        seeds is put to the test on others.
    limit : int
        Training images; 0 takes all.
    epochs, batch_size : int
    learning_rates : tuple of float
        The grid, the same for every network: each takes the rate with the best mean accuracy on
        validation images.
    weight_decay : float
    optimizer : {"adamw", "sgd"}
    augment : {"none", "flip", "crop+flip"}
        Of the training images.
    precision : {"32", "bf16-mixed"}
    compile, channels_last : bool
        As in `TrainingConfig`.

    Raises
    ------
    InvalidInputError
        If a parameter is outside its domain.
    """

    data: str = "cifar10"
    root: str = ""
    device: str = "cpu"
    seeds: int = 2
    first_seed: int = 0
    limit: int = 0
    epochs: int = 10
    batch_size: int = 128
    learning_rates: tuple[float, ...] = (0.1,)
    weight_decay: float = 5e-4
    optimizer: str = "sgd"
    augment: str = "crop+flip"
    precision: str = "32"
    compile: bool = False
    channels_last: bool = False

    def __post_init__(self) -> None:
        check_fields(self)
        expect(self.device in DEVICES, "device", got=shown(self.device), expected='"cpu" or "cuda"')
        check_data(self.data)
        as_integer(self.seeds, "seeds", 1, MOST_SEED + 1)
        as_integer(self.first_seed, "first_seed", 0, MOST_SEED + 1 - self.seeds)
        as_integer(self.limit, "limit", 0)
        positive = "one or more different finite numbers > 0"
        rates = [as_number(rate, "learning_rates", positive) for rate in self.learning_rates]
        fits = rates and len(set(rates)) == len(rates) and all(0 < r < math.inf for r in rates)
        expect(bool(fits), "learning_rates", got=shown(self.learning_rates), expected=positive)
        rate = self.learning_rates[0]
        self.training("resnet20", {}, self.first_seed, rate).config()  # refuses the rest

    def _check_limit(self) -> None:
        """Refuse a number of images that the data do not have, before anything is measured."""
        least, most = self.shape[1] or 2, IN_ALL.get(self.data, math.inf)
        expect(
            self.limit == 0 or least <= self.limit <= most,
            "limit",
            got=str(self.limit),
            expected=f"at least {least}, one a class"
            + (f", and at most {most}, the number of training images" if most < math.inf else ""),
            fix="With 0 all are taken.",
        )

    def require_one_rate(self) -> None:
        """Refuse a grid of learning rates: of several none is chosen here.

        Raises
        ------
        InvalidInputError
        """
        expect(
            len(self.learning_rates) == 1,
            "learning_rates",
            got=shown(self.learning_rates),
            expected="one rate: this experiment does not choose among several",
            fix=f"Compute it for each of them: --set learning_rates={self.learning_rates[0]:g}.",
        )

    def steps(self, requests: Sequence[StepRequest]) -> Steps:
        """Steps with the images of the trainings.

        Raises
        ------
        InvalidInputError
            If the trainings would not have so many images, of which they know only later.
        """
        self._check_limit()
        if self.data in NAMES_OF_DATA:
            return Steps(tuple(requests))
        return Steps(tuple(requests), placed(self.data), self.root and str(Path.cwd() / self.root))

    @property
    def shape(self) -> tuple[int, int, int]:
        """Channels, classes, and height and width of the images; zeros: the folder tells."""
        return SHAPES.get(self.data, (0, 0, 0))

    @property
    def all_seeds(self) -> range:
        """The seeds of the trainings."""
        return range(self.first_seed, self.first_seed + self.seeds)

    def training(self, model: str, options: dict[str, Any], seed: int, rate: float) -> Training:
        """One training of a network."""
        return Training(
            model=model,
            options=tuple(sorted(options.items())),
            seed=seed,
            rate=float(rate),
            data=placed(self.data),
            root=self.root and str(Path.cwd() / self.root),
            device=self.device,
            limit=self.limit,
            epochs=self.epochs,
            batch_size=self.batch_size,
            weight_decay=self.weight_decay,
            optimizer=self.optimizer,
            augment=self.augment,
            precision=self.precision,
            compile=self.compile,
            channels_last=self.channels_last,
        )

    def trainings(self, model: str, options: dict[str, Any]) -> list[Training]:
        """Those of a network: every seed with every rate of the grid."""
        return [
            self.training(model, options, seed, rate)
            for rate in self.learning_rates
            for seed in self.all_seeds
        ]


@dataclass(frozen=True)
class Training:
    """One training: all that its outcome depends on."""

    model: str
    options: tuple[tuple[str, Any], ...]
    seed: int
    rate: float
    data: str
    root: str
    device: str
    limit: int
    epochs: int
    batch_size: int
    weight_decay: float
    optimizer: str
    augment: str
    precision: str
    compile: bool
    channels_last: bool

    def config(self) -> TrainingConfig:
        """The training in full."""
        return TrainingConfig(
            model=self.model,
            model_options=dict(self.options),
            seed=self.seed,
            data=self.data,
            root=self.root or None,
            limit=self.limit or None,
            epochs=self.epochs,
            batch_size=self.batch_size,
            learning_rate=self.rate,
            weight_decay=self.weight_decay,
            optimizer=self.optimizer,
            augment=self.augment,
            precision=self.precision,
            compile=self.compile,
            channels_last=self.channels_last,
            accelerator="gpu" if self.device == "cuda" else "cpu",
            deterministic=self.device == "cpu",
        )


@dataclass(frozen=True)
class Trained:
    """What came of one training.

    Attributes
    ----------
    source : str
        What the images are.
    rate : float
        The peak of the learning rate.
    seed, parameters : int
    test_accuracy : float
        With the weights after the last epoch.
    validation_accuracies, seconds : tuple of float
        After each epoch: accuracy on validation images, seconds since the start.
    """

    source: str
    rate: float
    seed: int
    parameters: int
    test_accuracy: float
    validation_accuracies: tuple[float, ...]
    seconds: tuple[float, ...]


def train_one(training: Training) -> Trained:
    """Train and test one network."""
    from odemom.training.run import train

    require_device(training.device)
    with tempfile.TemporaryDirectory() as folder:
        result = train(training.config(), out_dir=folder, progress=False)
    return Trained(
        source=result.source,
        rate=training.rate,
        seed=training.seed,
        parameters=result.parameters,
        test_accuracy=round(result.test_accuracy, 6),
        validation_accuracies=tuple(round(r["validation_accuracy"], 5) for r in result.history),
        seconds=tuple(round(r["seconds"], 2) for r in result.history),
    )


def best_rate(trained: Sequence[Trained]) -> tuple[Trained, ...]:
    """Of the trainings of one network those with the rate that is best on validation images.

    Examples
    --------
    >>> runs = [Trained("digits", r, 0, 1, 0.5, (a,), (1.0,)) for r, a in ((0.1, 0.6), (0.2, 0.7))]
    >>> [run.rate for run in best_rate(runs)]
    [0.2]
    """
    rates = dict.fromkeys(run.rate for run in trained)

    def mean(rate: float) -> float:
        return float(np.mean([r.validation_accuracies[-1] for r in trained if r.rate == rate]))

    best = max(rates, key=mean)
    return tuple(run for run in trained if run.rate == best)


def said(accuracies: np.ndarray) -> str:
    """A mean with its standard deviation over the seeds, in percent.

    Examples
    --------
    >>> said(np.array([0.5, 0.52]))
    '51.0 ± 1.4 %'
    """
    spread = f" ± {100 * deviation(accuracies):.1f}" if len(accuracies) > 1 else ""
    return f"{100 * accuracies.mean():.1f}{spread} %"


def tried(rates: int) -> str:
    """How many learning rates a network had, and how one was taken.

    Examples
    --------
    >>> tried(2)
    '2 learning rates for each, chosen on validation images'
    """
    chosen = ", chosen on validation images" if rates > 1 else ""
    return f"{counted(rates, 'learning rate')} for each{chosen}"


def check_family(family: str, known: Sequence[str]) -> None:
    """Refuse the name of a ResNet that an experiment does not know.

    Raises
    ------
    InvalidInputError
        If it is none of ``known``.
    """
    expect(family in known, "family", got=shown(family), expected="one of " + ", ".join(known))


class Compared:
    """What the networks that are compared have in common: their trainings, one per seed."""

    runs: tuple[Trained, ...]

    @property
    def accuracies(self) -> np.ndarray:
        """On the test images, seed by seed; shape (seeds,)."""
        return np.array([run.test_accuracy for run in self.runs])
