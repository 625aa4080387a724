"""Where the least obstructed eigenvalue of the matrices within a tolerance of a floating one lies.

Let tau(D) be the least real eigenvalue with blocks that are not paired, inf if there is none. With
S as in `certainty`, the real numbers that are an eigenvalue of some matrix within delta,

- tau(D') >= min S for every D' that close;
- tau(D') < y for every y outside S below which D has an odd number of real eigenvalues.

Where all eigenvalues are far apart for their condition numbers, each stays in a disc of its own
(the proof is in `batch`). Otherwise the ends of S come from a pencil (Byers, 1988), of the level
2 delta, so that what rounding does to them is to spare.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np

from odemom.checks import nearest_double
from odemom.flows.base import RealImage
from odemom.representability.clusters import ISOLATED, isolated
from odemom.representability.edge import THRESHOLD_BITS, Extreme, bracket, ends
from odemom.representability.schur import SchurForm

__all__ = ["Reach", "largest_scale_within", "least_eps_within", "obstruction_reach"]

FEW = 64  # beyond this dimension only some gaps of S, and some places, are tried
TRIED = 16
ALL = 200  # up to this dimension all places take less time than the decision itself


@dataclass(frozen=True)
class Reach:
    """Bounds for tau of all matrices within delta, as far as it is negative.

    Attributes
    ----------
    low, high : float
        inf where no eigenvalue need be, or can be, obstructed.
    simple : bool
        Whether it is the same eigenvalue for all of them, a simple one.
    """

    low: float
    high: float
    simple: bool


def obstruction_reach(form: SchurForm, delta: float) -> Reach:
    """The bounds for the matrices within ``delta`` of the one that the form is of."""
    discs = _by_discs(form, delta)
    return _by_level_set(form, delta) if discs is None else discs


def _by_discs(form: SchurForm, delta: float) -> Reach | None:
    z, d = form.eigenvalues, form.dimension
    with np.errstate(over="ignore"):
        moves = delta * form.conditions
        distance = np.abs(z[:, None] - z[None, :])
        np.fill_diagonal(distance, np.inf)
        apart = max(2 * ISOLATED, 4 * d) * np.maximum(moves[:, None], moves)
    if not (apart < distance).all():
        return None
    real = np.flatnonzero(np.imag(z) == 0)
    if not real.size:
        return Reach(np.inf, np.inf, True)
    least = real[np.argmin(np.real(z[real]))]
    radius = 2 * d * float(moves[least])
    middle = float(np.real(z[least]))
    return Reach(middle - radius, middle + radius, True)


def _by_level_set(form: SchurForm, delta: float) -> Reach:
    z = np.concatenate([form.level_set(2 * delta), form.eigenvalues])
    places = np.unique(np.append(np.real(z)[np.real(z) <= 0], 0.0))
    low = _first_met(form, places, delta)
    if low == np.inf:
        return Reach(np.inf, np.inf, True)
    real = np.sort(np.real(form.eigenvalues)[np.imag(form.eigenvalues) == 0])
    high = _first_odd_gap(form, places[places >= low], real, delta)
    return Reach(low, high, _one_alone(form, low, high, delta))


def _one_alone(form: SchurForm, low: float, high: float, delta: float) -> bool:
    """Whether just one real eigenvalue, an isolated one, is all that lies between the bounds."""
    z = form.eigenvalues
    inside = np.flatnonzero((np.imag(z) == 0) & (np.real(z) >= low) & (np.real(z) <= high))
    if inside.size != 1 or not isolated(form, delta)[inside[0]]:
        return False
    reach = ISOLATED * delta * float(form.conditions[inside[0]])
    middle = float(np.real(z[inside[0]]))
    return middle - low <= reach and high - middle <= reach


def _first_met(form: SchurForm, places: np.ndarray, delta: float) -> float:
    """The least of the places that is in S, or may be."""
    clear_to, left = -np.inf, len(places) if form.dimension <= ALL else TRIED
    for place in places.tolist():
        if place < clear_to:  # the singular value changes by no more than the place does
            continue
        if left == 0:
            return place
        left -= 1
        value = form.smallest_singular_value(place)
        if value <= 3 * delta:
            return _left_of(form, place, delta)
        clear_to = place + 0.99 * (value - 3 * delta)
    return np.inf


def _left_of(form: SchurForm, place: float, delta: float) -> float:
    """A point outside of S, or the place if that is, to the left of the interval of S around it.

    The end of that interval is no place where rounding has made a complex pair of both its ends.
    """
    left, step = place, delta
    while form.smallest_singular_value(left) <= 1.2 * delta:
        left, step = place - step, 2 * step
    return float(left)


def _first_odd_gap(form: SchurForm, places: np.ndarray, real: np.ndarray, delta: float) -> float:
    """The left end of the first gap of S with an odd number of real eigenvalues below."""
    middles = (places[1:] + places[:-1]) / 2
    odd = np.flatnonzero([(real < y).sum() % 2 for y in middles])
    if form.dimension > FEW and odd.size > TRIED:
        widest = np.argsort((places[1:] - places[:-1])[odd])[::-1][:TRIED]
        odd = np.sort(odd[widest])
    for i in odd:
        if form.smallest_singular_value(float(middles[i])) <= 1.5 * delta:
            continue
        left = float(places[i])
        clear = form.smallest_singular_value(left) > 1.2 * delta and (real < left).sum() % 2
        return left if clear else float(middles[i])
    return np.inf


# --- what follows for eps and the scale --------------------------------------------------------


def least_eps_within(nearest: Extreme, reach: Reach) -> Extreme:
    """The least eps of a floating matrix: from that of the nearest structured one, with bounds."""
    low = 0.0 if reach.high >= 0 else math.inf
    if -1 < reach.high < 0:
        low = bracket(Fraction(reach.high))[0]
    high = 0.0 if reach.low > 0 else math.inf
    if -1 < reach.low < 0:
        high = bracket(Fraction(reach.low))[1]
    elif reach.low == 0:
        high = bracket(-Fraction(1, 1 << 1074))[1]
    one_side = reach.low > 0 or reach.high < -1
    certain = one_side or (reach.simple and reach.low > -1 and reach.high < 0)
    return _within(nearest, low, high, certain)


def largest_scale_within(
    nearest: Extreme, reach: Reach, image: RealImage, singular: bool
) -> Extreme:
    """The largest scale of a floating matrix, likewise.

    Parameters
    ----------
    singular : bool
        Whether a matrix within the tolerance is.
    """
    threshold = image.threshold
    if threshold is None:
        return nearest
    if image.below.kind == "regular":  # only zero is in the way
        return _within(nearest, 0.0 if singular else math.inf, math.inf, not singular)
    if threshold.rational == 0:
        low, high = (math.inf if x > 0 else 0.0 for x in (reach.low, reach.high))
        return _within(nearest, low, math.inf if reach.high >= 0 else high, low == high)
    low_t, high_t = ends(threshold.enclosure(THRESHOLD_BITS))
    low = high_t / Fraction(reach.low) if reach.low < 0 else math.inf
    high = low_t / Fraction(reach.high) if reach.high < 0 else math.inf
    certain = reach.low > 0 or (reach.simple and reach.high < 0)
    return _within(nearest, low, high, certain)


def _within(
    nearest: Extreme, low: Fraction | float, high: Fraction | float, certain: bool
) -> Extreme:
    """With these bounds, and the value moved between them should rounding have put it outside."""
    value = min(max(nearest.value, nearest_double(low)), nearest_double(high))
    status = "certain" if certain else "borderline"
    return replace(nearest, value=value, interval=(low, high), status=status)
