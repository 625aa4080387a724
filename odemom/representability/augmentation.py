"""odemom.augmentation: how many extra coordinates, started at 0, reach a matrix.

`interlacing` decides how many; `completion` and `bordering` build the matrix of which D is the
leading block.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, overload

import numpy as np

from odemom.checks import eps_or_gamma, expect, shown
from odemom.errors import IllConditionedError
from odemom.flows.base import Flow
from odemom.flows.by_eps import flow_of
from odemom.representability.by_value import ByValue
from odemom.representability.clusters import Cluster
from odemom.representability.completion import completed
from odemom.representability.exact import ExactSpectrum
from odemom.representability.exact_matrix import ExactMatrix
from odemom.representability.floating import FloatingSpectrum, cluster_attainment
from odemom.representability.interlacing import least_coordinates, least_degree
from odemom.representability.measured import residual_and_condition
from odemom.representability.remedies import another_flow
from odemom.representability.report import Representability
from odemom.representability.spectrum import Spectrum, spectrum
from odemom.representability.witness import (
    allowed_residual,
    assembled,
    best_within,
    doubles_of,
    in_reach,
    witness_of,
)
from odemom.representability.witness_parts import FloatingParts, floating_parts

__all__ = ["Augmentation", "augmentation"]


@dataclass(frozen=True, eq=False)
class Augmentation(ByValue):
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
    eps: Any = None,
    *,
    gamma: Any = None,
    tol: Any = None,
    exact: bool | None = None,
    max_bits: int | None = None,
    full_output: Literal[False] = False,
) -> int: ...
@overload
def augmentation(
    D: Any,
    eps: Any = None,
    *,
    gamma: Any = None,
    tol: Any = None,
    exact: bool | None = None,
    max_bits: int | None = None,
    full_output: Literal[True],
) -> Augmentation: ...
def augmentation(
    D: Any,
    eps: Any = None,
    *,
    gamma: Any = None,
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
    gamma : number or str in [0, 1], optional
        In place of ``eps``: the flow with eps = 1/(1 - gamma).
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
    flow = flow_of(eps_or_gamma(eps, gamma))
    found = spectrum(D, tol=tol, exact=exact, max_bits=max_bits)
    report = found.decide(flow)
    count = least_coordinates(found, report)
    if not full_output:
        return count
    with in_reach(flow):
        witness = _witness(found, flow, report, count)
    if not witness.residual <= allowed_residual(found, report.status):
        raise IllConditionedError(
            f"D is reached with {count} more coordinates by {flow.describe()}, but theta, rounded "
            f"to doubles, misses it by {witness.residual:.2g} ||D||: the condition number of psi "
            f"there is {witness.condition:.2g}. Use {another_flow(flow)}, or scale D.",
            witness,  # pyright: ignore[reportArgumentType]  # of the same kind as a Witness
        )
    return witness


# --- the witness -------------------------------------------------------------------------------


def _witness(found: Spectrum, flow: Flow, report: Representability, count: int) -> Augmentation:
    if count == 0:
        own, d = witness_of(found, flow), doubles_of(found)
        return Augmentation(0, own.theta, d, own.residual, own.condition, report.status, report)
    if isinstance(found, ExactSpectrum):
        doubles_of(found)  # refuses entries that they do not hold
        larger = ExactSpectrum(completed(found, flow, count))
        theta = witness_of(larger, flow).theta
        return _measured(found, flow, report, (doubles_of(larger), theta))
    assert isinstance(found, FloatingSpectrum)  # there is no third kind

    def attempt(judged: FloatingSpectrum) -> Augmentation:
        return _measured(found, flow, report, _floating(judged, flow, count))

    def fits(judged: FloatingSpectrum) -> bool:
        return least_coordinates(judged, judged.decide(flow)) == count

    return best_within(found, report, attempt, fits)


def _measured(
    found: Spectrum, flow: Flow, report: Representability, pair: tuple[np.ndarray, np.ndarray]
) -> Augmentation:
    (matrix, theta), d = pair, doubles_of(found)
    n = len(d)
    residual, condition = residual_and_condition(flow, theta, d)
    return Augmentation(len(theta) - n, theta, matrix, residual, condition, report.status, report)


def _floating(found: FloatingSpectrum, flow: Flow, count: int) -> tuple[np.ndarray, np.ndarray]:
    """M and theta in doubles: exactly on the chains of the obstructed eigenvalues, with the rest.

    D = R J L + rest, J the Jordan matrix of the nearest structured matrix there. J is completed as
    an exact matrix, with the theta of that.
    """
    chosen = _with_givers(found, flow, count)
    parts = FloatingParts.of(found.form, chosen)
    members = {z for c in chosen for z in c.members}
    others = [c for c in found.judged(flow)[1] if members.isdisjoint(c.members)]
    larger = ExactSpectrum(
        completed(ExactSpectrum(ExactMatrix.from_entries(parts.jordan.tolist())), flow, count)
    )
    m, inner = len(parts.jordan), witness_of(larger, flow).theta
    projector = parts.right @ parts.left
    rest = [(projector, 0 * projector), *floating_parts(found.form, others, flow)]
    theta = _around(assembled(flow, found.matrix, rest), parts, inner, m)
    whole = doubles_of(larger)
    whole[:m, :m] = 0  # D itself holds R J L
    return _around(found.matrix, parts, whole, m), theta


def _with_givers(found: FloatingSpectrum, flow: Flow, count: int) -> list[Cluster]:
    """The obstructed clusters, and others as far as larger blocks take their degrees."""
    chosen, image = found.obstructed(flow), flow.real_image

    def given(cluster: Cluster) -> int:
        least = least_degree(cluster_attainment(image, cluster), cluster.sizes, count)
        own = sum(cluster.sizes) - (sum(cluster.sizes) if least is None else least)
        return own * (2 if cluster.value.imag else 1)

    room = count + sum(map(given, chosen))
    for cluster in found.others(flow):
        if room >= 0:
            break
        if given(cluster) > 0:
            chosen, room = [*chosen, cluster], room + given(cluster)
    return chosen


def _around(d: np.ndarray, parts: FloatingParts, inner: np.ndarray, m: int) -> np.ndarray:
    """The matrix d plus R (leading block) L, bordered by R (column) and (row) L."""
    return np.block(
        [
            [d + parts.right @ inner[:m, :m] @ parts.left, parts.right @ inner[:m, m:]],
            [inner[m:, :m] @ parts.left, inner[m:, m:]],
        ]
    )
