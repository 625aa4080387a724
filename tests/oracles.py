"""Independent references: nothing here imports odemom.

- psi of a scalar from the characteristic roots of the ODE, in mpmath;
- psi of a matrix from the exponential of the companion matrix, in Arb's rigorous balls;
- lambda_eps by bisection on G';
- the theorem of docs/mathematics/theorem.md decided by assembling the block sizes one by one;
- how a net of linear layers takes a value, by Sturm's theorem on its polynomial;
- exact matrices of known Jordan structure.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Sequence
from fractions import Fraction
from functools import cache, lru_cache
from typing import Any

import flint
import mpmath
import numpy as np
import pytest
import sympy

UNIT = 2.0**-53

needs_extended = pytest.mark.skipif(
    np.finfo(np.longdouble).nmant != 63, reason="needs the extended precision of x86 processors"
)


def real(value: Any) -> Any:
    """A number at the current precision of mpmath; fractions are divided there."""
    if isinstance(value, Fraction):
        return mpmath.mpf(value.numerator) / value.denominator
    return mpmath.mpf(value)


# --- psi ---------------------------------------------------------------------------------------


def psi_scalar(z: Any, eps: Any, field: bool = False, dps: int = 50) -> tuple[Any, Any]:
    """psi(z) on [0, 1], eps in (0, inf), with the size of what a stable evaluation may lose.

    The roots r of eps r² + r = z give psi = c+ exp(r+) + c- exp(r-). In floating point the term r
    is wrong by u |c| |exp r| (1 + |r|); near the double root s = 0 instead s² is wrong by u a².
    """
    with mpmath.workdps(dps + 50 + 3 * abs(round(math.log10(eps)))):
        z, eps = mpmath.mpmathify(z), mpmath.mpf(eps)
        a = 1 / (2 * eps)
        s = mpmath.sqrt(z / eps + a * a)
        low, high = -a - s, -a + s
        velocity = z if field else 0
        if s == 0:
            value = mpmath.exp(-a) * (1 + a + velocity)
        else:
            value = ((velocity - low) * mpmath.exp(high) + (high - velocity) * mpmath.exp(low)) / (
                2 * s
            )
        if abs(s) < 2:
            lost = mpmath.exp(-a) * (1 + a + abs(velocity)) * (1 + a) ** 2 * 10
        else:
            terms = ((velocity - low, high), (high - velocity, low))
            lost = sum(abs(c / (2 * s)) * abs(mpmath.exp(r)) * (1 + abs(r)) for c, r in terms)
    return value, UNIT * lost


def psi_matrix(
    theta: Any, eps: Any, *, field: bool = False, horizon: Any = 1, dps: int = 40
) -> Any:
    """psi(theta) by the companion matrix, from balls proven to be below 10^-dps of its norm."""
    rows = [[Fraction(x) for x in row] for row in (np.asarray(theta, dtype=object).tolist())]
    d, t = len(rows), Fraction(horizon)
    precision = 128
    while True:
        with flint.ctx.workprec(precision):
            block, velocity = _block_exponential(rows, eps, t)
            entries = [[block[i, j] for j in range(d)] for i in range(d)]
            if field:
                start = _arb(rows)
                moved = velocity * start
                entries = [[entries[i][j] + moved[i, j] for j in range(d)] for i in range(d)]
            widest = max(float(x.rad()) for row in entries for x in row)
            largest = max(float(abs(x).mid()) for row in entries for x in row)
        if math.isfinite(widest) and widest <= largest * 10.0**-dps:
            break
        precision *= 2
    with mpmath.workprec(precision):
        return mpmath.matrix([[_mpf(x) for x in row] for row in entries])


def _block_exponential(rows: list[list[Fraction]], eps: Any, t: Fraction) -> tuple[Any, Any]:
    d = len(rows)
    if eps == 0:
        return _arb([[x * t for x in row] for row in rows]).exp(), None
    mass, damping = (1, 0) if eps == math.inf else (Fraction(eps), 1)
    companion = [[Fraction(0)] * (2 * d) for _ in range(2 * d)]
    for i in range(d):
        companion[i][d + i] = t
        companion[d + i][d + i] = -t * damping / mass
        for j in range(d):
            companion[d + i][j] = t * rows[i][j] / mass
    flow = _arb(companion).exp()
    return flow, flint.arb_mat([[flow[i, d + j] for j in range(d)] for i in range(d)])


def _arb(rows: list[list[Fraction]]) -> Any:
    return flint.arb_mat([[flint.fmpq(x.numerator, x.denominator) for x in row] for row in rows])


def _mpf(ball: Any) -> Any:
    mantissa, exponent = ball.mid().man_exp()
    return mpmath.ldexp(mpmath.mpf(int(mantissa)), int(exponent))


def to_floats(matrix: Any) -> np.ndarray:
    return np.array(matrix.tolist(), dtype=np.float64)


def norm1(matrix: Any) -> float:
    return float(np.abs(np.asarray(matrix, dtype=np.float64)).sum(axis=0).max())


def error1(computed: Any, reference: Any) -> float:
    """The 1-norm of the error, the difference taken in high precision."""
    with mpmath.workdps(60):
        difference = mpmath.matrix(np.asarray(computed).tolist()) - reference
        return float(mpmath.mnorm(difference, 1))


# --- lambda_eps --------------------------------------------------------------------------------


@lru_cache
def lambda_reference(eps: Any, dps: int = 40) -> Any:
    """min G_eps, the minimiser by bisection on the sign of G' (G' exp(a), divided by 1 + a)."""
    with mpmath.workdps(dps + 20 + abs(round(math.log10(eps)))):
        a = 1 / (2 * real(eps))
        low, high = mpmath.pi, mpmath.mpf("4.4934094579090641753078809272803220822155")
        # Flat at its minimum: half the digits of the minimiser give all of the value.
        while high - low > mpmath.ldexp(1, -mpmath.mp.prec // 2 - 4):
            middle = (low + high) / 2
            sine, cosine = mpmath.sin(middle), mpmath.cos(middle)
            slope = -sine + a * (cosine / middle - sine / middle**2)
            low, high = (middle, high) if slope < 0 else (low, middle)
        return mpmath.exp(-a) * (mpmath.cos(low) + a * mpmath.sin(low) / low)


# --- the theorem, a second time ----------------------------------------------------------------


def image_of_block(k: int, order: int) -> list[int]:
    """Block sizes of psi(J_k(z)) where psi - psi(z) vanishes to ``order`` at z."""
    sizes = [len(range(start, k, order)) for start in range(order)]
    return [size for size in sizes if size]


def assemble(sizes: Sequence[int], parts_for: Callable[[int], list[list[int]]]) -> bool:
    """Whether ``sizes`` is a union of parts, by trying each part that holds the largest size."""
    if not sizes:
        return True
    largest = max(sizes)
    for part in parts_for(largest):
        rest = list(sizes)
        try:
            for size in part:
                rest.remove(size)
        except ValueError:
            continue
        if assemble(rest, parts_for):
            return True
    return False


def producible(kind: str, sizes: Sequence[int], order: int = 2) -> bool:
    """Whether blocks of these sizes arise, by brute force over the blocks of theta."""
    if kind == "critical":
        return assemble(
            sizes,
            lambda s: [image_of_block(k, order) for k in range(order * (s - 1) + 1, order * s + 1)],
        )
    if kind == "pairs":
        return assemble(sizes, lambda s: [[s, s]])
    return kind == "regular" or not sizes


@lru_cache
def layers_polynomial(gamma: Fraction, depth: int) -> sympy.Poly:
    """psi of a (momentum) residual net by its layers; gamma = 0 is the ResNet."""
    z = sympy.Symbol("z")
    g = sympy.Rational(gamma.numerator, gamma.denominator)
    step = sympy.Poly((1 - g) * z, z, domain="QQ")
    x, v = sympy.Poly(1, z, domain="QQ"), sympy.Poly(0, z, domain="QQ")
    for _ in range(depth):
        v = v * g + step * x
        x = x + v
    return x


@cache
def kind_by_layers(mu: Fraction, gamma: Fraction, depth: int) -> tuple[str, int]:
    """How a net takes mu: from the real roots of psi - mu (Sturm) and their multiplicities."""
    shifted = layers_polynomial(gamma, depth) - sympy.Rational(mu.numerator, mu.denominator)
    real = {m: f for f, m in shifted.sqf_list()[1] if f.count_roots()}
    if not real:
        return "pairs", 1
    return ("regular", 1) if 1 in real else ("critical", min(real))


def representable_by_net(
    spectrum: dict[Fraction, list[int]], depth: int, gamma: Any = Fraction(0)
) -> bool:
    """The theorem for a net of tied linear layers."""
    kinds = {mu: kind_by_layers(mu, Fraction(gamma), depth) for mu in spectrum}
    return all(producible(kinds[mu][0], spectrum[mu], kinds[mu][1]) for mu in spectrum)


def kind_of(mu: Fraction, eps: Any, field: bool = False) -> str:
    """How the flow takes a rational eigenvalue (no rational value of lambda_eps is known)."""
    if field:
        return "regular"
    if eps == 0:
        return "regular" if mu > 0 else "pairs" if mu < 0 else "never"
    if eps == math.inf:
        return "regular" if mu > -1 else "pairs" if mu < -1 else "critical"
    return "regular" if real(mu) > lambda_reference(eps) else "pairs"


def representable(spectrum: dict[Fraction, list[int]], eps: Any, field: bool = False) -> bool:
    """The theorem for a matrix with these rational eigenvalues and block sizes."""
    return all(producible(kind_of(mu, eps, field), sizes) for mu, sizes in spectrum.items())


# --- exact matrices ----------------------------------------------------------------------------

Rows = list[list[Fraction]]


def jordan_block(mu: Any, k: int) -> Rows:
    return [
        [Fraction(mu) if i == j else Fraction(int(j == i + 1)) for j in range(k)] for i in range(k)
    ]


def rotation_block(a: Any, b: Any, k: int) -> Rows:
    """The real Jordan block of size 2k of the eigenvalues a +- b i."""
    rows = [[Fraction(0)] * (2 * k) for _ in range(2 * k)]
    for i in range(0, 2 * k, 2):
        rows[i][i] = rows[i + 1][i + 1] = Fraction(a)
        rows[i][i + 1], rows[i + 1][i] = -Fraction(b), Fraction(b)
        if i + 2 < 2 * k:
            rows[i][i + 2] = rows[i + 1][i + 3] = Fraction(1)
    return rows


def companion(coefficients: Sequence[int]) -> Rows:
    """The companion matrix of x^n + c_{n-1} x^{n-1} + ... + c_0, coefficients ascending."""
    n = len(coefficients)
    return [
        [Fraction(int(j == i - 1)) if j < n - 1 else Fraction(-coefficients[i]) for j in range(n)]
        for i in range(n)
    ]


def direct_sum(*blocks: Rows) -> Rows:
    d, start = sum(len(b) for b in blocks), 0
    rows = [[Fraction(0)] * d for _ in range(d)]
    for block in blocks:
        for i, row in enumerate(block):
            rows[start + i][start : start + len(block)] = row
        start += len(block)
    return rows


def block_matrix(spectrum: dict[Fraction, list[int]]) -> Rows:
    return direct_sum(*(jordan_block(mu, k) for mu, sizes in spectrum.items() for k in sizes))


def conjugated(rows: Rows, rng: np.random.Generator, steps: int | None = None) -> Rows:
    """V D V^-1 for a random unimodular integer V, a product of elementary matrices: exact."""
    return conjugated_with_basis(rows, rng, steps)[0]


def conjugated_with_basis(
    rows: Rows, rng: np.random.Generator, steps: int | None = None
) -> tuple[Rows, list[list[int]]]:
    """V D V^-1 and V."""
    d = len(rows)
    basis = [[int(i == j) for j in range(d)] for i in range(d)]
    if d == 1:
        return [list(row) for row in rows], basis
    # Over the common denominator all steps are additions of integers.
    denominator = math.lcm(*(x.denominator for row in rows for x in row))
    scaled = [[x.numerator * (denominator // x.denominator) for x in row] for row in rows]
    count = 2 * d if steps is None else steps
    targets = rng.integers(d, size=count)
    others = (targets + rng.integers(1, d, size=count)) % d
    signs = rng.choice([1, -1], count).tolist()
    for i, j, sign in zip(targets.tolist(), others.tolist(), signs, strict=True):
        forms = operator.add, operator.sub
        add, subtract = forms if sign > 0 else forms[::-1]
        scaled[i] = list(map(add, scaled[i], scaled[j]))
        for row in scaled:
            row[j] = subtract(row[j], row[i])
        basis[i] = list(map(add, basis[i], basis[j]))
    back: Any = scaled
    if denominator > 1 or any(isinstance(x, Fraction) for row in rows for x in row):
        back = [[Fraction(x, denominator) for x in row] for row in scaled]
    return back, basis


def transpose(rows: Rows) -> Rows:
    return [list(column) for column in zip(*rows, strict=True)]


def floats(rows: Rows) -> np.ndarray:
    return np.array([[float(x) for x in row] for row in rows])
