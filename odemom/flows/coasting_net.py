"""The discrete twin of `Coasting`: a Momentum ResNet whose last layers have no residual."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np

from odemom.checks import expect, shown
from odemom.flows.base import Flow, Number, RealImage, exact, number_text
from odemom.flows.discrete import (
    as_depth,
    as_gamma,
    momentum_of_matrices,
    momentum_of_points,
)
from odemom.flows.layers_series import series_of_layers
from odemom.flows.ode import WELL_CONDITIONED
from odemom.flows.power_series import middle
from odemom.flows.preimages import PRECISION, condition_at, follow, newton
from odemom.propagator.named_methods import Method

if TYPE_CHECKING:
    import flint

__all__ = ["CoastingNet"]

POINTS_A_LAYER = 16  # of the grid that brackets values; psi turns less than once a layer


@dataclass(frozen=True, repr=False)
class CoastingNet(Flow):
    """The flow of a Momentum ResNet of N layers, v_0 = 0, with theta in the first n of them only::

        v_{k+1} = gamma v_k + (1 - gamma) theta x_k,   x_{k+1} = x_k + v_{k+1}     k < n
        v_{k+1} = gamma v_k,                           x_{k+1} = x_k + v_{k+1}     k >= n

    so that x_N = x_n + g v_n, g = gamma + ... + gamma^(N-n): the map of v_0 = (1 - gamma^(N-n))
    theta x_0 over n layers. psi is a polynomial of odd degree n with n real simple zeros; it takes
    every real value at a regular point, and every real matrix is representable.

    As an `odemom.nn.MomentumNet` its last N - n functions are zero.

    Parameters
    ----------
    gamma : number or str
        The momentum, in (0, 1).
    depth : int
        The number N of layers.
    active : int
        The number n < N of layers with a residual, odd. For an even one psi, a polynomial of even
        degree n with a positive leading coefficient, is bounded below: coasting would only move
        the threshold of `MomentumResNet`, and one layer more or less takes it away.

    Raises
    ------
    InvalidInputError
        If a parameter is outside its domain.

    Examples
    --------
    >>> import numpy as np, odemom
    >>> from odemom.flows import CoastingNet
    >>> net = CoastingNet("9/10", 20, 9)
    >>> theta = odemom.represent([[-5]], net)
    >>> bool(np.allclose(odemom.psi(theta, net), -5))
    True
    """

    gamma: Number
    depth: int
    active: int

    def __post_init__(self) -> None:
        object.__setattr__(self, "gamma", as_gamma(self.gamma))
        object.__setattr__(self, "depth", as_depth(self.depth))
        active = as_depth(self.active, "active")
        expect(
            active < self.depth and active % 2 == 1,
            "active",
            got=shown(self.active),
            expected=f"an odd number of layers below depth = {self.depth}",
            fix="With all layers active it is MomentumResNet; an even number bounds psi below, so "
            "that the switch would not reach every matrix.",
        )
        object.__setattr__(self, "active", active)

    @property
    def gain(self) -> Fraction:
        """The g by which v_n moves x in the layers without residual."""
        gamma = exact(self.gamma)
        return gamma * (1 - gamma ** (self.depth - self.active)) / (1 - gamma)

    def scalar(self, z: Any) -> np.ndarray:
        """Psi by the recurrence of the layers; see `Flow.scalar`."""
        x, v = momentum_of_points(z, exact(self.gamma), self.active)
        with np.errstate(over="ignore", invalid="ignore"):
            return x + float(self.gain) * v

    @np.errstate(all="ignore")
    def matrix(self, theta: np.ndarray, method: Method = "auto") -> np.ndarray:
        """Psi of a matrix by the recurrence of the layers; ``method`` makes no difference."""
        del method
        x, v = momentum_of_matrices(theta, exact(self.gamma), self.active)
        return x + float(self.gain) * v

    def matrix_mp(self, theta: Any, dps: int) -> Any:
        """Psi of a matrix in mpmath; see `Flow.matrix_mp`."""
        from odemom.flows.layers_precise import momentum_mp

        return momentum_mp(theta, exact(self.gamma), self.active, dps, self.gain)

    def series(self, z: flint.acb, length: int) -> flint.acb_series:
        """Psi(z + t) by the recurrence of the layers; see `Flow.series`."""
        return series_of_layers(exact(self.gamma), self.active, z, length, self.gain)

    def real_preimage(self, mu: flint.arb, size: int = 2) -> flint.acb:
        """A regular real preimage; see `Flow.real_preimage`.

        On the rightmost branch, or, where that is ill conditioned or not there, the best of all.
        """
        import flint

        with flint.ctx.workprec(max(PRECISION, flint.ctx.prec)):
            value = middle(flint.acb(mu))
            z = follow(self.series, flint.acb(0), [flint.acb(1), value], until_blocked=True)
            if z is not None and condition_at(self.series, z, size) < WELL_CONDITIONED:
                return z
            return self._best(value, size)

    @property
    def _keeps_to_real_branches(self) -> bool:
        """Psi has critical values inside its real image."""
        return True

    def _best(self, value: flint.acb, size: int) -> flint.acb:
        """The best conditioned of all, by sign changes of psi - mu on a grid.

        The grid is one of equal turns of the state from layer to layer, continued to both sides
        until psi, of odd degree, has passed mu.
        """
        import flint

        mu, gamma, rest = float(value.real.mid()), float(self.gamma), float(1 - exact(self.gamma))
        if not math.isfinite(mu):
            raise OverflowError(f"an eigenvalue of {mu}")
        angles = np.linspace(math.pi, 0, POINTS_A_LAYER * self.active + 2)
        grid = (2 * math.sqrt(gamma) * np.cos(angles) - 1 - gamma) / rest
        left = [2 * grid[0]]
        while self.scalar(left[-1]) >= mu:  # nan where layers overflow: -inf, as seen from here
            left.append(2 * left[-1])
        right = [1.0]
        while self.scalar(right[-1]) <= mu:
            right.append(2 * right[-1])
        grid = np.concatenate([left[::-1], grid, right])
        above = self.scalar(grid) > mu
        crossed = np.flatnonzero(above[1:] != above[:-1])
        low, high, rising = grid[crossed], grid[crossed + 1], above[crossed + 1]
        for _ in range(60):
            middles = (low + high) / 2
            later = (self.scalar(middles) > mu) != rising
            low, high = np.where(later, middles, low), np.where(later, high, middles)
        ends = [flint.acb(float(z)) for z in high]
        best = min(ends, key=lambda z: condition_at(self.series, z, size))
        return newton(self.series, best, value)

    @property
    def real_image(self) -> RealImage:
        """Every real value, regularly."""
        return RealImage(None)

    def describe(self) -> str:
        """The equation."""
        return (
            "v_(n+1) = gamma v_n + (1 - gamma) theta x_n, x_(n+1) = x_n + v_(n+1), v_0 = 0, "
            f"gamma = {number_text(self.gamma)}, {self.depth} layers, theta = 0 after {self.active}"
        )
