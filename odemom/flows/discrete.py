"""The discrete flows: a residual network and a Momentum ResNet of linear layers, tied weights."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np

from odemom.checks import as_number, expect, shown
from odemom.flows.base import (
    CRITICAL,
    PAIRS,
    REGULAR,
    Attainment,
    Flow,
    Number,
    RationalThreshold,
    RealImage,
    as_points,
    exact,
    number_text,
)
from odemom.flows.layers_series import series_of_layers
from odemom.flows.momentum_preimages import best_real_preimage
from odemom.flows.momentum_threshold import (
    LARGEST_SEARCHED,
    MomentumThreshold,
    minimiser_ball,
)
from odemom.flows.power_series import middle, variable
from odemom.flows.preimages import PRECISION, newton
from odemom.propagator.named_methods import Method

if TYPE_CHECKING:
    import flint

__all__ = [
    "MomentumResNet",
    "ResNet",
    "momentum_of_matrices",
    "momentum_of_points",
]


def _point(value: Any) -> flint.acb:
    import flint

    return middle(flint.acb(value))


def as_depth(depth: Any, name: str = "depth") -> int:
    """A number of layers."""
    is_integer = isinstance(depth, int | np.integer) and not isinstance(depth, bool)
    expect(
        is_integer and 1 <= depth <= LARGEST_DEPTH,
        name,
        got=shown(depth),
        expected=f"a number of layers, an integer from 1 to {LARGEST_DEPTH}",
    )
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


def layers_text(depth: int) -> str:
    """A number of layers, for a sentence."""
    return "1 layer" if depth == 1 else f"{depth} layers"


LARGEST_DEPTH = 2**31 - 1
# Of values whose distance is below this part of their size, the preimages are neighbours too.
CLOSE = 0.1


@dataclass(frozen=True, repr=False)
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
        with np.errstate(over="ignore"):
            return np.asarray((1 + as_points(z)) ** self.depth)

    @np.errstate(all="ignore")
    def matrix(self, theta: np.ndarray, method: Method = "auto") -> np.ndarray:
        """(I + theta)^N by repeated squaring; ``method`` makes no difference."""
        del method
        return np.linalg.matrix_power(np.eye(theta.shape[-1]) + theta, self.depth)

    def matrix_mp(self, theta: Any, dps: int) -> Any:
        """(I + theta)^N in mpmath; see `Flow.matrix_mp`."""
        from odemom.flows.layers_precise import momentum_mp

        return momentum_mp(theta, Fraction(0), self.depth, dps)

    def series(self, z: flint.acb, length: int) -> flint.acb_series:
        """(1 + z + t)^N; see `Flow.series`."""
        return variable(z + 1, length) ** self.depth

    def critical_point(self) -> flint.arb:
        """-1, where psi = 0."""
        import flint

        return flint.arb(-1)

    def preimage(self, mu: flint.acb, near: tuple[flint.acb, flint.acb] | None = None) -> flint.acb:
        """mu^{1/N} - 1; see `Flow.preimage`.

        The root is the principal one, or for odd N on the left half plane minus that of -mu: each
        is analytic about the real numbers in its half plane. A ``near`` on the other side of the
        imaginary axis, but close, keeps its root.
        """
        import flint

        with flint.ctx.workprec(PRECISION):
            sign = -1 if mu.real < 0 and self.depth % 2 else 1
            if self.depth % 2 and near is not None and abs(near[0] - mu) < CLOSE * abs(mu):
                value, z = near
                sign = min((1, -1), key=lambda s: abs(s * (s * value).root(self.depth) - 1 - z))
            return middle(sign * (sign * mu).root(self.depth) - 1)

    def real_preimage(self, mu: flint.arb, size: int = 2) -> flint.acb:
        """The real root, minus 1; see `Flow.real_preimage`."""
        import flint

        with flint.ctx.workprec(PRECISION):
            if self.depth % 2 == 0 and not mu > 0:
                return flint.acb(-1)
            sign = -1 if mu < 0 else 1
            return middle(flint.acb(sign * (sign * mu).root(self.depth) - 1))

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
        return f"x_(n+1) = x_n + theta x_n, {layers_text(self.depth)}"


@dataclass(frozen=True, repr=False)
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
        return momentum_of_points(z, exact(self.gamma), self.depth)[0]

    @np.errstate(all="ignore")
    def matrix(self, theta: np.ndarray, method: Method = "auto") -> np.ndarray:
        """Psi of a matrix by the recurrence of the layers; ``method`` makes no difference."""
        del method
        return momentum_of_matrices(theta, exact(self.gamma), self.depth)[0]

    def matrix_mp(self, theta: Any, dps: int) -> Any:
        """Psi of a matrix in mpmath; see `Flow.matrix_mp`."""
        from odemom.flows.layers_precise import momentum_mp

        return momentum_mp(theta, exact(self.gamma), self.depth, dps)

    def series(self, z: flint.acb, length: int) -> flint.acb_series:
        """Psi(z + t) by powers of the map of a layer; see `Flow.series`."""
        return series_of_layers(exact(self.gamma), self.depth, z, length)

    def critical_point(self) -> flint.arb:
        """The z at which psi is least, for even N."""
        return minimiser_ball(exact(self.gamma), self.depth)

    @property
    def _keeps_to_real_branches(self) -> bool:
        """Psi has critical values inside its real image."""
        return True

    def real_preimage(self, mu: flint.arb, size: int = 2) -> flint.acb:
        """The best conditioned of all regular real preimages; see `Flow.real_preimage`.

        Of a net of more than a million layers, on the rightmost branch.
        """
        import flint

        with flint.ctx.workprec(max(PRECISION, flint.ctx.prec)):
            value = middle(flint.acb(mu))
            critical = self._near_threshold(value, real=True)
            if critical is not None:
                return critical
            if value == 1:
                return flint.acb(0)
            if self.depth > LARGEST_SEARCHED:
                return self._follow(flint.acb(0), [flint.acb(1), value])
            start = best_real_preimage(float(value.real), exact(self.gamma), self.depth, size)
            return newton(self.series, _point(start), value)

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
            f"gamma = {number_text(self.gamma)}, {layers_text(self.depth)}"
        )


def momentum_of_points(z: Any, gamma: Fraction, depth: int) -> tuple[np.ndarray, np.ndarray]:
    """The position and the velocity after ``depth`` layers x -> z x, from 1 at rest."""
    points, g, rest = as_points(z), float(gamma), float(1 - gamma)  # rounded after the difference
    x, v = np.ones_like(points), np.zeros_like(points)
    with np.errstate(over="ignore", invalid="ignore"):
        for _ in range(depth):
            v = g * v + rest * points * x
            x = x + v
    return x, v


def momentum_of_matrices(
    theta: np.ndarray, gamma: Fraction, depth: int
) -> tuple[np.ndarray, np.ndarray]:
    """The same of the layers x -> theta x, from I, for matrices of shape (..., d, d)."""
    g, rest = float(gamma), float(1 - gamma)
    x, v = np.broadcast_to(np.eye(theta.shape[-1]), theta.shape), np.zeros_like(theta)
    for _ in range(depth):
        v = g * v + rest * (theta @ x)
        x = x + v
    return x, v
