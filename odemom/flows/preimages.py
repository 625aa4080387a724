"""Preimages of psi: the real branch above the threshold, and its continuation off the real line.

psi(0) = 1, and psi increases from its rightmost critical point on. The inverse of that branch is
continued along paths in the upper half plane, where a flow with real critical points has no
critical value: to non-real mu, and to real mu below the threshold, which it reaches from above. It
is real on the real line above the rightmost critical value, so that conj(f(mu)) = f(conj(mu)).

A step of the continuation is a fraction of the estimate |psi'|²/(2 |psi''|) of the distance to the
nearest branch point, which is exact where psi is a quadratic; Newton's method corrects it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import numpy as np

from odemom.errors import UndecidedError
from odemom.flows.power_series import middle, series_length

if TYPE_CHECKING:
    import flint

__all__ = [
    "PRECISION",
    "block_condition",
    "condition_at",
    "continued",
    "follow",
    "newton",
    "quadratic_step",
    "reach_of",
]

PRECISION = 128
FRACTION = 0.25
SHARED = 0.3  # a neighbour's branch is used within this part of its reach: see `reach_of`
SMALLEST_STEP = 1e-9
LAST_PART = 1e-12
LARGEST_COUNT = 50_000

Series = Callable[[Any, int], Any]


def follow(
    series: Series, z: flint.acb, path: list[flint.acb], *, until_blocked: bool = False
) -> flint.acb | None:
    """The preimage at the end of a path of values that begins at psi(z).

    Parameters
    ----------
    series : callable
        (z, length) -> psi(z + t) as a power series.
    z : acb
    path : list of acb
        The corners; the first is psi(z).
    until_blocked : bool
        Return None where a branch point lies on the path, to 1e-9 of the values there.

    Returns
    -------
    acb or None
    """
    import flint

    mu = path[0]
    if all(target == mu for target in path):
        return z
    with series_length(3, PRECISION):
        for target in path[1:]:
            for _ in range(LARGEST_COUNT):
                c0, c1, c2 = _three(series, z)
                z = middle(z - (c0 - mu) / c1)
                _require_finite(z, target)
                left = target - mu
                if left == 0:
                    break
                allowed = FRACTION * reach_of(c1, c2)
                size = abs(left).mid()
                unit = 1 + abs(mu).mid()
                blocked = allowed < SMALLEST_STEP * min(size, unit)
                # The last steps before a critical value shrink with what is left, for ever.
                if until_blocked and (blocked or allowed < size < LAST_PART * unit):
                    return None
                step = left if allowed > size else middle(left * (allowed / size))
                mu = target if allowed > size else middle(mu + step)
                z = middle(z + step / c1 - c2 * step**2 / c1**3)
            else:
                raise UndecidedError(
                    f"no preimage of {complex(target):.6g} was reached in {LARGEST_COUNT} steps of "
                    "the continuation: it is too close to a critical value of psi. Where eps is "
                    "huge, take eps = inf."
                )
        return newton(series, z, flint.acb(path[-1]))


def newton(series: Series, z: flint.acb, mu: flint.acb) -> flint.acb:
    """Newton's method for psi(z) = mu from a point near, to the working precision.

    Raises
    ------
    UndecidedError
        If it leaves the finite numbers.
    """
    import flint

    tiny = flint.arb(2) ** (24 - flint.ctx.prec)
    mu = middle(mu)
    with series_length(2):
        for _ in range(60):
            _require_finite(z, mu)
            psi = series(z, 2)
            if (psi[0] - mu).contains(0):
                break
            c0, c1 = _coefficients(psi, 2)
            step = middle((c0 - mu) / c1)
            z = middle(z - step)
            if abs(step).mid() <= tiny * (1 + abs(z).mid()):
                break
        return z


def _require_finite(z: flint.acb, mu: flint.acb) -> None:
    import flint

    if not z.is_finite():
        raise UndecidedError(
            f"no preimage of {complex(mu):.6g} was found: next to it psi turns too fast for "
            f"numbers of {flint.ctx.prec} bits. Scale D, or take other parameters of the flow."
        )


def quadratic_step(series: Series, z: flint.acb, mu: flint.acb) -> flint.acb:
    """A point near a preimage of mu, from one near z: where the parabola of psi at z has mu.

    Unlike a step of Newton's method, it may begin at a critical point.
    """
    with series_length(3):
        c0, c1, c2 = _three(series, z)
        missed = middle(mu - c0)
        root = (c1**2 + 4 * c2 * missed).sqrt()
        slope = max(c1 + root, c1 - root, key=lambda s: float(abs(s).mid()))
        return middle(z + 2 * missed / slope) if slope != 0 else z


def reach_of(c1: flint.acb, c2: flint.acb) -> flint.arb:
    """|psi'|²/(2 |psi''|), the distance to the critical value if psi is a quadratic."""
    import flint

    size = abs(4 * c2).mid()
    return flint.arb("inf") if size == 0 else (abs(c1).mid() ** 2 / size).mid()


def continued(
    series: Series, mu: flint.acb, known: list[tuple[flint.acb, flint.acb]]
) -> flint.acb | None:
    """The preimage of mu on the branch of a known pair (value, preimage) well within its reach.

    Values that are close share a branch, so that the divided differences of the inverse, which
    come with them where a matrix couples them, stay near its derivative. None where none is close,
    or Newton's method does not lead there.
    """
    if not known:
        return None
    value, z = min(known, key=lambda pair: float(abs(pair[0] - mu).mid()))
    step = middle(mu - value)
    if step == 0:
        return z
    with series_length(3):
        _, c1, c2 = _three(series, z)
        if not abs(step).mid() <= SHARED * reach_of(c1, c2):
            return None
        with suppress(UndecidedError):
            return newton(series, middle(z + step / c1 - c2 * step**2 / c1**3), mu)
    return None


def block_condition(size: int, z: Any, value: Any, c1: Any, c2: Any, c3: Any) -> Any:
    """An estimate of the condition of psi at the theta with psi(theta) = J_size(psi(z)).

    theta = z I + f with f of the size of the inverse's Taylor coefficients, 1/psi' to begin with
    and each divided by the reach of the branch; the Fréchet derivative has that of the divided
    differences of psi there. It is large where psi or its inverse magnifies.

    Parameters
    ----------
    size : int
        Of the Jordan block.
    z, value, c1, c2, c3 : float, or ndarray
        A point, and psi with its next three Taylor coefficients there.
    """
    f = abs(1 / c1) * np.maximum(1.0, abs(4 * c2 / c1**2)) ** (size - 2) if size > 1 else 0
    return (abs(c1) + abs(c2) * f + abs(c3) * f**2) * (abs(z) + f) / (abs(value) + 1)


def condition_at(series: Series, z: flint.acb, size: int) -> float:
    """`block_condition` at one point."""
    with series_length(4):
        value, c1, c2, c3 = (np.complex128(complex(c)) for c in _coefficients(series(z, 4), 4))
    if not c1:
        return math.inf
    with np.errstate(all="ignore"):
        condition = float(block_condition(size, complex(z), value, c1, c2, c3))
    return math.inf if math.isnan(condition) else condition


def _three(series: Series, z: flint.acb) -> list[flint.acb]:
    return _coefficients(series(z, 3), 3)


def _coefficients(psi: flint.acb_series, count: int) -> list[flint.acb]:
    return [middle(psi[i]) for i in range(count)]
