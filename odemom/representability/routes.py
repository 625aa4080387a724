"""odemom.routes: what reaches a matrix that one constant theta does not, and what it costs."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cached_property
from html import escape
from typing import Any

import numpy as np

from odemom.checks import expect, invalid, shown
from odemom.errors import OdemomError
from odemom.flows.base import Flow, exact, number_text
from odemom.flows.by_eps import flow_of
from odemom.flows.coasting import Coasting
from odemom.flows.coasting_net import CoastingNet
from odemom.flows.discrete import MomentumResNet, ResNet
from odemom.flows.first_order import FirstOrder
from odemom.flows.ode import ODEFlow
from odemom.flows.second_order import SecondOrder
from odemom.flows.undamped import Undamped
from odemom.representability.augmentation import augmentation, least_coordinates
from odemom.representability.extremes import Extreme
from odemom.representability.nearest import nearest_representable
from odemom.representability.pieces import least_pieces, pieces
from odemom.representability.report import Representability
from odemom.representability.spectrum import Spectrum, spectrum
from odemom.representability.witness import doubles_of, witness_of

__all__ = ["Route", "Routes", "routes"]

SMALL = 8  # up to this dimension norms and distances are computed for the table
LEAST_DEPTH = 21
MORE = Fraction(101, 100)  # by so much a witness keeps away from the edge


@dataclass(frozen=True)
class Route:
    """One way to reach D.

    Attributes
    ----------
    name : str
    reaches : bool
        Whether it reaches D itself; "smaller scale" and "nearest map" reach another matrix.
    what : str
        Which eps, which scale, how many coordinates, ...; or why it does not reach D.
    parameters : int
        How many numbers theta has in all.
    evaluations : str
        How many evaluations of theta it takes, compared with one constant theta.
    how : str
        A Python expression for the witness.
    """

    name: str
    reaches: bool
    what: str
    parameters: int
    evaluations: str
    how: str
    _find: Callable[[], Any] | None = field(default=None, repr=False, compare=False)

    def witness(self) -> Any:
        """What ``how`` gives: a theta, a `Pieces`, an `Augmentation` or a `Nearest`.

        Raises
        ------
        InvalidInputError
            If this way does not lead to D.
        IllConditionedError
            As of `odemom.represent`.
        """
        if self._find is None:
            raise invalid("route", got=self.name, expected="one that reaches D", fix=self.what)
        return self._found

    @cached_property
    def _found(self) -> Any:
        assert self._find is not None  # or `witness` has refused
        return self._find()

    @cached_property
    def norm(self) -> float | None:
        """The largest Frobenius norm of its thetas; None without one, or if doubles hold none."""
        if self._find is None or self.name == "nearest map":
            return None
        try:
            found = self.witness()
        except OdemomError:
            return None
        if hasattr(found, "norm"):
            return float(found.norm)
        return float(np.linalg.norm(getattr(found, "theta", found)))

    @cached_property
    def distance(self) -> float:
        """||matrix - D||_2 of the matrix it reaches: 0, but for "nearest map"."""
        return float(self.witness().distance) if self.name == "nearest map" else 0.0


@dataclass(frozen=True)
class Routes:
    """The ways to one matrix, the cheapest first: iterate, or ask for one by its name.

    Attributes
    ----------
    report : Representability
        The decision for one constant theta.
    rows : tuple of Route
    norms : bool
        Whether norms and distances are in the table; otherwise they are computed when asked for.
    """

    report: Representability
    rows: tuple[Route, ...]
    norms: bool

    def __iter__(self) -> Iterator[Route]:
        return iter(self.rows)

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, name: str) -> Route:
        for row in self.rows:
            if row.name == name:
                return row
        raise invalid("name", got=shown(name), expected=", ".join(row.name for row in self.rows))

    def _table(self) -> list[tuple[str, ...]]:
        heads = ("route", "reaches D", "what", "norm of theta", "numbers", "evaluations", "witness")
        rows = [
            (
                row.name,
                "yes" if row.reaches else "no",
                row.what + self._distance(row),
                self._norm(row),
                str(row.parameters),
                row.evaluations,
                row.how,
            )
            for row in self.rows
        ]
        return [heads, *rows]

    def _norm(self, row: Route) -> str:
        size = row.norm if self.norms else None
        return "" if size is None else f"{size:.4g}"

    def _distance(self, row: Route) -> str:
        known = self.norms and row.name == "nearest map" and row.how
        return f", at distance {row.distance:.4g}" if known else ""

    def __str__(self) -> str:
        rows = self._table()
        widths = [max(len(row[k]) for row in rows) for k in range(len(rows[0]))]
        return "\n".join(
            "  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)).rstrip()
            for row in rows
        )

    def _repr_html_(self) -> str:
        """For notebooks: the table."""
        heads, *rows = self._table()
        top = "".join(f"<th>{escape(head)}</th>" for head in heads)
        body = "".join(
            "<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows
        )
        return f"<table><tr>{top}</tr>{body}</table>"

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON: ``report`` and ``routes``; norms are null where not computed."""
        return {
            "report": self.report.to_dict(),
            "routes": [
                {
                    "name": row.name,
                    "reaches": row.reaches,
                    "what": row.what,
                    "norm": row.norm if self.norms else None,
                    "distance": row.distance if self.norms and row.how else None,
                    "parameters": row.parameters,
                    "evaluations": row.evaluations,
                    "how": row.how,
                }
                for row in self.rows
            ],
        }


def routes(
    D: Any,
    eps: Any,
    *,
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
    flow = flow_of(eps)
    found = spectrum(D, tol=tol, exact=exact, max_bits=max_bits)
    report = found.decide(flow)
    rows = [_constant(found, report), *_changes(found, report), _nearest(found, report)]
    return Routes(report, tuple(rows), found.dimension <= SMALL if norms is None else bool(norms))


# --- the rows ----------------------------------------------------------------------------------

SAME = "as many"


def _theta(found: Spectrum, flow: Flow) -> Callable[[], Any]:
    from odemom.representability.witness import represent

    return lambda: represent(found, flow)


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
        _theta(found, flow) if reaches else None,
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
        lambda: pieces(found, flow, full_output=True),
    )


def _larger_eps(found: Spectrum, flow: ODEFlow) -> Route:
    least, horizon = found.minimal_eps(), exact(flow.horizon)
    if least.value == math.inf:
        reaches, mass = least.attained, math.inf
        what = "eps = inf" if reaches else "no eps suffices"
    else:
        end = least.interval[1]  # inf where the tolerance reaches beyond every eps
        top = Fraction(least.value if end == math.inf else end) * horizon
        mass = max(top * MORE, Fraction(1, 100) * horizon)
        reaches, what = True, f"every eps above {float(least.value * horizon):.6g}"
        if flow.unit_eps != math.inf and Fraction(flow.unit_eps) * horizon >= mass:
            mass, what = Fraction(flow.unit_eps) * horizon, what + ", as it is"
    larger = flow_of(mass, horizon=horizon)
    return _row("larger eps", found, larger, what, reaches=reaches)


def _smaller_scale(found: Spectrum, report: Representability) -> Route:
    flow, most = report.flow, found.maximal_scale(report.flow)
    if most.value == math.inf:
        return _row("smaller scale", found, flow, "every scale", reaches=report.representable)
    if most.interval[0] == 0:
        return Route("smaller scale", False, "no scale suffices", 0, "", "")
    scale = _inside(most)
    bound = "at most" if most.attained else "less than"
    return Route(
        "smaller scale",
        report.representable,
        f"a D, a {bound} {most.value:.6g}" if most.value else "a D, a below the doubles",
        found.dimension**2,
        SAME,
        f"odemom.represent(a * D, {call_text(flow)})",
        lambda: _scaled(found, flow, scale),
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
        lambda: augmentation(found, flow, full_output=True),
    )


def _odd_depth(found: Spectrum, flow: Flow) -> Route:
    net = odd_net(flow)
    reaches = found.represents(net)
    why = f"{net.depth} layers"
    if not reaches:
        why += ": a ResNet takes 0 at one point only, of the order of its depth"
    return _row("odd depth", found, net, why, why.split(":", maxsplit=1)[0], reaches)


def odd_net(flow: Flow) -> ResNet | MomentumResNet:
    """The net with an odd number of layers that is nearest to the flow."""
    if isinstance(flow, ResNet):
        return ResNet(flow.depth + 1 - flow.depth % 2)
    if isinstance(flow, MomentumResNet | CoastingNet):
        return MomentumResNet(flow.gamma, flow.depth + 1 - flow.depth % 2)
    assert isinstance(flow, ODEFlow)  # there is no other kind
    if flow.unit_eps == 0:
        return ResNet(LEAST_DEPTH)
    if flow.unit_eps == math.inf:
        return MomentumResNet("9/10", LEAST_DEPTH)
    # The step h = T/N has the mass eps/h = 1/(1 - gamma); gamma > 1/2 asks for N > 2 T/eps.
    mass = Fraction(flow.unit_eps)
    depth = max(LEAST_DEPTH, 2 * math.ceil(1 / mass) + 1)
    return MomentumResNet(1 - 1 / (mass * depth), depth)


def _nearest(found: Spectrum, report: Representability) -> Route:
    flow = report.flow
    return Route(
        "nearest map",
        report.representable,
        "D itself" if report.representable else "another matrix",
        found.dimension**2,
        SAME,
        f"odemom.nearest_representable(D, {call_text(flow)})",
        lambda: nearest_representable(found, flow),
    )


# --- in words ----------------------------------------------------------------------------------


def call_text(flow: Flow) -> str:
    """The flow as one writes it in a call: the mass where that says it all."""
    if isinstance(flow, ResNet):
        return f"ResNet({flow.depth})"
    if isinstance(flow, MomentumResNet):
        return f'MomentumResNet("{number_text(flow.gamma)}", {flow.depth})'
    if isinstance(flow, CoastingNet):
        return f'CoastingNet("{number_text(flow.gamma)}", {flow.depth}, {flow.active})'
    assert isinstance(flow, ODEFlow)  # there is no other kind
    horizon = "" if flow.horizon == 1 else f', horizon="{number_text(flow.horizon)}"'
    if isinstance(flow, Coasting):
        return f'Coasting("{number_text(flow.eps)}", "{number_text(flow.switch)}"{horizon})'
    if isinstance(flow, SecondOrder):
        start = ', "field"' if flow.coast else ""
        text = f'"{number_text(flow.eps)}"'
        return f"SecondOrder({text}{start}{horizon})" if start or horizon else text
    bare = {FirstOrder: "0", Undamped: '"inf"'}[type(flow)]
    return f"{type(flow).__name__}({horizon[2:]})" if horizon else bare


def cheapest(report: Representability) -> list[str]:
    """The two cheapest ways to D that follow from the decision alone, in words.

    By the numbers that theta has: an initial velocity and a switch take no or d² more, extra
    coordinates at least 2 d + 1 more but a theta of another size, an odd depth another net.
    """
    flow, ways = report.flow, []
    if isinstance(flow, SecondOrder):
        ways += ["with the initial velocity x'(0) = theta x0", "if theta stops at a switch"]
    elif isinstance(flow, Undamped):
        ways += ["if theta stops at a switch", "with one more coordinate"]
    elif isinstance(flow, FirstOrder):
        if least_pieces(report) == 2:
            ways.append("with two constant pieces of theta(t)")
        zeros = [o.eigenvalue.blocks or () for o in report.obstructions if _is_zero(o)]
        count = max(1, *map(len, zeros), 0)
        ways.append(f"with {number_word(count)} more coordinate{'s' if count > 1 else ''}")
        ways.append("with a mass, any eps > 0, and x'(0) = theta x0")
    else:
        ways += ["if one layer has weights of its own"]
        odd = odd_net(flow)
        sure = isinstance(flow, MomentumResNet) or not any(map(_is_zero, report.obstructions))
        ways += [f"with {odd.depth} layers" if sure else "with more coordinates"]
    return ways[:2]


def _is_zero(obstruction: Any) -> bool:
    return obstruction.eigenvalue.position == "at"


def number_word(count: int) -> str:
    """One as a word, others as digits."""
    return "one" if count == 1 else str(count)
