"""A matrix near D that is representable for certain, and a bound that none is nearer.

An obstructed real eigenvalue can be lifted above the threshold, or two of them can be brought
together and turned into a conjugate pair. From the least eigenvalue on, the first 2 j are paired
with their neighbours and the others below the threshold are lifted; the best j is taken.

That leaves the matrix at the edge where eigenvalues are ill conditioned, as defective ones are. It
is inside by s where at every x up to the threshold sigma_min(X - x I) >= s and det(X - x I) > 0.
Where that fails worst, X is moved by the least that makes it true there: along the last singular
vectors u, v of X - x I, which makes the last singular value +-s (Eckart and Young).

Where the bound is far below what that gives, small random perturbations are tried: `perturbed`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.linalg

from odemom.checks import as_float_matrices, eps_or_gamma, expect, invalid
from odemom.errors import InvalidInputError, UndecidedError
from odemom.flows.base import Flow, RealImage
from odemom.flows.by_eps import flow_of
from odemom.representability.by_value import ByValue
from odemom.representability.certainty import certain_verdict
from odemom.representability.exact_matrix import read_matrices
from odemom.representability.floating import FloatingSpectrum
from odemom.representability.perturbed import LARGEST, perturbed
from odemom.representability.schur import SchurForm, as_tolerance, in_range
from odemom.representability.spectrum import Spectrum, spectrum_of

__all__ = ["Nearest", "nearest_representable"]

# How far, relative to ||D||, eigenvalues are moved beyond the edge of the representable set, so
# that the result is representable for certain and not only on the edge; or so many tolerances.
INSIDE, TOLERANCES = 1e-9, 4
# At most so many moves along singular vectors, each twice as far as the one before; only the
# nearest candidates are moved, so many of them.
MOVES, MOVED = 16, 4
MANY = 4  # from so many small singular values on, they are moved together
PLACES = 48  # eigenvalues near the threshold at which the worst x is looked for, at most
SMALLEST_NORM = 1e-290
GAP = 1.5  # random perturbations are tried where the distance exceeds this many times the bound


@dataclass(frozen=True, eq=False)
class Nearest(ByValue):
    """A representable matrix near D.

    Attributes
    ----------
    matrix : ndarray of float64, shape (d, d)
    distance : float
        ||matrix - D||_2.
    lower_bound : float
        No real matrix nearer to D than this is representable (to roundoff).
    optimal : bool
        Whether the two agree to 1e-6 ||D||; they do for normal D whose complex eigenvalues keep
        away from the obstructed real ones. Otherwise ``distance`` is an upper bound of the least:
        that of the best of some structured and, up to 32 rows, random perturbations.
    """

    matrix: np.ndarray
    distance: float
    lower_bound: float
    optimal: bool


def nearest_representable(
    D: Any, eps: Any = None, *, gamma: Any = None, tol: Any = None
) -> Nearest:
    """A matrix near D that the flow represents.

    Parameters
    ----------
    D : array_like of real numbers, shape (d, d), or Spectrum
        Exact numbers are rounded to double precision.
    eps : number or str in [0, inf], or Flow
    gamma : number or str in [0, 1], optional
        In place of ``eps``: the flow with eps = 1/(1 - gamma).
    tol : float in (0, 1), optional
        See `odemom.analyze`.

    Returns
    -------
    Nearest
        D itself, at distance 0, if that is representable for certain: of exact numbers, if the
        doubles that they are rounded to are, which exact arithmetic decides where it has to.
        Otherwise the matrix lies about 1e-9 ||D|| inside the representable set, or 4 tol ||D|| if
        that is more; it is representable for certain, as `odemom.analyze` says with the same
        tolerance.

    Raises
    ------
    InvalidInputError
        If D is not one finite, real, square, non-empty matrix, or an argument is outside its
        domain.
    UndecidedError
        If ``tol`` is so large that no matrix near D can be told from one that is not representable.

    Examples
    --------
    >>> import numpy as np, odemom
    >>> near = odemom.nearest_representable([[-2, -2], [2, 2]], 0)  # one block of 0: singular
    >>> near.distance < 1e-8, odemom.analyze(near.matrix, 0).status
    (True, 'certain')
    >>> near = odemom.nearest_representable(np.diag([-3.0, -2.0, 1.0]), 0.5)
    >>> round(near.distance, 6), near.optimal     # -3 and -2 meet half-way
    (0.5, True)

    -1 is at the edge for eps = inf: an exact one is its own nearest, a float is moved inside.

    >>> odemom.nearest_representable([[-1]], "inf").distance
    0.0
    >>> 0 < odemom.nearest_representable([[-1.0]], "inf").distance < 1e-8
    True
    """
    flow = flow_of(eps_or_gamma(eps, gamma))
    found, matrix = _rounded(D, tol)
    if _is_certain(found, flow) or (_is_exact(D) and _is_exactly(matrix, found, flow)):
        return Nearest(matrix, 0.0, 0.0, True)
    form = found.form if isinstance(found, FloatingSpectrum) else SchurForm.of(matrix)
    expect(
        form.norm == 0 or form.norm >= SMALLEST_NORM,
        "D",
        got=f"a matrix of norm {form.norm:.3g}",
        expected=f"0, or a norm of at least {SMALLEST_NORM:g}, to be moved by 1e-9 of it",
    )
    image = flow.real_image
    tolerance = found.tol or as_tolerance(tol, matrix, matrix)
    margin = max(INSIDE, TOLERANCES * tolerance) * (form.norm or 1.0)
    best = _best(matrix, [matrix, *_candidates(matrix, image, margin)], flow, tolerance, margin)
    if best is None:
        best = _all_lifted(matrix, flow, tolerance, margin)
    if best is None:
        raise UndecidedError(
            f"nearest_representable: tol = {tolerance:.3g} is too large to tell a matrix near D "
            f"that {flow.describe()} represents from one that it does not; give a smaller tol."
        )
    distance = float(np.linalg.norm(best - matrix, 2))
    bound = _lower_bound(form, image, distance, tolerance * form.norm)
    if len(matrix) <= LARGEST and distance > GAP * bound and form.norm:
        nearer = _perturbed(matrix, flow, margin / form.norm, margin, distance / GAP)
        if nearer is not None:
            best, distance = nearer, float(np.linalg.norm(nearer - matrix, 2))
    return Nearest(best, distance, bound, distance - bound <= 1e-6 * max(form.norm, distance))


def _perturbed(
    matrix: np.ndarray, flow: Flow, inside: float, smallest: float, largest: float
) -> np.ndarray | None:
    """A representable matrix nearer than ``largest``, by random perturbations, if there is one."""
    image = flow.real_image
    if image.threshold is None or image.below.kind == "regular":
        return None  # the threshold alone obstructs: there is nothing to take apart

    def represented(x: np.ndarray) -> bool:
        return _is_certain(spectrum_of(x, inside, None), flow)

    return perturbed(matrix, image.threshold.value, represented, smallest, largest)


def _is_certain(found: Spectrum, flow: Flow) -> bool:
    if isinstance(found, FloatingSpectrum):
        return found.surely_represented(flow)
    report = found.decide(flow)
    return report.representable and report.status == "certain"


def _is_exact(D: Any) -> bool:
    if isinstance(D, Spectrum):
        return D.exact
    return read_matrices(D, None, "D").dtype != np.float64


def _is_exactly(matrix: np.ndarray, found: Spectrum, flow: Flow) -> bool:
    """Whether the flow represents these very doubles, where their tolerance leaves that open."""
    if found.decide(flow).status == "certain":
        return False  # for certain not
    try:
        exactly = spectrum_of(matrix.astype(object), 0.0, None)
    except InvalidInputError:
        return False  # beyond the memory that an exact decision may take
    return exactly.represents(flow)


def _best(
    matrix: np.ndarray, candidates: list[np.ndarray], flow: Flow, tolerance: float, margin: float
) -> np.ndarray | None:
    """The nearest of the candidates, each moved inside; those farther than one inside are left."""
    best, least = None, np.inf
    nearest = sorted(candidates, key=lambda x: float(np.linalg.norm(x - matrix, 2)))
    for rank, candidate in enumerate(nearest):
        if np.linalg.norm(candidate - matrix, 2) >= least:
            break
        moves = MOVES if rank < MOVED else 0
        inside = _moved_inside(candidate, flow, tolerance, margin, moves)
        if inside is not None and np.linalg.norm(inside - matrix, 2) < least:
            best, least = inside, float(np.linalg.norm(inside - matrix, 2))
    return best


def _moved_inside(
    matrix: np.ndarray, flow: Flow, tolerance: float, margin: float, moves: int
) -> np.ndarray | None:
    """A matrix nearby that is representable for certain; None if the moves do not lead there."""
    size, image = margin, flow.real_image
    for move in range(moves + 1):
        found = spectrum_of(matrix, tolerance, None)
        if _is_certain(found, flow):
            return matrix
        if move == moves:
            break
        form = found.form if isinstance(found, FloatingSpectrum) else SchurForm.of(matrix)
        x = _worst(form, image, size)
        matrix = _moved(matrix, x, size, image.below.kind == "regular")
        size *= 2
    return None


def _moved(matrix: np.ndarray, x: float, size: float, either: bool) -> np.ndarray:
    """Off what is singular at x, by ``size``: along the last singular vectors, to det > 0.

    Where the last k singular values are small, U_k^T V_k = P H being a polar decomposition, they go
    to those of ``size`` P J, J² = -I: then X - y I is singular near x for no real y, as J^T H has
    imaginary eigenvalues.
    """
    u, sigma, vt = np.linalg.svd(matrix - x * np.eye(len(matrix)))
    sign = np.linalg.slogdet(u)[0] * np.linalg.slogdet(vt)[0]
    k = int((sigma < size).sum())
    k -= k % 2
    if k >= MANY and not either:
        left, right = u[:, -k:], vt[-k:]
        p = scipy.linalg.polar(left.T @ right.T)[0]
        if sign * np.linalg.slogdet(p)[0] > 0:
            turn = np.kron(np.eye(k // 2), [[0.0, 1.0], [-1.0, 0.0]])
            return matrix + left @ (size * p @ turn - np.diag(sigma[-k:])) @ right
    goal = size if either else sign * size
    return matrix + (goal - sigma[-1]) * np.outer(u[:, -1], vt[-1])


def _worst(form: SchurForm, image: RealImage, size: float) -> float:
    """Where, up to the threshold, the signed least singular value of X - x I is smallest."""
    assert image.threshold is not None
    t = image.threshold.value
    if image.below.kind == "regular":
        return t
    z = form.eigenvalues
    with np.errstate(over="ignore"):  # what is infinitely farther off the real line comes last
        z = z[np.argsort(np.abs(np.imag(z)) / (1e-300 + np.abs(np.real(z) - t)))][:PLACES]
    if form.dimension <= PLACES:
        z = np.concatenate([z, form.level_set(size)])
    ends = np.unique(np.append(np.real(z)[np.real(z) < t], t))
    places = np.concatenate([ends, (ends[1:] + ends[:-1]) / 2])
    if form.dimension <= PLACES:
        shifted = form.t - places[:, None, None] * np.eye(form.dimension)
        sigma = np.linalg.svd(shifted, compute_uv=False)[:, -1]
    else:
        sigma = np.array([form.smallest_singular_value(x) for x in places.tolist()])
    real = np.real(form.eigenvalues)[np.imag(form.eigenvalues) == 0]
    odd = (real < places[:, None]).sum(axis=1) % 2 == 1  # then det(X - x I) < 0
    return float(places[int(np.argmin(np.where(odd, -sigma, sigma)))])


def _rounded(D: Any, tol: Any) -> tuple[Spectrum, np.ndarray]:
    """The spectrum of D in doubles, and D in doubles: a spectrum of floats is kept as it is."""
    given = D
    if isinstance(D, Spectrum):
        if tol is not None:
            raise invalid("tol", got="it beside a spectrum", expected="a spectrum that has its own")
        if isinstance(D, FloatingSpectrum):
            return D, D.matrix
        given = D.matrix
    matrix = in_range(as_float_matrices(given, "D", stacks=False), fix="Scale D.")
    return spectrum_of(matrix, as_tolerance(tol, given, matrix), None), matrix


def _candidates(matrix: np.ndarray, image: RealImage, margin: float) -> list[np.ndarray]:
    """For every number of pairs the matrix that results."""
    assert image.threshold is not None  # otherwise every matrix is representable
    t = image.threshold.value
    factors: Any = scipy.linalg.schur(matrix, output="real")
    schur, q = factors
    schur = _opened(schur, t, margin)
    results = []
    while True:
        lifted = _lifted(schur, t, image, margin)
        results.append(q @ lifted @ q.T)
        pair = _lowest_real(schur, t)
        if pair is None:
            return results
        schur, q = _paired(schur, q, *pair, margin)


def _lifted(schur: np.ndarray, t: float, image: RealImage, margin: float) -> np.ndarray:
    """With the real eigenvalues below t moved just above it; at 0 only off 0 for odd powers."""
    lifted = schur.copy()
    for i in _real_positions(schur):
        value = schur[i, i]
        if image.below.kind == "regular":
            if abs(value - t) < margin:
                lifted[i, i] = t + (margin if value >= t else -margin)
        elif value < t + margin:
            lifted[i, i] = t + margin
    return lifted


def _all_lifted(
    matrix: np.ndarray, flow: Flow, tolerance: float, margin: float
) -> np.ndarray | None:
    """With the whole spectrum lifted above the threshold, as far above it as certainty asks for."""
    threshold = flow.real_image.threshold
    assert threshold is not None  # otherwise every matrix is representable
    factors: Any = scipy.linalg.schur(matrix, output="real")
    schur, q = factors
    above, most = margin, 4 * float(np.linalg.norm(matrix, 2)) + 4 * abs(threshold.value)
    while above <= most:
        lifted = schur.copy()
        np.fill_diagonal(lifted, np.maximum(np.diag(schur), threshold.value + above))
        trial = q @ lifted @ q.T
        if _is_certain(spectrum_of(trial, tolerance, None), flow):
            return trial
        above *= 4
    return None


def _opened(schur: np.ndarray, t: float, margin: float) -> np.ndarray:
    """With the conjugate pairs at or below t kept off the real line by the margin."""
    opened = schur.copy()
    for i in np.flatnonzero(np.diag(schur, -1)).tolist():
        if schur[i, i] < t + margin:
            row, column = (i, i + 1) if abs(schur[i, i + 1]) < abs(schur[i + 1, i]) else (i + 1, i)
            if abs(schur[row, column]) < margin:
                opened[row, column] = np.copysign(margin, schur[row, column])
    return opened


def _real_positions(schur: np.ndarray) -> list[int]:
    coupled = np.diag(schur, -1) != 0
    real = np.ones(len(schur), dtype=bool)
    real[:-1] &= ~coupled
    real[1:] &= ~coupled
    return np.flatnonzero(real).tolist()


def _lowest_real(schur: np.ndarray, t: float) -> tuple[int, int] | None:
    """The positions of the two least real eigenvalues, if the lower one is below t."""
    positions = sorted(_real_positions(schur), key=lambda i: schur[i, i])
    if len(positions) < 2 or schur[positions[0], positions[0]] >= t:
        return None
    first, second = sorted(positions[:2])
    return first, second


def _paired(
    schur: np.ndarray, q: np.ndarray, first: int, second: int, margin: float
) -> tuple[np.ndarray, np.ndarray]:
    """Bring two real eigenvalues next to each other and turn them into a conjugate pair.

    In [[x, c], [0, y]] that takes a lower left entry b with b c < -(x - y)²/4; where c is too small
    for that to be cheap, both move to their mean and the block becomes almost a rotation.
    """
    trexc: Any = scipy.linalg.get_lapack_funcs("trexc", (schur,))
    schur, q, _ = trexc(schur, q, second + 1, first + 2)
    i, j = first, first + 1
    x, y, c = schur[i, i], schur[j, j], schur[i, j]
    half = abs(x - y) / 2
    paired = schur.copy()
    if abs(c) > max(half, margin):
        paired[j, i] = -half * (half / c) - np.sign(c) * margin
    else:
        paired[i, i] = paired[j, j] = (x + y) / 2
        paired[i, j] = c if abs(c) > margin else margin
        paired[j, i] = -np.sign(paired[i, j]) * margin
    return paired, q


def _lower_bound(form: SchurForm, image: RealImage, upper: float, start: float) -> float:
    """The distance, to 1e-7 relative, within which all matrices are certainly obstructed."""
    if certain_verdict(form, image, start) is not False:
        return 0.0
    low, high = start, upper
    while high - low > 1e-7 * upper:
        middle = (low + high) / 2
        obstructed = certain_verdict(form, image, middle) is False
        low, high = (middle, high) if obstructed else (low, middle)
    return low
