"""Figure 4 by training: which diag(l1, l2) gradient methods reach, beside the theorem.

Every cell of the plane is a problem of four unknowns: theta so that the model maps I to
diag(l1, l2). Three models are trained at eps = 0.5 or its discrete counterpart:

- psi(theta) itself, through `odemom.nn.psi`;
- `odemom.nn.ODEBlock` with the field x -> theta x, on a coarser grid;
- tied Momentum ResNets of depth N, eps/N = 0.5 for even and odd N.

The method is the same for all: Levenberg and Marquardt's, from several normal starts. psi, whose
losses are compared with distances, has 6 starts of 60 iterations, and the best goes on for 120.
Where the question is only what is reached, there are 3 starts of 60 iterations; where the size of
the weights varies, as many again for the best, which has a long way to go from large weights.
The starts of psi have entries of standard deviation 3: from 1, all of them end in the higher one
of two minima in about one cell of a thousand, 1e-2 above the distance.

What is reached is compared with the theorem, and the loss with the distance of diag(l1, l2) from
the set of representable matrices. An even net takes values below its first minimum, and an odd net
takes all, at large negative theta. So two more questions are asked: from what size of the initial
weights on are they reached, and, on a wider square for the even net, where do small and large
weights stop?
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from odemom.checks import as_integer, as_positive, counted, expect, shown
from odemom.experiments._least_squares import best_of
from odemom.experiments._plane_models import least_value, model_of
from odemom.experiments._plane_results import REACHED, Escape, Figure4Trained, Plane
from odemom.experiments._spread import deviation
from odemom.experiments.frame import Claim, Experiment
from odemom.records import check_fields

__all__ = ["EXPERIMENT", "Config"]

DEPTHS = (20, 21)
WIDE_DEPTH, WIDE_LOW = 20, -4  # the wider square is [-4, 1]²
PSI_SCALE = 3.0  # of the starts of psi
DECIMALS = 10  # of the losses that are kept
# What is asked of the losses beside the distances: never below, the worst, and most.
NEVER_BELOW, WORST, USUAL, USUAL_SHARE = 1e-9, 1e-2, 1e-3, 0.98
FEW = 0.01  # of the cells that large weights, whose nets are far from linear, may miss


@dataclass(frozen=True)
class Config:
    """What is trained.

    Parameters
    ----------
    per_unit, block_per_unit, wide_per_unit, escape_per_unit : int
        The grid holds the multiples of 1/per_unit in [-1, 1]: for psi and the nets, for the ODE
        block, for the wider square, and where the size of the initial weights varies.
    seeds : int
        Trainings of every plane but that of the ODE block, which is trained once.
    starts, iterations, polish : int
        Starts per cell of psi, iterations from each, and further ones from the best. The nets and
        the ODE block have half of the starts; half of the further iterations where the size of the
        initial weights varies, else none.
    scales : tuple of float
        Sizes of the initial weights.

    Raises
    ------
    InvalidInputError
        If a parameter is outside its domain.
    """

    per_unit: int = 20
    block_per_unit: int = 4
    wide_per_unit: int = 4
    escape_per_unit: int = 5
    seeds: int = 3
    starts: int = 6
    iterations: int = 60
    polish: int = 120
    scales: tuple[float, ...] = (0.05, 0.4, 3.2, 8.0, 16.0, 32.0, 64.0)

    def __post_init__(self) -> None:
        check_fields(self)
        grids = ("per_unit", "block_per_unit", "wide_per_unit", "escape_per_unit")
        for name in (*grids, "seeds", "starts"):
            as_integer(getattr(self, name), name, 1)
        for name in ("iterations", "polish"):
            as_integer(getattr(self, name), name, 0)
        expect(len(self.scales) > 0, "scales", got=shown(self.scales), expected="at least one")
        for scale in self.scales:
            as_positive(scale, "scales")


@dataclass(frozen=True)
class Task:
    """One plane trained from one seed; ``scale`` and ``turning`` say how it starts."""

    model: str
    per_unit: int
    seed: int
    starts: int
    iterations: int
    polish: int
    scale: float
    turning: bool = False
    low: int = -1

    @property
    def axis(self) -> np.ndarray:
        """The values of l1 and l2."""
        return np.arange(self.low * self.per_unit, self.per_unit + 1) / self.per_unit


def tasks(config: Config) -> list[Task]:
    """The planes, the wider squares, then the nets at every size of the initial weights."""
    return [*_planes(config), *_wide(config), *_escapes(config)]


def _effort(config: Config, polish: int = 0) -> tuple[int, int, int]:
    """Starts, iterations and polish for what is only asked to be reached."""
    return max(config.starts // 2, 1), config.iterations, polish


def _planes(config: Config) -> list[Task]:
    # Entries of 1/N move the state as far over N layers as entries of 1 do over [0, 1].
    effort = _effort(config)
    full = config.starts, config.iterations, config.polish
    found = []
    for seed in range(config.seeds):
        found.append(Task("psi", config.per_unit, seed, *full, PSI_SCALE))
        for depth in DEPTHS:
            found.append(Task(f"depth {depth}", config.per_unit, seed, *effort, 1 / depth))
    return [*found, Task("ODE block", config.block_per_unit, 0, *effort, 1.0)]


def _wide(config: Config) -> list[Task]:
    net, effort = f"depth {WIDE_DEPTH}", _effort(config, config.polish // 2)
    small, large = 1 / WIDE_DEPTH, max(config.scales)
    return [
        Task(net, config.wide_per_unit, seed, *effort, scale, turning, WIDE_LOW)
        for seed in range(config.seeds)
        for scale, turning in ((small, False), (large, True))
    ]


def _escapes(config: Config) -> list[Task]:
    effort = _effort(config, config.polish // 2)
    return [
        Task(f"depth {depth}", config.escape_per_unit, seed, *effort, scale, turning)
        for depth in DEPTHS
        for turning in (False, True)
        for seed in range(config.seeds)
        for scale in config.scales
    ]


def run(task: Task) -> Plane:
    """Train one plane."""
    linearised, threshold = model_of(task.model)
    axis = task.axis
    l1, l2 = (torch.from_numpy(values).reshape(-1) for values in np.meshgrid(axis, axis))
    target = torch.diag_embed(torch.stack([l1, l2], -1))
    generator = torch.Generator().manual_seed(task.seed)
    centre, spread = (-task.scale, task.scale / 5) if task.turning else (0.0, task.scale)
    starts = [
        centre * torch.eye(2, dtype=target.dtype)
        + spread * torch.randn(target.shape, generator=generator, dtype=target.dtype)
        for _ in range(task.starts)
    ]
    _, losses = best_of(linearised, starts, target, iterations=task.iterations, polish=task.polish)
    rows = losses.reshape(len(axis), len(axis)).tolist()
    kept = tuple(tuple(round(loss, DECIMALS) for loss in row) for row in rows)
    return Plane(task.model, task.seed, task.scale, threshold, tuple(axis.tolist()), kept)


def gather(config: Config, trained: Sequence[Plane]) -> Figure4Trained:
    """The planes, and the shares of the cells reached at every size of the initial weights."""
    first, second = len(_planes(config)), len(_wide(config))
    asked, left = _escapes(config), trained[first + second :]
    escapes = []
    width = config.seeds * len(config.scales)
    for i in range(0, len(asked), width):
        shares = np.array([_shares(plane) for plane in left[i : i + width]])
        beyond, allowed = shares.T.reshape(2, config.seeds, -1).tolist()
        escapes.append(
            Escape(
                int(asked[i].model.removeprefix("depth ")),
                "turning" if asked[i].turning else "normal",
                config.scales,
                tuple(map(tuple, beyond)),
                tuple(map(tuple, allowed)),
            )
        )
    return Figure4Trained(
        tuple(trained[:first]),
        tuple(trained[first : first + second]),
        tuple(escapes),
        tuple(least_value(depth) for depth in DEPTHS),
    )


def _shares(plane: Plane) -> tuple[float, float]:
    losses, distances = plane.cells()
    reached, allowed = losses < REACHED, distances == 0
    return float(reached[~allowed].mean()), float(reached[allowed].mean())


def claims(figure: Figure4Trained) -> list[Claim]:
    """What training shows of the theorem, and where nets leave it."""
    return [
        _agreement(
            figure.of("psi"),
            "training theta reaches diag(l1, l2) exactly where Theorem 1 says that it is "
            "representable",
            "Theorem 1, Figure 4, right",
        ),
        _losses(figure.of("psi")),
        _agreement(
            figure.of("ODE block"),
            "the same through a numerical solver of the ODE and its gradients",
            "Theorem 1, Figure 4, right",
        ),
        _small_weights(figure),
        _wide_square(figure),
        _large_weights(figure),
    ]


def _judged_by(seeds: int, holds: bool) -> bool | None:
    """One training alone, as in the quick run, cannot say that something fails."""
    return None if seeds == 1 and not holds else holds


def _agreement(planes: list[Plane], words: str, where: str) -> Claim:
    cells = sum(len(plane.axis) ** 2 for plane in planes)
    wrong = sum(plane.disagreements() for plane in planes)
    measured = (
        f"{cells - wrong} of {cells} cells agree ({counted(len(planes), 'seed')}, reached: "
        f"loss < {REACHED:g})"
    )
    return Claim.judged(words, where, measured, wrong == 0)


def _losses(planes: list[Plane]) -> Claim:
    gaps = np.concatenate([np.subtract(*plane.cells()).ravel() for plane in planes])
    usual = float((np.abs(gaps) <= USUAL).mean())
    return Claim.judged(
        "the loss that training reaches is the distance to the representable set: 0, or the lesser "
        "of lambda_eps - l1 and (l2 - l1)/2 for l1 < l2",
        "beyond the paper",
        f"loss minus distance from {gaps.min():.1e} to {gaps.max():.1e}, median "
        f"{np.median(gaps):.0e}, within {USUAL:g} on {usual:.2%} of {gaps.size} cells",
        _judged_by(
            len(planes),
            bool(gaps.min() > -NEVER_BELOW and gaps.max() <= WORST and usual >= USUAL_SHARE),
        ),
    )


def _small_weights(figure: Figure4Trained) -> Claim:
    words, wrong = [], 0
    for depth, least in zip(DEPTHS, figure.least, strict=True):
        planes = figure.of(f"depth {depth}")
        cells = sum(len(plane.axis) ** 2 for plane in planes)
        off = sum(plane.disagreements() for plane in planes)
        wrong += off
        words.append(
            f"depth {depth}: {cells - off} of {cells} cells obey {planes[0].threshold:.4f} "
            f"({counted(len(planes), 'seed')}), though psi goes down to {least:.3g}"
        )
    return Claim.judged(
        "from small weights a tied Momentum ResNet reaches what the first minimum of its psi "
        "allows, the counterpart of lambda_eps, and nothing more, though by its own theorem it "
        "represents more (even depth) or everything (odd depth)",
        "beyond the paper",
        "; ".join(words),
        wrong == 0,
    )


def _wide_square(figure: Figure4Trained) -> Claim:
    own = least_value(WIDE_DEPTH)
    small, large = figure.wide[::2], figure.wide[1::2]
    cells = sum(len(plane.axis) ** 2 for plane in small)
    off = sum(plane.disagreements() for plane in small)
    off_large = sum(plane.disagreements(own) for plane in large)
    return Claim.judged(
        f"at depth {WIDE_DEPTH} both thresholds are real: small weights stop at the first minimum, "
        "large ones at the least value of psi",
        "beyond the paper",
        f"on [{WIDE_LOW}, 1]², {counted(len(small), 'seed')}: {cells - off} of {cells} cells "
        f"obey "
        f"{small[0].threshold:.4f} from weights of {small[0].scale:g}, {cells - off_large} of "
        f"{cells} obey {own:.4f} from weights of {large[0].scale:g}",
        _judged_by(len(small), off == 0 and off_large <= FEW * cells),
    )


def _large_weights(figure: Figure4Trained) -> Claim:
    words, holds = [], True
    for escape in figure.escapes:
        beyond = np.array(escape.beyond)
        mean, spread = beyond.mean(axis=0), deviation(beyond, 0)
        words.append(
            f"depth {escape.depth}, {escape.start}: "
            + ", ".join(
                f"{m:.1%} ± {d:.1%} at s = {scale:g}"
                for m, d, scale in zip(mean, spread, escape.scales, strict=True)
            )
        )
        if escape.start == "turning":
            holds = holds and mean[0] == 0 and mean[-1] >= 1 - FEW
    return Claim.judged(
        "the matrices beyond the first minimum are reached from large weights: theta near -s I, s "
        "beyond 4/(1 - gamma), where psi has its least value",
        "beyond the paper",
        "share of the excluded cells that is reached: " + "; ".join(words),
        _judged_by(len(figure.escapes[0].beyond), holds),
    )


EXPERIMENT = Experiment(
    config=Config,
    quick=Config(
        per_unit=2,
        block_per_unit=1,
        wide_per_unit=1,
        escape_per_unit=1,
        seeds=1,
        starts=2,
        iterations=10,
        polish=20,
        scales=(0.05, 64.0),
    ),
    tasks=tasks,
    run=run,
    gather=gather,
    claims=claims,
)
