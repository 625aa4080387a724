"""How far psi(theta) is from D, and how well conditioned that is.

psi(theta) in doubles is off by about the condition number times roundoff. Where that is more than
a residual should hide, or where psi(theta) leaves the doubles and nothing is known of its error, it
is computed again to so many digits as it takes.
"""

from __future__ import annotations

import math
from typing import Any, cast

import numpy as np

from odemom.errors import ResultOverflowError
from odemom.flows.base import Flow
from odemom.flows.condition import condition_number, frobenius
from odemom.representability.matrix_branch import relative_distance

__all__ = ["residual_and_condition"]

HIDDEN = 1e-9  # the largest error that the roundoff of doubles may leave in a residual
DIGITS = 17
# What is below has lost digits, of psi(theta) as of its derivatives.
SMALLEST = float(np.finfo(float).tiny / np.finfo(float).eps)
LARGEST = 64  # psi is computed to more digits for matrices of up to so many rows
MOST_WORK = 4e6  # in rows³ (log2 ||theta||)²: at most some 2 seconds where psi leaves the doubles


def residual_and_condition(flow: Flow, theta: np.ndarray, d: np.ndarray) -> tuple[float, float]:
    """||psi(theta) - D|| / ||D|| in the Frobenius norm, and the condition number of psi at theta.

    Parameters
    ----------
    flow : Flow
    theta : ndarray of float64, shape (m, m)
    d : ndarray of float64, shape (n, n)
        Compared with the upper left corner of psi(theta).

    Returns
    -------
    residual, condition : float
        The residual is inf where it is beyond the doubles, or where psi(theta) is and takes too
        long in more digits; the condition number where psi(theta) is, or vanishes.
    """
    n, condition = len(d), condition_number(flow, theta)
    condition = np.inf if np.isnan(condition) else condition
    with np.errstate(all="ignore"):
        made = flow.matrix(theta)
        residual = relative_distance(made[:n, :n], d)
        size = frobenius(made)
        hides = condition * np.finfo(float).eps * size > HIDDEN * frobenius(d)
    # Where psi is moderate and its derivative is 0, nothing is magnified: doubles tell.
    told = np.isfinite(condition) and SMALLEST < size < np.inf
    left = len(theta) > LARGEST if told else _work(theta) > MOST_WORK
    if (told and not hides) or left:
        return residual, condition
    return _precise_residual(flow, theta, d), condition


def _work(theta: np.ndarray) -> float:
    """Rows³ times the doublings of an interval, times the bits that each of them may lose."""
    return len(theta) ** 3 * max(1.0, math.log2(float(np.abs(theta).max()) or 1.0)) ** 2


def _precise_residual(flow: Flow, theta: np.ndarray, d: np.ndarray) -> float:
    import mpmath

    n, frobenius = len(d), cast(Any, "f")
    try:
        made: Any = flow.matrix_mp(theta.tolist(), DIGITS)
        with mpmath.workdps(DIGITS):
            aim = mpmath.matrix(d.tolist())
            size = mpmath.mnorm(aim, frobenius)
            magnified = mpmath.mnorm(made, frobenius) / (size or 1)
        if n < len(theta) and magnified > 10:  # digits are those of all of psi(theta)
            more = int(mpmath.ceil(mpmath.log10(magnified)))
            made = flow.matrix_mp(theta.tolist(), DIGITS + more)
    except ResultOverflowError:
        return np.inf
    with mpmath.workdps(DIGITS):
        missed = mpmath.mnorm(made[:n, :n] - aim, frobenius)
        return float(missed / (size or 1))
