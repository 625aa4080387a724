"""The second-order flow eps x'' + x' = theta x, with x'(0) = 0 or x'(0) = theta x0."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import Any, Literal

import numpy as np

from odemom.checks import as_eps, as_horizon, as_initial_velocity, invalid, shown
from odemom.flows.base import (
    CRITICAL,
    PAIRS,
    Flow,
    Method,
    RealImage,
    as_points,
    exact,
    interval_text,
    number_text,
)
from odemom.flows.companion import companion_exponential
from odemom.flows.damped import damped_closed, damped_series
from odemom.flows.propagator import propagate
from odemom.flows.threshold import LambdaEps

__all__ = ["SecondOrder"]


@dataclass(frozen=True)
class SecondOrder(Flow):
    """The flow of eps x'' + x' = theta x, x(0) = x0, on [0, T].

    With T = 1, s² = z/eps + 1/(4 eps²) and a = 1/(2 eps)::

        psi(z) = exp(-a) (cosh s + a sinh(s)/s)          x'(0) = 0
        psi(z) = exp(-a) (cosh s + (a + z) sinh(s)/s)    x'(0) = theta x0

    and a horizon T is a rescaling, psi_{eps,T}(z) = psi_{eps/T}(T z).

    Parameters
    ----------
    eps : number or str
        The mass, in (0, inf). Ints and Fractions are exact, a float is the dyadic rational that it
        is, a string the decimal or fraction that it spells.
    initial_velocity : {"zero", "field"}, default "zero"
        x'(0) = 0, or x'(0) = theta x0, with which every real matrix is representable.
    horizon : number, default 1
        The final time T in (0, inf).

    Raises
    ------
    InvalidInputError
        If ``eps`` is not in (0, inf) (the ends are `FirstOrder` and `Undamped`), or another
        parameter is outside its domain.

    References
    ----------
    Sander, Ablin, Blondel, Peyré, Momentum Residual Neural Networks, ICML 2021, Theorem 1 and
    Propositions 3 and 4.

    Examples
    --------
    >>> from odemom.flows import SecondOrder
    >>> float(SecondOrder(0.5).scalar(0.0))
    1.0
    """

    eps: Fraction | float
    initial_velocity: Literal["zero", "field"] = "zero"
    horizon: Fraction | float = 1

    def __post_init__(self) -> None:
        eps = as_eps(self.eps)
        if not 0 < eps < math.inf:
            raise invalid(
                "eps",
                got=shown(self.eps),
                expected="a number in (0, inf)",
                fix="eps = 0 is FirstOrder(), eps = inf is Undamped().",
            )
        object.__setattr__(self, "eps", eps)
        object.__setattr__(self, "horizon", as_horizon(self.horizon))
        as_initial_velocity(self.initial_velocity)

    @property
    def field(self) -> bool:
        """Whether x'(0) = theta x0."""
        return self.initial_velocity == "field"

    @property
    def unit_eps(self) -> Fraction:
        """eps/T, the mass of the equivalent flow on [0, 1], exactly."""
        return exact(self.eps) / exact(self.horizon)

    @cached_property
    def unit(self) -> float:
        """`unit_eps` in double precision."""
        # A quotient beyond the doubles is out of the scalar formulas' reach but not out of psi's
        # domain: it saturates at the largest and smallest double, where psi has its limits.
        try:
            return max(float(self.unit_eps), 5e-324)
        except OverflowError:
            return np.finfo(float).max

    def scalar(self, z: Any) -> np.ndarray:
        """Psi of real or complex points; see `Flow.scalar`."""
        points = float(self.horizon) * as_points(z)
        cosh, a_sinhc = scaled_kernels(points, self.unit)
        values = cosh + a_sinhc * (1 + 2 * self.unit * points if self.field else 1)
        return values if points.dtype.kind == "c" else np.real(values)

    def matrix(self, theta: np.ndarray, method: Method = "auto") -> np.ndarray:
        """Psi of a matrix; see `Flow.matrix`."""
        eps = self.unit
        if self.horizon != 1:
            theta = float(self.horizon) * theta
        if method == "companion":
            return companion_exponential(theta / eps, 1 / eps, theta if self.field else None)
        if method == "auto":
            return propagate(theta, eps, self.field)
        evaluate = {"closed": damped_closed, "series": damped_series}[method]
        return evaluate(theta, eps, self.field)

    def matrix_mp(self, theta: Any, dps: int) -> Any:
        """Psi of a matrix in mpmath; see `Flow.matrix_mp`."""
        from odemom.flows.precise import damped_mp

        return damped_mp(theta, exact(self.horizon), self.unit_eps, self.field, dps)

    @property
    def real_image(self) -> RealImage:
        """[lambda_eps, inf), the end critical; with ``"field"`` every real value, regularly."""
        if self.field:
            return RealImage(None)
        return RealImage(LambdaEps(self.unit_eps), at=CRITICAL, below=PAIRS)

    def describe(self) -> str:
        """The equation."""
        start = "theta x0" if self.field else "0"
        return (
            f"{number_text(self.eps)} x'' + x' = theta x, x'(0) = {start}"
            f"{interval_text(self.horizon)}"
        )


def scaled_kernels(z: np.ndarray, eps: float) -> tuple[np.ndarray, np.ndarray]:
    """exp(-a) cosh s and exp(-a) a sinh(s)/s as complex arrays, a = 1/(2 eps), s² = z/eps + a².

    exp(-a) never meets exp(s): their quotient is exp(s - a) = exp(2 z/(1 + R)), R = s/a =
    sqrt(1 + 4 eps z). Where |s| < 1 the difference of the two exponentials, divided by s, would
    cancel: sinh is taken there.
    """
    a = 0.5 / eps if eps > 1e-308 else math.inf
    z = z.astype(np.complex128)
    with np.errstate(over="ignore", under="ignore", invalid="ignore", divide="ignore"):
        if eps <= 1:
            ratio = np.sqrt(1 + 4 * eps * z)
            rising = np.exp(2 * z / (1 + ratio))
            falling = np.exp(-a * (1 + ratio)) if math.isfinite(a) else np.zeros_like(z)
            s = a * ratio if math.isfinite(a) else np.full_like(z, np.inf)
        else:
            s = np.sqrt(z / eps + a * a)
            rising, falling = np.exp(s - a), np.exp(-s - a)
            ratio = 2 * eps * s
        near = np.abs(s) < 1
        safe = np.where(near & (s == 0), 1, s)
        cosh = (rising + falling) / 2
        a_sinhc = np.where(
            near,
            np.where(s == 0, 1, np.sinh(np.where(near, safe, 0)) / safe)
            * (a * math.exp(-a) if math.isfinite(a) else 0.0),
            (rising - falling) / (2 * np.where(near, 1, ratio)),
        )
    return cosh, a_sinhc
