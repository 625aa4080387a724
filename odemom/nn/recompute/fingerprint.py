"""Whether a tensor still holds the bits that it held."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["fingerprint"]

CHUNK = 1 << 16
MIXERS = (-7046029254386353131, 0x2545F4914F6CDD1D, -4658895280553007687)
"""Odd numbers of 64 bits, of linear congruential and xorshift generators and of splitmix."""


@torch.no_grad()
def fingerprint(tensor: Tensor) -> Tensor:
    """A number that changes when any bit of ``tensor`` does, all but surely; int64, shape ().

    The sum of the entries' bits, each mixed with its place: unlike a plain sum it notices entries
    exchanged and signs flipped.

    Examples
    --------
    >>> w = torch.tensor([[1.0, -1.0], [-1.0, 1.0]])
    >>> bool(fingerprint(w) == fingerprint(-w)), bool(fingerprint(w) == fingerprint(w.clone()))
    (False, True)
    """
    words = _words(tensor.detach())
    total = torch.zeros((), dtype=torch.int64, device=words.device)
    for first in range(0, len(words), CHUNK):
        piece = words[first : first + CHUNK].to(torch.int64)
        place = torch.arange(first, first + len(piece), device=words.device)
        mixed = piece.mul(MIXERS[0]).add_(place.mul_(MIXERS[1]))
        mixed ^= mixed >> 29
        mixed.mul_(MIXERS[2])
        total += (mixed ^ (mixed >> 32)).sum()
    return total


def _words(tensor: Tensor) -> Tensor:
    """The bits of ``tensor`` as integers, one axis."""
    if tensor.layout != torch.strided:
        tensor = tensor.to_dense()
    if tensor.is_complex():
        tensor = torch.view_as_real(tensor)
    if tensor.is_floating_point():
        kinds = {1: torch.int8, 2: torch.int16, 4: torch.int32, 8: torch.int64}
        tensor = tensor.contiguous().view(kinds[tensor.element_size()])
    return tensor.reshape(-1)
