"""psi(theta) X without psi(theta): products of theta with blocks of vectors only."""

from __future__ import annotations

import math
from typing import Any, Literal

import numpy as np

from odemom.checks import as_float_array, expect, shown
from odemom.errors import ResultOverflowError
from odemom.flows.by_eps import ode_flow_of
from odemom.flows.operators import as_operator
from odemom.propagator.chebyshev import expansion, expansion_coefficients
from odemom.propagator.taylor_steps import take_steps

__all__ = ["psi_multiply"]

# Over Gershgorin's interval the expansion loses as many digits as psi has there beyond 1.
LARGEST_PSI = 100.0


def psi_multiply(
    theta: Any,
    X: Any,
    eps: Any,
    *,
    horizon: Any = 1,
    initial_velocity: Literal["zero", "field"] = "zero",
    interval: tuple[float, float] | None = None,
) -> np.ndarray:
    """psi(theta) X, for sparse theta or one that is known by its products only.

    Parameters
    ----------
    theta : array_like, sparse array or LinearOperator, shape (d, d)
        Real. A LinearOperator needs ``rmatvec`` (for the estimate of its norm), or ``interval``.
    X : array_like of real numbers, shape (d,) or (d, k)
    eps : number or str in [0, inf], or Flow
        As for `psi`.
    horizon : number, default 1
    initial_velocity : {"zero", "field"}, default "zero"
        As for `psi`.
    interval : tuple of two floats, optional
        Contains the spectrum of theta, which must then be symmetric. Symmetric matrices get
        Gershgorin's by themselves, if psi is at most 100 there.

    Returns
    -------
    ndarray of float64, shape of ``X``

    Raises
    ------
    InvalidInputError
        If an argument is not what is described here.
    ResultOverflowError
        If the result exceeds the range of doubles.

    Notes
    -----
    Symmetric theta: a Chebyshev expansion of psi on the interval, cut where its coefficients have
    fallen to the roundoff of max |psi|. In the 2-norm its error is of the order of (number of
    terms) u max |psi| ||X||, the maximum over the interval; of a psi that oscillates (-theta much
    larger than 1/eps) it takes of the order of T (||theta||/eps)^(1/2) products, of one that
    decays (T ||theta||)^(1/2).

    Other theta: steps of the state (x, x') by Taylor polynomials of degree <= 58, whose terms are
    bounded beforehand by ||theta||_1 and estimates of ||theta²||, ||theta³||; for eps = 0 of theta
    minus the mean of its diagonal. No more than a few
    blocks the size of X are kept: O(nnz + d k) memory.

    References
    ----------
    Al-Mohy and Higham, Computing the action of the matrix exponential, SIAM J. Sci. Comput. 33,
    2011; Tal-Ezer and Kosloff, J. Chem. Phys. 81, 1984 (Chebyshev expansion in time).

    Examples
    --------
    The telegraph equation eps u_tt + u_t = u_xx on a grid, from a bump:

    >>> import numpy as np, odemom, scipy.sparse
    >>> n = 200
    >>> second = scipy.sparse.diags_array([1.0, -2.0, 1.0], offsets=[-1, 0, 1], shape=(n, n))
    >>> mode = np.sin(np.pi * np.arange(1, n + 1) / (n + 1))  # an eigenvector
    >>> u = odemom.psi_multiply((n + 1) ** 2 * second, mode, 0.1)
    >>> value = -4 * (n + 1) ** 2 * np.sin(np.pi / (2 * n + 2)) ** 2
    >>> bool(np.allclose(u, odemom.flows.SecondOrder(0.1).scalar(value) * mode, atol=1e-11))
    True
    """
    flow = ode_flow_of(eps, horizon=horizon, initial_velocity=initial_velocity)
    operator = as_operator(theta)
    block, flat = _block(X, operator.dimension)
    mass, field = flow.unit, flow.field
    with np.errstate(all="ignore"):
        if interval is None and operator.is_symmetric:
            # The expansion is as good as psi is on the whole interval, which may reach far beyond
            # the spectrum: it costs two digits at most, or is not taken.
            bounds = operator.gershgorin
            interval = bounds if flow.scalar(bounds[1]) <= LARGEST_PSI else None
        if interval is not None:
            ends = _ends(interval)
            low, high = flow.on_unit_interval(np.array(ends)).tolist()
            coefficients = expansion_coefficients(low, high, mass, field)
            result = expansion(operator.apply, block, coefficients, *ends)
        else:
            # exp(theta) = e^c exp(theta - c I), which is of smaller norm.
            center = operator.center if mass == 0 else 0.0
            operator = operator.minus(center)
            sizes = flow.on_unit_interval(np.array([operator.size(), center]))
            result = take_steps(
                lambda vectors: flow.on_unit_interval(operator.apply(vectors)),
                block,
                mass,
                field,
                *sizes.tolist(),
            )
    if not np.isfinite(result).all():
        raise ResultOverflowError("psi_multiply: psi(theta) X exceeds the range of doubles.")
    return result[:, 0] if flat else result


def _block(X: Any, d: int) -> tuple[np.ndarray, bool]:
    """X with two axes, and whether it had one."""
    array = as_float_array(X, "X", "real numbers")
    expect(
        array.ndim in (1, 2) and array.shape[0] == d,
        "X",
        got=f"shape {array.shape}",
        expected=f"shape ({d},) or ({d}, k)",
    )
    return array.reshape(d, -1), array.ndim == 1


def _ends(interval: Any) -> tuple[float, float]:
    try:
        low, high = (float(end) for end in interval)
    except (TypeError, ValueError):
        low, high = math.nan, math.nan
    expect(
        -math.inf < low <= high < math.inf,
        "interval",
        got=shown(interval),
        expected="two finite numbers, the lower first",
    )
    return low, high
