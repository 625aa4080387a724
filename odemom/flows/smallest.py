"""A flow whose real preimages are those of least size: `represent(..., prefer="norm")`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from odemom.flows.base import Flow, RealImage
from odemom.flows.power_series import middle, series_length
from odemom.flows.preimages import PRECISION, condition_at, newton
from odemom.propagator.named_methods import Method

if TYPE_CHECKING:
    import flint

__all__ = ["Smallest"]

TRIED = 8  # so many crossings are looked at, the one nearest to 0 first
CRITICAL = 1e12  # from this condition number on a point counts as critical
SETTLED = 1e-16  # the last step of Newton's method, relative
POINTS = 1 << 15  # the grid that brackets preimages has so many, equidistant in |z|^(1/2)


@dataclass(frozen=True, repr=False)
class Smallest(Flow):
    """A flow with the real preimages of least |z| in place of the best conditioned ones.

    Attributes
    ----------
    flow : Flow
    """

    flow: Flow

    def scalar(self, z: Any) -> np.ndarray:
        """That of the flow."""
        return self.flow.scalar(z)

    def matrix(self, theta: np.ndarray, method: Method = "auto") -> np.ndarray:
        """That of the flow."""
        return self.flow.matrix(theta, method)

    def matrix_mp(self, theta: Any, dps: int) -> Any:
        """That of the flow."""
        return self.flow.matrix_mp(theta, dps)

    def series(self, z: flint.acb, length: int) -> flint.acb_series:
        """That of the flow."""
        return self.flow.series(z, length)

    @property
    def real_image(self) -> RealImage:
        """That of the flow."""
        return self.flow.real_image

    def critical_point(self) -> flint.arb:
        """That of the flow."""
        return self.flow.critical_point()

    def preimage(self, mu: flint.acb, near: tuple[flint.acb, flint.acb] | None = None) -> flint.acb:
        """That of the flow."""
        return self.flow.preimage(mu, near)

    def real_preimage(self, mu: flint.arb, size: int = 2) -> flint.acb:
        """The nearest of the real preimages that a grid brackets, up to that of the flow.

        A step of the grid is far less than a half turn of psi between 0 and that preimage, as long
        as it turns less than some thousand times there.
        """
        import flint

        known = self.flow.real_preimage(mu, size)
        value, reach = float(mu.mid()), abs(float(known.real.mid()))
        if not np.isfinite(reach):
            return known
        z = reach * np.linspace(-1, 1, 2 * POINTS + 1) * np.abs(np.linspace(-1, 1, 2 * POINTS + 1))
        with np.errstate(all="ignore"):
            psi = self.flow.scalar(z)
        above, finite = psi > value, np.isfinite(psi)
        crossed = np.flatnonzero((above[1:] != above[:-1]) & finite[1:] & finite[:-1])
        sizes = np.minimum(np.abs(z[crossed]), np.abs(z[crossed + 1]))
        for k in crossed[np.argsort(sizes)][:TRIED].tolist():
            point = self._bisected(float(z[k]), float(z[k + 1]), value)
            with flint.ctx.workprec(max(PRECISION, flint.ctx.prec)):
                found = newton(self.flow.series, flint.acb(point), middle(flint.acb(mu)))
                if not self._solves(found, mu):  # a crossing where psi only falls below the doubles
                    continue
                if abs(found.real) > abs(known.real):
                    break
                # A critical point produces an eigenvalue, but none of its larger blocks.
                if size == 1 or condition_at(self.flow.series, found, size) < CRITICAL:
                    return found
        return known

    def _solves(self, z: flint.acb, mu: flint.arb) -> bool:
        """Whether Newton's method has come to an end at z, to double precision."""
        with series_length(2):
            psi = self.flow.series(z, 2)
            missed, slope = abs(middle(psi[0] - mu)), abs(middle(psi[1]))
            return bool(missed <= SETTLED * slope * (1 + abs(z)))

    def _bisected(self, low: float, high: float, value: float) -> float:
        """Where psi crosses the value between two points."""
        above = bool(self.flow.scalar(low) > value)
        for _ in range(60):
            point = (low + high) / 2
            if bool(self.flow.scalar(point) > value) == above:
                low = point
            else:
                high = point
        return high

    def describe(self) -> str:
        """That of the flow."""
        return self.flow.describe()
