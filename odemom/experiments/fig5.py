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
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from odemom.checks import as_integer, as_positive, expect, shown
from odemom.data.rings import RADII, ring_labels, rings
from odemom.experiments._batched_nets import (
    Nets,
    as_device,
    initial_parameters,
    logits,
    one_thread,
    step_jacobians,
    train,
    trajectory,
)
from odemom.experiments.frame import Claim, Experiment
from odemom.records import check_fields

__all__ = ["BOUND", "EXPERIMENT", "Cloud", "Config", "Figure5", "Model"]

BOUND = 0.9  # the Lipschitz constant of what a layer of the bounded ResNet adds: it cannot fold
DRAWN = 0.95  # the gamma whose clouds are drawn
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
TRAINING, VALIDATION, TEST, PICTURE = range(4)  # streams of points of a seed
CHUNK = 50  # steps whose points are drawn together
CLOUD_POINTS = 240
SUCCESS = 0.95  # accuracy
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
        expect(len(self.rates) > 0, "rates", got="none", expected="at least one")
        for rate in self.rates:
            as_positive(rate, "rates")
        as_device(self.device)


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
    validation : tuple of tuple of float
        Accuracies on the points that chose the rate: a row per rate, a column per seed.
    accuracies : tuple of float
        On test points, seed by seed, at the chosen rate.
    determinants : tuple of float
        The least det(I + J) over layers and test points, seed by seed; empty for momentum, whose
        layers are no maps of x alone.
    clouds : tuple of Cloud
        Of the seed of median accuracy and, for the ResNet, of the best one; empty for models that
        are not drawn.
    """

    gamma: float
    tied: bool
    bound: float
    rates: tuple[float, ...]
    validation: tuple[tuple[float, ...], ...]
    accuracies: tuple[float, ...]
    determinants: tuple[float, ...]
    clouds: tuple[Cloud, ...]

    @property
    def rate(self) -> float:
        """The rate that was chosen."""
        return self.rates[_best(self.validation)]

    @property
    def name(self) -> str:
        """What the model is called."""
        return "ResNet" if self.gamma == 0 else f"γ = {self.gamma:g}"


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
        validation = [_accuracies(nets, p, VALIDATION, config).tolist() for p in by_rate]
        parameters = by_rate[_best(validation)]
        accuracies = _accuracies(nets, parameters, TEST, config)
        folds: list[float] = []
        if task.gamma == 0:
            x = _points(seeds, TEST, config.test_points, config.device)
            layers = step_jacobians(nets, parameters, x)
            folds = torch.linalg.det(layers).amin(dim=(0, 2)).tolist()
        clouds = _clouds(nets, parameters, accuracies, config)
    return Model(
        task.gamma,
        task.tied,
        task.bound,
        config.rates,
        tuple(map(tuple, validation)),
        tuple(accuracies.tolist()),
        tuple(folds),
        clouds,
    )


def _best(validation: Sequence[Sequence[float]]) -> int:
    return int(np.mean(validation, axis=1).argmax())


def _trained(nets: Nets, seeds: list[int], rates: list[float], config: Config) -> Tensor:
    labels = torch.from_numpy(ring_labels(config.points)).to(config.device)
    labels = labels.expand(len(seeds), -1)
    batches = _fresh_points(seeds, config)

    def loss(_: int, parameters: Tensor) -> Tensor:
        last = trajectory(nets, parameters, next(batches))[-1]
        scores = logits(nets, parameters, last)
        return torch.nn.functional.cross_entropy(scores, labels, reduction="none").mean(dim=1)

    start = initial_parameters(nets, seeds, config.device)
    return train(nets, start, rates, config.steps, loss)


def _fresh_points(seeds: Sequence[int], config: Config) -> Iterator[Tensor]:
    """Points for step after step, (nets, 2, points): nets of the same seed see the same."""
    different = list(dict.fromkeys(seeds))
    generators = [np.random.default_rng((seed, TRAINING)) for seed in different]
    place = torch.tensor([different.index(seed) for seed in seeds])
    while True:
        chunk = np.stack([rings(g, config.points, (CHUNK,)) for g in generators], axis=1)
        for points in torch.from_numpy(chunk):
            yield points[place].to(config.device)


def _points(seeds: Sequence[int], stream: int, points: int, device: str) -> Tensor:
    drawn = [rings(np.random.default_rng((seed, stream)), points) for seed in seeds]
    return torch.from_numpy(np.stack(drawn)).to(device)


def _accuracies(nets: Nets, parameters: Tensor, stream: int, config: Config) -> np.ndarray:
    """Of one network per seed, each on points of its own."""
    x = _points(range(config.seeds), stream, config.test_points, config.device)
    scores = logits(nets, parameters, trajectory(nets, parameters, x)[-1])
    right = scores.argmax(dim=1).cpu().numpy() == ring_labels(config.test_points)
    return right.mean(axis=1)


def _clouds(
    nets: Nets, parameters: Tensor, accuracies: np.ndarray, config: Config
) -> tuple[Cloud, ...]:
    if not nets.tied or math.isfinite(nets.bound) or nets.gamma not in (0, DRAWN):
        return ()
    order = accuracies.argsort(kind="stable").tolist()
    chosen = [order[len(order) // 2], *([order[-1]] if nets.gamma == 0 else [])]
    x = _points([0], PICTURE, CLOUD_POINTS, config.device).expand(len(chosen), -1, -1)
    path = torch.stack(trajectory(nets, parameters[chosen], x)).double().cpu().numpy().round(3)
    return tuple(
        Cloud(seed, float(accuracies[seed]), tuple(tuple(map(tuple, step)) for step in x.tolist()))
        for seed, x in zip(chosen, path.swapaxes(0, 1), strict=True)
    )


def gather(config: Config, models: Sequence[Model]) -> Figure5:
    """All models together."""
    return Figure5(config.steps, tuple(models))


# --- claims ------------------------------------------------------------------------------------


def claims(figure: Figure5) -> list[Claim]:
    """What the trainings show of Figure 5."""
    enough = figure.steps >= ENOUGH_STEPS
    resnet, momentum = figure.of(0.0), [figure.of(gamma) for gamma in (0.95, 0.99)]
    ahead = min(np.mean(m.accuracies) for m in momentum) - np.mean(resnet.accuracies)
    separates = all(np.mean(m.accuracies) >= 0.985 and min(m.accuracies) >= 0.96 for m in momentum)
    untied = [figure.of(gamma, tied=False) for gamma in (0.0, DRAWN)]
    gap = np.mean(untied[1].accuracies) - np.mean(untied[0].accuracies)
    noise = float(np.hypot(np.std(untied[0].accuracies), np.std(untied[1].accuracies)))
    return [
        Claim.judged(
            "a Momentum ResNet with tied layers (γ = 0.95, 0.99) separates four nested rings: "
            "98.5 % of new points on average, 96 % at worst",
            "Section 5.1, Figure 5, lower row",
            "; ".join(map(_measured, (*momentum, figure.of(0.9)))),
            separates if enough else None,
        ),
        Claim.judged(
            "a ResNet with tied layers fails where they succeed: at least 10 points behind",
            "Section 5.1, Figure 5, upper row",
            f"{_measured(resnet)}; {ahead:.1%} behind",
            bool(ahead >= 0.1) if enough else None,
        ),
        _folds(resnet, enough),
        _without_folds(figure.of(0.0, bound=BOUND), resnet),
        Claim.judged(
            "with untied layers momentum gains nothing: the means differ by less than the spread",
            "beyond the paper",
            "; ".join(map(_measured, untied)),
            bool(abs(gap) <= noise) if enough else None,
        ),
    ]


def _folds(resnet: Model, enough: bool) -> Claim:
    accuracies, least = np.array(resnet.accuracies), np.array(resnet.determinants)
    success = accuracies >= SUCCESS
    folding = least < 0
    return Claim.judged(
        f"ResNets that succeed ({SUCCESS:.0%} of the points) fold the plane: det(I + J) < 0 "
        "somewhere in a layer, as in no step of an ODE",
        "beyond the paper",
        f"{int(folding[success].sum())} of {int(success.sum())} that succeed fold, "
        f"{int(folding[~success].sum())} of the {int((~success).sum())} others; "
        f"least determinant {least.min():.2f}",
        bool(folding[success].all()) if enough and success.any() else None,
    )


def _without_folds(bounded: Model, resnet: Model) -> Claim:
    return Claim.judged(
        f"ResNets that cannot fold (a layer adds a map of Lipschitz constant at most {BOUND:g}) "
        "keep the rings nested: some point is always misclassified",
        "Section 5.1; topology",
        f"{_measured(bounded)}, least determinant {min(bounded.determinants):.2f}; free: "
        f"{_measured(resnet)}",
        bool(max(bounded.accuracies) < 1 and min(bounded.determinants) > 0),
    )


def _measured(model: Model) -> str:
    found = np.array(model.accuracies)
    return (
        f"{model.name}{'' if model.tied else ', untied'}: {found.mean():.1%} ± {found.std():.1%} "
        f"({found.min():.1%} to {found.max():.1%}, {found.size} seeds, rate {model.rate:g} of "
        f"{len(model.rates)})"
    )


EXPERIMENT = Experiment(
    config=Config,
    quick=Config(seeds=2, rates=(0.01, 0.1), steps=25, points=80, test_points=200),
    tasks=tasks,
    run=run,
    gather=gather,
    claims=claims,
)
