"""Small tensors that come from no other tensor keep their values among tensors without values."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.utils import _pytree as pytree
from torch.utils._mode_utils import no_dispatch
from torch.utils._python_dispatch import TorchDispatchMode

__all__ = ["Constants", "device_asked"]

LARGEST = 1 << 20
"""Entries of a tensor that is computed for its values."""

VALUES = (torch.Tag.data_dependent_output, torch.Tag.dynamic_output_shape)


class Constants(TorchDispatchMode):
    """Inside a ``FakeTensorMode``: what depends on no tensor without values is computed.

    So ranges, masks and draws that a model looks at are what they are, and tables that a library
    keeps for later calls, for the whole process, are right ones.
    """

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        """Run an operation, without values unless it is small and all its tensors have them."""
        if (device := device_asked(func, args)) is not None:
            return device
        kwargs = kwargs or {}
        given = _tensors((args, kwargs))
        if not all(_has_values(t) for t in given) or "empty" in func._schema.name:
            return func(*args, **kwargs)
        # What moves a tensor in place must not be run twice, and makes no large one.
        if not func._schema.is_mutable and not any(tag in func.tags for tag in VALUES):
            shown = func(*args, **kwargs)
            if any(t.numel() > LARGEST or t.is_meta for t in _tensors(shown)):
                return shown
        with no_dispatch():
            return func(*args, **kwargs)


def device_asked(func: Any, args: tuple[Any, ...]) -> torch.device | None:
    """The device of a tensor without values, if that is all that an operation asks for.

    Two of three operations do, and the way through all modes takes much longer.
    """
    if func is torch.ops.prim.device.default and args:
        return getattr(args[0], "fake_device", None)
    return None


def _tensors(value: Any) -> list[Tensor]:
    return [leaf for leaf in pytree.tree_leaves(value) if isinstance(leaf, Tensor)]


def _has_values(tensor: Tensor) -> bool:
    return type(tensor) in (Tensor, nn.Parameter) and not tensor.is_meta
