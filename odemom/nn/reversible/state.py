"""What the rule of a reversible network owes the network.

A rule moves a pair of tensors layer by layer: ``x``, which the next function sees, and its
companion ``h`` (the velocity of a momentum network, the other half of a RevNet). It is one small
class with the layer's three directions side by side: forward (`advance`), back (`expose`, then
`retreat`), and the adjoint of the forward direction for gradients (`adjoint`). The pair itself is
held in fixed point, where forward and back undo each other bit for bit.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from fractions import Fraction

import torch
from torch import Tensor

from odemom.errors import FixedPointRangeError
from odemom.nn.reversible import fixed_point
from odemom.nn.reversible.eager import LARGEST_INCREMENT, LayerConstants, flat, summed
from odemom.nn.reversible.fixed_point import FixedPoint
from odemom.nn.reversible.kernels import kernel_for

__all__ = ["ReversibleState"]

Gradients = tuple[Tensor, Tensor | None, Tensor | None]


def _memory_format(x: Tensor) -> torch.memory_format:
    if not x.is_contiguous():
        if x.dim() == 4 and x.is_contiguous(memory_format=torch.channels_last):
            return torch.channels_last
        if x.dim() == 5 and x.is_contiguous(memory_format=torch.channels_last_3d):
            return torch.channels_last_3d
    return torch.contiguous_format


class ReversibleState(ABC):
    """A pair (x, h) in fixed point, and the rule by which a layer moves it.

    Parameters
    ----------
    *pair : Tensor
        Those of x and h that are not zero; they choose the format.
    resolution : int or None
        Binary places; None chooses (`fixed_point.fit`).
    form : FixedPoint, optional
        What that has chosen for them before.

    Attributes
    ----------
    shape : torch.Size
        Of a function's input and value.
    carrier : torch.dtype
        float32 or float64.
    format : FixedPoint
    weight : float
        What multiplies a function's value in the rule.
    """

    weight = 1.0

    def __init__(
        self, *pair: Tensor, resolution: int | None, form: FixedPoint | None = None
    ) -> None:
        like = pair[0]
        self.shape = like.shape
        self.device = like.device
        self.carrier = fixed_point.carrier_dtype(like.dtype)
        self.format = form or fixed_point.fit([t.to(self.carrier) for t in pair], resolution)
        self.order = _memory_format(like)
        self._unit = self.format.unit if self.format.units is None else self.format.units
        self.kernel = kernel_for(like.device)
        # Of one entry: a new tensor is made faster like another one than from a shape.
        self._like = torch.empty((), dtype=self.carrier, device=self.device).expand(self.shape)

    def _empty(self) -> Tensor:
        return torch.empty_like(self._like, memory_format=self.order)

    def _encode(self, x: Tensor) -> Tensor:
        """The entries in the state's memory order, in a row for each word."""
        number = self.format.encode(self._rows(self._flat(x.detach())))
        return number.flatten() if self.format.words == 1 else number.flatten(1)

    def _decode(self, number: Tensor) -> Tensor:
        out = self._empty()
        floats = self.format.decode(self._rows(number), self.carrier)
        self._flat(out).copy_(floats.flatten())
        return out

    def _rows(self, flat: Tensor) -> Tensor:
        """The last axis as (samples, entries), where each sample has a unit."""
        units = self.format.units
        return flat if units is None else flat.unflatten(-1, (len(units), -1))

    def _layer_constants(self, weight: float, gamma: Fraction) -> LayerConstants:
        """Those of a layer that multiplies by ``gamma`` and adds ``weight`` times f."""
        scale = math.ldexp(weight, self.format.bits)
        units = self.format.units
        scales = None if units is None else weight / units
        n, d = gamma.numerator, gamma.denominator
        return LayerConstants(n, d, 1, 1, scale, self.format.unit, scales, units)

    def _flat(self, x: Tensor) -> Tensor:
        """The entries in the state's memory order, one axis."""
        return flat(x.contiguous(memory_format=self.order))

    def _value(self, f: Tensor) -> Tensor:
        """What a function gave, as kernels take it: in the state's dtype and memory order."""
        f = f.detach()
        if f.is_neg() or f._is_zerotensor():  # its memory is read: nothing may stand in a flag
            f = f.resolve_neg().clone()
        f = f if f.dtype is self.carrier else f.to(self.carrier)
        return f.contiguous(memory_format=self.order)

    def escape(self, where: str, peak: int, f: Tensor | None) -> FixedPointRangeError:
        """The error for a layer whose largest magnitude is ``peak`` units, out of the range.

        Parameters
        ----------
        where : str
            Which layer.
        peak : int
            As `advance` returned it.
        f : Tensor or None
            The function's value there; None once the state has moved on.
        """
        form = self.format
        if f is None:  # of the peak is not known in which sample it was, or whether it was counted
            known = form.units is None and peak <= fixed_point.OUT_OF_RANGE + LARGEST_INCREMENT
            return form.escape(where, peak * form.unit if known else None)
        increments = f.detach().double().abs() * abs(self.weight)
        if form.units is not None:  # of the sample that is furthest out
            sizes = increments.flatten(1).amax(1) / form.units
            sample = int(torch.maximum(sizes, self._peaks()).argmax())
            increments, unit = increments[sample], form.units[sample].item()
            form = FixedPoint(round(-math.log2(unit)))
        largest = increments.max().item()
        if not largest <= LARGEST_INCREMENT * form.unit:
            return form.escape_of_increment(where, largest)
        return form.escape(where, peak * form.unit)

    def _peaks(self) -> Tensor:
        """The largest magnitude in each sample, in units."""
        firsts = [n if self.format.words == 1 else n[0] for n in self._numbers()]
        sizes = [self._rows(first).double().abs().amax(-1) for first in firsts]
        return torch.stack(sizes).amax(0) if sizes else torch.zeros(1, device=self.device)

    def _numbers(self) -> tuple[Tensor, ...]:
        """The tensors of numbers that are held."""
        return ()

    @abstractmethod
    def shown(self) -> Tensor:
        """The next function's input x as floats."""

    @abstractmethod
    def companion(self) -> Tensor:
        """The other one of the pair, h, as floats."""

    @abstractmethod
    def advance(self, f: Tensor) -> tuple[Tensor, Tensor]:
        """Forward, with f(x): the next input, and (checksum, largest magnitude) as int64."""

    @abstractmethod
    def expose(self) -> Tensor:
        """Half of the way back: the input of the last function. `retreat` must follow."""

    @abstractmethod
    def retreat(self, f: Tensor) -> Tensor:
        """The other half, with the function's value on that input; the checksum as int64 (1,)."""

    def advance_block(self, value: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
        """`advance` with the value x + f(x) of a residual block at x."""
        return self.advance(value.detach() - x.detach())

    def retreat_block(self, value: Tensor, x: Tensor) -> Tensor:
        """`retreat` with the value x + f(x) of a residual block at x."""
        return self.retreat(value.detach() - x.detach())

    @abstractmethod
    def adjoint(self, gx: Tensor | None, gh: Tensor | None) -> Gradients:
        """The gradients of a layer's inputs from those of its outputs; None is zero.

        Parameters
        ----------
        gx, gh : Tensor or None, not both None
            The gradients for x and h after the layer.

        Returns
        -------
        gf, gx, gh : Tensor, Tensor or None, Tensor or None
            Those for f, x and h before it, f being held fixed in that for x.
        """

    def force(self, gx: Tensor | None, gh: Tensor | None) -> Tensor:
        """The first of `adjoint` alone, the gradient for f, while f is computed again."""
        return self.adjoint(gx, gh)[0]

    def carried(
        self, gx: Tensor | None, gh: Tensor | None, through: Tensor | None, less: Tensor | None
    ) -> tuple[Tensor | None, Tensor | None]:
        """The gradients for x and h, once `retreat` is done and f has pulled back its own.

        Parameters
        ----------
        gx, gh : Tensor or None, not both None
            As those of `adjoint`.
        through : Tensor or None
            What comes to x through f; it is added.
        less : Tensor or None
            What is taken off again. No tensor is changed.
        """
        _, gx, gh = self.adjoint(gx, gh)
        return summed(gx, through, less), gh

    def hold_narrow(self) -> None:  # noqa: B027 - not every state has words of few bits
        """Hold in fewer bits what fits there, from now on."""

    @abstractmethod
    def clone(self) -> ReversibleState:
        """A state that can be moved without moving this one."""

    @property
    @abstractmethod
    def nbytes(self) -> int:
        """Bytes held."""
