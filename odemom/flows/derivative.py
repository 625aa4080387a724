"""odemom.psi_frechet: the Fréchet derivative of psi."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from odemom.checks import as_float_matrices, expect
from odemom.errors import ResultOverflowError
from odemom.flows.by_eps import flow_of

__all__ = ["psi_frechet"]


def psi_frechet(
    theta: Any,
    E: Any,
    eps: Any,
    *,
    horizon: Any = 1,
    initial_velocity: Literal["zero", "field"] = "zero",
) -> np.ndarray:
    """The Fréchet derivative L(theta, E) of psi: psi(theta + t E) = psi(theta) + t L + O(t²).

    Parameters
    ----------
    theta : array_like of real numbers, shape (d, d)
    E : array_like of real numbers, shape (..., d, d)
        One direction or a stack of them.
    eps : number or str in [0, inf], or Flow
        As for `psi`.
    horizon : number, default 1
    initial_velocity : {"zero", "field"}, default "zero"
        As for `psi`.

    Returns
    -------
    ndarray of float64, shape (..., d, d)

    Raises
    ------
    InvalidInputError
        If an argument is not what `psi` takes, or the shapes do not fit.
    ResultOverflowError
        If the derivative exceeds the range of doubles.

    Notes
    -----
    psi by scaling and doubling, differentiated step by step: three times its matrix products. Of a
    discrete flow, the upper right block of psi([[theta, E], [0, theta]]). The adjoint of
    L(theta, .) in the trace inner product is L(theta.T, .).

    References
    ----------
    Al-Mohy and Higham, Computing the Fréchet derivative of the matrix exponential, SIAM J. Matrix
    Anal. Appl. 30, 2009.

    Examples
    --------
    psi'(z) E for a commuting direction:

    >>> import numpy as np, odemom
    >>> theta, h = np.array([[0.3]]), 1e-6
    >>> slope = (odemom.psi(theta + h, 0.5) - odemom.psi(theta - h, 0.5)) / (2 * h)
    >>> bool(np.allclose(odemom.psi_frechet(theta, [[1.0]], 0.5), slope, rtol=1e-8))
    True
    """
    flow = flow_of(eps, horizon=horizon, initial_velocity=initial_velocity)
    matrix = as_float_matrices(theta, "theta", stacks=False)
    direction = as_float_matrices(E, "E")
    expect(
        direction.shape[-1] == len(matrix),
        "E",
        got=f"shape {direction.shape}",
        expected=f"shape (..., {len(matrix)}, {len(matrix)}), as theta",
    )
    with np.errstate(all="ignore"):
        stack = direction.reshape(-1, *matrix.shape)
        result = flow.derivatives(matrix, stack)[1].reshape(direction.shape)
    if not np.isfinite(result).all():
        raise ResultOverflowError(
            "psi_frechet: the derivative exceeds the range of doubles. Scale theta or E down."
        )
    return result
