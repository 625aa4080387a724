"""Functions of autograd whose gradient is not that of their value."""

from __future__ import annotations

from typing import Any

import torch


class _WithGradient(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, change):
        ctx.change = change
        return x.view_as(x)

    @staticmethod
    def backward(ctx, *gradients):
        return ctx.change(gradients[0]), None


def with_gradient(x, change) -> Any:
    """x, with ``change`` of the gradient in place of the gradient."""
    return _WithGradient.apply(x, change)


def reversal(x, strength):
    """x, with -strength times the gradient: as for training on two domains."""
    return with_gradient(x, lambda gradient: -strength * gradient)
