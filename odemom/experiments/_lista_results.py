"""What training LISTA and its variants brings."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.stats import t as student

from odemom.experiments._learned_fixed_points import FixedPoints
from odemom.experiments._spread import deviation

__all__ = ["Curve", "Fig10", "Ratio", "Setting"]

LEVEL = 0.95


@dataclass(frozen=True)
class Setting:
    """A setting that was tried.

    Attributes
    ----------
    gamma : float
    step : float
        (1 - gamma) eta, in units of 1/|D|².
    score : float
        The mean of log10 of the validation gap.
    gaps : tuple of float
        The geometric means of the validation gap, depth by depth.
    """

    gamma: float
    step: float
    score: float
    gaps: tuple[float, ...]


@dataclass(frozen=True)
class Curve:
    """The gap L - L* of one method.

    Attributes
    ----------
    method : str
    tied : bool
    depths : tuple of int
    gaps : tuple of tuple of float
        For every depth, one mean gap per dictionary.
    chosen : Setting
    tried : tuple of Setting
        None for the classical methods.
    certified : float
        The largest duality gap of the L* that is subtracted: its error is no larger.
    fixed_points : FixedPoints or None
        Of tied nets.
    """

    method: str
    tied: bool
    depths: tuple[int, ...]
    gaps: tuple[tuple[float, ...], ...]
    chosen: Setting
    tried: tuple[Setting, ...]
    certified: float
    fixed_points: FixedPoints | None


@dataclass(frozen=True)
class Ratio:
    """Paired over the dictionaries: the geometric mean of a ratio, and its 95 % interval."""

    mean: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.mean:.3g} [{self.low:.3g}, {self.high:.3g}]"


@dataclass(frozen=True)
class Fig10:
    """All methods.

    Attributes
    ----------
    updates, batch, tuning_seeds : int
    tuning_depths : tuple of int
        The effort: see the config.
    curves : tuple of Curve
    """

    updates: int
    batch: int
    tuning_seeds: int
    tuning_depths: tuple[int, ...]
    curves: tuple[Curve, ...]

    def curve(self, method: str, *, tied: bool = False) -> Curve:
        """The curve of a method."""
        return next(c for c in self.curves if (c.method, c.tied) == (method, tied))

    def ratios(self, method: str, to: str, *, tied: bool = False) -> dict[int, Ratio]:
        """The gap of a method over that of another on the same dictionary, depth by depth.

        The logarithms of the ratios are taken as a normal sample (Student's t).
        """
        above, below = self.curve(method, tied=tied), self.curve(to, tied=tied)
        logs = np.log(np.array(above.gaps)) - np.log(np.array(below.gaps))
        mean, count = logs.mean(axis=1), logs.shape[1]
        reach = student.ppf((1 + LEVEL) / 2, count - 1) * deviation(logs, 1) / count**0.5
        bounds = np.exp(np.stack([mean, mean - reach, mean + reach], axis=1))
        return {n: Ratio(*map(float, b)) for n, b in zip(above.depths, bounds, strict=True)}
