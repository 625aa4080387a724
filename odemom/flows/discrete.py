"""The discrete flows: a residual network and a Momentum ResNet of linear layers, tied weights."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from odemom.checks import as_number, expect, shown
from odemom.flows.base import (
    CRITICAL,
    PAIRS,
    REGULAR,
    Attainment,
    Flow,
    Method,
    Number,
    RationalThreshold,
    RealImage,
    as_points,
    exact,
    number_text,
)
from odemom.flows.momentum_threshold import MomentumThreshold

__all__ = ["MomentumResNet", "ResNet"]


def as_depth(depth: Any) -> int:
    """A number of layers."""
    fits = isinstance(depth, int | np.integer) and not isinstance(depth, bool) and depth >= 1
    expect(fits, "depth", got=shown(depth), expected="a number of layers, an integer >= 1")
    return int(depth)


def as_gamma(gamma: Any) -> Fraction | float:
    """A momentum in (0, 1)."""
    expected = "a number in (0, 1)"
    value = as_number(gamma, "gamma", expected)
    expect(
        0 < value < 1,
        "gamma",
        got=shown(gamma),
        expected=expected,
        fix="gamma = 0 is ResNet(depth); with gamma = 1 and v_0 = 0 nothing moves.",
    )
    return value


@dataclass(frozen=True)
class ResNet(Flow):
    """The flow of x_{n+1} = x_n + theta x_n, n < N: psi(z) = (1 + z)^N.

    psi takes mu = 0 only at z = -1, where it vanishes to the order N: a Jordan block splits into N
    of almost equal sizes. Other real values are regular, but for even N the negative ones are taken
    at conjugate pairs only.

    Parameters
    ----------
    depth : int
        The number N of layers, >= 1.

    Raises
    ------
    InvalidInputError
        If ``depth`` is not a positive integer.

    Examples
    --------
    >>> from odemom.flows import ResNet
    >>> float(ResNet(2).scalar(0.5))
    2.25
    """

    depth: int

    def __post_init__(self) -> None:
        object.__setattr__(self, "depth", as_depth(self.depth))

    def scalar(self, z: Any) -> np.ndarray:
        """(1 + z)^N; see `Flow.scalar`."""
        return np.asarray((1 + as_points(z)) ** self.depth)

    def matrix(self, theta: np.ndarray, method: Method = "auto") -> np.ndarray:
        """(I + theta)^N by repeated squaring; ``method`` makes no difference."""
        del method
        return np.linalg.matrix_power(np.eye(theta.shape[-1]) + theta, self.depth)

    def matrix_mp(self, theta: Any, dps: int) -> Any:
        """(I + theta)^N in mpmath; see `Flow.matrix_mp`."""
        from odemom.flows.precise import momentum_mp

        return momentum_mp(theta, Fraction(0), self.depth, dps)

    @property
    def real_image(self) -> RealImage:
        """Regular but for 0, and for even N the negative numbers."""
        if self.depth == 1:
            return RealImage(None)
        zero = RationalThreshold(Fraction(0))
        below = PAIRS if self.depth % 2 == 0 else REGULAR
        return RealImage(zero, at=Attainment("critical", self.depth), below=below)

    def describe(self) -> str:
        """The equation."""
        return f"x_(n+1) = x_n + theta x_n, {self.depth} layers"


@dataclass(frozen=True)
class MomentumResNet(Flow):
    """The flow of a Momentum ResNet of N equal linear layers, with v_0 = 0::

        v_{n+1} = gamma v_n + (1 - gamma) theta x_n,   x_{n+1} = x_n + v_{n+1}

    It is an Euler scheme of eps x'' + x' = theta x on [0, N] with eps = 1/(1 - gamma). psi is a
    polynomial of degree N with N real simple zeros. For odd N every real value is taken at a
    regular point and every real matrix is representable; for even N the least value of psi is the
    threshold.

    Parameters
    ----------
    gamma : number or str
        The momentum, in (0, 1); a float is the dyadic rational that it is.
    depth : int
        The number N of layers, >= 1.

    Raises
    ------
    InvalidInputError
        If a parameter is outside its domain.

    References
    ----------
    Sander et al. 2021, equation (3) and section 3.

    Examples
    --------
    >>> from odemom.flows import MomentumResNet
    >>> net = MomentumResNet("9/10", 20)
    >>> round(net.real_image.threshold.value, 4)
    -3.0339
    >>> MomentumResNet("9/10", 21).real_image.threshold is None
    True
    """

    gamma: Number
    depth: int

    def __post_init__(self) -> None:
        object.__setattr__(self, "gamma", as_gamma(self.gamma))
        object.__setattr__(self, "depth", as_depth(self.depth))

    @property
    def eps(self) -> Fraction:
        """The mass 1/(1 - gamma) of the ODE that the net discretises with step 1."""
        return 1 / (1 - exact(self.gamma))

    def scalar(self, z: Any) -> np.ndarray:
        """Psi by the recurrence of the layers; see `Flow.scalar`."""
        points, gamma = as_points(z), float(self.gamma)
        x, v = np.ones_like(points), np.zeros_like(points)
        for _ in range(self.depth):
            v = gamma * v + (1 - gamma) * points * x
            x = x + v
        return x

    def matrix(self, theta: np.ndarray, method: Method = "auto") -> np.ndarray:
        """Psi of a matrix by the recurrence of the layers; ``method`` makes no difference."""
        del method
        gamma = float(self.gamma)
        x = np.broadcast_to(np.eye(theta.shape[-1]), theta.shape)
        v = np.zeros_like(theta)
        for _ in range(self.depth):
            v = gamma * v + (1 - gamma) * (theta @ x)
            x = x + v
        return x

    def matrix_mp(self, theta: Any, dps: int) -> Any:
        """Psi of a matrix in mpmath; see `Flow.matrix_mp`."""
        from odemom.flows.precise import momentum_mp

        return momentum_mp(theta, exact(self.gamma), self.depth, dps)

    @property
    def real_image(self) -> RealImage:
        """[lambda, inf) with a critical end for even N, every real value for odd N."""
        if self.depth % 2:
            return RealImage(None)
        return RealImage(MomentumThreshold(exact(self.gamma), self.depth), at=CRITICAL, below=PAIRS)

    def describe(self) -> str:
        """The equation."""
        return (
            f"v_(n+1) = gamma v_n + (1 - gamma) theta x_n, x_(n+1) = x_n + v_(n+1), v_0 = 0, "
            f"gamma = {number_text(self.gamma)}, {self.depth} layers"
        )
