"""The spread over seeds that stands behind every ± and every bar."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

__all__ = ["deviation"]


def deviation(values: ArrayLike, axis: int | None = None) -> Any:
    """The standard deviation of a sample, with n - 1 below the sum; 0 where there is one value.

    Parameters
    ----------
    values : array_like
        One value per seed along ``axis``.
    axis : int, optional
        By default all of them are one sample.

    Returns
    -------
    float or numpy.ndarray
        Without ``axis`` a number, else an array of the other axes.

    Examples
    --------
    >>> float(deviation([1.0, 2.0, 3.0])), float(deviation([5.0]))
    (1.0, 0.0)
    """
    array = np.asarray(values, dtype=float)
    count = array.size if axis is None else array.shape[axis]
    return array.std(axis=axis, ddof=int(count > 1))
