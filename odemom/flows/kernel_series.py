r"""Taylor coefficients in theta of the two functions that carry the damped flow.

With a = 1/(2 eps) and s² = z/eps + a²::

    C(z) = exp(-a) cosh s = sum f_n z^n         Q(z) = exp(-a) sinh(s)/(eps s) = sum g_n z^n

and psi = C + Q/2 (x'(0) = 0) or C + (1/2 + eps z) Q (x'(0) = theta x0). The n-th derivative of
sinhc sqrt(w) is 2^-n i_n(s)/s^n, i_n the modified spherical Bessel function, and that of
cosh sqrt(w) follows from (cosh sqrt w)' = (sinhc sqrt w)/2. At z = 0, where s = a::

    g_n = 2 a exp(-a) i_n(a)/n!        f_0 = (1 + exp(-2a))/2,  f_n = g_{n-1}/(2n)

All are positive, and tend to 1/n! (f_n to half of it) as eps -> 0: no coefficient cancels and
nothing overflows, whatever eps.
"""

from __future__ import annotations

import math

__all__ = ["kernel_coefficients"]

# From here on the recurrence upwards is taken: it magnifies errors by exp(n²/a) at most.
UPWARD_FROM = 500.0


def bessel_products(a: float, count: int) -> list[float]:
    """2 a exp(-a) i_n(a) (1/a)^n for a < 1, without the last factor otherwise; n < count.

    Below `UPWARD_FROM` by the ratios t_n = i_n/(a i_{n-1}) = 1/(2n + 1 + a² t_{n+1}), downwards,
    where each step shrinks the error of the start by the factor (a t_n)² < exp(-(2n+1)/a).
    """
    first = -math.expm1(-2 * a)
    if a >= UPWARD_FROM:
        values = [first, 1 + math.exp(-2 * a) - first / a]
        for n in range(1, count - 1):
            values.append(values[n - 1] - (2 * n + 1) / a * values[n])
        return values[:count]
    start = count + math.isqrt(int(count**2 + 40 * a)) + 2
    ratio = 1 / (start + math.hypot(start, a))
    ratios = []
    for n in range(start, 0, -1):
        ratio = 1 / (2 * n + 1 + a * a * ratio)
        ratios.append(ratio)
    factor, values = (a if a >= 1 else 1.0), [first]
    for n in range(1, count):
        values.append(values[-1] * factor * ratios[-n])
    return values


def bessel_coefficients(a: float, count: int) -> tuple[float, list[float]]:
    """The unit of the variable and the g_n/unit^n: unit = 1 for a >= 1, else 2 a = 1/eps."""
    unit = 1.0 if a >= 1 else 2 * a
    # The products carry (1/a)^n for a < 1, that is (2/unit)^n.
    products, halves = bessel_products(a, count), (1.0 if a >= 1 else 0.5)
    return unit, [products[n] * halves**n / math.factorial(n) for n in range(count)]


def kernel_coefficients(a: float, count: int, field: bool) -> tuple[list[float], list[float]]:
    """Coefficients of C and of G = psi - C, the part that the double angle multiplies.

    Parameters
    ----------
    a : float
        1/(2 eps) in (0, inf].
    count : int
        How many, >= 2.
    field : bool
        Whether x'(0) = theta x0.

    Returns
    -------
    tuple of two lists of float
        In powers of z for a >= 1, of z/eps = 2 a z for a < 1, where those of z would overflow.
    """
    if a == math.inf:
        half = [0.5 / math.factorial(n) for n in range(count)]
        return half, half
    unit, g = bessel_coefficients(a, count)
    k = [value / unit for value in g]
    cosh = [(1 + math.exp(-2 * a)) / 2] + [k[n - 1] / (2 * n) for n in range(1, count)]
    rest = [value / 2 for value in g]
    if field:
        rest = [rest[0]] + [rest[n] + k[n - 1] / (2 * a) for n in range(1, count)]
    return cosh, rest
