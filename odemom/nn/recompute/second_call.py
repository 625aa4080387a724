"""Calling a function a second time so that it computes the same bits, and moves nothing twice.

A function's value may depend on more than its arguments: the random state, autocast, buffers that
it moves itself, attributes that it sets (`holders`). `FunctionCall` records these at the first call
and puts them back for the second. What cannot be put back (a random generator of the function's
own, a global) is found by the checksum that the caller keeps, as `torch.utils.checkpoint` finds it
by metadata, and by what the graph of the value reaches (`graph`).
"""

from __future__ import annotations

import random
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from odemom.nn.recompute.holders import Snapshot, as_it_was, found_again
from odemom.nn.recompute.slots import Buffers, Slot, buffers_put_aside, swapped
from odemom.nn.reversible import capture

__all__ = [
    "Autocast",
    "CalledAgain",
    "FunctionCall",
    "RandomStates",
    "attention_by",
    "attention_kernels",
    "has_hooks",
    "repeatable",
    "tried",
]  # fmt: skip

HOOKS = ("_forward_hooks", "_forward_pre_hooks")

KERNELS = torch.backends.cuda  # where these switches are, for a CPU, too
SWITCHES = (
    (KERNELS.flash_sdp_enabled, KERNELS.enable_flash_sdp),
    (KERNELS.mem_efficient_sdp_enabled, KERNELS.enable_mem_efficient_sdp),
    (KERNELS.math_sdp_enabled, KERNELS.enable_math_sdp),
    (KERNELS.cudnn_sdp_enabled, KERNELS.enable_cudnn_sdp),
)
"""Of the kernels of attention, to read and to set: those of `torch.nn.attention.sdpa_kernel`."""


def attention_kernels() -> tuple[bool, ...]:
    """Which kernels of attention may be used."""
    return tuple(enabled() for enabled, _ in SWITCHES)


@contextmanager
def attention_by(kernels: tuple[bool, ...]) -> Iterator[None]:
    """Let these be used for a while."""
    before = attention_kernels()
    changed = [n for n, on in enumerate(before) if on != kernels[n]]
    try:
        for n in changed:
            SWITCHES[n][1](kernels[n])
        yield
    finally:
        for n in changed:
            SWITCHES[n][1](before[n])


@dataclass(frozen=True)
class Autocast:
    """The autocast states in force at a call, the default dtype, and the kernels of attention."""

    states: tuple[tuple[str, bool, torch.dtype], ...]
    cache: bool
    default: torch.dtype
    attention: tuple[bool, ...]

    @classmethod
    def current(cls, device: torch.device) -> Autocast:
        """Those of the CPU and of ``device``."""
        kinds = dict.fromkeys(("cpu", device.type))
        states = tuple(
            (kind, torch.is_autocast_enabled(kind), torch.get_autocast_dtype(kind))
            for kind in kinds
            if torch.amp.is_autocast_available(kind)
        )
        cache, default = torch.is_autocast_cache_enabled(), torch.get_default_dtype()
        return cls(states, cache, default, attention_kernels())

    @cached_property
    def enabled(self) -> bool:
        """Whether any is on."""
        return any(on for _, on, _ in self.states)

    @contextmanager
    def again(self) -> Iterator[None]:
        """Put them in force."""
        with ExitStack() as stack:
            stack.enter_context(default_dtype(self.default))
            stack.enter_context(attention_by(self.attention))
            for kind, on, dtype in self.states:
                stack.enter_context(
                    torch.autocast(kind, dtype=dtype, enabled=on, cache_enabled=self.cache)
                )
            yield


@contextmanager
def default_dtype(dtype: torch.dtype) -> Iterator[None]:
    """Let new tensors of floats have that dtype for a while."""
    before = torch.get_default_dtype()
    try:
        torch.set_default_dtype(dtype)
        yield
    finally:
        torch.set_default_dtype(before)


@dataclass(frozen=True)
class RandomStates:
    """The states of the random generators of the CPU and of one device."""

    device: torch.device
    cpu: Tensor
    accelerator: Tensor | None

    @classmethod
    def current(cls, device: torch.device) -> RandomStates:
        """A copy of the states now; that of a device stands still while a graph is captured."""
        return cls(device, torch.get_rng_state(), _of_accelerator(device))

    def stands(self) -> bool:
        """Whether nothing was drawn since."""
        if not torch.equal(torch.get_rng_state(), self.cpu):
            return False
        now = _of_accelerator(self.device)
        if now is None or self.accelerator is None:
            return now is self.accelerator
        return torch.equal(now, self.accelerator)

    def put_back(self) -> None:
        """Put them in force."""
        torch.set_rng_state(self.cpu)
        if self.accelerator is not None:
            module = torch.get_device_module(self.device)
            module.set_rng_state(self.accelerator, self.device)

    @contextmanager
    def again(self) -> Iterator[None]:
        """Put them back, and on leaving those that were in force before."""
        before = RandomStates.current(self.device)
        self.put_back()
        try:
            yield
        finally:
            before.put_back()


def _of_accelerator(device: torch.device) -> Tensor | None:
    if device.type in ("cpu", "meta") or capture.capturing():
        return None
    return torch.get_device_module(device).get_rng_state(device)


@contextmanager
def repeatable(device: torch.device) -> Iterator[None]:
    """Let cuDNN take algorithms that give the same bits twice, and the same ones twice.

    Where it tries them out (``torch.backends.cudnn.benchmark``) it does so in each thread, and the
    second call is made in the thread of the backward pass.
    """
    cudnn = torch.backends.cudnn
    before = cudnn.benchmark, cudnn.deterministic
    if device.type == "cuda":
        cudnn.benchmark, cudnn.deterministic = False, True
    try:
        yield
    finally:
        cudnn.benchmark, cudnn.deterministic = before


@dataclass
class CalledAgain(AbstractContextManager[None]):
    """Let a second call inside find what the first one found, and forget what it moves.

    It may be entered once more: a backward pass that keeps the graph can be repeated.
    """

    function: nn.Module
    arguments: Snapshot
    attributes: Snapshot
    _entered: ExitStack = field(default_factory=ExitStack)

    def __enter__(self) -> None:
        modules = [*self.function.modules()]
        with ExitStack() as entered:
            entered.enter_context(buffers_put_aside(modules))
            entered.enter_context(as_it_was(self.arguments, self.attributes, modules, {}))
            self._entered = entered.pop_all()

    def __exit__(self, *error: Any) -> None:
        self._entered.__exit__(*error)


@contextmanager
def tried(
    function: nn.Module, arguments: Snapshot, device: torch.device, *, hooks: bool
) -> Iterator[None]:
    """Forget all that a call made inside moves; ``hooks``: whether those on modules run in it.

    It keeps no graph, so what it puts into objects must go as well: a later call would find it.
    """
    modules = tuple(function.modules())
    attributes = Snapshot(modules=modules, objects=True)
    numbers = random.getstate(), np.random.get_state()  # noqa: NPY002 - the global one is meant
    try:
        with (
            torch.no_grad(),
            RandomStates.current(device).again(),
            CalledAgain(function, arguments, attributes),
            nullcontext() if hooks else _without_hooks(modules),
            _nothing_cached(),
            _nothing_collected(),
        ):
            yield
    finally:
        random.setstate(numbers[0])
        np.random.set_state(numbers[1])  # noqa: NPY002


@contextmanager
def _nothing_cached() -> Iterator[None]:
    """Leave no weights without a graph in the cache of `parametrize.cached`."""
    kept = parametrize._cache
    parametrize._cache = {}
    try:
        yield
    finally:
        if parametrize._cache_enabled:  # else it was emptied meanwhile, in another thread
            parametrize._cache = kept


@contextmanager
def _nothing_collected() -> Iterator[None]:
    """Leave nothing among the outputs that transformers collects by hooks."""
    collecting = sys.modules.get("transformers.utils.output_capturing")
    collector: Any = getattr(collecting, "_active_collector", None)
    if not (hasattr(collector, "context_var") and hasattr(collector, "global_var")):
        yield
        return
    # One of the two holds the outputs; the latter, where some of the model is compiled.
    kept, token = collector.global_var, collector.context_var.set(None)
    collector.global_var = None
    try:
        yield
    finally:
        collector.global_var = kept
        collector.context_var.reset(token)


def has_hooks(function: nn.Module) -> bool:
    """Whether any part of it has hooks on its call."""
    return any(vars(part).get(name) for part in function.modules() for name in HOOKS)


@contextmanager
def _without_hooks(modules: Sequence[nn.Module]) -> Iterator[None]:
    """Call modules without their hooks: what these collect is collected once, in the call meant."""
    kept = [(m, name, vars(m)[name]) for m in modules for name in HOOKS if vars(m).get(name)]
    for module, name, hooks in kept:
        vars(module)[name] = type(hooks)()
    try:
        yield
    finally:
        for module, name, hooks in kept:
            vars(module)[name] = hooks


@dataclass
class FunctionCall:
    """One call of one function, to be made again.

    Attributes
    ----------
    before, after : RandomStates
        Around the call; one object if it drew nothing.
    buffers : Buffers
    attributes : Snapshot
        The attributes and modes before the call, which a caller may change after it.
    moved : Snapshot
        Those that it changed itself.
    in_place : bool
        Whether it changed a tensor in an attribute in place, which is not put back.
    """

    before: RandomStates
    after: RandomStates
    buffers: Buffers = field(default_factory=Buffers)
    attributes: Snapshot = field(default_factory=Snapshot)
    moved: Snapshot = field(default_factory=Snapshot)
    in_place: bool = False

    @classmethod
    @contextmanager
    def recording(
        cls, modules: Sequence[nn.Module], random: RandomStates, known: Snapshot | None = None
    ) -> Iterator[FunctionCall]:
        """Record the call made inside, of a function with these ``modules``, itself included.

        ``random`` is the state before it; ``known`` their attributes at an earlier call, kept once
        for all calls that find the same ones.
        """
        if known is None or known.changed() or known.changed_in_place():
            known = Snapshot(modules=modules)
        call = cls(random, random, attributes=known)
        with Buffers.recording(modules) as call.buffers:
            yield call
        call.moved, call.in_place = known.changed(), known.changed_in_place()
        if not random.stands():
            call.after = RandomStates.current(random.device)

    @contextmanager
    def again(
        self,
        modules: Sequence[nn.Module],
        parameters: dict[Slot, Tensor | None],
        arguments: Snapshot,
        others: Mapping[int, Tensor],
    ) -> Iterator[None]:
        """Put everything back for the call made inside.

        ``parameters`` go to their places, and ``others[id(t)]`` to those of a tensor t among the
        arguments and attributes.
        """
        with ExitStack() as stack:
            # First the modes: on them it depends which buffers a call may move.
            stack.enter_context(
                found_again(arguments, self.attributes, self.moved, modules, others)
            )
            stack.enter_context(self.buffers.again(modules))
            stack.enter_context(swapped(parameters, "_parameters"))
            if self.after is not self.before:
                stack.enter_context(self.before.again())
            yield
