"""Bordered matrices with prescribed Jordan blocks: D is the leading block of [[D, b], [c, e]].

Sá (1979) and Thompson (1979): of a D with block sizes s_1 >= s_2 >= ... at an eigenvalue, a
bordered matrix has any sizes t with s_{k+1} <= t_k <= s_{k-1}, s_0 = infinity. Here is how, over Q,
for the roots of an irreducible factor q at once. Let y_j be heads of the Jordan chains, so that
q^{s_j} y_j = 0.

1. With r = min(s, t), a_j = sum_{i >= j} (r_i - s_{i+1}) and b = sum_j q(D)^{a_j} y_j, the quotient
   of the module by <b> has the sizes r, and q^m b = 0, m = sum (s_j - r_j).
2. <b> and the new coordinate w are one cyclic module of the bordered matrix; the values of c on b,
   D b, ... give it any characteristic polynomial f of degree deg(ann b) + 1.
3. If f is prime to q, that module splits off, and t = r, whatever c is elsewhere. New eigenvalues
   are simple, positive and off the spectrum: regular for every flow.
4. For t > r (at a rational eigenvalue only) f has the factor q^{sum (t_j - r_j)}; with z_j =
   sum_{i <= j} q^{a_i - a_j} y_i, which generate the quotient, c is such that q^{r_j} z_j =
   q^{g_j} w, g_j = sum_{i > j} (t_i - r_i): the relations of a module with the sizes t.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from odemom.representability.exact import Factor
from odemom.representability.exact_matrix import ExactMatrix
from odemom.representability.jordan_basis import chain_heads
from odemom.representability.weyr import evaluate_polynomial

if TYPE_CHECKING:
    import flint

__all__ = ["Change", "bordered"]


@dataclass(frozen=True)
class Change:
    """A factor whose roots are to get the block sizes ``sizes``, in decreasing order."""

    factor: Factor
    sizes: tuple[int, ...]

    @property
    def kept(self) -> list[int]:
        """The r of the module's text."""
        before = self.factor.block_sizes
        after = [*self.sizes, *[0] * len(before)]
        return [min(s, t) for s, t in zip(before, after, strict=False)]

    @property
    def removed(self) -> int:
        """The number m of powers of q in the annihilator of b."""
        return sum(self.factor.block_sizes) - sum(self.kept)

    @property
    def added(self) -> int:
        """The number of powers of q in f."""
        return sum(self.sizes) - sum(self.kept)

    @property
    def exponents(self) -> list[int]:
        """The a_j of the module's text."""
        following = [*self.factor.block_sizes[1:], 0]
        steps = [r - s for r, s in zip(self.kept, following, strict=True)]
        return [sum(steps[j:]) for j in range(len(steps))]


def bordered(numbers: ExactMatrix, changes: list[Change], scale: Fraction) -> ExactMatrix:
    """[[D, b], [c, e]] with the block sizes of ``changes``, and new eigenvalues near ``scale``.

    Parameters
    ----------
    numbers : ExactMatrix
    changes : list of Change
        With enough free degrees: the sum of deg(q) (removed - added) is at least -1.
    scale : Fraction
        Positive.
    """
    import flint

    n, q = numbers.numerator, numbers.denominator
    d = numbers.dimension
    one = flint.fmpq_poly([1])
    annihilator, wanted = one, one
    b = flint.fmpz_mat(d, 1)
    heads = _scaled_heads(n, changes)
    for change in changes:
        p = flint.fmpq_poly(change.factor.polynomial.coeffs())
        annihilator *= p**change.removed
        wanted *= p**change.added
        for term in _terms(n, change, heads[id(change)]):
            b = b + term
    missing = annihilator.degree() + 1 - wanted.degree()
    for root in _new_roots(numbers, missing, scale * q):
        wanted *= flint.fmpq_poly([-root, 1])
    x = flint.fmpq_poly([0, 1])
    corner = annihilator[annihilator.degree() - 1] if annihilator.degree() else flint.fmpq(0)
    corner = corner - wanted[wanted.degree() - 1]
    values = _in_tails((x - corner) * annihilator - wanted, annihilator)
    columns = _orbit(n, b, len(values))
    relations = _Relations(n, b, annihilator, corner, values, _power_of_two(scale * q))
    for change in changes:
        if change.added:
            for column, value in relations.of(change, heads[id(change)]):
                columns.append(column)
                values.append(value)
    c = _least_row(columns, values) if columns else flint.fmpq_mat(1, d)
    return _joined(n, q, b, c, corner)


def _scaled_heads(n: flint.fmpz_mat, changes: list[Change]) -> dict[int, list[Any]]:
    """The heads of the Jordan chains of each change, the longest first, times powers of two.

    Such that the terms of b are of about the same size: q(D)^a is large where D, of a large
    denominator or of eigenvalues of several sizes, is.
    """
    heads = {id(change): [head for _, head in chain_heads(change.factor)] for change in changes}
    bits = {
        id(change): [_length(term) for term in _terms(n, change, heads[id(change)])]
        for change in changes
    }
    most = max((b for row in bits.values() for b in row), default=0)
    return {
        key: [head * (1 << (most - b)) for head, b in zip(row, bits[key], strict=True)]
        for key, row in heads.items()
    }


def _terms(n: flint.fmpz_mat, change: Change, heads: list[Any]) -> list[Any]:
    """The q(D)^{a_j} y_j of which b is the sum."""
    base = evaluate_polynomial(change.factor.polynomial, n)
    return [
        _power(base, exponent, head) for exponent, head in zip(change.exponents, heads, strict=True)
    ]


def _length(vector: Any) -> int:
    """Of the largest entry, in bits."""
    return max(abs(int(x)).bit_length() for row in vector.tolist() for x in row)


def _power(base: flint.fmpz_mat, exponent: int, vector: Any) -> Any:
    for _ in range(exponent):
        vector = base * vector
    return vector


def _orbit(n: flint.fmpz_mat, vector: Any, length: int) -> list[Any]:
    found = [vector]
    while len(found) < length:
        found.append(n * found[-1])
    return found[:length]


def _in_tails(polynomial: flint.fmpq_poly, modulus: flint.fmpq_poly) -> list[flint.fmpq]:
    """The c_i with sum c_i H_i = polynomial, H_i = sum_{l > i} modulus_l x^{l-1-i}.

    For h = det(x - D) on a cyclic module with generator b, adj(x - D) b = sum_i H_i D^i b.
    """
    n, rest, found = modulus.degree(), polynomial, []
    import flint

    for i in range(n):
        # Of H_i, ..., H_{n-1} only H_i has the degree n - 1 - i.
        value = rest[n - 1 - i]
        tail = flint.fmpq_poly([modulus[k] for k in range(i + 1, n + 1)])
        rest = rest - tail * value
        found.append(value)
    return found


@dataclass(frozen=True)
class _Relations:
    """What c has to be outside <b> for sizes larger than those of the quotient; step 4."""

    n: flint.fmpz_mat
    b: Any
    annihilator: flint.fmpq_poly
    corner: flint.fmpq
    values: list[flint.fmpq]
    size: flint.fmpq
    """Of the numerator."""

    def of(self, change: Change, heads: list[Any]) -> list[tuple[Any, flint.fmpq]]:
        """Vectors, and the values of c on them."""
        import flint

        linear = flint.fmpq_poly(change.factor.polynomial.coeffs())
        root = -linear[0]  # monic, as a factor of a characteristic polynomial is
        x = flint.fmpq_poly([root, 1])  # in powers of q = x - root: moved so that q is x
        base = evaluate_polynomial(change.factor.polynomial, self.n)
        kept, a = change.kept, change.exponents
        grown = [
            t - r for t, r in zip(change.sizes, [*kept, *[0] * len(change.sizes)], strict=False)
        ]
        found: list[tuple[Any, flint.fmpq]] = []
        own = self._idempotent(linear**change.removed)
        for j, length in enumerate(kept):
            if not length:
                continue
            z = flint.fmpz_mat(self.n.nrows(), 1)
            for i in range(j + 1):
                z = z + _power(base, a[i] - a[j], heads[i])
            following = change.factor.block_sizes[j + 1] - a[j + 1] if j + 1 < len(kept) else 0
            known = self._moved((linear**following * own) % self.annihilator, x)
            order = sum(grown[j + 1 :])
            # q^{length} z_j = weight q^{order} w: whatever the weight, the sizes are the same, but
            # z_j is of the size of b/q^{a_j}, and w of that of b/(D - e).
            weight = self.size ** (length - order - a[j] + 1)
            leading = [*[0] * order, weight] if order < length else [0]
            goal = flint.fmpq_poly(leading) - known
            # sum_i c_i x^{length-1-i} = goal to O(x^length), c_i the value on q(D)^i z.
            for i, vector in enumerate(_orbit(base, z, length)):
                found.append((vector, goal[length - 1 - i]))
        return found

    def _idempotent(self, part: flint.fmpq_poly) -> flint.fmpq_poly:
        """The polynomial that is 1 modulo ``part`` and 0 modulo the rest of the annihilator."""
        rest = self.annihilator // part
        _, _, inverse = part.xgcd(rest)
        return (inverse * rest) % self.annihilator

    def _moved(self, polynomial: flint.fmpq_poly, x: flint.fmpq_poly) -> flint.fmpq_poly:
        """P(D) b as a polynomial in the bordered matrix times w, about the root of q.

        P(M) b = P(D) b + sum_l P_l sum_{i<l} c(D^i b) M^{l-1-i} w, and b = (M - e) w.
        """
        import flint

        total = polynomial * flint.fmpq_poly([-self.corner, 1])
        for power in range(1, polynomial.degree() + 1):
            for i in range(power):
                step = flint.fmpq_poly([*[0] * (power - 1 - i), 1])
                total = total - step * (polynomial[power] * self.values[i])
        return total(x)


def _new_roots(numbers: ExactMatrix, count: int, scale: Fraction) -> list[flint.fmpq]:
    """Positive rationals of that size that are no eigenvalues of the numerator."""
    import flint

    characteristic, found, k = numbers.numerator.charpoly(), [], 1
    while len(found) < count:
        root = scale * Fraction(k, max(1, (count + 1) // 2))
        value = flint.fmpq(root.numerator, root.denominator)
        if characteristic(value) != 0:
            found.append(value)
        k += 1
    return found


def _least_row(columns: list[Any], values: list[flint.fmpq]) -> Any:
    """The row c of least norm with c v = value on the given vectors, which are independent."""
    import flint

    d, count = columns[0].nrows() if columns else 0, len(columns)
    basis = flint.fmpq_mat(d, count, [flint.fmpq(v[i, 0]) for i in range(d) for v in columns])
    gram: Any = basis.transpose() * basis
    y = gram.solve(flint.fmpq_mat(count, 1, values))
    return (basis * y).transpose()


def _joined(n: flint.fmpz_mat, q: int, b: Any, c: Any, corner: flint.fmpq) -> ExactMatrix:
    """The bordered matrix over the denominator, b and c brought to about the same size."""
    d = n.nrows()
    column = [Fraction(int(b[i, 0])) for i in range(d)]
    row = [Fraction(int(c[0, j].p), int(c[0, j].q)) for j in range(d)]
    balance = Fraction(2) ** ((_bits(row) - _bits(column)) // 2)
    rows = [[Fraction(int(n[i, j]), q) for j in range(d)] for i in range(d)]
    for i in range(d):
        rows[i].append(column[i] * balance / q)
    last = [x / balance / q for x in row]
    last.append(Fraction(int(corner.p), int(corner.q)) / q)
    return ExactMatrix.from_entries([*rows, last])


def _power_of_two(x: Fraction) -> flint.fmpq:
    """One near the positive number."""
    import flint

    return flint.fmpq(2) ** (x.numerator.bit_length() - x.denominator.bit_length())


def _bits(entries: list[Fraction]) -> int:
    """The binary logarithm of the largest entry, about; 0 for zeros."""
    sizes = [x.numerator.bit_length() - x.denominator.bit_length() for x in entries if x]
    return max(sizes, default=0)
