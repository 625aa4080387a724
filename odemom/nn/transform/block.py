"""A block that stays in its place and does one momentum layer when it is called.

The twin of a block is of a class made for it, in front of the block's own: the same name,
attributes, parameters, children and signature, but `forward` moves the velocity. So code that
indexes a list, takes a slice of it, collects features, or registers hooks finds what it expects;
hooks see the momentum network's states, once a call.
"""

from __future__ import annotations

import contextlib
import functools
import types
import warnings
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch._compile import _disable_dynamo  # the public one imports the compiler at once
from torch.nn.utils.parametrize import is_parametrized

from odemom.checks import invalid
from odemom.errors import ReversibilityError
from odemom.nn.nets.surroundings import (
    check_function_is_whole,
    check_is_no_replica,
    check_surroundings,
    is_exporting,
    refused,
)
from odemom.nn.recompute.calls import Extras
from odemom.nn.recompute.holders import Snapshot
from odemom.nn.recompute.inside import recomputed_inside
from odemom.nn.recompute.refusals import in_backward, moved_input
from odemom.nn.recompute.second_call import has_hooks, tried
from odemom.nn.transform import rows
from odemom.nn.transform.calls import Arguments, BlockFunction, positional_names
from odemom.nn.transform.copies import copied, derived, rebind
from odemom.nn.transform.inputs import (
    check_dense,
    is_state,
    said,
    warn_of_checkpointing,
    warn_of_input,
    without_caches,
)
from odemom.nn.transform.places import PLACE, Place
from odemom.nn.transform.step import same_values

__all__ = ["MomentumBlock", "as_block", "twin_block"]

WAY_OUT = (
    "Build the twin with transform(model, gamma, reversible=False), which runs there, or take the "
    "original, transform.restore(twin)."
)

NO_SCRIPT = (
    "Trace or export the twin that transform(model, gamma, reversible=False) makes, or take the "
    "original, transform.restore(twin)."
)

OTHER_WAY = "the row before it is computed in another way"
OWN_FORWARD = "_momentum_own_forward"


class MomentumBlock(nn.Module):
    """What stands in front of a block's own class in the class of its twin."""

    # Names that no block has an attribute of.
    _momentum_kind: type[nn.Module]
    _momentum_names: tuple[str, ...]

    def _get_name(self) -> str:
        return "Momentum" + self._momentum_kind.__name__

    def __reduce_ex__(self, protocol: Any) -> Any:
        """Classes made here are found again by the block's own class."""
        kind = self._momentum_kind
        if type(self) is not _twin_class(kind):  # that of a parametrization, say
            return super().__reduce_ex__(protocol)
        if kind.__getstate__ is object.__getstate__:
            return _blank, (kind,), dict(self.__dict__)
        with_it = {name: self.__dict__[name] for name in (PLACE, OWN_FORWARD) if name in vars(self)}
        self.__dict__["training"] = self.training  # a block may look it up there
        try:
            return _blank, (kind, with_it), kind.__getstate__(self)
        finally:
            del self.__dict__["training"]

    def __prepare_scriptable__(self) -> None:
        """Asked for by `torch.jit.script`."""
        raise refused("torch.jit.script", NO_SCRIPT)

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """One momentum layer, or the block's own value where it belongs to no row."""
        place: Place = self.__dict__[PLACE]
        own = self.__dict__.get(OWN_FORWARD) or functools.partial(self._momentum_kind.forward, self)
        call = Arguments(self._momentum_names, args, kwargs)
        if place.container.weights[0] == 0:
            return own(*args, **kwargs)
        if not is_state(call.x):
            place.note(None, f"its input is {said(call.x)}, no tensor of real floats")
            warn_of_input(place, call.x)
            return own(*args, **kwargs)
        check_dense(call.x, place)
        call.x = rows.without_carry(call.x, place.container)
        if place.container.reversible is False or isinstance(call.x, torch.fx.Proxy):
            warn_of_checkpointing(place, self)
            return _in_floats(self, place, own, call)
        if is_exporting():
            raise refused("torch.export", WAY_OUT)
        return _recomputed(self, place, own, call)


def _in_floats(block: MomentumBlock, place: Place, own: Callable[..., Any], call: Arguments) -> Any:
    """Under plain autograd, traced, compiled or not."""
    x = call.x
    if not isinstance(x, Tensor) and not place.alone and place.changes_shape is None:
        raise invalid(
            place.label,
            got="a symbol of torch.fx in its first call",
            expected="a tensor, which shows whether the block keeps its shape",
            fix="Call the twin on an input once before it is traced.",
        )
    if not isinstance(x, Tensor) and place.alone:
        return own(x, *call.args, **call.kwargs)
    function = _function(block, place, own, call, adds_input=False)
    version = rows.version_of(x)
    value = own(x, *call.args, **call.kwargs)
    first = function.first(value)
    if isinstance(x, Tensor):
        place.note_shape(first, changes=first.shape != x.shape)
        if first.shape != x.shape or not place.skips:
            return value
        if rows.version_of(x) != version:
            raise moved_input(place.label)
    row, carry = _row(place, x)
    return rows.plain_step(row, function, x, carry, first)


def _recompute(block: MomentumBlock, place: Place, own: Callable[..., Any], call: Arguments) -> Any:
    """Such that the backward pass calls the block again; without one, in the same arithmetic."""
    x, record = call.x, torch.is_grad_enabled()
    check_surroundings(x, block, WAY_OUT)
    args, kwargs = without_caches(block, place, call)
    call = Arguments(block._momentum_names, (x, *args), kwargs)
    if _mode(place, x) != "exact":
        return _in_floats(block, place, _checkpointed(block, place, own, call), call)
    check_is_no_replica(block)
    if record:  # x that is handed over twice, as query and key, gets gradients of both
        args = tuple(same_values(a) if a is x else a for a in args)
        kwargs = {name: same_values(a) if a is x else a for name, a in kwargs.items()}
    extras = Extras(args, kwargs)
    function = _function(block, place, own, call, adds_input=True)
    widens = place.may_widen(x)
    unknown = place.changes_shape is None or (widens and place.value_dtype is None)
    if unknown and place.skips:
        if not record:
            return _first_call(block, place, own, call, extras)
        _try(block, place, own, x, extras)
    if place.alone:
        return _in_floats(block, place, _checkpointed(block, place, own, call), call)
    start, x = x, place.widened(x)
    row, carry = _row(place, x, start, exact=True, record=record)
    if row.run is None:  # what the velocity comes from at the beginning is kept by a checkpoint
        function = _function(block, place, own, call, adds_input=False)
        value = _checkpointed(block, place, own, call)(x, *call.args, **call.kwargs)
        return rows.plain_step(row, function, x, carry, function.first(value))
    y = rows.exact_step(row, function, x, carry, extras, last=place.ahead == 1)
    place.note_shape(x, changes=False)
    return y


_recomputed: Callable[..., Any] = _disable_dynamo(_recompute)


def _function(
    block: MomentumBlock,
    place: Place,
    own: Callable[..., Any],
    call: Arguments,
    *,
    adds_input: bool,
) -> BlockFunction:
    """What a call of a block computes; its first call shows whether it moves one state."""
    function = BlockFunction(block, own, place.label, adds_input=adds_input)
    if not place.called and not torch.compiler.is_compiling():
        function.passed = call.passed_on()
    return function


def _mode(place: Place, x: Any) -> str:
    """How the row is held that a call with this input belongs to or starts."""
    carry, container = rows.carry_of(x), place.container
    if carry is not None and carry.row.owner is container:
        return carry.row.record.mode
    return container.mode(place.ahead, x)


def _try(
    block: nn.Module, place: Place, own: Callable[..., Any], x: Tensor, extras: Extras
) -> None:
    """Call a block for the first time, to see whether it keeps its input's shape.

    Without hooks where these do not change that: they may collect what the block computes.
    """
    check_function_is_whole(block, place.label)
    function = BlockFunction(block, own, place.label, adds_input=False)

    def called(*, hooks: bool) -> Tensor:
        with tried(function, extras.snapshot(), x.device, hooks=hooks):
            # A clone: one that changes its input's shape may change it in place, too.
            return extras.call(function, x.detach().clone())

    first = None
    if has_hooks(block) and not place.may_widen(x):
        with contextlib.suppress(Exception):  # hooks may be what makes the call possible
            first = called(hooks=False)
    if first is None or first.shape != x.shape:
        first = called(hooks=True)
    place.learn(x, first)


def _first_call(
    block: MomentumBlock, place: Place, own: Callable[..., Any], call: Arguments, extras: Extras
) -> Any:
    """The first call where nothing goes back: its value shows the shape, and moves the state.

    So what the block changes besides (a cache, a counter) changes once.
    """
    check_function_is_whole(block, place.label)
    x = call.x
    version, value = rows.version_of(x), extras.call(own, x)
    function = _function(block, place, lambda *_, **__: value, call, adds_input=True)
    first = function.first(value)
    place.learn(x, first)
    place.note_shape(first, changes=first.shape != x.shape)
    if place.alone:
        return value
    if rows.version_of(x) != version:
        raise moved_input(place.label)
    start, x = x, place.widened(x)
    row, carry = _row(place, x, start, exact=True)
    if row.run is None:
        return rows.plain_step(row, function, x, carry, first)
    return rows.exact_step(row, function, x, carry, Extras((), {}), last=place.ahead == 1)


def _checkpointed(
    block: nn.Module, place: Place, own: Callable[..., Any], call: Arguments
) -> Callable[..., Any]:
    """``own``, its inside computed again in the backward pass."""
    kept = place.alone and not place.container.checkpoint_rest
    if kept or not torch.is_grad_enabled():
        return own
    return recomputed_inside(own, block, place.label, Snapshot((call.args, call.kwargs)))


def _row(
    place: Place, x: Any, given: Any = None, *, exact: bool = False, record: bool = False
) -> tuple[rows.Row, rows.Carry | None]:
    """The row that a call belongs to, and what its input carries; a new row where none goes on.

    ``given`` is the input as it was given, where x is it in a wider dtype.
    """
    given = x if given is None else given
    container, carry = place.container, rows.carry_of(x)
    if carry is not None and carry.row.owner is container:
        if exact and carry.row.record.mode == "exact":
            rows.go_on(carry.row, x, carry, record=record)
        run = carry.row.run
        if run.record == record if run is not None and exact else run is None and not exact:
            place.note(carry.row, "")
            return carry.row, carry
        start = OTHER_WAY
    else:
        start = rows.why_none(given, container)
    again = not torch.compiler.is_compiling() and in_backward() and place.carried
    if again and not (place.started and rows.may_start_again(given, container)):
        raise ReversibilityError(
            f"{place.label}: the block was called in a backward pass, by a checkpoint around it, "
            "with an input from which the momentum of the blocks before it is gone; expected "
            "checkpoints around whole rows or none. The twin recomputes its blocks itself: switch "
            "the model's own gradient checkpointing off."
        )
    _warn_of(place, start)
    rows.note_start(given, container)
    shape = tuple(x.shape) if isinstance(x, Tensor) else ()
    mode = "exact" if exact else "plain" if container.reversible is False else "checkpoint"
    named = rows.RowRecord(container.name, mode, shape)
    row = rows.Row(
        named, container, container.gamma, container.weights, container.field,
        call=container.whole.call,
    )  # fmt: skip
    if exact and not row.field:
        row.run = rows.exact_run(row, x, None, record=record)
    place.note(row, start)
    return row, None


def _warn_of(place: Place, start: str) -> None:
    """Say once that neighbours in a container were not joined."""
    container = place.container
    if torch.compiler.is_compiling() or not container.joined:
        return
    if not (place.follows or start in (OTHER_WAY, rows.TAKEN)):
        return
    container.joined = False
    fix = "If they are residual functions, as in x = x + f(x), pass residual=True to transform."
    if start == rows.TAKEN:
        fix = "Of several calls with one tensor the first goes on with its velocity; give each a "
        fix += "clone of it, x.clone(), and all of them start with velocity 0."
    warnings.warn(
        f"{place.label} started a row of its own, with velocity 0, since {start}. The blocks of "
        f"{container.name or 'the model'} are not one momentum network; "
        f"odemom.nn.twin_report(model) shows the rows. {fix}",
        stacklevel=2,
    )


# --- making and unmaking ----------------------------------------------------------------------


@functools.cache
def _twin_class(kind: type[nn.Module]) -> type[MomentumBlock]:
    names = {
        "__module__": kind.__module__,
        "__qualname__": kind.__qualname__,
        "_momentum_kind": kind,
        "_momentum_names": positional_names(kind.forward),
        "training": property(_get_training, _set_training),
    }
    bases = (MomentumBlock, kind)
    made: Any = types.new_class(kind.__name__, bases, {}, lambda space: space.update(names))

    @functools.wraps(kind.forward)
    def forward(self: MomentumBlock, *args: Any, **kwargs: Any) -> Any:
        return MomentumBlock.forward(self, *args, **kwargs)

    made.forward = forward  # set last: a base class may wrap the forward of its subclasses
    return made


def _get_training(block: MomentumBlock) -> bool:
    """That of the original: the inside of the block is shared with it."""
    return block.__dict__[PLACE].original.training


def _set_training(block: MomentumBlock, mode: bool) -> None:
    block.__dict__[PLACE].original.training = mode


def _blank(kind: type[nn.Module], with_it: dict[str, Any] | None = None) -> nn.Module:
    made = _twin_class(kind)
    twin = made.__new__(made)
    twin.__dict__.update(with_it or {})
    return twin


def twin_block(block: nn.Module, place: Place) -> nn.Module:
    """The twin of a block; the block is left as it is."""
    twin = copied(block)
    own = twin.__dict__.pop("forward", None)
    if own is not None:
        twin.__dict__[OWN_FORWARD] = own
    twin.__dict__.pop("training", None)
    twin.__dict__[PLACE] = place
    kind = type(block)
    # The class of a parametrized module stands in front, and goes with the last parametrization.
    twin.__class__ = (
        derived(kind, [_twin_class(base) for base in kind.__bases__])
        if is_parametrized(block)
        else _twin_class(kind)
    )
    return twin


def as_block(twin: nn.Module) -> nn.Module:
    """The block of a twin, with what the twin holds now."""
    assert isinstance(twin, MomentumBlock)
    training, kind = twin.training, _kind_behind(type(twin))
    block = kind.__new__(kind)
    block.__dict__ = {k: v for k, v in twin.__dict__.items() if k != PLACE}
    block.__dict__["_modules"] = dict(twin._modules)
    if OWN_FORWARD in block.__dict__:
        block.__dict__["forward"] = block.__dict__.pop(OWN_FORWARD)
    block.__dict__["training"] = training
    rebind(block, twin)
    return block


def _kind_behind(kind: type[Any]) -> type[nn.Module]:
    """The class of a block from that of its twin, or from one that was derived from it since."""
    if kind is _twin_class(kind._momentum_kind):
        return kind._momentum_kind
    return derived(kind, [_kind_behind(b) if issubclass(b, MomentumBlock) else b
                           for b in kind.__bases__])  # fmt: skip
