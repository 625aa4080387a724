"""Small networks of torchvision."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import nn
from torchvision import models
from torchvision.models import (
    efficientnet,
    maxvit,
    mobilenetv2,
    regnet,
    resnet,
    segmentation,
    swin_transformer,
    vision_transformer,
)

from benchmarks.zoo.entry import Entry, image

__all__ = ["ENTRIES"]


def _resnet(block: type[nn.Module], blocks: list[int], **options: Any) -> Callable[[], nn.Module]:
    return partial(resnet.ResNet, block, blocks, num_classes=10, **options)


def _vit() -> nn.Module:
    model = vision_transformer.VisionTransformer(32, 8, 4, 2, 16, 32, num_classes=10)
    torch.nn.init.normal_(model.get_parameter("heads.head.weight"))
    return model


def _swin(block: type[nn.Module], merging: type[nn.Module]) -> Callable[[], nn.Module]:
    return partial(
        swin_transformer.SwinTransformer,
        [2, 2],
        16,
        [3, 4],
        [2, 4],
        [4, 4],
        num_classes=10,
        block=block,
        downsample_layer=merging,
    )


def _named(name: str, size: int = 32, **options: Any) -> Entry:
    return Entry(
        "torchvision", name, partial(models.get_model, name, num_classes=10, **options), image(size)
    )


def _of(name: str, build: Callable[[], nn.Module], size: int = 32) -> Entry:
    return Entry("torchvision", name, build, image(size))


BASIC, BOTTLENECK = resnet.BasicBlock, resnet.Bottleneck

ENTRIES = [
    _named("alexnet", 64),
    _of("vgg", partial(models.VGG, models.vgg.make_layers([8, "M", 16, "M"], False), 10)),
    _of("densenet", partial(models.DenseNet, 4, (2, 2, 2, 2), 8, num_classes=10)),
    _named("squeezenet1_1", 32),
    _named("googlenet", 64, aux_logits=False, init_weights=False),
    _named("shufflenet_v2_x0_5"),
    _of("resnet18", _resnet(BASIC, [2, 2, 2, 2])),
    _of("resnet50", _resnet(BOTTLENECK, [3, 4, 6, 3])),
    _of("resnet, 23 blocks of one shape", _resnet(BOTTLENECK, [1, 2, 23, 1], width_per_group=8)),
    _of("resnext", _resnet(BOTTLENECK, [2, 2, 3, 2], groups=8, width_per_group=4)),
    _of("wide_resnet", _resnet(BOTTLENECK, [2, 2, 2, 1], width_per_group=96)),
    _of(
        "regnet_y",
        partial(
            regnet.RegNet,
            regnet.BlockParams([2, 4, 4], [16, 32, 64], [8, 8, 16], [1, 1, 1], [2, 2, 2], 0.25),
            num_classes=10,
        ),
    ),
    _of("mobilenet_v2", partial(mobilenetv2.MobileNetV2, 10, 0.25)),
    _named("mobilenet_v3_large"),
    _named("mnasnet0_5"),
    _of(
        "efficientnet",
        partial(
            efficientnet.EfficientNet,
            [
                efficientnet.MBConvConfig(1, 3, 1, 8, 8, 2),
                efficientnet.MBConvConfig(4, 3, 2, 8, 16, 3),
                efficientnet.MBConvConfig(4, 5, 2, 16, 24, 4),
            ],
            0.1,
            num_classes=10,
        ),
    ),
    _of(
        "efficientnet_v2",
        partial(
            efficientnet.EfficientNet,
            [
                efficientnet.FusedMBConvConfig(1, 3, 1, 8, 8, 2),
                efficientnet.FusedMBConvConfig(4, 3, 2, 8, 16, 3),
                efficientnet.MBConvConfig(4, 3, 2, 16, 24, 4),
            ],
            0.1,
            num_classes=10,
            last_channel=64,
        ),
    ),
    _of(
        "convnext",
        partial(
            models.ConvNeXt,
            [
                models.convnext.CNBlockConfig(16, 32, 3),
                models.convnext.CNBlockConfig(32, None, 4),
            ],
            0.1,
            0.1,
            num_classes=10,
        ),
    ),
    _of("vit", _vit),
    _of("swin", _swin(swin_transformer.SwinTransformerBlock, swin_transformer.PatchMerging)),
    _of("swin_v2", _swin(swin_transformer.SwinTransformerBlockV2, swin_transformer.PatchMergingV2)),
    _of(
        "maxvit",
        partial(
            maxvit.MaxVit,
            (64, 64),
            16,
            4,
            [16, 32],
            [2, 3],
            8,
            0.1,
            num_classes=10,
        ),
        64,
    ),
    Entry(
        "torchvision",
        "lraspp_mobilenet_v3",
        partial(segmentation.lraspp_mobilenet_v3_large, weights_backbone=None, num_classes=4),
        image(64),
    ),
]
