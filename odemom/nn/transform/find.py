"""Which parts of a model are residual blocks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from torch import nn

from odemom.checks import expect, shown

__all__ = ["BASES", "CONTAINERS", "RESIDUAL_BLOCKS", "blocks_found", "blocks_named", "lists_of"]

CONTAINERS = (nn.Sequential, nn.ModuleList)

RESIDUAL_BLOCKS = frozenset(
    {
        "BasicBlock", "Bottleneck", "PreActBasic", "PreActBottleneck",  # ResNets
        "PreActBlock", "ResBottleneckBlock", "ResNetBasicLayer", "ResNetBottleNeckLayer",
        "InvertedResidual", "InvertedResidualConfig", "MBConv", "FusedMBConv",  # mobile nets
        "DepthwiseSeparableConv", "EdgeResidual", "UniversalInvertedResidual",
        "TransformerEncoderLayer", "TransformerDecoderLayer",
        "EncoderBlock", "Block", "LayerScaleBlock", "ParallelScalingBlock", "ResPostBlock",  # ViTs
        "EvaBlock", "EvaBlockPostNorm", "BeitBlock", "HieraBlock", "MultiScaleBlock",
        "SwinTransformerBlock", "SwinTransformerBlockV2", "SwinTransformerV2Block", "SwinLayer",
        "Swinv2Layer", "MaxVitLayer", "MaxxVitBlock", "MbConvBlock", "TransformerBlock2d",
        "MixerBlock", "ResBlock", "ResidualBlock", "SpatialGatingBlock", "MetaFormerBlock",
        "LayerScaleBlockClassAttn", "XCABlock", "CNBlock", "ConvNeXtBlock", "ConvNextLayer",
    }
)  # fmt: skip
"""Names of the block classes of torch, torchvision, timm and others that are found by themselves.
"""

BASES = frozenset({"GradientCheckpointingLayer"})
"""Names of base classes of blocks: that of transformers."""


def is_known(block: nn.Module | None) -> bool:
    """Whether the class of a module, or one of those it derives from, is known."""
    return any(
        base.__name__ in RESIDUAL_BLOCKS or base.__name__ in BASES for base in type(block).__mro__
    )


def lists_of(model: nn.Module) -> dict[str, nn.Module]:
    """The Sequentials and ModuleLists of a model by name, where they hold anything."""
    return {
        name: module
        for name, module in model.named_modules()
        if isinstance(module, CONTAINERS) and len(module._modules) > 0
    }


def blocks_found(model: nn.Module) -> dict[str, list[str]]:
    """The names of the known blocks in each list of a model, outermost blocks only.

    A known block that itself holds a list of known blocks is a stage, and is looked into.
    """
    found: dict[str, list[str]] = {}
    for path, name in _found(model, ""):
        found.setdefault(path, []).append(name)
    return found


def _found(module: nn.Module, path: str) -> Iterator[tuple[str, str]]:
    for name, child in module._modules.items():
        if child is None:
            continue
        inner = f"{path}.{name}" if path else name
        if isinstance(module, CONTAINERS) and is_known(child) and not _is_stage(child):
            yield path, name
        else:
            yield from _found(child, inner)


def _is_stage(block: nn.Module) -> bool:
    return any(
        sum(is_known(child) for child in module._modules.values()) > 1
        for module in block.modules()
        if isinstance(module, CONTAINERS)
    )


def blocks_named(model: nn.Module, layers: Iterable[str]) -> dict[str, list[str]]:
    """The names of all children of the lists named.

    Raises
    ------
    InvalidInputError
        If a name is not that of a Sequential or ModuleList with children.
    """
    expect(not isinstance(layers, str), "layers", got=shown(layers), expected="a list of names")
    modules, found = dict(model.named_modules()), {}
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
        found[name] = list(there._modules)
    return found


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
