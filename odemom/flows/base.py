"""What every flow owes: its scalar function psi, its matrix function, and how psi takes reals.

Notation (the paper's): a flow maps x0 to psi(theta) x0, with psi entire and real on the real line.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass, fields
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Literal, Protocol

import numpy as np

from odemom.flows.power_series import inverse_of_root, middle, series_length
from odemom.flows.preimages import PRECISION, continued, follow, newton
from odemom.propagator.named_methods import Method

if TYPE_CHECKING:
    import flint
    from _typeshed import DataclassInstance

__all__ = ["Attainment", "Flow", "Printable", "RationalThreshold", "RealImage", "Threshold"]

TEXT_BITS, TEXT_DIGITS = 128, 30  # far more than the 6 digits of a number in a text
SHORT = 12  # digits of an exact number that is printed as it is
NEAR = 1e-4  # relative distance from the threshold within which the square-root series is used


class Printable:
    """A base of dataclasses, ``@dataclass(repr=False)``: numbers too long for Python are rounded.

    Python refuses to print an int of more than 4300 digits.
    """

    def __repr__(self) -> str:
        own: DataclassInstance = self  # pyright: ignore[reportAssignmentType]
        named = [(f.name, getattr(own, f.name)) for f in fields(own) if f.repr]
        inside = ", ".join(f"{name}={_spelt(value)}" for name, value in named)
        return f"{type(self).__name__}({inside})"


def _spelt(value: Any) -> str:
    try:
        return repr(value)
    except ValueError:
        return f"about {number_text(value)}"


@dataclass(frozen=True)
class Attainment:
    """How psi takes a real value mu: a row of the table of the general theorem.

    Parameters
    ----------
    kind : {"regular", "critical", "pairs", "never"}
        ``"regular"``: at a real point with psi' != 0. ``"critical"``: on the real line, but only at
        critical points. ``"pairs"``: only off the real line, so at conjugate pairs of points.
        ``"never"``: nowhere.
    order : int
        With ``"critical"``, the order to which psi - mu vanishes there: a Jordan block of size k
        splits into ``order`` blocks of sizes ceil(k / order) and floor(k / order).
    """

    kind: Literal["regular", "critical", "pairs", "never"]
    order: int = 1


REGULAR = Attainment("regular")
CRITICAL = Attainment("critical", 2)
PAIRS = Attainment("pairs")
NEVER = Attainment("never")


class Threshold(Protocol):
    """The real number that separates the values psi takes regularly from the others."""

    @property
    def rational(self) -> Fraction | None:
        """The exact value, where it is rational."""
        ...

    @property
    def value(self) -> float:
        """The value rounded to double precision."""
        ...

    def enclosure(self, precision: int) -> flint.arb:
        """A ball of about ``precision`` bits that is proven to contain the value."""
        ...

    def is_root_of(self, polynomial: flint.fmpz_poly) -> bool:
        """Whether an irreducible integer polynomial is proven to vanish at the value."""
        ...

    def describe(self) -> str:
        """Name and value, for a sentence."""
        ...


@dataclass(frozen=True, repr=False)
class RationalThreshold(Printable):
    """A threshold known exactly."""

    rational: Fraction

    @property
    def value(self) -> float:
        """The value rounded to double precision."""
        return float(self.rational)

    def enclosure(self, precision: int) -> flint.arb:
        """The value as a ball of radius at most one rounding at ``precision`` bits."""
        import flint

        with flint.ctx.workprec(precision):
            return flint.arb(flint.fmpq(self.rational.numerator, self.rational.denominator))

    def is_root_of(self, polynomial: flint.fmpz_poly) -> bool:
        """Whether an irreducible integer polynomial vanishes at the value."""
        p, q = self.rational.numerator, self.rational.denominator
        return polynomial.degree() == 1 and int(polynomial[0]) * q + int(polynomial[1]) * p == 0

    def describe(self) -> str:
        """The value, for a sentence."""
        return number_text(self.rational)


@dataclass(frozen=True)
class RealImage:
    """How psi takes the real values: regularly above a threshold, and how at and below it.

    Parameters
    ----------
    threshold : Threshold or None
        None when every real value is taken at a regular point.
    at, below : Attainment
        How psi takes the threshold itself, and the values below it.
    """

    threshold: Threshold | None
    at: Attainment = REGULAR
    below: Attainment = REGULAR


class Flow(Printable, ABC):
    """A linear model x0 -> psi(theta) x0.

    Subclasses are frozen dataclasses, printed by `Printable`: equal parameters make equal flows.
    """

    @abstractmethod
    def scalar(self, z: Any) -> np.ndarray:
        """The scalar function psi.

        Parameters
        ----------
        z : array_like, real or complex
            Points at which to evaluate.

        Returns
        -------
        ndarray
            psi(z): float64 for real ``z``, complex128 for complex, of the same shape.
        """

    @abstractmethod
    def matrix(self, theta: np.ndarray, method: Method = "auto") -> np.ndarray:
        """The matrix function psi(theta).

        Parameters
        ----------
        theta : ndarray of float64, shape (..., d, d)
            Finite and square: the public edge is `odemom.psi`, which validates.
        method : {"auto", "series", "closed", "companion"}
            See `odemom.psi`.

        Returns
        -------
        ndarray of float64, shape (..., d, d)
            Entries are inf or nan, without a warning, where psi exceeds the doubles.
        """

    def on_unit_horizon(self, theta: np.ndarray) -> tuple[Flow, np.ndarray]:
        """A flow and a theta of the same map, over the horizon 1 where there is one."""
        return self, theta

    def derivatives(
        self, theta: np.ndarray, directions: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """The matrix psi(theta), and its Fréchet derivatives L(theta, E) in several directions E.

        As blocks of psi([[theta, E], [0, theta]]), which costs eight times psi a direction.

        Parameters
        ----------
        theta : ndarray of float64, shape (d, d)
        directions : ndarray of float64, shape (n, d, d)

        Returns
        -------
        value : ndarray of float64, shape (d, d)
        changes : ndarray of float64, shape (n, d, d)
            Entries are inf or nan, without a warning, where they exceed the doubles.
        """
        d = len(theta)
        blocks = np.zeros((len(directions), 2 * d, 2 * d))
        blocks[:, :d, :d] = blocks[:, d:, d:] = theta
        blocks[:, :d, d:] = directions
        # One matrix is evaluated in fewer calls than a stack of one.
        images = self.matrix(blocks[0])[None] if len(blocks) == 1 else self.matrix(blocks)
        return self.matrix(theta), images[:, :d, d:]

    @abstractmethod
    def matrix_mp(self, theta: Any, dps: int) -> Any:
        """psi(theta) to ``dps`` decimal digits relative to its norm; entries exact or floats."""

    @abstractmethod
    def series(self, z: flint.acb, length: int) -> flint.acb_series:
        """psi(z + t) to O(t^length), with balls at the working precision for coefficients."""

    @property
    @abstractmethod
    def real_image(self) -> RealImage:
        """How psi takes the real values: what representability is decided from."""

    def critical_point(self) -> flint.arb:
        """The real point at which psi takes its threshold, where that is a critical value."""
        raise AttributeError(f"{self!r} has no critical threshold")

    def preimage(self, mu: flint.acb, near: tuple[flint.acb, flint.acb] | None = None) -> flint.acb:
        """A point z with psi(z) = mu, for mu in the upper half plane, or real below the threshold.

        The branch is analytic there; it is real on the real values above the rightmost critical
        one, so that conjugates are preimages of conjugates.

        Parameters
        ----------
        mu : acb
        near : (acb, acb), optional
            A value in the upper half plane, off the real line, and its preimage, to go on from.
        """
        import flint

        if self._keeps_to_real_branches and mu.imag > 0:
            close = self._by_the_real_branch(mu)
            if close is not None:
                return close
        with flint.ctx.workprec(max(PRECISION, flint.ctx.prec)):
            mu = middle(mu)
            critical = self._near_threshold(mu)
            if critical is not None:
                return critical
            if near is not None:
                return self._follow(near[1], [near[0], mu])
            one = flint.acb(1)  # psi(0)
            corner = middle((one + mu) / 2 + flint.acb(0, 1) * abs(mu - 1) / 2)
            return self._follow(flint.acb(0), [one, corner, mu])

    def real_preimage(self, mu: flint.arb, size: int = 2) -> flint.acb:
        """A real z with psi(z) = mu, regular unless mu is the threshold.

        Of several it is the one at which psi is best conditioned, for a Jordan block of that size.
        Beside other eigenvalues it should be 2 at least: they may be close. A mu that rounding has
        taken to the wrong side of a critical threshold counts as on it.
        """
        import flint

        with flint.ctx.workprec(max(PRECISION, flint.ctx.prec)):
            value = middle(flint.acb(mu))
            critical = self._near_threshold(value, real=True)
            if critical is not None:
                return critical
            return self._follow(flint.acb(0), [flint.acb(1), value])

    def _follow(self, z: flint.acb, path: list[flint.acb]) -> flint.acb:
        end = follow(self.series, z, path)
        assert end is not None  # it is never blocked
        return end

    def _near_threshold(self, mu: flint.acb, *, real: bool = False) -> flint.acb | None:
        """The preimage by the square-root series about the critical point, if mu is near its value.

        It is the critical point itself where the working precision does not tell the two apart.
        Above the threshold the root is real, below it is the one in the upper half plane; where a
        real preimage is asked for, everything below counts as on the threshold.
        """
        import flint

        image = self.real_image
        if image.at.kind != "critical" or image.at.order != 2 or image.threshold is None:
            return None
        threshold = image.threshold.enclosure(flint.ctx.prec)
        above = mu - threshold
        below = real and above.real < 0
        if not below and not abs(above) <= NEAR * abs(threshold):
            return None
        z = middle(flint.acb(self.critical_point()))
        if below or above.contains(0):
            return z
        with series_length(6):
            w = inverse_of_root(self.series(z, 6), z, 2, 4)
        root = middle(above).sqrt()
        z = middle(w[0] + w[1] * root + w[2] * root**2 + w[3] * root**3)
        return newton(self.series, z, mu)

    @property
    def _keeps_to_real_branches(self) -> bool:
        """Whether `preimage` tries the branch of a real value nearby first."""
        return False

    def _by_the_real_branch(self, mu: flint.acb) -> flint.acb | None:
        """The preimage of a non-real mu on the real branch of its real part, if that is near.

        Where psi has critical values inside its real image, the branch through the upper half plane
        may come close to one of them; the real branch is chosen to keep away.
        """
        import flint

        threshold = self.real_image.threshold
        if threshold is not None and not mu.real > threshold.enclosure(flint.ctx.prec):
            return None
        real = middle(flint.acb(mu.real))
        return continued(self.series, middle(mu), [(real, self.real_preimage(real.real))])

    @abstractmethod
    def describe(self) -> str:
        """The model as an equation, for a sentence."""


Number = Fraction | float | str
"""A parameter of a flow: as given, it may be text; a flow keeps it as a Fraction or a float."""


def exact(value: Number) -> Fraction:
    """The value as a fraction: a double is the dyadic rational that it is."""
    return value if isinstance(value, Fraction) else Fraction(value)


def number_text(value: Number) -> str:
    """A number as one would write it: ``1/10``, ``0.5``, ``2``, ``inf``; a long one rounded."""
    if isinstance(value, float) and math.isfinite(value) and value == int(value) < 2**53:
        return str(int(value))
    if isinstance(value, Fraction) and _is_long(value):
        import mpmath

        top, above = _leading(value.numerator)
        bottom, below = _leading(value.denominator)
        with mpmath.workdps(TEXT_DIGITS):
            return str(mpmath.nstr(mpmath.ldexp(mpmath.mpf(top) / bottom, above - below), 6))
    return str(value)


def _is_long(value: Fraction) -> bool:
    """Whether a number has more than `SHORT` digits, those of both sides of a fraction."""
    top, bottom = abs(value.numerator), value.denominator
    if max(top, bottom) >= 10**SHORT:
        return True
    return bottom > 1 and len(f"{top}{bottom}") > SHORT


def _leading(n: int) -> tuple[int, int]:
    """The first bits of an integer, and by which power of 2 they are to be multiplied."""
    shift = max(0, n.bit_length() - TEXT_BITS)
    return n >> shift, shift  # quotients of millions of bits take minutes


def interval_text(horizon: Number) -> str:
    """Where a flow runs, for a sentence: nothing for [0, 1], which is understood."""
    return "" if horizon == 1 else f" on [0, {number_text(horizon)}]"


def as_points(z: Any) -> np.ndarray:
    """``z`` as a float64 or complex128 array."""
    points = np.asarray(z)
    return points.astype(np.complex128 if points.dtype.kind == "c" else np.float64, copy=False)
