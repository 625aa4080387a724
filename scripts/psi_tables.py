"""Check the coefficients behind odemom.psi in 60 digits, and print its plans.

The coefficients depend on eps, so no table of numbers can hold them:
`odemom.propagator.coefficients` computes them in doubles when they are asked for, and this script
says how well.

    python scripts/psi_tables.py
"""

from __future__ import annotations

import mpmath

from odemom.propagator.coefficients import kernel_coefficients
from odemom.propagator.plans import schedule

UNIT = 2.0**-53
RATES = (1e-8, 1e-3, 0.3, 0.99, 1, 3, 20, 100, 499, 501, 2000, 1e6)
MASSES = (0.0, 1e-6, 1e-3, 0.01, 0.1, 0.5, 10.0, 1e6, float("inf"))


def worst_coefficient(a: float, count: int) -> float:
    """The largest relative error of a coefficient of Q/2, in units of u."""
    _, rest = kernel_coefficients(a, count, False)
    with mpmath.workdps(60):
        rate = mpmath.mpf(a)
        unit = 1 if a >= 1 else 2 * rate
        errors = []
        for n in range(count):
            bessel = mpmath.besseli(n + mpmath.mpf(1) / 2, rate)
            bessel *= mpmath.sqrt(mpmath.pi / (2 * rate))
            exact = rate * mpmath.exp(-rate) * bessel / mpmath.factorial(n) / unit**n
            errors.append(abs(rest[n] / exact - 1))
    return float(max(errors)) / UNIT


def main() -> None:
    """Print both tables."""
    print("rate a   worst relative error of 10 and of 20 coefficients, in u")
    for a in RATES:
        print(f"{a:8g} {worst_coefficient(a, 10):6.1f} {worst_coefficient(a, 20):6.1f}")
    print("\neps      mode   degree steps products  limit of alpha")
    for eps in MASSES:
        flow = schedule(eps, False)
        flow.plan(20.0)
        for plan in flow.made[1]:
            steps, degree = 2 ** len(plan.decays), plan.powers * plan.chunks
            print(
                f"{eps:7g} {plan.mode:>7} {degree:6} {steps:5} {plan.products:8}  {plan.limit:.3g}"
            )


if __name__ == "__main__":
    main()
