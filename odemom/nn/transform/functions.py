"""Lists of residual functions f, called as x = x + f(x), as one momentum network.

There the caller adds x itself, so what a function returned says nothing of what the next one gets.
The list is replaced by one that yields a single function, net(x) - x, of the whole row.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import Any

from torch import Tensor, nn

from odemom.checks import invalid
from odemom.nn.nets.momentum_net import MomentumNet
from odemom.nn.transform.copies import copied

__all__ = ["FunctionRow", "function_row"]


class AddedNet(nn.Module):
    """net(x) - x."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        """What the network adds to x."""
        return self.net(x, *args, **kwargs) - x


class FunctionRow(nn.ModuleList):
    """A ModuleList of residual functions that yields one, that of the momentum network of all."""

    def __iter__(self) -> Iterator[nn.Module]:
        return iter((self.__dict__["added"],))

    def __len__(self) -> int:
        return 1

    def __getitem__(self, index: Any) -> Any:
        raise invalid(
            self.__dict__["name"],
            got=f"the index {index!r}",
            expected="a loop over the list, for f in functions: x = x + f(x)",
            fix="Its functions are layers of one momentum network and are not called one by one.",
        )

    def restored(self) -> nn.Module:
        """The list as it was, with what this one holds now."""
        original = copied(self)
        original.__class__ = self.__dict__["kind"]
        for name in ("added", "name", "kind"):
            del original.__dict__[name]
        return original


def function_row(functions: nn.Module, name: str, gamma: Fraction, reversible: bool) -> nn.Module:
    """A row of the functions in a ModuleList, which is left as it is."""
    if not isinstance(functions, nn.ModuleList):
        raise invalid(
            "layers",
            got=f"{name!r}, which is a {type(functions).__name__}",
            expected="with residual=True, ModuleLists that the model loops over",
        )
    row = copied(functions)
    row.__class__ = FunctionRow
    net = MomentumNet(list(functions), gamma, reversible=reversible and gamma != 0)
    # Not attributes that nn.Module would register: the parameters have their names already.
    row.__dict__.update(added=AddedNet(net), name=name, kind=type(functions))
    return row
