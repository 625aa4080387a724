"""A trained ResNet or Transformer as a momentum network with the same parameters.

A residual block maps x to some block(x) of the same shape; its residual function is block(x) - x,
whatever the block does inside (an activation after the sum included). Blocks that follow each other
in a list become the layers of one momentum network, a *row*: each stays in its place, and its
output carries the velocity to the block that takes it (`rows`). A block that changes shape does
what it did, and the next one starts a row with v = 0. With gamma = 0 every block is itself.
"""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from typing import Any, Literal, TypeVar, cast

import torch
from torch import nn

from odemom.checks import as_initial_velocity, expect, invalid, shown
from odemom.nn.reversible.gamma import rational_gamma
from odemom.nn.transform.block import as_block, twin_block
from odemom.nn.transform.copies import copied, mentions, with_replacements
from odemom.nn.transform.find import blocks_found, blocks_named, said_lists
from odemom.nn.transform.functions import FunctionRow, function_row
from odemom.nn.transform.names import has_no_skip
from odemom.nn.transform.places import Container, Place, place_of
from odemom.nn.transform.whole import Whole, forget_calls, watch_calls

__all__ = ["restore", "transform"]

M = TypeVar("M", bound=nn.Module)


def transform(
    model: M,
    gamma: float | Fraction | str = 0.9,
    *,
    reversible: bool | Literal["auto"] = "auto",
    layers: Iterable[str] | None = None,
    residual: bool = False,
    rest: Literal["checkpoint", "keep"] = "checkpoint",
    initial_velocity: Literal["zero", "field"] = "zero",
) -> M:
    """The momentum twin of a residual model: same parameters, same state_dict keys.

    Parameters
    ----------
    model : Module
        It is not changed, but shares its parameters and the inside of its blocks with the twin (so
        training or ``eval()`` of one shows in the other): pass ``copy.deepcopy(model)`` to keep
        them apart.
    gamma : float, int, Fraction or str
        As that of `MomentumNet`; 0 gives the original's values.
    reversible : bool or "auto"
        Whether the rows recompute or remember. "auto" recomputes too, each row in the way that
        holds less memory: from an exact state where it is long, from its positions where it is
        short.
    layers : iterable of str, or None
        Names, as in ``model.named_modules()``, of the Sequentials or ModuleLists of residual
        blocks. None takes all known blocks: those of `names`, and the checkpointable layers of
        transformers; one that says of itself that it does not add its input joins no row.
    residual : bool
        Whether the lists named hold residual functions f, called as x = x + f(x), rather than
        blocks. Such a list can be iterated over, not indexed.
    rest : {"checkpoint", "keep"}
        Whether blocks that belong to no row recompute their inside, too; not with
        ``reversible=False``.
    initial_velocity : {"zero", "field"}
        Where a row starts: v0 = 0, or v0 = f(x0) with f the residual function of its first block,
        which then is the original's, x1 = x0 + f(x0), with v1 = f(x0). Not with ``residual=True``.

    Returns
    -------
    Module
        Of the model's class. `transform.restore` undoes it, `twin_report` shows its rows.

    Raises
    ------
    InvalidInputError
        If a name is not one of a Sequential or ModuleList, or no known block is found.

    Warns
    -----
    UserWarning
        In a call, once a list, if blocks that stand side by side in it did not follow each other;
        once, if no block went on with a row.

    Notes
    -----
    A block may return further values behind its hidden state. In a pass that recomputes, blocks of
    transformers get no key-value cache.

    References
    ----------
    Sander et al. 2021, section 3.2, "drop-in replacement".

    Examples
    --------
    >>> import torch
    >>> from odemom.nn import transform
    >>> layer = torch.nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
    >>> model = torch.nn.TransformerEncoder(layer, 3, enable_nested_tensor=False)
    >>> twin = transform(model, gamma=0.9)
    >>> twin.state_dict().keys() == model.state_dict().keys()
    True
    """
    _check_model(model)
    expect(
        isinstance(reversible, bool) or reversible == "auto",
        "reversible",
        got=shown(reversible),
        expected='True, False or "auto"',
    )
    expect(
        rest in ("checkpoint", "keep"), "rest", got=shown(rest), expected='"checkpoint" or "keep"'
    )
    expect(
        not residual or layers is not None,
        "residual",
        got="True without layers",
        expected="layers=[...], the names of the lists of residual functions",
        fix=said_lists(model),
    )
    as_initial_velocity(initial_velocity)
    expect(
        not (residual and initial_velocity == "field"),
        "initial_velocity",
        got='"field" with residual=True',
        expected='"zero" there',
        fix="Build the row as odemom.nn.MomentumNet(functions, initial_velocity=functions[0]).",
    )
    # A gamma of 0 is asked of no reversible arithmetic: every block is itself.
    exact = rational_gamma(gamma, reversible=False)
    fraction = exact if exact == 0 else rational_gamma(gamma, reversible=reversible is not False)
    found = blocks_found(model) if layers is None else blocks_named(model, layers)
    skip = [layers is not None or not has_no_skip(model.get_submodule(s.name)) for s in found]
    expect(
        any(skip),
        "model",
        got=f"a {type(model).__name__} "
        + (
            "whose blocks do not add their inputs"
            if found
            else "in which no known residual block was found"
        ),
        expected="a ResNet or a Transformer of torch, torchvision, timm or transformers",
        fix=f"Name its lists of residual blocks, as in layers=['blocks']. {said_lists(model)}",
    )
    if residual:
        lists = {
            id(m := model.get_submodule(path)): function_row(
                m, path, fraction, reversible is not False
            )
            for path in dict.fromkeys(spot.container for spot in found)
        }
        return _rebuilt(model, lists)
    twins: dict[int, nn.Module] = {}
    containers: dict[str, Container] = {}
    whole = Whole()
    for spot, skips in zip(found, skip, strict=True):
        container = containers.setdefault(
            spot.container,
            Container(
                spot.container,
                fraction,
                reversible,
                rest == "checkpoint",
                whole,
                initial_velocity == "field",
            ),
        )
        block = model.get_submodule(spot.name)
        if id(block) not in twins:
            place = Place(container, spot.name, spot.position, spot.ahead, block)
            place.skips = skips
            twins[id(block)] = twin_block(block, place)
            whole.add(spot.name)
    twin = _rebuilt(model, twins)
    watch_calls(twin, whole)
    return twin


def restore(model: M) -> M:
    """The original of a momentum twin, with the twin's parameters as they are now.

    Parameters
    ----------
    model : Module
        What `transform` returned, or a model that holds it.

    Returns
    -------
    Module

    Raises
    ------
    InvalidInputError
        If no part of the model came from `transform`.
    """
    originals = {id(m): as_block(m) for m in model.modules() if place_of(m) is not None}
    originals |= {id(m): m.restored() for m in model.modules() if isinstance(m, FunctionRow)}
    expect(
        len(originals) > 0,
        "model",
        got=f"a {type(model).__name__} without momentum rows",
        expected="what transform(model) returned",
    )
    return _rebuilt(model, originals)


def _check_model(model: object) -> None:
    if not isinstance(model, nn.Module):
        raise invalid("model", got=type(model).__name__, expected="a torch.nn.Module")
    for name, module in model.named_modules():
        where = f"model.{name}" if name else "model"
        if isinstance(module, nn.parallel.DistributedDataParallel | nn.DataParallel):
            raise invalid(
                where,
                got=f"a {type(module).__name__}",
                expected="a model that is not wrapped yet",
                fix="Transform the model inside, then wrap its twin in DistributedDataParallel.",
            )
        if isinstance(module, torch.jit.ScriptModule):
            raise invalid(
                where,
                got="a compiled TorchScript module",
                expected="a torch.nn.Module in Python",
                fix="Transform the model before torch.jit.script or torch.jit.trace.",
            )
        if place_of(module) is not None or isinstance(module, FunctionRow):
            raise invalid(
                where,
                got="a momentum twin already",
                expected="an ordinary residual model",
                fix="transform.restore(model) gives it back.",
            )


def _rebuilt(model: M, replacements: dict[int, nn.Module]) -> M:
    """``model`` with modules replaced by identity, and copies of those that lead to them.

    Those that hold them as children, and those that mention them or their holders elsewhere.
    """
    modules = _outside(model, replacements)
    leading = set(replacements)
    size = 0
    while size != len(leading):
        size = len(leading)
        leading |= {id(m) for m in modules if id(m) not in leading and mentions(m, leading)}
    on_the_way = [m for m in modules if id(m) in leading]
    expect(
        all(type(m).__name__ != "OptimizedModule" for m in on_the_way),
        "model",
        got="a model compiled by torch.compile, which runs what it was compiled from",
        expected="a torch.nn.Module in Python",
        fix="Pass the model inside (model._orig_mod), and compile what comes back.",
    )
    copies = [copied(m) for m in on_the_way]
    done = replacements | {id(m): twin for m, twin in zip(on_the_way, copies, strict=True)}
    for twin in copies:
        for name, value in twin.__dict__.items():
            twin.__dict__[name] = with_replacements(value, done)
    for twin in copies:
        forget_calls(twin)
        _keep_dense(twin)
    return cast("M", done.get(id(model), model))


def _outside(model: nn.Module, replacements: dict[int, nn.Module]) -> list[nn.Module]:
    """The modules of a model, but those replaced and what is inside of them."""
    found: dict[int, nn.Module] = {}
    waiting = [model]
    while waiting:
        module = waiting.pop()
        if id(module) not in found and id(module) not in replacements:
            found[id(module)] = module
            waiting += [child for child in module._modules.values() if child is not None]
    return list(found.values())


def _keep_dense(encoder: Any) -> None:
    """Keep PyTorch's encoder from packing a padded batch into a nested tensor for inference."""
    if not isinstance(encoder, nn.TransformerEncoder):
        return
    if any(place_of(layer) is not None for layer in encoder.layers):
        encoder.__dict__["_packed_before"] = (
            encoder.enable_nested_tensor,
            encoder.use_nested_tensor,
        )
        encoder.enable_nested_tensor = encoder.use_nested_tensor = False
    elif "_packed_before" in encoder.__dict__:
        before = encoder.__dict__.pop("_packed_before")
        encoder.enable_nested_tensor, encoder.use_nested_tensor = before


transform.restore = restore  # type: ignore[attr-defined]
