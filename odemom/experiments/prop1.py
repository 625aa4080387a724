"""Proposition 1: Momentum ResNets and ResNets attract at fixed points, RevNets cannot.

A, B and K are the Jacobians, at the fixed point, of the residual functions F, G of a RevNet and f
of a ResNet or Momentum ResNet. The eigenvalues of a RevNet's Jacobian come in pairs lam, 1/lam:
what contracts in one direction expands in another. A Momentum ResNet attracts where all kappa in
Sp(K) lie in an ellipse, with centre -a and half-axes a = (1 + gamma)/(1 - gamma) along the real
line and 1 across it; at gamma = 0 this is the unit disk around -1 of the ResNet. The continuous
twin of the Momentum ResNet, eps x'' + x' = f(x), attracts where Re kappa < -eps (Im kappa)², and
that of the RevNet nowhere, its eigenvalues being the square roots, of both signs, of Sp(A B).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

import odemom
from odemom.checks import as_integer, expect, shown
from odemom.experiments._fates import (
    CASES,
    CONTRACTING,
    EXAMPLE_GAMMA,
    Fates,
    FatesTask,
    Trace,
    fates,
    traces,
)
from odemom.experiments._spectra import Spectra, SpectraTask, random_jacobians, spectra
from odemom.experiments.frame import Claim, Experiment
from odemom.records import check_fields

__all__ = ["EXPERIMENT", "Config", "Prop1"]

EXACT_TO = 1e-10
FASTER_FROM = 100
EXAMPLE_DIMENSION = 12
ROUNDED = 1e-8  # a neutral RevNet, |lam| = 1, is found to a multiple of d u only


@dataclass(frozen=True)
class Config:
    """What is computed.

    Parameters
    ----------
    seeds : int
        Random A, B, K for every dimension.
    dimensions : tuple of int
        Of A, B and K, each at least 2.
    gammas : tuple of float
        Momentum of the nets, in [0, 1); 0 is the ResNet.
    starts : int
        Random fixed points whose iterations are followed.
    layers : int
        How far they are followed.

    Raises
    ------
    InvalidInputError
        If a parameter is outside its domain.
    """

    seeds: int = 10
    dimensions: tuple[int, ...] = (2, 5, 10, 20, 50, 100, 200)
    gammas: tuple[float, ...] = (0.0, 0.3, 0.6, 0.9)
    starts: int = 2000
    layers: int = 600

    def __post_init__(self) -> None:
        check_fields(self)
        for name, least in (("seeds", 1), ("starts", 10), ("layers", 100)):
            as_integer(getattr(self, name), name, least)
        for d in self.dimensions:
            as_integer(d, "dimensions", 2)
        expect(
            len(self.gammas) > 0 and all(0 <= gamma < 1 for gamma in self.gammas),
            "gammas",
            got=shown(self.gammas),
            expected="numbers in [0, 1)",
        )


@dataclass(frozen=True)
class Prop1:
    """All numbers of the experiment.

    Attributes
    ----------
    gammas : tuple of float
    spectra : tuple of Spectra
    fates : tuple of Fates
    example : mapping of str to tuple of (float, float)
        Spectra of one random A, B, K, as real and imaginary parts.
    traces : tuple of Trace
    """

    gammas: tuple[float, ...]
    spectra: tuple[Spectra, ...]
    fates: tuple[Fates, ...]
    example: dict[str, tuple[tuple[float, float], ...]]
    traces: tuple[Trace, ...]


def tasks(config: Config) -> list[SpectraTask | FatesTask]:
    """One task per dimension and one per gamma."""
    return [
        *(SpectraTask(d, config.seeds) for d in config.dimensions),
        *(FatesTask(gamma, config.starts, config.layers) for gamma in config.gammas),
    ]


def run(task: SpectraTask | FatesTask) -> Spectra | Fates:
    """Carry out one task."""
    return spectra(task) if isinstance(task, SpectraTask) else fates(task)


# --- what is drawn -------------------------------------------------------------------------------


def gather(config: Config, outcomes: Sequence[Spectra | Fates]) -> Prop1:
    """The result, with the spectra and the iterations that are drawn."""
    return Prop1(
        config.gammas,
        tuple(o for o in outcomes if isinstance(o, Spectra)),
        tuple(o for o in outcomes if isinstance(o, Fates)),
        _example(),
        traces(),
    )


def _example() -> dict[str, tuple[tuple[float, float], ...]]:
    A, B, K = random_jacobians(EXAMPLE_DIMENSION, 0)
    spectra = {
        "RevNet": odemom.revnet_spectrum(A, B),
        "Momentum ResNet": odemom.momentum_spectrum(K, EXAMPLE_GAMMA),
        "ResNet": odemom.resnet_spectrum(K),
    }
    return {name: tuple((lam.real, lam.imag) for lam in s) for name, s in spectra.items()}


# --- what it shows -------------------------------------------------------------------------------


def claims(result: Prop1) -> list[Claim]:
    """What the numbers show of Proposition 1."""
    return [*_revnet_claims(result), *_momentum_claims(result), _formula_claim(result)]


def _revnet_claims(result: Prop1) -> list[Claim]:
    spectra = result.spectra
    draws = sum(s.seeds for s in spectra)
    largest = max(s.dimension for s in spectra)
    radius = min(s.smallest_radius for s in spectra)
    pairs = max(s.pair_error for s in spectra)
    revnets = sum(f.revnets for f in result.fates)
    converged = sum(f.revnets_converged for f in result.fates)
    exact, rounded = (_traced(result, case, "RevNet").distance for case in CONTRACTING)
    turn = int(np.argmin(rounded))
    real = min(s.twin_largest_real for s in spectra)
    twin = max(s.twin_error for s in spectra)
    return [
        Claim.judged(
            "at a fixed point of a RevNet with invertible A, B some eigenvalue has |lam| >= 1 and "
            "lam != 1: it is never attracting; eigenvalues come in pairs lam, 1/lam",
            "Proposition 1; the pairs: beyond the paper",
            f"{draws} random A, B, d up to {largest}: smallest spectral radius {radius:.4f}, "
            f"reciprocals found to {pairs:.1e}",
            radius >= 1 - ROUNDED and pairs < 1e-8,
        ),
        Claim.judged(
            "a RevNet cannot have converging iterations",
            "Section 3, after Proposition 1",
            "from A = 1/2, B = 1 and the start (1/2, -1/2) every block halves the distance, "
            f"exactly in doubles: {exact[0]:.2g} falls to {exact[-1]:.1e} in "
            f"{len(exact) - 1} blocks",
            exact[-1] >= exact[0],
        ),
        Claim.judged(
            "a RevNet converges from no random start: only from a set of measure zero, the "
            "contracting half of the directions, which rounding leaves",
            "beyond the paper",
            f"{converged} of {revnets} random RevNets come closer by 1,000; one that starts on the "
            f"contracting half, rounded, falls to {rounded[turn]:.1e} in {turn} blocks and is back "
            f"at {rounded[2 * turn]:.1g} after {2 * turn}",
            converged == 0 and rounded[-1] > rounded[0],
        ),
        Claim.judged(
            "the RevNet's continuous twin has the square roots of Sp(A B), of both signs, for "
            "eigenvalues: it is never attracting",
            "Section 3",
            f"{draws} random A, B: the largest real part is at least {real:.3f}; "
            f"agreement {twin:.1e}",
            real >= -ROUNDED and twin < 1e-8,
        ),
    ]


def _momentum_claims(result: Prop1) -> list[Claim]:
    fates = result.fates
    judged, foretold = sum(f.judged for f in fates), sum(f.foretold for f in fates)
    agree = sum(f.spectra_agree for f in fates)
    twins, twins_agree = sum(f.twins_judged for f in fates), sum(f.twins_agree for f in fates)
    radii = {t.case + t.net: t.radius for t in result.traces}
    steep, turn = CASES
    return [
        Claim.judged(
            "Momentum ResNets can have converging iterations: they attract exactly where Sp(K) "
            "lies in the ellipse ((Re kappa)/a + 1)² + (Im kappa)² < 1, "
            "a = (1 + gamma)/(1 - gamma)",
            "Section 3, Proposition 1; the ellipse: beyond the paper",
            f"gamma = {', '.join(f'{f.gamma:g}' for f in fates)}: spectra agree at {agree} of "
            f"{judged} random kappa, and {foretold} of {judged} iterations do as it says",
            agree == foretold == judged,
        ),
        Claim.judged(
            "neither of ResNet and Momentum ResNet attracts wherever the other does: momentum "
            "takes longer steps along the real line, and less turning near 0",
            "beyond the paper",
            f"spectral radii, ResNet and gamma = {EXAMPLE_GAMMA:g}: kappa = {CASES[steep][0]:g}: "
            f"{radii[steep + 'ResNet']:.3f}, {radii[steep + 'Momentum ResNet']:.3f}; kappa = "
            f"{CASES[turn][0]:g} ± {CASES[turn][1]:g} i: {radii[turn + 'ResNet']:.3f}, "
            f"{radii[turn + 'Momentum ResNet']:.3f}",
            radii[steep + "ResNet"] > 1 > radii[steep + "Momentum ResNet"]
            and radii[turn + "ResNet"] < 1 < radii[turn + "Momentum ResNet"],
        ),
        Claim.judged(
            "eps x'' + x' = f(x) attracts exactly where Re kappa < -eps (Im kappa)²",
            "beyond the paper",
            f"{twins_agree} of {twins} random kappa agree, eps = "
            f"{', '.join(f'{1 / (1 - f.gamma):.3g}' for f in fates)}",
            twins_agree == twins,
        ),
    ]


def _formula_claim(result: Prop1) -> Claim:
    error = max(e for s in result.spectra for e in s.error.values())
    reduced = ("RevNet", "Momentum ResNet")  # to half the dimension; a ResNet's has no shorter way
    ratios = {
        s.dimension: min(s.numpy_seconds[n] / s.formula_seconds[n] for n in reduced)
        for s in result.spectra
    }
    large = {d: ratio for d, ratio in ratios.items() if d >= FASTER_FROM}
    speed = ", ".join(f"{ratio:.1f} times at d = {d}" for d, ratio in ratios.items())
    return Claim.judged(
        f"the spectra by formula are those of the whole Jacobians to {EXACT_TO:g}, and faster "
        f"from d = {FASTER_FROM} on",
        "beyond the paper",
        f"largest difference {error:.1e}, d up to {max(ratios)}; RevNet and Momentum ResNet, the "
        f"smaller ratio of processor time: {speed}",
        error < EXACT_TO and all(ratio > 1 for ratio in large.values()) if large else None,
    )


def _traced(result: Prop1, case: str, net: str) -> Trace:
    return next(t for t in result.traces if (t.case, t.net) == (case, net))


EXPERIMENT = Experiment(
    config=Config,
    quick=Config(seeds=2, dimensions=(2, 10, 30), starts=200),
    tasks=tasks,
    run=run,
    gather=gather,
    claims=claims,
)
