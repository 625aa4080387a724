"""A representable matrix with D in its corner: which block sizes it has, one border after another.

The sizes that all eigenvalues are to have in the end are chosen first (`interlacing`). After i of
the p borders an eigenvalue with sizes s and goal g has the sizes max(s_{k+i}, g_k), or, where some
block is to grow, max(s_{k+i}, g_{k+p-i}): the least from which the goal can still be reached. Of
those the degrees fit after every border if they do after the last, for their sum is convex in i:
the number of sizes >= l among them is max(#{s >= l} - i, #{g >= l} - p + i, 0).
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import numpy as np

from odemom.errors import UndecidedError
from odemom.flows.base import Attainment, Flow
from odemom.representability.bordering import Change, bordered
from odemom.representability.criterion import attainment_at, unmet_condition
from odemom.representability.exact import ExactSpectrum, Factor, positions_of
from odemom.representability.exact_matrix import ExactMatrix
from odemom.representability.interlacing import least_sizes, sizes_for
from odemom.representability.witness_parts import nearly_critical

__all__ = ["completed"]

Sizes = tuple[int, ...]
Goals = dict[Any, tuple[Sizes, Sizes]]
"""The minimal polynomial of each factor, with the sizes in D and those that it is to have."""


def completed(found: ExactSpectrum, flow: Flow, count: int) -> ExactMatrix:
    """A matrix of size d + count that the flow represents, with D in its corner.

    Parameters
    ----------
    found : ExactSpectrum
        That of D.
    flow : Flow
    count : int
        At least the number of `interlacing.least_coordinates`.
    """
    goals, numbers = _goals(found, flow, count), found.numbers
    scale = _scale(found, goals)
    for i in range(1, count + 1):
        changes, new = [], []
        for factor in ExactSpectrum(numbers).factors:
            pair = goals.get(factor.minimal_polynomial)
            if pair is None:
                new.append(Change(factor, factor.block_sizes[1:]))  # of a border before
                continue
            wanted = _on_the_way(*pair, i, count)
            if wanted != factor.block_sizes:
                changes.append(Change(factor, wanted))
        numbers = bordered(numbers, _with_room(changes, new), scale)
    return numbers


def _goals(found: ExactSpectrum, flow: Flow, count: int) -> Goals:
    """Sizes that the flow produces, for every factor; smaller ones where others need the room."""
    ways = {f.minimal_polynomial: _strictest(f, flow) for f in found.factors}
    room, goals = found.dimension + count, {}
    for factor in found.factors:
        sizes, way = factor.block_sizes, ways[factor.minimal_polynomial]
        met = way is None or unmet_condition(way, sizes) is None
        goal = sizes if met or way is None else sizes_for(way, sizes, count)
        goals[factor.minimal_polynomial] = (sizes, goal)
        room -= factor.degree * sum(goal)
    for factor in found.factors:
        if room >= 0:
            break
        sizes, goal = goals[factor.minimal_polynomial]
        least = least_sizes(ways[factor.minimal_polynomial], sizes, count)
        if least is not None:
            goals[factor.minimal_polynomial] = (sizes, least)
            room += factor.degree * (sum(goal) - sum(least))
    return goals


def _strictest(factor: Factor, flow: Flow) -> Attainment | None:
    """How psi takes the roots of a factor; those that it does not take regularly decide.

    One just above a critical threshold counts as on it: theta on larger blocks would be out of the
    reach of doubles.
    """
    image = flow.real_image
    for index, position in enumerate(positions_of(factor, image)):
        if position is not None:
            near = position > 0 and nearly_critical(factor, index, image)
            found = attainment_at(image, 0 if near else position)
            if found.kind != "regular":
                return found
    return None


def _at(row: Sequence[int], k: int) -> int:
    return row[k] if k < len(row) else 0


def _on_the_way(sizes: Sizes, goal: Sizes, i: int, count: int) -> Sizes:
    """The sizes after i of the borders; see the module's text."""
    places = range(max(len(goal), len(sizes)))
    grows = any(_at(goal, k) > _at(sizes, k) for k in places)
    shift = count - i if grows else 0
    found = [max(_at(sizes, k + i), _at(goal, k + shift)) for k in places]
    return tuple(x for x in found if x)


def _with_room(changes: list[Change], new: list[Change]) -> list[Change]:
    """The changes, and as many eigenvalues of borders before dropped as larger blocks take."""
    missing = sum(c.factor.degree * (c.added - c.removed) for c in changes) - 1
    for change in new:
        if missing > 0:
            changes = [*changes, change]
            missing -= change.factor.degree * change.removed
    if missing > 0:
        raise UndecidedError(
            "augmentation: theta exists, but its degrees were not found. The number of coordinates "
            "is right; exact=True may give theta."
        )
    return changes


def _scale(found: ExactSpectrum, goals: Goals) -> Fraction:
    """A power of two near the largest of the eigenvalues that change; 1 if they are 0."""
    sizes = [
        max(abs(complex(float(z.real.mid()), float(z.imag.mid()))) for z in f.approximate_roots)
        for f in found.factors
        if len(set(goals[f.minimal_polynomial])) > 1
    ]
    largest = max(sizes, default=0.0)
    return Fraction(2) ** round(np.log2(largest)) if largest > 0 else Fraction(1)
