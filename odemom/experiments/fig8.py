"""Figure 8: accuracy against time when the memory of a training step is limited.

The process that trains is limited in earnest. The momentum twin, which recomputes, fits a larger
batch into it than the ResNet; each takes the largest of a list that fits, with a learning rate in
proportion. Time is that of the training steps alone; accuracy that on 2,000 test images.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from odemom.checks import as_integer, counted, expect, shown
from odemom.experiments._capped_training import Capped, CappedOnes, Learning
from odemom.experiments._image_trainings import ImageConfig, check_family
from odemom.experiments.frame import Claim, Experiment

__all__ = ["EXPERIMENT", "Config", "Network", "UnderACap"]

WHERE = "Section 5.2, Figure 8"
FAMILIES = ("resnet20", "resnet56", "resnet110", "resnet1202", "resnet18", "resnet50", "resnet101")
KINDS = ("ResNet", "twin")


@dataclass(frozen=True)
class Config(ImageConfig):
    """What is trained, and in how much memory.

    Parameters
    ----------
    family : str
        The ResNet, as `odemom.models.build_model` names it.
    gamma : float
        Of the twin.
    megabytes : int
        What a step may take beyond images, weights, gradients and the optimizer's state.
    batches : tuple of int
        Images of a step to try, rising.

    Raises
    ------
    InvalidInputError
        If a parameter is outside its domain.

    Notes
    -----
    Of the fields of `ImageConfig`, ``batch_size``, ``optimizer``, ``precision``, ``compile`` and
    ``channels_last`` are not used: steps are of SGD in single precision.
    """

    family: str = "resnet56"
    gamma: float = 0.9
    megabytes: int = 100
    batches: tuple[int, ...] = (4, 8, 16, 32, 64, 128, 256, 512)
    seeds: int = 1
    limit: int = 2_000
    epochs: int = 6

    def __post_init__(self) -> None:
        super().__post_init__()
        check_family(self.family, FAMILIES)
        expect(0 < self.gamma < 1, "gamma", got=shown(self.gamma), expected="a number in (0, 1)")
        as_integer(self.megabytes, "megabytes", 1)
        for batch in self.batches:
            as_integer(batch, "batches", 1)
        rising = len(self.batches) > 0 and all(np.diff(self.batches) > 0)
        expect(bool(rising), "batches", got=shown(self.batches), expected="1 or more, rising")
        self.require_one_rate()


@dataclass(frozen=True)
class Network:
    """One of `KINDS` with its trainings, one per seed."""

    kind: str
    runs: tuple[Learning, ...]

    @property
    def batch(self) -> int:
        """The images of a step."""
        return self.runs[0].batch

    @property
    def seconds(self) -> np.ndarray:
        """After each epoch, mean over the seeds."""
        return np.array([run.seconds for run in self.runs]).mean(axis=0)

    @property
    def accuracies(self) -> np.ndarray:
        """After each epoch, mean over the seeds."""
        return np.array([run.accuracies for run in self.runs]).mean(axis=0)

    def reaches(self, accuracy: float) -> float:
        """Seconds until it has an accuracy; inf if it never has."""
        there = np.flatnonzero(self.accuracies >= accuracy)
        return float(self.seconds[there[0]]) if there.size else float("inf")


@dataclass(frozen=True)
class UnderACap:
    """The numbers of Figure 8.

    Attributes
    ----------
    source, family, device : str
    gamma : float
    megabytes, limit : int
    networks : tuple of Network
    """

    source: str
    family: str
    device: str
    gamma: float
    megabytes: int
    limit: int
    networks: tuple[Network, ...]

    def __getitem__(self, kind: str) -> Network:
        """The trainings of one of `KINDS`."""
        return next(network for network in self.networks if network.kind == kind)


def tasks(config: Config) -> list[CappedOnes]:
    """One task per seed."""
    twin = tuple(sorted({"gamma": config.gamma, "reversible": True}.items()))

    def one(kind: str, seed: int) -> Capped:
        plain = kind == "ResNet"
        return Capped(
            model=config.family if plain else f"momentum-{config.family}",
            options=() if plain else twin,
            data=config.data,
            root=config.root,
            device=config.device,
            augment=config.augment,
            limit=config.limit,
            seed=seed,
            epochs=config.epochs,
            rate=float(config.learning_rates[0]),
            weight_decay=config.weight_decay,
            megabytes=config.megabytes,
            batches=config.batches,
        )

    return [CappedOnes(tuple(one(kind, seed) for kind in KINDS)) for seed in config.all_seeds]


def run(task: CappedOnes) -> tuple[Learning, ...]:
    """Train both networks under the limit."""
    return task.train()


def gather(config: Config, found: Sequence[tuple[Learning, ...]]) -> UnderACap:
    """Both networks."""
    networks = tuple(Network(k, tuple(both[n] for both in found)) for n, k in enumerate(KINDS))
    return UnderACap(
        source=found[0][0].source,
        family=config.family,
        device=config.device,
        gamma=config.gamma,
        megabytes=config.megabytes,
        limit=config.limit,
        networks=networks,
    )


def claims(data: UnderACap) -> list[Claim]:
    """What the figure shows."""
    plain, twin = (data[kind] for kind in KINDS)
    goal = min(plain.accuracies.max(), twin.accuracies.max())
    times = [network.reaches(goal) for network in (plain, twin)]
    enough = data.source != "digits"
    seeds = counted(len(plain.runs), "seed")
    where = f"{data.family}, {data.megabytes} MB for a step, {data.device}"
    return [
        Claim.judged(
            "in the same memory the momentum twin trains with a larger batch than the ResNet",
            WHERE,
            f"{where}: {plain.batch} images for the ResNet, {twin.batch} for the twin",
            bool(twin.batch > plain.batch) if enough else None,
        ),
        Claim.judged(
            "in the same memory the twin, with its larger batch, reaches an accuracy earlier",
            WHERE,
            f"{where}, {data.source}, {seeds}: {100 * goal:.1f} % after "
            f"{times[0]:,.0f} s by the ResNet, after {times[1]:,.0f} s by the twin; in the end "
            f"{100 * plain.accuracies[-1]:.1f} % and {100 * twin.accuracies[-1]:.1f} %",
            bool(times[1] < times[0]) if enough else None,
        ),
    ]


EXPERIMENT = Experiment(
    config=Config,
    quick=Config(
        data="digits", family="resnet20", limit=100, epochs=1, augment="none", megabytes=30,
        batches=(4, 50),
    ),
    tasks=tasks,
    run=run,
    gather=gather,
    claims=claims,
)  # fmt: skip
