"""A trained ResNet or Transformer as a momentum network with the same parameters.

A residual block maps x to some block(x) of the same shape; its residual function is
block(x) - x, whatever the block does inside (an activation after the sum included). A row of such
blocks becomes one `MomentumNet` of these functions. Blocks that change shape stay as they are and
end a row; a new row starts with v = 0. With gamma -> 0 a layer is x + (block(x) - x), the original.

The container that held the blocks (a Sequential or a ModuleList) is replaced by one that holds
the same modules under the same names, so state_dict keys do not change, but that yields rows
instead of blocks when it is called or iterated. Code that indexes a ModuleList and calls its items
one by one does not see the rows; PyTorch's encoder and decoder, torchvision's and timm's models
iterate.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator
from fractions import Fraction
from typing import Any, TypeVar

from torch import Tensor, nn

from odemom.checks import expect, invalid, shown
from odemom.nn.nets.momentum_net import MomentumNet
from odemom.nn.reversible.gamma import rational_gamma

__all__ = ["MomentumList", "MomentumSequential", "ResidualOf", "restore", "transform"]

M = TypeVar("M", bound=nn.Module)

RESIDUAL_BLOCKS = frozenset(
    {
        "BasicBlock", "Bottleneck", "PreActBasic", "PreActBottleneck",  # ResNets
        "TransformerEncoderLayer", "TransformerDecoderLayer",
        "EncoderBlock", "Block", "LayerScaleBlock", "ParallelScalingBlock", "ResPostBlock",  # ViTs
        "CNBlock", "ConvNeXtBlock",
    }
)  # fmt: skip
"""Names of the block classes of torch, torchvision and timm that are found without ``layers``."""


class ResidualOf(nn.Module):
    """The residual function x -> block(x) - x of a block."""

    def __init__(self, block: nn.Module) -> None:
        super().__init__()
        self.block = block

    def forward(self, x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        """block(x) - x."""
        return self.block(x, *args, **kwargs) - x


def keeps_shape(block: nn.Module) -> bool:
    """Whether a residual block has an identity for its shortcut, judged by its attributes."""
    stride = getattr(block, "stride", 1)
    return getattr(block, "downsample", None) is None and stride in (1, (1, 1), None)


class _Rows(nn.Module):
    """What both containers share: blocks under their names, and rows of them in between."""

    @classmethod
    def of(cls, container: nn.Module, gamma: Fraction, reversible: bool) -> nn.Module:
        """A container with the modules of ``container``, which is left as it is."""
        rows = _copied(container)
        rows.__class__ = cls
        # Not an attribute that nn.Module would register: the parameters have their names already.
        rows.__dict__["rows"] = tuple(_rows(container, gamma, reversible))
        return rows

    def __iter__(self) -> Iterator[nn.Module]:
        return iter(self.__dict__["rows"])


class MomentumSequential(_Rows, nn.Sequential):
    """A Sequential of blocks that runs rows of them as momentum networks."""


class MomentumList(_Rows, nn.ModuleList):
    """A ModuleList of blocks that yields rows of them as momentum networks."""


TWINS: dict[type, type[_Rows]] = {nn.Sequential: MomentumSequential, nn.ModuleList: MomentumList}


def _rows(container: nn.Module, gamma: Fraction, reversible: bool) -> Iterator[nn.Module]:
    row: list[nn.Module] = []
    for block in container._modules.values():
        assert block is not None
        if keeps_shape(block):
            row.append(ResidualOf(block))
            continue
        if row:
            yield MomentumNet(row, gamma, reversible=reversible)
            row = []
        yield block
    if row:
        yield MomentumNet(row, gamma, reversible=reversible)


def _copied(module: M) -> M:
    """A copy of the module itself, with the same parameters and the same children."""
    twin = copy.copy(module)
    twin.__dict__ = dict(module.__dict__)
    twin.__dict__["_modules"] = dict(module._modules)
    return twin


def transform(
    model: M,
    gamma: float | Fraction | str = 0.9,
    *,
    reversible: bool = True,
    layers: Iterable[str] | None = None,
) -> M:
    """The momentum twin of a residual model: same parameters, same state_dict keys.

    Parameters
    ----------
    model : Module
        It is not changed, but shares its parameters and its blocks with the twin (so training or
        ``eval()`` of one shows in the other): pass ``copy.deepcopy(model)`` to keep them apart.
    gamma : float, int, Fraction or str
        As that of `MomentumNet`; 0 with ``reversible=False`` gives the original's values.
    reversible : bool
        Whether the rows recompute or remember.
    layers : iterable of str, or None
        Names, as in ``model.named_modules()``, of the Sequentials or ModuleLists of residual
        blocks. None takes all whose blocks are known ones (`RESIDUAL_BLOCKS`).

    Returns
    -------
    Module
        Of the model's class. `transform.restore` undoes it.

    Raises
    ------
    InvalidInputError
        If a name is not one of a Sequential or ModuleList, or no known block is found.

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
    if not isinstance(model, nn.Module):
        raise invalid("model", got=type(model).__name__, expected="a torch.nn.Module")
    fraction = rational_gamma(gamma, reversible=reversible)
    names = _found(model) if layers is None else _named(model, layers)
    expect(
        len(names) > 0,
        "model",
        got=f"a {type(model).__name__} in which no known residual block was found",
        expected="a ResNet or a Transformer of torch, torchvision or timm",
        fix="Name its Sequentials or ModuleLists of residual blocks: layers=['blocks'].",
    )
    twins = {name: _twin(model.get_submodule(name), fraction, reversible) for name in names}
    return _replaced(model, twins)


def _twin(container: nn.Module, gamma: Fraction, reversible: bool) -> nn.Module:
    return TWINS[type(container)].of(container, gamma, reversible)


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
    plain: dict[type, type] = {twin: kind for kind, twin in TWINS.items()}
    originals: dict[str, nn.Module] = {}
    for name, module in model.named_modules():
        if type(module) in plain:
            original = _copied(module)
            original.__class__ = plain[type(module)]
            del original.__dict__["rows"]
            originals[name] = original
    expect(
        len(originals) > 0,
        "model",
        got=f"a {type(model).__name__} without momentum rows",
        expected="what transform(model) returned",
    )
    return _replaced(model, originals)


def _found(model: nn.Module) -> list[str]:
    return [
        name
        for name, module in model.named_modules()
        if type(module) in TWINS
        and len(module._modules)
        and all(_is_known(block) for block in module._modules.values())
    ]


def _is_known(block: nn.Module | None) -> bool:
    return any(base.__name__ in RESIDUAL_BLOCKS for base in type(block).__mro__)


def _named(model: nn.Module, layers: Iterable[str]) -> list[str]:
    expected = "names of Sequentials or ModuleLists of the model"
    expect(not isinstance(layers, str), "layers", got=shown(layers), expected="a list of names")
    modules = dict(model.named_modules())
    names = list(dict.fromkeys(layers))
    for name in names:
        kind = type(modules[name]).__name__ if name in modules else "nothing"
        expect(
            name in modules and type(modules[name]) in TWINS and len(modules[name]._modules) > 0,
            "layers",
            got=f"{shown(name)}, which is {kind} in this model",
            expected=expected,
        )
    return names


def _replaced(model: M, replacements: dict[str, nn.Module]) -> M:
    """``model`` with the submodules named replaced, and copies of those on the way to them."""
    if "" in replacements:
        return replacements[""]  # type: ignore[return-value]
    result = _copied(model)
    _keep_dense(result, replacements)
    below: dict[str, dict[str, nn.Module]] = {}
    for path, module in replacements.items():
        head, _, rest = path.partition(".")
        below.setdefault(head, {})[rest] = module
    for head, inner in below.items():
        result._modules[head] = _replaced(result.get_submodule(head), inner)
    return result


def _keep_dense(encoder: nn.Module, replacements: dict[str, nn.Module]) -> None:
    """Keep PyTorch's encoder from packing a padded batch into a nested tensor for inference."""
    if not isinstance(encoder, nn.TransformerEncoder) or "layers" not in replacements:
        return
    if isinstance(replacements["layers"], MomentumList):
        encoder.__dict__["_packed_before"] = (
            encoder.enable_nested_tensor,
            encoder.use_nested_tensor,
        )
        encoder.enable_nested_tensor = encoder.use_nested_tensor = False
    elif "_packed_before" in encoder.__dict__:
        before = encoder.__dict__.pop("_packed_before")
        encoder.enable_nested_tensor, encoder.use_nested_tensor = before


transform.restore = restore  # type: ignore[attr-defined]
