"""The undamped second-order flow x'' = theta x: psi(z) = cosh sqrt z."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np

from odemom.checks import as_horizon
from odemom.flows.base import (
    CRITICAL,
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
from odemom.flows.companion import companion_exponential
from odemom.flows.power_series import ball, middle, series_length, variable, wave_kernel_series
from odemom.flows.preimages import PRECISION
from odemom.flows.propagator import propagate, stretched
from odemom.flows.wave_kernels import cosh_root, cosh_series

if TYPE_CHECKING:
    import flint

__all__ = ["Undamped"]


@dataclass(frozen=True)
class Undamped(Flow):
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

    def scalar(self, z: Any) -> np.ndarray:
        """Cosh sqrt(T² z); see `Flow.scalar`."""
        points = as_points(z)
        values = np.cosh(float(self.horizon) * np.sqrt(points.astype(np.complex128)))
        return values if points.dtype.kind == "c" else np.real(values)

    def matrix(self, theta: np.ndarray, method: Method = "auto") -> np.ndarray:
        """Cosh sqrt(T² theta); see `Flow.matrix`."""
        if self.horizon != 1:
            horizon = float(self.horizon)
            theta = stretched(stretched(theta, horizon), horizon)
        if method == "auto":
            return propagate(theta, math.inf, False)
        with np.errstate(all="ignore"):
            if method == "companion":
                return companion_exponential(theta, damping=0.0)
            return {"closed": cosh_root, "series": cosh_series}[method](theta)

    def matrix_mp(self, theta: Any, dps: int) -> Any:
        """Cosh sqrt(T² theta) in mpmath; see `Flow.matrix_mp`."""
        from odemom.flows.precise import undamped_mp

        return undamped_mp(theta, exact(self.horizon) ** 2, dps)

    def series(self, z: flint.acb, length: int) -> flint.acb_series:
        """Cosh sqrt(T² (z + t)); see `Flow.series`."""
        import flint

        w = variable(z, length) * ball(exact(self.horizon)) ** 2
        return wave_kernel_series(w, flint.arb(0))[0]

    def critical_point(self) -> flint.arb:
        """-(pi/T)²."""
        import flint

        return -((flint.arb.pi() / ball(exact(self.horizon))) ** 2)

    def preimage(self, mu: flint.acb, near: tuple[flint.acb, flint.acb] | None = None) -> flint.acb:
        """(arcosh(mu)/T)², principal; see `Flow.preimage`."""
        del near
        with series_length(2, PRECISION):
            return middle((mu.acosh() / ball(exact(self.horizon))) ** 2)

    def real_preimage(self, mu: flint.arb) -> flint.acb:
        """(arcosh(mu)/T)², for mu < -1 by rounding the critical point; see `Flow.real_preimage`."""
        import flint

        with flint.ctx.workprec(PRECISION):
            return flint.acb(self.preimage(flint.acb(max(mu.mid(), flint.arb(-1)))).real)

    @property
    def real_image(self) -> RealImage:
        """Regular above -1, critical at -1, in conjugate pairs below."""
        return RealImage(RationalThreshold(Fraction(-1)), at=CRITICAL, below=PAIRS)

    def describe(self) -> str:
        """The equation."""
        return f"x'' = theta x, x'(0) = 0{interval_text(self.horizon)}"
