"""The characteristic polynomial of an integer matrix, with word of how long it takes.

It is computed modulo primes. Its coefficients are sums of principal minors, so that Hadamard's
inequality bounds them by prod (1 + ||row||); primes whose product exceeds twice that determine it.
Between two primes the computation can be interrupted.
"""

from __future__ import annotations

import math
import sys
import time
import warnings
from collections.abc import Iterator
from typing import TYPE_CHECKING

from odemom.errors import OdemomWarning

if TYPE_CHECKING:
    import flint

__all__ = ["characteristic_polynomial"]

SMALL = 120  # up to this dimension it takes a few hundredths of a second
LIGHT = 1e10  # d^4 times the bits of an entry: below, it takes no time worth an estimate
LARGEST_PRIME = 1 << 62
LONG = 20.0  # seconds: what takes longer is announced
SAMPLE = 200  # the dimension of what is timed beforehand


def characteristic_polynomial(matrix: flint.fmpz_mat) -> flint.fmpz_poly:
    """det(x I - M).

    Warns
    -----
    OdemomWarning
        Before a computation of more than 20 seconds, with an estimate. Where the error stream is a
        terminal, a line there tells how far it is.
    """
    import flint

    if matrix.nrows() <= SMALL:
        estimate = _estimate_of_products(matrix)
        if estimate <= LONG:
            return matrix.charpoly()
        warnings.warn(_announcement(matrix.nrows(), estimate), OdemomWarning, stacklevel=2)
        return _by_products(matrix)
    total = _bits(matrix) // (LARGEST_PRIME.bit_length() - 1) + 1
    estimate = _estimate(matrix, total)
    if estimate > LONG:
        warnings.warn(_announcement(matrix.nrows(), estimate), OdemomWarning, stacklevel=2)
    modulus, coefficients, begin = 1, [0] * (matrix.nrows() + 1), time.monotonic()
    for done, prime in zip(range(total), _primes(), strict=False):
        found = [int(c) for c in flint.nmod_mat(matrix, prime).charpoly().coeffs()]
        inverse = pow(modulus, -1, prime)
        coefficients = [
            c + modulus * ((r - c) * inverse % prime)
            for c, r in zip(coefficients, found, strict=True)
        ]
        modulus *= prime
        _tell(done + 1, total, time.monotonic() - begin)
    half = modulus // 2
    return flint.fmpz_poly([c - modulus if c > half else c for c in coefficients])


def _by_products(matrix: flint.fmpz_mat) -> flint.fmpz_poly:
    """By d products (Faddeev and LeVerrier), between which it can be interrupted.

    For small matrices of huge entries, which would need too many primes.
    """
    import flint

    d = matrix.nrows()
    identity = flint.fmpz_mat(d, d, [int(i == j) for i in range(d) for j in range(d)])
    coefficients, power = [flint.fmpz(1)], identity
    begin = time.monotonic()
    for k in range(1, d + 1):
        product = _product(matrix, power)
        coefficients.append(-sum((product[i, i] for i in range(d)), flint.fmpz(0)) // k)
        power = product + identity * coefficients[-1]
        _tell(k * k, d * d, time.monotonic() - begin)  # the k-th takes about k times the first
    return flint.fmpz_poly(coefficients[::-1])


def _product(a: flint.fmpz_mat, b: flint.fmpz_mat) -> flint.fmpz_mat:
    """The product column by column, so that it can be interrupted."""
    import flint

    d = a.nrows()
    columns = [a * flint.fmpz_mat(d, 1, [b[i, j] for i in range(d)]) for j in range(d)]
    return flint.fmpz_mat(d, d, [columns[j][i, 0] for i in range(d) for j in range(d)])


def _estimate_of_products(matrix: flint.fmpz_mat) -> float:
    """Seconds of about d^4 / 2 multiplications of entries, the largest of which is timed."""
    largest = max((x for row in matrix.tolist() for x in row), key=abs)
    if matrix.nrows() ** 4 * int(largest.bit_length()) < LIGHT:
        return 0.0
    begin = time.monotonic()
    _ = largest * (largest + 1)
    return (time.monotonic() - begin) * matrix.nrows() ** 4 / 2


def _bits(matrix: flint.fmpz_mat) -> int:
    """A bound of the bits of twice a coefficient."""
    bits = 2.0
    for row in matrix.tolist():
        square = sum(int(x) ** 2 for x in row)
        bits += math.log2(1 + math.isqrt(square) + 1)
    return math.ceil(bits * (1 + 1e-9)) + 1


def _primes() -> Iterator[int]:
    import flint

    candidate = LARGEST_PRIME - 1
    while True:
        if flint.fmpz(candidate).is_prime():
            yield candidate
        candidate -= 2


def _estimate(matrix: flint.fmpz_mat, total: int) -> float:
    """Seconds, from what a corner of the matrix takes modulo one prime."""
    import flint

    d = matrix.nrows()
    size = min(d, SAMPLE)
    rows = [[int(matrix[i, j]) for j in range(size)] for i in range(size)]
    begin = time.monotonic()
    flint.nmod_mat(flint.fmpz_mat(rows), LARGEST_PRIME - 57).charpoly()
    return (time.monotonic() - begin) * (d / size) ** 3 * total


def _announcement(d: int, estimate: float) -> str:
    return (
        f"the characteristic polynomial of a block of dimension {d} takes about "
        f"{_duration(estimate)} in exact arithmetic, before its roots are isolated; Ctrl-C stops "
        "it. exact=False (--no-exact) decides in floating point, in seconds."
    )


def _duration(seconds: float) -> str:
    for unit, size in (("days", 86400.0), ("hours", 3600.0), ("minutes", 60.0)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} seconds"


def _tell(done: int, total: int, spent: float) -> None:
    """One line on a terminal, overwritten, for what takes more than a second or two."""
    if spent < 2 or sys.stderr is None or not sys.stderr.isatty():
        return
    left = spent / done * (total - done)
    end = "\n" if done == total else ""
    line = f"\rcharacteristic polynomial: {done} of {total}, about {_duration(left)} left"
    print(f"{line:<78}", end=end, file=sys.stderr, flush=True)
