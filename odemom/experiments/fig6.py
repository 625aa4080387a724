"""Figure 6: gamma at training and at test time, with and without refit; four architectures.

A ResNet is trained with momentum gamma (0: the ResNet itself) and tested with another one, as it is
and after a few epochs of refit with that other gamma. Beside it stand a twin that learns its gamma,
and the learning curves of a ResNet, its momentum twins and a RevNet of as many parameters.
"""

from __future__ import annotations

import dataclasses
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from odemom.checks import as_integer, counted, expect, shown
from odemom.experiments._image_trainings import (
    ImageConfig,
    Trained,
    Training,
    check_family,
    said,
    train_one,
)
from odemom.experiments.frame import Claim, Experiment

__all__ = ["EXPERIMENT", "Architecture", "Config", "Gammas", "Learnt", "Moved"]

WHERE = "Section 5.2, Figure 6"
FAMILIES = ("resnet20", "resnet56", "resnet110")
KINDS = ("ResNet", "twin, v0 = 0", "twin, v0 = f(x0)", "RevNet")
LEARNT = "learnt-momentum-"
PAPERS_LOSS = 0.03
REFIT_LOSS = 0.015


@dataclass(frozen=True)
class Config(ImageConfig):
    """Which networks are trained, and on what.

    Parameters
    ----------
    family : str
        The ResNet, as `odemom.models.build_model` names it.
    trained, tested : tuple of float
        Values of gamma in [0, 1), rising.
    refit_epochs : int
    refit_share : float
        Of the learning rate: the peak of that of the refit.
    gamma : float
        Of the twins among the architectures.

    Raises
    ------
    InvalidInputError
        If a parameter is outside its domain.
    """

    family: str = "resnet20"
    trained: tuple[float, ...] = (0.0, 0.9, 0.99)
    tested: tuple[float, ...] = (0.0, 0.3, 0.6, 0.9, 0.99)
    refit_epochs: int = 4
    refit_share: float = 1.0
    gamma: float = 0.9
    limit: int = 10_000
    epochs: int = 8

    def __post_init__(self) -> None:
        super().__post_init__()
        check_family(self.family, FAMILIES)
        for name in ("trained", "tested"):
            values = getattr(self, name)
            fits = len(values) > 0 and all(0 <= g < 1 for g in values) and all(np.diff(values) > 0)
            expect(bool(fits), name, got=shown(values), expected="rising numbers in [0, 1)")
        expect(0 < self.gamma < 1, "gamma", got=shown(self.gamma), expected="a number in (0, 1)")
        as_integer(self.refit_epochs, "refit_epochs", 1)
        share = "a number in (0, 1]"
        expect(
            0 < self.refit_share <= 1, "refit_share", got=shown(self.refit_share), expected=share
        )
        self.require_one_rate()

    def twin(self, gamma: float, velocity: str = "zero") -> tuple[str, dict[str, object]]:
        """The name and the options of a twin, which keeps its activations."""
        options = {"gamma": gamma, "initial_velocity": velocity, "reversible": False}
        return f"momentum-{self.family}", options

    def architecture(self, kind: str) -> tuple[str, dict[str, object]]:
        """The name and the options of one of `KINDS`."""
        if kind == "ResNet":
            return self.family, {}
        if kind == "RevNet":
            return self.family.replace("resnet", "revnet"), {"reversible": False}
        return self.twin(self.gamma, "zero" if kind == KINDS[1] else "field")


@dataclass(frozen=True)
class Tested:
    """A training with one gamma, to be tested and refitted with others."""

    training: Training
    gamma: float
    tested: tuple[float, ...]
    refit_epochs: int
    refit_share: float


@dataclass(frozen=True)
class Learnt:
    """A training in which gamma is a parameter, which starts at that of the twins.

    Attributes
    ----------
    seed : int
    gamma : float
        At its end.
    test_accuracy : float
    """

    seed: int
    gamma: float
    test_accuracy: float


@dataclass(frozen=True)
class Moved:
    """The accuracy of a network that is tested with another gamma than it was trained with.

    Attributes
    ----------
    trained, tested : float
    seed : int
    as_it_is, refitted : float
        Accuracy on test images.
    """

    trained: float
    tested: float
    seed: int
    as_it_is: float
    refitted: float


@dataclass(frozen=True)
class Architecture:
    """One of `KINDS` with its trainings, one per seed."""

    kind: str
    runs: tuple[Trained, ...]


@dataclass(frozen=True)
class Outcome:
    """Of a task: a training, one that learns gamma, or tests with other gammas."""

    trained: Trained | None = None
    learnt: Learnt | None = None
    moved: tuple[Moved, ...] = ()


@dataclass(frozen=True)
class Gammas:
    """The numbers of Figure 6.

    Attributes
    ----------
    source, family : str
    limit, epochs, refit_epochs : int
    gamma : float
        Of the twins among the architectures.
    trained, tested : tuple of float
    moved : tuple of Moved
    learnt : tuple of Learnt
    architectures : tuple of Architecture
    """

    source: str
    family: str
    limit: int
    epochs: int
    refit_epochs: int
    gamma: float
    trained: tuple[float, ...]
    tested: tuple[float, ...]
    moved: tuple[Moved, ...]
    learnt: tuple[Learnt, ...]
    architectures: tuple[Architecture, ...]

    def accuracies(self, trained: float, *, refitted: bool) -> np.ndarray:
        """One row per tested gamma, one column per seed."""
        name = "refitted" if refitted else "as_it_is"
        return np.array(
            [
                [getattr(m, name) for m in self.moved if (m.trained, m.tested) == (trained, gamma)]
                for gamma in self.tested
            ]
        )


def tasks(config: Config) -> list[Training | Tested]:
    """One task per trained gamma and seed, per seed of a learnt one, per architecture and seed."""
    rate = config.learning_rates[0]
    rest = config.tested, config.refit_epochs, config.refit_share
    moved = [
        Tested(config.training(*config.twin(gamma), seed, rate), gamma, *rest)
        for gamma in config.trained
        for seed in config.all_seeds
    ]
    curves = [t for kind in KINDS for t in config.trainings(*config.architecture(kind))]
    learnt = config.trainings(f"{LEARNT}{config.family}", {"gamma": config.gamma})
    return [*moved, *learnt, *curves]


def run(task: Training | Tested) -> Outcome:
    """Train a network; test and refit it with other gammas where they are asked for."""
    if isinstance(task, Tested):
        return Outcome(moved=tuple(_moved(task)))
    if task.model.startswith(LEARNT):
        return Outcome(learnt=_learnt(task))
    return Outcome(trained=train_one(task))


def _learnt(task: Training) -> Learnt:
    from odemom.training.checkpoints import load_trained
    from odemom.training.run import train

    with tempfile.TemporaryDirectory() as folder:
        result = train(task.config(), out_dir=folder, progress=False)
        network: Any = load_trained(result.checkpoint).network
    return Learnt(task.seed, round(network.gamma, 5), round(result.test_accuracy, 6))


def _moved(task: Tested) -> list[Moved]:
    from odemom.training.run import train
    from odemom.training.use import evaluate

    found = []
    with tempfile.TemporaryDirectory() as folder:
        first = train(task.training.config(), out_dir=folder, progress=False).checkpoint
        for gamma in task.tested:
            device = task.training.device
            now = evaluate(first, gamma=gamma, device=device).accuracy
            options = tuple(sorted({**dict(task.training.options), "gamma": gamma}.items()))
            again = dataclasses.replace(
                task.training,
                options=options,
                epochs=task.refit_epochs,
                rate=task.refit_share * task.training.rate,
            )
            out = Path(folder) / f"refit-{gamma}"
            refit = train(again.config(), out_dir=out, weights=first, progress=False)
            values = round(now, 6), round(refit.test_accuracy, 6)
            found.append(Moved(task.gamma, gamma, task.training.seed, *values))
    return found


def gather(config: Config, found: Sequence[Outcome]) -> Gammas:
    """Both rows of the figure."""
    runs = [outcome.trained for outcome in found if outcome.trained is not None]
    architectures = tuple(
        Architecture(kind, tuple(runs[n * config.seeds : (n + 1) * config.seeds]))
        for n, kind in enumerate(KINDS)
    )
    return Gammas(
        source=runs[0].source,
        family=config.family,
        limit=config.limit,
        epochs=config.epochs,
        refit_epochs=config.refit_epochs,
        gamma=config.gamma,
        trained=config.trained,
        tested=config.tested,
        moved=tuple(m for outcome in found for m in outcome.moved),
        learnt=tuple(o.learnt for o in found if o.learnt is not None),
        architectures=architectures,
    )


def claims(data: Gammas) -> list[Claim]:
    """What the figure shows of the paper's claims."""
    return [_without_refit(data), _with_refit(data), _learnt_gamma(data), _architectures(data)]


def _effort(data: Gammas) -> str:
    images = counted(data.limit, "image") if data.limit else "all images"
    epochs, seeds = counted(data.epochs, "epoch"), counted(len(data.architectures[0].runs), "seed")
    return f"{data.family}, {data.source}, {images}, {epochs}, {seeds}"


def _losses(data: Gammas, *, refitted: bool) -> list[tuple[float, float, float]]:
    """Mean loss against the network as trained, with the pair of gammas, the largest first."""
    found = []
    for trained in data.trained:
        if trained not in data.tested:
            continue
        own = data.accuracies(trained, refitted=False)[data.tested.index(trained)]
        other = data.accuracies(trained, refitted=refitted)
        loss = (own - other).mean(axis=1)
        found += [(float(v), trained, g) for g, v in zip(data.tested, loss, strict=True)]
    return sorted(found, reverse=True)


def _largest(losses: list[tuple[float, float, float]]) -> str:
    """The three largest in words; a gain is no loss."""
    if not losses:
        return "none was tested"
    real = [(100 * v, a, b) for v, a, b in losses[:3] if round(100 * v, 2) > 0]
    return "; ".join(f"from {a:g} to {b:g}: {v:.2f} points" for v, a, b in real) or "none"


def _without_refit(data: Gammas) -> Claim:
    losses = _losses(data, refitted=False)
    enough = _judged(data) and len(losses) > 0
    return Claim.judged(
        "tested with another gamma than it was trained with, a network never loses more than 3 "
        "points",
        WHERE,
        f"{_effort(data)}; the largest losses: {_largest(losses)}",
        bool(losses[0][0] <= PAPERS_LOSS) if enough else None,
    )


def _with_refit(data: Gammas) -> Claim:
    high = [g for g in data.tested if g <= 0.9]
    losses = [row for row in _losses(data, refitted=True) if row[2] in high and row[1] in high]
    enough = _judged(data) and len(losses) > 1
    return Claim.judged(
        "after a few epochs of refit with the other gamma, up to 0.9, it is within 1.5 points of "
        "the network as trained",
        WHERE,
        f"{_effort(data)}, {counted(data.refit_epochs, 'epoch')} of refit; the largest losses: "
        f"{_largest(losses)}",
        bool(losses[0][0] <= REFIT_LOSS) if enough else None,
    )


def _learnt_gamma(data: Gammas) -> Claim:
    fixed = next(a for a in data.architectures if a.kind == KINDS[1])
    one = np.array([run.test_accuracy for run in fixed.runs])
    other = np.array([run.test_accuracy for run in data.learnt])
    gammas = [run.gamma for run in data.learnt]
    return Claim.judged(
        "a gamma that is learnt changes the accuracy by no more than a point",
        WHERE,
        f"{_effort(data)}: gamma = {data.gamma:g} {said(one)}; learnt from there "
        f"{said(other)}, to {min(gammas):.3f} .. {max(gammas):.3f}",
        bool(abs(one.mean() - other.mean()) <= 0.01) if _judged(data) else None,
    )


def _judged(data: Gammas) -> bool:
    """Whether the trainings were long enough to say anything."""
    return data.epochs >= 5


def _architectures(data: Gammas) -> Claim:
    ends = {a.kind: np.array([run.test_accuracy for run in a.runs]) for a in data.architectures}
    told = "; ".join(f"{kind} {said(values)}" for kind, values in ends.items())
    gap = ends[KINDS[0]].mean() - min(ends[kind].mean() for kind in KINDS[1:3])
    return Claim.judged(
        "at equal numbers of parameters momentum twins learn as the ResNet does and end within one "
        "point of it",
        WHERE,
        f"{_effort(data)}, gamma = {data.gamma:g}: {told}",
        bool(gap <= 0.01) if _judged(data) else None,
    )


EXPERIMENT = Experiment(
    config=Config,
    quick=Config(
        data="digits", seeds=1, limit=100, epochs=1, batch_size=50, augment="none",
        trained=(0.0,), tested=(0.0, 0.9), refit_epochs=1,
    ),
    tasks=tasks,
    run=run,
    gather=gather,
    claims=claims,
)  # fmt: skip
