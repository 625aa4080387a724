"""What every spectrum owes: its eigenvalues, computed once, and the decision for any flow."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from fractions import Fraction
from functools import cached_property
from typing import TYPE_CHECKING, Any

from odemom.checks import invalid, shown
from odemom.flows.base import Flow
from odemom.flows.by_eps import flow_of
from odemom.representability.algebraic import Eigenvalue
from odemom.representability.edge import Extreme, largest_scale, least_eps
from odemom.representability.report import Position, Repairs, Representability

if TYPE_CHECKING:
    import flint

__all__ = ["RealEigenvalue", "Spectrum"]


class RealEigenvalue(ABC):
    """A real eigenvalue, with its Jordan blocks and a ball around it.

    Attributes
    ----------
    value : Eigenvalue
    """

    value: Eigenvalue

    @property
    @abstractmethod
    def sizes(self) -> tuple[int, ...]:
        """The sizes of its Jordan blocks, in decreasing order."""

    @abstractmethod
    def ball(self, precision: int) -> flint.arb:
        """A ball of about ``precision`` bits, or of what the input tells, that contains it."""

    def sign_of(self, shift: int = 0) -> int:
        """The sign of the eigenvalue plus an integer."""
        if isinstance(self.value, Fraction | float):
            return (self.value > -shift) - (self.value < -shift)
        precision = 64
        while True:  # ends: an irrational number is no integer
            moved = self.ball(precision) + shift
            if moved > 0 or moved < 0:
                return 1 if moved > 0 else -1
            precision *= 2


class Spectrum(ABC):
    """The spectrum of one real matrix, factored once and asked as often as one likes.

    `odemom.spectrum` makes it: an `ExactSpectrum` of exact numbers, a `FloatingSpectrum` of floats.
    All that is computed is computed when it is first asked for, and kept. It may stand for D in
    every function that asks what represents D: `odemom.analyze`, `is_representable`, `represent`,
    `minimal_eps`, `maximal_scale`, `jordan_structure`, `nearest_representable`, `pieces`,
    `augmentation` and `routes`.

    Attributes
    ----------
    exact : bool
        Whether exact arithmetic decides.

    Examples
    --------
    >>> import odemom
    >>> spectrum = odemom.spectrum([[-1, 1, 0], [0, -1, 0], [0, 0, 2]])
    >>> spectrum.exact, spectrum.real_eigenvalues(), spectrum.block_sizes(-1)
    (True, (Fraction(-1, 1), Fraction(2, 1)), (2,))
    >>> bool(odemom.analyze(spectrum, 1)) == spectrum.represents(1)
    True
    """

    exact: bool

    @property
    @abstractmethod
    def tol(self) -> float | None:
        """The relative tolerance; None on exact input."""

    @property
    @abstractmethod
    def dimension(self) -> int:
        """The number of rows."""

    @property
    @abstractmethod
    def matrix(self) -> Any:
        """The matrix: tuples of Fractions, or a read-only ndarray of float64, shape (d, d)."""

    @abstractmethod
    def _decide(self, flow: Flow) -> Representability: ...

    @abstractmethod
    def _jordan_structure(self) -> dict[Eigenvalue, tuple[int, ...]]: ...

    @abstractmethod
    def _candidates(self) -> Sequence[RealEigenvalue]:
        """The real eigenvalues, at least those that are not positive."""

    def decide(self, eps: Any) -> Representability:
        """Decide whether a flow represents the matrix: see `odemom.analyze`.

        Parameters
        ----------
        eps : number or str in [0, inf], or Flow

        Examples
        --------
        >>> import odemom
        >>> spectrum = odemom.spectrum([[-1, 0], [0, 4]])
        >>> [bool(spectrum.decide(eps)) for eps in (0, "1/2", "inf")]
        [False, False, True]
        """
        return self._decide(flow_of(eps))

    def represents(self, eps: Any) -> bool:
        """Whether a flow represents the matrix: the verdict of `decide`, alone.

        For many flows: where the least eps is known between proven ends nothing need be decided,
        for the representable sets grow with eps.

        Parameters
        ----------
        eps : number or str in [0, inf], or Flow

        Examples
        --------
        >>> import odemom
        >>> spectrum = odemom.spectrum([["-1/2", 2], [0, 3]])  # lambda_eps: -0.38, -0.78, -1
        >>> [spectrum.represents(eps) for eps in ("1/2", 2, "inf")]
        [False, True, True]
        """
        return self.verdict(flow_of(eps))

    def verdict(self, flow: Flow) -> bool:
        """The verdict of `decide` on one flow, without the report where that takes less time.

        Examples
        --------
        >>> import odemom
        >>> odemom.spectrum([[-1, 0], [0, 4]]).verdict(odemom.flows.Undamped())
        True
        """
        return self._decide(flow).representable

    def real_eigenvalues(self) -> tuple[Eigenvalue, ...]:
        """The real eigenvalues in increasing order, each once.

        Examples
        --------
        >>> import odemom
        >>> odemom.spectrum([[0, 2], [1, 0]]).real_eigenvalues()
        (root of x^2 - 2 near -1.41421, root of x^2 - 2 near 1.41421)
        """
        return tuple(mu for mu in self._structure if _is_real(mu))

    def block_sizes(self, mu: Any) -> tuple[int, ...]:
        """The Jordan block sizes of an eigenvalue, in decreasing order.

        Parameters
        ----------
        mu : Eigenvalue
            One of `real_eigenvalues`, or another key of `jordan_structure`.

        Raises
        ------
        InvalidInputError
            If it is no eigenvalue.

        Examples
        --------
        >>> import odemom
        >>> odemom.spectrum([[2, 1, 0], [0, 2, 0], [0, 0, 2]]).block_sizes(2)
        (2, 1)
        """
        try:
            return self._structure[mu]
        except (KeyError, TypeError):
            known = ", ".join(str(z) for z in self._structure)
            raise invalid(
                "mu", got=shown(mu), expected=f"an eigenvalue: {shorter(known)}"
            ) from None

    def jordan_structure(self) -> dict[Eigenvalue, tuple[int, ...]]:
        """The block sizes of every eigenvalue: see `odemom.jordan_structure`."""
        return dict(self._structure)

    def positions(self, eps: Any) -> dict[Eigenvalue, Position]:
        """Where each real eigenvalue lies: "above", "at" or "below" the threshold of a flow.

        On floating input the eigenvalues are those that the decision for this flow has merged.

        Examples
        --------
        >>> import odemom
        >>> odemom.spectrum([[-1, 0], [0, 2]]).positions("inf")
        {Fraction(-1, 1): 'at', Fraction(2, 1): 'above'}
        """
        judged = self.decide(eps).eigenvalues
        return {e.value: e.position for e in judged if e.position != "non-real"}

    def minimal_eps(self) -> Extreme:
        """The infimum of the eps for which it is representable: see `odemom.minimal_eps`."""
        return self._least_eps

    def maximal_scale(self, eps: Any) -> Extreme:
        """The supremum of the scales that will do: see `odemom.maximal_scale`."""
        return largest_scale(self._kept_candidates, flow_of(eps).real_image)

    def repairs(self, eps: Any) -> Repairs:
        """What would make the matrix representable by the flow: another eps, or another scale."""
        return Repairs(self.minimal_eps(), self.maximal_scale(eps))

    @cached_property
    def _structure(self) -> dict[Eigenvalue, tuple[int, ...]]:
        return self._jordan_structure()

    @cached_property
    def _kept_candidates(self) -> Sequence[RealEigenvalue]:
        return self._candidates()

    @cached_property
    def _least_eps(self) -> Extreme:
        return least_eps(self._kept_candidates)


def _is_real(mu: Eigenvalue) -> bool:
    return not isinstance(mu, complex) and getattr(mu, "is_real", True)


def shorter(text: str, limit: int = 200) -> str:
    """The text, or its beginning."""
    return text if len(text) <= limit else text[: limit - 3] + "..."
