"""Baselines behind the call of `MomentumNet`: an ordinary ResNet, and RevNet."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

from odemom.checks import expect
from odemom.nn.calls import Extras
from odemom.nn.layered import Carry, LayeredNet, check_input
from odemom.nn.link import Link
from odemom.nn.reversible.fixed_point import carrier_dtype, check_resolution
from odemom.nn.reversible.state import CouplingState
from odemom.nn.trajectory import Trajectory

__all__ = ["ResidualNet", "RevNet"]


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
        return (x.to(carrier_dtype(x.dtype)),)

    def layer(self, n: int, carry: Carry, dtype: torch.dtype, extras: Extras) -> Carry:
        """One residual step."""
        (x,) = carry
        return (x + self.value(n, x.to(dtype), extras).to(x.dtype),)

    def end(self, carry: Carry, dtype: torch.dtype) -> Tensor:
        """The last x."""
        return carry[0].to(dtype)


class RevNet(LayeredNet):
    """RevNet: y_1 = x_1 + F(x_2), y_2 = x_2 + G(y_1), with x = (x_1, x_2) halved along an axis.

    Reversible as `MomentumNet` is, in fixed point and so bit for bit, which the original, in
    floats, is not. It needs no buffer: 16 bytes an element of x at any depth.

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
        super().__init__(functions)
        expect(
            len(self.functions) % 2 == 0,
            "functions",
            got=f"{len(self.functions)} of them",
            expected="an even number, two a block",
        )
        check_resolution(resolution)
        self.reversible = reversible
        self.dim = dim
        self.resolution = resolution

    def begin(self, x: Tensor) -> Carry:
        """The two halves in the carrier dtype."""
        expect(
            -x.dim() <= self.dim < x.dim() and x.shape[self.dim] % 2 == 0,
            "x",
            got=f"a tensor of shape {tuple(x.shape)}",
            expected=f"an even size along the axis dim={self.dim}",
        )
        a, b = x.to(carrier_dtype(x.dtype)).chunk(2, self.dim)
        return a, b

    def layer(self, n: int, carry: Carry, dtype: torch.dtype, extras: Extras) -> Carry:
        """Half a block: (a, b) to (b, a + f(b))."""
        a, b = carry
        return b, a + self.value(n, b.to(dtype), extras).to(a.dtype)

    def end(self, carry: Carry, dtype: torch.dtype) -> Tensor:
        """The halves side by side."""
        return torch.cat(carry, self.dim).to(dtype)

    def forward(self, x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        """The value at x; further arguments go to every function (`LayeredNet.forward`)."""
        if not self.reversible:
            return super().forward(x, *args, **kwargs)
        check_input(x)
        extras, (a, b) = Extras(args, kwargs), self.begin(x)
        record = torch.is_grad_enabled() and any(
            t.requires_grad for t in (x, *extras.tensors, *self.parameters())
        )
        state = CouplingState(a, b, resolution=self.resolution)
        run = Trajectory(list(self.functions), state, extras, x.dtype, record=record)
        if record:
            for parameters in run.parameters:
                a, b = _CouplingLink.apply(run, b, a, *parameters, *extras.tensors)  # type: ignore[misc]
        else:
            out = run.shown()
            for _ in run.functions:
                out = run.advance(out)
            a, b = state.halves()
        run.settle()
        return self.end((a, b), x.dtype)


class _CouplingLink(Link):
    """Inputs (b, a), so that the function's input comes where `Link` expects it."""

    @staticmethod
    def forward(ctx: Any, run: Trajectory, b: Tensor, a: Tensor, *tensors: Tensor) -> Any:
        n = Link.save(ctx, run, tensors)
        out = run.advance(b if n else run.shown())
        if run.position < len(run.functions):
            # The next layers do not look at this half: it stands in the graph without memory.
            return torch.zeros((), dtype=out.dtype, device=out.device).expand(out.shape), out
        state = run.require_state()
        assert isinstance(state, CouplingState)
        return state.halves()

    @staticmethod
    def backward(ctx: Any, ga: Tensor | None, gb: Tensor | None) -> Any:  # type: ignore[override]
        Link.refuse_double(ctx)
        if gb is None:  # only the last layer of a network whose second half is not used
            assert ga is not None
            gb = torch.zeros_like(ga)
        back, rest = Link.pull_back(ctx, gb)
        Link.finish(ctx)
        grad_b = back if ga is None else ga if back is None else ga + back
        return None, grad_b, gb, *rest
