"""The rule of RevNet: a' = b, b' = a + f(b)."""

from __future__ import annotations

from fractions import Fraction

import torch
from torch import Tensor

from odemom.nn.reversible.state import Gradients, ReversibleState

__all__ = ["CouplingState"]


class CouplingState(ReversibleState):
    """The two halves (a, b) of a RevNet in fixed point; the function sees b.

    Parameters
    ----------
    a, b : Tensor, same shape
    resolution : int or None

    Examples
    --------
    >>> import torch
    >>> state = CouplingState(torch.tensor([0.5]), torch.tensor([0.25]))
    >>> state.advance(2 * state.shown())[0], state.companion()
    (tensor([1.]), tensor([0.2500]))
    """

    def __init__(self, a: Tensor, b: Tensor, *, resolution: int | None = None) -> None:
        super().__init__(a, b, resolution=resolution)
        self.a, self.b = self._encode(a), self._encode(b)
        self._free = self._layer_constants(1.0, Fraction(1))

    def shown(self) -> Tensor:
        """The half b as floats."""
        return self._decode(self.b)

    def companion(self) -> Tensor:
        """The half a as floats."""
        return self._decode(self.a)

    def advance(self, f: Tensor) -> tuple[Tensor, Tensor]:
        """Both halves: a' = b, b' = a + f."""
        out = self._empty()
        # The free momentum step v <- v + w, x <- x + v on (x, v) = (0, a) is this addition.
        stats = self.kernel.advance(
            torch.zeros_like(self.a), self.a, None, self._value(f), out, self._free
        )
        self.a, self.b = self.b, self.a
        return out, stats

    def expose(self) -> Tensor:
        """The half that the function saw: b = a'."""
        self.a, self.b = self.b, self.a
        return self.shown()

    def retreat(self, f: Tensor) -> Tensor:
        """The other half: a = b' - f."""
        return self.kernel.retreat(self.a, None, self._value(f), self._free)

    def adjoint(self, gx: Tensor | None, gh: Tensor | None) -> Gradients:
        """The gradients: gb for f and for a, and ga for b."""
        if gx is None:  # only the last layer of a network whose second half is not used
            assert gh is not None
            gx = torch.zeros_like(gh)
        return gx, gh, gx

    def _numbers(self) -> tuple[Tensor, Tensor]:
        return self.a, self.b

    def clone(self) -> CouplingState:
        """A state that can be moved without moving this one."""
        twin = object.__new__(CouplingState)
        vars(twin).update(vars(self))
        twin.a, twin.b = self.a.clone(), self.b.clone()
        return twin

    @property
    def nbytes(self) -> int:
        """Bytes of both halves."""
        return self.a.nbytes + self.b.nbytes
