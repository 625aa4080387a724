"""The momentum network of a model's blocks, written apart from `odemom.nn.transform`.

In a deep copy each block's ``forward`` is replaced by one that keeps the velocity in a table. A row
goes on where a block gets the numbers that the block before it in its list returned; nothing looks
at the identity of tensors.
"""

from __future__ import annotations

import copy
import inspect
from typing import Any

import torch
from torch import Tensor, nn

from odemom.nn.transform.find import blocks_found
from odemom.nn.transform.names import has_no_skip

__all__ = ["momentum_network"]


def momentum_network(model: nn.Module, gamma: float) -> nn.Module:
    """A copy of ``model`` that is the momentum network by definition."""
    twin = copy.deepcopy(model)
    states: dict[str, list[Tensor]] = {}
    for spot in blocks_found(twin):
        block = twin.get_submodule(spot.name)
        block.forward = _momentum_forward(
            block.forward, states, spot.container, gamma, adds=not has_no_skip(block)
        )
    return twin


def _momentum_forward(
    own: Any, states: dict[str, list[Tensor]], row: str, gamma: float, *, adds: bool
) -> Any:
    name = next(iter(inspect.signature(own).parameters))

    def forward(*args: Any, **kwargs: Any) -> Any:
        x = args[0] if args else kwargs[name]
        value = own(*args, **kwargs)
        y = _hidden(value)
        if y.shape != x.shape or not adds:
            states.pop(row, None)
            return value
        v: Any = 0
        if row in states and states[row][0].shape == x.shape and torch.equal(states[row][0], x):
            v = states[row][1]
        v = gamma * v + (1 - gamma) * (y - x)
        states[row] = [x + v, v]
        return _with_hidden(value, x + v)

    return forward


def _hidden(value: Any) -> Any:
    while not isinstance(value, Tensor):
        value = next(iter(value.values() if isinstance(value, dict) else value))
    return value


def _with_hidden(value: Any, y: Tensor) -> Any:
    if isinstance(value, Tensor):
        return y
    if isinstance(value, dict):
        return {**value, next(iter(value)): y}
    return type(value)([y, *value[1:]])
