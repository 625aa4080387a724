"""The nearest structured matrix: which eigenvalues of a floating matrix count as one.

Eigenvalues are merged, along the single-linkage tree of the spectrum, where a matrix within
delta = tol ||D||_2 has them as one: the staircase of rank decisions on D - mu I (Kågström and Ruhe,
1980), with singular values up to delta/sqrt(d) taken for 0, must account for all of them. It gives
the block sizes, for which the theorem is then evaluated.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from odemom.flows.base import RealImage
from odemom.representability.schur import SchurForm
from odemom.representability.staircase import Effort

__all__ = ["ISOLATED", "Cluster", "Tree", "isolated", "structured_clusters"]

MOST_WORK = 2e9  # about 2 seconds: see `Effort`. No matrix of dimension 64 takes as much.
ISOLATED = 100.0  # an eigenvalue is alone if others are so many times farther than either moves


@dataclass(frozen=True)
class Cluster:
    """Eigenvalues that count as one.

    Attributes
    ----------
    value : float or complex
    members : tuple of complex
        The computed eigenvalues.
    sizes : tuple of int
        Jordan block sizes; of each of the conjugates when ``value`` is not real.
    at_threshold : bool
    """

    value: float | complex
    members: tuple[complex, ...]
    sizes: tuple[int, ...]
    at_threshold: bool = False


@dataclass(frozen=True)
class Tree:
    """The eigenvalues in the upper half plane, and how they part; for any threshold the same.

    A conjugate pair is one point of the upper half plane, so that clusters are closed under
    conjugation.

    Attributes
    ----------
    points : ndarray of complex128
    alone : ndarray of bool
        Which are `isolated` within the tolerance.
    """

    points: np.ndarray
    alone: np.ndarray
    _parts: dict[tuple[int, ...], list[list[int]]] = field(
        default_factory=dict, repr=False, compare=False
    )

    @classmethod
    def of(cls, form: SchurForm, tol: float) -> Tree:
        """The tree of a Schur form, with the relative tolerance ``tol``."""
        upper = np.imag(form.eigenvalues) >= 0
        return cls(form.eigenvalues[upper], isolated(form, tol * form.norm)[upper])

    def parts(self, nodes: list[int]) -> list[list[int]]:
        """What the points of these numbers part into when their longest links are cut."""
        key = tuple(nodes)
        if key not in self._parts:
            self._parts[key] = _split(self.points, np.array(nodes))
        return self._parts[key]


def structured_clusters(
    form: SchurForm, tree: Tree, image: RealImage, tol: float, *, everywhere: bool = False
) -> list[Cluster]:
    """The spectrum of the nearest structured matrix, as far as the threshold makes it matter.

    A cluster off the real line stands for its conjugate too. Those are merged only ``everywhere``.
    What is not merged before `MOST_WORK` is done is left as computed: with hundreds of eigenvalues
    close to each other.
    """
    points, alone, effort = tree.points.tolist(), tree.alone, Effort(MOST_WORK)
    clusters: list[Cluster] = []
    pending = np.flatnonzero(alone)[:, None].tolist()
    if not alone.all():
        pending.append(np.flatnonzero(~alone).tolist())
    while pending:
        nodes = pending.pop()
        chosen = [points[i] for i in nodes]
        cluster = _real_cluster(form, chosen, image, tol, effort)
        if cluster is None and everywhere:
            cluster = _complex_cluster(form, chosen, tol, effort)
        if cluster is not None:
            clusters.append(cluster)
        elif len(nodes) == 1 or effort.exhausted:
            clusters += [Cluster(z, _with_conjugates([z]), (1,)) for z in chosen]
        else:
            pending.extend(tree.parts(nodes))
    return clusters


def isolated(form: SchurForm, delta: float) -> np.ndarray:
    """Which eigenvalues stay simple within delta, to first order, with a factor 100 to spare.

    An eigenvalue moves by about its condition number times delta. When all others (its conjugate
    included) are much farther away than it or they move, it is the only one in its component of
    the delta-pseudospectrum. Those that are to be merged have been split by no more than that.
    """
    z = form.eigenvalues
    distance = np.abs(z[:, None] - z[None, :])
    np.fill_diagonal(distance, np.inf)
    # Of such a condition none is isolated, nor is one of which nothing is known (a nan).
    with np.errstate(over="ignore", invalid="ignore"):
        moves = delta * np.maximum(form.conditions[:, None], form.conditions[None, :])
        return np.all(ISOLATED * moves < distance, axis=1)


def _with_conjugates(points: list[complex]) -> tuple[complex, ...]:
    return tuple(z for p in points for z in ((p,) if p.imag == 0 else (p, p.conjugate())))


def _real_cluster(
    form: SchurForm, chosen: list[complex], image: RealImage, tol: float, effort: Effort
) -> Cluster | None:
    """These eigenvalues as one real eigenvalue, if a matrix within delta has them so."""
    # They are mostly one or two: NumPy's overhead would be most of the time.
    reals = [z.real for z in chosen]
    m, delta = sum(1 if z.imag == 0 else 2 for z in chosen), tol * form.norm
    # An m-fold eigenvalue moves by about (delta/||D||)^{1/m} ||D||; the factor allows for
    # ill-conditioned ones. Beyond, no staircase need be tried.
    radius = 10 * form.norm * tol ** (1 / m)
    if max(z.imag for z in chosen) > radius or max(reals) - min(reals) > 2 * radius:
        return None
    members = _with_conjugates(chosen)
    mean = float(np.mean([z.real for z in members])) if m > 1 else reals[0]
    threshold = None if image.threshold is None else image.threshold.value
    if threshold is not None and mean - radius > threshold:
        return Cluster(mean, members, (1,)) if m == 1 else None
    small = delta / np.sqrt(form.dimension)
    if threshold is not None and abs(mean - threshold) <= radius:
        sizes = form.block_sizes(threshold, m, small, effort)
        if sizes is not None:
            return Cluster(threshold, members, sizes, at_threshold=True)
    if m == 1:
        return Cluster(mean, members, (1,))
    sizes = form.block_sizes(mean, m, small, effort)
    return None if sizes is None else Cluster(mean, members, sizes)


def _complex_cluster(
    form: SchurForm, chosen: list[complex], tol: float, effort: Effort
) -> Cluster | None:
    """These eigenvalues of the upper half plane as one, if a matrix within delta has them so."""
    points, m = np.array(chosen), len(chosen)
    mean, radius = complex(points.mean()), 10 * form.norm * tol ** (1 / m)
    if m == 1 or np.abs(points - mean).max() > radius or np.imag(points).min() == 0:
        return None
    sizes = form.block_sizes(mean, m, tol * form.norm / np.sqrt(form.dimension), effort)
    return None if sizes is None else Cluster(mean, tuple(chosen), sizes)


def _split(points: np.ndarray, nodes: np.ndarray) -> list[list[int]]:
    """The parts of a single-linkage cluster when its longest links are cut.

    They are those into which its shortest spanning tree (Prim) falls, by their first members.
    """
    chosen = points[nodes]
    outside = np.ones(nodes.size, dtype=bool)
    outside[0] = False
    origin, link = np.zeros(nodes.size, dtype=int), np.abs(chosen - chosen[0])
    edges: list[tuple[int, int, float]] = []
    while outside.any():
        child = int(np.argmin(np.where(outside, link, np.inf)))
        edges.append((child, int(origin[child]), float(link[child])))
        outside[child] = False
        distance = np.abs(chosen - chosen[child])
        origin[distance < link] = child
        link = np.minimum(link, distance)
    kept = max(length for _, _, length in edges) * (1 - 1e-9)
    part_of, parts = {0: 0}, [[0]]
    for child, parent, length in edges:
        if length < kept:
            part_of[child] = part_of[parent]
            parts[part_of[child]].append(child)
        else:
            part_of[child] = len(parts)
            parts.append([child])
    return [nodes[sorted(part)].tolist() for part in sorted(parts, key=min)]
