"""Small configurations of transformers, and entries of the zoo made of them."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
import transformers
from torch import Tensor, nn

from benchmarks.zoo.entry import Entry, noise, tokens

__all__ = [
    "D_MODEL",
    "GPT",
    "GROUPED",
    "SPEECH",
    "T5",
    "TEXT",
    "VISION",
    "causal",
    "encoder",
    "lm",
    "masked",
    "of",
    "pair",
    "pixels",
    "seq2seq",
    "sized",
    "speech",
    "vision",
]

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


def causal() -> dict[str, Tensor]:
    """Tokens, and the same as labels."""
    return {"input_ids": tokens(), "labels": tokens()}


def masked() -> dict[str, Tensor]:
    """Tokens, padded at the end of the first row."""
    mask = torch.ones(2, 10, dtype=torch.long)
    mask[0, 7:] = 0
    return {"input_ids": tokens(), "attention_mask": mask}


def seq2seq() -> dict[str, Tensor]:
    """Tokens of the source, and labels of the target."""
    return {"input_ids": tokens(), "labels": tokens(7)}


def pixels(size: int = 32) -> Callable[[], dict[str, Tensor]]:
    """Square images."""
    return lambda: {"pixel_values": noise(2, 3, size, size)}


def speech() -> dict[str, Tensor]:
    """Samples of sound."""
    return {"input_values": noise(2, 1000)}


def pair() -> dict[str, Tensor]:
    """Tokens and images."""
    return {"input_ids": tokens(), "pixel_values": noise(2, 3, 32, 32)}


def of(
    name: str, head: str, inputs: Callable[[], dict[str, Any]], options: dict[str, Any], **more: Any
) -> Entry:
    """The model ``name`` + ``head`` from ``name`` + "Config"."""

    def build() -> nn.Module:
        config = getattr(transformers, name + "Config")(**{**options, **more})
        return getattr(transformers, name + head)(config)

    return Entry("transformers", name + head, build, inputs)


lm = partial(of, head="ForCausalLM", inputs=causal)
encoder = partial(of, head="Model", inputs=masked, options=TEXT)
vision = partial(of, head="Model", inputs=pixels(), options=VISION)
sized = partial(of, head="ForImageClassification", inputs=pixels(64))
