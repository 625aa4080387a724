"""Theta on the eigenvalues that need care: projectors on their parts, and theta there.

In floating point for each cluster of real eigenvalues that psi takes at critical points only or off
the real line only; in exact arithmetic root by root in balls, for small matrices all of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import scipy.linalg

from odemom.errors import IllConditionedError
from odemom.flows.base import Attainment, Flow, RealImage
from odemom.flows.branches import Branches
from odemom.representability.clusters import Cluster
from odemom.representability.criterion import attainment_at, unmet_condition
from odemom.representability.exact import ExactSpectrum, Factor, positions_of
from odemom.representability.floating import cluster_attainment
from odemom.representability.jordan_basis import (
    chain_heads,
    floating_part,
    jordan_of,
    root_part,
)
from odemom.representability.jordan_image import image_of_chains
from odemom.representability.remedies import another_flow
from odemom.representability.schur import SchurForm

if TYPE_CHECKING:
    import flint

__all__ = ["FloatingParts", "Part", "exact_parts", "floating_parts", "nearly_critical"]

Part = tuple[np.ndarray, np.ndarray]
"""The projector on some eigenvalues, and theta on its range."""

IN_BALLS = 24  # the dimension up to which every eigenvalue of an exact matrix is treated in balls
FIRST_BITS = 192
MOST_BITS = 1 << 15
ACCURACY = 2.0**-58
UNIT = 2.0**-53


# --- floating point ----------------------------------------------------------------------------


def floating_parts(form: SchurForm, clusters: list[Cluster], flow: Flow) -> Iterator[Part]:
    """The projector of each cluster that needs care, and theta on its range."""
    import flint

    branches = Branches(flow)
    for cluster in clusters:
        attainment = cluster_attainment(flow.real_image, cluster)
        if attainment is None or attainment.kind == "regular":
            continue
        value = float(cluster.value.real)
        part = floating_part(form, cluster)
        with flint.ctx.workprec(FIRST_BITS):
            image = image_of_chains(flow, flint.acb(value), attainment, cluster.sizes, branches)
            theta = _doubles(image)
        with np.errstate(all="ignore"):  # a theta beyond the doubles is refused as such
            pair = part.right @ part.left, part.right @ theta @ part.left
        yield pair


@dataclass(frozen=True)
class FloatingParts:
    """The parts of several clusters, as one.

    Attributes
    ----------
    right : ndarray of float64, shape (d, m)
        Jordan chains.
    left : ndarray of float64, shape (m, d)
        The dual basis.
    jordan : ndarray of float64, shape (m, m)
        D in that basis: Jordan blocks, exactly.
    """

    right: np.ndarray
    left: np.ndarray
    jordan: np.ndarray

    @classmethod
    def of(cls, form: SchurForm, clusters: list[Cluster]) -> FloatingParts:
        """Those of the clusters."""
        parts = [floating_part(form, cluster) for cluster in clusters]
        return cls(
            np.hstack([part.right for part in parts]),
            np.vstack([part.left for part in parts]),
            np.asarray(scipy.linalg.block_diag(*map(jordan_of, clusters))),
        )


def _doubles(m: flint.acb_mat) -> np.ndarray:
    """The real parts, rounded."""
    return np.array([[float(x.real) for x in row] for row in m.tolist()])


# --- exact -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Root:
    """A root of a factor that is treated in balls; non-real ones stand for their conjugates."""

    factor: Factor
    index: int
    attainment: Attainment | None


def exact_parts(spectrum: ExactSpectrum, flow: Flow) -> list[Part]:
    """The part of all roots that are treated in balls, if there are any."""
    roots = list(_roots(spectrum, flow))
    return [_in_balls(flow, roots, spectrum.dimension)] if roots else []


def _roots(spectrum: ExactSpectrum, flow: Flow) -> Iterator[_Root]:
    """The roots for which chains are needed; for small matrices all of them."""
    image = flow.real_image
    for factor in spectrum.factors:
        positions = positions_of(factor, image)
        for index, position in enumerate(positions):
            attainment = None if position is None else _attainment(factor, index, position, image)
            if position is None and factor.approximate_roots[index].imag < 0:
                continue
            plain = attainment is None or attainment.kind == "regular"
            if spectrum.dimension > IN_BALLS and plain and factor.block_sizes[0] == 1:
                continue
            yield _Root(factor, index, attainment)


def _attainment(factor: Factor, index: int, position: int, image: RealImage) -> Attainment:
    """How psi takes a real root; one that doubles cannot tell from a critical threshold is on it.

    Provided that its blocks are such as a critical point gives. The branches that meet there have
    derivatives that grow beyond all bounds.
    """
    met = unmet_condition(image.at, factor.block_sizes) is None
    near = met and position != 0 and nearly_critical(factor, index, image)
    return image.at if near else attainment_at(image, position)


def nearly_critical(factor: Factor, index: int, image: RealImage) -> bool:
    """Whether doubles cannot tell a real root from a threshold that psi takes critically."""
    if image.at.kind != "critical" or image.threshold is None:
        return False
    threshold = image.threshold.enclosure(FIRST_BITS)
    distance = factor.roots(FIRST_BITS)[index].real - threshold
    return bool(abs(distance) < abs(threshold) * UNIT)


def _in_balls(flow: Flow, roots: list[_Root], d: int) -> Part:
    """The projector on the parts of the roots, and theta there, to double precision."""
    import flint

    heads = {
        id(root.factor): (chain_heads(root.factor), chain_heads(root.factor, transposed=True))
        for root in {id(root.factor): root for root in roots}.values()
    }
    precision = FIRST_BITS
    while True:
        with flint.ctx.workprec(precision):
            total = _sum_of_parts(flow, roots, heads, d)
        if total is not None:
            return total
        precision *= 2
        if precision > MOST_BITS:
            raise IllConditionedError(
                f"D is representable by {flow.describe()}, but {MOST_BITS} bits did not "
                f"suffice to compute theta. Use {another_flow(flow)}, or scale D.",
                None,
            )


def _sum_of_parts(
    flow: Flow,
    roots: list[_Root],
    heads: dict[int, tuple[Any, Any]],
    d: int,
) -> Part | None:
    """None where the precision does not suffice."""
    import flint

    projector: Any = flint.acb_mat(d, d)
    theta: Any = flint.acb_mat(d, d)
    branches = Branches(flow)
    for root in roots:
        try:
            part = root_part(root.factor, root.index, *heads[id(root.factor)])
        except ZeroDivisionError:
            return None
        mu = root.factor.roots(flint.ctx.prec)[root.index]
        sizes = root.factor.block_sizes
        image = image_of_chains(flow, mu, root.attainment, sizes, branches, d == 1)
        own: Any = part.right * part.left
        added: Any = part.right * image * part.left
        weight = 1 if root.attainment is not None else 2  # the real part, twice: the conjugate's
        projector, theta = projector + own * weight, theta + added * weight
    if not (_accurate(projector) and _accurate(theta)):
        return None
    return _doubles(projector), _doubles(theta)


def _accurate(m: flint.acb_mat) -> bool:
    entries = [x.real for row in m.tolist() for x in row]
    largest = max(abs(x).mid() for x in entries)
    return all(x.rad() <= largest * ACCURACY for x in entries)
