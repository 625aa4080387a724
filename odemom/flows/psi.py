"""odemom.psi: the matrix function of a flow, by the method that one names."""

from __future__ import annotations

import math
from typing import Any, Literal

import numpy as np

from odemom.checks import (
    all_finite,
    as_array,
    as_float_matrices,
    eps_or_gamma,
    expect,
    invalid,
    refuse_all_but_numbers,
    require_square,
    shown,
)
from odemom.errors import ResultOverflowError
from odemom.flows.base import Flow
from odemom.flows.by_eps import flow_of, ode_flow_of
from odemom.flows.ode import ODEFlow
from odemom.flows.threshold import as_digits
from odemom.propagator.named_methods import METHODS, Method
from odemom.propagator.scaled import propagate_scaled

__all__ = ["flow_of", "psi"]


def psi(
    theta: Any,
    eps: Any = None,
    *,
    gamma: Any = None,
    method: Method = "auto",
    horizon: Any = 1,
    initial_velocity: Literal["zero", "field"] = "zero",
    dps: int | None = None,
    scaled: bool = False,
) -> Any:
    r"""The matrix psi(theta) for which x(T) = psi(theta) x0 when eps x'' + x' = theta x.

    Parameters
    ----------
    theta : array_like of real numbers, shape (..., d, d)
        One matrix or a stack. With ``dps``, one matrix; ints and Fractions are then exact.
    eps : number or str in [0, inf], or Flow
        The mass. 0 is the first-order flow, ``exp(T theta)``; inf is the undamped flow
        x'' = theta x, ``cosh sqrt(T² theta)`` (the limit after theta is rescaled by eps).
    gamma : number or str in [0, 1], optional
        In place of ``eps``: the flow with eps = 1/(1 - gamma). The net is a flow of its own,
        ``flows.MomentumResNet(gamma, depth)``.
    method : {"auto", "series", "closed", "companion"}
        With a = 1/(2 eps) and W = theta/eps + a² I (T = 1),

        - ``"closed"``: exp(-a) (cosh sqrt(W) + a sinhc sqrt(W)), the wave kernels by a scaled
          Taylor polynomial and double angles;
        - ``"series"``: exp(-a) sum_n (1/(2n)! + a/(2n+1)!) W^n (Proposition 4). The remainder after
          the term n is at most ||term n|| q/(1 - q), q = ||W||/((2n+1)(2n+2)); the sum stops when
          that is below the unit roundoff u times the sum of the norms;
        - ``"companion"``: SciPy's expm of the 2d x 2d companion matrix;
        - ``"auto"``: the two parts C = exp(-a) cosh sqrt(W) and psi - C over a step h <= 1 as
          Taylor polynomials in theta, then doublings of the step; h depends on theta, not on eps.
          One form for every eps: nothing overflows, and no digit is lost as eps -> 0 (see
          `odemom.propagator.plans`).

        The truncation error of ``"auto"`` is at most u/2 relative to C over the step, and its
        doublings magnify relative errors as psi does those of theta: the error is near
        u max(1, cond) ||psi(theta)||, cond = `psi_cond`, at most 3.6 times that on the suite of
        tests/propagator/test_accuracy.py, of sizes up to 12 (2.2 with OpenBLAS's kernels for AVX2,
        3.6 with those for AVX-512), and 0.8 d times that on the public matrices of
        tests/gallery.py, of sizes up to 48. It is more where psi oscillates and has an extremum at
        an eigenvalue, so that cond is small: as a rule up to the angle there, |z/eps|^(1/2), and up
        to its square where the angle is nearly a multiple of a high power of two times pi. On x86
        processors u is 2^-64 instead of 2^-53 until the last rounding, for one matrix of size up to
        3, or of size up to 12, large, and far from normal.
        With B = exp(-a) (cosh ||W||^{1/2} + b sinhc ||W||^{1/2}), ||.|| the 1-norm, b = a or, with
        x'(0) = theta x0, b = a + ||theta||, and m = 1 + ||W||^{1/2}, the error of the series and of
        the closed form is at most 20 d m u B, which is small unless psi(theta) is much smaller than
        B; that of the companion form at most 20 d (1 + ||A||) u exp(||A||), A the companion matrix.
    horizon : number, default 1
        The final time T in (0, inf): psi_{eps,T}(theta) = psi_{eps/T}(T theta).
    initial_velocity : {"zero", "field"}, default "zero"
        x'(0) = 0, or x'(0) = theta x0 (finite eps only).
    dps : int, optional
        Decimal digits, from 1 to 100,000. The result is then an `mpmath.matrix` whose error is
        below 10^-dps times its norm, whatever ``eps``; ``method`` must be ``"auto"``.
    scaled : bool, default False
        Whether to return psi(theta) exp(-shift) and shift instead, for results that exceed the
        doubles or fall below them; ``method`` must be ``"auto"``.

    Returns
    -------
    ndarray of float64, shape (..., d, d), or mpmath.matrix
        With ``scaled``, a tuple of that (largest entry in [1/2, 1)) and of the shifts, a float or
        an ndarray of float64, shape (...,).

    Raises
    ------
    InvalidInputError
        If ``theta`` is not a finite real square matrix (or stack), or a parameter is outside its
        domain.
    ResultOverflowError
        With the magnitude in ``log10_norm``, if psi(theta), or with a method that was named an
        intermediate result, exceeds the range of doubles: the series does for eps < 1/1400, where
        exp(-a) underflows.

    References
    ----------
    Sander, Ablin, Blondel, Peyré, Momentum Residual Neural Networks, ICML 2021, Proposition 4.
    Nadukandi and Higham, Computing the wave-kernel matrix functions, SIAM J. Sci. Comput. 2018.

    Examples
    --------
    >>> import numpy as np, odemom
    >>> theta = np.array([[0.0, -3.0], [3.0, 0.0]])
    >>> bool(np.allclose(odemom.psi(theta, 0.5), odemom.psi(theta, 0.5, method="companion")))
    True
    >>> odemom.psi(np.zeros((2, 2)), 0.5).round(12).tolist()
    [[1.0, 0.0], [0.0, 1.0]]
    >>> scaled, shift = odemom.psi([[1e6]], 0, scaled=True)  # exp(10^6)
    >>> round(shift + float(np.log(scaled[0, 0])), 6)
    1000000.0
    """
    mass = eps_or_gamma(eps, gamma)
    flow = flow_of(mass, horizon=horizon, initial_velocity=initial_velocity)
    if not (isinstance(method, str) and method in METHODS):
        names = ", ".join(f'"{name}"' for name in METHODS)
        raise invalid("method", got=shown(method), expected=names)
    if not isinstance(scaled, bool | np.bool_):
        raise invalid("scaled", got=shown(scaled), expected="True or False")
    if dps is not None:
        expect(method == "auto", "method", got=shown(method), expected='"auto" beside dps')
        expect(
            not scaled,
            "scaled",
            got="True beside dps",
            expected="one of the two",
            fix="With dps the range of numbers is that of mpmath: there is nothing to scale.",
        )
        return flow.matrix_mp(_entries(theta), as_digits(dps))
    matrices = as_float_matrices(theta, "theta")
    if scaled:
        expect(method == "auto", "method", got=shown(method), expected='"auto" beside scaled')
        with np.errstate(all="ignore"):
            psi_scaled, shifts = propagate_scaled(*ode_flow_of(flow).unit_problem(matrices))
        if not np.isfinite(psi_scaled).all():
            raise ResultOverflowError(_beyond(matrices, flow, method))
        return psi_scaled, (float(shifts) if shifts.ndim == 0 else shifts)
    result = flow.matrix(matrices, method)
    if not all_finite(result):
        raise _overflow(result, matrices, flow, method)
    return result


def _overflow(
    result: np.ndarray, theta: np.ndarray, flow: Flow, method: str
) -> ResultOverflowError:
    """The error for a result that is not finite, with its magnitude where the flow tells it."""
    message = _beyond(theta, flow, method)
    if not isinstance(flow, ODEFlow):
        return ResultOverflowError(message)
    d = theta.shape[-1]
    bad = ~np.isfinite(result).reshape(-1, d * d).all(axis=1)
    with np.errstate(all="ignore"):
        scaled, shifts = propagate_scaled(*flow.unit_problem(theta.reshape(-1, d, d)[bad]))
        sizes = np.log10(np.abs(scaled).sum(axis=-2).max(axis=-1)) + shifts / math.log(10)
    log10_norm = float(sizes.max())
    # An intermediate result of psi is no larger than psi, save for a theta whose entries are so
    # unequal that its scaled value is of no use either.
    if not 300 < log10_norm < math.inf:
        return ResultOverflowError(message)
    return ResultOverflowError(
        f"{message} The 1-norm of psi(theta) is 10^{log10_norm:.6g}; scaled=True gives psi(theta) "
        "exp(-shift) and shift.",
        log10_norm,
    )


def _beyond(theta: np.ndarray, flow: Flow, method: str) -> str:
    with np.errstate(over="ignore"):
        norm = np.abs(theta).sum(axis=-2).max()
    return (
        f"psi(theta): the {method!r} evaluation exceeds the range of doubles (1-norm of theta "
        f"{norm:.3g}, {flow.describe()}). dps=16 has a wider range."
    )


def _entries(theta: Any) -> Any:
    """The entries of one matrix as nested lists, exact numbers kept."""
    array = as_array(theta, "theta", "a real square matrix (d, d)", entries=True)
    if array.dtype.kind == "O":
        refuse_all_but_numbers(array, "theta", floats=True)
    elif array.dtype.kind not in "iub":
        array = as_float_matrices(array, "theta", stacks=False)
    require_square(array.shape, "theta", stacks=False)
    return array.tolist()
