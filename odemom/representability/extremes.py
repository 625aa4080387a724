"""How far a matrix is from the edge: the least eps, and the largest scale, for which it is
representable. `odemom.representability.edge` says how they follow from the theorem.
"""

from __future__ import annotations

from typing import Any

from odemom.checks import eps_or_gamma
from odemom.representability.edge import Extreme
from odemom.representability.spectrum import spectrum

__all__ = ["Extreme", "maximal_scale", "minimal_eps"]


def minimal_eps(
    D: Any, *, tol: Any = None, exact: bool | None = None, max_bits: int | None = None
) -> Extreme:
    """The infimum of the eps for which D is representable by eps x'' + x' = theta x, x'(0) = 0.

    D is representable for every larger eps, since the representable sets grow with eps.

    Parameters
    ----------
    D : array_like of real numbers, shape (d, d), or Spectrum
    tol, exact, max_bits
        See `odemom.analyze`.

    Returns
    -------
    Extreme
        ``value`` is 0 when every eps > 0 will do (``attained`` tells whether eps = 0, that is
        x' = theta x, does too), and inf when no finite eps does (``attained`` tells whether
        eps = inf, that is x'' = theta x, does) or none that a double holds. On floating input
        ``interval`` encloses the values of all matrices within the tolerance, and ``status`` says
        whether they agree.

    Raises
    ------
    InvalidInputError
        If D is not one finite, real, square, non-empty matrix, or ``tol`` is outside its domain.

    References
    ----------
    Sander et al. 2021, Theorem 1; lambda_eps decreases strictly from 0 to -1.

    Examples
    --------
    >>> from fractions import Fraction
    >>> import odemom
    >>> least = odemom.minimal_eps([[Fraction(-1, 2)]])
    >>> round(least.value, 12), least.attained, round(odemom.lambda_eps(least.value), 12)
    (0.698809909309, True, -0.5)
    >>> odemom.minimal_eps([[-2]]).value
    inf

    Two floats that cannot be told from a pair; the infimum for these very doubles is the upper end:

    >>> least = odemom.minimal_eps([[-0.5, 0.0], [0.0, -0.5 - 2**-53]])
    >>> least.value, least.status, float(least.interval[1]) > 0.698
    (0.0, 'borderline', True)
    """
    return spectrum(D, tol=tol, exact=exact, max_bits=max_bits).minimal_eps()


def maximal_scale(
    D: Any,
    eps: Any = None,
    *,
    gamma: Any = None,
    tol: Any = None,
    exact: bool | None = None,
    max_bits: int | None = None,
) -> Extreme:
    """The supremum of the scales a for which a D is representable: "any map up to scale".

    Parameters
    ----------
    D : array_like of real numbers, shape (d, d), or Spectrum
    eps : number or str in [0, inf], or Flow
    gamma : number or str in [0, 1], optional
        In place of ``eps``: the flow with eps = 1/(1 - gamma).
    tol, exact, max_bits
        See `odemom.analyze`.

    Returns
    -------
    Extreme
        ``value`` is inf when every scale will do, and 0 when no a > 0 does, or none that a double
        holds (``interval`` tells); every smaller positive
        scale will do. On floating input as with `minimal_eps`.

    Raises
    ------
    InvalidInputError
        If D is not one finite, real, square, non-empty matrix, or an argument is outside its
        domain.

    References
    ----------
    Sander et al. 2021, the corollary of Theorem 1 on maps up to scale.

    Examples
    --------
    >>> import odemom
    >>> scale = odemom.maximal_scale([[-2]], "1/2")
    >>> round(scale.value, 12), scale.attained
    (0.191660800132, True)
    >>> odemom.maximal_scale([[0, -1], [1, 0]], 0).value
    inf
    """
    return spectrum(D, tol=tol, exact=exact, max_bits=max_bits).maximal_scale(
        eps_or_gamma(eps, gamma)
    )
