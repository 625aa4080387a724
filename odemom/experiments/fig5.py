"""Figure 5: four nested rings, separated by momentum; ResNets that succeed fold the plane.

A homeomorphism of the plane keeps nested rings nested, and no half-planes then tell them apart; a
ResNet is one as long as det(I + J) > 0 in every layer, J the Jacobian of what the layer adds. A
Momentum ResNet moves (x, v), and needs no fold.

The effort is the same for every model: 16 hidden units per layer, Adam with a cosine schedule,
fresh points at every step, every rate of the same list with the same seeds. The rate with the best
mean accuracy over the seeds on validation points is reported, on other points. (Three seeds are too
few to choose by: at rate 0.03 three ResNets did 37 points better than ten others.)
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from odemom.checks import as_integer, counted, expect, shown
from odemom.data.rings import RADII, ring_labels, rings
from odemom.experiments._batched_nets import (
    Nets,
    initial_parameters,
    logits,
    step_jacobians,
    trajectory,
)
from odemom.experiments._row_adam import check_training, one_thread, train_rows
from odemom.experiments._spread import deviation
from odemom.experiments.frame import Claim, Experiment
from odemom.records import check_fields

__all__ = ["BOUND", "EXPERIMENT", "Cloud", "Config", "Figure5", "Model"]

BOUND = 0.9  # the Lipschitz constant of what a layer of the bounded ResNet adds: it cannot fold
DRAWN = 0.95
# (gamma, tied, bound)
MODELS = (
    (0.0, True, BOUND),
    (0.0, True, math.inf),
    (0.9, True, math.inf),
    (0.95, True, math.inf),
    (0.99, True, math.inf),
    (0.0, False, math.inf),
    (0.95, False, math.inf),
)
WITH_CLOUDS = MODELS[1], MODELS[3], MODELS[5]
TRAINING, VALIDATION, TEST, PICTURE = range(4)  # streams of points of a seed
CHUNK = 50  # steps whose points are drawn together
CLOUD_POINTS = 180
SUCCESS = 0.98  # accuracy
SAME = 0.01  # a difference of accuracies that is none
ENOUGH_STEPS = 1000  # shorter trainings are not judged


@dataclass(frozen=True)
class Config:
    """Which networks are trained.

    Parameters
    ----------
    depth, hidden : int
    seeds : int
        Networks per model and rate.
    rates : tuple of float
        Of Adam, the same for every model.
    steps : int
    points : int
        Per step, all rings together; a multiple of 4.
    test_points : int
        For validation and for the test; a multiple of 4.
    device : str

    Raises
    ------
    InvalidInputError
        If a parameter is outside its domain.
    """

    depth: int = 15
    hidden: int = 16
    seeds: int = 10
    rates: tuple[float, ...] = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3)
    steps: int = 1500
    points: int = 120
    test_points: int = 2000
    device: str = "cpu"

    def __post_init__(self) -> None:
        check_fields(self)
        for name in ("depth", "hidden", "seeds", "steps", "points", "test_points"):
            as_integer(getattr(self, name), name, 1)
        for name in ("points", "test_points"):
            value = getattr(self, name)
            expect(
                value % len(RADII) == 0, name, got=shown(value), expected="a multiple of 4: 4 rings"
            )
        check_training(self.rates, self.device)


@dataclass(frozen=True)
class Task:
    """All networks of one model: every rate with seeds 0, 1, ..."""

    gamma: float
    tied: bool
    bound: float
    config: Config


@dataclass(frozen=True)
class Cloud:
    """Where one network takes the points.

    Attributes
    ----------
    seed : int
    accuracy : float
    x : tuple of tuple of tuple of float
        After each layer the two coordinates of all points, ring by ring.
    """

    seed: int
    accuracy: float
    x: tuple[tuple[tuple[float, ...], ...], ...]


@dataclass(frozen=True)
class Model:
    """The networks of one model.

    Attributes
    ----------
    gamma : float
        0: ResNet.
    tied : bool
        Whether all layers share one f.
    bound : float
        The Lipschitz constant within which a layer's increments were kept; inf: free.
    rates : tuple of float
    validation, accuracies : tuple of tuple of float
        On the points that chose the rate, and on test points: a row per rate, a column per seed.
    determinants : tuple of tuple of float
        The least det(I + J) over layers and test points, rows and columns as above; empty for
        momentum, whose layers are no maps of x alone.
    cloud : Cloud or None
        Of the seed of median accuracy at the chosen rate; None for models that are not drawn.
    """

    gamma: float
    tied: bool
    bound: float
    rates: tuple[float, ...]
    validation: tuple[tuple[float, ...], ...]
    accuracies: tuple[tuple[float, ...], ...]
    determinants: tuple[tuple[float, ...], ...]
    cloud: Cloud | None

    @property
    def best(self) -> int:
        """The place in ``rates`` of the one with the best mean accuracy on validation points."""
        return int(np.mean(self.validation, axis=1).argmax())

    @property
    def tested(self) -> np.ndarray:
        """The test accuracies at that rate, seed by seed."""
        return np.array(self.accuracies[self.best])


@dataclass(frozen=True)
class Figure5:
    """All models.

    Attributes
    ----------
    steps : int
        Of the trainings.
    models : tuple of Model
        In the order of `MODELS`.
    """

    steps: int
    models: tuple[Model, ...]

    def of(self, gamma: float, *, tied: bool = True, bound: float = math.inf) -> Model:
        """The model of these settings."""
        return self.models[MODELS.index((gamma, tied, bound))]


def tasks(config: Config) -> list[Task]:
    """One task per model."""
    return [Task(*model, config) for model in MODELS]


def run(task: Task) -> Model:
    """Train the networks of a model, choose its rate, and test those of that rate."""
    config = task.config
    nets = Nets(
        2, config.hidden, config.depth, task.gamma, task.tied, task.bound, classes=len(RADII)
    )
    with one_thread():
        seeds = list(range(config.seeds))
        rates = [rate for rate in config.rates for _ in seeds]
        trained = _trained(nets, seeds * len(config.rates), rates, config)
        by_rate = trained.unflatten(0, (len(config.rates), config.seeds))
        points = [_points(config, stream) for stream in (VALIDATION, TEST)]
        validation, accuracies = (
            tuple(tuple(_accuracies(nets, p, x).tolist()) for p in by_rate) for x in points
        )
        folds = [_least_determinants(nets, p, points[1]) for p in by_rate if task.gamma == 0]
        settings = task.gamma, task.tied, task.bound
        model = Model(*settings, config.rates, validation, accuracies, tuple(folds), None)
        if settings not in WITH_CLOUDS:
            return model
        return replace(model, cloud=_cloud(nets, by_rate[model.best], model.tested, config))


def _trained(nets: Nets, seeds: list[int], rates: list[float], config: Config) -> Tensor:
    labels = torch.from_numpy(ring_labels(config.points)).to(config.device)
    labels = labels.expand(len(seeds), -1)
    batches = _fresh_points(seeds, config)

    def loss(parameters: Tensor) -> Tensor:
        last = trajectory(nets, parameters, next(batches))[-1]
        scores = logits(nets, parameters, last)
        return torch.nn.functional.cross_entropy(scores, labels, reduction="none").mean(dim=1)

    start = initial_parameters(nets, seeds, config.device)
    return train_rows(start, rates, config.steps, loss)


def _fresh_points(seeds: Sequence[int], config: Config) -> Iterator[Tensor]:
    """Points for step after step, (nets, 2, points): nets of the same seed see the same."""
    different = list(dict.fromkeys(seeds))
    generators = [np.random.default_rng((seed, TRAINING)) for seed in different]
    place = torch.tensor([different.index(seed) for seed in seeds])
    while True:
        chunk = np.stack([rings(g, config.points, (CHUNK,)) for g in generators], axis=1)
        for points in torch.from_numpy(chunk):
            yield points[place].to(config.device)


def _points(config: Config, stream: int) -> Tensor:
    """For one network per seed, points of its own."""
    drawn = [
        rings(np.random.default_rng((seed, stream)), config.test_points)
        for seed in range(config.seeds)
    ]
    return torch.from_numpy(np.stack(drawn)).to(config.device)


def _accuracies(nets: Nets, parameters: Tensor, x: Tensor) -> np.ndarray:
    scores = logits(nets, parameters, trajectory(nets, parameters, x)[-1])
    return (scores.argmax(dim=1).cpu().numpy() == ring_labels(x.shape[2])).mean(axis=1)


def _least_determinants(nets: Nets, parameters: Tensor, x: Tensor) -> tuple[float, ...]:
    layers = step_jacobians(nets, parameters, x)
    return tuple(torch.linalg.det(layers).amin(dim=(0, 2)).tolist())


def _cloud(nets: Nets, parameters: Tensor, accuracies: np.ndarray, config: Config) -> Cloud:
    seed = int(accuracies.argsort(kind="stable")[len(accuracies) // 2])
    x = torch.from_numpy(rings(np.random.default_rng((0, PICTURE)), CLOUD_POINTS, (1,)))
    path = torch.stack(trajectory(nets, parameters[seed : seed + 1], x.to(config.device)))
    rounded = path[:, 0].double().cpu().numpy().round(3).tolist()
    return Cloud(seed, float(accuracies[seed]), tuple(tuple(map(tuple, step)) for step in rounded))


def gather(config: Config, models: Sequence[Model]) -> Figure5:
    """All models together."""
    return Figure5(config.steps, tuple(models))


# --- claims ------------------------------------------------------------------------------------


def claims(figure: Figure5) -> list[Claim]:
    """What the trainings show of Figure 5."""
    resnet, bounded = figure.of(0.0), figure.of(0.0, bound=BOUND)
    momentum = [figure.of(gamma) for gamma in (0.95, 0.99)]
    untied = [figure.of(gamma, tied=False) for gamma in (0.0, DRAWN)]
    means = {m: float(m.tested.mean()) for m in figure.models}
    ahead, ahead_of_bounded = (
        min(means[m] for m in momentum) - means[other] for other in (resnet, bounded)
    )
    separates = all(means[m] >= 0.985 and m.tested.min() >= 0.96 for m in momentum)
    helped = means[bounded] - means[resnet]
    found = [
        Claim.judged(
            "a Momentum ResNet with tied layers (γ = 0.95, 0.99) separates four nested rings: "
            "98.5 % of new points on average, 96 % at worst",
            "Section 5.1, Figure 5, lower row",
            "; ".join(map(_measured, (*momentum, figure.of(0.9)))),
            separates,
        ),
        Claim.judged(
            "a ResNet with tied layers fails where they succeed: at least 10 points behind",
            "Section 5.1, Figure 5, upper row",
            f"{_measured(resnet)}, {100 * ahead:.1f} points behind",
            ahead >= 0.1,
        ),
        Claim.judged(
            "part of that is the training, not the model: bounded layers, which can do less, make "
            "the ResNet with tied layers more accurate",
            "beyond the paper",
            f"{_measured(bounded)}: {100 * helped:.1f} points above the free one, "
            f"{100 * ahead_of_bounded:.1f} behind momentum",
            helped > 0,
        ),
        _folds(figure),
        Claim.judged(
            "with untied layers there is no gap: ResNets are as accurate, within a point",
            "beyond the paper",
            "; ".join(map(_measured, untied)),
            abs(means[untied[1]] - means[untied[0]]) <= SAME,
        ),
    ]
    if figure.steps < ENOUGH_STEPS:
        found = [replace(claim, verdict="not judged") for claim in found]
    return [*found, _without_folds(bounded)]


def _folds(figure: Figure5) -> Claim:
    free = [figure.of(0.0, tied=tied) for tied in (True, False)]
    success = np.array([m.accuracies for m in free]) >= SUCCESS
    least = np.array([m.determinants for m in free])[success]
    tied, untied = success.sum(axis=(1, 2))
    largest = f"; the largest of their least determinants {least.max():.2f}" if least.size else ""
    return Claim.judged(
        f"ResNets that succeed ({SUCCESS:.0%} of the points) fold the plane: det(I + J) < 0 "
        "somewhere in a layer, as in no step of an ODE",
        "beyond the paper",
        f"{int((least < 0).sum())} of {least.size} that succeed, all rates together ({tied} tied, "
        f"{untied} untied){largest}",
        bool((least < 0).all()) if least.size else None,
    )


def _without_folds(bounded: Model) -> Claim:
    highest, least = np.max(bounded.accuracies), np.min(bounded.determinants)
    return Claim.judged(
        f"ResNets that cannot fold (a layer adds a map of Lipschitz constant at most {BOUND:g}) "
        "keep the rings nested: none classifies all points",
        "Section 5.1; topology",
        f"{highest:.1%} at best over {counted(np.size(bounded.accuracies), 'network')} (every "
        f"rate and seed), least determinant {least:.2f}",
        bool(highest < 1 and least > 0),
    )


def _measured(model: Model) -> str:
    name = "ResNet" if model.gamma == 0 else f"γ = {model.gamma:g}"
    name += ("" if math.isinf(model.bound) else ", bounded") + ("" if model.tied else ", untied")
    found = model.tested
    return (
        f"{name}: {found.mean():.1%} ± {deviation(found):.1%} "
        f"({found.min():.1%} to {found.max():.1%}, {counted(found.size, 'seed')}, "
        f"rate {model.rates[model.best]:g} of {len(model.rates)})"
    )


EXPERIMENT = Experiment(
    config=Config,
    quick=Config(seeds=2, rates=(0.01, 0.1), steps=25, points=80, test_points=200),
    tasks=tasks,
    run=run,
    gather=gather,
    claims=claims,
)
