"""RevNet, the reversible network of two halves, behind the call of `MomentumNet`."""

from __future__ import annotations

from collections.abc import Iterable

import torch
import torch.fx
from torch import Tensor, nn

from odemom.checks import expect
from odemom.nn.nets.layered import Carry, widened
from odemom.nn.nets.reversible_net import ReversibleNet
from odemom.nn.recompute.calls import Extras
from odemom.nn.reversible.coupling import CouplingState

__all__ = ["RevNet"]


class RevNet(ReversibleNet[CouplingState]):
    """RevNet: y_1 = x_1 + F(x_2), y_2 = x_2 + G(y_1), with x = (x_1, x_2) halved along an axis.

    Reversible as `MomentumNet` is, in fixed point and so bit for bit, which the original, in
    floats, is not. It needs no buffer: 8 bytes per element of x at any depth.

    Parameters
    ----------
    functions : iterable of Module
        F_1, G_1, F_2, G_2, ..., an even number, each on one half.
    reversible : bool
        Whether to recompute or to remember.
    dim : int
        The axis along which x is halved.
    resolution : int or None
        As that of `MomentumNet`.

    Raises
    ------
    InvalidInputError
        If the number of functions or the size of the axis is odd; else as `MomentumNet`.

    References
    ----------
    Gomez, Ren, Urtasun, Grosse, *The reversible residual network*, NeurIPS 2017, eq. (6).

    Examples
    --------
    >>> import torch
    >>> from odemom.nn import RevNet
    >>> net = RevNet([torch.nn.Linear(2, 2) for _ in range(6)])
    >>> net(torch.ones(3, 4)).shape
    torch.Size([3, 4])
    """

    def __init__(
        self,
        functions: Iterable[nn.Module],
        *,
        reversible: bool = True,
        dim: int = 1,
        resolution: int | None = None,
    ) -> None:
        super().__init__(functions, reversible=reversible, resolution=resolution)
        expect(
            len(self.functions) % 2 == 0,
            "functions",
            got=f"{len(self.functions)} of them",
            expected="an even number, two per block",
        )
        self.dim = dim

    def begin(self, x: Tensor) -> Carry:
        """The two halves in the carrier dtype, that which the first function sees in front."""
        if not isinstance(x, torch.fx.Proxy):
            expect(
                -x.dim() <= self.dim < x.dim() and x.shape[self.dim] % 2 == 0,
                "x",
                got=f"a tensor of shape {tuple(x.shape)}",
                expected=f"an even size along the axis dim={self.dim}",
            )
        a, b = widened(x).chunk(2, self.dim)
        return b, a

    def layer(self, n: int, carry: Carry, dtype: torch.dtype, extras: Extras) -> Carry:
        """Half a block: a' = b, b' = a + f(b)."""
        b, a = carry
        return a + self.value(n, b.to(dtype), extras).to(a.dtype), b

    def exact(self, carry: Carry, *, keep: bool) -> CouplingState:
        """The halves in fixed point; going back needs no more."""
        del keep
        b, a = carry
        return CouplingState(a, b, resolution=self.resolution)

    def end(self, carry: Carry, dtype: torch.dtype) -> Tensor:
        """The halves side by side."""
        b, a = carry
        return torch.cat((a, b), self.dim).to(dtype)
