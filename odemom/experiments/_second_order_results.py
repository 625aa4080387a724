"""What came of the comparison of second-order models, and figures with their error bars."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from odemom.experiments._spread import deviation

__all__ = ["Comparison", "Fit", "log_ratio", "spread"]


@dataclass(frozen=True)
class Fit:
    """One model on one problem; tuples go over the seeds unless they say otherwise.

    Attributes
    ----------
    problem, model : str
    parameters, width : int
        Of one net, and hidden units of f.
    rates, validation : tuple of float
        The learning rates tried, and the mean validation loss of each.
    rate : float
        The one kept.
    loss : tuple of float
        On the test data: mean square error, or logistic loss where classes are learnt.
    misclassified : tuple of float
        The share of the test points, where classes are learnt.
    forward, backward : tuple of int
        Evaluations of f.
    friction : tuple of float
        What was learnt: gamma, or 1/eps; empty for the models without.
    bound : tuple of float
        The mean square error that no first-order ODE on the line can beat.
    size : tuple of float
        The mean square of the targets.
    """

    problem: str
    model: str
    parameters: int
    width: int
    rates: tuple[float, ...]
    validation: tuple[float, ...]
    rate: float
    loss: tuple[float, ...]
    misclassified: tuple[float, ...]
    forward: tuple[int, ...]
    backward: tuple[int, ...]
    friction: tuple[float, ...]
    bound: tuple[float, ...]
    size: tuple[float, ...]


@dataclass(frozen=True)
class Comparison:
    """All fits.

    Attributes
    ----------
    problems, models : tuple of str
    fits : tuple of Fit
    """

    problems: tuple[str, ...]
    models: tuple[str, ...]
    fits: tuple[Fit, ...]

    def fit(self, problem: str, model: str) -> Fit | None:
        """The fit of a model on a problem, if it was made."""
        found = [f for f in self.fits if (f.problem, f.model) == (problem, model)]
        return found[0] if found else None


def spread(values: Sequence[float], form: str = ".2g", times: float = 1.0) -> str:
    """Mean ± standard deviation, in words.

    Examples
    --------
    >>> spread([1.0, 2.0, 3.0])
    '2 ± 1'
    """
    array = times * np.asarray(values, dtype=float)
    return f"{array.mean():{form}} ± {deviation(array):{form}}"


def log_ratio(a: Sequence[float], b: Sequence[float]) -> tuple[float, float]:
    """The mean of log(a/b) over the pairs, and its standard error (inf for a single pair).

    Examples
    --------
    >>> mean, error = log_ratio([2.0, 8.0], [1.0, 1.0])
    >>> round(math.exp(mean), 6), round(error, 3)
    (4.0, 0.693)
    """
    logs = np.log(np.asarray(a, dtype=float) / np.asarray(b, dtype=float))
    if len(logs) == 1:
        return float(logs[0]), math.inf
    return float(logs.mean()), float(deviation(logs) / math.sqrt(len(logs)))
