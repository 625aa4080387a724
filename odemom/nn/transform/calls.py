"""A call of a block: where its hidden state is among the arguments and in the value."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils import _pytree as pytree

from odemom.checks import invalid, shown

__all__ = ["Arguments", "BlockFunction", "positional_names"]

CACHES = frozenset({"past_key_values", "past_key_value", "layer_past", "cache"})
"""Names under which the blocks of transformers take a key-value cache."""

_LEAF = "_odemom_leaf"
"""On a further value of a block: its place among the values."""


def positional_names(forward: Callable[..., Any]) -> tuple[str, ...]:
    """The names of a method's positional parameters after the first, which is the object."""
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    parameters = inspect.signature(forward).parameters.values()
    return tuple(p.name for p in parameters if p.kind in kinds)[1:]


class Arguments:
    """The arguments of a block's call: its hidden state x, and the others.

    x is the first one, by position or, where there is none, by the name of the first parameter;
    ``names`` are those of the positional parameters.
    """

    def __init__(
        self, names: tuple[str, ...], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> None:
        self.names = names
        if args:
            self.x, self.args, self.kwargs = args[0], args[1:], kwargs
            return
        name = self.names[0] if self.names else ""
        self.args, self.kwargs = (), dict(kwargs)
        self.x = self.kwargs.pop(name, None)

    def without_caches(self) -> tuple[tuple[Any, ...], dict[str, Any], bool]:
        """The others without empty key-value caches, and whether there was one.

        As in transformers' own gradient checkpointing: a cache would keep tensors of every layer.
        """
        dropped = False

        def without(name: str, value: Any) -> Any:
            nonlocal dropped
            if name == "use_cache" and value is True:
                return False
            if name in CACHES and _is_empty(value):
                dropped = True
                return None
            return value

        named = zip(self.names[1:], self.args, strict=False)
        args = tuple(without(name, value) for name, value in named)
        args += self.args[len(args) :]
        return args, {name: without(name, value) for name, value in self.kwargs.items()}, dropped

    def passed_on(self) -> dict[int, Tensor]:
        """The further values of another block among the arguments, by their places there."""
        leaves = pytree.tree_leaves((self.args, self.kwargs))
        tensors = (leaf for leaf in leaves if isinstance(leaf, Tensor))
        return {vars(t)[_LEAF]: t for t in tensors if _LEAF in vars(t)}


def _is_empty(cache: Any) -> bool:
    """Whether an object is a cache of transformers that holds no keys."""
    length = getattr(cache, "get_seq_length", None)
    return callable(length) and length() == 0


class BlockFunction(nn.Module):
    """What a block makes of its hidden state: block(x).

    Parameters
    ----------
    block : Module
    forward : callable
        What the block computes, apart from its hooks.
    label : str
        The block's name, for messages.
    adds_input : bool
        Whether the value holds x, to which the block has added its residual.
    """

    def __init__(
        self, block: nn.Module, forward: Callable[..., Any], label: str, *, adds_input: bool
    ) -> None:
        super().__init__()
        self.block = block
        self.label = label
        self._forward = forward
        self.adds_input = adds_input
        self._leaves: list[Any] = []
        self._spec: Any = None
        self._states: list[int] = []  # the hidden state, which may stand there twice
        self._where: list[int] = []
        self.others: tuple[Any, ...] = ()
        self.passed: dict[int, Tensor] = {}

    def forward(self, x: Any, *args: Any, **kwargs: Any) -> Any:
        """block(x), the block's further values kept aside.

        Raises
        ------
        InvalidInputError
            If x cannot be taken off the hidden state.
        """
        first = self.first(self._forward(x, *args, **kwargs))
        if self.adds_input and first.shape != x.shape:
            raise invalid(
                self.label,
                got=f"a value of shape {tuple(first.shape)} after one of its input's shape",
                expected=f"a block that keeps the shape of its input, {tuple(x.shape)}, always",
                fix="Use a twin of its own for inputs of this size.",
            )
        return first

    def first(self, value: Any) -> Any:
        """The hidden state in what the block returned."""
        if isinstance(value, Tensor | torch.fx.Proxy):
            self._spec = None
            return value
        if not isinstance(value, tuple | list | dict):
            raise invalid(
                self.label,
                got=f"a {type(value).__name__} as its value",
                expected="a hidden state, alone or first in a tuple, list or dict",
            )
        leaves, self._spec = pytree.tree_flatten(value)
        first = leaves[0] if leaves else None
        if not isinstance(first, Tensor | torch.fx.Proxy):
            raise invalid(
                self.label,
                got=f"a {type(value).__name__} whose first entry is {shown(first)}",
                expected="a hidden state, alone or in front of other values",
            )
        self._states = [i for i, leaf in enumerate(leaves) if leaf is first]
        tensors = [i for i, leaf in enumerate(leaves) if isinstance(leaf, Tensor)]
        self._where = [i for i in tensors if i not in self._states]
        self.others = tuple(leaves[i] for i in self._where)
        kept = {*self._states, *tensors}
        self._leaves = [None if i in kept else leaf for i, leaf in enumerate(leaves)]
        return first

    def rebuilt(self, y: Any) -> Any:
        """The value of the latest call with ``y`` for its hidden state; nothing of it is kept.

        Raises
        ------
        InvalidInputError
            If another value is the successor of one in ``passed``, the arguments that the block
            before returned: a second state, which has no momentum.
        """
        spec, leaves, others = self._spec, self._leaves, self.others
        self._spec, self._leaves, self.others = None, [], ()
        if spec is None:
            return y
        for i in self._states:
            leaves[i] = y
        for i, other in zip(self._where, others, strict=True):
            leaves[i] = other
            before = self.passed.get(i)
            if before is not None and before is not other and before.shape == other.shape:
                raise invalid(
                    self.label,
                    got=f"a second state of shape {tuple(other.shape)}, which each block takes "
                    "from the one before and returns changed",
                    expected="blocks that move one hidden state",
                    fix="Put both states into one tensor, or leave this list out (layers=[...]).",
                )
            if not torch.compiler.is_compiling():
                setattr(other, _LEAF, i)
        return pytree.tree_unflatten(leaves, spec)
