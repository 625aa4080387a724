"""What the networks of this package share: a list of residual functions, called layer by layer.

`LayeredNet` runs them under plain autograd. A subclass says what is carried from layer to layer.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import Any

import torch
import torch.fx
from torch import Tensor, nn

from odemom.checks import expect, invalid, shown
from odemom.nn.recompute.calls import Extras, call_function, where
from odemom.nn.reversible.fixed_point import carrier_dtype

__all__ = [
    "Carry",
    "LayeredNet",
    "check_dense_input",
    "check_functions",
    "check_input",
    "is_dense",
    "kind_of",
    "widened",
]

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


def widened(x: Tensor) -> Tensor:
    """``x`` in the dtype of its carrier (`fixed_point.carrier_dtype`)."""
    return x.to(carrier_dtype(x.dtype))


def without_extras(x: Tensor, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Tensor:
    """``x``, in a traced network, which is called with nothing else.

    Raises
    ------
    InvalidInputError
        If there are further arguments.
    """
    expect(
        not args and not kwargs,
        "call",
        got=f"{len(args) + len(kwargs)} arguments besides x",
        expected="x alone, for a network that torch.fx traced on its own",
        fix="Trace the model that calls it.",
    )
    return x


# torch.fx, which traces a call without values, keeps calls of these as they are.
torch.fx.wrap("carrier_dtype")
torch.fx.wrap("without_extras")


def is_dense(x: Tensor) -> bool:
    """Whether every entry of ``x`` has a place of its own in one block of memory."""
    return x.layout == torch.strided and not x.is_nested


def kind_of(x: Tensor) -> str:
    """The layout of a tensor in words."""
    return "nested" if x.is_nested else str(x.layout).removeprefix("torch.")


def check_input(x: Any) -> None:
    """Raise unless ``x`` is a tensor of real floating-point numbers."""
    expected = "a tensor of real floating-point numbers"
    if not isinstance(x, Tensor):
        raise invalid("x", got=f"an object of type {type(x).__name__}", expected=expected)
    expect(x.is_floating_point(), "x", got=f"a tensor of dtype {x.dtype}", expected=expected)


def check_dense_input(x: Any) -> None:
    """Raise unless ``x`` is a tensor of real floating-point numbers that fixed point can hold."""
    check_input(x)
    expect(
        is_dense(x),
        "x",
        got=f"a tensor of layout {kind_of(x)}",
        expected="a dense tensor",
        fix="Use x.to_dense() or, of a nested tensor, x.to_padded_tensor.",
    )


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

    def __prepare_scriptable__(self) -> None:
        """Asked for by `torch.jit.script`, which has no variable number of arguments."""
        raise invalid(
            "network",
            got="a call of torch.jit.script",
            expected="to be traced or exported",
            fix="Use torch.jit.trace or torch.export on the same network with reversible=False.",
        )

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
        function = self.functions[n]
        if isinstance(x, torch.fx.Proxy):
            return extras.call(function, x)
        return call_function(function, x, extras, where(function, n))

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
        return self.plain(x, args, kwargs)

    def plain(self, x: Tensor, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Tensor:
        """`forward` under plain autograd, for any tensor or torch.fx.Proxy."""
        if isinstance(args, torch.fx.Proxy):
            x, args, kwargs = without_extras(x, args, kwargs), (), {}
        if not isinstance(x, torch.fx.Proxy):
            check_input(x)
        extras, carry = Extras(args, kwargs), self.begin(x)
        for n in range(len(self.functions)):
            carry = self.layer(n, carry, x.dtype, extras)
        return self.end(carry, x.dtype)
