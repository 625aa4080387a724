"""One training step of a network on stand-ins for its tensors: without values, or with copies."""

from __future__ import annotations

import functools
import gc
import logging
import random
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy
import torch
from torch import Tensor, nn
from torch.utils import _pytree as pytree

from odemom.checks import invalid
from odemom.nn.memory.constants import Constants
from odemom.nn.memory.hooked import put_back_what_hooks_keep
from odemom.nn.memory.watch import Watch
from odemom.nn.recompute.holders import Snapshot, as_it_was
from odemom.nn.recompute.second_call import RandomStates
from odemom.nn.recompute.slots import Slot, swapped
from odemom.nn.reversible.shapes import on_shapes

__all__ = ["Call", "called", "step"]

T = TypeVar("T")


@dataclass(frozen=True)
class Call:
    """A call of a network, and where its batch is.

    Attributes
    ----------
    args : tuple
    kwargs : dict
        Tensors in both whose size along ``axis`` is ``batch`` belong to the batch.
    batch : int
    axis : int
    values : bool
        Whether they have any; False on the meta device.
    """

    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    batch: int
    axis: int

    @property
    def tensors(self) -> list[Tensor]:
        """All tensors in lists, tuples and dicts among the arguments."""
        leaves = pytree.tree_leaves((self.args, self.kwargs))
        return [leaf for leaf in leaves if isinstance(leaf, Tensor)]

    @property
    def values(self) -> bool:
        """Whether the tensors have any; on the meta device they have none."""
        return not any(t.is_meta for t in self.tensors)

    def of_batch(self, tensor: Tensor) -> bool:
        """Whether a tensor belongs to the batch."""
        return tensor.dim() > self.axis and tensor.shape[self.axis] == self.batch

    @property
    def bytes_a_sample(self) -> float:
        """Of the tensors that belong to the batch."""
        return sum(t.nbytes for t in self.tensors if self.of_batch(t)) / self.batch


class StandIns:
    """Tensors in place of others, each once, while they are made.

    Parameters
    ----------
    fake : FakeTensorMode or None
        Entered; None copies values.
    device : torch.device
        That of tensors without values where the original is on the meta device.
    """

    def __init__(self, fake: Any, device: torch.device) -> None:
        self.fake = fake
        self.device = device
        self.made: dict[int, Tensor] = {}

    def of(self, tensor: Tensor, *, copy: bool = True) -> Tensor:
        """The stand-in of a tensor; one with values shares its memory unless it is a ``copy``."""
        if id(tensor) not in self.made:
            other = tensor.detach()
            if self.fake is None:
                other = other.clone() if copy else other
            elif tensor.is_meta:
                other = torch.empty_strided(
                    other.shape, other.stride(), dtype=other.dtype, device=self.device
                )
            else:
                other = self.fake.from_tensor(other)
            if isinstance(tensor, nn.Parameter):
                other = nn.Parameter(other, requires_grad=False)
            self.made[id(tensor)] = other.requires_grad_(tensor.requires_grad)
        return self.made[id(tensor)]

    def resized(self, tensor: Tensor, axis: int, size: int) -> Tensor:
        """A stand-in with another number of samples."""
        if self.fake is None:
            return tensor.detach().narrow(axis, 0, size).clone()
        one = self.of(tensor)
        shape = [*one.shape[:axis], size, *one.shape[axis + 1 :]]
        outermost = axis == 0 and one.stride(0) >= max(one.stride(), default=0)
        made = one.new_empty(shape)
        if outermost:
            made = torch.empty_strided(shape, one.stride(), dtype=one.dtype, device=one.device)
        return made.requires_grad_(tensor.requires_grad)


def places(modules: list[nn.Module], kind: str) -> dict[Slot, Tensor]:
    """Where ``_parameters`` or ``_buffers`` are, shared ones as often as they occur."""
    return {
        (module, name): tensor
        for module in modules
        for name, tensor in getattr(module, kind).items()
        if tensor is not None
    }


@contextmanager
def stand_ins(
    network: nn.Module, call: Call, *, batch: int, shapes: bool
) -> Iterator[tuple[StandIns, tuple[Any, ...], dict[str, Any]]]:
    """Put stand-ins in place of all tensors of a network, and give it arguments of that batch.

    The network, its arguments and the random generators are as they were afterwards.
    """
    modules = [*network.modules()]
    device = home(network)
    arguments = Snapshot((*call.args, *call.kwargs.values()))
    attributes = Snapshot(modules=modules)
    with ExitStack() as stack:
        stack.enter_context(RandomStates.current(device).again())
        stack.callback(random.setstate, random.getstate())
        legacy = numpy.random.get_state()  # noqa: NPY002 - what the model may draw from
        stack.callback(numpy.random.set_state, legacy)
        stack.enter_context(put_back_what_hooks_keep(modules))
        stack.enter_context(torch.inference_mode(False))
        fake = stack.enter_context(_fake_mode()) if shapes else None
        if shapes:
            stack.enter_context(_quiet())
            stack.enter_context(Constants())
            stack.enter_context(on_shapes())
        made = StandIns(fake, device)
        own: dict[Slot, Tensor | None] = {
            slot: made.of(p, copy=False) for slot, p in places(modules, "_parameters").items()
        }
        moved: dict[Slot, Tensor | None] = {
            slot: made.of(b) for slot, b in places(modules, "_buffers").items()
        }
        for tensor in (*attributes.tensors, *arguments.tensors):
            made.of(tensor)
        args, kwargs = pytree.tree_map(
            functools.partial(_argument, made, call, batch), (call.args, call.kwargs)
        )
        stack.enter_context(swapped(own, "_parameters"))
        stack.enter_context(swapped(moved, "_buffers"))
        stack.enter_context(as_it_was(arguments, attributes, modules, made.made))
        yield made, args, kwargs


def _argument(made: StandIns, call: Call, batch: int, leaf: Any) -> Any:
    if not isinstance(leaf, Tensor):
        return leaf
    if batch != call.batch and call.of_batch(leaf):
        return made.resized(leaf, call.axis, batch)
    return made.of(leaf)


def home(network: nn.Module) -> torch.device:
    """The device of a network's parameters; the CPU for one on the meta device."""
    first = next((p for p in network.parameters() if not p.is_meta), None)
    return torch.device("cpu") if first is None else first.device


def _fake_mode() -> Any:
    from torch._subclasses.fake_tensor import FakeTensorMode  # not needed to import odemom.nn

    return FakeTensorMode(allow_non_fake_inputs=True)


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep PyTorch from logging what fails on shapes, which is said in an error."""
    logger = logging.getLogger("torch._subclasses.fake_tensor")
    before = logger.disabled
    logger.disabled = True
    try:
        yield
    finally:
        logger.disabled = before


def called(network: nn.Module, call: Call, *, shapes: bool, after: Callable[[], T]) -> T:
    """What ``after()`` says when the network has been called without gradients."""
    given = stand_ins(network, call, batch=call.batch, shapes=shapes)
    with given as (_, args, kwargs), torch.no_grad():
        network(*args, **kwargs)
        return after()


def step(
    network: nn.Module, call: Call, owners: Mapping[int, str], *, batch: int, shapes: bool
) -> Watch:
    """A forward and a backward pass with ``batch`` samples, watched.

    Gradients of the parameters are there before, as in every step but the first.
    """
    given = stand_ins(network, call, batch=batch, shapes=shapes)
    with given as (made, args, kwargs), _no_collection():
        there = [*made.made.values()]
        there += [t for t in pytree.tree_leaves((args, kwargs)) if isinstance(t, Tensor)]
        for parameter in network.parameters():
            if parameter.requires_grad:
                parameter.grad = torch.zeros_like(parameter)
                there.append(parameter.grad)
        watch = Watch(owners)
        watch.leave_out(there)
        with watch, torch.enable_grad(), watch.calls():
            _go_back(network(*args, **kwargs), type(network).__name__)
    return watch


def _go_back(value: Any, name: str) -> None:
    """A backward pass from the loss that a network returned, or from all that it returned."""
    loss = value.get("loss") if isinstance(value, Mapping) else None
    ends = [loss] if isinstance(loss, Tensor) else pytree.tree_leaves(value)
    ends = [end for end in ends if isinstance(end, Tensor) and end.requires_grad]
    if not ends:
        raise invalid(
            "model",
            got=f"a {name} whose value depends on no parameter that requires a gradient",
            expected="one that can be trained",
        )
    torch.autograd.backward(ends, [torch.ones_like(end) for end in ends])


@contextmanager
def _no_collection() -> Iterator[None]:
    """Keep Python from collecting cycles in between: two steps let tensors go at the same times."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
