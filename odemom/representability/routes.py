"""odemom.routes: what reaches a matrix that one constant theta does not, and what it costs."""

from __future__ import annotations

import math
from collections.abc import Iterator
from fractions import Fraction
from functools import partial
from typing import Any

import numpy as np

from odemom.checks import eps_or_gamma, expect, nearest_double, shown
from odemom.flows.base import Flow, exact
from odemom.flows.by_eps import flow_of
from odemom.flows.coasting import Coasting
from odemom.flows.coasting_net import CoastingNet
from odemom.flows.discrete import layers_text
from odemom.flows.ode import ODEFlow
from odemom.flows.second_order import SecondOrder
from odemom.representability.augmentation import augmentation
from odemom.representability.edge import rounded_text
from odemom.representability.extremes import Extreme
from odemom.representability.interlacing import least_coordinates
from odemom.representability.nearest import nearest_representable
from odemom.representability.pieces import pieces
from odemom.representability.remedies import call_text, least_pieces, odd_net
from odemom.representability.report import Representability
from odemom.representability.route_table import Route, Routes
from odemom.representability.spectrum import Spectrum, spectrum
from odemom.representability.witness import doubles_of, represent, witness_of

__all__ = ["routes"]

SMALL = 8  # up to this dimension norms and distances are computed for the table
MORE = Fraction(101, 100)  # the factor by which a witness keeps away from the edge


def routes(
    D: Any,
    eps: Any = None,
    *,
    gamma: Any = None,
    tol: Any = None,
    exact: bool | None = None,
    max_bits: int | None = None,
    norms: bool | None = None,
) -> Routes:
    """Every way to reach D with a flow or a change of it: what it reaches, costs, and how.

    Parameters
    ----------
    D : array_like of real numbers, shape (d, d), or Spectrum
        Exact numbers or floats, as in `odemom.analyze`.
    eps : number or str in [0, inf], or Flow
    gamma : number or str in [0, 1], optional
        In place of ``eps``: the flow with eps = 1/(1 - gamma).
    tol, exact, max_bits
        See `odemom.analyze`.
    norms : bool, optional
        Whether the table holds the norms of the witnesses and the distance of the nearest map,
        which cost more than all the rest; by default up to d = 8. `Route.norm`, `Route.distance`
        and `Route.witness` compute them for any d.

    Returns
    -------
    Routes
        Constant theta, initial velocity f(x0), one switch, larger eps, smaller scale, more
        coordinates, odd depth, nearest map.

    Raises
    ------
    InvalidInputError
        If D is not one finite, real, square, non-empty matrix, or an argument is outside its
        domain.

    References
    ----------
    docs/routes.md, with the theorem behind each row.

    Examples
    --------
    >>> import numpy as np, odemom
    >>> ways = odemom.routes([[-1]], "1/2")
    >>> [row.name for row in ways if row.reaches]      # doctest: +NORMALIZE_WHITESPACE
    ['initial velocity', 'one switch', 'larger eps', 'more coordinates', 'odd depth']
    >>> ways["larger eps"].what
    'eps = inf'
    >>> theta = ways["initial velocity"].witness()
    >>> flow = odemom.flows.SecondOrder(0.5, "field")
    >>> bool(np.allclose(odemom.psi(theta, flow), -1))
    True
    """
    expect(
        norms is None or isinstance(norms, bool | np.bool_),
        "norms",
        got=shown(norms),
        expected="True, False or None",
    )
    flow = flow_of(eps_or_gamma(eps, gamma))
    found = spectrum(D, tol=tol, exact=exact, max_bits=max_bits)
    report = found.decide(flow)
    rows = [_constant(found, report), *_changes(found, report), _nearest(found, report)]
    return Routes(report, tuple(rows), found.dimension <= SMALL if norms is None else bool(norms))


# --- the rows ----------------------------------------------------------------------------------

SAME = "as many"


def _row(
    name: str, found: Spectrum, flow: Flow, what: str, evaluations: str = SAME, reaches: bool = True
) -> Route:
    """One that is another flow, with one theta of the size of D."""
    return Route(
        name,
        reaches,
        what,
        found.dimension**2,
        evaluations,
        f"odemom.represent(D, {call_text(flow)})" if reaches else "",
        partial(represent, found, flow) if reaches else None,
    )


def _constant(found: Spectrum, report: Representability) -> Route:
    what = report.flow.describe() if report.representable else report.brief()
    return _row("constant theta", found, report.flow, what, reaches=report.representable)


def _changes(found: Spectrum, report: Representability) -> Iterator[Route]:
    """The ways of changing the flow, the cheapest first."""
    flow = report.flow
    if isinstance(flow, ODEFlow) and not flow.coast:
        yield _velocity(found, flow)
    if not isinstance(flow, Coasting | CoastingNet):
        yield _switch(found, report)
    if isinstance(flow, ODEFlow) and not flow.coast:
        yield _larger_eps(found, flow)
    yield _smaller_scale(found, report)
    yield _coordinates(found, report)
    yield _odd_depth(found, flow)


def _velocity(found: Spectrum, flow: ODEFlow) -> Route:
    if isinstance(flow, SecondOrder):
        moving = SecondOrder(flow.eps, "field", flow.horizon)
        return _row("initial velocity", found, moving, "x'(0) = theta x0", "one more")
    why = (
        "x' = theta x has no velocity to choose" if flow.unit_eps == 0 else "no limit at eps = inf"
    )
    return _row("initial velocity", found, flow, why, reaches=False)


def _switch(found: Spectrum, report: Representability) -> Route:
    flow, count = report.flow, least_pieces(report)
    if count is None:
        return Route("one switch", False, "det D <= 0: out of reach of any theta(t)", 0, "", "")
    two = "theta_1, then theta_2" if isinstance(flow, ODEFlow) else "two groups of layers"
    return Route(
        "one switch",
        True,
        "one piece suffices" if count == 1 else two,
        count * found.dimension**2,
        SAME,
        f"odemom.pieces(D, {call_text(flow)}, full_output=True)",
        partial(pieces, found, flow, full_output=True),
    )


def _larger_eps(found: Spectrum, flow: ODEFlow) -> Route:
    least, horizon = found.minimal_eps(), exact(flow.horizon)
    if least.value == math.inf:
        reaches, mass = least.attained, math.inf
        what = "eps = inf" if reaches else "no eps suffices"
        kept = reaches and flow.unit_eps == math.inf
    else:
        end = least.interval[1]  # inf where the tolerance reaches beyond every eps
        top = Fraction(least.value if end == math.inf else end) * horizon
        mass = _short(max(top * MORE, Fraction(1, 100) * horizon))
        bound = "of at least" if least.attained else "above"
        reaches, what = True, f"every eps {bound} {rounded_text(least, horizon, up=True)}"
        own = flow.unit_eps if flow.unit_eps == math.inf else Fraction(flow.unit_eps) * horizon
        kept = own >= mass
        mass = own if kept else mass
    larger = flow_of(mass, horizon=horizon)
    return _row("larger eps", found, larger, what + ", as it is" * kept, reaches=reaches)


def _short(mass: Fraction) -> Fraction:
    """The number rounded to four digits, which changes it by less than `MORE` does."""
    text = f"{nearest_double(mass):.3e}"
    short = mass if text == "inf" else Fraction(text)
    return short if abs(short - mass) < mass / 1000 else mass  # not below the normal doubles


def _smaller_scale(found: Spectrum, report: Representability) -> Route:
    flow, most = report.flow, found.maximal_scale(report.flow)
    if most.value == math.inf:
        every = "every scale" if most.interval[0] == math.inf else "every scale that doubles hold"
        return _row("smaller scale", found, flow, every, reaches=report.representable)
    if most.interval[1] == 0:
        return Route("smaller scale", False, "no scale suffices", 0, "", "")
    scale, entries = _inside(most), found.dimension**2
    if scale == 0:
        below = "a D, a below the doubles"
        return Route("smaller scale", report.representable, below, entries, SAME, "")
    bound = "at most" if most.attained else "less than"
    return Route(
        "smaller scale",
        report.representable,
        f"a D, a {bound} {rounded_text(most, up=False)}",
        entries,
        SAME,
        f"odemom.represent(a * D, {call_text(flow)})",
        partial(_scaled, found, flow, scale),
    )


def _inside(most: Extreme) -> float:
    return float(most.interval[0]) / float(MORE)


def _scaled(found: Spectrum, flow: Flow, scale: float) -> np.ndarray:
    own = spectrum(scale * doubles_of(found), tol=found.tol)
    return witness_of(own, flow).theta


def _coordinates(found: Spectrum, report: Representability) -> Route:
    flow, count = report.flow, least_coordinates(found, report)
    return Route(
        "more coordinates",
        True,
        f"{count} more, started at 0" if count else "none needed",
        (found.dimension + count) ** 2,
        SAME,
        f"odemom.augmentation(D, {call_text(flow)}, full_output=True)",
        partial(augmentation, found, flow, full_output=True),
    )


def _odd_depth(found: Spectrum, flow: Flow) -> Route:
    net = odd_net(flow)
    reaches = found.represents(net)
    why = layers_text(net.depth)
    if not reaches:
        why += ": a ResNet takes 0 at one point only, of the order of its depth"
    return _row("odd depth", found, net, why, why.split(":", maxsplit=1)[0], reaches)


def _nearest(found: Spectrum, report: Representability) -> Route:
    flow = report.flow
    itself = report.representable and report.status == "certain"
    return Route(
        "nearest map",
        itself,
        "D itself" if itself else "another matrix",
        found.dimension**2,
        SAME,
        f"odemom.nearest_representable(D, {call_text(flow)})",
        partial(nearest_representable, found, flow),
    )
