"""What a function must not do because it is called twice, in sentences."""

from __future__ import annotations

import torch

from odemom.checks import invalid
from odemom.errors import InvalidInputError
from odemom.nn.recompute.graph import Reach

__all__ = [
    "OTHER_BITS",
    "OTHER_TENSORS",
    "changed_in_place",
    "hooked_input",
    "in_backward",
    "in_transform",
    "moved_input",
    "second_call_failed",
    "stranger",
]

OTHER_BITS = (
    "the function did not recompute the bits of its forward pass, so no gradient can be trusted.",
    "Autocast, buffers, attributes and PyTorch's random numbers are restored; look for other "
    "state: a generator of its own, NumPy's, a global, a parameter changed since through .data, an "
    "operation that is not deterministic (torch.use_deterministic_algorithms).",
)
"""What happened, and where to look unless something is known to have changed."""

OTHER_TENSORS = (
    "computed again, the function has the bits of its forward pass but depends on other tensors, "
    "so its gradient would be lost.",
    "It keeps a tensor of its forward pass where its second call finds it, in a global, a closure "
    "or an object of its own. Keep such tensors in the arguments, or directly in attributes of the "
    "module, which are put back; with transformers, call the model with use_cache=False.",
)
"""The same for `graph.reach`."""


def stranger(name: str, found: Reach) -> InvalidInputError:
    """The error for a value that depends on a tensor that no gradient would reach."""
    if found.layer is not None:
        got = f"a tensor which layer {found.layer} made and left where this one finds it"
    else:
        assert found.leaf is not None
        got = (
            f"a tensor of shape {tuple(found.leaf.shape)} which requires a gradient and is "
            "neither the function's parameter nor an argument"
        )
    return invalid(
        name,
        got=f"a value that depends on {got}",
        expected="a function of its arguments and its own parameters",
        fix="Pass the tensor to the network's call, or register it as a parameter; what one "
        "layer makes for another goes into a list, dict or object among the arguments of the "
        "call. With reversible=False anything goes.",
    )


def moved_input(name: str) -> InvalidInputError:
    """The error for a function that changes x in place."""
    return invalid(
        name,
        got="a function that changes its input in place",
        expected="a function that leaves x as it is, for x + v needs it",
        fix="Make its first operation out of place, for example ReLU(inplace=False).",
    )


def second_call_failed(error: Exception) -> tuple[str, str]:
    """What happened, and where to look unless something is known to have changed."""
    what = f"its second call failed, {type(error).__name__}: {error}."
    return what, "The first did not; look for an iterator, a file or a global that it used."


def changed_in_place(name: str, place: str) -> InvalidInputError:
    """The error for a tensor in ``place`` that a second call would change once more."""
    return invalid(
        name,
        got=f"a function that changes a tensor among its {place} in place",
        expected="a function that leaves it as it is, for it is called twice",
        fix="Let it put a new tensor there, total = total + x rather than total += x, or keep "
        "the tensor in a buffer (with the static caches of transformers: use_cache=False).",
    )


def hooked_input(name: str, dtype: torch.dtype) -> InvalidInputError:
    """The error for a hook that would see the gradient of a copy alone."""
    return invalid(
        name,
        got=f"a hook on its input of {dtype}, a copy of the state, whose gradient goes "
        "another way: of the function itself, or of a tool that watches modules (FlopCounterMode)",
        expected="hooks on tensors that the function computes",
        fix="Register it on x.clone(), or build the network with reversible=False.",
    )


def in_backward() -> bool:
    """Whether a backward pass is under way."""
    return torch._C._current_graph_task_id() != -1


def in_transform() -> bool:
    """Whether a transform of torch.func (grad, vmap, jvp, ...) is under way."""
    # The stubs of PyTorch leave its module out.
    return torch._C._functorch.peek_interpreter_stack() is not None  # type: ignore[attr-defined]
