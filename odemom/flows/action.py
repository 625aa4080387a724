"""psi(theta) X without psi(theta): products of theta with blocks of vectors only."""

from __future__ import annotations

import math
from typing import Any, Literal

import numpy as np

from odemom.checks import as_float_array, as_integer, expect, shown
from odemom.errors import ResultOverflowError
from odemom.flows.action_plans import multiply_cheaply, on_interval
from odemom.flows.by_eps import ode_flow_of
from odemom.flows.operators import as_operator

__all__ = ["psi_multiply"]

# The squares of numbers between two to minus this and two to this are in range.
IN_RANGE = 400


def psi_multiply(
    theta: Any,
    X: Any,
    eps: Any,
    *,
    horizon: Any = 1,
    initial_velocity: Literal["zero", "field"] = "zero",
    interval: tuple[float, float] | None = None,
    max_products: int = 30_000,
) -> np.ndarray:
    """psi(theta) X, for sparse theta or one that is known by its products only.

    Parameters
    ----------
    theta : array_like, sparse array or LinearOperator, shape (d, d)
        Real. A LinearOperator needs ``rmatvec`` (for the estimate of its norm), or ``interval``.
    X : array_like of real numbers, shape (d,) or (d, k)
    eps : number or str in [0, inf], or Flow
        As for `psi`; a flow in continuous time.
    horizon : number, default 1
    initial_velocity : {"zero", "field"}, default "zero"
        As for `psi`.
    interval : tuple of two floats, optional
        Contains the spectrum of theta, which must then be symmetric; both are checked. Symmetric
        matrices get Gershgorin's by themselves, if psi is at most 100 there.
    max_products : int, default 30000
        How many products with theta may be taken. What takes more is refused, if no other way is
        open.

    Returns
    -------
    ndarray of float64, shape of ``X``

    Raises
    ------
    InvalidInputError
        If an argument is not what is described here, if X shows that theta is not symmetric or has
        eigenvalues outside the interval, or if theta takes more products than ``max_products``:
        the message says how many.
    ResultOverflowError
        If the result exceeds the range of doubles.

    Notes
    -----
    Symmetric theta: a Chebyshev expansion of psi on the interval, cut where its coefficients have
    fallen to the roundoff of max |psi|. In the 2-norm its error is of the order of (number of
    terms) u max |psi| ||X||, the maximum over the interval (where psi exceeds 100 there and that is
    more than 1e-6 of the result, the entries are used, or the interval is refused); of a psi that
    oscillates (-theta much larger than 1/eps) it takes of the order of T (||theta||/eps)^(1/2)
    products, of one that decays (T ||theta||)^(1/2). The vectors T_k X of the recurrence are no
    longer than X if the interval is right, and grow exponentially if it is not: so it is checked at
    no further cost.

    Other theta: steps of the state (x, x') by Taylor polynomials of degree <= 58, whose terms are
    bounded beforehand by ||theta||_1 and estimates of ||theta²||, ||theta³||; for eps = 0 of theta
    minus the mean of its diagonal. No more than a few
    blocks the size of X are kept: O(nnz + d k) memory.

    Where so many products are needed that another way is several times faster, it is taken: psi
    itself or the eigenvectors up to d = 2000, with an error of the order of u cond ||psi|| ||X||;
    or, from the entries of a theta for which psi decays, up to 80 solves with one factorised
    I - c theta (shift-and-invert Krylov spaces), with one of the order of u ||theta|| ||X||.

    An array theta of 1,500 to 2,500 rows that is stiff, not symmetric, and whose psi does not decay
    or is tiny takes seconds to half a minute: psi itself is some thirty products of d x d matrices,
    beyond d = 2000 there are up to ``max_products`` with X. Sparse entries, or an interval where
    theta is symmetric, are the way out.

    References
    ----------
    Al-Mohy and Higham, Computing the action of the matrix exponential, SIAM J. Sci. Comput. 33,
    2011; Tal-Ezer and Kosloff, J. Chem. Phys. 81, 1984 (Chebyshev expansion in time); van den
    Eshof and Hochbruck, SIAM J. Sci. Comput. 27, 2006 (shift and invert).

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
    operator, most = as_operator(theta), as_integer(max_products, "max_products", 1)
    block, flat = _block(X, operator.dimension)
    with np.errstate(all="ignore"):
        block, exponents = _near_1(block)
        if interval is None:
            result = multiply_cheaply(flow, operator, block, most)
        else:
            operator.require_symmetric()
            result = on_interval(flow, operator, block, _ends(interval), most)
        if exponents is not None:
            result = np.ldexp(result, exponents)
    if not np.isfinite(result).all():
        raise ResultOverflowError("psi_multiply: psi(theta) X exceeds the range of doubles.")
    return result[:, 0] if flat else result


def _near_1(block: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
    """The columns brought near 1 by powers of two, whose squares are then in range."""
    sizes = np.abs(block).max(axis=0, initial=0.0)
    exponents = np.frexp(sizes)[1]
    if (np.abs(exponents) <= IN_RANGE).all():
        return block, None
    return np.ldexp(block, -exponents), exponents


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
