"""What autograd keeps of one call of a function, found from shapes."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils import _pytree as pytree

from odemom.checks import invalid
from odemom.errors import InvalidInputError
from odemom.nn.recompute.holders import Snapshot, as_it_was

__all__ = ["saved_bytes"]


def saved_bytes(function: nn.Module, x: Tensor, *args: Any, **kwargs: Any) -> int:
    """Bytes that autograd keeps for one call of ``function``, found on PyTorch's meta device.

    Parameters are not counted, nor is anything computed: shapes alone are propagated. x counts when
    it is kept.

    Parameters
    ----------
    function : Module
    x : Tensor
    *args, **kwargs
        Further arguments of the function.

    Raises
    ------
    InvalidInputError
        If what the function does depends on values, which shapes alone do not tell.
    """

    def as_meta(leaf: Any) -> Any:
        if not isinstance(leaf, Tensor):
            return leaf
        return torch.empty_like(leaf, device="meta").requires_grad_(leaf.requires_grad)

    tensors = dict(function.named_parameters(remove_duplicate=False))
    tensors |= dict(function.named_buffers(remove_duplicate=False))
    shapes = {
        name: as_meta(t.detach()).requires_grad_(t.requires_grad) for name, t in tensors.items()
    }
    args, kwargs = pytree.tree_map(as_meta, (args, kwargs))
    given = (*shapes.values(), *pytree.tree_leaves((args, kwargs)))
    own = {t.untyped_storage()._cdata for t in given if isinstance(t, Tensor)}
    kept: dict[int, Tensor] = {}

    def keep(t: Tensor) -> Tensor:
        kept.setdefault(t.untyped_storage()._cdata, t)
        return t

    y = torch.empty_like(x, device="meta").requires_grad_()
    call = torch.func.functional_call
    hooks = torch.autograd.graph.saved_tensors_hooks(keep, lambda t: t)
    with torch.enable_grad(), hooks, _left_as_they_are(function, (args, kwargs)):
        try:
            call(function, shapes, (y, *args), kwargs)
        except Exception as error:
            raise _not_by_shapes(function, error) from error
    return sum(t.untyped_storage().nbytes() for key, t in kept.items() if key not in own)


def _left_as_they_are(function: nn.Module, given: Any) -> AbstractContextManager[None]:
    """Forget what a call puts into its arguments and into attributes of the function."""
    modules = list(function.modules())
    return as_it_was(Snapshot(given), Snapshot(modules=modules), modules, {})


def _not_by_shapes(function: nn.Module, error: Exception) -> InvalidInputError:
    said = str(error).strip().partition("\n")[0]
    return invalid(
        f"memory_report of {type(function).__name__}",
        got=f"a function that does not run on shapes alone ({type(error).__name__}: {said[:200]})",
        expected="operations whose shapes do not depend on values, on tensors that are arguments, "
        "parameters or buffers (no .item(), no if on a tensor, no boolean masks)",
        fix="Measure a step instead: odemom.nn.memory_report(net, x) runs one where it has to.",
    )
