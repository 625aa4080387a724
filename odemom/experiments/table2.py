"""Table 2: accuracy of a ResNet, of its momentum twins and of a RevNet of equal size.

All are trained alike, and each takes its own learning rate from the same grid. Beside the accuracy
stand the memory and the time of a training step: of the ResNet, of the twins as they recompute, and
of the RevNet.
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
    best_rate,
    check_family,
    said,
    train_one,
    tried,
)
from odemom.experiments._spread import deviation
from odemom.experiments.frame import Claim, Experiment

__all__ = ["EXPERIMENT", "Config", "Network", "Table"]

WHERE = "Section 5.2, Table 2"
FAMILIES = (
    "resnet20", "resnet56", "resnet110", "resnet18", "resnet34", "resnet50", "resnet101",
    "resnet152",
)  # fmt: skip
KINDS = ("ResNet", "twin, v0 = 0", "twin, v0 = f(x0)", "RevNet")
WITHIN = 0.01
"""How far below the ResNet a twin may be."""
LEAST_PEAK = 20e6
"""Bytes of a step below which the grain of the gauge, about a megabyte, decides."""

Task = Training | Steps


@dataclass(frozen=True)
class Config(ImageConfig):
    """Which networks are trained, and on what.

    Parameters
    ----------
    family : str
        The ResNet, as `odemom.models.build_model` names it.
    gamma : float
        Of the twins.
    recompute : bool
        Whether twins and RevNet recompute while they train for accuracy; their gradients are those
        of plain autograd up to rounding, which is faster.
    step_batch : int
        Images of the steps that are measured; 0 is ``batch_size``.

    Raises
    ------
    InvalidInputError
        If a parameter is outside its domain.
    """

    family: str = "resnet20"
    gamma: float = 0.9
    recompute: bool = False
    step_batch: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_family(self.family, FAMILIES)
        expect(0 <= self.gamma < 1, "gamma", got=shown(self.gamma), expected="a number in [0, 1)")
        as_integer(self.step_batch, "step_batch", 0)

    def network(self, kind: str, *, recompute: bool) -> tuple[str, dict[str, object]]:
        """The name and the options of a network."""
        if kind == "ResNet":
            return self.family, {}
        if kind == "RevNet":
            return self.family.replace("resnet", "revnet"), {"reversible": recompute}
        velocity = "zero" if kind == "twin, v0 = 0" else "field"
        options = {"gamma": self.gamma, "initial_velocity": velocity}
        return f"momentum-{self.family}", {
            **options,
            "reversible": "auto" if recompute else False,
        }

    def step(self, kind: str) -> StepRequest:
        """The step that is measured of a network."""
        model, options = self.network(kind, recompute=True)
        fields = model, tuple(sorted(options.items())), *self.shape
        batch = self.step_batch or self.batch_size
        return StepRequest(*fields, batch, self.device, self.precision, repeats=3)


@dataclass(frozen=True)
class Network(Compared):
    """A row of the table.

    Attributes
    ----------
    kind : str
        One of `KINDS`.
    runs : tuple of Trained
        One per seed, with the best rate.
    step : Step
        With recomputation, where there is one.
    """

    kind: str
    runs: tuple[Trained, ...]
    step: Step


@dataclass(frozen=True)
class Table:
    """The numbers of Table 2.

    Attributes
    ----------
    source, family : str
    gamma : float
    epochs, rates, step_batch : int
    networks : tuple of Network
    """

    source: str
    family: str
    gamma: float
    epochs: int
    rates: int
    step_batch: int
    networks: tuple[Network, ...]

    def __getitem__(self, kind: str) -> Network:
        """The row of one of `KINDS`."""
        return next(network for network in self.networks if network.kind == kind)


@dataclass(frozen=True)
class Outcome:
    """Of a task: a training, or the steps of all networks."""

    trained: Trained | None
    steps: tuple[Step, ...]


def tasks(config: Config) -> list[Task]:
    """The steps, then one task per network, rate and seed."""
    steps = config.steps([config.step(kind) for kind in KINDS])
    trainings = [
        training
        for kind in KINDS
        for training in config.trainings(*config.network(kind, recompute=config.recompute))
    ]
    return [steps, *trainings]


def run(task: Task) -> Outcome:
    """Measure a step, or train and test a network."""
    if isinstance(task, Steps):
        return Outcome(None, task.measure())
    return Outcome(train_one(task), ())


def gather(config: Config, found: Sequence[Outcome]) -> Table:
    """The rows, with the rate that is best for each."""
    steps = found[0].steps
    trained = [outcome.trained for outcome in found if outcome.trained is not None]
    each = config.seeds * len(config.learning_rates)
    rows = tuple(
        Network(kind, best_rate(trained[n * each : (n + 1) * each]), steps[n])
        for n, kind in enumerate(KINDS)
    )
    return Table(
        source=trained[0].source,
        family=config.family,
        gamma=config.gamma,
        epochs=config.epochs,
        rates=len(config.learning_rates),
        step_batch=config.step_batch or config.batch_size,
        networks=rows,
    )


def claims(data: Table) -> list[Claim]:
    """What the table shows."""
    return [_accuracy(data), _velocities(data), _memory(data)]


def _accuracy(data: Table) -> Claim:
    reference = data["ResNet"].accuracies.mean()
    twins = [data[kind].accuracies.mean() for kind in KINDS[1:3]]
    rows = "; ".join(
        f"{n.kind} {said(n.accuracies)} ({n.runs[0].parameters:,} parameters)"
        for n in data.networks
    )
    seeds = len(data["ResNet"].runs)
    return Claim.judged(
        "momentum twins of a ResNet, from v0 = 0 or v0 = f(x0), are as accurate as it, within one "
        "point",
        WHERE,
        f"{data.family}, gamma = {data.gamma:g}, {data.source}, "
        f"{counted(data.epochs, 'epoch')}, {counted(seeds, 'seed')}, "
        f"{tried(data.rates)}: {rows}",
        bool(min(twins) >= reference - WITHIN) if _judged(data) else None,
    )


def _velocities(data: Table) -> Claim:
    zero, field = (data[kind].accuracies for kind in KINDS[1:3])
    spread = np.hypot(deviation(zero), deviation(field))
    gap = abs(zero.mean() - field.mean())
    return Claim.judged(
        "the two initial velocities, v0 = 0 and v0 = f(x0), give equal accuracy, up to the spread "
        "over seeds or half a point",
        WHERE,
        f"{data.source}: v0 = 0 {said(zero)}, v0 = f(x0) {said(field)}",
        bool(gap <= max(spread, 0.005)) if _judged(data) else None,
    )


def _memory(data: Table) -> Claim:
    plain = data["ResNet"].step
    rows = "; ".join(
        f"{kind} {data[kind].step.peak / 1e6:.0f} MB, "
        f"{data[kind].step.seconds / plain.seconds:.2f} times as long"
        for kind in KINDS[1:]
    )
    less = all(data[kind].step.peak < plain.peak for kind in KINDS[1:3])
    return Claim.judged(
        "a training step of the twins takes less memory than one of the ResNet",
        WHERE,
        f"{data.family}, batch {data.step_batch}: ResNet {plain.peak / 1e6:.0f} MB; {rows}",
        less if plain.peak >= LEAST_PEAK else None,
    )


def _judged(data: Table) -> bool:
    return data.source != "digits" and len(data["ResNet"].runs) > 1


EXPERIMENT = Experiment(
    config=Config,
    quick=Config(
        data="digits", seeds=1, limit=200, epochs=1, batch_size=100, augment="none", step_batch=8
    ),
    tasks=tasks,
    run=run,
    gather=gather,
    claims=claims,
)  # fmt: skip
