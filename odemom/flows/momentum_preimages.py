"""The real preimages of a value under psi of a Momentum ResNet, all of them, in doubles.

With y = cos(phi) as in `momentum_threshold`, psi is monotone between neighbouring critical points
and beyond the outermost; each such piece takes a value at most once, and the pieces whose ends lie
on different sides of the value take it at a regular point.
"""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np

from odemom.flows.momentum_threshold import critical_points
from odemom.flows.preimages import block_condition

__all__ = ["best_real_preimage"]

# How much worse for blocks of two than the best a point may be that is to be best for numbers.
REGULAR = 1e3


def best_real_preimage(mu: float, gamma: Fraction, depth: int, size: int) -> float:
    """The regular real z with psi(z) = mu at which psi and its inverse are best conditioned.

    Parameters
    ----------
    mu : float
        A value that psi takes at a regular real point.
    gamma : Fraction
    depth : int
    size : int
        Of the Jordan block that is to be taken.

    Returns
    -------
    float
        To double precision: Newton's method is to go on from there.

    Raises
    ------
    OverflowError
        If mu is beyond the doubles, in which it is searched for.
    """
    if not math.isfinite(mu):
        raise OverflowError(f"an eigenvalue of {mu}")
    z = _crossings(mu, gamma, depth)
    value, c1, c2, c3 = _taylor(z, gamma, depth)
    with np.errstate(all="ignore"):
        pair, own = (block_condition(k, z, value, c1, c2, c3) for k in (2, size))
    # At a critical point nothing magnifies a number, but what is next to it is out of reach.
    pair = np.where(np.isfinite(pair), pair, np.inf)
    return float(z[int(np.argmin(np.where(pair <= REGULAR * pair.min(), own, np.inf)))])


def _crossings(mu: float, gamma: Fraction, depth: int) -> np.ndarray:
    """A root of psi - mu in each monotone piece whose ends are on different sides of mu."""
    g, rest = float(gamma), float(1 - gamma)
    scale = 2 * math.sqrt(g)
    inner = (np.array(critical_points(gamma, depth)) * rest + 1 + g) / scale
    ends = np.concatenate([[_beyond(mu, -1, g, depth)], inner, [_beyond(mu, 1, g, depth)]])
    above = _psi_of(ends, g, depth) > mu
    crossed = np.flatnonzero(above[1:] != above[:-1])
    low, high, rising = ends[crossed], ends[crossed + 1], above[crossed + 1]
    for _ in range(60):
        middles = (low + high) / 2
        right = (_psi_of(middles, g, depth) > mu) != rising
        low, high = np.where(right, middles, low), np.where(right, high, middles)
    return (scale * (low + high) / 2 - 1 - g) / rest


def _beyond(mu: float, side: int, gamma: float, depth: int) -> float:
    """A y beyond all critical points on one side where |psi| exceeds |mu|."""
    y = 2.0 * side
    while abs(_psi_of(np.array([y]), gamma, depth)[0]) <= abs(mu):
        y *= 2
    return y


def _psi_of(y: np.ndarray, gamma: float, depth: int) -> np.ndarray:
    """Psi as a function of y: by angles between -1 and 1, beyond by exponentials."""
    root, size, values = math.sqrt(gamma), depth / 2 * math.log(gamma), np.empty_like(y)
    within = np.abs(y) < 1
    phi = np.arccos(y[within])
    with np.errstate(all="ignore"):
        waves = np.sin((depth + 1) * phi) - root * np.sin(depth * phi)
        values[within] = math.exp(size) * waves / np.sin(phi)
        beyond = y[~within]
        t = np.maximum(np.arccosh(np.abs(beyond)), 1e-9)
        sign = np.where(beyond > 0, 1, -1)
        waves = -np.expm1(-2 * (depth + 1) * t)
        waves += sign * root * np.exp(-t) * np.expm1(-2 * depth * t)
        values[~within] = sign**depth * np.exp(size + depth * t) * waves / -np.expm1(-2 * t)
    return values


def _taylor(z: np.ndarray, gamma: Fraction, depth: int) -> tuple[np.ndarray, ...]:
    """Psi and its first three Taylor coefficients about several points, layer by layer."""
    g, rest = float(gamma), float(1 - gamma)
    x = [np.ones_like(z), *(np.zeros_like(z) for _ in range(3))]
    v = [np.zeros_like(z) for _ in range(4)]
    with np.errstate(all="ignore"):
        for _ in range(depth):
            moved = [z * x[0], *(z * x[k] + x[k - 1] for k in range(1, 4))]
            v = [g * v[k] + rest * moved[k] for k in range(4)]
            x = [x[k] + v[k] for k in range(4)]
    return tuple(x)
