"""Values of layer norms, which autograd saves for what follows, computed again where they are used.

A Transformer's block saves the value of each norm for the product after it, and the norm's input
for the norm. While the block goes back, all of them are there at the peak of memory; computing a
norm again takes a thousandth of the block's time.

Hooks for what autograd saves show: torch.func refuses them, and what is saved loses its class. So
they are for blocks of libraries alone, whose code is known not to mind.
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

__all__ = ["norms_computed_again", "spared_norms"]

KNOWN = ("torch.nn.modules.", "torchvision.", "timm.", "transformers.", "odemom.")
"""Where the classes of blocks are that may be called under hooks."""

LAYOUT = {"ViewBackward0", "UnsafeViewBackward0", "CloneBackward0"}
"""What may stand between a norm and the tensor that is saved: the same entries in the same order,
after one permutation of the axes at most."""

PERMUTATIONS = {"TransposeBackward0", "PermuteBackward0"}

SMALLEST = 1 << 14
"""Entries of a tensor that is worth it."""


def spared_norms(modules: Iterable[nn.Module]) -> tuple[float, ...]:
    """The epsilons of the layer norms among the ``modules`` of a block that is known, each once.

    Examples
    --------
    >>> layer = nn.TransformerEncoderLayer(8, 2)
    >>> spared_norms(layer.modules())
    (1e-05,)
    >>> handle = layer.norm1.register_forward_hook(print)
    >>> spared_norms(layer.modules())
    ()
    """
    found: dict[float, None] = {}
    for module in modules:
        known = type(module).__module__.startswith(KNOWN) and "forward" not in vars(module)
        if not known or module._forward_hooks or module._forward_pre_hooks:
            return ()
        eps = getattr(module, "eps", None) if isinstance(module, nn.LayerNorm) else None
        if isinstance(eps, float):
            found[eps] = None
    return tuple(found)


@contextmanager
def norms_computed_again(constants: tuple[float, ...], device: torch.device) -> Iterator[None]:
    """Let autograd keep no value of a layer norm in what is called inside, on a CPU.

    Elsewhere, and where other hooks for what is saved are in force, it keeps all as usual.

    Parameters
    ----------
    constants : tuple of float
        As `spared_norms` found them.
    device : torch.device

    Examples
    --------
    >>> block = nn.Sequential(nn.LayerNorm(64), nn.Linear(64, 64))
    >>> x = torch.randn(512, 64, requires_grad=True)
    >>> with norms_computed_again(spared_norms(block.modules()), x.device):
    ...     y = block(x)
    >>> torch.equal(torch.autograd.grad(y.sum(), x)[0], torch.autograd.grad(block(x).sum(), x)[0])
    True
    """
    if not constants or device.type != "cpu" or not _hooks_are_free():
        yield
        return
    saving = _Saving(constants)
    with saved_tensors_hooks(saving.pack, saving.unpack):
        yield


def _hooks_are_free() -> bool:
    current: Any = torch._C._autograd  # type: ignore[attr-defined]
    top = getattr(current, "_top_saved_tensors_default_hooks", None)  # from PyTorch 2.7
    return top is not None and top(False) is None and current._saved_tensors_hooks_is_enabled()


@dataclass(frozen=True)
class Kept:
    """A tensor as it was saved: hooks leave it to us to see that it is changed in place."""

    held: Tensor
    version: int

    @classmethod
    def of(cls, t: Tensor) -> Kept:
        """As it is now."""
        # A result that a node saves would keep the node that keeps it, if it kept its graph.
        return cls(t.detach() if t.grad_fn is not None else t, t._version)

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
    weight: Kept | None
    bias: Kept | None
    eps: float
    axes: tuple[int, ...] | None
    used: torch.Size

    def tensor(self) -> Tensor:
        """The value, computed; its entries lie in order, as those that were saved."""
        x = self.given.tensor()
        weight = None if self.weight is None else self.weight.tensor()
        bias = None if self.bias is None else self.bias.tensor()
        with torch.no_grad(), torch.autocast(x.device.type, enabled=False):
            y = torch.native_layer_norm(x, self.shape, weight, bias, self.eps)[0]
            y = y if self.axes is None else y.permute(self.axes)
            return y.reshape(self.used).contiguous()


class _Saving:
    """What is kept for a tensor that is saved, and what is given back for it."""

    def __init__(self, constants: tuple[float, ...]) -> None:
        self.constants = constants
        self.computed = 0

    def pack(self, t: Tensor) -> Tensor | Kept | Norm:
        """What to keep."""
        if not (type(t) is Tensor or isinstance(t, nn.Parameter) or shapes.are_alone()):
            return t
        if t.layout != torch.strided or t.is_nested:
            return t
        kept = Kept.of(t)
        if t.grad_fn is None or t.numel() < SMALLEST or not t.is_contiguous():
            return kept
        try:
            return next((norm for norm in self._norms(t) if _gives(norm, t)), kept)
        except RuntimeError:  # the norm's own tensors are not to be had any more
            return kept

    def unpack(self, kept: Tensor | Kept | Norm) -> Tensor:
        """The tensor that was saved."""
        if isinstance(kept, Tensor):
            return kept
        self.computed += isinstance(kept, Norm)
        return kept.tensor()

    def _norms(self, t: Tensor) -> Iterator[Norm]:
        """The norms, one per epsilon, whose value ``t`` may be by its graph."""
        node: Any = t.grad_fn
        while node is not None and node.name() in LAYOUT:
            node = node.next_functions[0][0]
        moved = None
        if node is not None and node.name() in PERMUTATIONS:
            moved, node = node, node.next_functions[0][0]
        if node is None or node.name() != "NativeLayerNormBackward0":
            return
        computed = self.computed
        given, weight, bias = node._saved_input, node._saved_weight, node._saved_bias
        if self.computed != computed:  # of another norm's value, which would be kept after all
            return
        weight = None if weight is None else Kept.of(weight)
        bias = None if bias is None else Kept.of(bias)
        shape = list(node._saved_normalized_shape)
        axes = None if moved is None else _axes(moved, given.dim())
        for eps in self.constants:
            yield Norm(Kept.of(given), shape, weight, bias, eps, axes, t.shape)


def _gives(norm: Norm, t: Tensor) -> bool:
    """Whether the norm's value is ``t``, bit for bit: it may have been changed in place."""
    return norm.given.held.numel() == t.numel() and (
        shapes.are_alone() or torch.equal(norm.tensor(), t)
    )


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
