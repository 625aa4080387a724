"""The rule of McCallum and Foster (2024): any one-step method made reversible by a second copy."""

from __future__ import annotations

import copy
from fractions import Fraction

from torch import Tensor

from odemom.nn.reversible.momentum import MomentumState
from odemom.nn.reversible.state import Gradients, ReversibleState
from odemom.nn.reversible.two_words import negate_

__all__ = ["CoupledState"]


class CoupledState(ReversibleState):
    r"""Two copies y and z of one solution, in fixed point, moved in turn.

    With the increment Psi_h = h Phi_h of a one-step method, a step is (eq. (6) of the source)

        y' = lambda y + (1 - lambda) z + h Phi_h(z),    z' = z + h Phi_{-h}(y').

    Its two halves are the even and the odd moves of this state. With v = y - z they are momentum
    steps, of damping lambda and of none:

        v <- lambda v + h Phi_h(z),     x = z + v  (which is y'),
        v <- v - h Phi_{-h}(y'),        x = y' - v (which is z'),

    so lambda v keeps its remainders in the information buffer: log2(1/lambda) bits a step. ``x`` is
    what the next function sees, z or y; the companion is v.

    Parameters
    ----------
    x : Tensor, any shape
        The initial state: y = z = x.
    damping : Fraction
        lambda in (0, 1].
    step : float
        h, by which every value is multiplied.
    resolution : int or None
    keep : bool
        Whether to keep what is needed to go back.

    References
    ----------
    McCallum and Foster, *Efficient, accurate and stable gradients for neural ODEs*, 2024.

    Examples
    --------
    Two steps of Euler's method for x' = -x, and back:

    >>> import torch
    >>> from fractions import Fraction
    >>> x = torch.tensor([1.0, -2.0])
    >>> state = CoupledState(x, Fraction(3, 4), 0.1)
    >>> for _ in range(4):
    ...     _ = state.advance(-state.shown())
    >>> for _ in range(4):
    ...     _ = state.retreat(-state.expose())
    >>> torch.equal(state.shown(), x), bool(state.companion().any())
    (True, False)
    """

    def __init__(
        self,
        x: Tensor,
        damping: Fraction,
        step: float,
        *,
        resolution: int | None = None,
        keep: bool = True,
    ) -> None:
        self._forth = MomentumState(x, None, damping, resolution=resolution, keep=keep, weight=step)
        super().__init__(x, resolution=resolution, form=self._forth.format)
        # The second half moves x along -v, without damping.
        self._back = self._forth.undamped()
        self.weight = step
        self.moves = 0

    def shown(self) -> Tensor:
        """The copy that the next function sees, z or y, as floats."""
        return self._forth.shown()

    def companion(self) -> Tensor:
        """The difference v = y - z as floats."""
        return self._forth.companion()

    def advance(self, f: Tensor) -> tuple[Tensor, Tensor]:
        """Half a step, with f = Phi_h(z) or Phi_{-h}(y)."""
        self.moves += 1
        if self.moves % 2:
            return self._forth.advance(f)
        self._turn()
        moved = self._back.advance(f)
        self._turn_again()
        return moved

    def expose(self) -> Tensor:
        """The copy that the last function saw."""
        if self.moves % 2:
            return self._forth.expose()
        self._turn()
        return self._back.expose()

    def retreat(self, f: Tensor) -> Tensor:
        """The other half of the way back."""
        self.moves -= 1
        if self.moves % 2 == 0:
            return self._forth.retreat(f)
        checksum = self._back.retreat(f)
        self._turn_again()
        return checksum

    def adjoint(self, gx: Tensor | None, gh: Tensor | None) -> Gradients:
        """The gradients of the last half step, which has not been undone yet.

        As ``gh`` stands that for the velocity along which x moves there: v in the first half of a
        step, -v in the second. Both halves are momentum steps then, and turn it.
        """
        gf, gx, gh = self._half(self.moves).adjoint(gx, gh)
        return gf, gx, None if gh is None else -gh

    def force(self, gx: Tensor | None, gh: Tensor | None) -> Tensor:
        """The first of `adjoint`, in one pass where there is a kernel for it."""
        return self._half(self.moves).force(gx, gh)

    def carried(
        self, gx: Tensor | None, gh: Tensor | None, through: Tensor | None, less: Tensor | None
    ) -> tuple[Tensor | None, Tensor | None]:
        """The gradients for x and the turned velocity, the half step having been undone."""
        half = self._half(self.moves + 1)
        return half.kernel.carried(gx, gh, through, less, -float(half.gamma))

    def _half(self, move: int) -> MomentumState:
        """The momentum step that is move number ``move``, counted from 1."""
        return self._forth if move % 2 else self._back

    def _turn(self) -> None:
        self._back.x, self._back.v = self._forth.x, negate_(self._forth.v)

    def _turn_again(self) -> None:
        self._forth.x, self._forth.v = self._back.x, negate_(self._back.v)

    def _numbers(self) -> tuple[Tensor, ...]:
        return self._forth._numbers()

    def clone(self) -> CoupledState:
        """A state that can be moved without moving this one."""
        twin = copy.copy(self)
        twin._forth, twin._back = self._forth.clone(), copy.copy(self._back)
        return twin

    @property
    def nbytes(self) -> int:
        """Bytes of both copies and the buffer."""
        return self._forth.nbytes
