"""The exceptions of odemom: every one derives from `OdemomError`."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from odemom.representability.report import Representability
    from odemom.representability.witness import Witness

__all__ = [
    "BackendError",
    "DivergedError",
    "DoubleBackwardError",
    "FixedPointRangeError",
    "IllConditionedError",
    "IntegrationError",
    "InvalidInputError",
    "MatrixFileError",
    "MissingDependencyError",
    "NotEnoughMemoryError",
    "NotRepresentableError",
    "OdemomError",
    "OdemomWarning",
    "ResultOverflowError",
    "ReversibilityError",
    "UndecidedError",
]


class OdemomError(Exception):
    """Base class of every exception that odemom raises on purpose."""


class OdemomWarning(UserWarning):
    """Base class of the warnings of odemom."""


class InvalidInputError(OdemomError, ValueError):
    """An argument is not what was expected; the message says what was given and what to do."""


class IntegrationError(OdemomError):
    """A numerical integration could not reach its horizon; the message says why and what to do."""


class MatrixFileError(InvalidInputError):
    """A file does not hold a matrix that odemom can read."""


class MissingDependencyError(OdemomError, ImportError):
    """An optional package is needed for what was asked; the message says how to install it."""


class ResultOverflowError(OdemomError, OverflowError):
    """A result exceeds the range of doubles.

    Parameters
    ----------
    message : str
    log10_norm : float, optional

    Attributes
    ----------
    log10_norm : float or None
        The decimal logarithm of the 1-norm of the result, where it is known.
    """

    def __init__(self, message: str, log10_norm: float | None = None) -> None:
        super().__init__(message)
        self.log10_norm = log10_norm


class BackendError(OdemomError, RuntimeError):
    """A worker process or cluster that tasks were given to did not start, or was lost."""


class DivergedError(OdemomError, ArithmeticError):
    """The loss of a training is no finite number any more; the message says since when."""


class NotEnoughMemoryError(OdemomError, MemoryError):
    """A training step does not fit into memory; the message says what it needs and what fits."""


class UndecidedError(OdemomError):
    """A comparison did not settle at the largest precision, or within the tolerance, allowed."""


class NotRepresentableError(OdemomError, ValueError):
    """No real theta has ``psi(theta) = D``.

    Parameters
    ----------
    report : Representability
        The decision, with the obstructions that it found.

    Attributes
    ----------
    report : Representability
    """

    def __init__(self, report: Representability) -> None:
        super().__init__(report.explain())
        self.report = report


class IllConditionedError(OdemomError, ArithmeticError):
    """A result exists, but doubles do not hold it to a useful accuracy.

    Parameters
    ----------
    message : str
    witness : Witness or None
        What was computed all the same, where there is something.

    Attributes
    ----------
    witness : Witness or None
    """

    def __init__(self, message: str, witness: Witness | None) -> None:
        super().__init__(message)
        self.witness = witness


class FixedPointRangeError(OdemomError, ArithmeticError):
    """An activation left the fixed-point range; the message says where and how large it was."""


class ReversibilityError(OdemomError, RuntimeError):
    """A function did not recompute, in the backward pass, the bits of its forward pass."""


class DoubleBackwardError(OdemomError, NotImplementedError):
    """A second derivative was asked of a pass that keeps no graph to differentiate."""
