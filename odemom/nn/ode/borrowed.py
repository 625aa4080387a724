"""The parameters and buffers of a field, held from a forward pass to its backward pass."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from odemom.checks import invalid
from odemom.errors import DoubleBackwardError, ReversibilityError
from odemom.nn.recompute.fingerprint import fingerprint
from odemom.nn.recompute.graph import foreign_leaf
from odemom.nn.recompute.slots import Slot, parameter_slots, swapped

__all__ = ["Borrowed", "refuse_double", "refuse_foreign"]


class Borrowed:
    """The parameters that a field has at a call, and leaves that stand in for them.

    In the places of its parameters the field finds leaves of this call on the same memory. They
    collect this call's gradients and run no hooks; the parameters themselves may by then be others
    (`torch.func.functional_call` gives them for the time of a call); and a value that depends on a
    parameter by another way, through a tensor made outside, shows it.

    Parameters
    ----------
    f : nn.Module or callable
        A function has no parameters; what it closes over is foreign to it.
    """

    def __init__(self, f: Any) -> None:
        self.f = f
        modules = list(f.modules()) if isinstance(f, nn.Module) else []
        slots = parameter_slots(modules)
        self._parameters = {(m, name): m._parameters[name] for m, name in slots}
        self._buffers: dict[Slot, Tensor | None] = {
            (m, name): b for m in modules for name, b in m._buffers.items() if b is not None
        }
        for (module, name), parameter in self._parameters.items():
            if isinstance(parameter, nn.parameter.UninitializedParameter):
                raise invalid(
                    "f",
                    got=f"{type(module).__name__}.{name}, which has no shape yet",
                    expected="a module whose parameters are there",
                    fix="Call f once before the block.",
                )
        unique = {id(p): p for p in self._parameters.values() if p is not None}
        self.inputs: tuple[Tensor, ...] = tuple(p for p in unique.values() if p.requires_grad)
        self._marked: list[tuple[str, Tensor, Tensor]] = []

    def leaves(self, *, requires_grad: bool) -> list[Tensor]:
        """One for each of `inputs`."""
        return [p.detach().requires_grad_(requires_grad) for p in self.inputs]

    @contextmanager
    def in_place(self, leaves: list[Tensor]) -> Iterator[None]:
        """Let the field find ``leaves``, and the buffers that it had at the call."""
        by_id = {id(p): leaf for p, leaf in zip(self.inputs, leaves, strict=True)}
        places = {slot: by_id.get(id(p), p) for slot, p in self._parameters.items()}
        with swapped(places, "_parameters"), swapped(self._buffers, "_buffers"):
            yield

    def mark(self, moving: Collection[Slot], arguments: Iterable[Tensor]) -> None:
        """Note the values of parameters, buffers but those in ``moving``, and ``arguments``."""
        held = {**self._parameters, **self._buffers}
        named = [(self._name(s), t) for s, t in held.items() if t is not None and s not in moving]
        named += [("a tensor given to the call", t) for t in arguments]
        self._marked = [(name, t, fingerprint(t)) for name, t in named]

    def require_unchanged(self) -> None:
        """Raise if one of these tensors is not as at `mark`."""
        for name, tensor, mark in self._marked:
            if not torch.equal(fingerprint(tensor), mark):
                raise ReversibilityError(
                    f"f is not the field of the forward pass: {name} has changed "
                    "since. Call backward before the optimizer's step and before writing to .data, "
                    "or build the block with gradient='backprop'."
                )

    def _name(self, slot: Slot) -> str:
        module, name = slot
        path = next((n for n, m in self.f.named_modules() if m is module), "")
        return f"{path}.{name}" if path else name


def refuse_foreign(values: Iterable[Tensor], known: Iterable[Tensor], way: str) -> None:
    """Raise if a value depends on a tensor that no gradient would reach."""
    leaf = foreign_leaf(values, known)
    if leaf is not None:
        raise invalid(
            "f(x)",
            got=f"a value that depends on a tensor of shape {tuple(leaf.shape)} which requires a "
            f"gradient and is neither the field's parameter nor an argument, with gradient={way!r}",
            expected="a function of its arguments and its own parameters",
            fix="Pass the tensor to the block's call, block(x, c) with f(x, c); register it as a "
            "parameter of f, an nn.Module; or build the block with gradient='backprop'.",
        )


def refuse_double(way: str) -> None:
    """Raise if this backward pass is itself recorded."""
    if torch.is_grad_enabled():
        raise DoubleBackwardError(
            f"A block with gradient={way!r} has no second derivative: got create_graph=True; "
            "expected a first-order backward. Build the block with gradient='backprop' for it."
        )
