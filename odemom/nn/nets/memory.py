"""What a training step of a `MomentumNet` will hold, found without running it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from torch import Tensor

from odemom.nn.memory.saved import saved_bytes
from odemom.nn.nets.layered import check_input
from odemom.nn.reversible.buffer import spilled_words
from odemom.nn.reversible.fixed_point import carrier_dtype, words_for

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
        state=16 * size * words_for(carrier_dtype(x.dtype), net.resolution),
        buffer=buffer,
        buffer_bits=8.0 * buffer / size if size else 0.0,
        paper_bits=depth * (1 - float(gamma)) / math.log(2),
        one_layer=max(each.values()) + (x.nbytes if keeps_carry else 0),
        plain=plain,
    )
