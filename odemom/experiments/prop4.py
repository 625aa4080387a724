"""Proposition 4: the series of psi, its closed form and the companion matrix, beside 50 digits.

psi(theta) = exp(-a) sum_n (1/(2n)! + a/(2n+1)!) W^n, a = 1/(2 eps), W = theta/eps + a² I. For
random theta of 1-norm 1 and masses from 1e-4 to 100 the experiment asks

- how many terms the series needs until its relative error is below a tolerance, and how that
  compares with a bound of its remainder;
  The weights are the even ones of a Poisson law of mean a: 1/(4 eps) terms, and some deviations
  more, are to be expected as eps -> 0;
- how many of 16 digits the series, the closed form, the exponential of the 2d x 2d companion
  matrix, and the default of `odemom.psi` lose in double precision.

The reference is `odemom.psi` to 50 digits. Errors are in the 1-norm, relative to that of
psi(theta).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import mpmath
import numpy as np

from odemom import psi
from odemom.checks import as_integer
from odemom.errors import ResultOverflowError
from odemom.experiments.frame import Claim, Experiment
from odemom.records import check_fields

__all__ = ["EXPERIMENT", "METHODS", "Accuracy", "Config", "Digits", "Terms"]

Method = Literal["auto", "series", "closed", "companion"]
METHODS: tuple[Method, ...] = ("auto", "closed", "companion", "series")
LEAST_EPS, MOST_EPS = 1e-4, 100.0
DPS = 50
TOLERANCES = (1e-4, 1e-8, 1e-16)
CURVE_EPS = (0.02, 0.05, 0.1, 0.5, 10.0)
LONGEST = 4000  # terms; the bound at the least mass is below
ROUNDOFF = 2.0**-53
FEW_ROUNDOFFS = 30  # of the default, for d = 4
SMALL_EPS = 0.01
EXCESS = 8.0, 11.0  # standard deviations; a normal law has a tail of 1e-16 beyond 8.2
DIGITS = 5  # that are kept


@dataclass(frozen=True)
class Accuracy:
    """What one random theta shows at one mass.

    Attributes
    ----------
    eps : float
    seed : int
    errors : tuple of float
        Relative errors of `METHODS`; inf where a method leaves the range of doubles.
    terms, bounds : tuple of int
        Terms that the exact series needs for each of `TOLERANCES`, and that the bound of its
        remainder asks for.
    """

    eps: float
    seed: int
    errors: tuple[float, ...]
    terms: tuple[int, ...]
    bounds: tuple[int, ...]


@dataclass(frozen=True)
class Terms:
    """The error of the exact series after 1, 2, ... terms, at one mass."""

    eps: float
    errors: tuple[float, ...]


@dataclass(frozen=True)
class Digits:
    """All masses and all theta.

    Attributes
    ----------
    eps : tuple of float
    accuracies : tuple of Accuracy
    curves : tuple of Terms
        For the masses of `CURVE_EPS`, one theta.
    """

    eps: tuple[float, ...]
    accuracies: tuple[Accuracy, ...]
    curves: tuple[Terms, ...]

    def errors(self, method: Method) -> np.ndarray:
        """Relative errors, shape (masses, theta)."""
        i = METHODS.index(method)
        return np.array(
            [[a.errors[i] for a in self.accuracies if a.eps == eps] for eps in self.eps]
        )

    def counts(self, name: Literal["terms", "bounds"]) -> np.ndarray:
        """Terms, shape (masses, theta, tolerances)."""
        return np.array(
            [[getattr(a, name) for a in self.accuracies if a.eps == eps] for eps in self.eps]
        )


@dataclass(frozen=True)
class Config:
    """What is computed.

    Parameters
    ----------
    seeds : int
        Random theta.
    masses : int
        Values of eps, spaced evenly in log eps on [1e-4, 100]; at least 2.
    size : int
        d of the d x d matrices.

    Raises
    ------
    InvalidInputError
        If a parameter is outside its domain.
    """

    seeds: int = 5
    masses: int = 31
    size: int = 4

    def __post_init__(self) -> None:
        check_fields(self)
        for name, least in (("seeds", 1), ("masses", 2), ("size", 1)):
            as_integer(getattr(self, name), name, least)

    def eps(self) -> list[float]:
        """The masses, as they are kept."""
        return [_kept(mass) for mass in np.geomspace(LEAST_EPS, MOST_EPS, self.masses)]


@dataclass(frozen=True)
class Task:
    """One theta at one mass."""

    eps: float
    seed: int
    size: int


def tasks(config: Config) -> list[Task]:
    """One task per mass and theta."""
    return [Task(eps, seed, config.size) for eps in config.eps() for seed in range(config.seeds)]


def theta_of(seed: int, size: int) -> np.ndarray:
    """A normal matrix, scaled to 1-norm 1."""
    theta = np.random.default_rng(seed).normal(size=(size, size))
    return theta / np.abs(theta).sum(axis=0).max()


def run(task: Task) -> Accuracy:
    """The errors and the numbers of terms of one theta at one mass."""
    theta = theta_of(task.seed, task.size)
    with mpmath.workdps(DPS):
        exact = psi(theta, task.eps, dps=DPS)
        errors = [_kept(_error(theta, task.eps, method, exact)) for method in METHODS]
        partial = partial_errors(theta, task.eps, exact, TOLERANCES[-1])
    terms = [next(n + 1 for n, error in enumerate(partial) if error <= t) for t in TOLERANCES]
    bounds = [terms_asked(theta, task.eps, exact, tolerance) for tolerance in TOLERANCES]
    return Accuracy(task.eps, task.seed, tuple(errors), tuple(terms), tuple(bounds))


def _error(theta: np.ndarray, eps: float, method: Method, exact: Any) -> float:
    try:
        found = psi(theta, eps, method=method)
    except ResultOverflowError:
        return math.inf
    difference = mpmath.matrix(found.tolist()) - exact
    return float(mpmath.mnorm(difference, 1) / mpmath.mnorm(exact, 1))


def partial_errors(theta: np.ndarray, eps: float, exact: Any, tolerance: float) -> list[float]:
    """Relative errors of the series after 1, 2, ... terms, until one is below the tolerance.

    In the working precision of mpmath, which must hold the largest term, exp(a) times psi at most.
    """
    a = 1 / (2 * mpmath.mpf(eps))
    w = mpmath.matrix(theta.tolist()) / mpmath.mpf(eps) + a * a * mpmath.eye(len(theta))
    power = mpmath.exp(-a) * mpmath.eye(len(theta))  # exp(-a) W^n/(2n)!
    total, size, errors, n = mpmath.zeros(len(theta)), mpmath.mnorm(exact, 1), [], 0
    while not errors or errors[-1] > tolerance:
        assert n < LONGEST  # more than any mass of the experiment needs
        total += power * (1 + a / (2 * n + 1))
        errors.append(float(mpmath.mnorm(total - exact, 1) / size))
        n += 1
        power = power * w / ((2 * n - 1) * (2 * n))
    return errors


def terms_asked(theta: np.ndarray, eps: float, exact: Any, tolerance: float) -> int:
    """The terms after which a bound of the remainder is below tolerance ||psi(theta)||.

    The remainder after n terms is at most t_n/(1 - q), where t_n = exp(-a) w^n (1/(2n)! +
    a/(2n+1)!), w = ||W||, bounds the next term and q = w/((2n+1)(2n+2)) < 1 the quotient of those
    that follow.
    """
    a = 1 / (2 * eps)
    w = np.abs(theta / eps + a * a * np.eye(len(theta))).sum(axis=0).max()
    goal = math.log(tolerance) + float(mpmath.log(mpmath.mnorm(exact, 1)))
    for n in range(1, LONGEST):
        quotient = w / ((2 * n + 1) * (2 * n + 2))
        log_term = n * math.log(w) - a - math.lgamma(2 * n + 1) + math.log1p(a / (2 * n + 1))
        if quotient < 1 and log_term - math.log1p(-quotient) <= goal:
            return n
    raise AssertionError("more terms than any mass of the experiment needs")


def gather(config: Config, accuracies: Sequence[Accuracy]) -> Digits:
    """All of them, and the errors of the first theta term by term."""
    curves = []
    theta = theta_of(0, config.size)
    with mpmath.workdps(DPS):
        for eps in CURVE_EPS:
            exact = psi(theta, eps, dps=DPS)
            errors = partial_errors(theta, eps, exact, ROUNDOFF / 4)
            curves.append(Terms(eps, tuple(_kept(error) for error in errors)))
    return Digits(tuple(config.eps()), tuple(accuracies), tuple(curves))


def _kept(value: float) -> float:
    return float(f"{value:.{DIGITS}g}")


def claims(digits: Digits) -> list[Claim]:
    """What holds of the series, and what each form loses."""
    terms, bounds = digits.counts("terms"), digits.counts("bounds")
    eps = np.array(digits.eps)
    worst = {method: digits.errors(method).max(axis=1) for method in METHODS}
    return [
        Claim.judged(
            "psi(theta) is the series exp(-1/(2 eps)) sum_n (1/(2n)! + 1/(2 eps (2n+1)!)) "
            "(theta/eps + I/(4 eps²))^n",
            "Proposition 4",
            f"in {DPS}-digit arithmetic its error falls below {TOLERANCES[-1]:g} for all "
            f"{terms[..., 0].size} theta and eps, and never later than the bound of the remainder "
            "asks for",
            bool((terms <= bounds).all()),
        ),
        _growth(eps, terms[..., -1]),
        Claim.judged(
            "in double precision the closed form, the series and the companion matrix lose digits "
            "as eps -> 0, and the default of odemom.psi does not",
            "beyond the paper",
            "; ".join(f"{method}: {_lost(eps, worst[method])}" for method in METHODS),
            bool(
                worst["auto"].max() < FEW_ROUNDOFFS * ROUNDOFF
                and all(worst[m][0] > 10 * worst["auto"].max() for m in METHODS[1:])
            ),
        ),
    ]


def _spread(count: int, wanted: int) -> list[int]:
    return sorted({round(i) for i in np.linspace(0, count - 1, wanted)})


def _growth(eps: np.ndarray, terms: np.ndarray) -> Claim:
    small = eps <= SMALL_EPS
    mean = 1 / (2 * eps[small, None])
    excess = (2 * terms[small] - mean) / np.sqrt(mean)
    chosen = _spread(len(eps), 7)
    return Claim.judged(
        "as eps -> 0 the series needs 1/(4 eps) terms, and a multiple of eps^{-1/2} more, so that "
        "it is of use for large masses only",
        "beyond the paper",
        ", ".join(f"{terms[i].max()} at eps = {eps[i]:.3g}" for i in chosen)
        + f" for {TOLERANCES[-1]:g}; for eps <= {SMALL_EPS:g} twice the number exceeds 1/(2 eps) "
        f"by {excess.min():.1f} to {excess.max():.1f} of its square roots",
        bool(EXCESS[0] < excess.min() and excess.max() < EXCESS[1]),
    )


def _lost(eps: np.ndarray, worst: np.ndarray) -> str:
    chosen = _spread(len(eps), 4)
    return ", ".join(
        f"{worst[i]:.1e} at eps = {eps[i]:.3g}" if worst[i] < math.inf else f"none at {eps[i]:.3g}"
        for i in chosen
    )


EXPERIMENT = Experiment(
    config=Config,
    quick=Config(seeds=1, masses=4, size=3),
    tasks=tasks,
    run=run,
    gather=gather,
    claims=claims,
)
