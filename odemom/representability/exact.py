"""The decision in exact arithmetic: its answers are theorems.

The characteristic polynomial is factored over Q; the roots of every factor are isolated in balls
and compared with a ball around the threshold, both refined until they are disjoint; the Jordan
block sizes of a factor p come from the ranks of p(D)^k. No eigenvalue is ever rounded.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from functools import cached_property
from typing import TYPE_CHECKING, Any

from odemom.checks import nearest_double
from odemom.errors import UndecidedError
from odemom.flows.base import Flow, RationalThreshold, RealImage, Threshold
from odemom.flows.by_eps import flow_of
from odemom.flows.threshold import LambdaEps
from odemom.representability.algebraic import AlgebraicNumber, Eigenvalue
from odemom.representability.base import RealEigenvalue, Spectrum
from odemom.representability.criterion import attainment_at, unmet_condition
from odemom.representability.edge import THRESHOLD_BITS
from odemom.representability.exact_matrix import ExactMatrix
from odemom.representability.report import (
    POSITIONS,
    EigenvalueReport,
    Obstruction,
    Representability,
)
from odemom.representability.weyr import block_sizes

if TYPE_CHECKING:
    import flint

__all__ = [
    "ExactSpectrum",
    "Factor",
    "ZeroSpectrum",
    "factors_of",
    "positions_of",
]

START_PRECISION = 64
EQUALITY_PRECISION = 512  # no refinement helps against equality: test it from here on
LARGEST_PRECISION = 1 << 17


@dataclass(frozen=True)
class Factor:
    """An irreducible factor of the characteristic polynomial of the numerator of ``matrix``.

    Its roots, divided by the denominator, are eigenvalues of the matrix, all with the same Jordan
    block sizes (they are conjugate over Q). ``components`` are those of `Blocks` that have it.
    """

    matrix: ExactMatrix
    polynomial: flint.fmpz_poly
    multiplicity: int
    components: tuple[int, ...] = (0,)
    _roots: dict[int, list[flint.acb]] = field(default_factory=dict, repr=False, compare=False)

    @property
    def degree(self) -> int:
        """The degree of the polynomial: the number of its eigenvalues."""
        return self.polynomial.degree()

    @cached_property
    def rational(self) -> Fraction | None:
        """The eigenvalue, when there is just one."""
        if self.degree > 1:
            return None
        c0, c1 = (int(c) for c in self.polynomial.coeffs())
        return Fraction(-c0, c1 * self.matrix.denominator)

    def roots(self, precision: int) -> list[flint.acb]:
        """The eigenvalues, isolated in balls; the imaginary part of a real one is exactly 0."""
        import flint

        if precision not in self._roots:
            with flint.ctx.workprec(precision):
                q = flint.acb(self.matrix.denominator)
                found: Any = self.polynomial.complex_roots()
                self._roots[precision] = [root / q for root, _ in found]
        return self._roots[precision]

    def real_root(self, index: int, precision: int) -> flint.arb:
        """One real eigenvalue in a ball: Newton's method on its isolating ball, where that proves.

        The root in a ball X lies in m - p(m)/p'(X) for every m in X, by the mean value theorem.
        """
        import flint

        ball = self.approximate_roots[index].real
        with flint.ctx.workprec(precision):
            p, enough = self._reduced, flint.arb(2) ** -(precision // 2)
            derivative: Any = p.derivative()
            while True:
                slope = derivative(ball)
                middle = ball.mid()
                closer = middle - p(middle) / slope if slope > 0 or slope < 0 else ball
                if not closer.rad() < ball.rad() / 2:
                    break
                ball = closer
            if ball.rad() <= abs(ball.mid()) * enough:
                return ball
        return self.roots(precision)[index].real

    @cached_property
    def _reduced(self) -> Any:
        import flint

        return flint.fmpz_poly(list(self.minimal_polynomial))

    @cached_property
    def approximate_roots(self) -> list[flint.acb]:
        """The eigenvalues at double precision, in the order of every precision."""
        return self.roots(START_PRECISION)

    @cached_property
    def minimal_polynomial(self) -> tuple[int, ...]:
        """The primitive integer polynomial of the eigenvalues, in ascending order."""
        import flint

        q = self.matrix.denominator
        scaled = [int(c) * q**k for k, c in enumerate(self.polynomial.coeffs())]
        content = int(flint.fmpz_poly(scaled).content())
        return tuple(c // content for c in scaled)

    @cached_property
    def block_sizes(self) -> tuple[int, ...]:
        """The Jordan block sizes of each root, in decreasing order."""
        return block_sizes(self)

    @cached_property
    def eigenvalues(self) -> list[Eigenvalue]:
        """Every root as an exact number."""
        if self.rational is not None:
            return [self.rational]
        return [
            AlgebraicNumber(
                self.minimal_polynomial,
                index,
                complex(float(root.real.mid()), float(root.imag.mid())),
                bool(root.imag == 0),
            )
            for index, root in enumerate(self.approximate_roots)
        ]


def factors_of(matrix: ExactMatrix) -> list[Factor]:
    """The irreducible factors of the characteristic polynomial."""
    import flint

    return [
        Factor(matrix, flint.fmpz_poly(list(coefficients)), sum(found.values()), tuple(found))
        for coefficients, found in matrix.blocks.factors.items()
    ]


def positions_of(factor: Factor, image: RealImage) -> list[int | None]:
    """The side of the threshold on which each root lies: -1, 0, 1; None for a non-real root."""
    import flint

    roots = factor.approximate_roots
    positions: list[int | None] = [None] * len(roots)
    pending = [i for i, root in enumerate(roots) if root.imag == 0]
    if image.threshold is None:
        return [1 if i in pending else None for i in range(len(roots))]
    exact = _exact_position(factor, image.threshold)
    if exact is not None:
        return [exact]
    precision = START_PRECISION
    while pending:
        threshold = image.threshold.enclosure(max(precision, THRESHOLD_BITS))
        for i in list(pending):
            below, above = roots[i].real < threshold, roots[i].real > threshold
            if below or above:
                positions[i] = -1 if below else 1
                pending.remove(i)
        precision *= 2
        if pending and precision == EQUALITY_PRECISION:
            # Only one root of an irreducible polynomial can equal the threshold.
            equal = image.threshold.is_root_of(flint.fmpz_poly(list(factor.minimal_polynomial)))
            if equal and len(pending) == 1:
                positions[pending.pop()] = 0
        if pending and precision > LARGEST_PRECISION:
            raise UndecidedError(
                f"an eigenvalue agrees with {image.threshold.describe()} to {precision // 2} bits; "
                "equality of the two is not decidable by refinement. Change eps slightly."
            )
        if pending:
            roots = factor.roots(precision)
    return positions


def _exact_position(factor: Factor, threshold: Threshold) -> int | None:
    """The side of a rational eigenvalue of a rational threshold.

    An irreducible factor of higher degree has no rational root, so refinement settles the rest.
    """
    mu, t = factor.rational, threshold.rational
    if mu is None or t is None:
        return None
    return (mu > t) - (mu < t)


class ExactEigenvalue(RealEigenvalue):
    """A real root of a factor."""

    def __init__(self, factor: Factor, index: int) -> None:
        self.factor, self.index = factor, index
        self.value = factor.eigenvalues[index]

    @property
    def sizes(self) -> tuple[int, ...]:
        """The sizes of its Jordan blocks, in decreasing order."""
        return self.factor.block_sizes

    def ball(self, precision: int) -> flint.arb:
        """A ball of about ``precision`` bits that contains it."""
        if self.factor.rational is not None:
            return RationalThreshold(self.factor.rational).enclosure(precision)
        return self.factor.real_root(self.index, precision)


class ExactSpectrum(Spectrum):
    """The spectrum of an exact matrix: what it says is a theorem.

    Attributes
    ----------
    numbers : ExactMatrix
    """

    exact = True

    def __init__(self, numbers: ExactMatrix) -> None:
        self.numbers = numbers

    def __getstate__(self) -> dict[str, Any]:
        return {"numbers": self.numbers}  # what is kept besides is computed again

    def __repr__(self) -> str:
        d = self.dimension
        return f"<spectrum of an exact {d} x {d} matrix>"

    @property
    def tol(self) -> None:
        """None: there is nothing to tolerate."""
        return None

    @property
    def dimension(self) -> int:
        """The number of rows."""
        return self.numbers.dimension

    @property
    def matrix(self) -> tuple[tuple[Fraction, ...], ...]:
        """The entries."""
        return self._rows

    @cached_property
    def _rows(self) -> tuple[tuple[Fraction, ...], ...]:
        return tuple(map(tuple, self.numbers.rows()))

    @cached_property
    def factors(self) -> list[Factor]:
        """The irreducible factors of the characteristic polynomial."""
        return factors_of(self.numbers)

    @cached_property
    def _roots(self) -> list[tuple[Factor, int]]:
        """Every eigenvalue; the real ones first, in increasing order."""
        roots = [(factor, i) for factor in self.factors for i in range(factor.degree)]
        return sorted(roots, key=_order)

    @cached_property
    def _unobstructed(self) -> list[EigenvalueReport]:
        """The report of every eigenvalue as long as it is not real, or lies above the threshold."""
        return [
            EigenvalueReport(
                factor.eigenvalues[i],
                factor.multiplicity,
                "above" if factor.approximate_roots[i].imag == 0 else "non-real",
            )
            for factor, i in self._roots
        ]

    def _decide(self, flow: Flow) -> Representability:
        image = flow.real_image
        positions = {id(factor): positions_of(factor, image) for factor in self.factors}
        reports: list[tuple[EigenvalueReport, Obstruction | None]] = []
        for (factor, i), unobstructed in zip(self._roots, self._unobstructed, strict=True):
            position = positions[id(factor)][i]
            if position is None or position > 0:
                reports.append((unobstructed, None))
            else:
                reports.append(_judged(factor, i, position, image))
        obstructions = tuple(o for _, o in reports if o is not None)
        return Representability(
            representable=not obstructions,
            status="certain",
            exact=True,
            flow=flow,
            dimension=self.dimension,
            threshold=None if image.threshold is None else image.threshold.describe(),
            eigenvalues=tuple(e for e, _ in reports),
            obstructions=obstructions,
            matrix=self.matrix,
            spectrum=self if obstructions else None,
        )

    def represents(self, eps: Any) -> bool:
        """Whether a flow represents the matrix: the verdict of `decide`, alone."""
        flow = flow_of(eps)
        threshold = flow.real_image.threshold
        if isinstance(threshold, LambdaEps):
            low, high = self.minimal_eps().interval
            if threshold.eps <= low or threshold.eps >= high:
                return threshold.eps >= high
        return self.verdict(flow)

    def verdict(self, flow: Flow) -> bool:
        """The verdict of `decide` on one flow, from what the obstructed eigenvalues ask."""
        image = flow.real_image
        return not any(
            unmet_condition(attainment, factor.block_sizes)
            for factor in self.factors
            for position in positions_of(factor, image)
            if position is not None
            and (attainment := attainment_at(image, position)).kind != "regular"
        )

    def _jordan_structure(self) -> dict[Eigenvalue, tuple[int, ...]]:
        return {factor.eigenvalues[i]: factor.block_sizes for factor, i in self._roots}

    def _candidates(self) -> list[RealEigenvalue]:
        return [
            ExactEigenvalue(factor, i)
            for factor in self.factors
            for i, root in enumerate(factor.approximate_roots)
            if root.imag == 0 and not root.real > 0
        ]


class ZeroSpectrum(ExactSpectrum):
    """The spectrum of a zero matrix of floats.

    Relative to the norm 0 no perturbation is small: it is exact, but its eigenvalue is a float.
    """

    def _jordan_structure(self) -> dict[Eigenvalue, tuple[int, ...]]:
        return {0.0: (1,) * self.dimension}


def _judged(
    factor: Factor, index: int, position: int, image: RealImage
) -> tuple[EigenvalueReport, Obstruction | None]:
    value, multiplicity = factor.eigenvalues[index], factor.multiplicity
    attainment = attainment_at(image, position)
    if attainment.kind == "regular":
        return EigenvalueReport(value, multiplicity, POSITIONS[position]), None
    sizes = factor.block_sizes
    report = EigenvalueReport(value, multiplicity, POSITIONS[position], sizes)
    condition = unmet_condition(attainment, sizes)
    return report, Obstruction(report, attainment, condition) if condition else None


def _order(root: tuple[Factor, int]) -> tuple[bool, float, float]:
    factor, index = root
    value = factor.eigenvalues[index]
    z = complex(nearest_double(value)) if isinstance(value, Fraction) else complex(value)
    return factor.approximate_roots[index].imag != 0, z.real, z.imag
