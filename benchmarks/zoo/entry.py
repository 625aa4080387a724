"""A network of the zoo: how to build a small one, and what to call it with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

__all__ = ["Entry", "image", "tokens"]


@dataclass(frozen=True)
class Entry:
    """One network of a library, built from its configuration with random weights.

    Attributes
    ----------
    library, name : str
    build : callable
        The model, small.
    inputs : callable
        The keyword arguments of its call; one without a name is under "".
    layers : tuple of str or None
        Lists to name in `transform`.
    """

    library: str
    name: str
    build: Callable[[], nn.Module]
    inputs: Callable[[], dict[str, Any]]
    layers: tuple[str, ...] | None = field(default=None)


def image(size: int, channels: int = 3, batch: int = 2) -> Callable[[], dict[str, Tensor]]:
    """Square images of noise."""
    return lambda: {"": noise(batch, channels, size, size)}


def noise(*shape: int) -> Tensor:
    """Normal numbers, the same ones every time."""
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0))


def tokens(length: int = 10, vocabulary: int = 99, batch: int = 2) -> Tensor:
    """Rows of tokens, the same ones every time."""
    generator = torch.Generator().manual_seed(0)
    return torch.randint(3, vocabulary, (batch, length), generator=generator)
