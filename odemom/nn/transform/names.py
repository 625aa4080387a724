"""The residual blocks of the libraries, by the names of their classes."""

from __future__ import annotations

import re

from torch import nn

__all__ = ["has_no_skip", "is_known"]

ANYWHERE = frozenset(
    {
        "BasicBlock", "Bottleneck", "PreActBasic", "PreActBottleneck",  # ResNets
        "PreActBlock", "ResBottleneckBlock", "ResNetBasicLayer", "ResNetBottleNeckLayer",
        "InvertedResidual", "InvertedResidualConfig", "MBConv", "FusedMBConv",  # mobile nets
        "EdgeResidual", "UniversalInvertedResidual", "MobileAttention",
        "CondConvResidual", "GhostBottleneck",
        "TransformerEncoderLayer", "TransformerDecoderLayer", "TransformerBlock",
        "EncoderBlock", "Block", "LayerScaleBlock", "ParallelScalingBlock", "ResPostBlock",  # ViTs
        "EvaBlock", "EvaBlockPostNorm", "BeitBlock", "HieraBlock", "MultiScaleBlock",
        "SwinTransformerBlock", "SwinTransformerBlockV2", "SwinTransformerV2Block", "SwinLayer",
        "Swinv2Layer", "MaxVitLayer", "MaxxVitBlock", "MbConvBlock", "TransformerBlock2d",
        "MixerBlock", "ResBlock", "ResidualBlock", "SpatialGatingBlock", "MetaFormerBlock",
        "LayerScaleBlockClassAttn", "XCABlock", "CNBlock", "ConvNeXtBlock", "ConvNextLayer",
    }
)  # fmt: skip
"""Names that mean a residual block wherever they stand."""

OF_LIBRARY = {
    "torchvision": frozenset({"_InvertedResidual"}),
    "timm": frozenset(
        {
            "BottleneckBlock", "DarkBlock", "DepthwiseSeparableConv", "EdgeBlock", "SelfAttnBlock",
            "SelectiveKernelBasic", "SelectiveKernelBottleneck",
            "ResNestBottleneck", "Bottle2neck", "NormFreeBlock", "PreBottleneck", "SEBottleneck",
            "SEResNetBottleneck", "SEResNeXtBottleneck", "SEResNetBlock", "CspNextBlock",
            "Block35", "Block17", "Block8", "XceptionModule", "PreXceptionModule",
            "HighPerfGpuBlock", "OsaBlock", "GhostBottleneckV3", "RepGhostBottleneck",
            "LinearBottleneck", "RepViTBlock", "GatedConvBlock", "MetaNeXtBlock",
            "ParallelThingsBlock", "DiffParallelScalingBlock", "RelPosBlock", "ResPostRelPosBlock",
            "SwinTransformerV2CrBlock", "LevitBlock", "LinearTransformerBlock",
            "ConvBlock", "SplitTransposeBlock", "ConvEncoder", "MetaBlock1d", "MetaBlock2d",
            "EfficientFormerV2Block", "EfficientVitBlock", "EfficientViMBlock", "RepMixerBlock",
            "AttentionBlock", "FocalNetBlock", "GlobalContextVitBlock", "SpatialBlock",
            "ChannelBlock", "Outlooker", "Transformer", "ClassBlock", "ClassAttentionBlock",
            "Sequencer2dBlock", "TransformerLayer", "NextConvBlock", "MLPBlock",
            "SpatialTransformerBlock", "DeepseekVitBlock", "Gemma4Block", "MbConvLNBlock",
            "LowFormerBlock", "CPUBoneBlock",
        }
    ),
    "transformers": frozenset(
        {
            "EncoderLayer", "AlbertLayer", "ClapAudioLayer", "ConvNextV2Layer", "CvtLayer",
            "DINOv3ConvNextLayer", "DinatLayer", "DonutSwinLayer", "FocalNetLayer",
            "GPTNeoXJapaneseLayer", "HieraLayer", "IBertLayer", "MPNetLayer", "MaskFormerSwinLayer",
            "MgpstrLayer", "PatchTSTEncoderLayer", "PerceiverLayer", "SqueezeBertModule",
            "Swin2SRLayer", "TimesFmDecoderLayer", "XLNetLayer", "PoolFormerLayer", "PvtLayer",
            "MobileNetV2InvertedResidual", "MobileViTInvertedResidual",
            "MobileViTV2InvertedResidual", "MobileViTTransformerLayer",
            "MobileViTV2TransformerLayer", "EfficientNetBlock", "AlignVisionBlock",
            "LevitResidualLayer", "RegNetXLayer", "RegNetYLayer", "BitBottleneckLayer",
            "BitPreActivationBottleneckLayer", "PvtV2BlockLayer", "SwiftFormerEncoderBlock",
            "SwiftFormerConvEncoder",
        }
    ),
}  # fmt: skip
"""Names that mean one in a library, and elsewhere may mean anything."""

BASES = frozenset({"GradientCheckpointingLayer"})
"""Names of base classes of blocks: that of transformers."""

NO_BLOCKS = frozenset(
    {
        "torchvision.models.shufflenetv2.InvertedResidual",  # shuffles the channels of its input
        "timm.models.rdnet.Block",  # the inside of a dense block
        "timm.models.fasternet.Block",  # a stage
        "timm.models.crossvit.MultiScaleBlock",
        "timm.models.tnt.Block",  # moves two states
    }
)
"""Classes with a known name that are no residual blocks."""

NO_BLOCKS_OF_BASE = re.compile(
    r"ConvLayer$|ConvLayer1d$|Stage$|DepthwiseSeparableConvLayer$|^MobileViT(V2)?Layer$"
    r"|^PvtV2EncoderLayer$|^UVDocBridgeBlock$"
)
"""Those of `BASES` that are no residual blocks: layers of feature extractors, and whole stages."""

SKIPS = (
    "has_skip", "use_res_connect", "apply_residual", "use_residual", "use_shortcut", "residual",
    "add", "add_identity", "has_residual", "identity", "projection.apply_dropout",
)  # fmt: skip
"""Attributes of blocks that are False where x is not added; of their parts after a dot."""

PROJECTIONS = ("downsample", "shortcut")
"""Parts of blocks that add a projection of x in place of x, if they have parameters."""

MAY_LACK_SHORTCUT = re.compile(r"^timm\.models\.(byobnet|efficientvit_mit|lowformer|cpubone)\.")
"""Classes in which ``shortcut = None`` means that nothing is added."""


def is_known(block: nn.Module | None) -> bool:
    """Whether the class of a module, or one of those it derives from, is known."""
    kinds = type(block).__mro__
    if any(f"{kind.__module__}.{kind.__name__}" in NO_BLOCKS for kind in kinds):
        return False
    if any(_is_named(kind) for kind in kinds):
        return True
    base = any(kind.__name__ in BASES for kind in kinds)
    return base and not NO_BLOCKS_OF_BASE.search(type(block).__name__)


def _is_named(kind: type) -> bool:
    library = OF_LIBRARY.get(kind.__module__.partition(".")[0], ())
    return kind.__name__ in ANYWHERE or kind.__name__ in library


def has_no_skip(block: nn.Module) -> bool:
    """Whether a block says of itself that it does not add its input.

    Examples
    --------
    >>> block = nn.Module()
    >>> block.has_skip = False
    >>> has_no_skip(block)
    True
    """
    if any(_held(block, name) is False for name in SKIPS) or _held(block, "no_skip") is True:
        return True
    if any(_has_parameters(block._modules.get(name)) for name in PROJECTIONS):
        return True
    kinds = type(block).__mro__
    where = any(MAY_LACK_SHORTCUT.match(f"{k.__module__}.{k.__name__}") for k in kinds)
    return where and vars(block).get("shortcut", True) is None


def _has_parameters(part: nn.Module | None) -> bool:
    return part is not None and any(True for _ in part.parameters())


def _held(block: nn.Module, name: str) -> object:
    part, _, last = name.rpartition(".")
    holder = block._modules.get(part) if part else block
    return None if holder is None else vars(holder).get(last)
