"""Fixed-step schemes that can be run backwards: any Runge-Kutta method coupled, and leapfrog.

Each is written once in floats, for plain autograd (`in_floats`), and once as a `ReversibleState`
with the functions that move it (`exact`, `moves`), for the pass that remembers nothing.

*Coupled* (McCallum and Foster 2024), over a method with increment Psi_h = h Phi_h, Phi_h its mean
slope:

    y' = lambda y + (1 - lambda) z + Psi_h(t, z),    z' = z - Psi_{-h}(t + h, y').

It has the order of the method and takes twice its evaluations. The difference y - z is no part of
the ODE's solution; a step multiplies it by lambda exp(-a h) on x' = a x, so that it grows where the
field contracts by more than the rate kappa with lambda = exp(-kappa h). The default is kappa =
16/T + 1/eps: enough for the damping of the equation and a field that contracts by exp(-16) over the
horizon T. Reversing such a contraction takes kappa T/log 2 bits an element, however many steps.

*Leapfrog* for eps x'' + x' = f(t, x), with one evaluation a step and order 2 (the splitting into
x' = v and eps v' = f - v, each solved exactly, "kick, drift, kick"):

    v <- exp(-h/eps) v + (1 - exp(-h/eps)) f(t, x),    x <- x + h v,

with half a kick at both ends. It is the momentum network of gamma = exp(-h/eps).
"""

from __future__ import annotations

import functools
import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction

from torch import Tensor

from odemom.nn.reversible.coupled import CoupledState
from odemom.nn.reversible.gamma import LARGEST_DENOMINATOR, rational_gamma
from odemom.nn.reversible.leapfrog import LeapfrogState
from odemom.nn.reversible.state import ReversibleState

__all__ = [
    "TABLEAUX",
    "Coupled",
    "Leapfrog",
    "Scheme",
    "Tableau",
    "default_damping",
    "mean_slope",
    "steps_of",
]

Parts = tuple[Tensor, ...]
Derivative = Callable[[float, Parts], Parts]

DAMPING_OVER_THE_HORIZON = 16.0
SMALLEST_DAMPING = 2.0**-8


@dataclass(frozen=True)
class Tableau:
    """An explicit Runge-Kutta method: k_i = F(t + c_i h, x + h sum_j a_ij k_j)."""

    order: int
    a: tuple[tuple[float, ...], ...]
    b: tuple[float, ...]

    @functools.cached_property
    def c(self) -> tuple[float, ...]:
        """The nodes, row sums of ``a``."""
        return tuple(sum(row) for row in self.a)

    @functools.cached_property
    def only(self) -> int | None:
        """The stage that is the mean slope, where one alone has a weight, which is 1 then."""
        weighted = [i for i, weight in enumerate(self.b) if weight]
        return weighted[0] if len(weighted) == 1 else None


# The same methods as torchdiffeq's of these names ("rk4" is Kutta's 3/8 rule there).
TABLEAUX = {
    "euler": Tableau(1, ((),), (1.0,)),
    "midpoint": Tableau(2, ((), (1 / 2,)), (0.0, 1.0)),
    "heun3": Tableau(3, ((), (1 / 3,), (0.0, 2 / 3)), (1 / 4, 0.0, 3 / 4)),
    "rk4": Tableau(
        4, ((), (1 / 3,), (-1 / 3, 1.0), (1.0, -1.0, 1.0)), (1 / 8, 3 / 8, 3 / 8, 1 / 8)
    ),
}


def steps_of(length: float, step: float) -> int:
    """How many equal steps of at most ``step`` make ``length``.

    Examples
    --------
    >>> steps_of(1.0, 0.1), steps_of(1.0, 0.3), steps_of(0.01, 0.3)
    (10, 4, 1)
    """
    return max(1, math.ceil(length / step * (1 - 1e-9)))


def _plus(parts: Parts, weights: tuple[float, ...], stages: list[Parts], h: float) -> Parts:
    """Each part with its slopes added, by their weights."""
    for weight, slopes in zip(weights, stages, strict=True):
        if weight:
            alpha = h * weight
            parts = tuple([x.add(k, alpha=alpha) for x, k in zip(parts, slopes, strict=True)])
    return parts


def mean_slope(tableau: Tableau, slope: Derivative, t: float, h: float, parts: Parts) -> Parts:
    """Phi_h(t, x): what a step adds to the state, over h."""
    stages: list[Parts] = []
    for row, c in zip(tableau.a, tableau.c, strict=True):
        inside = _plus(parts, row, stages, h) if stages else parts
        stages.append(slope(t + c * h, inside))
    if tableau.only is not None:
        return stages[tableau.only]
    first = next(i for i, weight in enumerate(tableau.b) if weight)
    start = tuple(k * tableau.b[first] for k in stages[first])
    return _plus(start, tableau.b[first + 1 :], stages[first + 1 :], 1.0)


class Scheme(ABC):
    """``steps`` equal steps from ``start`` to ``end``."""

    def __init__(self, start: float, end: float, steps: int) -> None:
        self.start, self.end, self.steps = start, end, steps
        self.h = (end - start) / steps

    def time(self, n: int) -> float:
        """The time before step ``n``."""
        return self.end if n == self.steps else self.start + n * self.h

    @property
    @abstractmethod
    def moves(self) -> int:
        """Number of moves of the exact state."""

    @abstractmethod
    def value(self, n: int, slope: Derivative, shown: Parts) -> Parts:
        """What move ``n`` gives the state, a function of what the state shows."""

    @abstractmethod
    def exact(self, parts: Parts, *, resolution: int | None, keep: bool) -> list[ReversibleState]:
        """The state that holds ``parts``, one for each that is shown."""

    @abstractmethod
    def in_floats(self, slope: Derivative, parts: Parts) -> Parts:
        """The same moves under plain autograd."""

    @abstractmethod
    def read(self, states: list[ReversibleState]) -> Parts:
        """The result, from the state after the last move."""

    @abstractmethod
    def gradients_at_end(self, grads: Parts) -> list[tuple[Tensor | None, Tensor | None]]:
        """The gradients for each state's pair (x, h), from those for `read`."""

    @abstractmethod
    def gradients_at_start(self, pairs: list[tuple[Tensor | None, Tensor | None]]) -> list:
        """The gradients for the parts given to `exact`, from those for each state's pair."""


class Coupled(Scheme):
    """Two copies, y and z, of the state of a Runge-Kutta method, moved in turn.

    Parameters
    ----------
    start, end, steps
    tableau : Tableau
    damping : float
        lambda; a nearby fraction is used.
    """

    def __init__(
        self, start: float, end: float, steps: int, tableau: Tableau, damping: float
    ) -> None:
        super().__init__(start, end, steps)
        self.tableau = tableau
        self.damping: Fraction = rational_gamma(damping)

    @property
    def moves(self) -> int:
        """Two a step."""
        return 2 * self.steps

    def value(self, n: int, slope: Derivative, shown: Parts) -> Parts:
        """Phi_h(z) and Phi_{-h}(y) in turn."""
        step, backwards = divmod(n, 2)
        h = -self.h if backwards else self.h
        return mean_slope(self.tableau, slope, self.time(step + backwards), h, shown)

    def exact(self, parts: Parts, *, resolution: int | None, keep: bool) -> list[ReversibleState]:
        """Every part coupled with a copy of itself."""
        return [
            CoupledState(p, self.damping, self.h, resolution=resolution, keep=keep) for p in parts
        ]

    def in_floats(self, slope: Derivative, parts: Parts) -> Parts:
        """The copy y after the last step."""
        damping, y, z = float(self.damping), parts, parts
        for n in range(self.steps):
            forth = self.value(2 * n, slope, z)
            pairs = zip(y, z, forth, strict=True)
            y = tuple(b + (damping * (a - b)).add(phi, alpha=self.h) for a, b, phi in pairs)
            back = self.value(2 * n + 1, slope, y)
            z = tuple(b.add(phi, alpha=self.h) for b, phi in zip(z, back, strict=True))
        return y

    def read(self, states: list[ReversibleState]) -> Parts:
        """The copy y, which is z + v."""
        return tuple(s.shown() + s.companion() for s in states)

    def gradients_at_end(self, grads: Parts) -> list[tuple[Tensor | None, Tensor | None]]:
        """Those for z and for -v = z - y, along which the last move took it (`CoupledState`)."""
        return [(g, -g) for g in grads]

    def gradients_at_start(self, pairs: list[tuple[Tensor | None, Tensor | None]]) -> list:
        """That for z: v starts at 0."""
        return [gx for gx, _ in pairs]


class Leapfrog(Scheme):
    """The inner kicks of a leapfrog: from (x_1, v_{1/2}) to (x_N, v_{N - 1/2}).

    Parameters
    ----------
    start, end, steps
    eps : float
        In (0, inf].
    """

    def __init__(self, start: float, end: float, steps: int, eps: float) -> None:
        super().__init__(start, end, steps)
        self.eps = eps
        # As near as a fraction comes: it is a coefficient of the equation.
        self.damping = Fraction(math.exp(-self.h / eps)).limit_denominator(LARGEST_DENOMINATOR)
        self.weight = self.kick_of(self.h)

    def kick_of(self, length: float) -> float:
        """The weight of f in the velocity after ``length``: eps v' = f - v."""
        return length if self.eps == math.inf else -math.expm1(-length / self.eps)

    def half_kick(self, force: Tensor, velocity: Tensor | None) -> Tensor:
        """The velocity v after half a step."""
        kicked = force * self.kick_of(self.h / 2)
        if velocity is None:
            return kicked
        return kicked + velocity * math.exp(-self.h / 2 / self.eps)

    @property
    def moves(self) -> int:
        """One a step but the first."""
        return self.steps - 1

    def value(self, n: int, slope: Derivative, shown: Parts) -> Parts:
        """The force at the position shown."""
        return slope(self.time(n + 1), shown)

    def exact(self, parts: Parts, *, resolution: int | None, keep: bool) -> list[ReversibleState]:
        """Position and velocity as one state."""
        (x, v), rule = parts, (self.damping, self.h, self.weight)
        return [LeapfrogState(x, v, *rule, resolution=resolution, keep=keep)]

    def in_floats(self, slope: Derivative, parts: Parts) -> Parts:
        """A kick and a drift a move."""
        x, v = parts
        for n in range(self.moves):
            (force,) = self.value(n, slope, (x,))
            v = float(self.damping) * v + self.weight * force
            x = x + self.h * v
        return x, v

    def read(self, states: list[ReversibleState]) -> Parts:
        """Position and velocity."""
        return states[0].shown(), states[0].companion()

    def gradients_at_end(self, grads: Parts) -> list[tuple[Tensor | None, Tensor | None]]:
        """As they are."""
        return [(grads[0], grads[1])]

    def gradients_at_start(self, pairs: list[tuple[Tensor | None, Tensor | None]]) -> list:
        """As they are."""
        return list(pairs[0])


def default_damping(h: float, horizon: float, eps: float | None) -> float:
    """Lambda of `Coupled` for one step: exp(-kappa h), see the module's text."""
    rate = DAMPING_OVER_THE_HORIZON / horizon + (1 / eps if eps else 0.0)
    return max(math.exp(-rate * h), SMALLEST_DAMPING)
