"""G_eps and lambda_eps = min G_eps: the threshold of Theorem 1, in doubles, mpmath and balls.

G_eps(alpha) = exp(-a) (cos alpha + a sin(alpha)/alpha), a = 1/(2 eps), is psi on the oscillating
part of the real line, z = -eps alpha² - 1/(4 eps). Its minimum is attained at the one alpha in
(pi, 4.4934...) with

    h(alpha) = 2 eps alpha² sin(alpha) - alpha cos(alpha) + sin(alpha) = 0;

h falls from pi > 0 at alpha = pi to a negative value at the right end, the minimiser of
sin(alpha)/alpha.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from typing import TYPE_CHECKING, Any, overload

import numpy as np

from odemom.checks import (
    as_array,
    as_eps,
    as_number,
    eps_or_gamma,
    expect,
    invalid,
    nearest_double,
    shown,
)
from odemom.flows.balls import ball_text, enclose_root
from odemom.flows.base import Printable, exact

if TYPE_CHECKING:
    import flint

__all__ = ["G", "LambdaEps", "as_digits", "lambda_eps"]

LARGEST_DIGITS = 100_000

TAN_FIXED_POINT = 4.493409457909064  # the first positive root of tan(alpha) = alpha


def G(alpha: Any, eps: Any) -> Any:
    """psi_eps on the oscillating part of the real line, as a function of the angle.

    Parameters
    ----------
    alpha : array_like of float
        Angles in radians; G is even in them.
    eps : array_like of float
        Masses in [0, inf], broadcast against ``alpha``. G_0 = 0 and G_inf = cos.

    Returns
    -------
    float or ndarray of float64
        exp(-1/(2 eps)) (cos alpha + sin(alpha)/(2 eps alpha)), of the broadcast shape.

    Raises
    ------
    InvalidInputError
        If ``eps`` is negative or nan, or ``alpha`` is not finite.

    References
    ----------
    Sander et al. 2021, the paper's proof of Theorem 1.

    Examples
    --------
    >>> import numpy as np, odemom
    >>> bool(np.isclose(odemom.G(0.0, 0.5), 2 * np.exp(-1)))
    True
    >>> float(odemom.G(np.pi, np.inf))
    -1.0
    """
    angle, (mass, rest) = _real_array(alpha, "alpha"), _eps_array(eps)
    try:
        angle, mass = np.broadcast_arrays(angle, mass)
    except ValueError:
        raise invalid(
            "alpha, eps",
            got=f"shapes {angle.shape} and {mass.shape}",
            expected="shapes that broadcast",
        ) from None
    expect(bool(np.isfinite(angle).all()), "alpha", got=shown(alpha), expected="finite angles")
    a, decay = _half_rate(mass, rest)
    with np.errstate(invalid="ignore"):
        weight = np.where(decay > 0, np.where(np.isinf(a), 0.0, a) * decay, 0.0)
    sinc = np.divide(np.sin(angle), angle, out=np.ones_like(angle), where=angle != 0)
    values = decay * np.cos(angle) + weight * sinc
    return float(values) if values.ndim == 0 else values


@overload
def lambda_eps(eps: Any = None, *, gamma: Any = None, dps: None = None) -> Any: ...
@overload
def lambda_eps(eps: Any = None, *, gamma: Any = None, dps: int) -> Any: ...
def lambda_eps(eps: Any = None, *, gamma: Any = None, dps: int | None = None) -> Any:
    """The smallest real value of psi_eps: below it, eigenvalues must come in pairs (Theorem 1).

    Parameters
    ----------
    eps : array_like of float, or number
        Masses in [0, inf]. Strictly decreasing from lambda_0 = 0 to lambda_inf = -1. A single one
        that is a string or Fraction is exact.
    gamma : number in [0, 1], optional
        In place of ``eps``: the flow with eps = 1/(1 - gamma). The threshold of the net of that
        momentum is another number, which depends on its depth.
    dps : int, optional
        Decimal digits, from 1 to 100,000: the result is then an mpmath number, right to that many
        digits relative to its size also where doubles underflow. ``eps`` must then be one number;
        an int, a Fraction or a string such as ``"0.1"`` is exact, a float the dyadic rational
        that it is.

    Returns
    -------
    float, ndarray of float64, or mpmath.mpf
        lambda_eps, accurate to a few units of roundoff. Below eps ~ 7e-4 the double result is
        subnormal or zero, because lambda_eps ~ -exp(-1/(2 eps)) 0.2172/(2 eps) is; use ``dps``.

    Raises
    ------
    InvalidInputError
        If ``eps`` is negative or nan, or ``dps`` is not a positive integer.

    References
    ----------
    Sander et al. 2021, Theorem 1.

    Examples
    --------
    >>> import odemom
    >>> round(odemom.lambda_eps(0.5), 12)
    -0.383321600264
    >>> import mpmath
    >>> mpmath.nstr(odemom.lambda_eps("1/2", dps=30), 30)
    '-0.383321600264325616671401124829'
    """
    eps = eps_or_gamma(eps, gamma, several=dps is None)
    if isinstance(gamma, list | tuple | np.ndarray) and isinstance(eps, list):
        eps = [nearest_double(mass) for mass in eps]
    if dps is not None:
        return _lambda_mp(as_eps(eps), as_digits(dps))
    values = _lambda_double(*_eps_array(eps))
    return float(values) if values.ndim == 0 else values


def as_digits(dps: Any) -> int:
    """A number of decimal digits."""
    expect(
        isinstance(dps, int | np.integer)
        and not isinstance(dps, bool)
        and 1 <= dps <= LARGEST_DIGITS,
        "dps",
        got=shown(dps),
        expected=f"a number of decimal digits, an integer from 1 to {LARGEST_DIGITS}",
    )
    return int(dps)


def _real_array(value: Any, name: str) -> np.ndarray:
    expected = "a real number or an array of them"
    array = as_array(value, name, expected)
    if array.ndim == 0:
        return np.asarray(nearest_double(as_number(value, name, expected)))
    if array.dtype.kind == "O":
        numbers = [nearest_double(as_number(entry, name, expected)) for entry in array.flat]
        return np.array(numbers).reshape(array.shape)
    if array.dtype.kind not in "iuf":
        raise invalid(name, got=f"an array of dtype {array.dtype}", expected=expected)
    return array.astype(np.float64)


def _eps_array(eps: Any) -> tuple[np.ndarray, float]:
    """The masses as doubles, and what rounding took from one that was given exactly, as text."""
    mass = _real_array(eps, "eps")
    if not bool((mass >= 0).all()):
        _refuse(eps, mass)
    if mass.ndim or not math.isfinite(mass):
        return mass, 0.0
    return mass, float(exact(as_eps(eps)) - Fraction(float(mass)))


def _refuse(eps: Any, mass: np.ndarray) -> None:
    """Name the first mass that is none, as it was given."""
    where = tuple(np.argwhere(~(mass >= 0))[0].tolist())
    given = np.asarray(eps, dtype=object)[where] if where else eps
    as_eps(given, f"eps at {list(where)}" if where else "eps")


def _half_rate(mass: np.ndarray, rest: float) -> tuple[np.ndarray, np.ndarray]:
    """The rate a = 1/(2 eps) and exp(-a), the latter with the rounding of a compensated.

    exp magnifies a relative error of a by a itself (up to 745): the residual 1 - 2 eps a, exact by
    Dekker's product, gives the correction. The mass is ``mass + rest``.
    """
    with np.errstate(divide="ignore", over="ignore", under="ignore", invalid="ignore"):
        a = 0.5 / mass
        split = 134217729.0  # 2^27 + 1
        a_high = a * split - (a * split - a)
        m_high = mass * split - (mass * split - mass)
        a_low, m_low = a - a_high, mass - m_high
        residual = (0.5 - a_high * m_high) - a_high * m_low - a_low * m_high - a_low * m_low
        residual -= a * rest
        correction = np.where((a < 800) & (mass < 1e150), 2 * a * residual, 0.0)
        decay = np.exp(-a) * (1 - correction)
    return a, decay


def _minimiser(mass: np.ndarray) -> np.ndarray:
    """The angle at which G_eps is least, by Newton's method kept inside a bisection bracket."""
    doubled = 2 * np.minimum(mass, 1e300)
    weight = np.where(np.isinf(mass), 1.0, doubled / (1 + doubled))
    low, high = np.full(mass.shape, math.pi), np.full(mass.shape, TAN_FIXED_POINT)
    angle = (low + high) / 2
    for _ in range(60):
        # h, scaled by 1/(1 + 2 eps), and its derivative
        sine, cosine = np.sin(angle), np.cos(angle)
        h = weight * angle**2 * sine - (1 - weight) * (angle * cosine - sine)
        slope = weight * (2 * angle * sine + angle**2 * cosine) + (1 - weight) * angle * sine
        low, high = np.where(h > 0, angle, low), np.where(h > 0, high, angle)
        newton = angle - h / slope
        inside = (newton >= low) & (newton <= high)
        following = np.where(inside, newton, (low + high) / 2)
        if (np.abs(following - angle) <= 4e-16 * angle).all():
            break
        angle = following
    return angle


def _lambda_double(mass: np.ndarray, rest: float) -> np.ndarray:
    angle = _minimiser(mass)
    a, decay = _half_rate(mass, rest)
    with np.errstate(invalid="ignore"):
        values = decay * np.cos(angle) + np.where(decay > 0, a * decay, 0.0) * np.sin(angle) / angle
    return np.where(mass == 0, 0.0, values)


def _lambda_mp(eps: Fraction | float, dps: int) -> Any:
    import mpmath

    if eps == 0:
        return mpmath.mpf(0)
    if eps == math.inf:
        return mpmath.mpf(-1)
    with mpmath.workdps(dps):
        return +_mpf_of(_ball(exact(eps), mpmath.mp.prec + 10))


def _mpf_of(ball: flint.arb) -> Any:
    import mpmath

    mantissa, exponent = ball.mid().man_exp()
    return mpmath.ldexp(mpmath.mpf(int(mantissa)), int(exponent))


@dataclass(frozen=True, repr=False)
class LambdaEps(Printable):
    """lambda_eps for an exact mass in (0, inf), as a threshold: see `lambda_eps`."""

    eps: Fraction

    @property
    def rational(self) -> None:
        """None: no rational value of lambda_eps is known, and none is ever assumed."""
        return None

    @property
    def value(self) -> float:
        """lambda_eps rounded to double precision."""
        return float(self.enclosure(80).mid())

    def enclosure(self, precision: int) -> flint.arb:
        """A ball with about ``precision`` correct bits that provably contains lambda_eps."""
        return _ball(self.eps, precision)

    def minimiser(self, precision: int) -> flint.arb:
        """The alpha in (pi, 4.4934...) at which G_eps is least, to about ``precision`` bits."""
        return _minimiser_ball(self.eps, precision + 40)

    def is_root_of(self, polynomial: flint.fmpz_poly) -> bool:
        """False: that lambda_eps is algebraic for a rational eps is not known, nor ever assumed."""
        del polynomial
        return False

    def describe(self) -> str:
        """Name and value, for a sentence."""
        return f"lambda_eps = {ball_text(self.enclosure(80))}"


@lru_cache(maxsize=256)
def _ball(eps: Fraction, precision: int) -> flint.arb:
    """A rigorous enclosure of lambda_eps: ball arithmetic on G, over a ball with the minimiser."""
    import flint

    a_bits = max(0, (1 / (2 * eps)).__ceil__()).bit_length()
    working = precision + a_bits + 40
    angle = _minimiser_ball(eps, working)
    with flint.ctx.workprec(working):
        a = 1 / (2 * flint.arb(flint.fmpq(eps.numerator, eps.denominator)))
        return (-a).exp() * (angle.cos() + a * angle.sin() / angle)


@lru_cache(maxsize=256)
def _minimiser_ball(eps: Fraction, precision: int) -> flint.arb:
    """A ball in which h provably changes its sign; the minimiser is its only root in (0, 4.49]."""
    import flint

    def rigorous(alpha: flint.arb) -> flint.arb:
        mass = flint.arb(flint.fmpq(eps.numerator, eps.denominator))
        return _h(alpha, mass, alpha.sin(), alpha.cos())

    start = float(_minimiser(np.asarray(_nearest_double(eps))))
    return enclose_root(rigorous, start, precision)


def _h(alpha: Any, eps: Any, sine: Any, cosine: Any) -> Any:
    """h/(1 + 2 eps), which stays of the order of 1 for every eps."""
    return (2 * eps * alpha**2 * sine - alpha * cosine + sine) / (1 + 2 * eps)


def _nearest_double(eps: Fraction) -> float:
    return float(min(eps, Fraction(10) ** 300))
