"""A polynomial of degree 4 n in n + 1 products: one or two fewer than Paterson and Stockmeyer's.

With P of degree 4 n, polynomials B_j of degree n and the powers X, ..., X^n at hand::

    y = B_4² + B_3        P = (y + B_2) y + B_1

are two more products, where Paterson and Stockmeyer take three. That such forms exist is known
(Sastre, Linear Algebra Appl. 539, 2018; Bader, Blanes and Casas, Mathematics 7, 2019; Sastre and
Ibáñez, Mathematics 9, 2021: for n = 3, degree 12 in 4 products). This one is solved as it stands:

- the top coefficients of P are those of y², so that y_2n, ..., y_(n+1) follow one by one, as for
  the square root of a power series;
- with c_i = 2 y_i + b_i, b_i the coefficients of B_2, those of X^3n, ..., X^2n give c_n, ..., c_0;
- those of X^(2n-1), ..., X^(n+1) give y_(n-1), ..., y_1, each by an equation linear in it;
- B_1 is what is left. y_0 is 0, which c_0 makes up for.

y_n is free. It is chosen so that little cancels: for the polynomials of psi all coefficients can be
positive, or nearly so.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

__all__ = ["NESTED_CHUNKS", "nested_rows"]

# B_4, B_3, B_2 and B_1.
NESTED_CHUNKS = 4
# y_n over the root of the coefficient of X^2n: among these one makes all coefficients positive, or
# nearly so.
FREE = (0.29, 0.28, 0.3, 0.27, 0.32, 0.26, 0.35, 0.25, 0.4)
# The largest sum of the sizes of all terms, beside the polynomial, at the radius given.
MOST_CANCELLATION = 1.15


def nested_rows(
    polynomials: Sequence[Sequence[float]], n: int, radius: float
) -> tuple[list[float], ...] | None:
    """The coefficients of B_4, B_3, B_2, B_1 of each polynomial, or None where too much cancels.

    Parameters
    ----------
    polynomials : sequence of sequences of float
        Positive coefficients, from X^0 to X^4n or beyond, which is cut.
    n : int
        At least 2.
    radius : float
        The largest ||X||.
    """
    rows: list[list[float]] = []
    for coefficients in polynomials:
        # In units of the radius, so that all sums below are values at 1.
        p = [float(c) * radius**k for k, c in enumerate(coefficients[: 4 * n + 1])]
        for free in FREE:
            found = solved(p, n, free * math.sqrt(p[2 * n]))
            b4, b3, b2, b1 = (sum(map(abs, row)) for row in found)
            y = b4 * b4 + b3
            if (y + b2) * y + b1 <= MOST_CANCELLATION * sum(p):
                rows += [[value / radius**k for k, value in enumerate(row)] for row in found]
                break
        else:
            return None
    return tuple(rows)


def solved(p: list[float], n: int, middle: float) -> list[list[float]]:
    """The same for one y_n, ``middle``."""
    y = [0.0] * (2 * n + 1)
    y[2 * n] = math.sqrt(p[4 * n])
    for k in range(2 * n - 1, n, -1):
        known = sum(y[i] * y[2 * n + k - i] for i in range(k + 1, 2 * n))
        y[k] = (p[2 * n + k] - known) / (2 * y[2 * n])
    y[n], c = middle, [0.0] * (n + 1)
    for j in range(3 * n, 2 * n - 1, -1):
        i = j - 2 * n
        known = of_square(y, n, j) + sum(
            y[j - m] * c[m] for m in range(i + 1, min(n, j - n - 1) + 1)
        )
        if i == 0:
            known += y[n] * (c[n] - y[n])
        c[i] = (p[j] - known) / y[2 * n]
    for k in range(n - 1, 0, -1):
        j = n + k
        known = of_square(y, n, j) + sum(y[j - m] * c[m] for m in range(k))
        known += y[n] * c[k] + sum(y[i] * (c[j - i] - y[j - i]) for i in range(k + 1, n))
        y[k] = (p[j] - known) / (c[n] - 2 * y[n])
    b2 = [c[i] - 2 * y[i] for i in range(n + 1)]
    b1 = [p[j] - sum((y[i] + b2[i]) * y[j - i] for i in range(j + 1)) for j in range(n + 1)]
    b4 = [0.0] * (n + 1)
    b4[n] = math.sqrt(y[2 * n])
    for k in range(n - 1, 0, -1):
        known = sum(b4[i] * b4[n + k - i] for i in range(k + 1, n))
        b4[k] = (y[n + k] - known) / (2 * b4[n])
    b3 = [y[j] - sum(b4[i] * b4[j - i] for i in range(j + 1)) for j in range(n + 1)]
    return [b4, b3, b2, b1]


def of_square(y: list[float], n: int, j: int) -> float:
    """The coefficient of X^j in the square of the part of y above X^n."""
    return sum(y[i] * y[j - i] for i in range(max(n + 1, j - 2 * n), min(2 * n, j - n - 1) + 1))
