"""The ordinary residual network behind the call of `MomentumNet`."""

from __future__ import annotations

import torch
from torch import Tensor

from odemom.nn.nets.layered import Carry, LayeredNet, widened
from odemom.nn.recompute.calls import Extras

__all__ = ["ResidualNet"]


class ResidualNet(LayeredNet):
    """ResNet: x <- x + f_n(x), under plain autograd.

    Parameters
    ----------
    functions : iterable of Module
        As those of `MomentumNet`.

    Examples
    --------
    >>> import torch
    >>> from odemom.nn import MomentumNet, ResidualNet
    >>> functions = [torch.nn.Linear(3, 3) for _ in range(4)]
    >>> x = torch.ones(2, 3)
    >>> twin = MomentumNet(functions, gamma=0, reversible=False)
    >>> torch.equal(ResidualNet(functions)(x), twin(x))
    True
    """

    def begin(self, x: Tensor) -> Carry:
        """x_0 in the carrier dtype."""
        return (widened(x),)

    def layer(self, n: int, carry: Carry, dtype: torch.dtype, extras: Extras) -> Carry:
        """One residual step."""
        (x,) = carry
        return (x + self.value(n, x.to(dtype), extras).to(x.dtype),)

    def end(self, carry: Carry, dtype: torch.dtype) -> Tensor:
        """The last x."""
        return carry[0].to(dtype)
