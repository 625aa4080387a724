"""What the rule of a reversible network owes the network.

A rule moves a pair of tensors layer by layer: ``x``, which the next function sees, and its
companion ``h`` (the velocity of a momentum network, the other half of a RevNet). It is one small
class with the layer's three directions side by side: forward (`advance`), back (`expose`, then
`retreat`), and the adjoint of the forward direction for gradients (`adjoint`). The pair itself is
held in fixed point, where forward and back undo each other bit for bit.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor

from odemom.nn.reversible import fixed_point
from odemom.nn.reversible.kernels import kernel_for

__all__ = ["ReversibleState"]

Gradients = tuple[Tensor, Tensor | None, Tensor | None]


def _largest_magnitude(*tensors: Tensor) -> float:
    """The largest magnitude of the entries, nan or inf if there is one."""
    bounds = [bound.abs() for t in tensors if t.numel() for bound in torch.aminmax(t.detach())]
    return torch.stack([b.double() for b in bounds]).max().item() if bounds else 0.0


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
        Binary places (`fixed_point.choose`).

    Attributes
    ----------
    shape : torch.Size
        Of a function's input and value.
    carrier : torch.dtype
        float32 or float64.
    format : FixedPoint
    """

    def __init__(self, *pair: Tensor, resolution: int | None) -> None:
        like = pair[0]
        self.shape = like.shape
        self.device = like.device
        self.carrier = fixed_point.carrier_dtype(like.dtype)
        self.format = fixed_point.choose(_largest_magnitude(*pair), self.carrier, resolution)
        self.order = _memory_format(like)
        self.kernel = kernel_for(like.device)

    def _empty(self) -> Tensor:
        return torch.empty(
            self.shape, dtype=self.carrier, device=self.device, memory_format=self.order
        )

    def _encode(self, x: Tensor) -> Tensor:
        return self._flat(self.format.encode(x.detach()))

    def _decode(self, units: Tensor) -> Tensor:
        out = self._empty()
        self._flat(out).copy_(units).mul_(self.format.unit)
        return out

    def _flat(self, x: Tensor) -> Tensor:
        """The entries in the state's memory order, one axis."""
        return x.contiguous(memory_format=self.order).as_strided((x.numel(),), (1,))

    def _value(self, f: Tensor) -> Tensor:
        return self._flat(f.detach().to(self.carrier))

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

    @abstractmethod
    def clone(self) -> ReversibleState:
        """A state that can be moved without moving this one."""

    @property
    @abstractmethod
    def nbytes(self) -> int:
        """Bytes held."""
