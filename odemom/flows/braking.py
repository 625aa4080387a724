"""theta_1 = c I brings the state nearly to rest at 0, then theta acts: two constant pieces."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from odemom.checks import nearest_double
from odemom.errors import UndecidedError
from odemom.flows.base import Flow, RealImage, as_points
from odemom.flows.power_series import ball, middle, variable, wave_kernel_series
from odemom.flows.preimages import PRECISION, follow
from odemom.flows.second_order import SecondOrder
from odemom.flows.undamped import Undamped
from odemom.propagator.companion import companion_exponential
from odemom.propagator.named_methods import Method

if TYPE_CHECKING:
    import flint

__all__ = ["Braking"]

MARGIN = 2.0  # how far below the least eigenvalue the minimum of psi is put, as a factor
LARGEST_STEP = 1e12  # in s², psi growing like exp(s): beyond the doubles long before


@dataclass(frozen=True, repr=False)
class Braking(Flow):
    """eps x'' + x' = theta(t) x, x'(0) = 0 on [0, T]: theta(t) = c I until tau, then theta.

    With a and b the scalars to which x and x' have come at tau, h = T - tau, m = eps/h, A = 1/(2 m)
    and s² = h z/m + A²::

        psi(z) = exp(-A) (a cosh s + (a A + h b) sinh(s)/s)
        psi(z) = a cosh s + h b sinh(s)/s, s² = h² z,           eps = inf: x'' = theta(t) x

    For b < 0 and a -> 0 from above its least value falls to -infinity, and psi increases from there
    on: c is chosen so that this is below the real eigenvalues that are to be reached, all of which
    are then taken on one increasing branch.

    Attributes
    ----------
    eps : Fraction, or inf
    switch, horizon : Fraction
    brake : float
        The number c, an exact dyadic rational.
    """

    eps: Fraction | float
    switch: Fraction
    horizon: Fraction
    brake: float

    @classmethod
    def below(
        cls, eps: Fraction | float, switch: Fraction, horizon: Fraction, least: float
    ) -> Braking | None:
        """One whose psi falls to 2 ``least`` < 0, or None where doubles do not hold its c."""
        before = Undamped(switch) if eps == math.inf else SecondOrder(eps, horizon=switch)
        import flint

        stop = float(before.real_preimage(flint.arb(0)).real)  # x(tau) = 0 for c = stop
        low, high = 1e-12, 1.0
        for _ in range(60):
            share = math.sqrt(low * high)
            found = cls(eps, switch, horizon, stop * (1 - share))
            if found.deepest <= MARGIN * least:
                low = share
            else:
                high = share
            if high < 1.05 * low:
                break
        found = cls(eps, switch, horizon, stop * (1 - low))
        return found if found.deepest <= 1.5 * least and found.state[0] > 0 else None

    @cached_property
    def _ball_state(self) -> tuple[flint.arb, flint.arb]:
        """The numbers a and h b."""
        import flint

        with flint.ctx.workprec(PRECISION):
            tau, length = ball(self.switch), ball(self.horizon - self.switch)
            c = ball(Fraction(self.brake))
            if self.eps == math.inf:
                w, rate, force = variable(flint.acb(c * tau**2), 1), flint.arb(0), c
            else:
                mass = ball(Fraction(self.eps))
                rate, force = tau / (2 * mass), c / mass
                w = variable(flint.acb(c * tau**2 / mass + rate**2), 1)
            cosh, sinhc = (kernel[0].real for kernel in wave_kernel_series(w, rate))
            return cosh + rate * sinhc, length * force * tau * sinhc

    @cached_property
    def state(self) -> tuple[float, float]:
        """The numbers a and h b in double precision."""
        a, b = self._ball_state
        return float(a), float(b)

    @property
    def _half_rate(self) -> Fraction:
        """The number A."""
        if self.eps == math.inf:
            return Fraction(0)
        return (self.horizon - self.switch) / (2 * Fraction(self.eps))

    @cached_property
    def _bottom(self) -> tuple[float, float]:
        """The s² at which psi is least, right of which it increases; and psi there.

        There a cosh s - k sinh(s)/s, k = -(a A + h b), is to be minimised: for k > a it vanishes at
        a real s <= k/a, and is least to the left of it; s² is searched from -pi² on.
        """
        a, b = self.state
        rate = float(self._half_rate)
        if not a > 0 or not a * rate + b < 0:
            return 0.0, math.inf
        end = max(-(a * rate + b) / a, 1.0) ** 2
        s2 = np.concatenate([np.linspace(-(math.pi**2), 1, 400), np.geomspace(1, end + 1, 2000)])
        s = np.sqrt(s2.astype(complex))
        with np.errstate(all="ignore"):
            rising, falling = np.exp(s - rate), np.exp(-s - rate)
            sinhc = np.where(np.abs(s) < 1e-4, math.exp(-rate), (rising - falling) / (2 * s))
            values = np.real(a * (rising + falling) / 2 + (a * rate + b) * sinhc)
        values = np.where(np.isfinite(values), values, np.inf)
        best = int(np.argmin(values))
        return float(s2[best]), float(values[best])

    @property
    def deepest(self) -> float:
        """The least value of psi on the branch that is used, to a per cent or so; inf if none."""
        return self._bottom[1]

    def _point(self, s2: float) -> float:
        length = float(self.horizon - self.switch)
        if self.eps == math.inf:
            return s2 / length**2
        return (s2 - float(self._half_rate) ** 2) * nearest_double(Fraction(self.eps)) / length**2

    @cached_property
    def start(self) -> tuple[flint.acb, flint.acb]:
        """A point on the increasing branch where psi > 0, and psi there."""
        import flint

        s2 = self._bottom[0]
        step = 1.0
        while not (value := float(self.scalar(self._point(s2 + step)))) > 0:
            step *= 1.5
            if not math.isfinite(value) or step > LARGEST_STEP:
                raise UndecidedError(
                    f"{self.describe()}: psi exceeds the range of doubles before it is positive."
                )
        z = flint.acb(self._point(s2 + step))
        with flint.ctx.workprec(PRECISION):
            return z, middle(self.series(z, 1)[0])

    def scalar(self, z: Any) -> np.ndarray:
        """Psi of points; see `Flow.scalar`."""
        points = as_points(z)
        return self.matrix(points[..., None, None])[..., 0, 0]

    def matrix(self, theta: np.ndarray, method: Method = "auto") -> np.ndarray:
        """Psi of a matrix, by the companion matrix of the second piece; see `Flow.matrix`."""
        del method
        (a, b), length = self.state, float(self.horizon - self.switch)
        velocity = np.broadcast_to(np.eye(theta.shape[-1]) * (b / a), theta.shape)
        with np.errstate(all="ignore"):
            if self.eps == math.inf:
                return a * companion_exponential(length**2 * theta, 0.0, velocity)
            rate = length / nearest_double(Fraction(self.eps))
            return a * companion_exponential(length * rate * theta, rate, velocity)

    def matrix_mp(self, theta: Any, dps: int) -> Any:
        """The exponential of the companion matrix in mpmath; see `Flow.matrix_mp`."""
        import mpmath

        from odemom.flows.psi_precise import as_mpf, mp_matrix

        with mpmath.workdps(2 * dps + 20):
            m = mp_matrix(theta)
            d, length = m.rows, as_mpf(self.horizon - self.switch)
            inverse = mpmath.mpf(0) if self.eps == math.inf else 1 / as_mpf(Fraction(self.eps))
            companion = mpmath.zeros(2 * d)
            for i in range(d):
                companion[i, d + i], companion[d + i, d + i] = length, -length * inverse
                for j in range(d):
                    companion[d + i, j] = m[i, j] * length * (inverse or 1)
            block = mpmath.expm(companion)
            a, b = (mpmath.mpf(str(x.mid().str(60, radius=False))) for x in self._ball_state)
            result = block[:d, :d] * a + block[:d, d:] * (b / length)
        with mpmath.workdps(dps):
            return +result

    def series(self, z: flint.acb, length: int) -> flint.acb_series:
        """Psi(z + t); see `Flow.series`."""
        import flint

        span, rate = self.horizon - self.switch, self._half_rate
        bits = math.ceil(2 * rate).bit_length()
        with flint.ctx.workprec(flint.ctx.prec + 2 * bits):
            a, b = self._ball_state
            force = span**2 if self.eps == math.inf else span**2 / Fraction(self.eps)
            w = variable(z, length) * ball(force) + ball(rate) ** 2
            cosh, sinhc = wave_kernel_series(w, ball(rate))
            return cosh * a + sinhc * (a * ball(rate) + b)

    def preimage(self, mu: flint.acb, near: tuple[flint.acb, flint.acb] | None = None) -> flint.acb:
        """On the continuation of the increasing branch; see `Flow.preimage`."""
        import flint

        with flint.ctx.workprec(max(PRECISION, flint.ctx.prec)):
            mu = middle(mu)
            if near is not None:
                return self._follow(near[1], [near[0], mu])
            z, value = self.start
            corner = middle((value + mu) / 2 + flint.acb(0, 1) * abs(mu - value) / 2)
            return self._follow(z, [value, corner, mu])

    def real_preimage(self, mu: flint.arb, size: int = 2) -> flint.acb:
        """On the increasing branch; see `Flow.real_preimage`."""
        import flint

        del size
        with flint.ctx.workprec(max(PRECISION, flint.ctx.prec)):
            z, value = self.start
            end = follow(self.series, z, [value, middle(flint.acb(mu))])
            assert end is not None  # it is never blocked
            return end

    @property
    def real_image(self) -> RealImage:
        """Every value that is asked for lies above the minimum, by the choice of c."""
        return RealImage(None)

    def describe(self) -> str:
        """The equation."""
        equation = "x'' = theta(t) x" if self.eps == math.inf else "eps x'' + x' = theta(t) x"
        return f"{equation}, theta(t) = {self.brake:.6g} I until t = {float(self.switch):.6g}"
