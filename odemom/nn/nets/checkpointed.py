"""Any network of this package run with `torch.utils.checkpoint`, for comparison."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

from torch import Tensor, nn

from odemom.checks import expect, invalid, shown
from odemom.nn.nets.layered import Carry, LayeredNet, check_input
from odemom.nn.recompute.calls import Extras
from odemom.nn.recompute.inside import recomputed_inside

__all__ = ["Checkpointed"]


class Checkpointed(nn.Module):
    """A `LayeredNet` that keeps the carry at the ends of segments and recomputes inside them.

    Memory goes with the number of segments plus their length, so the default is sqrt(depth) of
    them; the price is one more forward pass. Unlike bare `torch.utils.checkpoint`, batch-norm
    statistics move once.

    Parameters
    ----------
    net : LayeredNet
        Its plain layers are used, whether it is reversible or not.
    segments : int or None

    Raises
    ------
    InvalidInputError
        If ``segments`` is not between 1 and the depth.

    Examples
    --------
    >>> import torch
    >>> from odemom.nn import Checkpointed, ResidualNet
    >>> net = ResidualNet([torch.nn.Linear(3, 3) for _ in range(9)])
    >>> x = torch.ones(2, 3)
    >>> torch.equal(Checkpointed(net)(x), net(x))
    True
    """

    def __init__(self, net: LayeredNet, segments: int | None = None) -> None:
        super().__init__()
        if not isinstance(net, LayeredNet):
            raise invalid("net", got=type(net).__name__, expected="a network of odemom.nn")
        depth = len(net.functions)
        count = round(math.sqrt(depth)) if segments is None else segments
        expect(
            isinstance(count, int) and 1 <= count <= depth,
            "segments",
            got=shown(segments),
            expected=f"an integer from 1 to the depth, {depth}",
        )
        self.net = net
        self.segments = count

    def forward(self, x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        """As the network's own `forward`."""
        check_input(x)
        net, extras = self.net, Extras(args, kwargs)
        carry = net.begin(x)
        depth = len(net.functions)
        ends = [round(k * depth / self.segments) for k in range(self.segments + 1)]

        def run(first: int, last: int, *carry: Tensor) -> Carry:
            for n in range(first, last):
                carry = net.layer(n, carry, x.dtype, extras)
            return carry

        for first, last in pairwise(ends):
            name = f"layers {first} to {last - 1} of {type(net).__name__}"
            carry = recomputed_inside(run, net, name, extras.snapshot())(first, last, *carry)
        return net.end(carry, x.dtype)
