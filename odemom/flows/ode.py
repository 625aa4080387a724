"""What the flows of an ODE share: the horizon, and the equal problem on the unit interval."""

from __future__ import annotations

import math
from abc import abstractmethod
from fractions import Fraction
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from odemom.checks import nearest_double
from odemom.flows.base import Flow, Number, as_points, exact
from odemom.flows.power_series import ball, middle, variable
from odemom.flows.preimages import condition_at, follow
from odemom.propagator.derivative import propagate_derivatives
from odemom.propagator.double import propagate, stretched
from odemom.propagator.named_methods import Method, propagate_by
from odemom.propagator.scalar import psi_of_points

if TYPE_CHECKING:
    import flint

__all__ = ["ODEFlow", "UnitProblem", "velocity_weight"]

WELL_CONDITIONED = 1e3  # above this condition number another real preimage is tried


class UnitProblem(NamedTuple):
    """A problem on [0, 1], as `odemom.propagator` takes it.

    Attributes
    ----------
    theta : ndarray of float64
    eps : float in [0, inf]
    field : float
        x'(0) = field theta x0.
    """

    theta: np.ndarray
    eps: float
    field: float


class ODEFlow(Flow):
    """A flow of eps x'' + x' = theta x on [0, T], eps in [0, inf].

    A horizon is a rescaling: psi_{eps,T}(theta) = psi_{eps/T}(T theta), and with T² theta for
    eps = inf. A subclass says which problem on [0, 1] is the same; all else follows here.

    To coast on, with theta = 0, for a time c after [0, 1] adds eps w x'(1), w = 1 - exp(-c/eps);
    and eps x'(1) = theta exp(-a) sinh(s)/s x0 is what an initial velocity theta x0 adds to x(1). So
    it is the same map as x'(0) = w theta x0, and x'(0) = theta x0 that of coasting for ever. For
    eps = inf, w = c.
    """

    horizon: Number

    @cached_property
    @abstractmethod
    def unit_eps(self) -> Fraction | float:
        """The mass of the same flow on [0, 1], exactly: a Fraction, or inf."""

    @cached_property
    def unit(self) -> float:
        """`unit_eps` in double precision."""
        return float(self.unit_eps)

    @property
    def coast(self) -> Fraction | float:
        """How long theta = 0 follows on [0, 1], exactly: 0, or inf for x'(0) = theta x0."""
        return Fraction(0)

    @cached_property
    def field(self) -> float:
        """The weight w of the initial velocity x'(0) = w theta x0 on [0, 1]."""
        if not self.coast or self.unit_eps == math.inf:
            return nearest_double(self.coast)
        if self.coast == math.inf:
            return 1.0
        return -math.expm1(-nearest_double(Fraction(self.coast) / Fraction(self.unit_eps)))

    @property
    def factor(self) -> Fraction:
        """What theta is multiplied by on [0, 1], exactly."""
        return exact(self.horizon)

    @cached_property
    def _stretches(self) -> tuple[float, ...]:
        """The doubles by which theta is multiplied one after the other, so that none overflows."""
        return () if self.horizon == 1 else (float(self.horizon),)

    def on_unit_interval(self, theta: np.ndarray) -> np.ndarray:
        """The theta of the same flow on [0, 1]; inf where that exceeds the doubles."""
        for stretch in self._stretches:
            theta = stretched(theta, stretch)
        return theta

    def unit_problem(self, theta: np.ndarray) -> UnitProblem:
        """The same map as a problem on [0, 1]."""
        return UnitProblem(self.on_unit_interval(theta), self.unit, self.field)

    def on_unit_horizon(self, theta: np.ndarray) -> tuple[ODEFlow, np.ndarray]:
        """A flow and a theta of the same map, over the horizon 1; see `Flow.on_unit_horizon`."""
        return self.unit_flow, self.on_unit_interval(theta)

    @property
    @abstractmethod
    def unit_flow(self) -> ODEFlow:
        """The flow on [0, 1] of which this one is a rescaling."""

    def scalar(self, z: Any) -> np.ndarray:
        """Psi of real or complex points; see `Flow.scalar`."""
        return psi_of_points(*self.unit_problem(as_points(z)))

    def matrix(self, theta: np.ndarray, method: Method = "auto") -> np.ndarray:
        """Psi of a matrix; see `Flow.matrix`."""
        if method == "auto":  # without a tuple: a small matrix takes some 12 microseconds in all
            return propagate(self.on_unit_interval(theta), self.unit, self.field)
        return propagate_by(method, *self.unit_problem(theta))

    def derivatives(
        self, theta: np.ndarray, directions: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Psi and its derivatives; see `Flow.derivatives`."""
        moved = self.on_unit_interval(directions)
        return propagate_derivatives(self.on_unit_interval(theta), moved, self.unit, self.field)

    def matrix_mp(self, theta: Any, dps: int) -> Any:
        """Psi of a matrix in mpmath; see `Flow.matrix_mp`."""
        from odemom.flows.psi_precise import propagate_mp

        return propagate_mp(theta, self.factor, self.unit_eps, self.coast, dps)

    def points_series(self, z: flint.acb, length: int) -> flint.acb_series:
        """The point on [0, 1] of z + t, to O(t^length)."""
        points = variable(z, length)
        return points if self.factor == 1 else points * ball(self.factor)

    def _wide_real_preimage(self, mu: flint.arb, size: int) -> flint.acb:
        """A regular real preimage where every real value has one, w > 0; see `Flow.real_preimage`.

        On the negative real line psi oscillates with a growing amplitude: the rightmost branch is
        left, for the place where the amplitude exceeds mu by half, below that branch and where the
        preimage there is better conditioned.
        """
        import flint

        path = [flint.acb(1), middle(flint.acb(mu))]
        z = follow(self.series, flint.acb(0), path, until_blocked=True)
        if z is not None and condition_at(self.series, z, size) < WELL_CONDITIONED:
            return z
        other = self._oscillating(mu)
        found = [other] if z is None else [z, other]
        return min(found, key=lambda z: condition_at(self.series, z, size))

    def _oscillating(self, mu: flint.arb) -> flint.acb:
        """A real z with psi(z) = mu where psi oscillates with a growing amplitude, w > 0.

        On [0, 1] at z = -eps alpha² - a/2, a = 1/(2 eps), psi is exp(-a) (cos alpha + (a - a w/2 -
        w eps alpha²) sin(alpha)/alpha), and for eps = inf at z = -alpha² it is cos alpha - w alpha
        sin alpha. alpha is taken where the amplitude exceeds mu by half.
        """
        import flint

        a, level, damping, slope_of = _amplitudes(self.unit_eps, self.coast)
        size = mu * damping
        least = ((abs(size) + 2) * 3 / (2 * slope_of) + 3 * a).mid()
        # Around a whole turn psi falls with alpha, through all values below the amplitude.
        alpha = (2 * flint.arb.pi() * (least / (2 * flint.arb.pi())).ceil()).mid()
        for _ in range(60):
            sine, cosine = alpha.sin(), alpha.cos()
            weight = (level - slope_of * alpha**2) / alpha
            value = cosine + weight * sine - size
            slope = -sine + weight * cosine - (level / alpha**2 + slope_of) * sine
            step = (value / slope).mid()
            alpha = (alpha - step).mid()
            if abs(step) < 1e-34 * alpha:
                break
        return middle(flint.acb(self._point_at(alpha)))

    def _point_at(self, angle: flint.arb) -> flint.arb:
        """The z where psi oscillates by that angle over [0, 1] after rescaling."""
        if self.unit_eps == math.inf:
            return -(angle**2) / ball(self.factor)
        eps = Fraction(self.unit_eps)
        return -(ball(eps) * angle**2 + ball(1 / (4 * eps))) / ball(self.factor)


def _amplitudes(
    eps: Fraction | float, coast: Fraction | float
) -> tuple[flint.arb, flint.arb, flint.arb, flint.arb]:
    """The balls a, a - a w/2, exp(a) and w eps; for eps = inf 0, 0, 1 and w."""
    import flint

    if eps == math.inf:
        return flint.arb(0), flint.arb(0), flint.arb(1), ball(coast)
    mass = ball(eps)
    a, weight = 1 / (2 * mass), velocity_weight(eps, coast)
    return a, a - a * weight / 2, a.exp(), weight * mass


def velocity_weight(eps: Fraction | float, coast: Fraction | float) -> flint.arb:
    """The weight w of the initial velocity, as a ball: see `ODEFlow`."""
    import flint

    if eps == math.inf:
        return ball(coast)
    return flint.arb(1) if coast == math.inf else -(-ball(coast) / ball(eps)).expm1()
