"""Figure 9: accuracy of first- and second-order ODE networks against the number of channels.

The network is `odemom.models.image_ode_net`: images are brought down to C channels, ten ODE blocks
follow, each one step of the classical Runge-Kutta method, and a linear head. The same network
without blocks stands beside it, for the head alone does much of the work. All have the same grid of
learning rates. Images are not cropped at random: a linear head on all places does not stand it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from odemom.checks import as_integer, counted, expect, shown
from odemom.experiments._image_trainings import (
    Compared,
    ImageConfig,
    Trained,
    Training,
    best_rate,
    said,
    train_one,
    tried,
)
from odemom.experiments._spread import deviation
from odemom.experiments.frame import Claim, Experiment

__all__ = ["EXPERIMENT", "Accuracies", "Config", "Network"]

KINDS = ("no block", "first order", "second order")
WHERE = "Section 5.2, Figure 9"


@dataclass(frozen=True)
class Config(ImageConfig):
    """Which networks are trained, and on what.

    Parameters
    ----------
    channels : tuple of int
        Numbers C of channels of the state, rising.
    blocks : int
        ODE blocks of a network.
    gradient : {"reversible", "backprop"}
        Of the blocks. Reversible steps are coupled, of the same order, and evaluate f twice as
        often; ``"backprop"`` is the classical method itself.
    stride : int
        Of the down-sampling.

    Raises
    ------
    InvalidInputError
        If a parameter is outside its domain.
    """

    channels: tuple[int, ...] = (2, 4, 8, 16)
    blocks: int = 10
    gradient: str = "backprop"
    stride: int = 4
    seeds: int = 4
    limit: int = 10_000
    epochs: int = 6
    batch_size: int = 64
    learning_rates: tuple[float, ...] = (5e-3,)
    weight_decay: float = 0.01
    optimizer: str = "adamw"
    augment: str = "flip"

    def __post_init__(self) -> None:
        super().__post_init__()
        for count in self.channels:
            as_integer(count, "channels", 1)
        rising = len(self.channels) > 0 and all(np.diff(self.channels) > 0)
        expect(bool(rising), "channels", got=shown(self.channels), expected="1 or more, rising")
        as_integer(self.blocks, "blocks", 1)
        as_integer(self.stride, "stride", 1)
        expect(
            self.gradient in ("reversible", "backprop"),
            "gradient",
            got=shown(self.gradient),
            expected='"reversible" or "backprop"',
        )

    def network(self, kind: str, channels: int) -> dict[str, object]:
        """The options of `odenet`."""
        options: dict[str, object] = {"channels": channels, "stride": self.stride}
        if kind == "no block":
            return options | {"blocks": 0}
        order = 1 if kind == "first order" else 2
        return options | {"blocks": self.blocks, "order": order, "gradient": self.gradient}


@dataclass(frozen=True)
class Network(Compared):
    """The trainings of one network, with its best rate.

    Attributes
    ----------
    kind : str
        One of `KINDS`.
    channels : int
    runs : tuple of Trained
        One per seed.
    """

    kind: str
    channels: int
    runs: tuple[Trained, ...]


@dataclass(frozen=True)
class Accuracies:
    """The numbers of Figure 9.

    Attributes
    ----------
    source : str
        What the images are.
    channels : tuple of int
    limit, epochs, rates : int
        Training images (0: all), epochs, and learning rates tried.
    networks : tuple of Network
    """

    source: str
    channels: tuple[int, ...]
    limit: int
    epochs: int
    rates: int
    networks: tuple[Network, ...]

    def accuracies(self, kind: str) -> np.ndarray:
        """On the test images, one row per number of channels, one column per seed."""
        return np.array([n.accuracies for n in self.networks if n.kind == kind])


def tasks(config: Config) -> list[Training]:
    """One task per network, rate and seed."""
    return [
        training
        for channels in config.channels
        for kind in KINDS
        for training in config.trainings("odenet", config.network(kind, channels))
    ]


def run(training: Training) -> Trained:
    """Train and test one network."""
    return train_one(training)


def gather(config: Config, found: Sequence[Trained]) -> Accuracies:
    """The networks with the rate that is best for each."""
    each = config.seeds * len(config.learning_rates)
    networks = []
    for n, (kind, count) in enumerate((k, c) for c in config.channels for k in KINDS):
        networks.append(Network(kind, count, best_rate(found[n * each : (n + 1) * each])))
    rates = len(config.learning_rates)
    return Accuracies(
        found[0].source, config.channels, config.limit, config.epochs, rates, tuple(networks)
    )


def claims(data: Accuracies) -> list[Claim]:
    """What the trainings show of the paper's claim, and of the blocks themselves."""
    none, first, second = (data.accuracies(kind) for kind in KINDS)
    seeds = first.shape[1]
    judged = seeds >= 3 and data.source != "digits"
    gain = second - first
    narrow, wide = gain[0], gain[1:].mean(axis=1)
    images = counted(data.limit, "image") if data.limit else "all images"
    effort = (
        f"{data.source}, {images}, {counted(data.epochs, 'epoch')}, {counted(seeds, 'seed')}, "
        f"{tried(data.rates)}"
    )

    def row(n: int) -> str:
        return (
            f"C = {data.channels[n]}: {said(first[n])}, {said(second[n])}, no block {said(none[n])}"
        )

    rows = "; ".join(row(n) for n in range(len(data.channels)))
    better = int((narrow > 0).sum())
    above = bool((np.minimum(first, second).mean(axis=1) > none.mean(axis=1)).all())
    error = deviation(gain, 1) / np.sqrt(seeds)
    differences = "; ".join(
        f"C = {c}: {100 * g:+.1f} ± {100 * e:.1f}"
        for c, g, e in zip(data.channels, gain.mean(axis=1), error, strict=True)
    )
    return [
        Claim.judged(
            f"with few channels (C = {data.channels[0]}) second-order blocks classify better than "
            "first-order ones, on three quarters of the seeds or more",
            WHERE,
            f"{better} of {counted(seeds, 'seed')}; first order, second order: {row(0)} ({effort})",
            bool(better >= 0.75 * seeds) if judged else None,
        ),
        Claim.judged(
            "the advantage of second order over first is largest with few channels",
            WHERE,
            f"second minus first order in points, ± standard error of the mean: {differences}",
            bool(narrow.mean() > wide.max()) if judged and wide.size else None,
        ),
        Claim.judged(
            "networks with blocks, of either order, classify better than the same network without",
            "beyond the paper",
            f"first order, second order: {rows}",
            above if judged else None,
        ),
    ]


EXPERIMENT = Experiment(
    config=Config,
    quick=Config(
        data="digits", channels=(2,), seeds=1, limit=200, epochs=1, batch_size=100, blocks=1,
        stride=2, augment="none",
    ),
    tasks=tasks,
    run=run,
    gather=gather,
    claims=claims,
)  # fmt: skip
