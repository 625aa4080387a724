"""The states that a reversible network moves through, forwards and back.

A state shows the input of the next function as floats, takes that function's value, and can give
both back. `MomentumState` is the second-order scheme of DESIGN 1.7, `CouplingState` that of RevNet.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from fractions import Fraction

import torch
from torch import Tensor

from odemom.nn.reversible import fixed_point
from odemom.nn.reversible.buffer import InformationBuffer
from odemom.nn.reversible.eager import LayerConstants
from odemom.nn.reversible.kernels import kernel_for

__all__ = ["CouplingState", "MomentumState", "ReversibleState", "largest_magnitude"]


def largest_magnitude(*tensors: Tensor) -> float:
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
    """What a reversible scheme owes the network that drives it.

    Attributes
    ----------
    shape : torch.Size
        Of a function's input and value.
    carrier : torch.dtype
        float32 or float64.
    format : FixedPoint
    """

    def __init__(self, like: Tensor, format: fixed_point.FixedPoint) -> None:
        self.shape = like.shape
        self.device = like.device
        self.carrier = fixed_point.carrier_dtype(like.dtype)
        self.format = format
        self.order = _memory_format(like)
        self.kernel = kernel_for(like.device)

    def _empty(self) -> Tensor:
        return torch.empty(
            self.shape, dtype=self.carrier, device=self.device, memory_format=self.order
        )

    def _encode(self, x: Tensor) -> Tensor:
        return self._flat(self.format.encode(x.detach()))

    def _flat(self, x: Tensor) -> Tensor:
        """The entries in the state's memory order, one axis."""
        return x.contiguous(memory_format=self.order).as_strided((x.numel(),), (1,))

    def _value(self, f: Tensor) -> Tensor:
        return self._flat(f.detach().to(self.carrier))

    @abstractmethod
    def shown(self) -> Tensor:
        """The next function's input as floats."""

    @abstractmethod
    def advance(self, f: Tensor) -> tuple[Tensor, Tensor]:
        """Take a function's value: the next input, and (checksum, largest magnitude) as int64."""

    @abstractmethod
    def expose(self) -> Tensor:
        """Half of the way back: the input of the last function. `retreat` must follow."""

    @abstractmethod
    def retreat(self, f: Tensor) -> Tensor:
        """The other half, with the function's value on that input; the checksum as int64 (1,)."""

    @abstractmethod
    def clone(self) -> ReversibleState:
        """A state that can be moved without moving this one."""

    @property
    @abstractmethod
    def nbytes(self) -> int:
        """Bytes held."""


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
        Binary places (`fixed_point.choose`).
    keep : bool
        Whether to keep what is needed to go back.

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
    ) -> None:
        largest = largest_magnitude(x) if v is None else largest_magnitude(x, v)
        carrier = fixed_point.carrier_dtype(x.dtype)
        super().__init__(x, fixed_point.choose(largest, carrier, resolution))
        self.gamma = gamma
        self.x = self._encode(x)
        self.v = torch.zeros_like(self.x) if v is None else self._encode(v)
        size, device = self.x.numel(), self.device
        self.buffer = InformationBuffer(gamma, size, device, keep=keep) if gamma != 1 else None

    def _constants(self, before: int, after: int) -> LayerConstants:
        # With gamma = 1 the increment is 0: the scheme x <- x + v, as in the plain network.
        scale = float((1 - self.gamma) * 2**self.format.bits)
        n, d = self.gamma.numerator, self.gamma.denominator
        return LayerConstants(n, d, before, after, scale, self.format.unit)

    def shown(self) -> Tensor:
        """X as floats."""
        out = self._empty()
        self._flat(out).copy_(self.x).mul_(self.format.unit)
        return out

    def velocity(self) -> Tensor:
        """V as floats."""
        out = self._empty()
        self._flat(out).copy_(self.v).mul_(self.format.unit)
        return out

    def advance(self, f: Tensor) -> tuple[Tensor, Tensor]:
        """One layer forward."""
        out = self._empty()
        word, radices = None, (1, 1)
        if self.buffer is not None:
            radices = self.buffer.grow()
            word = self.buffer.word
        stats = self.kernel.advance(
            self.x, self.v, word, self._value(f), self._flat(out), self._constants(*radices)
        )
        return out, stats

    def expose(self) -> Tensor:
        """X of the layer before."""
        out = self._empty()
        self.kernel.expose(self.x, self.v, self._flat(out), self.format.unit)
        return out

    def retreat(self, f: Tensor) -> Tensor:
        """V and the buffer of the layer before."""
        if self.buffer is None:
            return self.kernel.retreat(self.v, None, self._value(f), self._constants(1, 1))
        constants = self._constants(*self.buffer.shrink())
        checksum = self.kernel.retreat(self.v, self.buffer.word, self._value(f), constants)
        self.buffer.undo_grow()
        return checksum

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


class CouplingState(ReversibleState):
    """The two halves (a, b) of a RevNet: each function takes (a, b) to (b, a + f(b)).

    Parameters
    ----------
    a, b : Tensor, same shape
    resolution : int or None
    """

    def __init__(self, a: Tensor, b: Tensor, *, resolution: int | None = None) -> None:
        carrier = fixed_point.carrier_dtype(a.dtype)
        largest = largest_magnitude(a, b)
        super().__init__(a, fixed_point.choose(largest, carrier, resolution))
        self.a, self.b = self._encode(a), self._encode(b)
        self._free = LayerConstants(1, 1, 1, 1, float(2**self.format.bits), self.format.unit)

    def shown(self) -> Tensor:
        """B as floats."""
        out = self._empty()
        self._flat(out).copy_(self.b).mul_(self.format.unit)
        return out

    def advance(self, f: Tensor) -> tuple[Tensor, Tensor]:
        """(a, b) <- (b, a + f), b as floats."""
        out = self._empty()
        # The free momentum step v <- v + w, x <- x + v on (x, v) = (0, a) is this addition.
        stats = self.kernel.advance(
            torch.zeros_like(self.a), self.a, None, self._value(f), self._flat(out), self._free
        )
        self.a, self.b = self.b, self.a
        return out, stats

    def expose(self) -> Tensor:
        """The b of the function before."""
        self.a, self.b = self.b, self.a
        return self.shown()

    def retreat(self, f: Tensor) -> Tensor:
        """The a of the function before."""
        return self.kernel.retreat(self.a, None, self._value(f), self._free)

    def halves(self) -> tuple[Tensor, Tensor]:
        """A and b as floats."""
        a = self._empty()
        self._flat(a).copy_(self.a).mul_(self.format.unit)
        return a, self.shown()

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
