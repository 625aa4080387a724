"""The Jordan block sizes of an irreducible factor, from ranks of its powers (Weyr)."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import flint

    from odemom.representability.exact import Factor

__all__ = ["block_sizes", "evaluate_polynomial", "sizes_from_weyr"]


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


def block_sizes(factor: Factor) -> tuple[int, ...]:
    """Block sizes from the nullities of p(M)^k, which grow by deg(p) a block of size >= k.

    M is taken apart into what lies between the components that have the factor.
    """
    if factor.multiplicity == 1:
        return (1,)
    blocks = factor.matrix.blocks
    sizes: list[int] = []
    for rows in blocks.between(list(factor.components)):
        if len(rows) == factor.degree:  # one component, irreducible
            sizes.append(1)
        else:
            sizes += _sizes_within(factor, rows)
    return tuple(sorted(sizes, reverse=True))


def _sizes_within(factor: Factor, rows: list[int]) -> tuple[int, ...]:
    """The block sizes of the principal submatrix of these rows."""
    blocks = factor.matrix.blocks
    counts = blocks.factors[tuple(int(c) for c in factor.polynomial.coeffs())]
    multiplicity = sum(counts.get(k, 0) for k in set(blocks.labels[rows].tolist()))
    base = evaluate_polynomial(factor.polynomial, blocks.principal(rows))
    power, nullities = base, [0]
    while True:
        nullities.append((power.nrows() - power.rank()) // factor.degree)
        if nullities[-1] == multiplicity:
            return sizes_from_weyr([high - low for low, high in pairwise(nullities)])
        power = power * base


def sizes_from_weyr(at_least: list[int]) -> tuple[int, ...]:
    """Block sizes from the Weyr characteristic: how many blocks have size >= 1, >= 2, ...

    Examples
    --------
    >>> sizes_from_weyr([3, 2, 1])
    (3, 2, 1)
    """
    blocks = at_least[0] if at_least else 0
    return tuple(sum(1 for count in at_least if count > i) for i in range(blocks))
