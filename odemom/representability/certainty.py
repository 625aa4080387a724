"""What is certain on floating input: the verdict that every nearby matrix shares.

Let delta = tol ||D||_2. S = {x real : sigma_min(D - x I) <= delta} is the set of real numbers that
are an eigenvalue of some real matrix within delta of D. If S does not meet (-inf, t], t the
threshold of the flow, then no matrix that close is obstructed. If y <= t is not in S then
det(D' - y I) has the same sign for all those D'; hence if D has an odd number of real eigenvalues
below y, so has every D', one of them has odd multiplicity, and all D' are obstructed. In every
other case some real matrix within delta has a simple eigenvalue below t while another has not:
borderline. The ends of the intervals of S are real eigenvalues of [[T, -delta I], [-delta I, T']],
T the real Schur form of D (Byers, 1988).
"""

from __future__ import annotations

import numpy as np

from odemom.flows.base import RealImage
from odemom.representability.reach import ALL, FEW, TRIED
from odemom.representability.schur import SchurForm

__all__ = ["certain_verdict"]


def certain_verdict(form: SchurForm, image: RealImage, delta: float) -> bool | None:
    """The verdict shared by all real matrices within ``delta``, or None when they differ."""
    if image.threshold is None:
        return True
    t = image.threshold.value
    if image.below.kind == "regular":
        return True if form.smallest_singular_value(t) > delta else None
    real = np.sort(np.real(form.eigenvalues)[np.imag(form.eigenvalues) == 0])
    real = real[real <= t]
    if not real.size and _all_clear(form, t, delta):
        return True
    if _odd_separator(form, real, t, delta):
        return False
    return _verdict_by_level_set(form, real, t, delta)


def _all_clear(form: SchurForm, t: float, delta: float) -> bool:
    """Whether no eigenvalue can reach (-inf, t], by the theorem of Bauer and Fike."""
    z = form.eigenvalues
    distance = np.where(np.real(z) <= t, np.abs(np.imag(z)), np.abs(z - t)).min()
    return form.moves_less_than(float(distance), delta)


def _odd_separator(form: SchurForm, real: np.ndarray, t: float, delta: float) -> bool:
    """Whether some y <= t outside S has an odd number of real eigenvalues below.

    Tried are t and the middles of the widest gaps; the level set finds the others.
    """
    candidates = [t] if real.size % 2 else []
    gaps = np.diff(real)[::2]
    widest = np.argsort(gaps)[::-1][:3]
    candidates += [float(real[2 * i] + gaps[i] / 2) for i in widest if gaps[i] > 2 * delta]
    return any(form.smallest_singular_value(y) > delta for y in candidates)


def _is_clear(form: SchurForm, places: np.ndarray, delta: float) -> bool:
    """Whether none of the places, in increasing order, is in S; False where that takes long.

    The singular value at a place changes by no more than the place does, so that it answers for
    those next to it.
    """
    clear_to, left = -np.inf, len(places) if form.dimension <= ALL else TRIED
    for place in places.tolist():
        if place < clear_to:
            continue
        value = form.smallest_singular_value(place) if left else 0.0
        if not value > delta:
            return False
        left -= 1
        clear_to = place + 0.99 * (value - delta)
    return True


def _verdict_by_level_set(form: SchurForm, real: np.ndarray, t: float, delta: float) -> bool | None:
    """The verdict from the ends of the intervals of S, or None.

    An end is a real eigenvalue of the pencil, but a defective one is computed with an imaginary
    part; so every eigenvalue of it, and of D, counts as a place where S may be met.
    """
    z = np.concatenate([form.level_set(delta), form.eigenvalues])
    z = z[np.real(z) <= t]
    if not real.size:
        return True if _is_clear(form, np.unique([*np.real(z), t]), delta) else None
    near = np.abs(np.imag(z)) <= (np.inf if form.dimension <= FEW else 1e-3 * form.norm)
    places = np.unique(np.real(z)[near])  # a separator that is left out makes no answer wrong
    separators = [y for y in (places[1:] + places[:-1]) / 2 if (real < y).sum() % 2]
    return False if any(form.smallest_singular_value(y) > delta for y in separators) else None
