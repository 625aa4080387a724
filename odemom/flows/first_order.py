"""The first-order flow x' = theta x: psi = exp."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import TYPE_CHECKING

from odemom.checks import as_horizon
from odemom.flows.base import (
    NEVER,
    PAIRS,
    Number,
    RationalThreshold,
    RealImage,
    interval_text,
)
from odemom.flows.ode import ODEFlow
from odemom.flows.power_series import ball, middle, series_length
from odemom.flows.preimages import PRECISION

if TYPE_CHECKING:
    import flint

__all__ = ["FirstOrder"]


@dataclass(frozen=True, repr=False)
class FirstOrder(ODEFlow):
    """The flow of x' = theta x on [0, T], the limit eps = 0 of `SecondOrder`: psi(z) = exp(T z).

    exp takes every mu > 0 on the real line, mu < 0 only at conjugate pairs (log|mu| +- i pi, ...)
    and 0 nowhere (Culver, 1966). All methods of `odemom.psi` but ``"auto"`` are SciPy's expm here:
    that of SciPy 1.17 and 1.18 loses up to 4 digits on some symmetric matrices, that of 1.17 all of
    them on some triangular ones with huge entries, on which ``"auto"`` keeps its bound: see the
    suite of tests/propagator/test_accuracy.py.

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

    @cached_property
    def unit_eps(self) -> Fraction:
        """The mass 0."""
        return Fraction(0)

    @property
    def unit_flow(self) -> FirstOrder:
        """The flow on [0, 1]."""
        return FirstOrder()

    def series(self, z: flint.acb, length: int) -> flint.acb_series:
        """Exp(T (z + t)); see `Flow.series`."""
        return self.points_series(z, length).exp()

    def preimage(self, mu: flint.acb, near: tuple[flint.acb, flint.acb] | None = None) -> flint.acb:
        """The principal logarithm over T; see `Flow.preimage`."""
        del near
        with series_length(2, PRECISION):
            return middle(mu.log() / ball(self.factor))

    def real_preimage(self, mu: flint.arb, size: int = 2) -> flint.acb:
        """The logarithm over T; see `Flow.real_preimage`."""
        import flint

        del size  # there is only one
        return self.preimage(flint.acb(abs(mu)))

    @property
    def real_image(self) -> RealImage:
        """Regular above 0, never 0, in conjugate pairs below."""
        return RealImage(RationalThreshold(Fraction(0)), at=NEVER, below=PAIRS)

    def describe(self) -> str:
        """The equation."""
        return f"x' = theta x{interval_text(self.horizon)}"
