"""theta acts until a switch, then the state coasts: every real matrix is representable."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import TYPE_CHECKING

from odemom.checks import as_eps, as_horizon, expect, invalid, nearest_double, shown
from odemom.flows.base import Number, RealImage, exact, interval_text, number_text
from odemom.flows.ode import ODEFlow, velocity_weight
from odemom.flows.power_series import ball, wave_kernel_series
from odemom.flows.preimages import PRECISION
from odemom.propagator.plans import LARGEST_UNIT

if TYPE_CHECKING:
    import flint

__all__ = ["Coasting"]


@dataclass(frozen=True, repr=False)
class Coasting(ODEFlow):
    """The flow of eps x'' + x' = theta(t) x, x'(0) = 0, theta(t) = theta until a switch, then 0.

    With tau the switch, T the horizon, s² = z/eps + 1/(4 eps²) and w = 1 - exp(-(T - tau)/eps)::

        psi(z) = psi_{eps,tau}(z) + w z exp(-tau/(2 eps)) sinh(s tau)/s
        psi(z) = cosh(s tau) + (T - tau) s sinh(s tau), s² = z,             eps = inf: x'' = theta x

    It is the map of x'(0) = w theta x0 on [0, tau] too. On the negative real line psi oscillates
    with a growing amplitude: it takes every real value at a regular point, and every real matrix is
    representable, by a theta that is a function of D. Its norm may be large, of the order of
    (exp(tau/(2 eps)) |mu|/w)²/eps for an eigenvalue mu far below 0.

    Parameters
    ----------
    eps : number or str
        The mass, in (0, inf].
    switch : number or str
        The time tau in (0, horizon) from which on theta is 0.
    horizon : number, default 1
        The final time T in (0, inf).

    Raises
    ------
    InvalidInputError
        If a parameter is outside its domain.

    References
    ----------
    docs/routes.md, "One switch reaches every matrix".

    Examples
    --------
    The limit of a late switch is `SecondOrder`; and -3, which that never reaches, is reached:

    >>> import numpy as np, odemom
    >>> from odemom.flows import Coasting, SecondOrder
    >>> late = Coasting(1, 1 - 1e-12).scalar(-9.0)
    >>> bool(np.isclose(late, SecondOrder(1).scalar(-9.0)))
    True
    >>> theta = odemom.represent([[-3]], Coasting(1, "1/2"))
    >>> bool(np.allclose(odemom.psi(theta, Coasting(1, "1/2")), -3))
    True
    """

    eps: Number
    switch: Number
    horizon: Number = 1

    def __post_init__(self) -> None:
        eps = as_eps(self.eps)
        if eps == 0:
            raise invalid(
                "eps",
                got="0",
                expected="a number in (0, inf]",
                fix="A first-order flow stops at once where theta is 0: it is FirstOrder(switch).",
            )
        horizon = as_horizon(self.horizon)
        switch = as_horizon(self.switch, "switch")
        expect(
            switch < horizon,
            "switch",
            got=shown(self.switch),
            expected=f"a time in (0, horizon), horizon = {number_text(horizon)}",
            fix="With the switch at the horizon it is SecondOrder, or Undamped.",
        )
        object.__setattr__(self, "eps", eps)
        object.__setattr__(self, "switch", switch)
        object.__setattr__(self, "horizon", horizon)

    @cached_property
    def unit_eps(self) -> Fraction | float:
        """The quotient eps/tau, exactly; or inf."""
        return math.inf if self.eps == math.inf else exact(self.eps) / exact(self.switch)

    @cached_property
    def unit(self) -> float:
        """`unit_eps` in double precision; see `SecondOrder.unit`."""
        if self.unit_eps == math.inf:
            return math.inf
        return min(max(nearest_double(self.unit_eps), 5e-324), LARGEST_UNIT)

    @property
    def coast(self) -> Fraction:
        """How long theta is 0, in units of the switch, exactly."""
        return exact(self.horizon) / exact(self.switch) - 1

    @property
    def factor(self) -> Fraction:
        """The switch, or for eps = inf its square."""
        tau = exact(self.switch)
        return tau**2 if self.eps == math.inf else tau

    @cached_property
    def _stretches(self) -> tuple[float, ...]:
        if self.switch == 1:
            return ()
        return (float(self.switch),) * (2 if self.eps == math.inf else 1)

    @property
    def unit_flow(self) -> Coasting:
        """The flow whose theta acts on [0, 1]."""
        return Coasting(self.unit_eps, 1, 1 + self.coast)

    def series(self, z: flint.acb, length: int) -> flint.acb_series:
        """Psi(z + t); see `Flow.series`."""
        import flint

        if self.unit_eps == math.inf:
            points = self.points_series(z, length)
            cosh, sinhc = wave_kernel_series(points, flint.arb(0))
            return cosh + points * sinhc * ball(self.coast)
        eps = Fraction(self.unit_eps)
        bits = math.ceil(1 / eps).bit_length() + math.ceil(eps / self.coast).bit_length()
        with flint.ctx.workprec(flint.ctx.prec + 2 * bits):
            a, points = ball(1 / (2 * eps)), self.points_series(z, length)
            cosh, sinhc = wave_kernel_series(points / ball(eps) + a * a, a)
            return cosh + sinhc * (points * velocity_weight(eps, self.coast) + a)

    def real_preimage(self, mu: flint.arb, size: int = 2) -> flint.acb:
        """A regular real preimage; see `Flow.real_preimage`."""
        import flint

        with flint.ctx.workprec(max(PRECISION, flint.ctx.prec)):
            return self._wide_real_preimage(mu, size)

    @property
    def _keeps_to_real_branches(self) -> bool:
        """Psi has critical values inside its real image."""
        return True

    @property
    def real_image(self) -> RealImage:
        """Every real value, regularly."""
        return RealImage(None)

    def describe(self) -> str:
        """The equation."""
        mass = "" if self.eps == 1 else f"{number_text(self.eps)} "
        equation = "x'' = theta x" if self.eps == math.inf else f"{mass}x'' + x' = theta x"
        where = interval_text(self.horizon) or " on [0, 1]"
        return f"{equation} until t = {number_text(self.switch)}, then theta = 0,{where}, x'(0) = 0"
