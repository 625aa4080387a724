"""How far psi(theta) lies from D, by references that share no code with odemom."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import flint
import mpmath
import numpy as np
import pytest

import odemom
from odemom.flows import FirstOrder, Flow, MomentumResNet, ResNet, SecondOrder, Undamped
from tests.oracles import UNIT, psi_matrix, real

FLOWS = [
    FirstOrder(),
    SecondOrder("1/10"),
    SecondOrder("1/4"),
    SecondOrder("1/2"),
    SecondOrder(1),
    SecondOrder(2),
    SecondOrder(10),
    SecondOrder(1, horizon=2),
    Undamped(),
    SecondOrder(1, "field"),
    ResNet(2),
    ResNet(3),
    MomentumResNet("9/10", 20),
    MomentumResNet("1/2", 2),
    MomentumResNet("1/2", 3),
]


def by_layers(theta: Any, gamma: Fraction, depth: int) -> Any:
    """Psi of a net of tied linear layers, layer by layer in rational arithmetic."""
    rows = [[Fraction(x) for x in row] for row in np.asarray(theta).tolist()]
    d = len(rows)
    g = flint.fmpq(gamma.numerator, gamma.denominator)
    step = flint.fmpq_mat([[flint.fmpq(x.numerator, x.denominator) for x in r] for r in rows])
    step *= 1 - g
    x = flint.fmpq_mat([[int(i == j) for j in range(d)] for i in range(d)])
    v = flint.fmpq_mat(d, d)
    for _ in range(depth):
        v = v * g + step * x
        x = x + v
    return mpmath.matrix([[mpmath.mpf(int(q.p)) / int(q.q) for q in row] for row in x.tolist()])


def psi_by_reference(theta: Any, flow: Flow) -> Any:
    """psi(theta) for the doubles that theta holds, to 40 digits of its norm."""
    match flow:
        case ResNet():
            return by_layers(theta, Fraction(0), flow.depth)
        case MomentumResNet():
            return by_layers(theta, Fraction(flow.gamma), flow.depth)
        case FirstOrder():
            return psi_matrix(theta, 0, horizon=flow.horizon)
        case Undamped():
            return psi_matrix(theta, math.inf, horizon=flow.horizon)
        case SecondOrder():
            field = flow.initial_velocity == "field"
            return psi_matrix(theta, flow.eps, field=field, horizon=flow.horizon)
    raise TypeError(f"no reference for {flow!r}")


def true_residual(theta: np.ndarray, rows: Any, flow: Flow) -> float:
    """||psi(theta) - D||/||D|| in the Frobenius norm, theta and D taken exactly."""
    with mpmath.workdps(50):
        d = mpmath.matrix([[real(Fraction(x)) for x in row] for row in rows])
        difference = psi_by_reference(theta, flow) - d
        return float(mpmath.norm(difference, 2) / (mpmath.norm(d, 2) or 1))


def verified_witness(rows: Any, flow: Flow, **keywords: Any) -> Any:
    """The witness, with its claims verified."""
    witness = odemom.represent(rows, flow, full_output=True, **keywords)
    theta = witness.theta
    assert theta.dtype == np.float64
    assert np.isfinite(theta).all()
    assert witness.report
    exact = true_residual(theta, np.asarray(rows, dtype=object).tolist(), flow)
    assert exact <= 30 * UNIT * max(1, witness.condition)
    assert witness.residual == pytest.approx(exact, abs=100 * UNIT * max(1, witness.condition))
    return witness
