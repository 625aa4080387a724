r"""Taylor coefficients in theta of the two functions that carry the damped flow.

With a = 1/(2 eps) and s² = z/eps + a²::

    C(z) = exp(-a) cosh s = sum f_n z^n         Q(z) = exp(-a) sinh(s)/(eps s) = sum g_n z^n

and psi = C + (1/2 + w eps z) Q where x'(0) = w theta x0. The n-th derivative of
sinhc sqrt(w) is 2^-n i_n(s)/s^n, i_n the modified spherical Bessel function, and that of
cosh sqrt(w) follows from (cosh sqrt w)' = (sinhc sqrt w)/2. At z = 0, where s = a::

    g_n = 2 a exp(-a) i_n(a)/n!        f_0 = (1 + exp(-2a))/2,  f_n = g_{n-1}/(2n)

All are positive, and tend to 1/n! (f_n to half of it) as eps -> 0: no coefficient cancels and
nothing overflows, whatever eps. They are computed in the arithmetic of ``a``.
"""

from __future__ import annotations

import math
from typing import Any, TypeVar

import numpy as np

__all__ = ["exponential", "kernel_coefficients"]

Real = TypeVar("Real", float, np.longdouble)

# From here on the recurrence upwards is taken: it magnifies errors by exp(n²/a) at most.
UPWARD_FROM = 500.0


def exponential(x: Real) -> Any:
    """exp(x), in the arithmetic of x."""
    return math.exp(x) if isinstance(x, float) else np.exp(x)


def bessel_products(a: Real, count: int) -> list[Real]:
    """2 a exp(-a) i_n(a) (1/a)^n for a < 1, without the last factor otherwise; n < count.

    Below `UPWARD_FROM` by the ratios t_n = i_n/(a i_{n-1}) = 1/(2n + 1 + a² t_{n+1}), downwards,
    where each step shrinks the error of the start by the factor (a t_n)² < exp(-(2n+1)/a).
    """
    first: Any = -math.expm1(-2 * a) if isinstance(a, float) else -np.expm1(-2 * a)
    if a >= UPWARD_FROM:
        values = [first, 1 + exponential(-2 * a) - first / a]
        for n in range(1, count - 1):
            values.append(values[n - 1] - (2 * n + 1) / a * values[n])
        return values[:count]
    start = count + math.isqrt(int(count**2 + 50 * a)) + 2
    square, ratios = a * a, []
    ratio: Any = 1 / (start + math.hypot(start, a))
    for n in range(start, 0, -1):
        ratio = 1 / (2 * n + 1 + square * ratio)
        ratios.append(ratio)
    factor, values = (a if a >= 1 else 1), [first]
    for n in range(1, count):
        values.append(values[-1] * factor * ratios[-n])
    return values


def bessel_coefficients(a: Real, count: int) -> tuple[Real, list[Real]]:
    """The unit of the variable and the g_n/unit^n: unit = 1 for a >= 1, else 2 a = 1/eps."""
    real = type(a)
    unit = real(1) if a >= 1 else 2 * a
    # The products carry (1/a)^n for a < 1, that is (2/unit)^n.
    products, halves = bessel_products(a, count), (1.0 if a >= 1 else 0.5)
    return unit, [products[n] * halves**n / real(math.factorial(n)) for n in range(count)]


def kernel_coefficients(a: Real, count: int, field: float) -> tuple[list[Real], list[Real]]:
    """Coefficients of C and of G = psi - C, the part that the double angle multiplies.

    Parameters
    ----------
    a : float or numpy.longdouble
        1/(2 eps) in (0, inf].
    count : int
        How many, >= 2.
    field : float
        x'(0) = field theta x0: 0, 1, or between them.

    Returns
    -------
    tuple of two lists of numbers of the type of ``a``
        In powers of z for a >= 1, of z/eps = 2 a z for a < 1, where those of z would overflow.
    """
    if a == math.inf:
        half = [0.5 / type(a)(math.factorial(n)) for n in range(count)]
        return half, half
    unit, g = bessel_coefficients(a, count)
    k = [value / unit for value in g]
    cosh = [(1 + exponential(-2 * a)) / 2] + [k[n - 1] / (2 * n) for n in range(1, count)]
    rest = [value / 2 for value in g]
    if field:
        rest = [rest[0]] + [rest[n] + field * (k[n - 1] / (2 * a)) for n in range(1, count)]
    return cosh, rest
