"""Small networks of transformers."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
import transformers
from torch import Tensor, nn

from benchmarks.zoo.entry import Entry, noise, tokens

__all__ = ["ENTRIES"]

TEXT = {
    "vocab_size": 99,
    "hidden_size": 24,
    "intermediate_size": 32,
    "num_hidden_layers": 4,
    "num_attention_heads": 3,
    "max_position_embeddings": 64,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
GROUPED = {**TEXT, "num_key_value_heads": 1, "head_dim": 8}
VISION = {
    "image_size": 32,
    "patch_size": 8,
    "hidden_size": 24,
    "intermediate_size": 32,
    "num_hidden_layers": 4,
    "num_attention_heads": 3,
}
GPT = {
    "vocab_size": 99,
    "n_embd": 24,
    "n_layer": 4,
    "n_head": 3,
    "n_positions": 64,
    "n_ctx": 64,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
D_MODEL = {
    "vocab_size": 99,
    "d_model": 24,
    "encoder_layers": 3,
    "decoder_layers": 3,
    "encoder_attention_heads": 3,
    "decoder_attention_heads": 3,
    "encoder_ffn_dim": 32,
    "decoder_ffn_dim": 32,
    "max_position_embeddings": 64,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "decoder_start_token_id": 2,
}
T5 = {
    "vocab_size": 99,
    "d_model": 24,
    "d_kv": 8,
    "d_ff": 32,
    "num_layers": 3,
    "num_heads": 3,
    "decoder_start_token_id": 0,
}
SPEECH = {
    "vocab_size": 32,
    "hidden_size": 24,
    "intermediate_size": 32,
    "num_hidden_layers": 4,
    "num_attention_heads": 3,
    "conv_dim": (8, 8),
    "conv_stride": (5, 4),
    "conv_kernel": (10, 4),
    "num_feat_extract_layers": 2,
    "num_conv_pos_embeddings": 8,
    "num_conv_pos_embedding_groups": 2,
    "mask_time_prob": 0.0,
}


def _causal() -> dict[str, Tensor]:
    return {"input_ids": tokens(), "labels": tokens()}


def _masked() -> dict[str, Tensor]:
    mask = torch.ones(2, 10, dtype=torch.long)
    mask[0, 7:] = 0
    return {"input_ids": tokens(), "attention_mask": mask}


def _seq2seq() -> dict[str, Tensor]:
    return {"input_ids": tokens(), "labels": tokens(7)}


def _pixels(size: int = 32) -> Callable[[], dict[str, Tensor]]:
    return lambda: {"pixel_values": noise(2, 3, size, size)}


def _speech() -> dict[str, Tensor]:
    return {"input_values": noise(2, 1000)}


def _pair() -> dict[str, Tensor]:
    return {"input_ids": tokens(), "pixel_values": noise(2, 3, 32, 32)}


def _of(
    name: str, head: str, inputs: Callable[[], dict[str, Any]], options: dict[str, Any], **more: Any
) -> Entry:
    """The model ``name`` + ``head`` from ``name`` + "Config"."""

    def build() -> nn.Module:
        config = getattr(transformers, name + "Config")(**{**options, **more})
        return getattr(transformers, name + head)(config)

    return Entry("transformers", name + head, build, inputs)


_lm = partial(_of, head="ForCausalLM", inputs=_causal)
_encoder = partial(_of, head="Model", inputs=_masked, options=TEXT)
_vision = partial(_of, head="Model", inputs=_pixels(), options=VISION)
_sized = partial(_of, head="ForImageClassification", inputs=_pixels(64))

ENTRIES = [
    _of("GPT2", "LMHeadModel", _causal, GPT),
    _of("OpenAIGPT", "LMHeadModel", _causal, GPT),
    _of("CTRL", "LMHeadModel", _causal, GPT, dff=32),
    _lm("GPTBigCode", options=GPT),
    _lm("GPTJ", options=GPT, rotary_dim=4),
    _lm("CodeGen", options=GPT, n_head=4, n_embd=32, rotary_dim=4),
    _lm(
        "GPTNeo",
        options=TEXT,
        num_layers=4,
        num_heads=3,
        attention_types=[[["global", "local"], 2]],
        window_size=4,
    ),
    _lm("GPTNeoX", options=TEXT),
    _lm("OPT", options=TEXT, ffn_dim=32, word_embed_proj_dim=24),
    _lm("Bloom", options=TEXT, n_layer=4, n_head=3),
    _lm("Falcon", options=TEXT),
    _lm(
        "Mpt",
        options={"vocab_size": 99, "d_model": 24, "n_heads": 3, "n_layers": 4, "max_seq_len": 64},
    ),
    _lm("Llama", options=GROUPED),
    _lm("Mistral", options=GROUPED),
    _lm(
        "Mixtral",
        options=GROUPED,
        experts_implementation="eager",
        num_local_experts=3,
        num_experts_per_tok=2,
    ),
    _lm("Qwen2", options=GROUPED),
    _lm(
        "Qwen2Moe",
        options=GROUPED,
        experts_implementation="eager",
        num_experts=3,
        moe_intermediate_size=16,
        shared_expert_intermediate_size=16,
        num_experts_per_tok=2,
    ),
    _lm("Qwen3", options=GROUPED),
    _lm("Gemma", options=GROUPED),
    _lm("Gemma2", options=GROUPED),
    _of("Gemma3Text", "Model", _masked, GROUPED),
    _lm("Phi", options=TEXT),
    _lm("Phi3", options=GROUPED),
    _lm("Cohere", options=GROUPED),
    _lm("StableLm", options=GROUPED),
    _lm("Starcoder2", options=GROUPED),
    _lm("Olmo", options=GROUPED),
    _lm("Olmo2", options=GROUPED),
    _lm("Granite", options=GROUPED),
    _lm("Mamba", options=TEXT, state_size=4),
    _encoder("Bert"),
    _of("BertGeneration", "Encoder", _masked, TEXT),
    _encoder("Roberta"),
    _encoder("XLMRoberta"),
    _encoder("Camembert"),
    _of(
        "DistilBert",
        "Model",
        _masked,
        {"vocab_size": 99, "dim": 24, "hidden_dim": 32, "n_layers": 4, "n_heads": 3},
    ),
    _encoder("Albert", embedding_size=16),
    _encoder("Electra", embedding_size=16),
    _encoder("Deberta", relative_attention=True, pos_att_type=["c2p", "p2c"]),
    _encoder("DebertaV2", relative_attention=True, pos_att_type=["c2p", "p2c"]),
    _encoder("MPNet"),
    _encoder("RoFormer"),
    _encoder("MobileBert", intra_bottleneck_size=24, embedding_size=24),
    _encoder(
        "SqueezeBert",
        q_groups=1,
        k_groups=1,
        v_groups=1,
        post_attention_groups=1,
        intermediate_groups=1,
        output_groups=1,
        embedding_size=24,
    ),
    _encoder("ModernBert"),
    _encoder("Longformer", attention_window=4),
    _encoder("FNet"),
    _of(
        "Funnel",
        "Model",
        _masked,
        {
            "vocab_size": 99,
            "block_sizes": [2, 2],
            "num_decoder_layers": 2,
            "d_model": 24,
            "n_head": 3,
            "d_head": 8,
            "d_inner": 32,
        },
    ),
    _of(
        "XLNet",
        "Model",
        _masked,
        {"vocab_size": 99, "d_model": 24, "n_layer": 4, "n_head": 3, "d_inner": 32},
    ),
    _of("T5", "ForConditionalGeneration", _seq2seq, T5),
    _of("MT5", "ForConditionalGeneration", _seq2seq, T5),
    _of("UMT5", "ForConditionalGeneration", _seq2seq, T5),
    _of("Bart", "ForConditionalGeneration", _seq2seq, D_MODEL),
    _of("MBart", "ForConditionalGeneration", _seq2seq, D_MODEL),
    _of("Marian", "MTModel", _seq2seq, D_MODEL),
    _of("Pegasus", "ForConditionalGeneration", _seq2seq, D_MODEL),
    _of("BlenderbotSmall", "ForConditionalGeneration", _seq2seq, D_MODEL),
    _of("M2M100", "ForConditionalGeneration", _seq2seq, D_MODEL),
    _of(
        "Whisper",
        "ForConditionalGeneration",
        lambda: {"input_features": noise(2, 8, 40), "labels": tokens(7)},
        D_MODEL,
        num_mel_bins=8,
        max_source_positions=20,
        max_target_positions=20,
    ),
    _of("Wav2Vec2", "Model", _speech, SPEECH),
    _of("Wav2Vec2", "ForCTC", _speech, SPEECH, do_stable_layer_norm=True),
    _of("Hubert", "Model", _speech, SPEECH),
    _of("WavLM", "Model", _speech, SPEECH),
    _of("Wav2Vec2Conformer", "Model", _speech, SPEECH),
    _vision("ViT"),
    _of("ViT", "ForImageClassification", _pixels(), VISION),
    _vision("DeiT"),
    _vision("Beit", use_relative_position_bias=True),
    _vision("Data2VecVision"),
    _vision("Dinov2"),
    _vision(
        "ViTMAE",
        head="ForPreTraining",
        decoder_hidden_size=24,
        decoder_num_hidden_layers=2,
        decoder_num_attention_heads=3,
        decoder_intermediate_size=32,
    ),
    _of("SiglipVision", "Model", _pixels(), VISION),
    _vision(
        "Yolos",
        detection_token=True,
        num_detection_tokens=4,
        image_size=[32, 32],
        use_mid_position_embeddings=False,
    ),
    _sized(
        "Swin",
        options={
            "image_size": 64,
            "embed_dim": 12,
            "depths": [2, 3],
            "num_heads": [2, 4],
            "window_size": 4,
        },
    ),
    _sized(
        "Swinv2",
        options={
            "image_size": 64,
            "embed_dim": 12,
            "depths": [2, 3],
            "num_heads": [2, 4],
            "window_size": 4,
        },
    ),
    _sized("ConvNext", options={"hidden_sizes": [8, 16], "depths": [2, 3], "num_stages": 2}),
    _sized("ConvNextV2", options={"hidden_sizes": [8, 16], "depths": [2, 3], "num_stages": 2}),
    _sized("ResNet", options={"embedding_size": 8, "hidden_sizes": [16, 32], "depths": [2, 3]}),
    _sized(
        "RegNet",
        options={
            "embedding_size": 8,
            "hidden_sizes": [16, 32],
            "depths": [2, 3],
            "groups_width": 8,
        },
    ),
    _sized(
        "Bit",
        options={"embedding_size": 32, "hidden_sizes": [32, 64], "depths": [2, 3], "num_groups": 8},
    ),
    _sized("PoolFormer", options={"hidden_sizes": [8, 16, 16, 16], "depths": [2, 2, 2, 2]}),
    _sized(
        "Segformer",
        options={
            "hidden_sizes": [8, 16, 16, 32],
            "depths": [2, 2, 2, 2],
            "num_attention_heads": [1, 2, 2, 4],
        },
    ),
    _sized(
        "Pvt",
        options={
            "image_size": 64,
            "hidden_sizes": [8, 16, 16, 32],
            "num_attention_heads": [1, 2, 2, 4],
        },
    ),
    _sized("MobileNetV2", options={"depth_multiplier": 0.25}),
    _sized(
        "MobileViT",
        options={
            "image_size": 64,
            "hidden_sizes": [24, 32, 48],
            "neck_hidden_sizes": [8, 8, 16, 24, 32, 48, 64],
        },
    ),
    _sized(
        "EfficientNet",
        options={
            "image_size": 64,
            "width_coefficient": 0.25,
            "depth_coefficient": 1.0,
            "hidden_dim": 320,
        },
    ),
    _sized(
        "Levit",
        options={
            "image_size": 64,
            "hidden_sizes": [32, 48, 64],
            "num_attention_heads": [2, 3, 4],
            "key_dim": [8, 8, 8],
            "depths": [2, 2, 2],
        },
    ),
    _sized(
        "FocalNet",
        options={
            "image_size": 64,
            "embed_dim": 12,
            "depths": [2, 3],
            "focal_levels": [2, 2],
            "focal_windows": [3, 3],
            "hidden_sizes": [12, 24],
        },
    ),
    _sized(
        "Hiera",
        options={
            "image_size": [64, 64],
            "embed_dim": 24,
            "depths": [1, 2, 3, 2],
            "num_heads": [1, 2, 4, 8],
        },
    ),
    _of(
        "CLIP", "Model", _pair, {"text_config": TEXT, "vision_config": VISION, "projection_dim": 16}
    ),
    _of("Siglip", "Model", _pair, {"text_config": TEXT, "vision_config": VISION}),
    _of(
        "Blip",
        "ForImageTextRetrieval",
        _pair,
        {
            "text_config": TEXT,
            "vision_config": VISION,
            "projection_dim": 16,
            "image_text_hidden_size": 16,
        },
    ),
    _of("ViTMSN", "Model", _pixels(), VISION),
    _of("VitDet", "Model", _pixels(), VISION, window_block_indices=[0, 2], window_size=2),
    _of("Nystromformer", "Model", _masked, TEXT, num_landmarks=10, segment_means_seq_len=10),
    _of("DPT", "Model", _pixels(), VISION, backbone_out_indices=[0, 1, 2, 3]),
    _of(
        "VideoMAE",
        "Model",
        lambda: {"pixel_values": noise(2, 2, 3, 32, 32)},
        VISION,
        num_frames=2,
        tubelet_size=2,
    ),
    _of(
        "Perceiver",
        "Model",
        lambda: {"inputs": noise(2, 6, 16)},
        {
            "d_model": 16,
            "d_latents": 24,
            "num_latents": 5,
            "num_blocks": 2,
            "num_self_attends_per_block": 3,
            "num_self_attention_heads": 3,
            "num_cross_attention_heads": 1,
        },
    ),
]
