"""States that keep the input of each layer, where that is cheaper than an exact state.

A momentum layer of a block moves x' = x + v', v' = gamma v + (1 - gamma) (block(x) - x). Only the
block is nonlinear: with x kept, its value and gradient are found by calling it again, and v is not
needed. This is
checkpointing of every layer, 4 bytes per element of x and layer, where the exact state takes 24 at
any depth; below some six layers it is the smaller one.
"""

from __future__ import annotations

from fractions import Fraction

import torch
from torch import Tensor

from odemom.errors import ReversibilityError
from odemom.nn.reversible.fixed_point import carrier_dtype
from odemom.nn.reversible.state import Gradients, LayerState

__all__ = ["KeptInput", "KeptPositions"]


class _Kept(LayerState):
    """Inputs of layers, as they were, in the order of the layers."""

    def __init__(self, x: Tensor) -> None:
        self.device = x.device
        self.carrier = carrier_dtype(x.dtype)
        self.inputs: list[tuple[Tensor, int]] = []
        self.keep(x)
        self.position = 0

    def keep(self, x: Tensor) -> None:
        """Keep a further input, on the memory that it has."""
        x = x.detach()
        self.inputs.append((x, 0 if x.is_inference() else x._version))

    def shown(self) -> Tensor:
        """The input of the next function, refused if it was changed in place since."""
        x, version = self.inputs[self.position]
        if not x.is_inference() and x._version != version:
            raise ReversibilityError(
                f"A tensor of shape {tuple(x.shape)} between two blocks was changed in place "
                "before the backward pass, which needs it. Make that operation out of place."
            )
        return x.detach()

    def expose(self) -> Tensor:
        """The input of the last function."""
        self.position -= 1
        return self.shown()

    def retreat(self, f: Tensor) -> Tensor:
        """Nothing to undo; the checksum of the function's value."""
        return _checksum(f)

    def forget(self) -> None:
        """Let go of the inputs after the one that was shown last."""
        del self.inputs[self.position + 1 :]

    @property
    def nbytes(self) -> int:
        """Bytes of the inputs."""
        return sum(x.nbytes for x, _ in self.inputs)


class KeptPositions(_Kept):
    """The positions of a row of momentum layers in floats; the velocity v moves along.

    Its functions are whole blocks, x -> block(x), whose residual function is block(x) - x.

    Parameters
    ----------
    x : Tensor, any shape
    gamma : Fraction
        In (0, 1].

    Attributes
    ----------
    velocity : Tensor or None
        None is zero. Whoever drives the row may take it away after its last layer.

    Examples
    --------
    >>> import torch
    >>> from fractions import Fraction
    >>> state = KeptPositions(torch.tensor([0.5, -0.25]), Fraction(9, 10))
    >>> state.advance(state.shown() + torch.tanh(state.shown()))[0]
    tensor([ 0.5462, -0.2745])
    """

    def __init__(self, x: Tensor, gamma: Fraction) -> None:
        super().__init__(x.to(carrier_dtype(x.dtype)))
        self.gamma = gamma
        self.velocity: Tensor | None = None

    def companion(self) -> Tensor:
        """The velocity v."""
        return torch.zeros_like(self.shown()) if self.velocity is None else self.velocity

    def advance(self, f: Tensor) -> tuple[Tensor, Tensor]:
        """Velocity and position, unless they are known from the first time."""
        x, checksum = self.shown(), _checksum(f)
        self.position += 1
        if self.position == len(self.inputs):
            v = moved(self.velocity, f.detach().to(self.carrier) - x, self.gamma)
            self.velocity = v
            self.keep(x + v)
        return self.shown(), torch.cat((checksum, torch.zeros_like(checksum)))

    def adjoint(self, gx: Tensor | None, gh: Tensor | None) -> Gradients:
        """The gradients with w = (1 - gamma)(gx + gv): w for the block, gx - w, gamma (gx + gv)."""
        w = self.force(gx, gh)
        gv = _total(gx, gh, float(self.gamma))
        return w, -w if gx is None else gx - w, gv

    def force(self, gx: Tensor | None, gh: Tensor | None) -> Tensor:
        """(1 - gamma)(gx + gv), the gradient for the block's value."""
        return _total(gx, gh, float(1 - self.gamma))

    def clone(self) -> KeptPositions:
        """A state that can be moved without moving this one."""
        twin = object.__new__(KeptPositions)
        vars(twin).update(vars(self))
        twin.inputs = list(self.inputs)
        return twin


class KeptInput(_Kept):
    """The input of one block that changes shape, and so belongs to no row.

    Parameters
    ----------
    x : Tensor, any shape

    Examples
    --------
    >>> import torch
    >>> state = KeptInput(torch.ones(4))
    >>> state.advance(state.shown()[:2])[0]
    tensor([1., 1.])
    """

    keeps_shape = False

    def companion(self) -> Tensor:
        """There is none: zero."""
        return torch.zeros_like(self.shown())

    def advance(self, f: Tensor) -> tuple[Tensor, Tensor]:
        """The block's value itself."""
        self.position += 1
        checksum = _checksum(f)
        return f.detach(), torch.cat((checksum, torch.zeros_like(checksum)))

    def forget(self) -> None:
        """The only input is let go with the state."""

    def adjoint(self, gx: Tensor | None, gh: Tensor | None) -> Gradients:
        """The gradient for the value; x has none beside it."""
        return gx, None, None

    def clone(self) -> KeptInput:
        """A state that can be moved without moving this one."""
        twin = object.__new__(KeptInput)
        vars(twin).update(vars(self))
        twin.inputs = list(self.inputs)
        return twin


def moved(v: Tensor | None, f: Tensor, gamma: Fraction) -> Tensor:
    """The velocity gamma v + (1 - gamma) f after a layer; v = None is zero."""
    w = float(1 - gamma) * f
    return w if v is None else torch.add(w, v, alpha=float(gamma))


def _total(a: Tensor | None, b: Tensor | None, weight: float) -> Tensor:
    """weight (a + b), with one tensor of memory; None is zero."""
    if a is not None and b is not None:
        return torch.add(a, b).mul_(weight)
    only = b if a is None else a
    assert only is not None
    return only * weight


_WORDS = {8: torch.int64, 4: torch.int32, 2: torch.int16, 1: torch.int8}


def _checksum(f: Tensor) -> Tensor:
    """The sum of a tensor's bits, read as integers; shape (1,)."""
    f = f.detach()
    if f.is_complex():
        f = torch.view_as_real(f)
    words = f.view(_WORDS[f.element_size()])
    return words.sum(dtype=torch.int64).reshape(1)
