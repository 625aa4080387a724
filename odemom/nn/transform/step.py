"""One momentum layer in floats, whose gradient takes no more memory than it has to.

Written out in PyTorch's operations, the layer

    v <- gamma v + (1 - gamma) f,    x <- x + v,    f = block(x) - x

holds a tensor of the state's size for each of them while the gradient of the block is computed,
which is when memory is at its peak. As one function of autograd it holds the gradients of x and v,
and one tensor for both in the last layer of a row, where no gradient of v comes in.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from odemom.nn.recompute.refusals import in_transform
from odemom.nn.transform import native_step

__all__ = ["momentum_step", "same_values"]


def momentum_step(
    gamma: float, rest: float, first: Any, x: Any, position: Any, v: Any
) -> tuple[Any, Any]:
    """The position and the velocity after a layer: v <- gamma v + (1 - gamma) f(x), x <- x + v.

    Parameters
    ----------
    gamma, rest : float
        gamma and 1 - gamma; rest is 1 in the first layer of a row that starts with v0 = f(x0).
    first : Tensor or Proxy
        The block's value at x, x + f(x); any shape, the same for all tensors here.
    x : Tensor or Proxy
        The block's input.
    position : Tensor or Proxy
        The same in the carrier dtype, float32 or float64, which both results have; x itself where
        it has that dtype.
    v : Tensor, Proxy or None
        The velocity, None for 0.

    Returns
    -------
    position, v : Tensor or Proxy

    References
    ----------
    Sander et al. 2021, section 3, the forward rule of a Momentum ResNet.
    """
    if not isinstance(x, Tensor) or is_traced():
        return _in_operations(gamma, rest, first, x, position, v)
    return _Step.apply(gamma, rest, first, x, None if position is x else position, v)


def same_values(x: Tensor) -> Tensor:
    """The values of ``x``, and its gradient, in a tensor that does not hold x as a view would."""
    return x if is_traced() else _Same.apply(x)


def is_traced() -> bool:
    """Whether something reads operations here that does not know our functions of autograd."""
    traced = torch._C._get_tracing_state() is not None
    return traced or torch.compiler.is_compiling() or in_transform()


def _in_operations(
    gamma: float, rest: float, first: Any, x: Any, position: Any, v: Any
) -> tuple[Any, Any]:
    f = first - x
    if position is not x:
        f = f.to(position.dtype)
    moved = rest * f
    if v is not None:
        moved = moved + gamma * v
    return position + moved, moved


class _Step(torch.autograd.Function):
    """`momentum_step`; ``position`` is None where it is x."""

    @staticmethod
    def forward(
        ctx: Any, gamma: float, rest: float, first: Tensor, x: Tensor, position: Tensor | None,
        v: Tensor | None,
    ) -> tuple[Tensor, Tensor]:  # fmt: skip
        """The position and the velocity after the layer."""
        ctx.set_materialize_grads(False)
        ctx.gamma, ctx.rest, ctx.dtypes = gamma, rest, (first.dtype, x.dtype)
        ctx.own, ctx.rests = position is None, v is None
        fused = native_step.moved(first, x, position, v, gamma, rest)
        if fused is not None:
            return fused
        start = x if position is None else position
        moved = (first - x).to(start.dtype).mul_(rest)
        if v is not None:
            moved.add_(gamma * v)
        return start + moved, moved

    @staticmethod
    def backward(ctx: Any, gx: Tensor | None, gv: Tensor | None) -> Any:  # type: ignore[override]
        """The gradients; those of x and v are one tensor where only one comes in."""
        narrow = not ctx.own and ctx.dtypes == (torch.bfloat16, torch.bfloat16)
        alike = narrow or (ctx.own and ctx.dtypes[0] == ctx.dtypes[1])
        some = gx is not None or gv is not None
        if alike and some and not torch.is_grad_enabled():
            fused = native_step.moved_back(
                gx, gv, ctx.gamma, ctx.rest, narrow=narrow, to_v=not ctx.rests
            )
            if fused is not None:
                gf, to_x, to_v = fused
                return None, None, gf, to_x, gx if narrow else None, to_v
        total = gx if gv is None else gv if gx is None else gx + gv
        if total is None:
            return (None,) * 6
        gf = (ctx.rest * total).to(ctx.dtypes[0])
        to_v = None
        if not ctx.rests:  # a sum made here is nobody else's
            to_v = ctx.gamma * total if gx is None or gv is None else total.mul_(ctx.gamma)
        if not ctx.own:
            return None, None, gf, -gf.to(ctx.dtypes[1]), gx, to_v
        if gx is None:
            to_x = -gf
        elif gv is None:
            to_x = (1 - ctx.rest) * total if to_v is None else to_v
        else:
            to_x = gx - gf
        return None, None, gf, to_x, None, to_v

    @staticmethod
    def jvp(ctx: Any, *tangents: Any) -> Any:  # type: ignore[override]
        """The tangents of the position and the velocity."""
        first, x, position, v = tangents[2:]
        start = x if ctx.own else position
        parts = [
            factor * t
            for factor, t in ((ctx.rest, first), (-ctx.rest, x), (ctx.gamma, v))
            if t is not None
        ]
        moved = sum(parts[1:], parts[0]) if parts else None
        if moved is None or start is None:
            return (start if moved is None else moved), moved
        return start + moved, moved


class _Same(torch.autograd.Function):
    """`same_values`."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        """The values."""
        return x.detach()

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> Tensor:  # type: ignore[override]
        """The gradient."""
        return g

    @staticmethod
    def jvp(ctx: Any, t: Tensor) -> Tensor:  # type: ignore[override]
        """The tangent."""
        return t.view_as(t)
