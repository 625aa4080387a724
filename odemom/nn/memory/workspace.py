"""What a convolution holds while it runs, beyond its arguments and its value."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

__all__ = ["has_bfloat16_convolutions", "workspace"]

FORWARD = torch.ops.aten.convolution.default
BACKWARD = torch.ops.aten.convolution_backward.default
CHANNELS_LAST = {4: torch.channels_last, 5: torch.channels_last_3d}
SUMMANDS = 256
"""In so many parts oneDNN sums the gradient of a depthwise weight whose channels are last."""
SMALL, LARGE = 3, 14
"""Of kernels above the one and below the other."""
FEW, EIGHT = 4, 8
"""Channels of an image, which are not put in another order; channels of its shortest vector."""


def workspace(operation: Any, args: tuple[Any, ...], value: Any) -> int:
    """Bytes that an operation of PyTorch takes and gives back on its own.

    Known of convolutions on processors, read off the resident memory of single ones, to a quarter:
    oneDNN copies tensors that are not channels-last into an order of its own, weights always, sums
    up bfloat16 in float32 where the processor has tiles for it (AMX), and a depthwise gradient in
    `SUMMANDS` parts; PyTorch's own convolutions, which serve what oneDNN does not (float64), lay
    all patches of the batch side by side. In bfloat16 depthwise convolutions and those of images
    take more than is said. Of other operations, and on other devices, 0.
    """
    if operation == FORWARD:
        x, weight, y = args[0], args[1], value
        stride, transposed, groups = args[3], args[6], args[8]
    elif operation == BACKWARD:
        y, x, weight = args[:3]
        stride, transposed, groups = args[4], args[7], args[9]
    else:
        return 0
    if x.device.type != "cpu":
        return 0
    if _by_onednn(x):
        strided = set(stride) != {1}
        return _of_onednn(x, weight, y, groups, strided=strided, forward=operation == FORWARD)
    pointwise = math.prod(weight.shape[2:]) == 1 and set(stride) == {1}
    if transposed or pointwise:
        return 0
    positions = y.shape[0] * math.prod(y.shape[2:])
    return positions * math.prod(weight.shape[1:]) * x.element_size()


def _of_onednn(
    x: Tensor, weight: Tensor, y: Tensor, groups: int, *, strided: bool, forward: bool
) -> int:
    own, kernel = weight.nbytes, max(weight.shape[2:])
    depthwise, grouped = 1 < groups == x.shape[1], groups > 1
    wide = 2 if x.dtype == torch.bfloat16 and not depthwise and _has_tiles() else 1
    if _channels_last(x) or _channels_last(weight):
        copied = 0 if _channels_last(weight) or kernel == 1 else own
        copied += 0 if _channels_last(x) else x.nbytes
        if depthwise:
            summed = not forward and SMALL < kernel < LARGE
            return copied + (SUMMANDS * weight.numel() * torch.float32.itemsize if summed else 0)
        return copied + (own if forward else 2 * own)
    if x.shape[1] < FEW and not grouped and wide == 1:
        return max(own if forward else 2 * own, y.nbytes)
    if forward:
        return own + max(x.nbytes, wide * y.nbytes)
    fits = kernel <= SMALL if depthwise else x.shape[1] // groups % EIGHT == 0
    if grouped and not fits:
        return max(x.nbytes, y.nbytes)
    again = x.nbytes if strided and not grouped else (wide - 1) * x.nbytes
    both = x.nbytes + max(y.nbytes, again)
    return 2 * own + both if wide > 1 else max(own, both)


def has_bfloat16_convolutions() -> bool:
    """Whether oneDNN, which PyTorch takes on processors, has convolutions in bfloat16 here."""
    return _has_onednn() and torch.ops.mkldnn._is_mkldnn_bf16_supported()


def _has_onednn() -> bool:
    return bool(torch.backends.mkldnn.is_available() and torch.backends.mkldnn.enabled)


def _by_onednn(x: Tensor) -> bool:
    if x.dtype == torch.bfloat16:
        return has_bfloat16_convolutions()
    return x.dtype == torch.float32 and _has_onednn()


def _has_tiles() -> bool:
    known = getattr(torch.cpu, "_is_amx_tile_supported", None)
    return known is not None and known()


def _channels_last(x: Tensor) -> bool:
    if x.dim() not in CHANNELS_LAST or x.is_contiguous():
        return False
    return x.is_contiguous(memory_format=CHANNELS_LAST[x.dim()])
