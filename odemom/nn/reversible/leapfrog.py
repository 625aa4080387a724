"""The rule of a leapfrog: v' = gamma v + c f(x), x' = x + h v'."""

from __future__ import annotations

import copy
from fractions import Fraction

import torch
from torch import Tensor

from odemom.errors import FixedPointRangeError
from odemom.nn.reversible.eager import summed
from odemom.nn.reversible.momentum import MomentumState
from odemom.nn.reversible.state import Gradients, ReversibleState

__all__ = ["LeapfrogState"]


class LeapfrogState(ReversibleState):
    """Position and velocity in fixed point, each with its own unit; the function sees x.

    `MomentumState` keeps the displacement h v instead, in units of x: of n short steps its rounding
    would add up to n^{3/2} units, here to n^{1/2}.

    Parameters
    ----------
    x, v : Tensor, same shape
    gamma : Fraction
        The damping of a step, in (0, 1].
    step, weight : float
        h and c.
    resolution : int or None
    keep : bool
        Whether to keep what is needed to go back.

    Examples
    --------
    >>> import torch
    >>> from fractions import Fraction
    >>> x, v = torch.tensor([1.0, -2.0]), torch.tensor([0.5, 0.0])
    >>> state = LeapfrogState(x, v, Fraction(9, 10), 0.25, 0.1)
    >>> _ = state.advance(-state.shown())
    >>> state.companion()
    tensor([0.3500, 0.2000])
    >>> _ = state.retreat(-state.expose())
    >>> torch.equal(state.shown(), x), torch.equal(state.companion(), v)
    (True, True)
    """

    def __init__(
        self,
        x: Tensor,
        v: Tensor,
        gamma: Fraction,
        step: float,
        weight: float,
        *,
        resolution: int | None = None,
        keep: bool = True,
    ) -> None:
        # Both are additions to a velocity; the position of these momentum steps is not used.
        self._kick = MomentumState(
            torch.zeros_like(v), v, gamma, resolution=resolution, keep=keep, weight=weight
        )
        self._drift = MomentumState(
            torch.zeros_like(x), x, Fraction(1), resolution=resolution, keep=keep, weight=step
        )
        super().__init__(x, resolution=resolution, form=self._drift.format)

    def shown(self) -> Tensor:
        """The position as floats."""
        return self._drift.companion()

    def companion(self) -> Tensor:
        """The velocity as floats."""
        return self._kick.companion()

    def advance(self, f: Tensor) -> tuple[Tensor, Tensor]:
        """A kick and a drift."""
        self._kick.x.zero_()
        v, kicked = self._kick.advance(f)
        self._drift.x.zero_()
        x, drifted = self._drift.advance(v)
        return x, torch.stack((kicked[0], torch.maximum(kicked[1], drifted[1])))

    def expose(self) -> Tensor:
        """The position before the drift."""
        self._drift.retreat(self.companion())
        return self.shown()

    def retreat(self, f: Tensor) -> Tensor:
        """The velocity before the kick."""
        return self._kick.retreat(f)

    def adjoint(self, gx: Tensor | None, gh: Tensor | None) -> Gradients:
        """The gradients: c (h gx + gv) for f, gx for x, gamma (h gx + gv) for v."""
        return self.force(gx, gh), *self.carried(gx, gh, None, None)

    def force(self, gx: Tensor | None, gh: Tensor | None) -> Tensor:
        """The first of `adjoint` alone."""
        return self._kick.force(self._drifted(gx), gh)

    def carried(
        self, gx: Tensor | None, gh: Tensor | None, through: Tensor | None, less: Tensor | None
    ) -> tuple[Tensor | None, Tensor | None]:
        """The gradients for x and v; that for f is not made once more."""
        gv = self._kick.kernel.force(self._drifted(gx), gh, float(self._kick.gamma))
        return summed(gx, through, less), gv

    def _drifted(self, gx: Tensor | None) -> Tensor | None:
        return None if gx is None else gx * self._drift.weight

    def escape(self, where: str, peak: int, f: Tensor | None) -> FixedPointRangeError:
        """As `ReversibleState.escape`; velocity and position have units of their own."""
        if f is None:
            return self.format.escape(where, None)
        kick, drift = self._kick, self._drift
        if kick.has_escaped(f):
            return kick.escape(where, kick.peak(), f)
        return drift.escape(where, drift.peak(), self.companion())

    def clone(self) -> LeapfrogState:
        """A state that can be moved without moving this one."""
        twin = copy.copy(self)
        twin._kick, twin._drift = self._kick.clone(), self._drift.clone()
        return twin

    @property
    def nbytes(self) -> int:
        """Bytes of both and the buffer."""
        return self._kick.nbytes + self._drift.nbytes
