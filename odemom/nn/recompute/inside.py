"""A call whose inside the backward pass computes again, by `torch.utils.checkpoint`.

That keeps a call's input, and calls the function again when autograd asks for what the first call
had saved. It looks after random numbers and autocast; here the second call finds the parameters,
buffers, attributes and arguments of the first one, too, and moves nothing twice. What cannot be put
back is found: by the versions of tensors, and by a sample of every tensor that both calls save
(`sampling`). Unlike the checksum of an exact state it allows for rounding.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import CheckpointError, checkpoint

from odemom.errors import OdemomError, ReversibilityError
from odemom.nn.recompute import refusals
from odemom.nn.recompute.changes import Facts
from odemom.nn.recompute.holders import Snapshot, found_again
from odemom.nn.recompute.sampling import Kept, Samples
from odemom.nn.recompute.saving import hooks_before
from odemom.nn.recompute.second_call import attention_by, attention_kernels, default_dtype
from odemom.nn.recompute.slots import (
    Buffers,
    Slot,
    parameter_at,
    parameter_slots,
    parameters_at,
    swapped,
)
from odemom.nn.reversible import capture

__all__ = ["recomputed_inside"]

CHANGED = "a parameter or an argument was modified by an inplace operation after it was used."


def recomputed_inside(
    function: Callable[..., Any], module: nn.Module, name: str, arguments: Snapshot
) -> Callable[..., Any]:
    """``function``, which recomputes its inside in the backward pass.

    Parameters
    ----------
    function : callable
        To be called once.
    module : Module
        What it calls.
    name : str
        The same in messages.
    arguments : Snapshot
        What its arguments hold before the call.

    Returns
    -------
    callable
        It raises `InvalidInputError` if the function changes an argument in place, and, in the
        backward pass, `ReversibilityError` if the second call is not the first one again.
    """
    call = _Call(function, module, name, arguments)
    # Entering a context would do for the second call, but not see its errors.
    return functools.partial(
        checkpoint,
        call,
        use_reentrant=False,
        context_fn=call.contexts,
        preserve_rng_state=not capture.capturing(),
    )


class _Call:
    """A function that is called, and called again."""

    def __init__(
        self, function: Callable[..., Any], module: nn.Module, name: str, arguments: Snapshot
    ) -> None:
        modules = tuple(module.modules())
        self._function, self._module, self._name = function, module, name
        self._arguments, self._attributes = arguments, Snapshot(modules=modules)
        self._moved = Snapshot()
        self._facts = Facts(module, modules)
        self._slots = parameter_slots(modules)
        self._parameters = parameters_at(self._slots)
        self._versions: list[int | None] = []
        self._buffers = Buffers()
        self._dtype, self._kernels = torch.get_default_dtype(), attention_kernels()
        self._samples: Kept | None = None
        self._unlike: list[Tensor] = []
        self._again = False

    def contexts(self) -> tuple[AbstractContextManager[None], AbstractContextManager[None]]:
        """Around the first call, and around the others."""
        return nullcontext(), _Others(self)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """The function's value."""
        if self._again:
            return self._second(args, kwargs)
        x = next((a for a in args if isinstance(a, Tensor)), None)
        before = None if x is None or x.is_inference() else x._version
        with self._recording(), capture.random_numbers_refused(self._name):
            value = self._function(*args, **kwargs)
        if before is not None and x is not None and x._version != before:
            raise refusals.moved_input(self._name)
        return value

    @contextmanager
    def _recording(self) -> Iterator[None]:
        """Record the first call."""
        with Buffers.recording(self._modules()) as self._buffers:
            # A second call moves copies of the buffers, those of batch norms as they are by then.
            own = {_storage(t) for t in self._module.buffers()}
            samples = Samples()

            def note(n: int, t: Tensor) -> None:
                if not own or _storage(t) not in own:
                    samples.note(n, t)

            with self._noting(note):
                yield
            self._samples = samples.kept()
        self._moved = self._attributes.changed()
        for place, held in (("arguments", self._arguments), ("attributes", self._attributes)):
            if held.changed_in_place():
                raise refusals.changed_in_place(self._name, place)
        self._versions = self._versions_now()

    def _modules(self) -> list[nn.Module]:
        return [*self._module.modules()]

    def _versions_now(self) -> list[int | None]:
        tensors = (*self._parameters, *self._arguments.tensors)
        return [None if t.is_inference() else t._version for t in tensors]

    # --- again -----------------------------------------------------------------------------------

    def _second(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if self._versions_now() != self._versions:
            raise self._failed(CHANGED, "")
        assert self._samples is not None
        again = Samples(self._samples)
        try:
            with self._noting(again.note), capture.random_numbers_refused(self._name):
                value = self._function(*args, **kwargs)
        except (torch.OutOfMemoryError, OdemomError):
            raise
        except Exception as error:
            if type(error).__module__ == checkpoint.__module__:  # it has all that it needs
                self._compare(again)
                raise
            raise self._failed(*refusals.second_call_failed(error)) from error
        self._compare(again)
        return value

    @contextmanager
    def put_back(self) -> Iterator[None]:
        """Put back for a second call what the first one found."""
        modules = self._modules()
        parameters: dict[Slot, Tensor | None] = {
            slot: tensor
            for slot, tensor in zip(self._slots, self._parameters, strict=True)
            if parameter_at(slot) is not tensor
        }
        with ExitStack() as stack:
            stack.enter_context(torch.inference_mode(False))
            stack.enter_context(torch.enable_grad())
            stack.enter_context(default_dtype(self._dtype))
            stack.enter_context(attention_by(self._kernels))
            # First the modes: on them it depends which buffers a call may move.
            stack.enter_context(
                found_again(self._arguments, self._attributes, self._moved, modules, {})
            )
            stack.enter_context(self._buffers.again(modules))
            stack.enter_context(swapped(parameters, "_parameters"))
            self._again = True
            yield

    def _compare(self, again: Samples) -> None:
        for unlike in again.unlike():
            self._unlike.append(unlike)
            if not (capture.waits_late(unlike.device) and refusals.in_backward()):
                self._verify()
            elif len(self._unlike) == 1:
                torch.autograd.Variable._execution_engine.queue_callback(self._verify)

    def _verify(self) -> None:
        unlike, self._unlike = self._unlike, []
        if unlike and not capture.holds(~torch.stack(unlike).any()):
            raise self._failed(*refusals.OTHER_BITS)

    def _failed(self, what: str, otherwise: str) -> ReversibilityError:
        why = self._facts.changes() or otherwise
        return ReversibilityError(f"{self._name}: {what} {why}".rstrip())

    # --- what is saved ---------------------------------------------------------------------------

    @contextmanager
    def _noting(self, note: Callable[[int, Tensor], None]) -> Iterator[None]:
        """Hand the tensors that autograd saves, with their numbers, to ``note`` as well."""
        made: list[Any] = []

        def before(pack: Any, unpack: Any) -> tuple[Any, Any]:
            count = 0

            def noted(t: Tensor) -> Any:
                nonlocal count
                note(count, t)
                count += 1
                return pack(t)

            # As its own do: checkpoints and what is inside look for the user's hooks behind these.
            marks = getattr(pack, "__dict__", {})
            for name in ("_checkpoint_internal", "_user_hooks"):
                if name in marks:
                    vars(noted)[name] = marks[name]
            made.append(noted)
            return noted, functools.partial(self._unpacked, unpack)

        try:
            with hooks_before(before):
                yield
        finally:
            for noted in made:
                vars(noted).pop("_user_hooks", None)

    def _unpacked(self, unpack: Callable[[Any], Tensor], held: Any) -> Tensor:
        """What a hook gives back, its errors in our words."""
        try:
            return unpack(held)
        except OdemomError:
            raise
        except RuntimeError as error:
            if "modified by an inplace operation" in str(error):  # the input
                raise self._failed(CHANGED, "") from error
            if not isinstance(error, CheckpointError):
                raise
            what = refusals.OTHER_BITS[0]
            said = str(error).partition("\n")[0].removeprefix("torch.utils.checkpoint: ")
            raise self._failed(what, f"{said} {refusals.OTHER_BITS[1]}") from error


class _Others(AbstractContextManager[None]):
    """The context of every call but the first: a backward pass that keeps the graph has several."""

    def __init__(self, call: _Call) -> None:
        self._call = call
        self._entered: list[AbstractContextManager[None]] = []

    def __enter__(self) -> None:
        entered = self._call.put_back()
        entered.__enter__()
        self._entered.append(entered)

    def __exit__(self, *error: Any) -> bool | None:
        return self._entered.pop().__exit__(*error)


def _storage(t: Tensor) -> int:
    return t.untyped_storage()._cdata if type(t) in (Tensor, nn.Parameter) else id(t)
