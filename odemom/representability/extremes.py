"""How far a matrix is from the edge: the least eps, and the largest scale, for which it is
representable.

Both follow from the general theorem, one real eigenvalue mu at a time. The larger eps, the lower
the threshold: an eigenvalue with unpaired blocks asks for lambda_eps <= mu, and is content with
equality where its blocks meet the condition at critical points. Of several the least mu decides.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np

from odemom.checks import nearest_double, require_square
from odemom.errors import UndecidedError
from odemom.flows.base import CRITICAL, PAIRS, RationalThreshold, RealImage, number_text
from odemom.flows.psi import flow_of
from odemom.flows.threshold import LambdaEps
from odemom.representability.algebraic import Eigenvalue
from odemom.representability.criterion import unmet_condition
from odemom.representability.exact import LARGEST_PRECISION, Factor, factors_of
from odemom.representability.exact_matrix import ExactMatrix, read_matrices
from odemom.representability.floating import SchurForm, as_tolerance, in_range, structured_clusters

if TYPE_CHECKING:
    import flint

__all__ = ["Extreme", "maximal_scale", "minimal_eps"]

PRECISION = 128
SMALLEST_BITS = 1 << 16  # of a threshold nearer to 0 than 2 to minus this no more is said
BISECTIONS = 64  # the interval's relative width is about 2^-64 on exact input


@dataclass(frozen=True)
class Extreme:
    """An infimum or supremum, with whether it is attained. ``float(extreme)`` is its value.

    Printed, exact numbers are rounded to six digits where they are long.

    Attributes
    ----------
    value : float
        Rounded to double precision; may be 0 or inf.
    attained : bool
        Whether D is representable at the value itself.
    interval : tuple of (Fraction or float)
        Ends that are proven to enclose the value on exact input. On floating input they enclose
        the values of the matrices within the tolerance, to first order.
    eigenvalue : Eigenvalue or None
        The real eigenvalue that decides; None when none does.
    """

    value: float
    attained: bool
    interval: tuple[Fraction | float, Fraction | float]
    eigenvalue: Eigenvalue | None

    def __float__(self) -> float:
        return self.value

    def __repr__(self) -> str:
        low, high = (number_text(end) for end in self.interval)
        decides = self.eigenvalue
        if isinstance(decides, Fraction):
            decides = number_text(decides)
        return (
            f"Extreme(value={self.value!r}, attained={self.attained}, interval=({low}, {high}), "
            f"eigenvalue={decides})"
        )


@dataclass(frozen=True)
class RealEigenvalue:
    """A real eigenvalue with its block sizes.

    Attributes
    ----------
    value : Eigenvalue
    sizes : tuple of int
    ball : callable
        Precision in bits -> a ball that contains the eigenvalue.
    """

    value: Eigenvalue
    sizes: tuple[int, ...]
    ball: Callable[[int], flint.arb]

    def sign_of(self, shift: int = 0) -> int:
        """The sign of the eigenvalue plus an integer."""
        if isinstance(self.value, Fraction | float):
            return (self.value > -shift) - (self.value < -shift)
        precision = PRECISION
        while True:  # ends: an irrational number is no integer
            moved = self.ball(precision) + shift
            if moved > 0 or moved < 0:
                return 1 if moved > 0 else -1
            precision *= 2


def minimal_eps(D: Any, *, tol: Any = None, exact: bool | None = None) -> Extreme:
    """The infimum of the eps for which D is representable by eps x'' + x' = theta x, x'(0) = 0.

    D is representable for every larger eps, since the representable sets grow with eps.

    Parameters
    ----------
    D : array_like of real numbers, shape (d, d)
    tol, exact
        See `odemom.analyze`.

    Returns
    -------
    Extreme
        ``value`` is 0 when every eps > 0 will do (``attained`` tells whether eps = 0, that is
        x' = theta x, does too), and inf when no finite eps does (``attained`` tells whether
        eps = inf, that is x'' = theta x, does).

    Raises
    ------
    InvalidInputError
        If D is not one finite, real, square, non-empty matrix, or ``tol`` is outside its domain.

    References
    ----------
    Sander et al. 2021, Theorem 1; lambda_eps decreases strictly from 0 to -1.

    Examples
    --------
    >>> from fractions import Fraction
    >>> import odemom
    >>> least = odemom.minimal_eps([[Fraction(-1, 2)]])
    >>> round(least.value, 12), least.attained, round(odemom.lambda_eps(least.value), 12)
    (0.698809909309, True, -0.5)
    >>> odemom.minimal_eps([[-2]]).value
    inf
    """
    spectrum = _real_spectrum(D, tol, exact)
    unpaired = [e for e in spectrum if e.sign_of() < 0 and unmet_condition(PAIRS, e.sizes)]
    if not unpaired:
        zero = [e for e in spectrum if e.sign_of() == 0]
        return Extreme(0.0, not zero, (0.0, 0.0), zero[0].value if zero else None)
    least = min(unpaired, key=lambda e: float(e.ball(PRECISION).mid()))
    attained = unmet_condition(CRITICAL, least.sizes) is None
    side = least.sign_of(1)
    if side <= 0:
        reached = attained and side == 0
        return Extreme(math.inf, reached, (math.inf, math.inf), least.value)
    return _eps_of(least, attained)


def maximal_scale(D: Any, eps: Any, *, tol: Any = None, exact: bool | None = None) -> Extreme:
    """The supremum of the scales a for which a D is representable: "any map up to scale".

    Parameters
    ----------
    D : array_like of real numbers, shape (d, d)
    eps : number or str in [0, inf], or Flow
    tol, exact
        See `odemom.analyze`.

    Returns
    -------
    Extreme
        ``value`` is inf when every scale will do, and 0 when no a > 0 does; every smaller positive
        scale will do.

    Raises
    ------
    InvalidInputError
        If D is not one finite, real, square, non-empty matrix, or an argument is outside its
        domain.

    References
    ----------
    Sander et al. 2021, the corollary of Theorem 1 on maps up to scale.

    Examples
    --------
    >>> import odemom
    >>> scale = odemom.maximal_scale([[-2]], "1/2")
    >>> round(scale.value, 12), scale.attained
    (0.191660800132, True)
    >>> odemom.maximal_scale([[0, -1], [1, 0]], 0).value
    inf
    """
    import flint

    image = flow_of(eps).real_image
    limits = [e for e in _real_spectrum(D, tol, exact) if _limits(e, image)]
    if not limits:
        return Extreme(math.inf, False, (math.inf, math.inf), None)
    least = min(limits, key=lambda e: float(e.ball(PRECISION).mid()))
    threshold = image.threshold
    assert threshold is not None  # otherwise no eigenvalue limits
    if threshold.rational == 0:
        return Extreme(0.0, False, (0.0, 0.0), least.value)
    least_mu, most_mu = _ends(least.ball(PRECISION))
    ball = threshold.enclosure(PRECISION)
    if abs(ball) < flint.arb(2) ** -SMALLEST_BITS:
        high = Fraction(1, 1 << SMALLEST_BITS) / -most_mu if most_mu < 0 else math.inf
        interval = (Fraction(0), high)
        return Extreme(0.0, _attained(least, image), interval, least.value)
    low_t, high_t = _ends(ball)
    interval = (high_t / least_mu, low_t / most_mu if most_mu < 0 else math.inf)
    value = (low_t + high_t) / (least_mu + most_mu)
    return Extreme(nearest_double(value), _attained(least, image), interval, least.value)


def _attained(e: RealEigenvalue, image: RealImage) -> bool:
    """Whether the blocks of the eigenvalue will do at the threshold."""
    return unmet_condition(image.at, e.sizes) is None


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
    ball = e.ball(PRECISION)
    low_mu, high_mu = _ends(ball)
    narrow = high_mu - low_mu < abs(high_mu) * Fraction(1, 1 << (BISECTIONS + 8))
    below = _bracket(high_mu)[0] if high_mu < 0 else Fraction(0)
    above: Fraction | float = math.inf
    if low_mu > -1:
        above = _bracket(low_mu)[1]
    if narrow:
        value = float(below)
    else:
        middle = _bracket((low_mu + high_mu) / 2)
        value = float((middle[0] + middle[1]) / 2)
    return Extreme(value, attained, (below, above), e.value)


def _bracket(mu: Fraction) -> tuple[Fraction, Fraction]:
    """Low < eps < high, proven, with lambda_eps = mu in (-1, 0), by bisection in powers of 2."""
    low, high = Fraction(1), Fraction(1)
    while _lambda_exceeds(high, mu):
        low, high = high, high * 4
    while not _lambda_exceeds(low, mu):
        low, high = low / 4, low
    for _ in range(BISECTIONS + 3):
        middle = (low + high) / 2
        low, high = (middle, high) if _lambda_exceeds(middle, mu) else (low, middle)
    return low, high


def _lambda_exceeds(eps: Fraction, mu: Fraction) -> bool:
    import flint

    precision = PRECISION
    while precision <= LARGEST_PRECISION:
        with flint.ctx.workprec(precision):
            gap = LambdaEps(eps).enclosure(precision) - flint.fmpq(mu.numerator, mu.denominator)
        if gap > 0 or gap < 0:
            return bool(gap > 0)
        precision *= 2
    raise UndecidedError(f"lambda_eps at eps = {eps} agrees with {mu} to {precision // 2} bits.")


def _ends(ball: flint.arb) -> tuple[Fraction, Fraction]:
    import flint

    with flint.ctx.workprec(2 * PRECISION):  # lower() and upper() round outwards
        return _fraction(ball.lower()), _fraction(ball.upper())


def _fraction(point: flint.arb) -> Fraction:
    mantissa, exponent = (int(part) for part in point.mid().man_exp())
    return Fraction(mantissa) * Fraction(2) ** exponent


# --- the real spectrum -------------------------------------------------------------------------


def _real_spectrum(D: Any, tol: Any, exact: bool | None) -> list[RealEigenvalue]:
    matrix = read_matrices(D, exact)
    require_square(matrix.shape, "D", stacks=False)
    if matrix.dtype != np.float64 or not matrix.any():
        entries = matrix if matrix.any() else np.zeros(matrix.shape, dtype=int)
        factors = factors_of(ExactMatrix.from_entries(entries.tolist()))
        return [e for factor in factors for e in _exact_real(factor)]
    return list(_floating_real(matrix, as_tolerance(tol, D, matrix)))


def _exact_real(factor: Factor) -> Iterator[RealEigenvalue]:
    values = factor.eigenvalues()
    for i, root in enumerate(factor.approximate_roots):
        if root.imag == 0 and not root.real > 0:

            def ball(precision: int, i: int = i) -> flint.arb:
                if factor.rational is not None:
                    return RationalThreshold(factor.rational).enclosure(precision)
                return factor.roots(precision)[i].real

            yield RealEigenvalue(values[i], factor.block_sizes, ball)


def _floating_real(matrix: np.ndarray, tol: float) -> Iterator[RealEigenvalue]:
    form = SchurForm.of(in_range(matrix))
    radius = tol * form.norm
    for cluster in structured_clusters(form, RealImage(None), tol):
        if cluster.value.imag == 0:
            distance = np.abs(form.eigenvalues - cluster.members[0])
            spread = max(abs(z - cluster.value) for z in cluster.members)
            moved = float(form.conditions[int(np.argmin(distance))]) * radius
            size = max(float(spread), min(moved, form.norm) if spread == 0 else radius)

            def ball(precision: int, mu: float = cluster.value.real, r: float = size) -> flint.arb:
                import flint

                del precision  # a floating eigenvalue is known no better
                return flint.arb(mu, r)

            yield RealEigenvalue(cluster.value.real, cluster.sizes, ball)
