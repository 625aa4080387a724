"""The decision on floating input: certain where every nearby matrix agrees, or borderline.

Let delta = tol ||D||_2. Two things are computed from the real Schur form T of D.

*What is certain.* S = {x real : sigma_min(D - x I) <= delta} is the set of real numbers that are an
eigenvalue of some real matrix within delta of D. If S does not meet (-inf, t], t the threshold of
the flow, then no matrix that close is obstructed. If y <= t is not in S then det(D' - y I) has the
same sign for all those D'; hence if D has an odd number of real eigenvalues below y, so has every
D', one of them has odd multiplicity, and all D' are obstructed. In every other case some real
matrix within delta has a simple eigenvalue below t while another has not: borderline. The ends of
the intervals of S are real eigenvalues of [[T, -delta I], [-delta I, T']] (Byers, 1988).

*The nearest structured matrix.* Eigenvalues are merged, along the single-linkage tree of the
spectrum, where a matrix within delta has them as one: the staircase of rank decisions on D - mu I
(Kågström and Ruhe, 1980), with singular values up to delta/sqrt(d) taken for 0, must account for
all of them. It gives the block sizes, for which the theorem is then evaluated.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.linalg
import scipy.sparse.csgraph

from odemom.checks import as_number, expect, shown
from odemom.flows.base import Flow, RealImage
from odemom.representability.criterion import attainment_at, unmet_condition
from odemom.representability.exact import POSITIONS, sizes_from_weyr
from odemom.representability.report import EigenvalueReport, Obstruction, Representability
from odemom.representability.staircase import staircase

__all__ = [
    "Cluster",
    "SchurForm",
    "analyze_floating",
    "as_tolerance",
    "decide_floating",
    "default_tol",
    "in_range",
    "structured_clusters",
]

LARGEST_ENTRY = 1e305


def default_tol(d: int, unit: float) -> float:
    """8 d u: the backward error of the Schur form is below d u ||D|| in practice (Higham 2002,
    chapter 1), and the rank decisions of the staircase are taken at 1/sqrt(d) of it.

    Parameters
    ----------
    d : int
        The dimension.
    unit : float
        The spacing 2u of the input's floating-point type at 1.
    """
    return 4 * d * unit


def as_tolerance(tol: Any, given: Any, matrices: np.ndarray) -> float:
    """The relative tolerance: ``tol`` in (0, 1), or the default for the type that was given.

    What is below the default for doubles cannot be resolved, and is raised to it.
    """
    least = default_tol(matrices.shape[-1], float(np.finfo(np.float64).eps))
    if tol is not None:
        expected = "a number in (0, 1)"
        value = as_number(tol, "tol", expected)
        expect(0 < value < 1, "tol", got=shown(tol), expected=expected)
        return max(float(value), least)
    dtype = getattr(given, "dtype", None)
    if isinstance(dtype, np.dtype) and dtype.kind == "f" and dtype.itemsize < 8:
        return default_tol(matrices.shape[-1], float(np.finfo(dtype).eps))
    return least


def in_range(matrix: np.ndarray) -> np.ndarray:
    """The matrix, if its norm is one that doubles can square and sum."""
    largest = np.abs(matrix).max()
    expect(
        largest <= LARGEST_ENTRY,
        "D",
        got=f"an entry of size {largest:.3g}",
        expected=f"entries up to {LARGEST_ENTRY:g} in floating point",
        fix="exact=True has no such limit.",
    )
    return matrix


@dataclass(frozen=True)
class SchurForm:
    """A real Schur form with what the decision asks of it.

    Attributes
    ----------
    t, q : ndarray of float64, shape (d, d)
        D = q t q', q orthogonal.
    eigenvalues : ndarray of complex128, shape (d,)
        Real ones have an imaginary part that is exactly 0.
    conditions : ndarray of float64, shape (d,)
        Condition numbers of the eigenvalues: 1/|y* x|, for left and right unit eigenvectors.
    basis_condition : float
        Condition number of the matrix of unit eigenvectors, in the Frobenius norm.
    norm : float
        The spectral norm.
    """

    t: np.ndarray
    q: np.ndarray
    eigenvalues: np.ndarray
    conditions: np.ndarray
    basis_condition: float
    norm: float

    @classmethod
    def of(cls, d: np.ndarray) -> SchurForm:
        """The form of a matrix, shape (d, d)."""
        factors: Any = scipy.linalg.schur(d, output="real")
        t, q = factors
        eigenvalues, vectors = np.linalg.eig(t)
        size = len(t)
        with np.errstate(over="ignore", invalid="ignore"):
            try:
                inverse = np.linalg.inv(vectors)
            except np.linalg.LinAlgError:  # exactly defective
                inverse = np.full((size, size), np.inf)
            inverse = np.where(np.isnan(inverse), np.inf, np.abs(inverse))
            conditions = np.linalg.norm(inverse, axis=1)
            basis = float(np.linalg.norm(vectors) * np.linalg.norm(inverse))
        norm = float(np.linalg.norm(t, 2))
        return cls(t, q, eigenvalues.astype(np.complex128), conditions, basis, norm)

    @property
    def dimension(self) -> int:
        """The number of rows."""
        return self.t.shape[0]

    def smallest_singular_value(self, x: float) -> float:
        """The distance from D to the real matrices that have the real eigenvalue x."""
        shifted = self.t - x * np.eye(self.dimension)
        return float(np.linalg.svd(shifted, compute_uv=False)[-1])

    def block_sizes(self, mu: complex, m: int, delta: float) -> tuple[int, ...] | None:
        """Jordan block sizes of the m-fold eigenvalue mu of a matrix near D; None if not m-fold."""
        at_least = staircase(self.t - mu * np.eye(self.dimension), delta, limit=m)
        return sizes_from_weyr(at_least) if sum(at_least) == m else None


# --- what is certain ---------------------------------------------------------------------------


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
    # The residual of computed eigenpairs is of the order of roundoff times the norm.
    residual = form.dimension * np.finfo(float).eps * form.norm
    return bool(form.basis_condition * (delta + residual) < distance)


def _odd_separator(form: SchurForm, real: np.ndarray, t: float, delta: float) -> bool:
    """Whether some y <= t outside S has an odd number of real eigenvalues below.

    Tried are t and the middles of the widest gaps; the level set finds the others.
    """
    candidates = [t] if real.size % 2 else []
    gaps = np.diff(real)[::2]
    widest = np.argsort(gaps)[::-1][:3]
    candidates += [float(real[2 * i] + gaps[i] / 2) for i in widest if gaps[i] > 2 * delta]
    return any(form.smallest_singular_value(y) > delta for y in candidates)


def _verdict_by_level_set(form: SchurForm, real: np.ndarray, t: float, delta: float) -> bool | None:
    """The verdict from the ends of the intervals of S, or None.

    An end is a real eigenvalue of the pencil, but a defective one is computed with an imaginary
    part; so every eigenvalue of it, and of D, counts as a place where S may be met.
    """
    z = np.concatenate([_level_set(form, delta), form.eigenvalues])
    near = np.abs(np.imag(z)) <= (np.inf if form.dimension <= 64 else 1e-3 * form.norm)
    places = np.unique(np.real(z)[near & (np.real(z) <= t)])
    if not real.size:
        clear = all(form.smallest_singular_value(x) > delta for x in [t, *places])
        return True if clear else None
    separators = [y for y in (places[1:] + places[:-1]) / 2 if (real < y).sum() % 2]
    return False if any(form.smallest_singular_value(y) > delta for y in separators) else None


def _level_set(form: SchurForm, delta: float) -> np.ndarray:
    """The numbers at which some singular value of D - x I equals delta, where they are real."""
    coupling = -delta * np.eye(form.dimension)
    pencil = np.block([[form.t, coupling], [coupling, form.t.T]])
    return np.linalg.eigvals(pencil)


# --- the nearest structured matrix -------------------------------------------------------------


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


def structured_clusters(
    form: SchurForm, image: RealImage, tol: float, *, everywhere: bool = False
) -> list[Cluster]:
    """The spectrum of the nearest structured matrix, as far as the threshold makes it matter.

    A cluster off the real line stands for its conjugate too. Those are merged only ``everywhere``.
    """
    # A conjugate pair is one point of the upper half plane, so that clusters are closed under
    # conjugation.
    upper = np.imag(form.eigenvalues) >= 0
    points, alone = form.eigenvalues[upper], isolated(form, tol * form.norm)[upper]
    clusters: list[Cluster] = []
    pending = [np.array([i]) for i in np.flatnonzero(alone)]
    if not alone.all():
        pending.append(np.flatnonzero(~alone))
    while pending:
        nodes = pending.pop()
        cluster = _real_cluster(form, points[nodes], image, tol)
        if cluster is None and everywhere:
            cluster = _complex_cluster(form, points[nodes], tol)
        if cluster is not None:
            clusters.append(cluster)
        elif nodes.size == 1:
            members = _with_conjugates(points[nodes])
            clusters.append(Cluster(members[0], members, (1,)))
        else:
            pending.extend(_split(points, nodes))
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
    moves = delta * np.maximum(form.conditions[:, None], form.conditions[None, :])
    return np.all(100 * moves < distance, axis=1)


def _with_conjugates(points: np.ndarray) -> tuple[complex, ...]:
    return tuple(complex(z) for p in points for z in ((p,) if p.imag == 0 else (p, p.conjugate())))


def _real_cluster(
    form: SchurForm, points: np.ndarray, image: RealImage, tol: float
) -> Cluster | None:
    """These eigenvalues as one real eigenvalue, if a matrix within delta has them so."""
    members = _with_conjugates(points)
    m, delta = len(members), tol * form.norm
    # An m-fold eigenvalue moves by about (delta/||D||)^{1/m} ||D||; the factor allows for
    # ill-conditioned ones. Beyond, no staircase need be tried.
    radius = 10 * form.norm * tol ** (1 / m)
    if np.abs(np.imag(points)).max() > radius or np.ptp(np.real(points)) > 2 * radius:
        return None
    mean = float(np.mean([z.real for z in members]))
    threshold = None if image.threshold is None else image.threshold.value
    if threshold is not None and mean - radius > threshold:
        return Cluster(mean, members, (1,)) if m == 1 else None
    small = delta / np.sqrt(form.dimension)
    if threshold is not None and abs(mean - threshold) <= radius:
        sizes = form.block_sizes(threshold, m, small)
        if sizes is not None:
            return Cluster(threshold, members, sizes, at_threshold=True)
    if m == 1:
        return Cluster(mean, members, (1,))
    sizes = form.block_sizes(mean, m, small)
    return None if sizes is None else Cluster(mean, members, sizes)


def _complex_cluster(form: SchurForm, points: np.ndarray, tol: float) -> Cluster | None:
    """These eigenvalues of the upper half plane as one, if a matrix within delta has them so."""
    m, mean = points.size, complex(points.mean())
    radius = 10 * form.norm * tol ** (1 / m)
    if m == 1 or np.abs(points - mean).max() > radius or np.imag(points).min() == 0:
        return None
    sizes = form.block_sizes(mean, m, tol * form.norm / np.sqrt(form.dimension))
    return None if sizes is None else Cluster(mean, tuple(map(complex, points)), sizes)


def _split(points: np.ndarray, nodes: np.ndarray) -> list[np.ndarray]:
    """The parts of a single-linkage cluster when its longest links are cut."""
    chosen = points[nodes]
    distance = np.abs(chosen[:, None] - chosen[None, :])
    reach = _minimax_link(distance)
    linked = distance < reach * (1 - 1e-9)
    np.fill_diagonal(linked, True)
    _, labels = scipy.sparse.csgraph.connected_components(linked, directed=False)
    return [nodes[labels == label] for label in range(labels.max() + 1)]


def _minimax_link(distance: np.ndarray) -> float:
    """The longest edge of the minimum spanning tree (Prim), so the height of single linkage."""
    best = distance[0].copy()
    outside = np.ones(best.size, dtype=bool)
    outside[0] = False
    longest = 0.0
    while outside.any():
        following = int(np.argmin(np.where(outside, best, np.inf)))
        longest = max(longest, float(best[following]))
        outside[following] = False
        best = np.minimum(best, distance[following])
    return longest


# --- the report --------------------------------------------------------------------------------


def analyze_floating(d: np.ndarray, flow: Flow, tol: float) -> Representability:
    """Decide for a float64 matrix, shape (d, d), not zero, with the relative tolerance ``tol``."""
    return decide_floating(d, flow, tol)[0]


def decide_floating(
    d: np.ndarray, flow: Flow, tol: float
) -> tuple[Representability, SchurForm, list[Cluster]]:
    """The report, the Schur form that it comes from, and the spectrum as it was judged."""
    form, image = SchurForm.of(d), flow.real_image
    # What is asked is about D, what is computed about its Schur form, within roundoff of it.
    roundoff = form.dimension * np.finfo(float).eps * form.norm
    certain = certain_verdict(form, image, tol * form.norm + roundoff)
    clusters = structured_clusters(form, image, tol)
    decisions = [entry for cluster in clusters for entry in _decide(cluster, image)]
    if certain is not None and certain == any(o is not None for _, o in decisions):
        # The merged matrix lies beyond delta after all: judge the spectrum as it was computed.
        upper = form.eigenvalues[np.imag(form.eigenvalues) >= 0]
        clusters = [Cluster(_own(z), (z,), (1,)) for z in map(complex, upper)]
        decisions = [entry for cluster in clusters for entry in _decide(cluster, image)]
    eigenvalues = sorted(
        (e for e, _ in decisions), key=lambda e: (e.position == "non-real", complex(e.value).real)
    )
    obstructions = tuple(o for _, o in decisions if o is not None)
    report = Representability(
        representable=not obstructions if certain is None else certain,
        status="borderline" if certain is None else "certain",
        exact=False,
        flow=flow,
        dimension=form.dimension,
        threshold=None if image.threshold is None else image.threshold.describe(),
        eigenvalues=tuple(eigenvalues),
        obstructions=obstructions,
        tol=tol,
        reason="" if certain is not None else _reason(eigenvalues),
        matrix=d,
    )
    return report, form, clusters


def _own(z: complex) -> float | complex:
    return z.real if z.imag == 0 else z


def _decide(
    cluster: Cluster, image: RealImage
) -> list[tuple[EigenvalueReport, Obstruction | None]]:
    merged = cluster.members if len(cluster.members) > 1 else ()
    value = cluster.value
    if isinstance(value, complex) and value.imag != 0:
        pair = (value, value.conjugate())
        return [(EigenvalueReport(z, 1, "non-real"), None) for z in pair]
    value = value.real
    position = 1
    if image.threshold is not None:
        t = image.threshold.value
        position = 0 if cluster.at_threshold else int(np.sign(value - t))
    attainment = attainment_at(image, position)
    needed = None if attainment.kind == "regular" else cluster.sizes
    report = EigenvalueReport(
        value, len(cluster.members), POSITIONS[position], needed, merged if needed else ()
    )
    condition = unmet_condition(attainment, cluster.sizes) if needed else None
    return [(report, Obstruction(report, attainment, condition) if condition else None)]


def _reason(eigenvalues: Sequence[EigenvalueReport]) -> str:
    for e in eigenvalues:
        if e.merged:
            found = ", ".join(f"{z.real:.6g}" if z.imag == 0 else f"{z:.6g}" for z in e.merged[:4])
            more = "" if len(e.merged) <= 4 else ", ..."
            return f"the eigenvalues {found}{more} were merged into {e.text}"
        if e.position == "at":
            return f"the eigenvalue {e.text} cannot be told from the threshold"
    return "an eigenvalue is so ill conditioned that rounding could take it across the threshold"
