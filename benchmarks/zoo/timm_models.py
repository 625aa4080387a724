"""Small networks of timm."""

from __future__ import annotations

from functools import partial
from typing import Any

import timm
from timm.layers.mlp import GatedMlp
from timm.models import davit, focalnet, metaformer, mlp_mixer, nest, vgg

from benchmarks.zoo.entry import Entry, image

__all__ = ["ENTRIES"]


def _of(name: str, size: int = 64, **options: Any) -> Entry:
    build = partial(timm.create_model, name, pretrained=False, num_classes=10, **options)
    return Entry("timm", name, build, image(size))


def _mixer(name: str, block: Any, mlp: Any = None, **options: Any) -> Entry:
    layers = {} if mlp is None else {"mlp_layer": mlp}
    build = partial(
        mlp_mixer.MlpMixer,
        10,
        32,
        patch_size=8,
        embed_dim=24,
        num_blocks=4,
        block_layer=block,
        **layers,
        **options,
    )
    return Entry("timm", name, build, image(32))


def _direct(name: str, kind: Any, **options: Any) -> Entry:
    return Entry("timm", name, partial(kind, num_classes=10, **options), image(64))


def _metaformer(name: str, mixers: list[Any], **options: Any) -> Entry:
    dims = (32, 32, 64, 64)
    return _direct(
        name, metaformer.MetaFormer, depths=(2, 2, 3, 2), dims=dims, token_mixers=mixers, **options
    )


WIDTHS = (16, 32, 64, 64)
HEADS = {"num_heads": (1, 2, 4, 4)}


VIT = {"img_size": 32, "patch_size": 8, "embed_dim": 24, "depth": 4, "num_heads": 3}

ENTRIES = [
    Entry("timm", "vgg", partial(vgg.VGG, [8, "M", 16, "M", 16, "M"], 10), image(32)),
    _of("densenet121", growth_rate=4, block_config=(2, 3, 2)),
    _of("inception_v3", 96, aux_logits=False),
    _of("resnet26"),
    _of("seresnet50", layers=(2, 2, 2, 2)),
    _of("skresnet18"),
    _of("resnest14d"),
    _of("res2net50_26w_4s", layers=(1, 2, 3, 1)),
    _of("resnetv2_50", layers=(2, 3, 2)),
    _of("nf_resnet26"),
    _of("dla34"),
    _of("dpn48b"),
    _of("hrnet_w18_small"),
    _of("regnety_002"),
    _of("repvgg_a0"),
    _of("ese_vovnet19b_slim"),
    _of("xception41"),
    _of("hgnet_tiny"),
    _of("efficientnet_b0"),
    _of("efficientnetv2_s", channel_multiplier=0.25),
    _of("mobilenetv2_035"),
    _of("mobilenetv3_small_050"),
    _of("mobilenetv4_conv_small_050"),
    _of("mobilenetv4_hybrid_medium"),
    _of("mnasnet_small"),
    _of("ghostnet_050"),
    _of("rexnet_100"),
    _of("lcnet_050"),
    _of("starnet_s1"),
    _of("repvit_m0_9"),
    _of("convnext_atto", depths=(2, 2, 3, 2), dims=(8, 16, 24, 32)),
    _of("convnextv2_atto", depths=(2, 2, 3, 2), dims=(8, 16, 24, 32)),
    _of("inception_next_atto", depths=(2, 2, 3, 1), dims=(8, 16, 24, 32)),
    _of("vit_tiny_patch16_224", 32, **VIT),
    _of("vit_small_patch16_18x2_224", 32, **VIT),
    _of("vit_relpos_small_patch16_224", 32, **VIT),
    _of("deit_tiny_distilled_patch16_224", 32, **VIT),
    _of("deit3_small_patch16_224", 32, **VIT),
    _of("beit_base_patch16_224", 32, **VIT),
    _of("beitv2_base_patch16_224", 32, **VIT),
    _of("eva02_tiny_patch14_224", 32, **{**VIT, "embed_dim": 32, "num_heads": 4}),
    _of("cait_xxs24_224", 32, **VIT),
    _of("xcit_nano_12_p16_224", 64, embed_dim=24, depth=4, num_heads=3, img_size=64),
    _of("convit_tiny", 32, img_size=32, patch_size=8, embed_dim=6, depth=4),
    _of("pit_ti_224", 64, img_size=64),
    _mixer("mixer", mlp_mixer.MixerBlock),
    _mixer("resmlp", mlp_mixer.ResBlock, mlp_ratio=4, norm_layer=mlp_mixer.Affine),
    _mixer("gmlp", mlp_mixer.SpatialGatingBlock, GatedMlp, mlp_ratio=4),
    _of(
        "swin_tiny_patch4_window7_224",
        64,
        img_size=64,
        embed_dim=12,
        depths=(2, 3),
        num_heads=(2, 4),
        window_size=4,
    ),
    _of(
        "swinv2_tiny_window8_256",
        64,
        img_size=64,
        embed_dim=12,
        depths=(2, 3),
        num_heads=(2, 4),
        window_size=4,
    ),
    _of(
        "swinv2_cr_tiny_224",
        64,
        img_size=64,
        embed_dim=12,
        depths=(2, 3),
        num_heads=(2, 4),
        window_size=4,
    ),
    _of("hiera_tiny_224", 64, img_size=(64, 64), embed_dim=24, stages=(1, 2, 3, 2)),
    _of("coatnet_nano_rw_224", 64, img_size=64),
    _of("maxvit_nano_rw_256", 64, img_size=64),
    _direct("davit", davit.DaVit, depths=(1, 2, 2, 1), embed_dims=WIDTHS, **HEADS),
    _direct("focalnet", focalnet.FocalNet, depths=(2, 2, 3, 2), embed_dim=16),
    _direct(
        "nest",
        nest.Nest,
        img_size=64,
        embed_dims=(16, 32, 64),
        num_heads=(1, 2, 4),
        depths=(2, 2, 3),
    ),
    _metaformer("poolformer", [metaformer.Pooling] * 4),
    _metaformer(
        "caformer",
        [metaformer.SepConv] * 2 + [metaformer.Attention] * 2,
        norm_layers=[metaformer.LayerNorm2dNoBias] * 2 + [metaformer.LayerNormNoBias] * 2,
    ),
    _metaformer("convformer", [metaformer.SepConv] * 4),
    _of("levit_128s", 64, img_size=64),
    _of("mobilevit_xxs"),
    _of("mobilevitv2_050"),
    _of("edgenext_xx_small"),
    _of("efficientformerv2_s0", 224),
    _of("fastvit_t8"),
    _of("pvt_v2_b0"),
    _of("twins_svt_small", 64, img_size=64),
    _of("tnt_s_legacy_patch16_224", 64, img_size=64),
    _of("visformer_tiny", 64, img_size=64),
    _of("crossvit_tiny_240", 240),
    _of("gcvit_xxtiny", 64, img_size=64),
    _of("mvitv2_tiny", 64, img_size=64),
    _of("tiny_vit_5m_224", 64),
    _of("mambaout_femto"),
    _of("efficientvit_b0"),
    _of("efficientvit_m0", 64, img_size=64),
    _of("swiftformer_xs"),
]
