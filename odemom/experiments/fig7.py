"""Figure 7: the memory of a training step against the batch at great depth; accuracy against it.

At depth 1,202 (1,201 convolutions and a linear layer) the peak of a step of the ResNet grows with
the batch and with every layer, that of its momentum twin, which recomputes exactly, with the batch
alone. The second part trains a few depths and sets their accuracy beside the memory of their steps,
in which every row of the twin recomputes in the way that takes less (`reversible="auto"`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from odemom.checks import as_integer, counted, expect, shown
from odemom.experiments._image_step import Step, StepRequest, Steps
from odemom.experiments._image_trainings import (
    Compared,
    ImageConfig,
    Trained,
    Training,
    said,
    train_one,
)
from odemom.experiments.frame import Claim, Experiment

__all__ = ["EXPERIMENT", "Config", "Memory", "Network"]

WHERE = "Section 5.2, Figure 7"
KINDS = ("ResNet", "twin")
LEAST_RATIO = 5
"""By how much less memory per image is what we call much less."""


@dataclass(frozen=True)
class Config(ImageConfig):
    """What is measured and trained.

    Parameters
    ----------
    deep : int
        Depth 6 n + 2 of the network whose steps are measured.
    batches : tuple of int
        Images of a step, rising; two or more.
    depths : tuple of int
        Those of the networks that are trained, rising.
    gamma : float
        Of the twins.

    Raises
    ------
    InvalidInputError
        If a parameter is outside its domain.
    """

    deep: int = 1202
    batches: tuple[int, ...] = (1, 2, 4, 8)
    depths: tuple[int, ...] = (20, 56)
    gamma: float = 0.9
    seeds: int = 1
    limit: int = 10_000
    epochs: int = 5

    def __post_init__(self) -> None:
        super().__post_init__()
        known = (20, 56, 110, 1202)
        for name, least in (("batches", 2), ("depths", 1)):
            values = getattr(self, name)
            for value in values:
                as_integer(value, name, 1)
            fits = len(values) >= least and all(np.diff(values) > 0)
            expect(bool(fits), name, got=shown(values), expected=f"{least} or more, rising")
        for depth in (self.deep, *self.depths):
            expect(depth in known, "depth", got=shown(depth), expected=f"one of {known}")
        self.require_one_rate()
        expect(0 < self.gamma < 1, "gamma", got=shown(self.gamma), expected="a number in (0, 1)")

    def network(self, kind: str, depth: int, *, recompute: bool) -> tuple[str, dict[str, object]]:
        """The name and the options of a network."""
        if kind == "ResNet":
            return f"resnet{depth}", {}
        reversible = "auto" if recompute else False
        return f"momentum-resnet{depth}", {"gamma": self.gamma, "reversible": reversible}

    def step(self, kind: str, depth: int, batch: int, repeats: int) -> StepRequest:
        """A step that is measured."""
        model, options = self.network(kind, depth, recompute=True)
        fields = model, tuple(sorted(options.items())), *self.shape, batch
        return StepRequest(*fields, self.device, self.precision, repeats)


@dataclass(frozen=True)
class Network(Compared):
    """A network that was trained, and a step of it in which a twin recomputes.

    The trainings of twins keep their activations, which is faster, with equal gradients up to
    rounding; the step is that of a network alone, without an optimizer.

    Attributes
    ----------
    kind : {"ResNet", "twin"}
    depth : int
    runs : tuple of Trained
    step : Step
    """

    kind: str
    depth: int
    runs: tuple[Trained, ...]
    step: Step


@dataclass(frozen=True)
class Memory:
    """The numbers of Figure 7.

    Attributes
    ----------
    source : str
    deep : int
    batches : tuple of int
    plain, twin : tuple of Step
        One per batch.
    batch_size : int
        Images of a step of the trainings.
    networks : tuple of Network
    """

    source: str
    deep: int
    batches: tuple[int, ...]
    plain: tuple[Step, ...]
    twin: tuple[Step, ...]
    batch_size: int
    networks: tuple[Network, ...]

    def megabytes(self, kind: str) -> np.ndarray:
        """Peaks at great depth, one per batch, in 10^6 bytes."""
        return np.array([s.peak for s in (self.plain if kind == "ResNet" else self.twin)]) / 1e6

    def slope(self, kind: str) -> float:
        """10^6 bytes per image, between the smallest and the largest batch."""
        peaks = self.megabytes(kind)
        return float((peaks[-1] - peaks[0]) / (self.batches[-1] - self.batches[0]))


@dataclass(frozen=True)
class Outcome:
    """Of a task: a training, or steps."""

    trained: Trained | None
    steps: tuple[Step, ...]


def tasks(config: Config) -> list[Training | Steps]:
    """The steps at great depth, those of the networks that are trained, and their trainings."""
    deep = [config.step(kind, config.deep, b, 1) for kind in KINDS for b in config.batches]
    own = [config.step(kind, d, config.batch_size, 1) for kind in KINDS for d in config.depths]
    trainings = [
        training
        for kind in KINDS
        for depth in config.depths
        for training in config.trainings(*config.network(kind, depth, recompute=False))
    ]
    return [config.steps([*deep, *own]), *trainings]


def run(task: Training | Steps) -> Outcome:
    """Measure steps, or train and test a network."""
    if isinstance(task, Steps):
        return Outcome(None, task.measure())
    return Outcome(train_one(task), ())


def gather(config: Config, found: Sequence[Outcome]) -> Memory:
    """Both parts of the figure."""
    steps, count = found[0].steps, len(config.batches)
    plain, twin, own = steps[:count], steps[count : 2 * count], steps[2 * count :]
    trained = [outcome.trained for outcome in found if outcome.trained is not None]
    which = [(kind, depth) for kind in KINDS for depth in config.depths]
    networks = tuple(
        Network(kind, depth, tuple(trained[n * config.seeds : (n + 1) * config.seeds]), own[n])
        for n, (kind, depth) in enumerate(which)
    )
    return Memory(
        source=trained[0].source,
        deep=config.deep,
        batches=config.batches,
        plain=plain,
        twin=twin,
        batch_size=config.batch_size,
        networks=networks,
    )


def claims(data: Memory) -> list[Claim]:
    """What the figure shows."""
    plain, twin = (data.slope(kind) for kind in KINDS)
    most = data.batches[-1]
    times = [b.seconds / a.seconds for a, b in zip(data.plain, data.twin, strict=True)]
    told = (
        f"depth {data.deep}: {plain:.1f} MB per image for the ResNet, {twin:.2f} for the twin; at "
        f"batch {most} {data.megabytes('ResNet')[-1]:,.0f} MB and "
        f"{data.megabytes('twin')[-1]:,.0f} MB; in {min(times):.2f} to {max(times):.2f} times the "
        "time, by the batch"
    )
    deep = data.deep > 1000
    rows = "; ".join(
        f"{n.kind} of depth {n.depth}: {said(n.accuracies)} in {n.step.peak / 1e6:,.0f} MB"
        for n in data.networks
    )
    runs = data.networks[0].runs
    epochs = counted(len(runs[0].validation_accuracies), "epoch")
    effort = f"{epochs}, {counted(len(runs), 'seed')}"
    return [
        Claim.judged(
            "at great depth the momentum twin needs much less memory per image of a batch than the "
            f"ResNet, {LEAST_RATIO} times less or better",
            WHERE,
            told,
            bool(plain > LEAST_RATIO * twin) if deep else None,
        ),
        Claim.judged(
            "the deepest twin that was trained is, in less memory, as accurate as the ResNet of "
            "its depth, within one point",
            WHERE,
            f"{data.source}, {effort}, batch {data.batch_size}: {rows}",
            _as_accurate(data),
        ),
    ]


def _as_accurate(data: Memory) -> bool | None:
    if data.source == "digits":
        return None
    depth = max(n.depth for n in data.networks)
    plain, twin = (
        next(n for n in data.networks if (n.kind, n.depth) == (kind, depth)) for kind in KINDS
    )
    better = twin.step.peak < plain.step.peak
    return bool(better and twin.accuracies.mean() >= plain.accuracies.mean() - 0.01)


EXPERIMENT = Experiment(
    config=Config,
    quick=Config(
        data="digits", limit=100, epochs=1, batch_size=50, augment="none", deep=20,
        batches=(2, 8), depths=(20,),
    ),
    tasks=tasks,
    run=run,
    gather=gather,
    claims=claims,
)  # fmt: skip
