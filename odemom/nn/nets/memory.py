"""What a training step of a `MomentumNet` will hold, found without running it."""

from __future__ import annotations

import math
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.utils import _pytree as pytree

from odemom.checks import invalid
from odemom.errors import InvalidInputError
from odemom.nn.nets.layered import check_input
from odemom.nn.recompute.holders import Snapshot, as_it_was
from odemom.nn.reversible.buffer import spilled_words
from odemom.nn.reversible.fixed_point import carrier_dtype

if TYPE_CHECKING:
    from odemom.nn.nets.momentum_net import MomentumNet

__all__ = ["MemoryReport", "memory_report", "saved_bytes"]


@dataclass(frozen=True)
class MemoryReport:
    """Bytes held between the forward and the backward pass, parameters aside.

    Attributes
    ----------
    depth, elements : int
        Of the network and of x.
    state : int
        x and v in fixed point.
    buffer : int
        The information buffer at its fullest, the last layer.
    buffer_bits : float
        The same, in bits per element.
    paper_bits : float
        The paper's estimate of the information, depth (1 - gamma)/ln 2 bits per element; exactly it
        is depth log2(1/gamma), which that approaches as gamma goes to 1.
    one_layer : int
        What autograd keeps of the largest function, held for one layer at a time.
    plain : int
        What plain backpropagation would keep.
    """

    depth: int
    elements: int
    state: int
    buffer: int
    buffer_bits: float
    paper_bits: float
    one_layer: int
    plain: int

    @property
    def reversible(self) -> int:
        """Bytes of the reversible pass: state, buffer and one layer."""
        return self.state + self.buffer + self.one_layer

    @property
    def ratio(self) -> float:
        """Reversible over plain."""
        return self.reversible / self.plain if self.plain else math.inf

    def __str__(self) -> str:
        mib = 2**20
        return (
            f"{self.depth} layers, {self.elements} elements: state {self.state / mib:.2f} MiB, "
            f"buffer {self.buffer / mib:.2f} MiB ({self.buffer_bits:.1f} bits per element; "
            f"depth (1 - gamma)/ln 2 = {self.paper_bits:.1f}), one layer "
            f"{self.one_layer / mib:.2f} MiB; plain backpropagation {self.plain / mib:.2f} MiB "
            f"(ratio {self.ratio:.3f})"
        )


def saved_bytes(function: nn.Module, x: Tensor, *args: Any, **kwargs: Any) -> int:
    """Bytes that autograd keeps for one call of ``function``, found on PyTorch's meta device.

    Parameters are not counted, nor is anything computed: shapes alone are propagated. x counts when
    it is kept.

    Parameters
    ----------
    function : Module
    x : Tensor
    *args, **kwargs
        Further arguments of the function.

    Raises
    ------
    InvalidInputError
        If what the function does depends on values, which shapes alone do not tell.
    """

    def as_meta(leaf: Any) -> Any:
        if not isinstance(leaf, Tensor):
            return leaf
        return torch.empty_like(leaf, device="meta").requires_grad_(leaf.requires_grad)

    tensors = dict(function.named_parameters(remove_duplicate=False))
    tensors |= dict(function.named_buffers(remove_duplicate=False))
    shapes = {
        name: as_meta(t.detach()).requires_grad_(t.requires_grad) for name, t in tensors.items()
    }
    args, kwargs = pytree.tree_map(as_meta, (args, kwargs))
    given = (*shapes.values(), *pytree.tree_leaves((args, kwargs)))
    own = {t.untyped_storage()._cdata for t in given if isinstance(t, Tensor)}
    kept: dict[int, Tensor] = {}

    def keep(t: Tensor) -> Tensor:
        kept.setdefault(t.untyped_storage()._cdata, t)
        return t

    y = torch.empty_like(x, device="meta").requires_grad_()
    call = torch.func.functional_call
    hooks = torch.autograd.graph.saved_tensors_hooks(keep, lambda t: t)
    with torch.enable_grad(), hooks, _left_as_they_are(function, (args, kwargs)):
        try:
            call(function, shapes, (y, *args), kwargs)
        except Exception as error:
            raise _not_by_shapes(function, error) from error
    return sum(t.untyped_storage().nbytes() for key, t in kept.items() if key not in own)


def _left_as_they_are(function: nn.Module, given: Any) -> AbstractContextManager[None]:
    """Forget what a call puts into its arguments and into attributes of the function."""
    modules = list(function.modules())
    return as_it_was(Snapshot(given), Snapshot(modules=modules), modules, {})


def _not_by_shapes(function: nn.Module, error: Exception) -> InvalidInputError:
    said = str(error).strip().partition("\n")[0]
    return invalid(
        f"memory_report of {type(function).__name__}",
        got=f"a function that does not run on shapes alone ({type(error).__name__}: {said[:200]})",
        expected="operations whose shapes do not depend on values, on tensors that are arguments, "
        "parameters or buffers (no .item(), no if on a tensor, no boolean masks)",
        fix="Measure a step instead: torch.cuda.max_memory_allocated(), or torch.profiler with "
        "profile_memory=True.",
    )


def memory_report(net: MomentumNet, x: Tensor, *args: Any, **kwargs: Any) -> MemoryReport:
    """The memory of a training step of ``net`` on ``x``, before running it.

    Parameters
    ----------
    net : MomentumNet
    x : Tensor
        Only its shape, dtype and device matter.
    *args, **kwargs
        Further arguments of the call.

    Returns
    -------
    MemoryReport

    Raises
    ------
    InvalidInputError
        If x is no tensor of real floats, or what a function does depends on values.

    Examples
    --------
    >>> import torch
    >>> from odemom.nn import MomentumNet
    >>> block = torch.nn.Sequential(torch.nn.Linear(8, 8), torch.nn.Tanh())
    >>> net = MomentumNet([block] * 100, gamma=0.9)
    >>> report = net.memory_report(torch.zeros(10, 8))
    >>> report.state, report.buffer, report.plain
    (1280, 640, 64000)
    """
    check_input(x)
    gamma, depth, size = net.rational_gamma, len(net.functions), x.numel()
    words = spilled_words(gamma, depth)
    buffer = size * (8 + 4 * words) if gamma != 1 else 0
    each = {id(f): saved_bytes(f, x, *args, **kwargs) for f in net.functions}
    keeps_carry = x.dtype != carrier_dtype(x.dtype)
    plain = sum(each[id(f)] for f in net.functions)
    return MemoryReport(
        depth=depth,
        elements=size,
        state=16 * size,
        buffer=buffer,
        buffer_bits=8.0 * buffer / size if size else 0.0,
        paper_bits=depth * (1 - float(gamma)) / math.log(2),
        one_layer=max(each.values()) + (x.nbytes if keeps_carry else 0),
        plain=plain,
    )
