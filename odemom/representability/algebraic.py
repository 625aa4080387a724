"""Eigenvalues of exact matrices: rational numbers, and real or complex algebraic ones."""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction

from odemom.flows.base import number_text

__all__ = ["AlgebraicNumber", "Eigenvalue", "eigenvalue_text", "polynomial_text"]


@dataclass(frozen=True)
class AlgebraicNumber:
    """An irrational algebraic number: one root of an irreducible polynomial over Q.

    Parameters
    ----------
    polynomial : tuple of int
        The primitive minimal polynomial, coefficients in ascending order, the last one positive.
    index : int
        Which root: real ones first, in increasing order, then conjugate pairs.
    approximation : complex
        The root, rounded to double precision.
    is_real : bool
        Whether the root is real; this is exact.

    Examples
    --------
    >>> AlgebraicNumber((-2, 0, 1), 1, 1.4142135623730951, True)
    root of x^2 - 2 near 1.41421
    """

    polynomial: tuple[int, ...]
    index: int
    approximation: complex = field(compare=False)
    is_real: bool = field(compare=False)

    def __complex__(self) -> complex:
        return complex(self.approximation)

    def __float__(self) -> float:
        if not self.is_real:
            raise TypeError(f"{self!r} is not real")
        return complex(self.approximation).real

    def __repr__(self) -> str:
        return f"root of {polynomial_text(self.polynomial)} near {self.text()}"

    def text(self) -> str:
        """The approximation, to six digits."""
        z = complex(self.approximation)
        return f"{z.real:.6g}" if self.is_real else f"{z:.6g}"


Eigenvalue = Fraction | AlgebraicNumber | float | complex
"""Exact eigenvalues are `Fraction` or `AlgebraicNumber`, those of floats float or complex."""


def eigenvalue_text(value: Eigenvalue) -> str:
    """An eigenvalue for a sentence: exact where that is short.

    Examples
    --------
    >>> eigenvalue_text(Fraction(-3, 4)), eigenvalue_text(-1 / 3), eigenvalue_text(-0.0)
    ('-3/4', '-0.333333', '0')
    """
    if isinstance(value, Fraction):
        return number_text(value)
    if isinstance(value, AlgebraicNumber):
        return value.text()
    return f"{value + 0:.6g}"  # no sign of a zero


def polynomial_text(coefficients: tuple[int, ...], limit: int = 60) -> str:
    """A polynomial as one writes it, or its degree when that would be longer than ``limit``.

    Examples
    --------
    >>> polynomial_text((1, -3, 0, 2))
    '2x^3 - 3x + 1'
    """
    short = f"an integer polynomial of degree {len(coefficients) - 1}"
    if max(map(abs, coefficients)) >= 10**limit:  # Python does not even write out the largest
        return short
    terms = []
    for power in range(len(coefficients) - 1, -1, -1):
        c = coefficients[power]
        if c == 0:
            continue
        variable = "" if power == 0 else "x" if power == 1 else f"x^{power}"
        size = "" if abs(c) == 1 and power else str(abs(c))
        terms.append(("-" if c < 0 else "+", size + variable))
    (sign, first), *rest = terms
    text = ("-" if sign == "-" else "") + first + "".join(f" {s} {t}" for s, t in rest)
    return text if len(text) <= limit else short
