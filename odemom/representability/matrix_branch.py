"""The inverse of psi as a function of a matrix, where every eigenvalue is taken regularly.

Each eigenvalue mu has a preimage z on an analytic branch f of the inverse of psi, and theta = f(D).
Where the eigenvectors are well conditioned, f(D) = V diag(z) V^{-1}. Otherwise eigenvalues that
rounding cannot tell apart, and those much closer to each other than to a branch point, share a
branch: D is brought to a triangular form with those next to each other, f of the diagonal blocks is
a Taylor polynomial, and Parlett's recurrence gives the rest (Davies and Higham, 2003). Newton's
method on psi(theta) = D takes away what rounding left.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import scipy.linalg

from odemom.errors import ResultOverflowError
from odemom.flows.base import Flow
from odemom.flows.branches import Branches
from odemom.flows.power_series import inverse_branch, middle, polynomial_at, series_length, shifted
from odemom.flows.preimages import PRECISION, newton, quadratic_step, reach_of
from odemom.representability.criterion import attainment_at

if TYPE_CHECKING:
    import flint

__all__ = ["inverse_matrix_function", "relative_distance", "relative_residual"]

WELL_CONDITIONED = 1e5
STEPS = 3
TAYLOR_TERMS = 40  # so many more than a block has rows; SPREAD^40 is far below roundoff
SPREAD = 0.3  # the largest distance from the centre of a block, over the reach of its branch

Correction = Callable[[np.ndarray], np.ndarray]


def inverse_matrix_function(flow: Flow, d: np.ndarray) -> np.ndarray:
    """A real theta with psi(theta) = D.

    Parameters
    ----------
    flow : Flow
    d : ndarray of float64, shape (n, n)
        Its eigenvalues are non-real, or are taken at regular real points.

    Returns
    -------
    ndarray of float64, shape (n, n)
    """
    if not d.size:
        return d
    eigenvalues, vectors = np.linalg.eig(d)
    condition = float(np.linalg.cond(vectors))
    theta, residual = None, np.inf
    if condition <= WELL_CONDITIONED:
        spectral = _Spectral.of(flow, eigenvalues, vectors)
        theta, residual = _refined(flow, d, spectral.function(), spectral.derivative)
    if theta is None or residual > 1e-12 * condition:
        start = _blocked_function(flow, d)
        other, missed = _refined(flow, d, start, lambda r: _blocked_derivative(flow, d, r))
        if theta is None or missed < residual:
            theta = other
    return theta


def relative_residual(flow: Flow, theta: np.ndarray, d: np.ndarray) -> float:
    """||psi(theta) - D|| / ||D|| in the Frobenius norm; inf where psi(theta) overflows."""
    with np.errstate(all="ignore"):
        return relative_distance(flow.matrix(theta), d)


def relative_distance(made: np.ndarray, d: np.ndarray) -> float:
    """||made - D|| / ||D|| in the Frobenius norm, of any size; inf where it is not finite."""
    with np.errstate(all="ignore"):
        missed, size = _norm(made - d), _norm(d)
        return float(missed / size if size else missed) if np.isfinite(missed) else np.inf


def _norm(a: np.ndarray) -> float:
    sizes = np.abs(a)  # a complex number below the normal ones has no reciprocal
    largest = float(sizes.max(initial=0))
    return largest * float(np.linalg.norm(sizes / largest)) if 0 < largest < np.inf else largest


def _refined(
    flow: Flow, d: np.ndarray, theta: np.ndarray, correction: Correction
) -> tuple[np.ndarray, float]:
    """Newton's method, as long as it halves the residual; with the residual."""
    residual = relative_residual(flow, theta, d)
    for _ in range(STEPS):
        if not 4 * np.finfo(float).eps < residual < 1:
            break
        with np.errstate(all="ignore"):
            trial = theta + correction(d - flow.matrix(theta))
        if not np.isfinite(trial).all():
            break
        following = relative_residual(flow, trial, d)
        if following < residual:
            theta, residual, before = trial, following, residual
            if following < before / 2:
                continue
        break
    return theta, residual


# --- preimages of the spectrum -----------------------------------------------------------------


@dataclass(frozen=True)
class _Points:
    """Preimages z of values mu, in double precision.

    Attributes
    ----------
    mu, z, slope : ndarray of complex128, shape (n,)
        slope = psi'(z).
    reach : ndarray of float64, shape (n,)
        The distance from mu to the nearest branch point, estimated.
    """

    mu: np.ndarray
    z: np.ndarray
    slope: np.ndarray
    reach: np.ndarray

    @classmethod
    def of(cls, flow: Flow, mu: np.ndarray) -> _Points:
        """Conjugates get conjugate preimages; each value starts from a neighbour."""
        import flint

        solved: dict[complex, tuple[complex, complex, float]] = {}
        branches = Branches(flow)
        upper_half = {complex(value.real, abs(value.imag)) for value in map(complex, mu)}
        with flint.ctx.workprec(PRECISION), series_length(3):
            for upper in sorted(upper_half, key=lambda value: (value.imag != 0, value.real)):
                if upper.imag == 0:
                    z = branches.real(flint.arb(upper.real))
                else:
                    z = branches.upper(flint.acb(upper.real, upper.imag))
                solved[upper] = (complex(z), *_local(flow, z))
        rows = []
        for value in map(complex, mu):
            z, slope, reach = solved[complex(value.real, abs(value.imag))]
            rows.append((z, slope, reach) if value.imag >= 0 else (_bar(z), _bar(slope), reach))
        z, slope, reach = (np.array(column) for column in zip(*rows, strict=True))
        return cls(np.asarray(mu), z, slope, reach.astype(float))


def _bar(z: complex) -> complex:
    return z.conjugate()


def _local(flow: Flow, z: flint.acb) -> tuple[complex, float]:
    psi = flow.series(z, 3)
    c1, c2 = middle(psi[1]), middle(psi[2])
    return complex(c1), float(reach_of(c1, c2))


# --- well conditioned eigenvectors -------------------------------------------------------------


@dataclass(frozen=True)
class _Spectral:
    points: _Points
    vectors: np.ndarray
    inverse: np.ndarray

    @classmethod
    def of(cls, flow: Flow, eigenvalues: np.ndarray, vectors: np.ndarray) -> _Spectral:
        return cls(_Points.of(flow, eigenvalues), vectors, np.linalg.inv(vectors))

    def function(self) -> np.ndarray:
        """f(D)."""
        with np.errstate(all="ignore"):
            return np.real((self.vectors * self.points.z) @ self.inverse)

    def derivative(self, r: np.ndarray) -> np.ndarray:
        """The derivative of f at D in the direction R, by divided differences of f."""
        p = self.points
        gap, rise = p.mu[:, None] - p.mu, p.z[:, None] - p.z
        mean = (p.slope[:, None] + p.slope) / 2
        same = np.abs(gap) * 1e3 <= np.minimum(p.reach[:, None], p.reach)
        same &= np.abs(rise * mean) <= 2 * np.abs(gap)
        with np.errstate(all="ignore"):
            differences = np.where(same | (gap == 0), 1 / mean, rise / np.where(gap == 0, 1, gap))
        return np.real(
            self.vectors @ (self.inverse @ r @ self.vectors * differences) @ self.inverse
        )


# --- Schur and Parlett -------------------------------------------------------------------------


def _blocked_derivative(flow: Flow, d: np.ndarray, r: np.ndarray) -> np.ndarray:
    """The derivative of f at D in the direction R: a block of f([[D, R], [0, D]])."""
    n, size = len(d), _norm(r)
    scale = _norm(d) / size
    doubled = np.block([[d, scale * r], [np.zeros_like(d), d]])
    return _blocked_function(flow, doubled)[:n, n:] / scale


def _blocked_function(flow: Flow, d: np.ndarray) -> np.ndarray:
    """f(D), real, by the block form of Parlett's recurrence."""
    exponent = int(np.frexp(np.abs(d).max())[1]) - 1
    real_schur: Any = scipy.linalg.schur(np.ldexp(d, -exponent), output="real")
    t, q = scipy.linalg.rsf2csf(*real_schur)  # which squares entries
    t = t * 2.0**exponent
    # The conjugates of a 2 x 2 block come out as such only up to rounding.
    spectrum = np.diag(t).copy()
    groups = _groups(flow, spectrum, _uncertainty(t))
    t, q, starts = _reordered(t, q, groups)
    blocks = [slice(a, b) for a, b in zip(starts, [*starts[1:], len(t)], strict=True)]
    value = np.zeros_like(t)
    with np.errstate(all="ignore"):
        for group, block in zip(groups, blocks, strict=True):
            value[block, block] = _taylor(flow, group, t[block, block])
        for distance in range(1, len(blocks)):
            for row in range(len(blocks) - distance):
                i, j = blocks[row], blocks[row + distance]
                between = slice(i.stop, j.start)
                right = value[i, i] @ t[i, j] - t[i, j] @ value[j, j]
                right += value[i, between] @ t[between, j] - t[i, between] @ value[between, j]
                value[i, j] = _sylvester(t[i, i], t[j, j], right)
        return np.real(q @ value @ q.conj().T)


def _sylvester(a: np.ndarray, b: np.ndarray, c: np.ndarray) -> np.ndarray:
    """X with A X - X B = C, A and B triangular."""
    trsyl: Any = scipy.linalg.get_lapack_funcs("trsyl", (a, b, c))
    x, scale, _ = trsyl(a, b, c, isgn=-1)
    return x / scale


def _uncertainty(t: np.ndarray) -> np.ndarray:
    """How far rounding may have moved each eigenvalue, with a factor 100 to spare."""
    vectors = np.linalg.eig(t)[1]
    with np.errstate(all="ignore"):
        try:
            conditions = np.linalg.norm(np.linalg.inv(vectors), axis=1)
        except np.linalg.LinAlgError:
            conditions = np.full(len(t), np.inf)
        moved = 100 * np.finfo(float).eps * _norm(t) * conditions
    # A defective eigenvalue of multiplicity m moves by about u^{1/m}; beyond 1/4 of the norm
    # nothing is known, and eigenvalues are compared by their branches alone.
    return np.where(np.isfinite(moved), np.minimum(moved, 0.01 * _norm(t)), 0)


@dataclass(frozen=True)
class _Group:
    """Eigenvalues on one branch.

    Attributes
    ----------
    members : tuple of int
        Positions on the diagonal.
    mu : complex
        Their mean.
    z : flint.acb
        Its preimage.
    """

    members: tuple[int, ...]
    mu: complex
    z: Any


def _groups(flow: Flow, mu: np.ndarray, moved: np.ndarray) -> list[_Group]:
    """Eigenvalues that rounding cannot tell apart, then those on one branch, merged."""
    n = len(mu)
    near = np.abs(mu[:, None] - mu) <= np.maximum(moved[:, None], moved)
    _, labels = scipy.sparse.csgraph.connected_components(near, directed=False)
    clusters = [np.flatnonzero(labels == k) for k in range(labels.max() + 1)]
    clusters = [part for c in clusters for part in _on_one_side(flow, mu, c)]
    centres = np.array([_centre(mu[c]) for c in clusters])
    points = _Points.of(flow, centres)
    spreads = np.array([np.abs(mu[c] - m).max() for c, m in zip(clusters, centres, strict=True)])
    whole = spreads <= SPREAD * points.reach
    if not whole.all():  # too far apart for one Taylor polynomial: each for itself
        apart = np.concatenate([c for c, fits in zip(clusters, whole, strict=True) if not fits])
        kept = [c for c, fits in zip(clusters, whole, strict=True) if fits]
        kept += [np.array([i]) for i in apart]
        clusters, centres = kept, np.array([_centre(mu[c]) for c in kept])
        points = _Points.of(flow, centres)
    return [_group(flow, mu, g, points) for g in _merged(mu, clusters, points)] if n else []


def _on_one_side(flow: Flow, mu: np.ndarray, cluster: np.ndarray) -> list[np.ndarray]:
    """The cluster, or its halves where a branch cut lies between: at a real centre not regular."""
    centre, threshold = _centre(mu[cluster]), flow.real_image.threshold
    if centre.imag or threshold is None:
        return [cluster]
    side = int(np.sign(centre.real - threshold.value))
    if attainment_at(flow.real_image, side).kind == "regular":
        return [cluster]
    upper = np.imag(mu[cluster]) > 0
    return [half for half in (cluster[upper], cluster[~upper]) if half.size]


def _centre(mu: np.ndarray) -> complex:
    """The mean; real when rounding alone could have made it non-real."""
    mean = complex(mu.mean())
    spread = float(np.abs(mu - mean).max())
    negligible = abs(mean.imag) <= max(1e-3 * spread, 1e-15 * abs(mean))
    return complex(mean.real, 0.0) if negligible else mean


def _merged(
    mu: np.ndarray, clusters: list[np.ndarray], points: _Points
) -> list[tuple[np.ndarray, list[int]]]:
    """Clusters merged, nearest first, where they are on one branch and close for its reach."""
    gap = np.abs(points.mu[:, None] - points.mu)
    reach = np.minimum(points.reach[:, None], points.reach)
    slope = np.minimum(np.abs(points.slope)[:, None], np.abs(points.slope))
    with np.errstate(all="ignore"):  # of points beyond the doubles
        rise = np.abs(points.z[:, None] - points.z)
        linked = (gap <= SPREAD * reach) & (rise * slope <= 2 * gap)
    rows, columns = np.nonzero(np.triu(linked, 1))
    owner = list(range(len(clusters)))
    parts: dict[int, list[int]] = {k: [k] for k in owner}
    for a, b in sorted(zip(rows, columns, strict=True), key=lambda pair: gap[pair]):
        i, j = owner[a], owner[b]
        if i == j:
            continue
        union = parts[i] + parts[j]
        members = np.concatenate([clusters[k] for k in union])
        centre = mu[members].mean()
        if np.abs(mu[members] - centre).max() <= SPREAD * points.reach[union].min():
            parts[i] = union
            del parts[j]
            for k in union:
                owner[k] = i
    return [(np.concatenate([clusters[k] for k in part]), part) for part in parts.values()]


def _group(
    flow: Flow, mu: np.ndarray, merged: tuple[np.ndarray, list[int]], points: _Points
) -> _Group:
    """With the preimage of the centre, by Newton's method from that of the nearest part."""
    import flint

    members, part = merged
    if len(part) == 1:
        nearest, centre = part[0], points.mu[part[0]]
    else:
        centre = _centre(mu[members])
        nearest = min(part, key=lambda k: abs(points.mu[k] - centre))
    z = points.z[nearest]
    if not np.isfinite(z):
        raise ResultOverflowError(
            f"theta exceeds the range of doubles: a preimage of the eigenvalue {centre:.6g} does."
        )
    with flint.ctx.workprec(PRECISION):
        start, target = flint.acb(z.real, z.imag), flint.acb(centre.real, centre.imag)
        exact = newton(flow.series, quadratic_step(flow.series, start, target), target)
    return _Group(tuple(map(int, members)), complex(centre), exact)


def _reordered(
    t: np.ndarray, q: np.ndarray, groups: list[_Group]
) -> tuple[np.ndarray, np.ndarray, list[int]]:
    """A triangular form with the members of each group next to each other; where groups begin.

    The groups are put into the order of their mean positions, in place.
    """
    groups.sort(key=lambda g: np.mean(g.members))
    trexc: Any = scipy.linalg.get_lapack_funcs("trexc", (t,))
    order, starts, position = list(range(len(t))), [], 0
    for group in groups:
        starts.append(position)
        for member in sorted(group.members):
            found = order.index(member)
            if found != position:
                t, q, _ = trexc(t, q, found + 1, position + 1)
                order.insert(position, order.pop(found))
            position += 1
    return t, q, starts


def _taylor(flow: Flow, group: _Group, t: np.ndarray) -> np.ndarray:
    """The matrix f(T), T a triangular block with eigenvalues close to the centre of the group."""
    n = len(t)
    length = 1 if n == 1 and t[0, 0] == group.mu else n + TAYLOR_TERMS
    value = nilpotent = np.array(t - group.mu * np.eye(n), dtype=complex)
    size = int(np.frexp(np.abs(nilpotent).max())[1])
    with series_length(length, PRECISION + 8 * length), np.errstate(all="ignore"):
        f: list[flint.acb] = inverse_branch(flow.series(group.z, length), group.z, length)
        for e in (0, size):  # powers of the matrix as it is may leave the doubles
            coefficients = [complex(middle(shifted(c, e * k))) for k, c in enumerate(f)]
            value = polynomial_at(coefficients, np.ldexp(nilpotent.view(float), -e).view(complex))
            if np.isfinite(value).all():
                break
    return value
