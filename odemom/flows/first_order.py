"""The first-order flow x' = theta x: psi = exp."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np
import scipy.linalg

from odemom.checks import as_horizon
from odemom.flows.base import (
    NEVER,
    PAIRS,
    Flow,
    Method,
    Number,
    RationalThreshold,
    RealImage,
    as_points,
    exact,
    interval_text,
)
from odemom.flows.power_series import ball, middle, series_length, variable
from odemom.flows.preimages import PRECISION
from odemom.flows.propagator import propagate, stretched

if TYPE_CHECKING:
    import flint

__all__ = ["FirstOrder"]


@dataclass(frozen=True)
class FirstOrder(Flow):
    """The flow of x' = theta x on [0, T], the limit eps = 0 of `SecondOrder`: psi(z) = exp(T z).

    exp takes every mu > 0 on the real line, mu < 0 only at conjugate pairs (log|mu| +- i pi, ...)
    and 0 nowhere (Culver, 1966).

    Parameters
    ----------
    horizon : number, default 1
        The final time T in (0, inf).

    Examples
    --------
    >>> from odemom.flows import FirstOrder
    >>> float(FirstOrder().scalar(0.0))
    1.0
    """

    horizon: Number = 1

    def __post_init__(self) -> None:
        object.__setattr__(self, "horizon", as_horizon(self.horizon))

    def scalar(self, z: Any) -> np.ndarray:
        """Exp(T z); see `Flow.scalar`."""
        return np.exp(float(self.horizon) * as_points(z))

    def matrix(self, theta: np.ndarray, method: Method = "auto") -> np.ndarray:
        """Exp(T theta); all methods but ``"auto"`` are SciPy's expm here.

        The expm of SciPy 1.17 and 1.18 loses up to 4 digits on some symmetric matrices, that of
        1.17 all of them on some triangular ones with huge entries, on which ``"auto"`` keeps its
        bound: see the suite of tests/flows/test_psi_accuracy.py.
        """
        if self.horizon != 1:
            theta = stretched(theta, float(self.horizon))
        if method == "auto":
            return propagate(theta, 0.0, False)
        with np.errstate(all="ignore"):
            return scipy.linalg.expm(theta)

    def matrix_mp(self, theta: Any, dps: int) -> Any:
        """Exp(T theta) in mpmath; see `Flow.matrix_mp`."""
        from odemom.flows.precise import exp_mp

        return exp_mp(theta, exact(self.horizon), dps)

    def series(self, z: flint.acb, length: int) -> flint.acb_series:
        """Exp(T (z + t)); see `Flow.series`."""
        return (variable(z, length) * ball(exact(self.horizon))).exp()

    def preimage(self, mu: flint.acb, near: tuple[flint.acb, flint.acb] | None = None) -> flint.acb:
        """The principal logarithm over T; see `Flow.preimage`."""
        del near
        with series_length(2, PRECISION):
            return middle(mu.log() / ball(exact(self.horizon)))

    def real_preimage(self, mu: flint.arb) -> flint.acb:
        """The logarithm over T; see `Flow.real_preimage`."""
        import flint

        return self.preimage(flint.acb(abs(mu)))

    @property
    def real_image(self) -> RealImage:
        """Regular above 0, never 0, in conjugate pairs below."""
        return RealImage(RationalThreshold(Fraction(0)), at=NEVER, below=PAIRS)

    def describe(self) -> str:
        """The equation."""
        return f"x' = theta x{interval_text(self.horizon)}"
