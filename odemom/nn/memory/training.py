"""What a training step of any model will hold, and one of its momentum twin."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from odemom.checks import as_integer, expect, invalid, shown
from odemom.errors import InvalidInputError, OdemomError
from odemom.nn.memory.report import StepMemory, TrainingMemory, envelope
from odemom.nn.memory.step import Call, called, step
from odemom.nn.nets.reversible_net import ReversibleNet
from odemom.nn.nets.surroundings import check_function_is_whole
from odemom.nn.recompute.holders import Snapshot, as_it_was
from odemom.nn.transform import restore, transform, twin_report
from odemom.nn.transform.find import CONTAINERS
from odemom.nn.transform.functions import FunctionRow
from odemom.nn.transform.places import place_of

__all__ = ["memory_report"]


def memory_report(
    model: nn.Module, x: Any, *args: Any, batch_axis: int = 0, **kwargs: Any
) -> TrainingMemory:
    """The memory of a training step of any model, before and after `transform`.

    Nothing is computed where shapes tell all: the step is followed on tensors without values,
    forward and back, and what lives at its fullest moment is counted.

    Parameters
    ----------
    model : Module
        An ordinary model, whose twin ``transform(model, 0.9)`` is looked at too; or a twin, or a
        model with reversible networks of `odemom.nn`, which is compared with the same under plain
        autograd. It is looked at in the mode that it is in: call ``model.train()`` before.
    x : Tensor, or dict of str to Tensor
        The batch; of a tensor only shape, dtype and device matter, and it may be on the meta
        device. A dict stands for keyword arguments, as tokenizers of transformers return them.
    *args, **kwargs
        Further arguments of the call.
    batch_axis : int
        The axis of samples, for `TrainingMemory.largest_batch`.

    Returns
    -------
    TrainingMemory
        Its ``str`` is a table.

    Raises
    ------
    InvalidInputError
        If the model has nothing to train, is sharded or not initialised, x holds no tensor with a
        batch axis, or the call fails.

    Notes
    -----
    The backward pass starts from the value's ``loss``, if it has one, else from all tensors that
    the model returns, as if each had a gradient; a loss of your own comes on top. Parameters and
    their gradients, of which a twin holds as much, stand in the first line, in full as in every
    step but the first; the table is of what comes on top. What a convolution takes for the moment
    is counted on processors, where PyTorch's ways are known; workspaces of products, and all those
    on GPUs, are not: some MB, and more on GPUs.

    Where what the model does depends on values (``.item()``, boolean masks), one step with copies
    of its buffers is run on the device instead, and the report says so. The model, its gradients,
    its buffers and the random generators are left as they are.

    Examples
    --------
    >>> import torch
    >>> from odemom.nn import memory_report
    >>> layer = torch.nn.TransformerEncoderLayer(64, 4, 256, dropout=0.0, batch_first=True)
    >>> model = torch.nn.TransformerEncoder(layer, 8, enable_nested_tensor=False)
    >>> report = memory_report(model, torch.empty(8, 100, 64, device="meta"))
    >>> report.ratio < 0.4
    True
    >>> report.plain.largest_batch(1e9) < report.twin.largest_batch(1e9)
    True
    """
    _check_model(model)
    call = _call(x, args, kwargs, batch_axis)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of rows that do not form: the report shows them
        return _report(model, call)


def _check_model(model: Any) -> None:
    if not isinstance(model, nn.Module):
        raise invalid("model", got=type(model).__name__, expected="a torch.nn.Module")
    if isinstance(model, nn.parallel.DistributedDataParallel | nn.DataParallel):
        raise invalid(
            "model",
            got=f"a {type(model).__name__}",
            expected="a model that is not wrapped",
            fix="Pass the model inside, model.module: each process holds as much as it.",
        )
    if any(isinstance(m, torch.jit.ScriptModule) for m in model.modules()):
        raise invalid(
            "model",
            got="a compiled TorchScript module",
            expected="a torch.nn.Module in Python",
            fix="Pass the model from before torch.jit.script or torch.jit.trace.",
        )
    check_function_is_whole(model, "model")
    expect(
        any(p.requires_grad for p in model.parameters()),
        "model",
        got=f"a {type(model).__name__} without parameters that require a gradient",
        expected="one that can be trained",
    )


def _call(x: Any, args: tuple[Any, ...], kwargs: dict[str, Any], axis: int) -> Call:
    axis = as_integer(axis, "batch_axis", 0)
    expected = "a tensor, or a dict of tensors that stands for keyword arguments"
    if isinstance(x, Mapping):
        twice = sorted(set(x) & set(kwargs))
        expect(not twice, "x", got=f"{shown(twice)} as keyword arguments too", expected=expected)
        kwargs = {**{str(name): value for name, value in x.items()}, **kwargs}
        firsts = [v for v in x.values() if isinstance(v, Tensor)]
    elif isinstance(x, Tensor):
        args, firsts = (x, *args), [x]
    else:
        raise invalid("x", got=f"an object of type {type(x).__name__}", expected=expected)
    first = next((t for t in firsts if t.dim() > axis and t.shape[axis]), None)
    if first is None:
        said = ", ".join(str(tuple(t.shape)) for t in firsts)
        raise invalid(
            "x",
            got=f"tensors of the shapes {said}" if firsts else "no tensor",
            expected=f"at least one sample along axis {axis}",
        )
    return Call(args, kwargs, first.shape[axis], axis)


def _report(model: nn.Module, call: Call) -> TrainingMemory:
    plain, twin, refused, given = _both(model)
    rows, after = Rows(), None
    with _places_kept(model):
        if twin is not None:
            rows, refused = _formed(twin, call)
        with _remembering(model):
            before = _step_of(plain, call, rows.labels, shapes=True)
        if twin is not None and not refused:
            try:
                after = _step_of(twin, call, rows.labels, shapes=not before.measured)
            except InvalidInputError as error:
                refused = str(error)
    if given == "twin" and after is None:
        raise InvalidInputError(refused)
    parameters = [*model.parameters()]
    return TrainingMemory(
        model=type(model).__name__,
        batch=call.batch,
        parameters=sum(p.nbytes for p in parameters),
        gradients=sum(p.nbytes for p in parameters if p.requires_grad),
        buffers=sum(b.nbytes for b in model.buffers()),
        inputs=sum(t.nbytes for t in call.tensors),
        plain=before,
        twin=after,
        refused=refused,
        given=given,
        notes=rows.notes,
    )


def _both(model: nn.Module) -> tuple[nn.Module, nn.Module | None, str, str]:
    """The plain network, its twin or why there is none, and which of them was given."""
    if _is_transformed(model):
        return restore(model), model, "", "twin"
    if any(isinstance(m, ReversibleNet) and m.reversible for m in model.modules()):
        return model, model, "", "twin"
    try:
        return model, transform(model, 0.9), "", "plain"
    except InvalidInputError as error:
        return model, None, str(error), "plain"


def _is_transformed(model: nn.Module) -> bool:
    return any(place_of(m) is not None or isinstance(m, FunctionRow) for m in model.modules())


@contextmanager
def _places_kept(model: nn.Module) -> Iterator[None]:
    """Let the blocks of a twin forget what the calls inside have shown."""
    places = [place for m in model.modules() if (place := place_of(m)) is not None]
    with as_it_was(Snapshot(places), Snapshot(), [], {}):
        yield


@contextmanager
def _remembering(model: nn.Module) -> Iterator[None]:
    """Have a model's reversible networks remember for a while."""
    nets = [m for m in model.modules() if isinstance(m, ReversibleNet) and m.reversible]
    for net in nets:
        net.reversible = False
    try:
        yield
    finally:
        for net in nets:
            net.reversible = True


@dataclass(frozen=True)
class Rows:
    """The parts of a twin.

    Attributes
    ----------
    labels : dict of str to str
        The part that a block is in, by the block's name.
    notes : dict of str to str
        How a part is held.
    """

    labels: dict[str, str] = field(default_factory=dict)
    notes: dict[str, str] = field(default_factory=dict)


def _rows_of(twin: nn.Module) -> Rows:
    """As the latest call formed them."""
    if not _is_transformed(twin):
        return Rows()
    report = twin_report(twin)
    labels = {name: name for name in report.alone}
    notes = {name: f"alone: {why}" for name, why in report.alone.items()}
    for row in report.rows:
        first, last = row.blocks[0], row.blocks[-1]
        label = first if first == last else f"{first} to {last.removeprefix(f'{row.container}.')}"
        labels |= dict.fromkeys(row.blocks, label)
        notes[label] = row.mode
    return Rows(labels, notes)


def _formed(twin: nn.Module, call: Call) -> tuple[Rows, str]:
    """The rows of a twin, or why a call of it fails."""
    for shapes in (True, False):
        try:
            return called(twin, call, shapes=shapes, after=lambda: _rows_of(twin)), ""
        except Exception as error:
            if not shapes or not call.values:
                return Rows(), str(error) if isinstance(error, OdemomError) else _said(error)
    raise AssertionError


def _said(error: Exception) -> str:
    return f"{type(error).__name__}: {str(error).strip().partition(chr(10))[0][:200]}"


def _step_of(network: nn.Module, call: Call, marks: dict[str, str], *, shapes: bool) -> StepMemory:
    """The memory of a step: on shapes, and where these do not tell it, measured."""
    owners = dict(owners_of(network, marks))
    why = "" if shapes else "what the model does depends on values"
    if shapes:
        try:
            return _of_steps(network, call, owners, why)
        except Exception as error:
            why = f"shapes alone do not tell ({_said(error)})"
            if not call.values or any(p.is_meta for p in network.parameters()):
                raise invalid(
                    "x",
                    got=f"a batch or a model without values, of which {why}",
                    expected="one with values, on which a step can be run",
                ) from error
    try:
        return _of_steps(network, call, owners, why)
    except OdemomError:
        raise
    except Exception as error:
        raise invalid(
            "model",
            got=f"a {type(network).__name__} whose training step fails ({_said(error)})",
            expected="a model that takes these arguments",
        ) from error


def _of_steps(network: nn.Module, call: Call, owners: dict[int, str], measured: str) -> StepMemory:
    shapes, batch, one_batch = not measured, call.batch, ""
    first = step(network, call, owners, batch=batch, shapes=shapes)
    other = 2 * batch if shapes else batch // 2
    second = None
    if other:
        try:
            second = step(network, call, owners, batch=other, shapes=shapes)
        except Exception as error:
            one_batch = f"the model does not take {other} samples ({_said(error)})"
    else:
        one_batch = "a step with one sample was measured"
    lines = ()
    if second is not None:
        pair = sorted([(batch, first.series), (other, second.series)])
        lines = envelope((pair[0][0], pair[1][0]), pair[0][1], pair[1][1])
    own = [p for p in network.parameters() if p.requires_grad]
    held = [*network.parameters(), *own, *network.buffers()]
    return StepMemory(
        batch=batch,
        peak=first.peak,
        parts=dict(sorted(first.parts.items(), key=lambda item: -item[1])),
        held=sum(t.nbytes for t in held),
        parameters=sum(p.nbytes for p in own),
        bytes_a_sample=call.bytes_a_sample,
        lines=lines,
        measured=measured,
        one_batch=one_batch,
    )


def owners_of(network: nn.Module, marks: dict[str, str]) -> Iterator[tuple[int, str]]:
    """The part of a network that each of its modules belongs to, by the module's id.

    ``marks`` are the labels of blocks by their names; other parts are called by the name of the
    outermost module that holds no block, or of the first one inside that has neighbours.
    """
    yield from _owners(network, "", marks)


def _owners(module: nn.Module, path: str, marks: dict[str, str]) -> Iterator[tuple[int, str]]:
    children = {name: child for name, child in module._modules.items() if child is not None}
    inside = any(name.startswith(f"{path}." if path else "") for name in marks)
    alone = not marks and len(children) == 1 and not isinstance(module, CONTAINERS)
    if path in marks or (path and not inside and not alone):
        label = marks.get(path, path)
        yield from ((id(part), label) for part in module.modules())
        return
    for name, child in children.items():
        yield from _owners(child, f"{path}.{name}" if path else name, marks)
