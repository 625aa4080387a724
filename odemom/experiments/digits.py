"""First- against second-order ODE networks on handwritten digits: Figure 9 in small.

Real images of 8 x 8 pixels, the same network but for the order of its ODE blocks; the test set is
looked at once, with the weights after the last epoch.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from odemom.checks import as_integer, counted, expect, shown
from odemom.experiments._spread import deviation
from odemom.experiments.frame import Claim, Experiment
from odemom.records import check_fields
from odemom.training import TrainingConfig

__all__ = ["EXPERIMENT", "Config", "Digits", "Run"]


@dataclass(frozen=True)
class Config:
    """Which networks are trained.

    Parameters
    ----------
    orders : tuple of int
        Of the ODE blocks: 1 and 2.
    seeds : int
        Trainings per order.
    epochs, batch_size, width
        As in `TrainingConfig`.

    Raises
    ------
    InvalidInputError
        If a parameter is outside its domain.
    """

    orders: tuple[int, ...] = (1, 2)
    seeds: int = 3
    epochs: int = 15
    batch_size: int = 64
    width: int = 24

    def __post_init__(self) -> None:
        check_fields(self)
        expect(
            len(self.orders) > 0 and len(set(self.orders)) == len(self.orders),
            "orders",
            got=shown(self.orders),
            expected="1, 2, or both",
        )
        as_integer(self.seeds, "seeds", 1)
        for task in tasks(self):
            task.config()  # refuses the rest


@dataclass(frozen=True)
class Task:
    """One training."""

    order: int
    seed: int
    epochs: int
    batch_size: int
    width: int

    def config(self) -> TrainingConfig:
        """The training in full."""
        return TrainingConfig(
            order=self.order,  # pyright: ignore[reportArgumentType]
            seed=self.seed,
            epochs=self.epochs,
            batch_size=self.batch_size,
            width=self.width,
        )


@dataclass(frozen=True)
class Run:
    """What came of one training.

    Attributes
    ----------
    order, seed : int
    test_accuracy : float
    mean_nfe : float
        Evaluations of the fields per forward pass, summed over the blocks.
    parameters : int
    history : tuple of dict
        One row per epoch: see `TrainingResult`.
    """

    order: int
    seed: int
    test_accuracy: float
    mean_nfe: float
    parameters: int
    history: tuple[dict[str, float], ...]


@dataclass(frozen=True)
class Digits:
    """All trainings.

    Attributes
    ----------
    orders : tuple of int
    runs : tuple of Run
    """

    orders: tuple[int, ...]
    runs: tuple[Run, ...]

    def accuracies(self, order: int) -> np.ndarray:
        """The test accuracies of an order, seed by seed."""
        return np.array([run.test_accuracy for run in self.runs if run.order == order])


def tasks(config: Config) -> list[Task]:
    """One task per order and seed."""
    rest = config.epochs, config.batch_size, config.width
    return [Task(order, seed, *rest) for order in config.orders for seed in range(config.seeds)]


def run(task: Task) -> Run:
    """Train and test one network."""
    from odemom.training.run import train

    with tempfile.TemporaryDirectory() as folder:
        result = train(task.config(), out_dir=folder, progress=False)
    return Run(
        task.order,
        task.seed,
        result.test_accuracy,
        result.mean_nfe,
        result.parameters,
        result.history,
    )


def gather(config: Config, runs: Sequence[Run]) -> Digits:
    """All trainings together."""
    return Digits(config.orders, tuple(runs))


def claims(data: Digits) -> list[Claim]:
    """What the trainings show."""
    found = {order: data.accuracies(order) for order in data.orders}
    measured = "; ".join(
        f"order {order}: {a.mean():.2%} ± {deviation(a):.2%} over {counted(len(a), 'seed')}"
        for order, a in found.items()
    )
    both = {1, 2} <= set(found)
    gain = found[2].mean() - found[1].mean() if both else 0.0
    spread = np.hypot(deviation(found[1]), deviation(found[2])) if both else 0.0
    return [
        Claim.judged(
            "second-order blocks classify more images than first-order ones, by more than the "
            "spread over seeds",
            "Section 5, Figure 9, here on digits",
            measured,
            bool(gain > spread) if both else None,
        )
    ]


EXPERIMENT = Experiment(
    config=Config,
    quick=Config(seeds=1, epochs=1, batch_size=256, width=8),
    tasks=tasks,
    run=run,
    gather=gather,
    claims=claims,
)
