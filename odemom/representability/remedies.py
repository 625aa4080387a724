"""Remedies in words, from a decision alone: the cheapest two, and flows as one writes them."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

from odemom.flows.base import Flow, Number, number_text
from odemom.flows.coasting import Coasting
from odemom.flows.coasting_net import CoastingNet
from odemom.flows.discrete import MomentumResNet, ResNet, layers_text
from odemom.flows.first_order import FirstOrder
from odemom.flows.ode import ODEFlow
from odemom.flows.second_order import SecondOrder
from odemom.flows.undamped import Undamped
from odemom.representability.report import Representability
from odemom.representability.report_json import value_json

__all__ = ["another_flow", "call_text", "cheapest", "least_pieces", "odd_net"]

LEAST_DEPTH, LARGEST_DEPTH = 21, 1001  # of a net that is proposed for a flow
LARGEST_MASS = Fraction(10**6)


def another_flow(flow: Flow) -> str:
    """What to give in place of the parameters that a flow has, for a sentence."""
    if isinstance(flow, MomentumResNet | CoastingNet):
        return "another gamma or depth"
    return "another depth" if isinstance(flow, ResNet) else "another eps"


def call_text(flow: Flow) -> str:
    """The flow as one writes it in a call: the mass where that says it all.

    The numbers are those of the flow, however long, so that the call gives the same theta.
    """
    if isinstance(flow, ResNet):
        return f"ResNet({flow.depth})"
    if isinstance(flow, MomentumResNet):
        return f'MomentumResNet("{exact_text(flow.gamma)}", {flow.depth})'
    if isinstance(flow, CoastingNet):
        return f'CoastingNet("{exact_text(flow.gamma)}", {flow.depth}, {flow.active})'
    assert isinstance(flow, ODEFlow)  # there is no other kind
    horizon = "" if flow.horizon == 1 else f', horizon="{exact_text(flow.horizon)}"'
    if isinstance(flow, Coasting):
        return f'Coasting("{exact_text(flow.eps)}", "{exact_text(flow.switch)}"{horizon})'
    if isinstance(flow, SecondOrder):
        start = ', "field"' if flow.coast else ""
        text = f'"{exact_text(flow.eps)}"'
        return f"SecondOrder({text}{start}{horizon})" if start or horizon else text
    bare = {FirstOrder: "0", Undamped: '"inf"'}[type(flow)]
    return f"{type(flow).__name__}({horizon[2:]})" if horizon else bare


def exact_text(value: Number) -> str:
    """A number in text that is read back as it is."""
    short = number_text(value)
    if isinstance(value, Fraction) and Fraction(short) != value:
        return value_json(value)
    return short


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
        ways += [f"with {layers_text(odd.depth)}" if sure else "with more coordinates"]
    return ways[:2]


def _is_zero(obstruction: Any) -> bool:
    return obstruction.eigenvalue.position == "at"


def number_word(count: int) -> str:
    """One as a word, others as digits."""
    return "one" if count == 1 else str(count)


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
    mass = min(Fraction(flow.unit_eps), LARGEST_MASS)
    depth = max(LEAST_DEPTH, 2 * math.ceil(1 / mass) + 1)
    if depth > LARGEST_DEPTH:  # as near as so many layers come
        return MomentumResNet("1/2", LARGEST_DEPTH)
    return MomentumResNet(1 - 1 / (mass * depth), depth)


def least_pieces(report: Representability) -> int | None:
    """The least number, read off the decision for one theta."""
    if report.representable:
        return 1
    if not isinstance(report.flow, FirstOrder):
        return 2
    singular = any(e.position == "at" for e in report.eigenvalues)
    below = sum(e.multiplicity for e in report.eigenvalues if e.position == "below")
    return None if singular or below % 2 else 2
