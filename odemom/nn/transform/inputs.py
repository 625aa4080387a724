"""What a block is called with: its hidden state, and the arguments beside it."""

from __future__ import annotations

import warnings
from typing import Any

import torch
from torch import Tensor, nn

from odemom.checks import invalid
from odemom.nn.nets.layered import is_dense, kind_of
from odemom.nn.transform.calls import Arguments
from odemom.nn.transform.places import Place

__all__ = [
    "check_dense",
    "is_state",
    "said",
    "warn_of_checkpointing",
    "warn_of_input",
    "without_caches",
]


def is_state(x: Any) -> bool:
    """Whether ``x`` is a tensor of real floats, or a symbol of torch.fx that stands for one."""
    return isinstance(x, torch.fx.Proxy) or (isinstance(x, Tensor) and x.is_floating_point())


def said(x: Any) -> str:
    """What ``x`` is, in a sentence."""
    return f"a tensor of {x.dtype}" if isinstance(x, Tensor) else f"a {type(x).__name__}"


def warn_of_input(place: Place, x: Any) -> None:
    """Say once for a list that what its blocks are called with first is no state."""
    container = place.container
    if isinstance(x, Tensor) or container.warned_of_input or torch.compiler.is_compiling():
        return
    container.warned_of_input = True
    warnings.warn(
        f"{place.label} was called with {said(x)} in the place of its hidden state, its first "
        f"argument, so the blocks of {container.name or 'the model'} are those of the original. "
        "Let forward take the hidden state first, as one tensor.",
        stacklevel=2,
    )


def warn_of_checkpointing(place: Place, block: Any) -> None:
    """Say once for a list that the gradient checkpointing of transformers is not done.

    Its layers checkpoint their own forward alone, which in a twin moves the velocity too.
    """
    container = place.container
    asked = container.reversible is False and getattr(block, "gradient_checkpointing", False)
    if container.warned_of_checkpoints or not asked:
        return
    if block.training and torch.is_grad_enabled() and not torch.compiler.is_compiling():
        container.warned_of_checkpoints = True
        warnings.warn(
            f"{place.label}: gradient checkpointing is switched on, and a twin with "
            "reversible=False does none. Build it with reversible='auto', which recomputes its "
            "blocks itself.",
            stacklevel=2,
        )


def check_dense(x: Any, place: Place) -> None:
    """Raise `InvalidInputError` for a sparse or nested tensor."""
    if isinstance(x, Tensor) and not is_dense(x):
        raise invalid(
            place.label,
            got=f"an input of layout {kind_of(x)}",
            expected="a dense tensor, on which momentum is defined entry by entry",
            fix="Use a padded batch (x.to_padded_tensor), or x.to_dense().",
        )


def without_caches(
    block: nn.Module, place: Place, call: Arguments
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """The arguments besides x of a block that recomputes: in training without empty caches."""
    if not block.training or not torch.is_grad_enabled():
        return call.args, call.kwargs
    args, kwargs, dropped = call.without_caches()
    if dropped and not place.container.warned_of_caches:
        place.container.warned_of_caches = True
        warnings.warn(
            f"{place.label}: in training the blocks of {place.container.name} fill no key-value "
            "cache, which would keep tensors of every layer. Call the model with use_cache=False, "
            "or build the twin with reversible=False.",
            stacklevel=2,
        )
    return args, kwargs
