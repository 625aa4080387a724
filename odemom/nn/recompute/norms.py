"""Values of layer norms, which autograd saves for what follows, computed again where they are used.

A Transformer's block saves the value of each norm for the product after it, and the norm's input
for the norm. While the block goes back, all of them are there at the peak of memory; computing a
norm again takes a thousandth of the block's time.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks

from odemom.nn.reversible import shapes

__all__ = ["norm_constants", "norms_computed_again"]

LAYOUT = {"ViewBackward0", "UnsafeViewBackward0", "CloneBackward0"}
"""What may stand between a norm and the tensor that is saved: the same entries in the same order,
after one permutation of the axes at most."""

PERMUTATIONS = {"TransposeBackward0", "PermuteBackward0"}

SMALLEST = 1 << 14
"""Entries of a tensor that is worth it."""


def norm_constants(modules: Iterable[nn.Module]) -> tuple[float, ...]:
    """Each epsilon of the layer norms among ``modules``, once."""
    return tuple({m.eps: None for m in modules if isinstance(m, nn.LayerNorm)})


@contextmanager
def norms_computed_again(constants: tuple[float, ...], device: torch.device) -> Iterator[None]:
    """Let autograd keep no value of a layer norm in what is called inside, on a CPU.

    Elsewhere, and where other hooks for what is saved are in force, it keeps all as usual.

    Parameters
    ----------
    constants : tuple of float
        As `norm_constants` found them.
    device : torch.device

    Examples
    --------
    >>> block = nn.Sequential(nn.LayerNorm(64), nn.Linear(64, 64))
    >>> x = torch.randn(512, 64, requires_grad=True)
    >>> with norms_computed_again(norm_constants(block), x.device):
    ...     y = block(x)
    >>> torch.equal(torch.autograd.grad(y.sum(), x)[0], torch.autograd.grad(block(x).sum(), x)[0])
    True
    """
    if not constants or device.type != "cpu" or _hooks_in_force():
        yield
        return
    with saved_tensors_hooks(lambda t: _kept(t, constants), lambda kept: kept.tensor()):
        yield


def _hooks_in_force() -> bool:
    current: Any = torch._C._autograd  # type: ignore[attr-defined]
    top = getattr(current, "_top_saved_tensors_default_hooks", None)  # from PyTorch 2.7
    return top is None or top(False) is not None


@dataclass(frozen=True)
class Kept:
    """A tensor as it was saved: hooks leave it to us to see that it is changed in place."""

    held: Tensor
    version: int

    def tensor(self) -> Tensor:
        """The tensor."""
        if self.held._version != self.version:
            raise RuntimeError(
                "one of the variables needed for gradient computation has been modified by an "
                f"inplace operation: a tensor of shape {tuple(self.held.shape)} is at version "
                f"{self.held._version}; expected version {self.version}"
            )
        return self.held


@dataclass(frozen=True)
class Norm:
    """A layer norm's value: the permuted axes, and the shape in which it is used."""

    given: Kept
    shape: list[int]
    weight: Tensor | None
    bias: Tensor | None
    eps: float
    axes: tuple[int, ...] | None
    used: torch.Size

    def tensor(self) -> Tensor:
        """The value, computed."""
        x = self.given.tensor()
        with torch.no_grad(), torch.autocast(x.device.type, enabled=False):
            y = torch.native_layer_norm(x, self.shape, self.weight, self.bias, self.eps)[0]
            return (y if self.axes is None else y.permute(self.axes)).reshape(self.used)


def _kept(t: Tensor, constants: tuple[float, ...]) -> Kept | Norm:
    # A result that a node saves would keep the node that keeps it, if it kept its graph.
    kept = Kept(t.detach() if t.grad_fn is not None else t, t._version)
    plain = type(t) is Tensor or shapes.are_alone()
    if not plain or t.numel() < SMALLEST or not t.is_contiguous():
        return kept
    return next((norm for norm in _norms(t, constants) if _gives(norm, t)), kept)


def _gives(norm: Norm, t: Tensor) -> bool:
    """Whether the norm's value is ``t``, bit for bit: it may have been changed in place."""
    return norm.given.held.numel() == t.numel() and (
        shapes.are_alone() or torch.equal(norm.tensor(), t)
    )


def _norms(t: Tensor, constants: tuple[float, ...]) -> Iterator[Norm]:
    """The norms, one per epsilon, whose value ``t`` may be by its graph."""
    node: Any = t.grad_fn
    while node is not None and node.name() in LAYOUT:
        node = node.next_functions[0][0]
    moved = None
    if node is not None and node.name() in PERMUTATIONS:
        moved, node = node, node.next_functions[0][0]
    if node is None or node.name() != "NativeLayerNormBackward0":
        return
    given = node._saved_input
    shape, weight, bias = list(node._saved_normalized_shape), node._saved_weight, node._saved_bias
    axes = None if moved is None else _axes(moved, given.dim())
    for eps in constants:
        yield Norm(Kept(given, given._version), shape, weight, bias, eps, axes, t.shape)


def _axes(node: Any, dim: int) -> tuple[int, ...]:
    """The permutation of ``dim`` axes that a node stands for."""
    if node.name() == "PermuteBackward0":
        return tuple(_signed(axis) % dim for axis in node._saved_dims)
    axes = [*range(dim)]
    one, other = _signed(node._saved_dim0), _signed(node._saved_dim1)
    axes[one], axes[other] = axes[other], axes[one]
    return tuple(axes)


def _signed(axis: int) -> int:
    """An axis counted from the end is shown as an integer without a sign, of 64 bits."""
    return axis - (1 << 64) if axis >> 63 else axis
