"""How momentum is carried from one block to the next, though user code calls them one by one.

A block's output carries a `Carry`: the row that it belongs to, and the velocity. A block whose
input is that very tensor, unchanged, is the row's next layer; any other input starts a new row with
v = 0. Nothing is kept anywhere else, so that a row ends when its last output goes.
"""

from __future__ import annotations

import weakref
from collections import OrderedDict
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from odemom.nn.recompute.calls import Extras
from odemom.nn.recompute.link import Link, token
from odemom.nn.recompute.trajectory import Trajectory
from odemom.nn.reversible.buffer import spilled_words
from odemom.nn.reversible.fixed_point import carrier_dtype, words_for
from odemom.nn.reversible.momentum import MomentumState
from odemom.nn.transform.calls import BlockFunction
from odemom.nn.transform.step import momentum_step, same_values

if TYPE_CHECKING:
    from odemom.nn.transform.places import Container

__all__ = [
    "TAKEN", "Carry", "Row", "RowRecord", "carry_of", "cheaper_mode", "exact_run",
    "exact_step", "go_on", "plain_step", "version_of", "why_none", "without_carry",
]  # fmt: skip

TAKEN = "another block had already gone on from its input"
EARLIER_CALL = "its input is what an earlier call of the model returned"

_NAME = "_odemom_carry"
_STARTED = "_odemom_started"


@dataclass(eq=False)
class RowRecord:
    """What there is to say about a row afterwards.

    Attributes
    ----------
    container : str
        The name of the list that holds its blocks.
    mode : str
        "plain", "checkpoint" or "exact".
    shape : tuple of int
        Of the state.
    length : int
        Layers so far.
    """

    container: str
    mode: str
    shape: tuple[int, ...]
    length: int = 0


@dataclass(eq=False)
class Row:
    """Momentum layers that follow each other.

    Attributes
    ----------
    record : RowRecord
    owner : Container
        The list that holds their blocks.
    gamma : Fraction
    weights : (float, float)
        Gamma and 1 - gamma.
    field : bool
        Whether v0 = f(x0) rather than 0, f the first block's residual function.
    run : Trajectory or None
        What goes back over them; None where nothing has to.
    before : int
        Layers before the first one of ``run``.
    call : object or None
        The call of the twin in which it started; None if a block was called by itself.
    """

    record: RowRecord
    owner: Container
    gamma: Fraction
    weights: tuple[float, float]
    field: bool = False
    run: Trajectory | None = None
    before: int = 0
    call: object | None = None


@dataclass(eq=False)
class Carry:
    """What a block's output carries to the next block.

    Attributes
    ----------
    row : Row
    position : int
        Layers before.
    version : int
        Of the output, to notice a change in place.
    x : Tensor or None
        The position in the carrier dtype, where the output has a narrower one.
    v : Tensor or None
        The velocity, or what stands for it in the graph.
    """

    row: Row
    position: int
    version: int
    x: Tensor | None
    v: Tensor | None

    def let_go(self) -> None:
        """Once the next layer is done: what carried it may live on, as a block's input kept."""
        self.x = self.v = None

    def __reduce__(self) -> tuple[type, tuple[()]]:
        """A copied or saved tensor carries nothing."""
        return OrderedDict, ()


def version_of(x: Any) -> int:
    """How often ``x`` was changed in place, where that is counted."""
    if not isinstance(x, Tensor) or torch.compiler.is_compiling() or x.is_inference():
        return 0
    return x._version


def _carried(x: Tensor) -> Any:
    """What ``x`` carries; what full backward hooks of a module make of a tensor carries on."""
    carry = getattr(x, _NAME, None)
    if carry is not None or torch.compiler.is_compiling() or not x._is_view():
        return carry
    base: Any = x._base
    node = x.grad_fn
    while node is not None and type(node).__name__ == "BackwardHookFunctionBackward":
        node = node.next_functions[0][0]
        if base is not None and node is not None and node is base.grad_fn:
            return getattr(base, _NAME, None)
    return None


def carry_of(x: Any) -> Carry | None:
    """What ``x`` carries, if it is the latest output of its row and as the block returned it."""
    if isinstance(x, Tensor):
        carry = _carried(x)
        if not isinstance(carry, Carry) or version_of(x) != carry.version:
            return None
    else:  # a symbol of torch.fx, on which every attribute exists
        carry = vars(x).get(_NAME)
        if carry is None:
            return None
    if carry.position != carry.row.record.length or _is_of_another_call(carry):
        return None
    return carry


def _is_of_another_call(carry: Carry) -> bool:
    """Whether another call of the twin runs than that of the row."""
    call = carry.row.owner.whole.call
    return call is not None and call is not carry.row.call


def why_none(x: Any, owner: object) -> str:
    """Why a call with this input starts a row of ``owner``."""
    carry = _carried(x) if isinstance(x, Tensor) else None
    if not isinstance(carry, Carry) or carry.row.owner is not owner:
        return "its input is not the tensor that a block of the same list returned"
    if version_of(x) != carry.version:
        return "its input was changed in place after the block before it had returned it"
    return EARLIER_CALL if _is_of_another_call(carry) else TAKEN


class _Start:
    """On a tensor from which a row of a list has started."""

    def __init__(self, owner: object) -> None:
        self.owner = weakref.ref(owner)

    def __reduce__(self) -> tuple[type, tuple[()]]:
        """A copied or saved tensor has started nothing."""
        return OrderedDict, ()


def note_start(x: Any, owner: object) -> None:
    """Remember that a row of ``owner`` has started from this tensor."""
    if isinstance(x, Tensor) and not torch.compiler.is_compiling():
        setattr(x, _STARTED, _Start(owner))


def may_start_again(x: Any, owner: object) -> bool:
    """Whether a row of ``owner`` that starts from ``x`` in a backward pass is one that did before.

    Only the very tensor shows it: what a checkpoint around single calls hands over may be a copy of
    a value that carried momentum.
    """
    if not isinstance(x, Tensor) or isinstance(_carried(x), Carry):
        return False
    start = getattr(x, _STARTED, None)
    return isinstance(start, _Start) and start.owner() is owner


def without_carry(x: Any, owner: object) -> Any:
    """``x``, or the same values in another tensor if x carries the momentum of another list.

    Whatever keeps the input of a block for the backward pass would keep that velocity with it.
    """
    carry = _carried(x) if isinstance(x, Tensor) else None
    if not isinstance(carry, Carry) or carry.v is None or carry.row.owner is owner:
        return x
    return same_values(x) if torch.is_grad_enabled() else x


def _attach(y: Any, carry: Carry) -> None:
    setattr(y, _NAME, carry)


def _tracked(y: Tensor) -> Tensor:
    """``y`` such that changes in place can be seen: inference mode does not count them."""
    if not torch.compiler.is_compiling() and isinstance(y, Tensor) and y.is_inference():
        with torch.inference_mode(False):
            return y.clone()
    return y


def cheaper_mode(layers: int, gamma: Fraction, dtype: torch.dtype) -> str:
    """The mode that holds less memory for a row of that many layers.

    Checkpoints keep the input of each layer; the exact state is 24 bytes an element, 40 for
    float64, and more where gamma forgets much.

    Examples
    --------
    >>> [cheaper_mode(n, Fraction(9, 10), torch.float32) for n in (6, 7)]
    ['checkpoint', 'exact']
    """
    exact = 16 * words_for(carrier_dtype(dtype), None)
    exact += 0 if gamma == 1 else 8 + 4 * spilled_words(gamma, layers)
    return "exact" if exact < layers * dtype.itemsize else "checkpoint"


def plain_step(row: Row, function: BlockFunction, x: Any, carry: Carry | None, first: Any) -> Any:
    """One momentum layer in floats: the block's value with x + v in place of its hidden state.

    ``first`` is the hidden state that the block returned.
    """
    position = x if carry is None or carry.x is None else carry.x
    narrow = None
    if isinstance(x, Tensor) and isinstance(first, Tensor):
        dtype = torch.promote_types(x.dtype, first.dtype)  # as that of their sum
        wide = carrier_dtype(dtype)
        narrow = dtype if dtype != wide else None
        position = position if position.dtype == wide else position.to(wide)
    v = None if carry is None else carry.v
    # From v0 = f(x0) the first step comes to v1 = gamma v0 + (1 - gamma) f(x0) = f(x0).
    gamma, rest = row.weights
    if row.field and carry is None:
        rest = 1.0
    end, v = momentum_step(gamma, rest, first, x, position, v)
    if carry is not None:
        carry.let_go()
    return _handed_on(row, function, end, narrow, v)


def exact_step(
    row: Row, function: BlockFunction, x: Tensor, carry: Carry | None, extras: Extras, *,
    last: bool,
) -> Any:  # fmt: skip
    """The same by the row's trajectory, which calls the block again to go back.

    ``last``: whether no block follows in the list, so that the range has to be looked at now.
    """
    run = row.run
    assert run is not None
    if run.record:
        run.seek(row.record.length - row.before)  # after a backward pass that kept the graph
    layer, wide = run.append(function, extras), run.require_state().carrier
    if run.record:
        position = x.to(wide) if carry is None or carry.x is None else carry.x
        h = token(position) if carry is None or carry.v is None else carry.v
        tensors = run.arguments().tensors
        end, v = Link.apply(run, position, h, *layer.parameters, *tensors)
    else:
        end, v = run.advance(run.shown()), None
    if last or not run.record:  # else at the last block of the list, or in the backward pass
        run.settle()
    if last and not run.record:  # a value that is kept does not keep the whole state
        row.run, v = None, run.require_state().companion()
    if carry is not None:
        carry.let_go()
    return _handed_on(row, function, end, x.dtype if x.dtype != wide else None, v)


def _handed_on(
    row: Row, function: BlockFunction, end: Any, narrow: torch.dtype | None, v: Any
) -> Any:
    """What the caller gets of a layer, with the state in it for the block that follows."""
    y = _tracked(end if narrow is None else end.to(narrow))
    row.record.length += 1
    kept = None if narrow is None else end
    _attach(y, Carry(row, row.record.length, version_of(y), kept, v))
    return function.rebuilt(y)


def go_on(row: Row, x: Tensor, carry: Carry, *, record: bool) -> None:
    """Let an exact row have a run for its next layers, with the state that it stands at.

    One that was begun without gradients goes on with them from its x and v, and the other way
    round; not where a backward pass has let the state go.
    """
    run = row.run
    if run is not None and run.record != record and run.state is not None:
        if run.record:
            run.seek(row.record.length - row.before)
        run.settle()
        carry.v, row.run = run.require_state().companion(), None
    if row.run is None:
        row.run = exact_run(row, x, carry, record=record)


def exact_run(row: Row, x: Tensor, carry: Carry | None, *, record: bool) -> Trajectory:
    """A trajectory in fixed point from where the row stands; v = 0 at its beginning."""
    row.before = row.record.length
    position = x if carry is None or carry.x is None else carry.x
    wide = position.detach().to(carrier_dtype(x.dtype))
    v = None if carry is None or carry.v is None else carry.v.detach()
    return Trajectory(MomentumState(wide, v, row.gamma, keep=record), x.dtype, record=record)
