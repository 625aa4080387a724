"""Which implementation does the integer work, for a tensor's device.

On the CPU the compiled one where there is a compiler, on CUDA Triton where it is installed,
elsewhere PyTorch operations. All have the same bits. Taking a slower one is reported once by an
`OdemomWarning`, unless it was chosen by name with `use_kernel`.
"""

from __future__ import annotations

import functools
import warnings
from contextlib import contextmanager
from contextvars import ContextVar
from types import ModuleType
from typing import TYPE_CHECKING

import torch

from odemom.checks import expect, shown
from odemom.errors import OdemomWarning
from odemom.nn.reversible import eager, native, shapes

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["kernel_for", "use_kernel"]

CHOICES = ("auto", "fused", "eager")
_choice: ContextVar[str] = ContextVar("odemom_kernel", default="auto")


@contextmanager
def use_kernel(name: str) -> Iterator[None]:
    """Choose the implementation of the integer work inside a ``with`` block.

    Parameters
    ----------
    name : str
        "auto", "fused" (fails where there is none) or "eager". States made inside the block keep
        the choice.

    Raises
    ------
    InvalidInputError
        If the name is not one of these.

    Examples
    --------
    >>> from odemom.nn import reversible
    >>> with reversible.use_kernel("eager"):
    ...     reversible.kernel_for("cpu").__name__
    'odemom.nn.reversible.eager'
    """
    expect(name in CHOICES, "name", got=shown(name), expected='"auto", "fused" or "eager"')
    token = _choice.set(name)
    try:
        yield
    finally:
        _choice.reset(token)


def kernel_for(device: torch.device | str) -> ModuleType:
    """The module with `advance`, `expose`, `retreat`, `force` and `carried` on ``device``.

    Raises
    ------
    InvalidInputError
        If "fused" was asked for and this machine has no fused path for the device.
    """
    if shapes.are_alone():
        return shapes
    kind, choice = torch.device(device).type, _choice.get()
    if choice == "eager":
        return eager
    fused = _fused(kind)
    if fused is not None:
        return fused
    expect(
        choice != "fused",
        "use_kernel",
        got=f"'fused' for the device {kind}",
        expected="a C compiler for the CPU, Triton for CUDA",
        fix="Install one, or leave 'auto': PyTorch operations have the same bits.",
    )
    _report_slow_path(kind)
    return eager


@functools.cache
def _fused(kind: str) -> ModuleType | None:
    if kind == "cpu" and native.available():
        return native
    if kind == "cuda":
        from odemom.nn.reversible import triton_kernels  # Triton takes a while to load

        return triton_kernels if triton_kernels.available() else None
    return None


@functools.cache
def _report_slow_path(kind: str) -> None:
    missing = {
        "cpu": "no C compiler was found that builds step.c",
        "cuda": "Triton is not installed",
    }
    warnings.warn(
        f"{missing.get(kind, f'there is no fused kernel for {kind}')}: the integer work of "
        "reversible layers runs as PyTorch operations, with the same bits but more slowly. "
        "Choose it by name with odemom.nn.reversible.use_kernel('eager') to silence this.",
        OdemomWarning,
        stacklevel=2,
    )
