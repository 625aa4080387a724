"""How far psi(theta) is from D, and how well conditioned that is.

psi(theta) in doubles is off by about the condition number times roundoff. Where that is more than
a residual should hide, psi(theta) is computed again to so many digits as it takes.
"""

from __future__ import annotations

from typing import Any, cast

import numpy as np

from odemom.errors import ResultOverflowError
from odemom.flows.base import Flow
from odemom.flows.condition import condition_number
from odemom.representability.matrix_branch import relative_distance

__all__ = ["residual_and_condition"]

HIDDEN = 1e-9  # the largest error that the roundoff of doubles may leave in a residual
DIGITS = 17
LARGEST = 64  # psi is computed to more digits for matrices of up to so many rows


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
        inf where psi(theta) is beyond the doubles; the condition number also where it vanishes.
    """
    n, condition = len(d), condition_number(flow, theta)
    condition = np.inf if np.isnan(condition) else condition
    with np.errstate(all="ignore"):
        residual = relative_distance(flow.matrix(theta)[:n, :n], d)
    hidden = HIDDEN < condition * np.finfo(float).eps < np.inf
    if not hidden or len(theta) > LARGEST:
        return residual, condition
    return _precise_residual(flow, theta, d), condition


def _precise_residual(flow: Flow, theta: np.ndarray, d: np.ndarray) -> float:
    import mpmath

    n, frobenius = len(d), cast(Any, "f")
    try:
        made: Any = flow.matrix_mp(theta.tolist(), DIGITS)[:n, :n]
    except ResultOverflowError:
        return np.inf
    with mpmath.workdps(DIGITS):
        aim = mpmath.matrix(d.tolist())
        missed, size = mpmath.mnorm(made - aim, frobenius), mpmath.mnorm(aim, frobenius)
        return float(missed / size if size else missed)
