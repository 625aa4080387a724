"""How far real eigenvalues are from the edge: the least eps, and the largest scale, that will do.

Both follow from the general theorem, one real eigenvalue mu at a time. The larger eps, the lower
the threshold: an eigenvalue with unpaired blocks asks for lambda_eps <= mu, and is content with
equality where its blocks meet the condition at critical points. Of several the least mu decides.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Context, Decimal
from fractions import Fraction
from typing import TYPE_CHECKING, Literal

from odemom.checks import nearest_double
from odemom.errors import UndecidedError
from odemom.flows.base import CRITICAL, PAIRS, RealImage, number_text
from odemom.representability.algebraic import Eigenvalue, eigenvalue_text
from odemom.representability.criterion import unmet_condition

if TYPE_CHECKING:
    import flint

    from odemom.representability.base import RealEigenvalue

__all__ = [
    "THRESHOLD_BITS", "Extreme", "bracket", "ends", "largest_scale", "least_eps", "rounded_text",
]  # fmt: skip

# Of the first ball around a threshold: those that its printed value takes, so that one will do.
THRESHOLD_BITS = 80
EIGENVALUE_BITS = 128
MOST_BITS = 1 << 14  # an eigenvalue is refined to so many bits, beyond which eps is no double
SMALLEST_BITS = 1 << 16  # thresholds between 0 and -2**-SMALLEST_BITS are not told from 0
WIDTH_BITS = 68  # the relative width of an interval for eps is about 2 to minus this
LARGEST_INVERSION = 1 << 17
LAST_ANGLE = 1.3518168043192709  # tan(pi + delta) = pi + delta
BEYOND_ANGLE = 1.36  # between LAST_ANGLE and this 1/(2 eps) would be negative


@dataclass(frozen=True)
class Extreme:
    """An infimum or supremum, with whether it is attained. ``float(extreme)`` is its value.

    ``print(extreme)`` says it in a sentence; long numbers are rounded to six digits.

    Attributes
    ----------
    value : float
        Rounded to double precision; may be 0 or inf. It is inf for one beyond the doubles too, of
        which ``interval`` has finite ends, as it is 0 for one below them.
    attained : bool
        Whether D is representable at the infimum or supremum itself, whether or not a double holds
        it; at eps = inf where none holds a least eps.
    interval : tuple of (Fraction or float)
        Ends that enclose the value: proven on exact input. On floating input they enclose the
        values of all matrices within the tolerance, that of the given doubles among them.
    eigenvalue : Eigenvalue or None
        The real eigenvalue that decides; None when none does.
    status : {"certain", "borderline"}
        On floating input, ``"certain"`` where the same simple eigenvalue decides for all matrices
        within the tolerance, or none does, so that the interval is about as narrow as the tolerance
        and ``attained`` holds for all of them. ``"borderline"``: ``value`` and ``attained`` are
        those of the nearest structured matrix, and others that close may differ by the whole
        interval.
    """

    value: float
    attained: bool
    interval: tuple[Fraction | float, Fraction | float]
    eigenvalue: Eigenvalue | None
    status: Literal["certain", "borderline"] = "certain"

    def __float__(self) -> float:
        return self.value

    def __str__(self) -> str:
        low, high = (number_text(end) for end in self.interval)
        size = f"{self.value:.6g}"
        if self.value == math.inf != self.interval[1]:
            size = f"beyond the doubles, about {low}"
        elif self.interval[1] != 0 == nearest_double(self.interval[1]):
            size = "below the doubles" if self.interval[0] == 0 else f"{low}, below the doubles"
        if self.status == "borderline":
            size += f" (borderline: between {low} and {high} within the tolerance)"
        which = "no eigenvalue decides"
        if self.eigenvalue is not None:
            which = f"the eigenvalue {eigenvalue_text(self.eigenvalue)} decides"
        return f"{size}, {'attained' if self.attained else 'not attained'}; {which}."

    def __repr__(self) -> str:
        low, high = (number_text(end) for end in self.interval)
        decides = self.eigenvalue
        if isinstance(decides, Fraction):
            decides = number_text(decides)
        return (
            f"Extreme(value={self.value!r}, attained={self.attained}, interval=({low}, {high}), "
            f"eigenvalue={decides}, status={self.status!r})"
        )


def rounded_text(extreme: Extreme, factor: Fraction = Fraction(1), *, up: bool) -> str:
    """An extreme times a factor in six digits, rounded to the side on which what is said holds.

    Parameters
    ----------
    extreme : Extreme
        Of finite value.
    factor : Fraction
        Positive.
    up : bool
        Whether an eps at or above the number is said to do, rather than a scale at or below it.
        The nearest number is taken where it cannot be told from the extreme.

    Returns
    -------
    str

    Examples
    --------
    >>> third = Extreme(1 / 3, True, (Fraction(1, 3), Fraction(1, 3)), None)
    >>> rounded_text(third, up=True), rounded_text(third, up=False)
    ('0.333334', '0.333333')
    """
    low, high = (end if end == math.inf else Fraction(end) * factor for end in extreme.interval)
    value = nearest_double(Fraction(extreme.value) * factor)
    doubles = sys.float_info.min <= value < math.inf
    nearest = f"{value:.6g}" if doubles or high in (0, math.inf) else number_text(low or high)
    end = high if up else low
    told = Decimal(nearest) if "/" not in nearest else None
    if told is None or end == math.inf or low <= Fraction(told) <= high:
        return nearest
    if (Fraction(told) < end) == up:
        last = Decimal((0, (1,), told.adjusted() - 5))
        told = Context(prec=28).add(told, last if up else -last)
    return f"{float(told):.6g}" if doubles else f"{told:.6g}"


def least_eps(eigenvalues: Sequence[RealEigenvalue]) -> Extreme:
    """The infimum of the eps at which these real eigenvalues are produced: `minimal_eps`."""
    unpaired = [e for e in eigenvalues if e.sign_of() < 0 and unmet_condition(PAIRS, e.sizes)]
    if not unpaired:
        zero = [e for e in eigenvalues if e.sign_of() == 0]
        return Extreme(0.0, not zero, (0.0, 0.0), zero[0].value if zero else None)
    least = _least(unpaired)
    attained = unmet_condition(CRITICAL, least.sizes) is None
    side = least.sign_of(1)
    if side <= 0:
        reached = attained and side == 0
        return Extreme(math.inf, reached, (math.inf, math.inf), least.value)
    return _eps_of(least, attained)


def largest_scale(eigenvalues: Sequence[RealEigenvalue], image: RealImage) -> Extreme:
    """The supremum of the scales at which these eigenvalues are produced: `maximal_scale`."""
    import flint

    limits = [e for e in eigenvalues if _limits(e, image)]
    if not limits:
        return Extreme(math.inf, False, (math.inf, math.inf), None)
    least = _least(limits)
    threshold = image.threshold
    assert threshold is not None  # otherwise no eigenvalue limits
    if threshold.rational == 0:
        return Extreme(0.0, False, (0.0, 0.0), least.value)
    least_mu, most_mu = _ends_away_from(least, 0)
    attained = unmet_condition(image.at, least.sizes) is None
    ball = threshold.enclosure(THRESHOLD_BITS)
    if abs(ball) < flint.arb(2) ** -SMALLEST_BITS:
        high = Fraction(1, 1 << SMALLEST_BITS) / -most_mu if most_mu < 0 else math.inf
        return Extreme(0.0, attained, (Fraction(0), high), least.value)
    low_t, high_t = ends(ball)
    interval = (high_t / least_mu, low_t / most_mu if most_mu < 0 else math.inf)
    value = (low_t + high_t) / (least_mu + most_mu)
    return Extreme(nearest_double(value), attained, interval, least.value)


def _least(eigenvalues: Sequence[RealEigenvalue]) -> RealEigenvalue:
    least, *others = eigenvalues
    for other in others:
        if _is_less(other, least):
            least = other
    return least


def _is_less(one: RealEigenvalue, other: RealEigenvalue) -> bool:
    """Whether an eigenvalue is less than another; different ones may agree in all their doubles."""
    bits = EIGENVALUE_BITS
    while True:
        a, b = one.ball(bits), other.ball(bits)
        if a < b or a > b or (a.is_exact() and b.is_exact()):
            return bool(a < b)
        bits *= 2


def _limits(e: RealEigenvalue, image: RealImage) -> bool:
    """Whether some positive multiple of the eigenvalue is obstructed."""
    if image.threshold is None:
        return False
    sign = e.sign_of()
    if image.threshold.rational == 0 and sign == 0:
        return unmet_condition(image.at, e.sizes) is not None
    return sign < 0 and unmet_condition(image.below, e.sizes) is not None


# --- eps as a function of lambda_eps -----------------------------------------------------------


def _eps_of(e: RealEigenvalue, attained: bool) -> Extreme:
    """The eps with lambda_eps = mu, between brackets for the ends of the ball around mu."""
    low_mu, high_mu = _ends_away_from(e, 0, -1)
    below = bracket(high_mu)[0] if high_mu < 0 else Fraction(0)
    above: Fraction | float = bracket(low_mu)[1] if low_mu > -1 else math.inf
    value = math.inf if above == math.inf else nearest_double(below)
    # Beyond the doubles the infimum is inf in them, and at eps = inf mu > -1 is regular.
    return Extreme(value, attained or value == math.inf, (below, above), e.value)


def _ends_away_from(e: RealEigenvalue, *points: int) -> tuple[Fraction, Fraction]:
    """Fractions that enclose an eigenvalue, nearly one beside its distance from each point."""
    bits, enough = EIGENVALUE_BITS, Fraction(1, 1 << (WIDTH_BITS + 4))
    while True:
        low, high = ends(e.ball(bits), 2 * bits)
        near = min(abs(end - point) for end in (low, high) for point in points)
        if high - low <= near * enough or bits >= MOST_BITS:
            return low, high
        bits *= 2


def bracket(mu: Fraction) -> tuple[Fraction, Fraction]:
    """Low < eps < high, proven, with lambda_eps = mu in (-1, 0).

    Where alpha = pi + delta is the angle at which G_eps is least, eps and lambda_eps are explicit
    functions of delta (`_at_angle`), which decrease as it grows. So lambda is to be solved for
    delta; then a little to the left lambda < mu is proven, and a little to the right lambda > mu.
    """
    import flint

    log_mu, precision = _log(mu), EIGENVALUE_BITS
    precision += 2 * (max(1, math.ceil(1 / (1 + mu))).bit_length() + int(-log_mu).bit_length())
    while precision <= LARGEST_INVERSION:
        with flint.ctx.workprec(precision):
            target = (-_ball(mu)).log()
            delta = _solved(target, log_mu)
            rate, _ = _at_angle(delta)
            step = (delta / (1 + rate) * flint.arb(2) ** -WIDTH_BITS).mid()
            left, right = _at_angle(delta - step), _at_angle(delta + step)
            within = delta - step > 0 and delta + step < BEYOND_ANGLE
            if within and 0 < left[0] < right[0] and left[1] > target > right[1]:
                low, high = 1 / (2 * right[0]), 1 / (2 * left[0])
                return _fraction(low.lower()), _fraction(high.upper())
        precision *= 2
    raise UndecidedError(f"the eps with lambda_eps = {number_text(mu)} is beyond {precision} bits.")


def _at_angle(delta: flint.arb) -> tuple[flint.arb, flint.arb]:
    """The rate a = 1/(2 eps), and log(-lambda), of the eps whose G is least at alpha = pi + delta.

    There sin alpha = (cos alpha/alpha - sin alpha/alpha²)/(2 eps), by
    docs/mathematics/threshold.md, so that a = alpha² sin delta/(alpha cos delta - sin delta), which
    is positive between delta = 0 and the end of the range; and
    -lambda = exp(-a) (cos delta + a sin(delta)/alpha).
    """
    import flint

    alpha = flint.arb.pi() + delta
    sine, cosine = delta.sin(), delta.cos()
    rate = alpha**2 * sine / (alpha * cosine - sine)
    return rate, (cosine + rate * sine / alpha).log() - rate


def _solved(target: flint.arb, start: float) -> flint.arb:
    """The delta with log(-lambda) = target, to the working precision: the secant method.

    log(-lambda) is nearly linear in delta near 0, and its reciprocal near the other end.
    """
    import flint

    def gap(delta: flint.arb) -> flint.arb:
        value = _at_angle(delta)[1]
        return value - target if start > -1 else 1 / value - 1 / target

    before = _rough(start) if start < -1e-6 else (-target / flint.arb.pi()).mid()
    after = before * (1 - flint.arb(2) ** -20)
    gap_before, gap_after = gap(before), gap(after)
    for _ in range(60):
        slope = gap_after - gap_before
        if not (slope > 0 or slope < 0):
            break  # the two are one to the working precision
        step = (gap_after * (after - before) / slope).mid()
        before, after = after, (after - step).mid()
        gap_before, gap_after = gap_after, gap(after)
    return after


def _rough(target: float) -> flint.arb:
    """The same in doubles, by bisection."""
    import flint

    low, high = 0.0, LAST_ANGLE
    while high - low > 1e-12 * high:
        delta = (low + high) / 2
        alpha, sine, cosine = math.pi + delta, math.sin(delta), math.cos(delta)
        rest = alpha * cosine - sine
        rate = alpha**2 * sine / rest if rest > 0 else math.inf
        value = math.log(cosine + rate * sine / alpha) - rate if rate < math.inf else -math.inf
        low, high = (delta, high) if value > target else (low, delta)
    return flint.arb(low)


def _log(mu: Fraction) -> float:
    """log(-mu) in doubles, for mu of any size."""
    rest = 1 + mu
    if rest < Fraction(1, 2):
        return math.log1p(-float(rest))
    return math.log(-mu.numerator) - math.log(mu.denominator)


def _ball(x: Fraction) -> flint.arb:
    import flint

    return flint.arb(flint.fmpq(x.numerator, x.denominator))


def ends(ball: flint.arb, bits: int = 2 * EIGENVALUE_BITS) -> tuple[Fraction, Fraction]:
    """Fractions that enclose a ball."""
    import flint

    with flint.ctx.workprec(bits):  # lower() and upper() round outwards
        return _fraction(ball.lower()), _fraction(ball.upper())


def _fraction(point: flint.arb) -> Fraction:
    mantissa, exponent = (int(part) for part in point.mid().man_exp())
    return Fraction(mantissa) * Fraction(2) ** exponent
