"""psi by the method that a user names: the textbook forms beside `double`, to compare with."""

from __future__ import annotations

import math
from typing import Literal

import numpy as np

from odemom.propagator.closed_form import cosh_root, damped_closed
from odemom.propagator.companion import companion_exponential, exponentials
from odemom.propagator.series_form import cosh_series, damped_series

__all__ = ["METHODS", "Method", "propagate_by"]

Method = Literal["auto", "series", "closed", "companion"]
METHODS: tuple[Method, ...] = ("auto", "series", "closed", "companion")


def propagate_by(method: Method, theta: np.ndarray, eps: float, field: float) -> np.ndarray:
    """The matrix psi(theta) on [0, 1] by the method of that name; see `odemom.psi`.

    Parameters
    ----------
    method : {"series", "closed", "companion"}
        At eps = 0 all are SciPy's expm. (``"auto"`` is `odemom.propagator.double`.)
    theta, eps, field
        As for `odemom.propagator.double.propagate`.

    Returns
    -------
    ndarray of float64, shape (..., d, d)
        Entries are inf or nan, without a warning, where psi or an intermediate result exceeds the
        doubles.
    """
    with np.errstate(all="ignore"):
        if eps == 0:
            return exponentials(theta)
        if eps == math.inf:
            if method == "companion":
                return companion_exponential(theta, 0.0, field * theta if field else None)
            return {"closed": cosh_root, "series": cosh_series}[method](theta, field)
        if method == "companion":
            return companion_exponential(theta / eps, 1 / eps, field * theta if field else None)
        return {"closed": damped_closed, "series": damped_series}[method](theta, eps, field)
