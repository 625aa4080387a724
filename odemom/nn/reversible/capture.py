"""Reversible passes inside of a CUDA graph that is being captured.

A graph is recorded once and replayed on other numbers; while it is recorded nothing is computed,
and the processor may not read what the device will find. So what is checked elsewhere by reading a
number back is checked here on the device (`require`), in each replay; and a function must not draw
random numbers, which a replay could not draw twice (`random_numbers_refused`). To see that, each
operation is looked at while the graph is captured, so that functions compiled each by itself run
there as they are written, in both calls.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from odemom.checks import invalid

__all__ = ["capturing", "holds", "random_numbers_refused", "require", "waits_late"]

FAILED = (
    "odemom: a reversible pass in a CUDA graph left its range, did not recompute its bits, or "
    "began with numbers that one word of fixed point does not hold to their digits. Run the step "
    "in a new process without the graph: it says which and where."
)
"""At most 255 characters: CUDA prints no more."""

SWITCHES = ("p", "dropout", "dropout_p", "train", "training")
"""Arguments of random operations; one that is given as 0 or False says that nothing is drawn."""


def capturing() -> bool:
    """Whether a CUDA graph is captured on the current stream."""
    return torch.cuda.is_initialized() and torch.cuda.is_current_stream_capturing()


def waits_late(device: torch.device) -> bool:
    """Whether to look at what the device found only at the end, so as not to wait for it."""
    return device.type != "cpu" or capturing()


def require(holds: Tensor) -> None:
    """Have the device stop, with `FAILED`, in every replay in which ``holds`` is false; shape ().

    Examples
    --------
    >>> require(torch.tensor(True))
    """
    torch.ops.aten._assert_async(holds, FAILED)


def holds(condition: Tensor) -> bool:
    """Whether ``condition``, shape (), is true; in a graph the device will look (`require`).

    Examples
    --------
    >>> holds(torch.tensor(False))
    False
    """
    if not capturing():
        return bool(condition)
    require(condition)
    return True


def random_numbers_refused(name: str) -> AbstractContextManager[Any]:
    """Refuse random numbers drawn inside, by the function ``name``, while a graph is captured.

    Raises
    ------
    InvalidInputError
    """
    return _NoRandomNumbers(name) if capturing() else nullcontext()


class _NoRandomNumbers(TorchDispatchMode):
    """Looks at every operation."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self._name = name

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        draws = torch.Tag.nondeterministic_seeded in func.tags
        if draws and not _draws_nothing(func, args, kwargs):
            raise invalid(
                self._name,
                got=f"random numbers ({func}) while a CUDA graph is captured",
                expected="a function without them: a replay could not draw them twice",
                fix="Set its dropout to 0, capture the twin that reversible=False makes, or run "
                "the step without a graph (odemom train: --no-cuda-graph).",
            )
        return func(*args, **kwargs)


def _draws_nothing(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
    names = [argument.name for argument in func._schema.arguments]
    given = dict(zip(names, args, strict=False)) | kwargs
    defaults = {a.name: a.default_value for a in func._schema.arguments if a.has_default_value()}
    given = defaults | given
    return any(given[name] is not None and given[name] == 0 for name in SWITCHES if name in given)
