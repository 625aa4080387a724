"""The undamped second-order flow x'' = theta x: psi(z) = cosh sqrt z."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import TYPE_CHECKING

from odemom.checks import as_horizon
from odemom.flows.base import (
    CRITICAL,
    PAIRS,
    Number,
    RationalThreshold,
    RealImage,
    exact,
    interval_text,
)
from odemom.flows.ode import ODEFlow
from odemom.flows.power_series import ball, middle, series_length, wave_kernel_series
from odemom.flows.preimages import PRECISION

if TYPE_CHECKING:
    import flint

__all__ = ["Undamped"]


@dataclass(frozen=True, repr=False)
class Undamped(ODEFlow):
    """The flow of x'' = theta x, x'(0) = 0 on [0, T]: psi(z) = cosh sqrt(T² z).

    It is the limit eps -> infinity of `SecondOrder` after theta is rescaled by eps. psi(R) =
    [-1, inf), and -1 is taken at critical points only.

    Parameters
    ----------
    horizon : number, default 1
        The final time T in (0, inf).

    Examples
    --------
    >>> import numpy as np
    >>> from odemom.flows import Undamped
    >>> float(Undamped().scalar(-np.pi**2))
    -1.0
    """

    horizon: Number = 1

    def __post_init__(self) -> None:
        object.__setattr__(self, "horizon", as_horizon(self.horizon))

    @cached_property
    def unit_eps(self) -> float:
        """The limit mass inf."""
        return math.inf

    @property
    def unit_flow(self) -> Undamped:
        """The flow on [0, 1]."""
        return Undamped()

    @property
    def factor(self) -> Fraction:
        """The square of the horizon."""
        return exact(self.horizon) ** 2

    @cached_property
    def _stretches(self) -> tuple[float, ...]:
        return () if self.horizon == 1 else (float(self.horizon),) * 2  # T² may overflow

    def series(self, z: flint.acb, length: int) -> flint.acb_series:
        """Cosh sqrt(T² (z + t)); see `Flow.series`."""
        import flint

        return wave_kernel_series(self.points_series(z, length), flint.arb(0))[0]

    def critical_point(self) -> flint.arb:
        """-(pi/T)²."""
        import flint

        return -((flint.arb.pi() / ball(exact(self.horizon))) ** 2)

    def preimage(self, mu: flint.acb, near: tuple[flint.acb, flint.acb] | None = None) -> flint.acb:
        """(arcosh(mu)/T)², principal; see `Flow.preimage`."""
        import flint

        del near
        with series_length(2, max(PRECISION, flint.ctx.prec)):
            return middle((mu.acosh() / ball(exact(self.horizon))) ** 2)

    def real_preimage(self, mu: flint.arb, size: int = 2) -> flint.acb:
        """(arcosh(mu)/T)², for mu < -1 by rounding the critical point; see `Flow.real_preimage`."""
        import flint

        del size  # there is only one
        with flint.ctx.workprec(max(PRECISION, flint.ctx.prec)):
            return flint.acb(self.preimage(flint.acb(max(mu.mid(), flint.arb(-1)))).real)

    @property
    def real_image(self) -> RealImage:
        """Regular above -1, critical at -1, in conjugate pairs below."""
        return RealImage(RationalThreshold(Fraction(-1)), at=CRITICAL, below=PAIRS)

    def describe(self) -> str:
        """The equation."""
        return f"x'' = theta x, x'(0) = 0{interval_text(self.horizon)}"
