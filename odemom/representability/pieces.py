"""odemom.pieces: with how many constant pieces of theta(t) a matrix is reached, and which."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from typing import Any, Literal, overload

import numpy as np
import scipy.linalg

from odemom.checks import eps_or_gamma, expect, invalid, shown
from odemom.errors import IllConditionedError, OdemomError
from odemom.flows.base import Flow, exact
from odemom.flows.braking import Braking
from odemom.flows.by_eps import flow_of
from odemom.flows.coasting import Coasting
from odemom.flows.coasting_net import CoastingNet
from odemom.flows.condition import frobenius
from odemom.flows.discrete import MomentumResNet, ResNet
from odemom.flows.first_order import FirstOrder
from odemom.flows.ode import ODEFlow
from odemom.representability.by_value import ByValue
from odemom.representability.floating import FloatingSpectrum
from odemom.representability.matrix_branch import relative_distance
from odemom.representability.remedies import another_flow, least_pieces
from odemom.representability.report import Representability
from odemom.representability.spectrum import Spectrum, spectrum
from odemom.representability.witness import (
    allowed_residual,
    doubles_of,
    witness_of,
)

__all__ = ["Pieces", "pieces"]

# Parts of the horizon after which the first piece ends.
KICKS = tuple(Fraction(1, 2**k) for k in range(1, 8))
BRAKES = (Fraction(1, 4), Fraction(1, 2), Fraction(3, 4))
GOOD_RESIDUAL = 1e-12  # with a residual below this no other pair of pieces is tried


@dataclass(frozen=True, eq=False)
class Pieces(ByValue):
    """How many constant pieces of theta(t) reach D, and a theta(t) that does.

    Attributes
    ----------
    count : int or None
        The least number; None if no number suffices.
    thetas : tuple of ndarray of float64, shape (d, d)
        The pieces in the order of time; empty without a count.
    times : tuple of float
        How long each acts; for a net, the number of layers.
    residual : float
        ||map - D|| / ||D|| in the Frobenius norm; nan without a count.
    status : {"certain", "borderline"}
        As of `odemom.Representability`.
    report : Representability
        The decision for one piece.
    """

    count: int | None
    thetas: tuple[np.ndarray, ...]
    times: tuple[float, ...]
    residual: float
    status: Literal["certain", "borderline"]
    report: Representability

    @property
    def norm(self) -> float:
        """The largest Frobenius norm of the pieces."""
        return max(map(frobenius, self.thetas), default=math.nan)


@overload
def pieces(
    D: Any,
    eps: Any = None,
    *,
    gamma: Any = None,
    tol: Any = None,
    exact: bool | None = None,
    max_bits: int | None = None,
    full_output: Literal[False] = False,
) -> int | None: ...
@overload
def pieces(
    D: Any,
    eps: Any = None,
    *,
    gamma: Any = None,
    tol: Any = None,
    exact: bool | None = None,
    max_bits: int | None = None,
    full_output: Literal[True],
) -> Pieces: ...
def pieces(
    D: Any,
    eps: Any = None,
    *,
    gamma: Any = None,
    tol: Any = None,
    exact: bool | None = None,
    max_bits: int | None = None,
    full_output: bool = False,
) -> int | Pieces | None:
    """The least number of constant pieces of theta(t) with which a flow reaches D.

    Parameters
    ----------
    D : array_like of real numbers, shape (d, d), or Spectrum
        Exact numbers or floats, as in `odemom.analyze`.
    eps : number or str in [0, inf], or Flow
        For a net, a piece is a group of consecutive layers with the same weights.
    gamma : number or str in [0, 1], optional
        In place of ``eps``: the flow with eps = 1/(1 - gamma).
    tol, exact, max_bits
        See `odemom.analyze`.
    full_output : bool, default False
        Return `Pieces`, with the pieces themselves.

    Returns
    -------
    int or None, or Pieces
        1 where D is representable. Else 2, but for the first-order flow with det D <= 0: there
        None, for whatever theta(t) is, det x(t) > 0.

    Raises
    ------
    InvalidInputError
        If D is not one finite, real, square, non-empty matrix, an argument is outside its domain,
        or the flow has a switch already.
    IllConditionedError
        With ``full_output``, if no pieces in doubles reach D to 1e-6 ||D||.

    Notes
    -----
    Two pieces of the first-order flow are the logarithms of the two factors of the polar
    decomposition. Of the second-order flows: a kick and a coast (`odemom.flows.Coasting`), with the
    switch chosen among T/2, T/4, ... and multiples of eps, or a brake c I and then a theta,
    whichever has the smaller norm on the eigenvalues. Of nets: one layer does it all.

    References
    ----------
    docs/routes.md, "One switch reaches every matrix".

    Examples
    --------
    >>> import numpy as np, odemom
    >>> odemom.pieces([[-1, 0], [0, -2]], 0), odemom.pieces([[-1]], 0), odemom.pieces([[-1]], 0.5)
    (2, None, 2)
    >>> found = odemom.pieces([[-1, 0], [0, -2]], 0, full_output=True)
    >>> first, second = (odemom.psi(x, 0, horizon=t) for x, t in zip(found.thetas, found.times))
    >>> bool(np.allclose(second @ first, [[-1, 0], [0, -2]]))
    True
    """
    expect(
        isinstance(full_output, bool | np.bool_),
        "full_output",
        got=shown(full_output),
        expected="True or False",
    )
    flow = flow_of(eps_or_gamma(eps, gamma))
    if isinstance(flow, Coasting | CoastingNet):
        raise invalid(
            "eps",
            got=shown(flow),
            expected="a flow whose theta acts throughout",
            fix="This one has a switch already, and reaches every matrix with one theta.",
        )
    found = spectrum(D, tol=tol, exact=exact, max_bits=max_bits)
    report = found.decide(flow)
    count = least_pieces(report)
    if not full_output:
        return count
    status = _status(found, report)
    if count is None:
        return Pieces(None, (), (), math.nan, status, report)
    thetas, times, residual = _pieces_of(found, flow, count)
    made = Pieces(count, thetas, times, residual, status, report)
    if not residual <= allowed_residual(found, status):
        raise IllConditionedError(
            f"D is reached with {'one piece' if count == 1 else 'two pieces'} by "
            f"{flow.describe()}, but theta, rounded to doubles, misses it by {residual:.2g} ||D||. "
            f"Use {another_flow(flow)}, or scale D.",
            made,  # pyright: ignore[reportArgumentType]  # of the same kind as a Witness
        )
    return made


def _status(found: Spectrum, report: Representability) -> Literal["certain", "borderline"]:
    """That of the count: for the first-order flow the sign of det D must be certain too."""
    if not isinstance(found, FloatingSpectrum) or not isinstance(report.flow, FirstOrder):
        return report.status
    if report.representable:
        return report.status
    gap = np.linalg.svd(found.matrix, compute_uv=False)
    return report.status if gap[-1] > 2 * found.tol * gap[0] else "borderline"


Found = tuple[tuple[np.ndarray, ...], tuple[float, ...], float]


def _pieces_of(found: Spectrum, flow: Flow, count: int) -> Found:
    if count == 1:
        witness = witness_of(found, flow)
        return (witness.theta,), (_length(flow),), witness.residual
    d = doubles_of(found)
    if isinstance(flow, FirstOrder):
        return _polar(d, flow)
    if isinstance(flow, ResNet | MomentumResNet):
        return _one_layer(d, flow)
    assert isinstance(flow, ODEFlow)  # there is no other kind
    return _best(found, flow)


def _length(flow: Flow) -> float:
    """The final time, or the number of layers."""
    if isinstance(flow, ResNet | MomentumResNet):
        return float(flow.depth)
    assert isinstance(flow, ODEFlow)  # there is no other kind
    return float(flow.horizon)


def _polar(d: np.ndarray, flow: FirstOrder) -> Found:
    """D = P Q, P positive definite and Q a rotation: Q acts first, each over half of the time."""
    u, sigma, vt = np.linalg.svd(d)
    half = float(flow.horizon) / 2
    with np.errstate(all="ignore"):  # of a matrix that is singular in doubles: it is refused
        second = (u * np.log(sigma)) @ u.T / half
        first = _skew_logarithm(u @ vt) / half
        made = scipy.linalg.expm(half * second) @ scipy.linalg.expm(half * first)
    return (first, second), (half, half), relative_distance(made, d)


def _skew_logarithm(q: np.ndarray) -> np.ndarray:
    """A skew matrix with exp = Q, det Q = 1: the eigenvalues -1 are taken in pairs, by pi each."""
    factors: Any = scipy.linalg.schur(q, output="real")
    t, z = factors
    log, waiting, i = np.zeros_like(t), None, 0
    while i < len(t):
        if i + 1 < len(t) and t[i + 1, i] != 0:
            angle = math.atan2(t[i + 1, i] - t[i, i + 1], t[i, i] + t[i + 1, i + 1])
            log[i + 1, i], log[i, i + 1] = angle, -angle
            i += 2
            continue
        if t[i, i] < 0:
            if waiting is not None:
                log[i, waiting], log[waiting, i] = math.pi, -math.pi
            waiting = i if waiting is None else None
        i += 1
    return z @ log @ z.T


def _one_layer(d: np.ndarray, flow: ResNet | MomentumResNet) -> Found:
    """The last layer of a ResNet; the first one of a momentum net, which then coasts."""
    identity, rest = np.eye(len(d)), float(flow.depth - 1)
    if isinstance(flow, ResNet):
        kick = d - identity
        return (0 * d, kick), (rest, 1.0), relative_distance(identity + kick, d)
    kick = (d - identity) / float(1 - exact(flow.gamma) ** flow.depth)
    made = identity + kick * float(1 - exact(flow.gamma) ** flow.depth)
    return (kick, 0 * d), (1.0, rest), relative_distance(made, d)


def _best(found: Spectrum, flow: ODEFlow) -> Found:
    """The two pieces of the least norm on the real eigenvalues, among those that reach D."""
    reached: list[Found] = []
    for _, candidate in sorted(_candidates(found, flow), key=lambda pair: pair[0])[:3]:
        try:
            witness = witness_of(found, candidate)
        except OdemomError:  # too large or too sensitive: another one may do
            continue
        switch = float(candidate.switch)
        times = (switch, float(candidate.horizon) - switch)
        fixed = np.eye(len(witness.theta))
        pair = (witness.theta, 0 * fixed)
        if isinstance(candidate, Braking):
            pair = (candidate.brake * fixed, witness.theta)
        reached.append((pair, times, witness.residual))
        if witness.residual <= GOOD_RESIDUAL:
            break
    if not reached:
        raise IllConditionedError(
            f"D is reached with two pieces by {flow.describe()}, but doubles hold none of those "
            "that are tried. Use a larger eps, or scale D.",
            None,
        )
    return min(reached, key=lambda one: one[2])


def _candidates(found: Spectrum, flow: ODEFlow) -> Iterator[tuple[float, Coasting | Braking]]:
    """Flows of two pieces, each with its size on the real eigenvalues."""
    import flint

    horizon = exact(flow.horizon)
    eps = math.inf if flow.unit_eps == math.inf else Fraction(flow.unit_eps) * horizon
    real = [complex(mu).real for mu in found.positions(flow)]
    ends = [flint.arb(min(real)), flint.arb(max(real))]
    kicks = [part * horizon for part in KICKS]
    if eps != math.inf:  # at a small eps psi has decayed after a few eps
        kicks += [k * Fraction(eps) for k in (2, 4, 8) if 2 * k * Fraction(eps) < horizon]
    makers = [partial(Coasting, eps, kick, horizon) for kick in kicks]
    makers += [
        partial(Braking.below, eps, part * horizon, horizon, min(*real, -1e-3)) for part in BRAKES
    ]
    for make in makers:
        try:
            kind = make()
            if kind is not None:
                sizes = [float(abs(kind.real_preimage(mu))) for mu in ends]
                brake = abs(kind.brake) if isinstance(kind, Braking) else 0.0
                yield max(brake, *sizes), kind
        except (OdemomError, ValueError, ArithmeticError):
            continue  # beyond doubles or balls: another one may do
