"""What a convolution holds while it runs, beyond its arguments and its value."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

__all__ = ["workspace"]

FORWARD = torch.ops.aten.convolution.default
BACKWARD = torch.ops.aten.convolution_backward.default
CHANNELS_LAST = {4: torch.channels_last, 5: torch.channels_last_3d}


def workspace(operation: Any, args: tuple[Any, ...], value: Any) -> int:
    """Bytes that an operation of PyTorch takes and gives back on its own.

    Known of convolutions on processors, read off the resident memory of single ones, to a quarter:
    oneDNN copies tensors that are not channels-last into an order of its own, and sums up bfloat16
    in float32 where the processor has tiles for it (AMX); PyTorch's own convolutions, which serve
    what oneDNN does not (float64), lay all patches of the batch side by side. Of other operations,
    and on other devices, 0.
    """
    if operation == FORWARD:
        x, weight, y = args[0], args[1], value
        stride, transposed = args[3], args[6]
    elif operation == BACKWARD:
        y, x, weight = args[:3]
        stride, transposed = args[4], args[7]
    else:
        return 0
    if x.device.type != "cpu":
        return 0
    if _by_onednn(x):
        if _channels_last(x) or _channels_last(weight):
            return 0
        wide = 2 if x.dtype == torch.bfloat16 and weight.shape[1] > 1 and _has_tiles() else 1
        if operation == FORWARD:
            return weight.nbytes + max(x.nbytes, wide * y.nbytes)
        strided = set(stride) != {1}
        again = (wide - 1) * x.nbytes
        return weight.nbytes + x.nbytes + max(y.nbytes, x.nbytes if strided else again)
    pointwise = math.prod(weight.shape[2:]) == 1 and set(stride) == {1}
    if transposed or pointwise:
        return 0
    positions = y.shape[0] * math.prod(y.shape[2:])
    return positions * math.prod(weight.shape[1:]) * x.element_size()


def _by_onednn(x: Tensor) -> bool:
    if not (torch.backends.mkldnn.is_available() and torch.backends.mkldnn.enabled):
        return False
    if x.dtype == torch.bfloat16:
        return torch.ops.mkldnn._is_mkldnn_bf16_supported()
    return x.dtype == torch.float32


def _has_tiles() -> bool:
    known = getattr(torch.cpu, "_is_amx_tile_supported", None)
    return known is not None and known()


def _channels_last(x: Tensor) -> bool:
    if x.dim() not in CHANNELS_LAST or x.is_contiguous():
        return False
    return x.is_contiguous(memory_format=CHANNELS_LAST[x.dim()])
