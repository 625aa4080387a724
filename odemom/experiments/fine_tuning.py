"""Fine-tuning: a trained ResNet and its momentum twin, refitted to other classes from a folder.

A ResNet is trained on the first half of the classes. The network itself (gamma = 0) and its twins
are refitted to the second half, with the weights of the first; beside them the same networks are
trained on these images from fresh weights. All have the same images, epochs and grid of rates.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np

from odemom.checks import as_integer, as_number, counted, expect, shown
from odemom.experiments._halves_of_classes import Halves, write_halves
from odemom.experiments._image_trainings import ImageConfig, Training, check_family, said, tried
from odemom.experiments.frame import Claim, Experiment
from odemom.training import TrainingConfig, TrainingResult

__all__ = ["EXPERIMENT", "Config", "FineTuning", "Pretrained", "Refitted"]

WHERE = "beyond the paper: section 5.2 on other classes"
FAMILIES = ("resnet20", "resnet56", "resnet110")
WITHIN = 0.015
"""How far below the refitted ResNet its refitted twin may be."""

Start = Literal["weights", "fresh"]


@dataclass(frozen=True)
class Config(ImageConfig):
    """Which networks are trained, and on what.

    ``limit`` and ``epochs`` are those of the first training; ``learning_rates`` is the grid of
    everything that is trained on the second half of the classes.

    Parameters
    ----------
    family : str
        The ResNet, as `odemom.models.build_model` names it.
    gammas : tuple of float
        In [0, 1), rising from 0, the ResNet itself.
    rate : float
        The learning rate of the first training.
    refit_limit, refit_epochs : int
        Images, validation included, and epochs of a refit; 0 images: all.
    tested : int
        Test images of each half; 0 takes all.

    Raises
    ------
    InvalidInputError
        If a parameter is outside its domain.
    """

    family: str = "resnet20"
    gammas: tuple[float, ...] = (0.0, 0.9)
    rate: float = 0.1
    refit_limit: int = 1000
    refit_epochs: int = 4
    tested: int = 2000
    limit: int = 4000
    epochs: int = 5
    batch_size: int = 64
    learning_rates: tuple[float, ...] = (0.02, 0.1)

    def __post_init__(self) -> None:
        super().__post_init__()
        check_family(self.family, FAMILIES)
        given = self.gammas
        fits = len(given) > 1 and given[0] == 0 and given[-1] < 1 and all(np.diff(given) > 0)
        expect(bool(fits), "gammas", got=shown(given), expected="0 and further numbers < 1, rising")
        domain = "a finite number > 0"
        expect(
            as_number(self.rate, "rate", domain) > 0, "rate", got=f"{self.rate}", expected=domain
        )
        for name, least in (("refit_limit", 0), ("refit_epochs", 1), ("tested", 0)):
            as_integer(getattr(self, name), name, least)


@dataclass(frozen=True)
class Task:
    """A seed with all refits of one trained network, or one training from fresh weights."""

    start: Start
    gammas: tuple[float, ...]
    rates: tuple[float, ...]
    first: Training
    refit_limit: int
    refit_epochs: int
    tested: int


@dataclass(frozen=True)
class Pretrained:
    """A trained ResNet, and its twins as they are made of it.

    Attributes
    ----------
    seed : int
    accuracies : tuple of float
        On test images of its own classes: for each gamma, 0 first, before any refit.
    """

    seed: int
    accuracies: tuple[float, ...]


@dataclass(frozen=True)
class Refitted:
    """A network trained on the second half of the classes.

    Attributes
    ----------
    start : {"weights", "fresh"}
        From the weights of the first half, or from fresh ones.
    gamma, rate : float
    seed : int
    validation, test : float
        Accuracies after the last epoch.
    """

    start: Start
    gamma: float
    rate: float
    seed: int
    validation: float
    test: float


@dataclass(frozen=True)
class Outcome:
    """Of a task."""

    source: str
    pretrained: Pretrained | None
    refitted: tuple[Refitted, ...]


@dataclass(frozen=True)
class FineTuning:
    """The numbers of the experiment.

    Attributes
    ----------
    source, family : str
    gammas, rates : tuple of float
    limit, epochs, refit_limit, refit_epochs : int
    pretrained : tuple of Pretrained
    refitted : tuple of Refitted
    """

    source: str
    family: str
    gammas: tuple[float, ...]
    rates: tuple[float, ...]
    limit: int
    epochs: int
    refit_limit: int
    refit_epochs: int
    pretrained: tuple[Pretrained, ...]
    refitted: tuple[Refitted, ...]

    def accuracies(self, start: Start, gamma: float) -> np.ndarray:
        """On test images of the second half, one per seed, with the rate that validation chose."""
        runs = [r for r in self.refitted if (r.start, r.gamma) == (start, gamma)]

        def mean(rate: float) -> float:
            return float(np.mean([r.validation for r in runs if r.rate == rate]))

        best = max(self.rates, key=mean)
        return np.array([r.test for r in runs if r.rate == best])

    def as_they_are(self, gamma: float) -> np.ndarray:
        """On test images of the first half, before any refit; one per seed."""
        place = self.gammas.index(gamma)
        return np.array([p.accuracies[place] for p in self.pretrained])


def tasks(config: Config) -> list[Task]:
    """A task per seed for all that starts from one network, one per training from fresh weights."""
    found = []
    for seed in config.all_seeds:
        first = config.training(config.family, {}, seed, config.rate)
        common = first, config.refit_limit, config.refit_epochs, config.tested
        found.append(Task("weights", config.gammas, config.learning_rates, *common))
        found += [
            Task("fresh", (gamma,), (rate,), *common)
            for gamma in config.gammas
            for rate in config.learning_rates
        ]
    return found


def run(task: Task) -> Outcome:
    """Train on the first half where it is asked for, then on the second."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        first, limits = task.first, (task.first.limit, task.refit_limit)
        halves = write_halves(first.data, first.root, first.seed, limits, task.tested, folder)
        if task.start == "weights":
            return _from_weights(task, halves, folder)
        (gamma,), (rate,) = task.gammas, task.rates
        config = _second(task, halves, gamma, rate)
        found = _refitted(task, gamma, rate, _trained(config, folder / "fresh"))
        return Outcome(halves.source, None, (found,))


def _from_weights(task: Task, halves: Halves, folder: Path) -> Outcome:
    from odemom.training.fine_tuning import refit, refit_config
    from odemom.training.sources import load_source

    source = load_source(_trained(_on(task.first, halves.first), folder / "first").checkpoint)
    as_they_are, refitted = [], []
    for gamma in task.gammas:
        own = refit_config(source, gamma=gamma, accelerator=task.first.config().accelerator)
        out = folder / f"{gamma}"
        as_they_are.append(refit(source, own, out_dir=out, epochs=0, progress=False).before)
        for rate in task.rates:
            config = _second(task, halves, gamma, rate)
            config = replace(config, image_size=source.image_size)
            result = refit(source, config, out_dir=out, progress=False).training
            assert result is not None
            refitted.append(_refitted(task, gamma, rate, result))
    accuracies = tuple(round(accuracy, 6) for accuracy in as_they_are)
    return Outcome(halves.source, Pretrained(task.first.seed, accuracies), tuple(refitted))


def _on(training: Training, path: Path) -> TrainingConfig:
    """A training with the images of a half; all of them, decoded beside it."""
    return replace(training, data=str(path), root=str(path.parent), limit=0).config()


def _second(task: Task, halves: Halves, gamma: float, rate: float) -> TrainingConfig:
    """The training on the second half of the network with a gamma.

    Twins keep their activations, which is faster; the gradients are equal up to rounding.
    """
    model = f"momentum-{task.first.model}" if gamma else task.first.model
    options = (("gamma", gamma), ("reversible", False)) if gamma else ()
    epochs = task.refit_epochs
    again = replace(task.first, model=model, options=options, rate=rate, epochs=epochs)
    return _on(again, halves.second)


def _trained(config: TrainingConfig, folder: Path) -> TrainingResult:
    from odemom.training.run import train

    return train(config, out_dir=folder, progress=False)


def _refitted(task: Task, gamma: float, rate: float, result: TrainingResult) -> Refitted:
    validation = result.history[-1]["validation_accuracy"]
    numbers = round(validation, 5), round(result.test_accuracy, 6)
    return Refitted(task.start, gamma, rate, task.first.seed, *numbers)


def gather(config: Config, found: Sequence[Outcome]) -> FineTuning:
    """All trainings together."""
    return FineTuning(
        source=found[0].source,
        family=config.family,
        gammas=config.gammas,
        rates=config.learning_rates,
        limit=config.limit,
        epochs=config.epochs,
        refit_limit=config.refit_limit,
        refit_epochs=config.refit_epochs,
        pretrained=tuple(o.pretrained for o in found if o.pretrained is not None),
        refitted=tuple(r for outcome in found for r in outcome.refitted),
    )


def claims(data: FineTuning) -> list[Claim]:
    """What the trainings show."""
    return [_as_it_is(data), _refit(data), _worth(data)]


def _effort(data: FineTuning) -> str:
    seeds = counted(len(data.pretrained), "seed")
    epochs, more = counted(data.epochs, "epoch"), counted(data.refit_epochs, "epoch")
    first = f"{data.limit or 'all'} images of the first half of the classes, {epochs}"
    second = f"{data.refit_limit or 'all'} of the second, {more}"
    return f"{data.family}, {data.source}, {first}; {second}, {tried(len(data.rates))}; {seeds}"


def _judged(data: FineTuning) -> bool:
    return data.source != "digits" and len(data.pretrained) > 1


def _as_it_is(data: FineTuning) -> Claim:
    told = "; ".join(f"gamma = {g:g} {said(data.as_they_are(g))}" for g in data.gammas)
    losses = [data.as_they_are(0.0).mean() - data.as_they_are(g).mean() for g in data.gammas]
    return Claim.judged(
        "a twin, as it is made of a trained ResNet, is within 3 points of it on the classes that "
        "it was trained on",
        WHERE,
        f"{_effort(data)}; on the first half, before any refit: {told}",
        bool(max(losses) <= 0.03) if _judged(data) else None,
    )


def _refit(data: FineTuning) -> Claim:
    told = "; ".join(f"gamma = {g:g} {said(data.accuracies('weights', g))}" for g in data.gammas)
    reference = data.accuracies("weights", 0.0).mean()
    gaps = [reference - data.accuracies("weights", g).mean() for g in data.gammas[1:]]
    return Claim.judged(
        "refitted to other classes, the twin of a trained ResNet is within 1.5 points of the "
        "ResNet itself, refitted alike",
        WHERE,
        f"{_effort(data)}; on the second half, from the trained weights: {told}",
        bool(max(gaps) <= WITHIN) if _judged(data) else None,
    )


def _worth(data: FineTuning) -> Claim:
    told = "; ".join(
        f"gamma = {g:g} {said(data.accuracies('weights', g))} against "
        f"{said(data.accuracies('fresh', g))}"
        for g in data.gammas
    )
    gains = [
        data.accuracies("weights", g).mean() - data.accuracies("fresh", g).mean()
        for g in data.gammas
    ]
    return Claim.judged(
        "the weights of the ResNet are worth having, for its twin too: from them it ends above the "
        "same network trained alike from fresh weights",
        WHERE,
        f"{_effort(data)}; on the second half: {told}",
        bool(min(gains) > 0) if _judged(data) else None,
    )


EXPERIMENT = Experiment(
    config=Config,
    quick=Config(
        data="digits", seeds=1, limit=200, epochs=1, batch_size=50, augment="none",
        learning_rates=(0.1,), refit_limit=100, refit_epochs=1, tested=60,
    ),
    tasks=tasks,
    run=run,
    gather=gather,
    claims=claims,
)  # fmt: skip
