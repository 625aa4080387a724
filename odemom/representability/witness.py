"""odemom.represent: a real theta with psi(theta) = D, the witness of representability.

The eigenvalues that need care, because psi takes them at critical points only or off the real line
only, are split off with their Jordan chains (`jordan_basis`), on which theta is written down
(`jordan_image`); on the rest theta is an inverse branch of psi, as a function of D
(`matrix_branch`). Exact matrices of moderate size are treated eigenvalue by eigenvalue in ball
arithmetic throughout, and rounded once at the end.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal, TypeVar, overload

import numpy as np

from odemom.checks import eps_or_gamma, expect, nearest_double, shown
from odemom.errors import (
    IllConditionedError,
    NotRepresentableError,
    OdemomError,
    ResultOverflowError,
    UndecidedError,
)
from odemom.flows.base import Flow
from odemom.flows.by_eps import flow_of
from odemom.flows.condition import frobenius
from odemom.flows.smallest import Smallest
from odemom.representability.by_value import ByValue
from odemom.representability.exact import ExactSpectrum
from odemom.representability.floating import FloatingSpectrum
from odemom.representability.matrix_branch import inverse_matrix_function
from odemom.representability.measured import residual_and_condition
from odemom.representability.remedies import another_flow
from odemom.representability.report import Representability
from odemom.representability.spectrum import Spectrum, spectrum
from odemom.representability.witness_parts import Part, exact_parts, floating_parts

__all__ = [
    "Witness",
    "allowed_residual",
    "assembled",
    "best_within",
    "doubles_of",
    "in_reach",
    "represent",
    "witness_of",
]

LARGEST_RESIDUAL = 1e-6
GOOD_RESIDUAL = 1e-10  # below this no wider tolerance is tried for a borderline matrix
LARGER_TOL = ", or a larger tol, with which close eigenvalues count as one"
EXACTLY = ", or exact=True, for the very doubles of D"
SENSITIVE = 1e2  # from this condition number on the eigenvalues are far from those of doubles
WIDENINGS = (1, 4, 16, 64, 256, 1024)


@dataclass(frozen=True, eq=False)
class Witness(ByValue):
    """A real theta with psi(theta) = D, and how well it holds.

    Attributes
    ----------
    theta : ndarray of float64, shape (d, d)
    residual : float
        ||psi(theta) - D|| / ||D|| in the Frobenius norm (``||psi(theta)||`` for D = 0); D rounded
        to doubles where it is exact. psi in double precision, and in more where the condition
        number would hide a residual of 1e-9, up to 64 rows.
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
    eps: Any = None,
    *,
    gamma: Any = None,
    tol: Any = None,
    exact: bool | None = None,
    max_bits: int | None = None,
    prefer: Literal["condition", "norm"] = "condition",
    full_output: Literal[False] = False,
) -> np.ndarray: ...
@overload
def represent(
    D: Any,
    eps: Any = None,
    *,
    gamma: Any = None,
    tol: Any = None,
    exact: bool | None = None,
    max_bits: int | None = None,
    prefer: Literal["condition", "norm"] = "condition",
    full_output: Literal[True],
) -> Witness: ...
def represent(
    D: Any,
    eps: Any = None,
    *,
    gamma: Any = None,
    tol: Any = None,
    exact: bool | None = None,
    max_bits: int | None = None,
    prefer: Literal["condition", "norm"] = "condition",
    full_output: bool = False,
) -> np.ndarray | Witness:
    """A real theta with psi(theta) = D: the witness that D is representable.

    Parameters
    ----------
    D : array_like of real numbers, shape (d, d), or Spectrum
        Exact numbers or floats, as in `odemom.analyze`.
    eps : number or str in [0, inf], or Flow
        0 is the first-order flow x' = theta x, inf the undamped one x'' = theta x.
    gamma : number or str in [0, 1], optional
        In place of ``eps``: the flow with eps = 1/(1 - gamma).
    tol, exact, max_bits
        See `odemom.analyze`.
    prefer : {"condition", "norm"}, default "condition"
        Of the real preimages of a real eigenvalue, where there are several, the best conditioned
        one, or the one of least size: for nets of three layers or more, a velocity and a switch.
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
    expect(
        isinstance(prefer, str) and prefer in ("condition", "norm"),
        "prefer",
        got=shown(prefer),
        expected='"condition" or "norm"',
    )
    flow = flow_of(eps_or_gamma(eps, gamma))
    found = spectrum(D, tol=tol, exact=exact, max_bits=max_bits)
    witness = witness_of(found, flow, prefer)
    if not witness.residual <= allowed_residual(found, witness.report.status):
        raise IllConditionedError(
            f"D is representable by {flow.describe()}, but theta, rounded to doubles, misses D by "
            f"{witness.residual:.2g} ||D||: the condition number of psi there is "
            f"{witness.condition:.2g} and ||theta|| = {frobenius(witness.theta):.2g}. Use "
            f"{another_flow(flow)}, or scale D{_of_floats(found)}; the error's attribute `witness` "
            "holds this theta.",
            witness,
        )
    return witness if full_output else witness.theta


def _of_floats(found: Spectrum) -> str:
    """What else may help where eigenvalues are close, or sensitive, and rounding moves them."""
    if not isinstance(found, FloatingSpectrum) or found.dimension == 1:
        return ""
    form, tol = found.form, found.tol or np.finfo(float).eps
    distance = np.abs(form.eigenvalues[:, None] - form.eigenvalues)
    np.fill_diagonal(distance, np.inf)
    # One eigenvalue of all multiplicity that the tolerance parts into d is spread over so much.
    if distance.min() <= 10 * form.norm * tol ** (1 / found.dimension):
        return LARGER_TOL + EXACTLY
    return EXACTLY if float(form.conditions.max()) > SENSITIVE else ""


def allowed_residual(found: Spectrum, status: str) -> float:
    """Beyond which a witness is refused; of borderline matrices it is of the order of tol."""
    if found.tol is None or status != "borderline":
        return LARGEST_RESIDUAL
    return max(LARGEST_RESIDUAL, 10 * np.sqrt(found.dimension) * found.tol)


def witness_of(
    found: Spectrum, flow: Flow, prefer: Literal["condition", "norm"] = "condition"
) -> Witness:
    """The witness, however well it holds; an error of ours where there is none."""
    with in_reach(flow):
        return _witness(found, flow, Smallest(flow) if prefer == "norm" else flow)


@contextmanager
def in_reach(flow: Flow) -> Iterator[None]:
    """Errors of flint, of exponents, precisions and sizes, as one of ours."""
    try:
        yield
    except OdemomError:
        raise
    except (ValueError, ArithmeticError) as error:
        raise UndecidedError(
            f"D can be reached by {flow.describe()}, but theta is beyond the reach of the "
            f"arithmetic ({error}). Use parameters nearer to 1, or scale D."
        ) from error


Held = TypeVar("Held")  # a Witness, or an Augmentation


def best_within(
    found: FloatingSpectrum,
    report: Representability,
    attempt: Callable[[FloatingSpectrum], Held],
    fits: Callable[[FloatingSpectrum], bool],
) -> Held:
    """A witness for D; where D is borderline, of the nearest structured matrix that has a good one.

    Rounding may hide the structure from a decision at the tolerance, so that theta would have to
    tell apart eigenvalues that are one: then the tolerance is widened, which the residual measures.

    Parameters
    ----------
    found : FloatingSpectrum
    report : Representability
        The decision about it.
    attempt : callable
        The witness for a spectrum with a tolerance.
    fits : callable
        Whether that spectrum is judged as the report says.
    """
    held: list[Held] = []
    first: OdemomError | None = None
    for factor in WIDENINGS if report.status == "borderline" and found.tol else (1,):
        judged = found if factor == 1 else found.within(factor)
        try:
            if factor == 1 or fits(judged):
                held.append(attempt(judged))
        except OdemomError as error:
            first = first or error
        if held and held[-1].residual <= GOOD_RESIDUAL:  # pyright: ignore[reportAttributeAccessIssue]
            return held[-1]
    if not held:
        assert first is not None  # or there would be a witness
        raise first
    return min(held, key=lambda one: one.residual)  # pyright: ignore[reportAttributeAccessIssue]


def _witness(found: Spectrum, flow: Flow, branches: Flow) -> Witness:
    """With preimages by ``branches``, the same flow with a choice of them."""
    report = found.decide(flow)
    _require(report)
    d = doubles_of(found)
    if isinstance(found, ExactSpectrum):
        return _measured(flow, report, d, assembled(branches, d, exact_parts(found, branches)))
    assert isinstance(found, FloatingSpectrum)  # there is no third kind

    def attempt(judged: FloatingSpectrum) -> Witness:
        parts = list(floating_parts(judged.form, judged.judged(flow)[1], branches))
        return _measured(flow, report, d, assembled(branches, d, parts))

    return best_within(found, report, attempt, lambda judged: bool(judged.decide(flow)))


def _measured(flow: Flow, report: Representability, d: np.ndarray, theta: np.ndarray) -> Witness:
    if not np.isfinite(theta).all():
        raise ResultOverflowError(
            f"D is representable by {flow.describe()}, but theta exceeds the range of doubles."
        )
    return Witness(theta, *residual_and_condition(flow, theta, d), report)


def _require(report: Representability) -> None:
    if not report:
        raise NotRepresentableError(report)


def doubles_of(found: Spectrum) -> np.ndarray:
    """The matrix in doubles."""
    if isinstance(found, FloatingSpectrum):
        return found.matrix
    rounded = np.array([[nearest_double(x) for x in row] for row in found.matrix])
    expect(
        bool(np.isfinite(rounded).all()),
        "D",
        got="an entry beyond the range of doubles",
        expected="entries that doubles can hold, as theta is to be in doubles",
        fix="Scale D.",
    )
    return rounded


def assembled(flow: Flow, d: np.ndarray, parts: list[Part]) -> np.ndarray:
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
