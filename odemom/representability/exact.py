"""The decision in exact arithmetic: its answers are theorems.

The characteristic polynomial is factored over Q; the roots of every factor are isolated in balls
and compared with a ball around the threshold, both refined until they are disjoint; the Jordan
block sizes of a factor p come from the ranks of p(D)^k. No eigenvalue is ever rounded.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cached_property
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from odemom.checks import nearest_double
from odemom.errors import UndecidedError
from odemom.flows.base import Flow, RealImage, Threshold
from odemom.representability.algebraic import AlgebraicNumber, Eigenvalue
from odemom.representability.criterion import attainment_at, unmet_condition
from odemom.representability.exact_matrix import ExactMatrix
from odemom.representability.report import (
    EigenvalueReport,
    Obstruction,
    Position,
    Representability,
)

if TYPE_CHECKING:
    import flint

__all__ = [
    "Factor",
    "analyze_exact",
    "evaluate_polynomial",
    "factors_of",
    "jordan_exact",
    "positions_of",
]

START_PRECISION = 64
EQUALITY_PRECISION = 512  # no refinement helps against equality: test it from here on
LARGEST_PRECISION = 1 << 17
POSITIONS: dict[int, Position] = {-1: "below", 0: "at", 1: "above"}


@dataclass(frozen=True)
class Factor:
    """An irreducible factor of the characteristic polynomial of the numerator of ``matrix``.

    Its roots, divided by the denominator, are eigenvalues of the matrix, all with the same Jordan
    block sizes (they are conjugate over Q).
    """

    matrix: ExactMatrix
    polynomial: flint.fmpz_poly
    multiplicity: int
    _roots: dict[int, list[flint.acb]] = field(default_factory=dict, repr=False, compare=False)

    @property
    def degree(self) -> int:
        """The degree of the polynomial: the number of its eigenvalues."""
        return self.polynomial.degree()

    @property
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
        return _block_sizes(self)

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
    _, factors = matrix.numerator.charpoly().factor()
    return [Factor(matrix, polynomial, multiplicity) for polynomial, multiplicity in factors]


def evaluate_polynomial(polynomial: flint.fmpz_poly, m: flint.fmpz_mat) -> flint.fmpz_mat:
    """p(M), by Horner's scheme."""
    import flint

    d = m.nrows()
    identity = flint.fmpz_mat(d, d, [int(i == j) for i in range(d) for j in range(d)])
    *rest, leading = polynomial.coeffs()
    total = identity * leading
    for coefficient in reversed(rest):
        total = total * m + identity * coefficient
    return total


def _block_sizes(factor: Factor) -> tuple[int, ...]:
    """Block sizes from the nullities of p(M)^k, which grow by deg(p) a block of size >= k."""
    if factor.multiplicity == 1:
        return (1,)
    base = evaluate_polynomial(factor.polynomial, factor.matrix.numerator)
    power, nullities = base, [0]
    while nullities[-1] < factor.multiplicity:
        nullities.append((power.nrows() - power.rank()) // factor.degree)
        power = power * base
    at_least = [high - low for low, high in pairwise(nullities)]
    return sizes_from_weyr(at_least)


def sizes_from_weyr(at_least: list[int]) -> tuple[int, ...]:
    """Block sizes from the Weyr characteristic: how many blocks have size >= 1, >= 2, ...

    Examples
    --------
    >>> sizes_from_weyr([3, 2, 1])
    (3, 2, 1)
    """
    blocks = at_least[0] if at_least else 0
    return tuple(sum(1 for count in at_least if count > i) for i in range(blocks))


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
        threshold = image.threshold.enclosure(precision)
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


def analyze_exact(matrix: ExactMatrix, flow: Flow) -> Representability:
    """Decide whether ``flow`` represents an exact matrix, by the theorem of `criterion`."""
    image = flow.real_image
    reports = [entry for factor in factors_of(matrix) for entry in _decide(factor, image)]
    reports.sort(key=_order)
    obstructions = tuple(o for _, o in reports if o is not None)
    return Representability(
        representable=not obstructions,
        status="certain",
        exact=True,
        flow=flow,
        dimension=matrix.dimension,
        threshold=None if image.threshold is None else image.threshold.describe(),
        eigenvalues=tuple(e for e, _ in reports),
        obstructions=obstructions,
        matrix=matrix.rows(),
    )


def _decide(
    factor: Factor, image: RealImage
) -> Iterator[tuple[EigenvalueReport, Obstruction | None]]:
    positions = positions_of(factor, image)
    for value, position in zip(factor.eigenvalues(), positions, strict=True):
        if position is None:
            yield EigenvalueReport(value, factor.multiplicity, "non-real"), None
            continue
        attainment = attainment_at(image, position)
        if attainment.kind == "regular":
            yield EigenvalueReport(value, factor.multiplicity, POSITIONS[position]), None
            continue
        sizes = factor.block_sizes
        report = EigenvalueReport(value, factor.multiplicity, POSITIONS[position], sizes)
        condition = unmet_condition(attainment, sizes)
        yield report, Obstruction(report, attainment, condition) if condition else None


def _order(entry: tuple[EigenvalueReport, Obstruction | None]) -> tuple[bool, float, float]:
    report, _ = entry
    z = _approximate(report.value)
    return report.position == "non-real", z.real, z.imag


def jordan_exact(matrix: ExactMatrix) -> dict[Eigenvalue, tuple[int, ...]]:
    """Eigenvalue -> Jordan block sizes, exactly; real eigenvalues first, in increasing order."""
    entries = [
        (value, factor.block_sizes)
        for factor in factors_of(matrix)
        for value in factor.eigenvalues()
    ]
    return dict(sorted(entries, key=_spectrum_order))


def _spectrum_order(entry: tuple[Eigenvalue, tuple[int, ...]]) -> tuple[bool, float, float]:
    z = _approximate(entry[0])
    return z.imag != 0, z.real, z.imag


def _approximate(value: Eigenvalue) -> complex:
    return complex(nearest_double(value)) if isinstance(value, Fraction) else complex(value)
