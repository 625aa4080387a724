"""Calls of the user's functions: their extra arguments, and what their values must be."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from torch import Tensor, nn
from torch.utils import _pytree as pytree

from odemom.checks import invalid
from odemom.errors import InvalidInputError
from odemom.nn.recompute.second_call import Autocast

__all__ = ["Extras", "FunctionWithOthers", "call_function", "taken_others", "where"]


class FunctionWithOthers(nn.Module):
    """A function that computes further tensors beside the one that moves the state.

    Attributes
    ----------
    others : tuple of Tensor
        Those of its latest call, until `taken_others` takes them.
    """

    others: tuple[Tensor, ...] = ()


def taken_others(function: nn.Module) -> tuple[Tensor, ...]:
    """The further tensors of the latest call of a function, which lets go of them."""
    if not isinstance(function, FunctionWithOthers):
        return ()
    others, function.others = function.others, ()
    return others


def where(functions: Sequence[nn.Module], n: int) -> str:
    """The name of function ``n`` for messages."""
    label = getattr(functions[n], "label", None)
    return label if isinstance(label, str) else f"functions[{n}] ({type(functions[n]).__name__})"


def call_function(
    function: nn.Module,
    x: Tensor,
    extras: Extras,
    tensors: Sequence[Tensor],
    name: str,
    autocast: Autocast,
    *,
    same_shape: bool = True,
) -> Tensor:
    """``function(x, *extras)``, refused unless it can be added to ``x`` and left ``x`` alone.

    With ``same_shape=False`` any floating-point tensor will do.

    Raises
    ------
    InvalidInputError
        If the value is no tensor, or changes the shape or the dtype of the input (under autocast a
        narrower float type is expected); if the function changes its input in place.
    """
    version = None if x.is_inference() else x._version
    try:
        f = extras.call(function, x, tensors)
    except RuntimeError as error:
        if "a leaf Variable that requires grad" in str(error) and x.is_leaf:
            raise _moved_input(name) from error
        raise
    if version is not None and x._version != version:
        raise _moved_input(name)
    expected = f"one tensor of shape {tuple(x.shape)} and dtype {x.dtype}, like its input"
    if not isinstance(f, Tensor):
        fix = "Return the residual alone." if isinstance(f, tuple | list) else ""
        raise invalid(name, got=f"a value of type {type(f).__name__}", expected=expected, fix=fix)
    if not same_shape:
        return f
    if f.shape != x.shape:
        raise invalid(name, got=f"a value of shape {tuple(f.shape)}", expected=expected)
    narrower = f.is_floating_point() and f.dtype.itemsize <= x.dtype.itemsize
    if f.dtype != x.dtype and not (autocast.enabled and narrower):
        raise invalid(name, got=f"a value of dtype {f.dtype}", expected=expected)
    return f


def _moved_input(name: str) -> InvalidInputError:
    return invalid(
        name,
        got="a function that changes its input in place",
        expected="a function that leaves x as it is, for x + v needs it",
        fix="Make its first operation out of place, for example ReLU(inplace=False).",
    )


class Extras:
    """The arguments of the functions besides x, with their tensors taken out and put back."""

    def __init__(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        leaves, self._spec = pytree.tree_flatten((args, kwargs))
        self._where = [i for i, leaf in enumerate(leaves) if isinstance(leaf, Tensor)]
        self.tensors: tuple[Tensor, ...] = tuple(leaves[i] for i in self._where)
        self._leaves = leaves

    def detached(self) -> list[Tensor]:
        """The tensors as leaves that collect gradients where the originals did."""
        return [t.detach().requires_grad_(t.requires_grad) for t in self.tensors]

    def call(self, function: Callable[..., Any], x: Tensor, tensors: Sequence[Tensor]) -> Any:
        """``function(x, *args, **kwargs)`` with ``tensors`` in place of the original ones."""
        leaves = list(self._leaves)
        for i, tensor in zip(self._where, tensors, strict=True):
            leaves[i] = tensor
        args, kwargs = pytree.tree_unflatten(leaves, self._spec)
        return function(x, *args, **kwargs)
