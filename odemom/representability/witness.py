"""odemom.represent: a real theta with psi(theta) = D, the witness of representability.

The eigenvalues that need care, because psi takes them at critical points only or off the real line
only, are split off with their Jordan chains (`jordan_basis`), on which theta is written down
(`jordan_image`); on the rest theta is an inverse branch of psi, as a function of D
(`matrix_branch`). Exact matrices of moderate size are treated eigenvalue by eigenvalue in ball
arithmetic throughout, and rounded once at the end.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, overload

import numpy as np

from odemom.checks import expect, nearest_double, require_square, shown
from odemom.errors import (
    IllConditionedError,
    NotRepresentableError,
    OdemomError,
    ResultOverflowError,
    UndecidedError,
)
from odemom.flows.base import Attainment, Flow
from odemom.flows.condition import condition_number
from odemom.flows.psi import flow_of
from odemom.representability.criterion import attainment_at
from odemom.representability.exact import Factor, analyze_exact, factors_of, positions_of
from odemom.representability.exact_matrix import ExactMatrix, read_matrices
from odemom.representability.floating import (
    Cluster,
    SchurForm,
    as_tolerance,
    decide_floating,
    in_range,
)
from odemom.representability.jordan_basis import chain_heads, floating_part, root_part
from odemom.representability.jordan_image import image_of_chains
from odemom.representability.matrix_branch import inverse_matrix_function, relative_residual
from odemom.representability.report import Representability

if TYPE_CHECKING:
    import flint

__all__ = ["Witness", "represent"]

LARGEST_RESIDUAL = 1e-6
IN_BALLS = 24  # the dimension up to which every eigenvalue of an exact matrix is treated in balls
START_PRECISION = 192
LARGEST_PRECISION = 1 << 15
ACCURACY = 2.0**-58


@dataclass(frozen=True)
class Witness:
    """A real theta with psi(theta) = D, and how well it holds.

    Attributes
    ----------
    theta : ndarray of float64, shape (d, d)
    residual : float
        ||psi(theta) - D|| / ||D|| in the Frobenius norm (``||psi(theta)||`` for D = 0), with psi in
        double precision; D rounded to doubles where it is exact.
    condition : float
        The relative condition number of psi at theta, in the Frobenius norm, as of
        `odemom.psi_cond`; inf where that is refused. Rounding theta to doubles moves psi(theta) by
        about ``condition * 1.1e-16 ||D||``.
    report : Representability
        The decision. On floating input that is ``"borderline"``, theta represents the nearest
        structured matrix, so that the residual is of the order of the tolerance.
    """

    theta: np.ndarray
    residual: float
    condition: float
    report: Representability

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON: ``theta``, ``residual``, ``condition`` and ``report``."""
        return {
            "theta": self.theta.tolist(),
            "residual": self.residual,
            "condition": self.condition if np.isfinite(self.condition) else None,
            "report": self.report.to_dict(),
        }


@overload
def represent(
    D: Any,
    eps: Any,
    *,
    tol: Any = None,
    exact: bool | None = None,
    max_bits: int | None = None,
    full_output: Literal[False] = False,
) -> np.ndarray: ...
@overload
def represent(
    D: Any,
    eps: Any,
    *,
    tol: Any = None,
    exact: bool | None = None,
    max_bits: int | None = None,
    full_output: Literal[True],
) -> Witness: ...
def represent(
    D: Any,
    eps: Any,
    *,
    tol: Any = None,
    exact: bool | None = None,
    max_bits: int | None = None,
    full_output: bool = False,
) -> np.ndarray | Witness:
    """A real theta with psi(theta) = D: the witness that D is representable.

    Parameters
    ----------
    D : array_like of real numbers, shape (d, d)
        Exact numbers or floats, as in `odemom.analyze`.
    eps : number or str in [0, inf], or Flow
        0 is the first-order flow x' = theta x, inf the undamped one x'' = theta x.
    tol, exact, max_bits
        See `odemom.analyze`.
    full_output : bool, default False
        Return a `Witness`, with the residual, the condition number and the decision.

    Returns
    -------
    ndarray of float64, shape (d, d), or Witness
        theta is a polynomial in D where D permits; not so where an eigenvalue below the threshold
        comes in pairs of Jordan blocks, which need a pair of complex preimages.

    Raises
    ------
    NotRepresentableError
        If there is none; the error carries the report.
    IllConditionedError
        If theta, rounded to doubles, misses D by more than 1e-6 ||D|| (on borderline input: by more
        than 10 sqrt(d) tol ||D|| too): it exists, but is so large or so sensitive that doubles do
        not hold it. The error carries the `Witness`.
    UndecidedError
        If the parameters of the flow are so extreme that no preimage can be computed.
    ResultOverflowError
        If theta itself exceeds the range of doubles.
    InvalidInputError
        If D is not one finite, real, square, non-empty matrix, or an argument is outside its
        domain.

    References
    ----------
    Sander et al. 2021, Theorem 1 (diagonalisable D). Cross and Lancaster, Square roots of complex
    matrices, 1974 (critical values). Culver, 1966 (pairs of blocks). Davies and Higham, A
    Schur-Parlett algorithm for computing matrix functions, 2003.

    Examples
    --------
    >>> import numpy as np, odemom
    >>> theta = odemom.represent([[-1, 0], [0, -1]], 0.5)     # no polynomial in D is a witness
    >>> bool(np.allclose(odemom.psi(theta, 0.5), -np.eye(2)))
    True
    >>> witness = odemom.represent([[0, 1], [0, 0]], 0.5, full_output=True)
    >>> witness.residual < 1e-14
    True
    >>> odemom.represent([[-1]], 0.5)
    Traceback (most recent call last):
        ...
    odemom.errors.NotRepresentableError: This 1 x 1 matrix is not representable by ...
    """
    expect(
        isinstance(full_output, bool | np.bool_),
        "full_output",
        got=shown(full_output),
        expected="True or False",
    )
    matrix = read_matrices(D, exact)
    require_square(matrix.shape, "D", stacks=False)
    flow = flow_of(eps)
    tolerance = as_tolerance(tol, D, matrix)
    allowed = LARGEST_RESIDUAL
    if matrix.dtype != np.float64 or not matrix.any():
        entries = matrix.tolist() if matrix.any() else [[0] * len(matrix)] * len(matrix)
        exact_matrix = ExactMatrix.from_entries(entries, max_bits)
        witness = _in_reach(lambda: _exact_witness(exact_matrix, flow), flow)
    else:
        doubles = in_range(matrix)
        witness = _in_reach(lambda: _floating_witness(doubles, flow, tolerance), flow)
        if witness.report.status == "borderline":
            allowed = max(allowed, 10 * np.sqrt(len(matrix)) * tolerance)
    if witness.residual > allowed:
        raise IllConditionedError(
            f"D is representable by {flow.describe()}, but theta, rounded to doubles, misses D by "
            f"{witness.residual:.2g} ||D||: the condition number of psi there is "
            f"{witness.condition:.2g} and ||theta|| = {np.linalg.norm(witness.theta):.2g}. Use "
            "another eps or scale; the error's attribute `witness` holds this theta.",
            witness,
        )
    return witness if full_output else witness.theta


def _in_reach(compute: Callable[[], Witness], flow: Flow) -> Witness:
    """The witness, unless the flow's parameters are beyond what ball arithmetic can hold."""
    try:
        return compute()
    except OdemomError:
        raise
    except (ValueError, OverflowError) as error:  # exponents, precisions and sizes of flint
        raise UndecidedError(
            f"D is representable by {flow.describe()}, but theta is beyond the reach of the "
            f"arithmetic ({error}). Use parameters nearer to 1, or scale D."
        ) from error


def _witness(flow: Flow, theta: np.ndarray, d: np.ndarray, report: Representability) -> Witness:
    if not np.isfinite(theta).all():
        raise ResultOverflowError(
            f"D is representable by {flow.describe()}, but theta exceeds the range of doubles."
        )
    residual = relative_residual(flow, theta, d)
    return Witness(theta, residual, condition_number(flow, theta), report)


# --- floating point ----------------------------------------------------------------------------


def _floating_witness(d: np.ndarray, flow: Flow, tol: float) -> Witness:
    report, form, clusters = decide_floating(d, flow, tol)
    if not report:
        raise NotRepresentableError(report)
    parts = list(_floating_parts(form, clusters, flow))
    return _witness(flow, _assembled(flow, d, parts), d, report)


def _floating_parts(
    form: SchurForm, clusters: list[Cluster], flow: Flow
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """The projector of each cluster that needs care, and theta on its range."""
    import flint

    threshold = flow.real_image.threshold
    if threshold is None:
        return
    for cluster in clusters:
        if cluster.value.imag:
            continue
        value = float(cluster.value.real)
        side = 0 if cluster.at_threshold else int(np.sign(value - threshold.value))
        attainment = attainment_at(flow.real_image, side)
        if attainment.kind == "regular":
            continue
        part = floating_part(form, cluster)
        with flint.ctx.workprec(START_PRECISION):
            image = image_of_chains(flow, flint.acb(value), attainment, cluster.sizes)
            theta = _doubles(image)
        with np.errstate(all="ignore"):  # a theta beyond the doubles is refused as such
            pair = part.right @ part.left, part.right @ theta @ part.left
        yield pair


def _assembled(flow: Flow, d: np.ndarray, parts: list[tuple[np.ndarray, np.ndarray]]) -> np.ndarray:
    """Theta on the parts, and by an inverse branch on the range of what their projectors leave."""
    if not parts:
        return inverse_matrix_function(flow, d)
    identity = np.eye(len(d))
    projector = sum((p for p, _ in parts), np.zeros_like(d))
    theta = sum((t for _, t in parts), np.zeros_like(d))
    rank = round(float(np.trace(projector)))
    if rank == len(d):
        return theta
    basis = np.linalg.svd(identity - projector)[0][:, : len(d) - rank]
    rest = inverse_matrix_function(flow, basis.T @ d @ basis)
    return theta + basis @ rest @ basis.T @ (identity - projector)


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


def _exact_witness(matrix: ExactMatrix, flow: Flow) -> Witness:
    report = analyze_exact(matrix, flow)
    if not report:
        raise NotRepresentableError(report)
    rounded = np.array([[nearest_double(x) for x in row] for row in matrix.rows()])
    expect(
        bool(np.isfinite(rounded).all()),
        "D",
        got="an entry beyond the range of doubles",
        expected="entries that doubles can hold, as theta is to be in doubles",
        fix="Scale D.",
    )
    roots = list(_roots(matrix, flow))
    parts = [_in_balls(flow, roots, matrix.dimension)] if roots else []
    return _witness(flow, _assembled(flow, rounded, parts), rounded, report)


def _roots(matrix: ExactMatrix, flow: Flow) -> Iterator[_Root]:
    """The roots for which chains are needed; for small matrices all of them."""
    image = flow.real_image
    for factor in factors_of(matrix):
        positions = positions_of(factor, image)
        for index, position in enumerate(positions):
            attainment = None if position is None else attainment_at(image, position)
            if position is None and factor.approximate_roots[index].imag < 0:
                continue
            plain = attainment is None or attainment.kind == "regular"
            if matrix.dimension > IN_BALLS and plain and factor.block_sizes[0] == 1:
                continue
            yield _Root(factor, index, attainment)


def _in_balls(flow: Flow, roots: list[_Root], d: int) -> tuple[np.ndarray, np.ndarray]:
    """The projector on the parts of the roots, and theta there, to double precision."""
    import flint

    heads = {
        id(root.factor): (chain_heads(root.factor), chain_heads(root.factor, transposed=True))
        for root in {id(root.factor): root for root in roots}.values()
    }
    precision = START_PRECISION
    while True:
        with flint.ctx.workprec(precision):
            total = _sum_of_parts(flow, roots, heads, d)
        if total is not None:
            return total
        precision *= 2
        if precision > LARGEST_PRECISION:
            raise IllConditionedError(
                f"D is representable by {flow.describe()}, but {LARGEST_PRECISION} bits did not "
                "suffice to compute theta. Use another eps or scale.",
                None,
            )


def _sum_of_parts(
    flow: Flow,
    roots: list[_Root],
    heads: dict[int, tuple[Any, Any]],
    d: int,
) -> tuple[np.ndarray, np.ndarray] | None:
    """None where the precision does not suffice."""
    import flint

    projector: Any = flint.acb_mat(d, d)
    theta: Any = flint.acb_mat(d, d)
    for root in roots:
        try:
            part = root_part(root.factor, root.index, *heads[id(root.factor)])
        except ZeroDivisionError:
            return None
        mu = root.factor.roots(flint.ctx.prec)[root.index]
        sizes = root.factor.block_sizes
        image = image_of_chains(flow, mu, root.attainment, sizes)
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
