"""The momentum rule: v' = gamma v + (1 - gamma) f(x), x' = x + v'."""

from __future__ import annotations

import copy
from fractions import Fraction

import torch
from torch import Tensor

from odemom.nn.reversible.buffer import InformationBuffer
from odemom.nn.reversible.eager import LARGEST_INCREMENT, LayerConstants, flat
from odemom.nn.reversible.fixed_point import OUT_OF_RANGE
from odemom.nn.reversible.state import Gradients, ReversibleState

__all__ = ["MomentumState"]


class MomentumState(ReversibleState):
    """x and v in fixed point with the information buffer of gamma.

    Parameters
    ----------
    x : Tensor, any shape
    v : Tensor, same shape, or None
        None is zero.
    gamma : Fraction
        In (0, 1].
    resolution : int or None
        Binary places (`fixed_point.fit`).
    keep : bool
        Whether to keep what is needed to go back.
    weight : float or None
        What multiplies f(x) in the rule; None is 1 - gamma.

    Examples
    --------
    >>> import torch
    >>> from fractions import Fraction
    >>> x = torch.tensor([0.5, -0.25])
    >>> state = MomentumState(x, None, Fraction(9, 10))
    >>> y, _ = state.advance(torch.tanh(state.shown()))
    >>> y
    tensor([ 0.5462, -0.2745])
    >>> torch.equal(state.expose(), x)
    True
    """

    def __init__(
        self,
        x: Tensor,
        v: Tensor | None,
        gamma: Fraction,
        *,
        resolution: int | None = None,
        keep: bool = True,
        weight: float | None = None,
    ) -> None:
        super().__init__(*((x,) if v is None else (x, v)), resolution=resolution)
        self.gamma = gamma
        # With gamma = 1 it is 0: the scheme x <- x + v, as in the plain network.
        self.weight = float(1 - gamma) if weight is None else weight
        self.x = self._encode(x)
        self.v = torch.zeros_like(self.x) if v is None else self._encode(v)
        size, device = x.numel(), self.device
        self.buffer = InformationBuffer(gamma, size, device, keep=keep) if gamma != 1 else None

        self._layer = self._layer_constants(self.weight, gamma)

    def undamped(self) -> MomentumState:
        """The same numbers with gamma = 1: a step of theirs needs no buffer and leaves it alone."""
        twin = copy.copy(self)
        twin.gamma, twin.buffer = Fraction(1), None
        twin._layer = self._layer_constants(self.weight, twin.gamma)
        return twin

    def _constants(self, before: int, after: int) -> LayerConstants:
        n, d, _, _, scale, unit, scales, units = self._layer
        return LayerConstants(n, d, before, after, scale, unit, scales, units)

    def shown(self) -> Tensor:
        """The position x as floats."""
        return self._decode(self.x)

    def companion(self) -> Tensor:
        """The velocity v as floats."""
        return self._decode(self.v)

    def advance(self, f: Tensor) -> tuple[Tensor, Tensor]:
        """Velocity and position: v' = gamma v + (1 - gamma) f, x' = x + v'."""
        return self._advance(f, None)

    def advance_block(self, value: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
        """The same with f = value - x, in one pass where both have the carrier dtype."""
        return self._advance(*self._difference(value, x))

    def _difference(self, value: Tensor, x: Tensor) -> tuple[Tensor, Tensor | None]:
        """What stands for the increment: two tensors, or one rounded as their dtype rounds it."""
        value, x = value.detach(), x.detach()
        both = value.dtype == x.dtype == self.carrier
        return (value, x) if both else (value - x, None)

    def _advance(self, f: Tensor, less: Tensor | None) -> tuple[Tensor, Tensor]:
        out = self._empty()
        word, constants = None, self._layer
        if self.buffer is not None:
            constants = self._constants(*self.buffer.grow())
            word = self.buffer.word
        stats = self.kernel.advance(
            self.x, self.v, word, self._value(f), out, constants,
            None if less is None else self._value(less),
        )  # fmt: skip
        return out, stats

    def expose(self) -> Tensor:
        """The position: x = x' - v'."""
        out = self._empty()
        self.kernel.expose(self.x, self.v, out, self._unit)
        return out

    def retreat(self, f: Tensor) -> Tensor:
        """The velocity: v = (v' - (1 - gamma) f)/gamma, its remainder out of the buffer."""
        return self._retreat(f, None)

    def retreat_block(self, value: Tensor, x: Tensor) -> Tensor:
        """The same with f = value - x, in one pass where both have the carrier dtype."""
        return self._retreat(*self._difference(value, x))

    def _retreat(self, f: Tensor, less: Tensor | None) -> Tensor:
        f, less = self._value(f), None if less is None else self._value(less)
        if self.buffer is None:
            return self.kernel.retreat(self.v, None, f, self._layer, less)
        constants = self._constants(*self.buffer.shrink())
        checksum = self.kernel.retreat(self.v, self.buffer.word, f, constants, less)
        self.buffer.undo_grow()
        return checksum

    def adjoint(self, gx: Tensor | None, gh: Tensor | None) -> Gradients:
        """The gradients: weight (gx + gv) for f, gx for x, gamma (gx + gv) for v."""
        total = gx if gh is None else gh if gx is None else gx + gh
        assert total is not None
        return total * self.weight, gx, total * float(self.gamma)

    def force(self, gx: Tensor | None, gh: Tensor | None) -> Tensor:
        """The first of `adjoint`, in one pass where there is a kernel for it."""
        return self.kernel.force(gx, gh, self.weight)

    def carried(
        self, gx: Tensor | None, gh: Tensor | None, through: Tensor | None, less: Tensor | None
    ) -> tuple[Tensor | None, Tensor | None]:
        """The gradients for x and v, in one pass where there is a kernel for it."""
        return self.kernel.carried(gx, gh, through, less, float(self.gamma))

    def peak(self) -> int:
        """The largest magnitude of x and v, in units."""
        return int(self._peaks().max())

    def has_escaped(self, f: Tensor) -> bool:
        """Whether ``f`` was too large to be added, or has brought x or v out of the range."""
        increments = self._rows(flat(self._value(f)).double()).abs() * abs(self.weight)
        unit = self._unit if self.format.units is None else self.format.units[:, None]
        added = bool((increments <= LARGEST_INCREMENT * unit).all())
        return not added or self.peak() >= OUT_OF_RANGE

    def hold_narrow(self) -> None:
        """Hold the buffer narrow: it has some bits per element while few layers are passed."""
        if self.buffer is not None:
            self.buffer.hold_narrow()

    def _numbers(self) -> tuple[Tensor, Tensor]:
        return self.x, self.v

    def clone(self) -> MomentumState:
        """A state that can be moved without moving this one."""
        twin = object.__new__(MomentumState)
        vars(twin).update(vars(self))
        twin.x, twin.v = self.x.clone(), self.v.clone()
        twin.buffer = None if self.buffer is None else self.buffer.clone()
        return twin

    @property
    def nbytes(self) -> int:
        """Bytes of x, v and the buffer."""
        return self.x.nbytes + self.v.nbytes + (self.buffer.nbytes if self.buffer else 0)
