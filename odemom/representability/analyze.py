"""The public questions: is D representable by a second-order flow, and why?"""

from __future__ import annotations

from typing import Any, overload

import numpy as np

from odemom.checks import eps_or_gamma, expect, shown
from odemom.flows.base import Flow
from odemom.flows.by_eps import flow_of
from odemom.representability.base import Spectrum
from odemom.representability.batch import SimpleSpectra
from odemom.representability.exact_matrix import matrices_of, read_matrices
from odemom.representability.report import Representability
from odemom.representability.schur import as_tolerance
from odemom.representability.spectrum import spectrum, spectrum_of

__all__ = ["analyze", "is_representable"]


def is_representable(
    D: Any,
    eps: Any = None,
    *,
    gamma: Any = None,
    tol: Any = None,
    exact: bool | None = None,
    max_bits: int | None = None,
) -> Any:
    """Whether some real theta has psi(theta) = D: the answer of `analyze`, alone.

    Parameters
    ----------
    D : array_like of real numbers, shape (..., d, d), or Spectrum
        One matrix or a stack. Ints, Fractions, SymPy rationals and integer arrays are decided in
        exact arithmetic, floats with a tolerance; see `analyze`. The matrices of a floating stack
        that have simple eigenvalues only are decided together, in vectorised form.
    eps : number or str in [0, inf], or Flow; or a list, tuple or one-dimensional array of them
        0 is the first-order flow x' = theta x, inf the undamped one x'' = theta x. Each matrix is
        factored once, however many there are.
    gamma : number or str in [0, 1], optional
        In place of ``eps``; see `analyze`.
    tol, exact, max_bits
        See `analyze`.

    Returns
    -------
    bool, or ndarray of bool
        Of shape (...) for a stack, (k, ...) for a sequence of k values of ``eps``.

    Raises
    ------
    InvalidInputError
        If D is not a finite, real, square, non-empty matrix (or stack), or another argument is
        outside its domain.

    References
    ----------
    Sander, Ablin, Blondel, Peyré, Momentum Residual Neural Networks, ICML 2021, Theorem 1; for
    non-diagonalisable D see `odemom.representability.criterion`.

    Examples
    --------
    >>> import odemom
    >>> odemom.is_representable([[0, -1], [1, 0]], 0)          # a rotation, by x' = theta x
    True
    >>> odemom.is_representable([[-1]], 0)                     # -1 on the line: not by x' = theta x
    False
    >>> from fractions import Fraction
    >>> odemom.is_representable([[Fraction(-1, 3)]], 0.5)      # but by x'' / 2 + x' = theta x
    True
    """
    eps = eps_or_gamma(eps, gamma, several=True)
    flows = flows_of(eps)
    verdicts = _verdicts(D, flows, tol, exact, max_bits)
    if is_sequence(eps):
        return verdicts
    return bool(verdicts[0]) if verdicts.ndim == 1 else verdicts[0]


@overload
def analyze(  # pyright: ignore[reportOverlappingOverload]  # one eps may be any kind of number
    D: Any,
    eps: list[Any] | tuple[Any, ...] | np.ndarray,
    *,
    gamma: None = None,
    tol: Any = None,
    exact: bool | None = None,
    max_bits: int | None = None,
) -> list[Representability]: ...
@overload
def analyze(
    D: Any,
    eps: Any = None,
    *,
    gamma: Any = None,
    tol: Any = None,
    exact: bool | None = None,
    max_bits: int | None = None,
) -> Representability: ...
def analyze(
    D: Any,
    eps: Any = None,
    *,
    gamma: Any = None,
    tol: Any = None,
    exact: bool | None = None,
    max_bits: int | None = None,
) -> Representability | list[Representability]:
    """Decide whether a flow represents D, with the reasons.

    Parameters
    ----------
    D : array_like of real numbers, shape (d, d), or Spectrum
        Ints, Fractions, SymPy rationals (nested lists, object or integer arrays of them) are
        decided in exact arithmetic: the answer is a theorem. Floats are decided with a tolerance.
    eps : number or str in [0, inf], or Flow; or a list, tuple or one-dimensional array of them
        The mass: 0 is x' = theta x, inf is x'' = theta x. A float is taken as the dyadic rational
        that it is, a string as the decimal or fraction that it spells. D is factored once, however
        many there are.
    gamma : number or str in [0, 1], optional
        In place of ``eps``: the paper's momentum, for the **flow** with eps = 1/(1 - gamma). For
        the **net** of so many layers take ``flows.MomentumResNet(gamma, depth)`` as ``eps``.
    tol : float in (0, 1), optional
        On floating input, the answer is about all real matrices within ``tol * ||D||_2`` of D, or
        the report's ``status`` is ``"borderline"``. Default 8 d u, u the unit roundoff of the
        input's type: what the Schur form and the rank decisions can themselves resolve. What is
        smaller than that for doubles is raised to it.
    exact : bool, optional
        True reads floats as the dyadic rationals that they are, and decides exactly; False rounds
        exact numbers to double precision. By default exact numbers are exact and floats are not.
    max_bits : int, optional
        The largest size of a characteristic polynomial that exact arithmetic may take on: d² times
        the bits of an entry over the common denominator. Default 2^32, which is 512 MiB.

    Returns
    -------
    Representability, or list of them for a sequence of ``eps``
        ``bool(report)`` is the verdict; ``.obstructions`` the reasons, ``.explain()`` in sentences.

    Raises
    ------
    InvalidInputError
        If D is not one finite, real, square, non-empty matrix, or another argument is outside its
        domain.
    UndecidedError
        If an eigenvalue agrees with the threshold to 131,072 bits.

    References
    ----------
    Sander et al. 2021, Theorem 1. Culver, On the existence and uniqueness of the real logarithm of
    a matrix, 1966. Cross and Lancaster, Square roots of complex matrices, 1974. Kågström and Ruhe,
    An algorithm for numerical computation of the Jordan normal form, 1980.

    Examples
    --------
    >>> import odemom
    >>> report = odemom.analyze([[-1, 1], [0, -1]], "1/2")
    >>> bool(report), report.obstructions[0].condition
    (False, 'every block size must occur an even number of times, but size 2 occurs once')
    >>> bool(odemom.analyze([[-1, 0], [0, -1]], "1/2"))
    True
    >>> odemom.analyze([[-1]], gamma="1/2").flow == odemom.analyze([[-1]], 2).flow
    True
    """
    eps = eps_or_gamma(eps, gamma, several=True)
    flows = flows_of(eps)
    found = spectrum(D, tol=tol, exact=exact, max_bits=max_bits)
    reports = [found.decide(flow) for flow in flows]
    return reports if is_sequence(eps) else reports[0]


def is_sequence(eps: Any) -> bool:
    """Whether ``eps`` is several: a list, a tuple or an array with axes."""
    return isinstance(eps, list | tuple) or (isinstance(eps, np.ndarray) and eps.ndim > 0)


def flows_of(eps: Any) -> list[Flow]:
    """The flows that one value of ``eps``, or a sequence of them, stands for."""
    if not is_sequence(eps):
        return [flow_of(eps)]
    expect(
        len(eps) > 0 and np.ndim(eps if isinstance(eps, np.ndarray) else 0) <= 1,
        "eps",
        got=f"shape {eps.shape}" if isinstance(eps, np.ndarray) else shown(eps),
        expected="a number in [0, inf], a flow, or a one-dimensional, non-empty sequence of them",
    )
    expect(
        not isinstance(eps, np.ndarray) or (eps.dtype.kind in "iufOU" and not np.ma.is_masked(eps)),
        "eps",
        got=f"an array of dtype {getattr(eps, 'dtype', None)}, or with masked entries",
        expected="numbers, all of them known",
    )
    return [flow_of(one) for one in eps]


def _verdicts(
    D: Any, flows: list[Flow], tol: Any, exact: bool | None, max_bits: int | None
) -> np.ndarray:
    """The verdicts, shape (number of flows, ...)."""
    if isinstance(D, Spectrum):
        found = spectrum(D, tol=tol, exact=exact, max_bits=max_bits)
        return np.array(_asked(found, flows))
    matrices = read_matrices(D, exact)
    tolerance = as_tolerance(tol, D, matrices)
    verdicts, decided = _decide_together(matrices, flows, tolerance)
    settled = np.asarray(decided.all(axis=0))
    for where, matrix in matrices_of(matrices):
        if not settled[where]:
            found = spectrum_of(matrix, tolerance, max_bits)
            left = [k for k in range(len(flows)) if not decided[(k, *where)]]
            asked = _asked(found, [flows[k] for k in left])
            for k, verdict in zip(left, asked, strict=True):
                verdicts[(k, *where)] = verdict
    return verdicts


def _asked(found: Spectrum, flows: list[Flow]) -> list[bool]:
    """The verdicts, by what is cheapest for one flow or for many."""
    if len(flows) == 1:
        return [found.verdict(flows[0])]
    return [found.represents(flow) for flow in flows]


def _decide_together(
    matrices: np.ndarray, flows: list[Flow], tol: float
) -> tuple[np.ndarray, np.ndarray]:
    """The verdicts of a stack that can be had in a vectorised way, and where."""
    shape, d = (len(flows), *matrices.shape[:-2]), matrices.shape[-1]
    verdicts, decided = np.zeros(shape, dtype=bool), np.zeros(shape, dtype=bool)
    if matrices.ndim == 2 or matrices.dtype != np.float64:
        return verdicts, decided
    spectra: SimpleSpectra | None = None
    for k, flow in enumerate(flows):
        image = flow.real_image
        if image.threshold is None:
            verdicts[k] = decided[k] = True
            continue
        spectra = spectra or SimpleSpectra.of(matrices.reshape(-1, d, d), tol)
        found = spectra.verdicts(image)
        verdicts[k], decided[k] = (part.reshape(shape[1:]) for part in found)
    return verdicts, decided
