"""Block triangular structure of exact matrices, from the pattern of their nonzero entries.

The strongly connected components of the pattern, in topological order, make the matrix block
triangular: its characteristic polynomial is the product of those of the diagonal blocks. The Jordan
blocks of an eigenvalue are those of the rows between the components that have it: what no such
component leads to, and what leads to none, only adds invertible diagonal blocks to (M - mu I)^k.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import scipy.sparse
from scipy.sparse.csgraph import connected_components

from odemom.representability.charpoly import characteristic_polynomial

if TYPE_CHECKING:
    import flint

__all__ = ["Blocks"]

SMALL = 24  # rows up to which sets of bits are faster than a sparse array is made


@dataclass(frozen=True)
class Blocks:
    """The strongly connected components of an integer matrix.

    Attributes
    ----------
    matrix : flint.fmpz_mat, shape (d, d)
    """

    matrix: flint.fmpz_mat

    @cached_property
    def entries(self) -> list[list[Any]]:
        """The entries."""
        return self.matrix.tolist()

    @cached_property
    def pattern(self) -> scipy.sparse.csr_array:
        """Which entries are not 0, shape (d, d)."""
        return scipy.sparse.csr_array(np.array([[x != 0 for x in row] for row in self.entries]))

    @cached_property
    def labels(self) -> np.ndarray:
        """The component of each row, shape (d,)."""
        if len(self.entries) <= SMALL:
            labels = np.empty(len(self.entries), dtype=np.int64)
            for component, rows in enumerate(self.members):
                labels[rows] = component
            return labels
        return connected_components(self.pattern, connection="strong")[1]

    def principal(self, rows: list[int]) -> flint.fmpz_mat:
        """The submatrix of some rows, in increasing order, and the same columns."""
        import flint

        if len(rows) == self.matrix.nrows():
            return self.matrix
        return flint.fmpz_mat([[self.entries[i][j] for j in rows] for i in rows])

    @cached_property
    def members(self) -> list[list[int]]:
        """The rows of each component."""
        if len(self.entries) <= SMALL:
            full = (1 << len(self.entries)) - 1
            if all(bits == full for bits in self._bits):
                return [list(range(len(self.entries)))]
            return _members(self._leads_to)
        order = np.argsort(self.labels, kind="stable")
        parts = np.split(order, np.cumsum(np.bincount(self.labels))[:-1])
        return [part.tolist() for part in parts]

    @cached_property
    def factors(self) -> dict[tuple[int, ...], dict[int, int]]:
        """The irreducible factors of the characteristic polynomial, by their coefficients.

        For each of them the components that have it, and how often.
        """
        found: dict[tuple[int, ...], dict[int, int]] = {}
        for component, rows in enumerate(self.members):
            for coefficients, multiplicity in self._factored(rows):
                found.setdefault(coefficients, {})[component] = multiplicity
        return found

    def _factored(self, rows: list[int]) -> Iterator[tuple[tuple[int, ...], int]]:
        if len(rows) == 1:
            yield (-int(self.entries[rows[0]][rows[0]]), 1), 1
            return
        _, factors = characteristic_polynomial(self.principal(rows)).factor()
        for polynomial, multiplicity in factors:
            yield tuple(int(c) for c in polynomial.coeffs()), multiplicity

    def between(self, components: list[int]) -> list[list[int]]:
        """The rows between these components, themselves included, in parts that are not connected.

        A row is between them if one leads to it and it leads to one.
        """
        if len(components) == len(self.members) == 1:
            return self.members
        if len(self.entries) <= SMALL:
            bits = sum(1 << row for k in components for row in self.members[k])
            return _parts_between(self._bits, self._leads_to, bits)
        start = np.isin(self.labels, components)
        rows = np.flatnonzero(self._reached(start, self._backwards) & self._reached(start))
        count, part = connected_components(self.pattern[rows][:, rows], directed=False)
        return [rows[part == k].tolist() for k in range(count)]

    @cached_property
    def _bits(self) -> list[int]:
        """The pattern of a small matrix: the columns of each row that are not 0, as a set."""
        return [sum(1 << j for j, x in enumerate(row) if x) for row in self.entries]

    @cached_property
    def _leads_to(self) -> list[int]:
        """All rows that each row of a small matrix leads to, itself included (Warshall, 1962)."""
        reached = [bits | 1 << i for i, bits in enumerate(self._bits)]
        for k in range(len(reached)):
            through = reached[k]
            reached = [bits | through if bits >> k & 1 else bits for bits in reached]
        return reached

    @cached_property
    def _backwards(self) -> scipy.sparse.csr_array:
        return scipy.sparse.csr_array(self.pattern.T)

    def _reached(
        self, start: np.ndarray, pattern: scipy.sparse.csr_array | None = None
    ) -> np.ndarray:
        """The rows to which some of ``start`` lead, against the arrows of the pattern."""
        arrows = self.pattern if pattern is None else pattern
        reached, frontier = start.copy(), start
        while frontier.any():
            frontier = ((arrows @ frontier.astype(np.int64)) > 0) & ~reached
            reached |= frontier
        return reached


# --- small matrices: sets of rows as the bits of integers --------------------------------------


def _rows_of(bits: int) -> list[int]:
    return [i for i in range(bits.bit_length()) if bits >> i & 1]


def _members(leads_to: list[int]) -> list[list[int]]:
    """The components: rows that lead to each other."""
    members: list[list[int]] = []
    for i, bits in enumerate(leads_to):
        for rows in members:
            if bits >> rows[0] & 1 and leads_to[rows[0]] >> i & 1:
                rows.append(i)
                break
        else:
            members.append([i])
    return members


def _parts_between(pattern: list[int], leads_to: list[int], start: int) -> list[list[int]]:
    """As `Blocks.between`, of the rows in ``start``."""
    forward = 0
    for i in _rows_of(start):
        forward |= leads_to[i]
    left = sum(1 << i for i in _rows_of(forward) if leads_to[i] & start)
    parts = []
    while left:
        part = frontier = left & -left
        while frontier:
            rows = _rows_of(frontier)
            beside = [pattern[i] for i in rows]
            beside += [1 << j for j in _rows_of(left & ~part) if pattern[j] & frontier]
            frontier = 0
            for bits in beside:
                frontier |= bits & left & ~part
            part |= frontier
        parts.append(_rows_of(part))
        left &= ~part
    return parts
