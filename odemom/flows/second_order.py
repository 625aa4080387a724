"""The second-order flow eps x'' + x' = theta x, with x'(0) = 0 or x'(0) = theta x0."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import TYPE_CHECKING, Literal

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
    Number,
    RealImage,
    exact,
    interval_text,
    number_text,
)
from odemom.flows.ode import ODEFlow
from odemom.flows.power_series import ball, middle, wave_kernel_series
from odemom.flows.preimages import PRECISION
from odemom.flows.threshold import LambdaEps
from odemom.propagator.plans import LARGEST_UNIT

if TYPE_CHECKING:
    import flint

__all__ = ["SecondOrder"]


@dataclass(frozen=True, repr=False)
class SecondOrder(ODEFlow):
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
    def coast(self) -> Fraction | float:
        """Inf for x'(0) = theta x0; see `ODEFlow.coast`."""
        return math.inf if self.initial_velocity == "field" else Fraction(0)

    @cached_property
    def unit_eps(self) -> Fraction:
        """The quotient eps/T, exactly."""
        return exact(self.eps) / exact(self.horizon)

    @cached_property
    def _half_rate(self) -> Fraction:
        """The a = 1/(2 eps) of the flow on [0, 1]."""
        return 1 / (2 * self.unit_eps)

    @property
    def unit_flow(self) -> SecondOrder:
        """The flow on [0, 1], of mass eps/T."""
        return SecondOrder(self.unit_eps, self.initial_velocity)

    @cached_property
    def unit(self) -> float:
        """`unit_eps` in double precision."""
        # A quotient beyond the doubles is out of the scalar formulas' reach but not out of psi's
        # domain: it saturates near the largest and smallest double, where psi has its limits.
        return min(max(nearest_double(self.unit_eps), 5e-324), LARGEST_UNIT)

    def series(self, z: flint.acb, length: int) -> flint.acb_series:
        """Psi(z + t); see `Flow.series`."""
        import flint

        eps, half_rate = self.unit_eps, self._half_rate
        bits = math.ceil(2 * half_rate).bit_length()
        with flint.ctx.workprec(flint.ctx.prec + 2 * bits):
            a = ball(half_rate)
            points = self.points_series(z, length)
            cosh, sinhc = wave_kernel_series(points / ball(eps) + a * a, a)
            return cosh + sinhc * (points + a if self.coast else a)

    def critical_point(self) -> flint.arb:
        """The z at which psi is lambda_eps, at the angle that minimises G_eps."""
        import flint

        return self._point_at(LambdaEps(self.unit_eps).minimiser(flint.ctx.prec))

    def real_preimage(self, mu: flint.arb, size: int = 2) -> flint.acb:
        """A regular real preimage; see `Flow.real_preimage`.

        With ``"field"``, where psi oscillates with a growing amplitude, that of `ODEFlow`.
        """
        import flint

        with flint.ctx.workprec(max(PRECISION, flint.ctx.prec)):
            if mu == 0 and not self.coast:
                return self._first_zero()
            if not self.coast:
                return super().real_preimage(mu, size)
            return self._wide_real_preimage(mu, size)

    @property
    def _keeps_to_real_branches(self) -> bool:
        """With ``"field"``, where psi has critical values inside its real image."""
        return bool(self.coast)

    def _first_zero(self) -> flint.acb:
        """The rightmost zero of psi, where alpha cos(alpha) + a sin(alpha) = 0, pi/2 < alpha < pi.

        For small eps psi is too small there for a path to lead to it in a few steps.
        """
        import flint

        a = ball(self._half_rate)
        alpha = flint.arb.pi() * (1 + a) / (2 + a)
        for _ in range(60):
            sine, cosine = alpha.sin(), alpha.cos()
            step = (alpha * cosine + a * sine) / ((1 + a) * cosine - alpha * sine)
            alpha = (alpha - step).mid()
            if abs(step) < 1e-36:
                break
        return middle(flint.acb(self._point_at(alpha)))

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
