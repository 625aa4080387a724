"""Figure 10 of the paper: learning to optimise, LISTA with and without momentum, and as a RevNet.

Dictionaries of 32 normal atoms in R^16, lambda = 0.1, signals of unit norm; the gap is the mean of
L(x) - L* on 1,000 test signals per dictionary (`odemom.experiments._lista`).

Effort, the same for each learned method, tied and untied: nine settings are tried on dictionaries
that are not used again, for depths 4, 8 and 16; the one whose validation gap has the least
geometric mean is trained on the test dictionaries. LISTA and RevNet try nine steps eta, momentum
LISTA three gammas times three steps. Steps are given as (1 - gamma) eta, by which momentum moves in
the long run: at equal eta it takes shorter steps. Every depth goes on from the one before, with the
same number of updates on fresh signals. A RevNet of depth n has 2 n residual functions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from odemom.checks import as_integer, expect, shown
from odemom.experiments._learned_fixed_points import FixedPoints, fixed_points
from odemom.experiments._lista import Nets, Problems, classical
from odemom.experiments._lista_claims import claims
from odemom.experiments._lista_results import Curve, Fig10, Setting
from odemom.experiments.frame import Experiment
from odemom.records import check_fields

__all__ = ["EXPERIMENT", "Config", "Fig10"]

LISTA_STEPS = (0.25, 0.5, 1.0, 1.5, 1.75, 2.0, 2.25, 2.5, 3.0)
MOMENTUM_STEPS, GAMMAS = (2.0, 2.5, 3.0), (0.1, 0.3, 0.5)
# What is tried of each method: its effective steps in units of 1/|D|², for every gamma.
GRIDS = {
    "LISTA": {0.0: LISTA_STEPS},
    "momentum LISTA": dict.fromkeys(GAMMAS, MOMENTUM_STEPS),
    "RevNet LISTA": {0.0: LISTA_STEPS},
}
CLASSICAL = ("ISTA", "FISTA")
RATE = 3e-3
TUNING_SEED, TEST_SEED = 1000, 0


@dataclass(frozen=True)
class Config:
    """What is trained.

    Parameters
    ----------
    seeds : int
        Test dictionaries; at least 2.
    depths, tied_depths : tuple of int
        Increasing.
    tuning_depths : tuple of int
        Those at which settings are compared.
    tuning_seeds : int
        Dictionaries on which settings are compared.
    updates, batch : int
        Steps of Adam per depth, and fresh signals per step and dictionary.
    signals : int
        Test signals per dictionary, and validation signals per tuning dictionary.
    probes : int
        Signals per dictionary whose learned fixed points are examined.
    device : str
        Where nets are trained.

    Raises
    ------
    InvalidInputError
        If a parameter is outside its domain.
    """

    seeds: int = 10
    depths: tuple[int, ...] = (1, 2, 3, 4, 5, 6, 7, 8, 11, 16, 20)
    tied_depths: tuple[int, ...] = (1, 2, 4, 8, 16, 20)
    tuning_depths: tuple[int, ...] = (4, 8, 16)
    tuning_seeds: int = 2
    updates: int = 250
    batch: int = 100
    signals: int = 1000
    probes: int = 20
    device: str = "cpu"

    def __post_init__(self) -> None:
        check_fields(self)
        as_integer(self.seeds, "seeds", 2)
        for name in ("tuning_seeds", "updates", "batch", "signals", "probes"):
            as_integer(getattr(self, name), name, 1)
        as_integer(self.probes, "probes", 1, self.signals)
        for name in ("depths", "tied_depths", "tuning_depths"):
            depths = getattr(self, name)
            rising = all(a < b for a, b in zip((0, *depths), depths, strict=False))
            expect(
                bool(depths) and rising, name, got=shown(depths), expected="rising integers from 1"
            )
        try:
            torch.empty(0, device=self.device)
        except (RuntimeError, AssertionError):  # torch raises either
            expect(False, "device", got=shown(self.device), expected='a device here, such as "cpu"')


@dataclass(frozen=True)
class Task:
    """One method, chosen and trained on all dictionaries; a classical one is run only."""

    method: str
    tied: bool
    depths: tuple[int, ...]
    config: Config


def tasks(config: Config) -> list[Task]:
    """One task per method, tied and untied."""
    return [
        *(Task(method, False, config.depths, config) for method in CLASSICAL),
        *(Task(method, False, config.depths, config) for method in GRIDS),
        *(Task(method, True, config.tied_depths, config) for method in GRIDS),
    ]


def run(task: Task) -> Curve:
    """Choose the setting of a method, train it, and measure its gap."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return _curve(task)
    finally:
        torch.set_num_threads(threads)


def _curve(task: Task) -> Curve:
    config = task.config
    problems = Problems.random(range(config.seeds), config.device)
    y = problems.signals(torch.Generator().manual_seed(TEST_SEED), config.signals)
    least, certified = problems.optimum(y)
    if task.method in CLASSICAL:
        losses = classical(problems, y, task.depths, fast=task.method == "FISTA")
        gaps = [(loss - least).mean(1) for loss in losses]
        return _recorded(task, gaps, certified, (), Setting(0.0, 1.0, 0.0, ()), None)
    tried = tuple(_tried(task))
    best = min(tried, key=lambda setting: setting.score)
    nets = Nets(task.method, problems, [best.step], best.gamma, tied=task.tied)
    training = nets.train(task.depths, config.updates, config.batch, RATE, TEST_SEED + 1)
    gaps = [(nets.losses(depth, y)[:, 0] - least).mean(1) for depth in training]
    found = fixed_points(nets, y[:, : config.probes], least) if task.tied else None
    return _recorded(task, gaps, certified, tried, best, found)


def _tried(task: Task) -> list[Setting]:
    """The settings with their scores: means of log10 of the validation gap."""
    config, scored = task.config, []
    seeds = range(TUNING_SEED, TUNING_SEED + config.tuning_seeds)
    problems = Problems.random(seeds, config.device)
    y = problems.signals(torch.Generator().manual_seed(TUNING_SEED), config.signals)
    least, _ = problems.optimum(y)
    for gamma, steps in GRIDS[task.method].items():
        nets = Nets(task.method, problems, steps, gamma, tied=task.tied)
        training = nets.train(
            config.tuning_depths, config.updates, config.batch, RATE, TUNING_SEED + 1
        )
        gaps = [(nets.losses(depth, y) - least[:, None]).mean(2) for depth in training]
        logs = torch.stack(gaps).log10().mean(dim=1)  # by depth and step
        # A net that left the doubles is not chosen.
        logs = torch.nan_to_num(logs, nan=float("inf"))
        for step, log in zip(steps, logs.T, strict=True):
            means = tuple(float(f"{10**x:.4g}") for x in log.tolist())
            scored.append(Setting(gamma, step, float(log.mean()), means))
    return scored


def _recorded(
    task: Task,
    gaps: Sequence[torch.Tensor],
    certified: torch.Tensor,
    tried: tuple[Setting, ...],
    chosen: Setting,
    found: FixedPoints | None,
) -> Curve:
    return Curve(
        method=task.method,
        tied=task.tied,
        depths=task.depths,
        gaps=tuple(tuple(float(f"{g:.6g}") for g in gap) for gap in gaps),
        chosen=chosen,
        tried=tried,
        certified=float(np.abs(certified.cpu().numpy()).max()),
        fixed_points=found,
    )


def gather(config: Config, curves: Sequence[Curve]) -> Fig10:
    """All methods together."""
    return Fig10(
        config.updates, config.batch, config.tuning_seeds, config.tuning_depths, tuple(curves)
    )


EXPERIMENT = Experiment(
    config=Config,
    quick=Config(
        seeds=2,
        depths=(1, 2, 4),
        tied_depths=(2, 4),
        tuning_depths=(2,),
        tuning_seeds=1,
        updates=2,
        batch=20,
        signals=30,
        probes=2,
    ),
    tasks=tasks,
    run=run,
    gather=gather,
    claims=claims,
)
