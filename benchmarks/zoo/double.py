"""Networks in float64 throughout, though their code asks for float32 here and there.

Norms and softmaxes of transformers compute in float32 whatever the dtype of their input. Their
rounding would hide differences below 1e-7.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest.mock import patch

import torch

__all__ = ["double_throughout"]

ASKED = [
    (torch.Tensor, "to"),
    (torch.nn.functional, "softmax"),
    (torch.nn.functional, "log_softmax"),
    (torch, "softmax"),
]
"""Where code asks for a dtype."""


@contextmanager
def double_throughout() -> Iterator[None]:
    """Give float64 wherever float32 is asked for; a mode of torch would not reach into backward."""
    with ExitStack() as stack:
        for holder, name in ASKED:
            wider = _wider(getattr(holder, name))
            stack.enter_context(patch.object(holder, name, wider))
        stack.enter_context(patch.object(torch.Tensor, "float", torch.Tensor.double))
        yield


def _wider(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def asked(*args: Any, **kwargs: Any) -> Any:
        args = tuple(torch.float64 if a is torch.float32 else a for a in args)
        named = {k: torch.float64 if v is torch.float32 else v for k, v in kwargs.items()}
        return function(*args, **named)

    return asked
