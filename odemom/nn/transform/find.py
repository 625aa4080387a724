"""Where the residual blocks of a model are."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from torch import nn

from odemom.checks import expect, shown
from odemom.nn.transform.names import is_known

__all__ = ["CONTAINERS", "Spot", "blocks_found", "blocks_named", "said_lists"]

CONTAINERS = (nn.Sequential, nn.ModuleList)


@dataclass(frozen=True)
class Spot:
    """Where a block stands.

    Attributes
    ----------
    container : str
        The name of its list.
    name : str
        Its own, in the model.
    position : int
        In the list; neighbours differ by one.
    ahead : int
        It and the blocks that follow it without a gap.
    """

    container: str
    name: str
    position: int
    ahead: int


Found = tuple[str, str, int]
"""The name of a list, that of a block, and its position in the list."""


def blocks_found(model: nn.Module) -> list[Spot]:
    """The known blocks in the lists of a model, outermost blocks only.

    A known block that itself holds a list of known blocks is a stage, and is looked into. A
    Sequential in a Sequential is part of it; other modules there leave a gap.
    """
    return _spots(_found(model, "", "", {}))


def _found(module: nn.Module, path: str, owner: str, counts: dict[str, int]) -> Iterator[Found]:
    is_list = _is_list(module)
    for name, child in module._modules.items():
        if child is None:
            continue
        inner = f"{path}.{name}" if path else name
        if is_list and is_known(child) and not _is_stage(child):
            yield owner, inner, _next(counts, owner)
        elif isinstance(module, nn.Sequential) and isinstance(child, nn.Sequential):
            yield from _found(child, inner, owner, counts)
        else:
            _next(counts, owner)
            yield from _found(child, inner, inner, counts)


def _next(counts: dict[str, int], owner: str) -> int:
    counts[owner] = counts.get(owner, -1) + 1
    return counts[owner]


def _spots(found: Iterable[Found]) -> list[Spot]:
    spots: list[Spot] = []
    ahead: dict[tuple[str, int], int] = {}
    for container, name, position in reversed(list(found)):
        run = ahead[container, position] = 1 + ahead.get((container, position + 1), 0)
        spots.append(Spot(container, name, position, run))
    return spots[::-1]


def _is_list(module: nn.Module) -> bool:
    """Whether the children of a module are called one after the other.

    Beside the lists of torch: dicts of layers, and modules of nothing but blocks.
    """
    if isinstance(module, (*CONTAINERS, nn.ModuleDict)):
        return True
    children = list(module._modules.values())
    return len(children) > 1 and all(is_known(child) for child in children)


def _is_stage(block: nn.Module) -> bool:
    return any(
        sum(is_known(child) for child in module._modules.values()) > 1
        for module in block.modules()
        if isinstance(module, CONTAINERS)
    )


def blocks_named(model: nn.Module, layers: Iterable[str]) -> list[Spot]:
    """All children of the lists named.

    Raises
    ------
    InvalidInputError
        If a name is not that of a Sequential or ModuleList with children.
    """
    expect(not isinstance(layers, str), "layers", got=shown(layers), expected="a list of names")
    modules = dict(model.named_modules())
    found: list[Found] = []
    for name in dict.fromkeys(layers):
        there = modules.get(name)
        expect(
            isinstance(there, CONTAINERS) and len(there._modules) > 0,
            "layers",
            got=f"{shown(name)}, which is {type(there).__name__ if there else 'nothing'} "
            "in this model",
            expected="names of Sequentials or ModuleLists of the model",
            fix=said_lists(model),
        )
        assert there is not None
        for position, child in enumerate(there._modules):
            found.append((name, f"{name}.{child}" if name else child, position))
    return _spots(found)


def lists_of(model: nn.Module) -> dict[str, nn.Module]:
    """The Sequentials and ModuleLists of a model by name, where they hold anything."""
    return {
        name: module
        for name, module in model.named_modules()
        if isinstance(module, CONTAINERS) and len(module._modules) > 0
    }


def said_lists(model: nn.Module) -> str:
    """A sentence that names a model's lists."""
    lists = lists_of(model)
    if not lists:
        return "It holds no Sequential and no ModuleList."
    said = [
        f"{name or '(itself)'} of {len(parts)} {type(next(iter(parts))).__name__}"
        for name, parts in sorted(
            ((name, list(module._modules.values())) for name, module in lists.items()),
            key=lambda item: -len(item[1]),
        )
    ]
    more = f" and {len(said) - 8} more" if len(said) > 8 else ""
    return f"Its lists: {'; '.join(said[:8])}{more}."
