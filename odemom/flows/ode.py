"""What the flows of an ODE share: the horizon, and the equal problem on the unit interval."""

from __future__ import annotations

from abc import abstractmethod
from fractions import Fraction
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from odemom.flows.base import Flow, Number, as_points, exact
from odemom.flows.power_series import ball, variable
from odemom.propagator.derivative import propagate_derivatives
from odemom.propagator.double import propagate, stretched
from odemom.propagator.named_methods import Method, propagate_by
from odemom.propagator.scalar import psi_of_points

if TYPE_CHECKING:
    import flint

__all__ = ["ODEFlow", "UnitProblem"]


class UnitProblem(NamedTuple):
    """A problem on [0, 1], as `odemom.propagator` takes it.

    Attributes
    ----------
    theta : ndarray of float64
    eps : float in [0, inf]
    field : bool
        Whether x'(0) = theta x0.
    """

    theta: np.ndarray
    eps: float
    field: bool


class ODEFlow(Flow):
    """A flow of eps x'' + x' = theta x on [0, T], eps in [0, inf].

    A horizon is a rescaling: psi_{eps,T}(theta) = psi_{eps/T}(T theta), and with T² theta for
    eps = inf. A subclass says which problem on [0, 1] is the same; all else follows here.
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
    def field(self) -> bool:
        """Whether x'(0) = theta x0."""
        return False

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

        return propagate_mp(theta, self.factor, self.unit_eps, self.field, dps)

    def points_series(self, z: flint.acb, length: int) -> flint.acb_series:
        """The point on [0, 1] of z + t, to O(t^length)."""
        points = variable(z, length)
        return points if self.horizon == 1 else points * ball(self.factor)
