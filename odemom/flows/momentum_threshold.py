"""The least value of psi of a Momentum ResNet of even depth, in doubles and balls.

With y = (1 + gamma + (1 - gamma) z)/(2 sqrt(gamma)) = cos(phi), U the Chebyshev polynomials of the
second kind, and N the depth::

    psi = gamma^{N/2} (U_N(y) - sqrt(gamma) U_{N-1}(y))
        = gamma^{N/2} (sin((N + 1) phi) - sqrt(gamma) sin(N phi))/sin(phi)

All N zeros, hence all N - 1 critical points, have phi in (0, pi). phi is the angle by which the
state turns from a layer to the next. The ODE turns slowly; where phi > pi/2 there are fewer than
four layers to an oscillation, and the net no longer resembles the ODE.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from odemom.checks import expect
from odemom.flows.balls import ball_text, enclose_root
from odemom.flows.base import Printable

if TYPE_CHECKING:
    import flint

__all__ = ["LARGEST_SEARCHED", "MomentumThreshold", "critical_points", "minimiser_ball"]

RESOLVED_ANGLE = math.pi / 2
LARGEST_SEARCHED = 10**6


@dataclass(frozen=True, repr=False)
class MomentumThreshold(Printable):
    """min psi over the real line for gamma in (0, 1) and even depth, as a threshold.

    Attributes
    ----------
    gamma : Fraction
    depth : int
    """

    gamma: Fraction
    depth: int

    @property
    def rational(self) -> Fraction | None:
        """The exact value at depth 2, where psi is a quadratic; None otherwise."""
        if self.depth > 2:
            return None
        z = -(1 + self.gamma / 2) / (1 - self.gamma)
        return (1 + (1 - self.gamma) * z) * (1 + (1 - self.gamma) * z + self.gamma) - self.gamma

    @property
    def value(self) -> float:
        """The value rounded to double precision."""
        return float(self.enclosure(80).mid())

    @property
    def angle(self) -> float:
        """The angle phi of the minimiser, in radians: the turn of the state from layer to layer."""
        return float(_minimisers(self.gamma, self.depth, 64)[0].mid())

    def point_at(self, angle: Any) -> np.ndarray:
        """The z at which the state turns by these angles a layer, shape as given."""
        gamma, rest = float(self.gamma), float(1 - self.gamma)
        with np.errstate(divide="ignore"):  # a rest below the doubles: z is beyond them
            return (2 * math.sqrt(gamma) * np.cos(angle) - 1 - gamma) / rest

    @property
    def minimiser(self) -> float:
        """The z at which psi is least."""
        return float(self.point_at(self.angle))

    @property
    def is_artefact(self) -> bool:
        """Whether the net turns too fast at the minimiser to resemble the ODE: phi > pi/2."""
        return self.angle > RESOLVED_ANGLE

    @property
    def first_minimum(self) -> float:
        """The value at the rightmost critical point, a minimum: the ODE takes its lambda there."""
        return float(_psi(self._first(), self.gamma, self.depth, 128).mid())

    @property
    def first_angle(self) -> float:
        """The angle phi of the rightmost critical point."""
        return float(self._first().mid())

    def _first(self) -> flint.arb:
        start = float(_critical_angles(self.gamma, self.depth)[0])
        return _enclose(self.gamma, self.depth, start, 128)

    def enclosure(self, precision: int) -> flint.arb:
        """A ball of about ``precision`` bits that is proven to contain the value."""
        working = precision + 40 + self.depth.bit_length()
        values = [
            _psi(phi, self.gamma, self.depth, working)
            for phi in _minimisers(self.gamma, self.depth, working)
        ]
        least = values[0]
        for value in values[1:]:
            least = least.min(value)
        return least

    def is_root_of(self, polynomial: flint.fmpz_poly) -> bool:
        """Whether an irreducible integer polynomial vanishes at the value, decided exactly.

        f(lambda) = 0 if and only if f(psi(z)) and psi'(z) have the minimiser as a common root.
        """
        import flint

        psi = _polynomial(self.gamma, self.depth)
        slope = psi.derivative()
        total = flint.fmpq_poly([0])
        for coefficient in reversed(polynomial.coeffs()):
            total = (total * psi + coefficient) % slope
        common = total.gcd(slope) if total != 0 else slope
        if common.degree() == 0:
            return False
        with flint.ctx.workprec(256):
            roots: Any = flint.fmpz_poly(common.numer()).complex_roots()
            phi = _minimisers(self.gamma, self.depth, 256)[0]
            z = _z_of(phi, self.gamma)
            return any(root.imag == 0 and root.real.overlaps(z) for root, _ in roots)

    def describe(self) -> str:
        """Name, value and minimiser, for a sentence."""
        least = ball_text(self.enclosure(80))
        text = f"lambda = {least} (the least value of psi, at z = {self.minimiser:.4g}"
        if self.is_artefact:
            text += ", a discretisation artefact: the layers turn too fast to resemble the ODE"
        return text + ")"


def critical_points(gamma: Fraction, depth: int) -> list[float]:
    """The N - 1 real critical points of psi, in increasing order."""
    root, g, rest = math.sqrt(gamma), float(gamma), float(1 - gamma)
    angles = _critical_angles(gamma, depth)[::-1]
    return [(2 * root * math.cos(phi) - 1 - g) / rest for phi in angles]


def minimiser_ball(gamma: Fraction, depth: int) -> flint.arb:
    """The z at which psi is least, for even depth, at the working precision."""
    import flint

    return _z_of(_minimisers(gamma, depth, flint.ctx.prec + 40)[0], gamma)


def _polynomial(gamma: Fraction, depth: int) -> flint.fmpq_poly:
    """psi, with exact coefficients."""
    import flint

    g = flint.fmpq(gamma.numerator, gamma.denominator)
    step = flint.fmpq_poly([0, 1 - g])
    x, v = flint.fmpq_poly([1]), flint.fmpq_poly([0])
    for _ in range(depth):
        v = v * g + step * x
        x = x + v
    return x


def _slope(phi: Any, root: Any, n: int, lib: Any) -> Any:
    """sin²(phi) d psi/d phi, up to gamma^{N/2}; its roots in (0, pi) are the critical points."""
    rise = (n + 1) * lib.cos((n + 1) * phi) - root * n * lib.cos(n * phi)
    height = lib.sin((n + 1) * phi) - root * lib.sin(n * phi)
    return rise * lib.sin(phi) - height * lib.cos(phi)


class _Balls:
    """cos and sin of balls, in the manner of a module."""

    @staticmethod
    def cos(x: flint.arb) -> flint.arb:
        return x.cos()

    @staticmethod
    def sin(x: flint.arb) -> flint.arb:
        return x.sin()


@lru_cache(maxsize=8)
def _separators(gamma: Fraction, depth: int) -> np.ndarray:
    """N angles in increasing order, between two of which lies one critical angle, proven.

    They are found in doubles, on a fine grid; that the slope changes its sign from each to the next
    is proven in balls. There are no more than N - 1 critical angles, hence no others.
    """
    expect(
        depth <= LARGEST_SEARCHED,
        "depth",
        got=f"{depth} layers",
        expected=f"an odd number, or at most {LARGEST_SEARCHED}, whose critical points are found",
    )
    root, points = math.sqrt(gamma), 16 * depth
    while True:
        grid = np.linspace(0, math.pi, points + 1)[1:-1]
        sign = np.sign(_slope(grid, root, depth, np))
        change = np.flatnonzero(sign[1:] != sign[:-1])
        if len(change) == depth - 1:
            # Half-way, and half-way to the ends 0 and pi: a change may be at a point of the grid.
            places = np.concatenate([[0], change, [len(grid) - 1]])
            separators = grid[(places[:-1] + places[1:] + 1) // 2]
            if _signs_alternate(separators, gamma, depth):
                return separators
        points *= 4


def _signs_alternate(angles: np.ndarray, gamma: Fraction, depth: int) -> bool:
    """Whether the slope provably changes its sign from each of the angles to the next."""
    import flint

    with flint.ctx.workprec(64 + 2 * depth.bit_length()):
        root = flint.arb(flint.fmpq(gamma.numerator, gamma.denominator)).sqrt()
        before = None
        for angle in angles.tolist():
            slope = _slope(flint.arb(angle), root, depth, _Balls)
            rises = slope > 0
            if not (rises or slope < 0) or rises == before:
                return False
            before = rises
    return True


@lru_cache(maxsize=8)
def _critical_angles(gamma: Fraction, depth: int) -> np.ndarray:
    """The N - 1 critical angles in double precision, by bisection."""
    separators, root = _separators(gamma, depth), math.sqrt(gamma)
    low, high = separators[:-1], separators[1:]
    sign = np.sign(_slope(low, root, depth, np))
    for _ in range(60):
        middle = (low + high) / 2
        same = np.sign(_slope(middle, root, depth, np)) == sign
        low, high = np.where(same, middle, low), np.where(same, high, middle)
    return (low + high) / 2


@lru_cache(maxsize=256)
def _minimisers(gamma: Fraction, depth: int, precision: int) -> tuple[flint.arb, ...]:
    """Balls around the critical angles, one or more, of which one is the minimiser.

    |psi| <= gamma^{N/2} (1 + sqrt(gamma))/sin(phi): the intervals between `_separators` in which
    that is less, by a thousandth, than |psi| at the last critical point, a minimum, are left out.
    The ball of any other lies in its interval, so that it holds the critical point there.
    """
    separators, angles = _separators(gamma, depth), _critical_angles(gamma, depth)
    low, high = separators[:-1], separators[1:]
    last = _undamped(_enclose(gamma, depth, float(angles[-1]), 64), gamma, depth, 64)
    assert last < 0
    largest = (1 + math.sqrt(gamma)) / np.minimum(np.sin(low), np.sin(high))
    near = np.flatnonzero(largest >= (1 - 1e-3) * float(-last.upper()))
    coarse = [_enclose(gamma, depth, float(angles[i]), 64) for i in near]
    assert all(low[i] < ball < high[i] for i, ball in zip(near, coarse, strict=True))
    values = [_undamped(phi, gamma, depth, 64) for phi in coarse]
    best = min(range(len(values)), key=lambda i: float(values[i].mid()))
    kept = [i for i in range(len(values)) if not values[i] > values[best]]
    kept.sort(key=lambda i: i != best)
    if precision <= 64:
        return tuple(coarse[i] for i in kept)
    return tuple(_enclose(gamma, depth, float(coarse[i].mid()), precision) for i in kept)


def _enclose(gamma: Fraction, depth: int, start: float, precision: int) -> flint.arb:
    import flint

    def rigorous(phi: flint.arb) -> flint.arb:
        root = flint.arb(flint.fmpq(gamma.numerator, gamma.denominator)).sqrt()
        return _slope(phi, root, depth, _Balls)

    return enclose_root(rigorous, start, precision, spread=1e-9 / depth)


def _psi(phi: flint.arb, gamma: Fraction, depth: int, precision: int) -> flint.arb:
    import flint

    with flint.ctx.workprec(precision):
        g = flint.arb(flint.fmpq(gamma.numerator, gamma.denominator))
        return g ** (depth // 2) * _undamped(phi, gamma, depth, precision)


def _undamped(phi: flint.arb, gamma: Fraction, depth: int, precision: int) -> flint.arb:
    """Psi without the factor gamma^{N/2}, which leaves the range of doubles."""
    import flint

    with flint.ctx.workprec(precision):
        root = flint.arb(flint.fmpq(gamma.numerator, gamma.denominator)).sqrt()
        return (((depth + 1) * phi).sin() - root * (depth * phi).sin()) / phi.sin()


def _z_of(phi: flint.arb, gamma: Fraction) -> flint.arb:
    import flint

    g = flint.arb(flint.fmpq(gamma.numerator, gamma.denominator))
    return (2 * g.sqrt() * phi.cos() - 1 - g) / (1 - g)
