"""odemom.augmentation: how many extra coordinates, started at 0, reach a matrix.

`interlacing` decides how many, `bordering` builds the matrix of which D is the leading block.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Literal, overload

import numpy as np

from odemom.checks import expect, shown
from odemom.errors import IllConditionedError, UndecidedError
from odemom.flows.base import Flow
from odemom.flows.by_eps import flow_of
from odemom.flows.condition import condition_number
from odemom.representability.bordering import Change, bordered
from odemom.representability.criterion import attainment_at, unmet_condition
from odemom.representability.exact import ExactSpectrum, positions_of
from odemom.representability.exact_matrix import ExactMatrix
from odemom.representability.floating import FloatingSpectrum
from odemom.representability.interlacing import least_coordinates, sizes_for
from odemom.representability.report import Representability
from odemom.representability.spectrum import Spectrum, spectrum
from odemom.representability.witness import (
    LARGEST_RESIDUAL,
    assembled,
    doubles_of,
    witness_of,
)
from odemom.representability.witness_parts import FloatingParts, floating_parts

__all__ = ["Augmentation", "augmentation"]


@dataclass(frozen=True)
class Augmentation:
    """How many extra coordinates reach D, and a theta of size d + p that does.

    Attributes
    ----------
    count : int
        The least number p.
    theta : ndarray of float64, shape (d + p, d + p)
        D is the leading block of psi(theta), to the residual.
    matrix : ndarray of float64, shape (d + p, d + p)
        psi(theta), as it was prescribed.
    residual : float
        ||leading block of psi(theta) - D|| / ||D|| in the Frobenius norm.
    condition : float
        As of `odemom.Witness`: the relative condition number of psi at theta.
    status : {"certain", "borderline"}
    report : Representability
        The decision without extra coordinates.
    """

    count: int
    theta: np.ndarray
    matrix: np.ndarray
    residual: float
    condition: float
    status: Literal["certain", "borderline"]
    report: Representability


@overload
def augmentation(
    D: Any,
    eps: Any,
    *,
    tol: Any = None,
    exact: bool | None = None,
    max_bits: int | None = None,
    full_output: Literal[False] = False,
) -> int: ...
@overload
def augmentation(
    D: Any,
    eps: Any,
    *,
    tol: Any = None,
    exact: bool | None = None,
    max_bits: int | None = None,
    full_output: Literal[True],
) -> Augmentation: ...
def augmentation(
    D: Any,
    eps: Any,
    *,
    tol: Any = None,
    exact: bool | None = None,
    max_bits: int | None = None,
    full_output: bool = False,
) -> int | Augmentation:
    """The least number of extra coordinates, started at 0 and dropped at the end, that reach D.

    Parameters
    ----------
    D : array_like of real numbers, shape (d, d), or Spectrum
        Exact numbers or floats, as in `odemom.analyze`: exact ones are decided exactly.
    eps : number or str in [0, inf], or Flow
    tol, exact, max_bits
        See `odemom.analyze`.
    full_output : bool, default False
        Return an `Augmentation`, with theta.

    Returns
    -------
    int, or Augmentation
        0 where D is representable. Else 1 for the second-order flows and Momentum ResNets; the
        larger of 1 and the nullity of D for the first-order flow; for a ResNet at most that.

    Raises
    ------
    InvalidInputError
        If D is not one finite, real, square, non-empty matrix, or an argument is outside its
        domain.
    IllConditionedError
        With ``full_output``, if theta in doubles misses D by more than 1e-6 ||D||; the error
        carries the `Augmentation`.

    References
    ----------
    Sá, Imbedding conditions for lambda-matrices, Linear Algebra Appl. 24, 1979. Thompson,
    Interlacing inequalities for invariant factors, Linear Algebra Appl. 24, 1979. Dupont, Doucet,
    Teh, Augmented neural ODEs, 2019. docs/routes.md, "Extra coordinates".

    Examples
    --------
    A reflection needs one coordinate more, in which it is a rotation; the zero map of x' = theta x
    as many as it has rows:

    >>> import numpy as np, odemom
    >>> odemom.augmentation([[1, 0], [0, -1]], 0), odemom.augmentation([[0, 0], [0, 0]], 0)
    (1, 2)
    >>> found = odemom.augmentation([[-1]], 0, full_output=True)
    >>> bool(np.isclose(odemom.psi(found.theta, 0)[0, 0], -1))
    True
    """
    expect(
        isinstance(full_output, bool | np.bool_),
        "full_output",
        got=shown(full_output),
        expected="True or False",
    )
    flow = flow_of(eps)
    found = spectrum(D, tol=tol, exact=exact, max_bits=max_bits)
    report = found.decide(flow)
    count = least_coordinates(found, report)
    if not full_output:
        return count
    witness = _witness(found, flow, report, count)
    allowed = LARGEST_RESIDUAL
    if found.tol is not None and report.status == "borderline":
        allowed = max(allowed, 10 * np.sqrt(found.dimension) * found.tol)
    if not witness.residual <= allowed:
        raise IllConditionedError(
            f"D is reached with {count} more coordinates by {flow.describe()}, but theta, rounded "
            f"to doubles, misses it by {witness.residual:.2g} ||D||: the condition number of psi "
            f"there is {witness.condition:.2g}. Use another eps, or scale D.",
            witness,  # pyright: ignore[reportArgumentType]  # of the same kind as a Witness
        )
    return witness


# --- the witness -------------------------------------------------------------------------------


def _witness(found: Spectrum, flow: Flow, report: Representability, count: int) -> Augmentation:
    d = doubles_of(found)
    if count == 0:
        own = witness_of(found, flow)
        return Augmentation(0, own.theta, d, own.residual, own.condition, report.status, report)
    if isinstance(found, FloatingSpectrum):
        matrix, theta = _floating(found, flow, count)
    else:
        assert isinstance(found, ExactSpectrum)  # there is no third kind
        larger = ExactSpectrum(_completed(found, flow, count))
        matrix, theta = doubles_of(larger), witness_of(larger, flow).theta
    n = len(d)
    with np.errstate(all="ignore"):
        missed = np.linalg.norm(flow.matrix(theta)[:n, :n] - d)
    size = float(np.linalg.norm(d)) or 1.0
    residual = float(missed) / size if np.isfinite(missed) else np.inf
    condition = condition_number(flow, theta)
    return Augmentation(count, theta, matrix, residual, condition, report.status, report)


def _completed(found: ExactSpectrum, flow: Flow, count: int) -> ExactMatrix:
    """A representable matrix of size d + p with D in its corner, one border after the other.

    After i of the p borders the sizes are those that are wanted, as far as i borders can go.
    """
    goals = dict(_goals(found, flow, count))
    sizes = {f.minimal_polynomial: f.block_sizes for f in found.factors}
    scale = _scale(found, goals)
    numbers = found.numbers
    for i in range(1, count + 1):
        changes = []
        for factor in ExactSpectrum(numbers).factors:
            goal = goals.get(factor.minimal_polynomial)
            if goal is not None:
                wanted = _on_the_way(sizes[factor.minimal_polynomial], goal, i, count)
                if wanted != factor.block_sizes:
                    changes.append(Change(factor, wanted))
        numbers = bordered(numbers, _with_room(numbers, changes, goals), scale)
    return numbers


def _goals(
    found: ExactSpectrum, flow: Flow, count: int
) -> list[tuple[tuple[int, ...], tuple[int, ...]]]:
    """The minimal polynomials of the obstructed factors, and the sizes they are to have."""
    goals = []
    for factor in found.factors:
        for position in positions_of(factor, flow.real_image):
            if position is None:
                continue
            attainment = attainment_at(flow.real_image, position)
            if unmet_condition(attainment, factor.block_sizes) is not None:
                sizes = sizes_for(attainment, factor.block_sizes, count)
                goals.append((factor.minimal_polynomial, sizes))
                break
    return goals


def _on_the_way(sizes: Sequence[int], goal: Sequence[int], i: int, count: int) -> tuple[int, ...]:
    """The sizes after i of the borders: within s_{k+i} <= t_k <= s_{k-i}, and on to the goal.

    Those nearest to the goal; where this is larger somewhere, the least ones from which it can be
    reached, max(s_{k+i}, goal_{k+count-i}), so that the degrees do.
    """

    def at(row: Sequence[int], k: int) -> int:
        return row[k] if k < len(row) else 0

    places = range(max(len(goal), len(sizes)))
    if any(at(goal, k) > at(sizes, k) for k in places):
        found = [max(at(sizes, k + i), at(goal, k + count - i)) for k in places]
    else:
        found = [max(at(sizes, k + i), at(goal, k)) for k in places]
    return tuple(x for x in found if x)


def _with_room(numbers: ExactMatrix, changes: list[Change], goals: dict[Any, Any]) -> list[Change]:
    """The changes, and as many blocks of other factors dropped as larger blocks take degrees."""
    missing = sum(c.factor.degree * (c.added - c.removed) for c in changes) - 1
    if missing <= 0:
        return changes
    for factor in ExactSpectrum(numbers).factors:
        if missing > 0 and factor.minimal_polynomial not in goals:
            changes = [*changes, Change(factor, factor.block_sizes[1:])]
            missing -= factor.degree * factor.block_sizes[0]
    if missing > 0:
        raise UndecidedError(
            "augmentation: theta exists, but the borders that lead to it one after the other need "
            "degrees of other eigenvalues. The number of coordinates is right; exact=True may give "
            "theta."
        )
    return changes


def _scale(found: ExactSpectrum, goals: dict[Any, Any]) -> Fraction:
    """A power of two near the largest of the obstructed eigenvalues; 1 if they are 0."""
    sizes = [
        max(abs(complex(float(z.real.mid()), float(z.imag.mid()))) for z in f.approximate_roots)
        for f in found.factors
        if f.minimal_polynomial in goals
    ]
    largest = max(sizes, default=0.0)
    return Fraction(2) ** round(np.log2(largest)) if largest > 0 else Fraction(1)


def _floating(found: FloatingSpectrum, flow: Flow, count: int) -> tuple[np.ndarray, np.ndarray]:
    """M and theta in doubles: exactly on the chains of the obstructed eigenvalues, with the rest.

    D = R J L + rest, J the Jordan matrix of the nearest structured matrix there. J is completed as
    an exact matrix, with the theta of that.
    """
    _, clusters = found.judged(flow)
    parts = FloatingParts.of(found.form, clusters, flow)
    jordan = ExactSpectrum(ExactMatrix.from_entries(parts.jordan))
    larger = ExactSpectrum(_completed(jordan, flow, count))
    inner, m = witness_of(larger, flow).theta, len(parts.jordan)
    projector = parts.right @ parts.left
    rest = [(projector, 0 * projector), *floating_parts(found.form, parts.others, flow)]
    theta = _around(assembled(flow, found.matrix, rest), parts, inner, m)
    whole = doubles_of(larger)
    whole[:m, :m] = 0  # D itself holds R J L
    return _around(found.matrix, parts, whole, m), theta


def _around(d: np.ndarray, parts: FloatingParts, inner: np.ndarray, m: int) -> np.ndarray:
    """The matrix d plus R (leading block) L, bordered by R (column) and (row) L."""
    return np.block(
        [
            [d + parts.right @ inner[:m, :m] @ parts.left, parts.right @ inner[:m, m:]],
            [inner[m:, :m] @ parts.left, inner[m:, m:]],
        ]
    )
