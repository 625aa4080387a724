"""The least number of extra coordinates, from block sizes: interlacing and what psi produces.

D is then the leading block of a representable M of size d + p. For one eigenvalue with block sizes
s_1 >= s_2 >= ... of D and t_1 >= t_2 >= ... of M, Sá (1979) and Thompson (1979) give s_{k+p} <= t_k
<= s_{k-p} (s_j = infinity for j <= 0), the degrees of M adding up to d + p; and t has to be such as
psi produces (`criterion`). The least p is the first for which both can be had:

- not taken: all t_k are 0, so s_{p+1} = 0;
- in pairs: t_{2j-1} = t_{2j} = s_{2j-1+p}, from p = 1 on;
- at points of order n: s_{gn+1+p} <= s_{gn+n-p} + 1 for every group of n, with t_k >=
  max(s_{k+p}, s_{gn+1+p} - 1) in the group g.
"""

from __future__ import annotations

from collections.abc import Sequence

from odemom.flows.base import Attainment
from odemom.representability.base import Spectrum
from odemom.representability.criterion import attainment_at, unmet_condition
from odemom.representability.floating import FloatingSpectrum, cluster_attainment
from odemom.representability.report import Representability

__all__ = ["least_coordinates", "least_degree", "least_sizes", "sizes_for"]


def least_coordinates(found: Spectrum, report: Representability) -> int:
    """The least p, from the decision without extra coordinates.

    The degrees are free for the taking but where blocks are to be larger than they were: at
    critical points of order 3 or more.
    """
    if report.representable:
        return 0
    obstructed = [(o.attainment, o.eigenvalue.blocks or ()) for o in report.obstructions]
    limited = any(a.kind == "critical" and a.order > 2 for a, _ in obstructed)
    others = _others(found, report) if limited else []
    p = 1
    while True:
        degrees = [least_degree(a, sizes, p) for a, sizes in [*obstructed, *others]]
        if None not in degrees:
            room = found.dimension + p - sum(d for d in degrees if d is not None)
            if not limited or room >= 0:
                return p
        p += 1


def _others(
    found: Spectrum, report: Representability
) -> list[tuple[Attainment | None, tuple[int, ...]]]:
    """How the flow takes the eigenvalues that are not obstructed, and their block sizes."""
    image = report.flow.real_image
    sides = {"below": -1, "at": 0, "above": 1}
    others: list[tuple[Attainment | None, tuple[int, ...]]] = []
    if isinstance(found, FloatingSpectrum):
        for cluster in found.others(report.flow):
            way = cluster_attainment(image, cluster)
            others += [(way, cluster.sizes)] * (2 if cluster.value.imag else 1)
        return others
    sizes = list(found.jordan_structure().items())
    obstructed = {o.eigenvalue.value for o in report.obstructions}
    judged = {e.value: e.position for e in report.eigenvalues}
    for value, blocks in sizes:
        if value not in obstructed:
            side = sides.get(judged.get(value, "non-real"))
            others.append((None if side is None else attainment_at(image, side), blocks))
    return others


def least_degree(attainment: Attainment | None, sizes: Sequence[int], p: int) -> int | None:
    """The least sum of the block sizes that M can have at an eigenvalue, or None if there are none.

    Parameters
    ----------
    attainment : Attainment or None
        How psi takes it; None off the real line.
    sizes : sequence of int
        The block sizes of D there, in decreasing order.
    p : int
        The number of extra coordinates.

    Examples
    --------
    >>> from odemom.flows import Attainment
    >>> least_degree(Attainment("pairs"), (2, 1), 1), least_degree(Attainment("never"), (1, 1), 1)
    (2, None)
    """
    found = least_sizes(attainment, sizes, p)
    return None if found is None else sum(found)


def least_sizes(
    attainment: Attainment | None, sizes: Sequence[int], p: int
) -> tuple[int, ...] | None:
    """The least block sizes that M can have at an eigenvalue, or None; see `least_degree`."""
    low = [*sizes[p:], *[0] * p]
    if attainment is None or attainment.kind == "regular":
        return tuple(low)
    if attainment.kind == "never":
        return None if any(low) else ()
    if p == 0:
        return tuple(sizes) if unmet_condition(attainment, sizes) is None else None
    if attainment.kind == "pairs":
        return tuple(x for x in low[::2] for _ in range(2) if x)
    return _groups(sizes, low, attainment.order, p)


def _groups(sizes: Sequence[int], low: list[int], n: int, p: int) -> tuple[int, ...] | None:
    found: list[int] = []
    for start in range(0, len(low), n):
        first, last = low[start], start + n - p  # the last place of the group, p earlier, from 1 on
        above = sizes[last - 1] if 1 <= last <= len(sizes) else 0
        if last >= 1 and first > above + 1:
            return None
        width = min(n, len(sizes) + p)  # beyond, the group ends with no block
        group = [*low[start : start + n], *[0] * width][:width]
        found += [max(x, first - 1) for x in group]
    return tuple(x for x in found if x > 0)


def sizes_for(attainment: Attainment, sizes: Sequence[int], p: int) -> tuple[int, ...]:
    """Sizes for M at an obstructed eigenvalue, no larger than those of D if possible."""
    n, slack = (2, 0) if attainment.kind == "pairs" else (attainment.order, 1)
    if attainment.kind != "never":
        lasts = [k - k % n + n - 1 for k in range(len(sizes))]
        ends = [sizes[last] if last < len(sizes) else 0 for last in lasts]
        shrunk = [min(s, end + slack) for s, end in zip(sizes, ends, strict=True)]
        if all(x >= s for x, s in zip(shrunk, sizes[p:], strict=False)):
            return tuple(x for x in shrunk if x)
    found = least_sizes(attainment, sizes, p)
    assert found is not None  # p is the least number for which there are some
    return found
