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


@dataclass(frozen=True)
class Blocks:
    """The strongly connected components of an integer matrix.

    Attributes
    ----------
    entries : list of lists of fmpz
    pattern : scipy.sparse.csr_array of bool, shape (d, d)
    labels : ndarray of int, shape (d,)
        The component of each row.
    """

    entries: list[list[Any]]
    pattern: scipy.sparse.csr_array
    labels: np.ndarray

    @classmethod
    def of(cls, matrix: flint.fmpz_mat) -> Blocks:
        """The components of a square matrix."""
        entries = matrix.tolist()
        pattern = scipy.sparse.csr_array(np.array([[x != 0 for x in row] for row in entries]))
        labels = connected_components(pattern, connection="strong")[1]
        return cls(entries, pattern, labels)

    def principal(self, rows: np.ndarray) -> flint.fmpz_mat:
        """The submatrix of some rows and the same columns."""
        import flint

        chosen = rows.tolist()
        return flint.fmpz_mat([[self.entries[i][j] for j in chosen] for i in chosen])

    @cached_property
    def members(self) -> list[np.ndarray]:
        """The rows of each component."""
        order = np.argsort(self.labels, kind="stable")
        return np.split(order, np.cumsum(np.bincount(self.labels))[:-1])

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

    def _factored(self, rows: np.ndarray) -> Iterator[tuple[tuple[int, ...], int]]:
        if len(rows) == 1:
            yield (-int(self.entries[rows[0]][rows[0]]), 1), 1
            return
        _, factors = characteristic_polynomial(self.principal(rows)).factor()
        for polynomial, multiplicity in factors:
            yield tuple(int(c) for c in polynomial.coeffs()), multiplicity

    def between(self, components: list[int]) -> list[np.ndarray]:
        """The rows between these components, themselves included, in parts that are not connected.

        A row is between them if one leads to it and it leads to one.
        """
        start = np.isin(self.labels, components)
        rows = np.flatnonzero(self._reached(start, self._backwards) & self._reached(start))
        count, part = connected_components(self.pattern[rows][:, rows], directed=False)
        return [rows[part == k] for k in range(count)]

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
