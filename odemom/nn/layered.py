"""What the networks of this package share: a list of residual functions, called layer by layer.

`LayeredNet` runs them under plain autograd. A subclass says what is carried from layer to layer;
`Checkpointed` runs any of them with `torch.utils.checkpoint`, for comparison.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterable
from contextlib import AbstractContextManager, nullcontext
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from odemom.checks import expect, invalid, shown
from odemom.nn.calls import Extras, call_function, where
from odemom.nn.recompute import Autocast, buffers_put_aside

__all__ = ["Carry", "Checkpointed", "LayeredNet", "check_functions", "check_input"]

Carry = tuple[Tensor, ...]


def check_functions(functions: Iterable[nn.Module]) -> nn.ModuleList:
    """The functions as a ModuleList, which is kept if it is one already.

    Raises
    ------
    InvalidInputError
        If there is none, or one is no Module.
    """
    expected = "a non-empty sequence of torch.nn.Module"
    try:
        listed = list(functions)
    except TypeError:
        raise invalid("functions", got=shown(functions), expected=expected) from None
    expect(len(listed) > 0, "functions", got="none", expected=expected)
    for n, function in enumerate(listed):
        expect(
            isinstance(function, nn.Module),
            f"functions[{n}]",
            got=f"an object of type {type(function).__name__}",
            expected="a torch.nn.Module",
            fix="Wrap it in one, so that its parameters are known.",
        )
    return functions if isinstance(functions, nn.ModuleList) else nn.ModuleList(listed)


def check_input(x: Any) -> None:
    """Raise unless ``x`` is a tensor of real floating-point numbers."""
    expected = "a tensor of real floating-point numbers"
    if not isinstance(x, Tensor):
        raise invalid("x", got=f"an object of type {type(x).__name__}", expected=expected)
    expect(x.is_floating_point(), "x", got=f"a tensor of dtype {x.dtype}", expected=expected)


class LayeredNet(nn.Module, ABC):
    """A depth-wise network; `forward` runs it under plain autograd.

    Parameters
    ----------
    functions : iterable of Module

    Attributes
    ----------
    functions : ModuleList
    """

    def __init__(self, functions: Iterable[nn.Module]) -> None:
        super().__init__()
        self.functions = check_functions(functions)

    @abstractmethod
    def begin(self, x: Tensor) -> Carry:
        """What is carried into the first layer."""

    @abstractmethod
    def layer(self, n: int, carry: Carry, dtype: torch.dtype, extras: Extras) -> Carry:
        """Layer ``n``; its function's input has dtype ``dtype``."""

    @abstractmethod
    def end(self, carry: Carry, dtype: torch.dtype) -> Tensor:
        """The network's value."""

    def value(self, n: int, x: Tensor, extras: Extras) -> Tensor:
        """The value of function ``n``, checked."""
        name, autocast = where(list(self.functions), n), Autocast.current(x.device)
        return call_function(self.functions[n], x, extras, extras.tensors, name, autocast)

    def forward(self, x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        """The value at ``x``; further arguments go to every function.

        Parameters
        ----------
        x : Tensor, any shape
        *args, **kwargs
            Passed on to every function after x; tensors among them get gradients.

        Returns
        -------
        Tensor, shape and dtype of x

        Raises
        ------
        InvalidInputError
            If x is no tensor of real floats, or a function's value does not fit (`call_function`).
        """
        check_input(x)
        extras, carry = Extras(args, kwargs), self.begin(x)
        for n in range(len(self.functions)):
            carry = self.layer(n, carry, x.dtype, extras)
        return self.end(carry, x.dtype)


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

        def contexts() -> tuple[AbstractContextManager, AbstractContextManager]:
            return nullcontext(), buffers_put_aside(net)

        for first, last in pairwise(ends):
            carry = checkpoint(
                run, first, last, *carry, use_reentrant=False, context_fn=contexts
            )  # fmt: skip
        return net.end(carry, x.dtype)
