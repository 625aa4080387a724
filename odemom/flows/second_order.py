"""The second-order flow eps x'' + x' = theta x, with x'(0) = 0 or x'(0) = theta x0."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from odemom.checks import (
    as_eps,
    as_horizon,
    as_initial_velocity,
    invalid,
    nearest_double,
    shown,
)
from odemom.flows.base import (
    CRITICAL,
    PAIRS,
    Flow,
    Method,
    Number,
    RealImage,
    as_points,
    exact,
    interval_text,
    number_text,
)
from odemom.flows.companion import companion_exponential
from odemom.flows.damped import damped_closed, damped_series
from odemom.flows.plans import LARGEST_UNIT
from odemom.flows.power_series import ball, middle, variable, wave_kernel_series
from odemom.flows.preimages import PRECISION, follow
from odemom.flows.propagator import propagate, stretched
from odemom.flows.threshold import LambdaEps

if TYPE_CHECKING:
    import flint

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

    eps: Number
    initial_velocity: Literal["zero", "field"] = "zero"
    horizon: Number = 1

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
        # domain: it saturates near the largest and smallest double, where psi has its limits.
        return min(max(nearest_double(self.unit_eps), 5e-324), LARGEST_UNIT)

    def scalar(self, z: Any) -> np.ndarray:
        """Psi of real or complex points; see `Flow.scalar`."""
        points = float(self.horizon) * as_points(z)
        cosh, a_sinhc = scaled_kernels(points, self.unit)
        values = cosh + a_sinhc
        if self.field:
            values = values + 2 * points * (self.unit * a_sinhc)  # 2 eps z alone may overflow
        return values if points.dtype.kind == "c" else np.real(values)

    def matrix(self, theta: np.ndarray, method: Method = "auto") -> np.ndarray:
        """Psi of a matrix; see `Flow.matrix`."""
        if self.horizon != 1:
            theta = stretched(theta, float(self.horizon))
        if method == "auto":
            return propagate(theta, self.unit, self.field)
        return self._matrix_by(method, theta)

    @np.errstate(all="ignore")
    def _matrix_by(self, method: Method, theta: np.ndarray) -> np.ndarray:
        eps = self.unit
        if method == "companion":
            return companion_exponential(theta / eps, 1 / eps, theta if self.field else None)
        evaluate = {"closed": damped_closed, "series": damped_series}[method]
        return evaluate(theta, eps, self.field)

    def matrix_mp(self, theta: Any, dps: int) -> Any:
        """Psi of a matrix in mpmath; see `Flow.matrix_mp`."""
        from odemom.flows.precise import damped_mp

        return damped_mp(theta, exact(self.horizon), self.unit_eps, self.field, dps)

    def series(self, z: flint.acb, length: int) -> flint.acb_series:
        """Psi(z + t); see `Flow.series`."""
        import flint

        eps = self.unit_eps
        bits = max(0, (1 / eps).__ceil__().bit_length())
        with flint.ctx.workprec(flint.ctx.prec + 2 * bits):
            a = ball(1 / (2 * eps))
            points = variable(z, length) * ball(exact(self.horizon))
            cosh, sinhc = wave_kernel_series(points / ball(eps) + a * a, a)
            return cosh + sinhc * (points + a if self.field else a)

    def critical_point(self) -> flint.arb:
        """The z of lambda_eps: -(eps alpha² + 1/(4 eps))/T for the minimiser alpha of G_eps."""
        import flint

        eps = self.unit_eps
        angle = LambdaEps(eps).minimiser(flint.ctx.prec)
        return -(ball(eps) * angle**2 + ball(1 / (4 * eps))) / ball(exact(self.horizon))

    def real_preimage(self, mu: flint.arb) -> flint.acb:
        """A regular real preimage; see `Flow.real_preimage`.

        With ``"field"``, psi oscillates on the negative real line with a growing amplitude; where
        mu is below the rightmost branch, the preimage is taken where the amplitude exceeds mu by
        half.
        """
        import flint

        with flint.ctx.workprec(PRECISION):
            if mu == 0 and not self.field:
                return self._first_zero()
            if not self.field:
                return super().real_preimage(mu)
            path = [flint.acb(1), middle(flint.acb(mu))]
            z = follow(self.series, flint.acb(0), path, until_blocked=True)
            return self._oscillating(mu) if z is None else z

    def _first_zero(self) -> flint.acb:
        """The rightmost zero of psi, where alpha cos(alpha) + a sin(alpha) = 0, pi/2 < alpha < pi.

        For small eps psi is too small there for a path to lead to it in a few steps.
        """
        import flint

        eps = self.unit_eps
        a = ball(1 / (2 * eps))
        alpha = flint.arb.pi() * (1 + a) / (2 + a)
        for _ in range(60):
            sine, cosine = alpha.sin(), alpha.cos()
            step = (alpha * cosine + a * sine) / ((1 + a) * cosine - alpha * sine)
            alpha = (alpha - step).mid()
            if abs(step) < 1e-36:
                break
        return middle(
            flint.acb(-(ball(eps) * alpha**2 + ball(1 / (4 * eps))) / ball(exact(self.horizon)))
        )

    def _oscillating(self, mu: flint.arb) -> flint.acb:
        """The preimage with ``"field"`` at z = -eps alpha² - 1/(4 eps), alpha large enough.

        psi is there exp(-a) (cos alpha + (1/(4 eps) - eps alpha²) sin(alpha)/alpha).
        """
        import flint

        eps = self.unit_eps
        a, mass = ball(1 / (2 * eps)), ball(eps)
        least = ((abs(mu) * a.exp() + 2) * 3 / (2 * mass) + 3 * a).mid()
        # Around a whole turn psi falls with alpha, through all values below the amplitude.
        alpha = (2 * flint.arb.pi() * (least / (2 * flint.arb.pi())).ceil()).mid()
        for _ in range(60):
            sine, cosine = alpha.sin(), alpha.cos()
            weight = (a / 2 - mass * alpha**2) / alpha
            value = cosine + weight * sine - mu * a.exp()
            slope = -sine + weight * cosine - (a / 2 / alpha**2 + mass) * sine
            step = (value / slope).mid()
            alpha = (alpha - step).mid()
            if abs(step) < 1e-34 * alpha:
                break
        return middle(
            flint.acb(-(mass * alpha**2 + ball(1 / (4 * eps))) / ball(exact(self.horizon)))
        )

    @property
    def real_image(self) -> RealImage:
        """[lambda_eps, inf), the end critical; with ``"field"`` every real value, regularly."""
        if self.field:
            return RealImage(None)
        return RealImage(LambdaEps(self.unit_eps), at=CRITICAL, below=PAIRS)

    def describe(self) -> str:
        """The equation."""
        mass = "" if self.eps == 1 else f"{number_text(self.eps)} "
        start = "theta x0" if self.field else "0"
        where = interval_text(self.horizon)
        return f"{mass}x'' + x' = theta x, x'(0) = {start}{where}"


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
