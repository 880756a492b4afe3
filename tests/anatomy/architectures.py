"""Small models of many architectures, built offline from configurations of the installed transformers."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

# Sizes are chosen so that no matrix is square by chance where the architecture allows it.
BERT: dict[str, Any] = {
    "vocab_size": 101,
    "hidden_size": 36,
    "intermediate_size": 56,
    "num_hidden_layers": 2,
    "num_attention_heads": 3,
    "max_position_embeddings": 40,
    "pad_token_id": 0,
}
LLAMA: dict[str, Any] = {
    **BERT,
    "hidden_size": 48,
    "num_attention_heads": 6,
    "num_key_value_heads": 2,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
SEQ2SEQ: dict[str, Any] = {
    "vocab_size": 101,
    "d_model": 36,
    "encoder_layers": 2,
    "decoder_layers": 2,
    "encoder_attention_heads": 3,
    "decoder_attention_heads": 3,
    "encoder_ffn_dim": 56,
    "decoder_ffn_dim": 52,
    "max_position_embeddings": 40,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "decoder_start_token_id": 2,
    "forced_eos_token_id": None,
}
GPT2: dict[str, Any] = {
    "vocab_size": 101,
    "n_positions": 40,
    "n_embd": 36,
    "n_layer": 2,
    "n_head": 3,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
T5: dict[str, Any] = {
    "vocab_size": 101,
    "d_model": 36,
    "d_kv": 8,
    "d_ff": 56,
    "num_layers": 2,
    "num_heads": 3,
    "pad_token_id": 0,
    "decoder_start_token_id": 0,
}
VIT: dict[str, Any] = {
    "hidden_size": 36,
    "intermediate_size": 56,
    "num_hidden_layers": 2,
    "num_attention_heads": 3,
    "image_size": 16,
    "patch_size": 4,
    "num_channels": 3,
}
SPEECH: dict[str, Any] = {
    **BERT,
    "conv_dim": (16, 20),
    "conv_kernel": (5, 3),
    "conv_stride": (3, 2),
    "num_feat_extract_layers": 2,
    "num_conv_pos_embeddings": 8,
    "num_conv_pos_embedding_groups": 4,
}
SWIN: dict[str, Any] = {
    "embed_dim": 12,
    "depths": [2, 2],
    "num_heads": [2, 3],
    "window_size": 2,
    "image_size": 16,
    "patch_size": 2,
}
EXPERTS: dict[str, Any] = {"num_experts_per_tok": 2}

CONFIGS: dict[str, dict[str, Any]] = {
    # Encoders of text
    "bert": BERT,
    "roberta": BERT,
    "distilbert": {"vocab_size": 101, "dim": 36, "hidden_dim": 56, "n_layers": 2, "n_heads": 3},
    "albert": {**BERT, "embedding_size": 20},
    "electra": {**BERT, "embedding_size": 20},
    "deberta": {**BERT, "relative_attention": True, "pos_att_type": ["p2c", "c2p"], "type_vocab_size": 0},
    "deberta-v2": {**BERT, "relative_attention": True, "pos_att_type": ["p2c", "c2p"], "share_att_key": False},
    "longformer": {**BERT, "attention_window": 4},
    "big_bird": {**BERT, "attention_type": "original_full"},
    "mpnet": BERT,
    "xlnet": {"vocab_size": 101, "d_model": 36, "n_layer": 2, "n_head": 3, "d_inner": 56},
    "funnel": {
        "vocab_size": 101,
        "block_sizes": [1, 1],
        "d_model": 36,
        "n_head": 3,
        "d_head": 8,
        "d_inner": 56,
        "num_decoder_layers": 1,
        "block_repeats": [1, 1],
    },
    "convbert": {**BERT, "num_attention_heads": 6, "embedding_size": 20, "conv_kernel_size": 3},
    "esm": {**BERT, "position_embedding_type": "rotary", "mask_token_id": 3},
    "xlm": {"vocab_size": 101, "emb_dim": 36, "n_layers": 2, "n_heads": 3, "max_position_embeddings": 40},
    "modernbert": {**BERT, "cls_token_id": 1, "sep_token_id": 2, "bos_token_id": 1, "eos_token_id": 2},
    "fnet": {**BERT, "tpu_short_seq_length": 8},
    "nystromformer": BERT,
    "layoutlm": BERT,
    # Decoders of text
    "openai-gpt": {**GPT2, "bos_token_id": None, "eos_token_id": None},
    "gpt2": GPT2,
    "gpt_neo": {
        "vocab_size": 101,
        "hidden_size": 36,
        "num_layers": 2,
        "num_heads": 3,
        "intermediate_size": 56,
        "attention_types": [[["global", "local"], 1]],
        "max_position_embeddings": 40,
        "window_size": 8,
    },
    "gpt_neox": BERT,
    "gptj": {**GPT2, "rotary_dim": 4},
    "gpt_bigcode": {**GPT2, "multi_query": True},
    "codegen": {**GPT2, "n_embd": 64, "n_head": 8, "n_ctx": 40, "rotary_dim": 4},
    "opt": {
        "vocab_size": 101,
        "hidden_size": 36,
        "num_hidden_layers": 2,
        "num_attention_heads": 3,
        "ffn_dim": 56,
        "max_position_embeddings": 40,
        "word_embed_proj_dim": 20,
        "pad_token_id": 1,
    },
    "bloom": {"vocab_size": 101, "hidden_size": 36, "n_layer": 2, "n_head": 3},
    "falcon": {
        **BERT,
        "num_kv_heads": 1,
        "multi_query": True,
        "new_decoder_architecture": False,
        "ffn_hidden_size": 56,
    },
    "mpt": {"vocab_size": 101, "d_model": 36, "n_heads": 3, "n_layers": 2, "expansion_ratio": 2, "max_seq_len": 40},
    "llama": LLAMA,
    "mistral": LLAMA,
    "qwen2": LLAMA,
    "qwen3": {**LLAMA, "head_dim": 10},
    "gemma": {**LLAMA, "head_dim": 10},
    "gemma2": {**LLAMA, "head_dim": 10},
    "gemma3_text": {**LLAMA, "head_dim": 10},
    "phi": {**LLAMA, "partial_rotary_factor": 0.5},
    "phi3": LLAMA,
    "stablelm": LLAMA,
    "olmo": LLAMA,
    "olmo2": LLAMA,
    "cohere": LLAMA,
    "starcoder2": LLAMA,
    "granite": LLAMA,
    "glm4": {**LLAMA, "head_dim": 8},
    "persimmon": BERT,
    "nemotron": LLAMA,
    "smollm3": LLAMA,
    "biogpt": BERT,
    "xglm": {"vocab_size": 101, "d_model": 36, "ffn_dim": 56, "num_layers": 2, "attention_heads": 3},
    "ctrl": {"vocab_size": 101, "n_positions": 40, "n_embd": 36, "dff": 56, "n_layer": 2, "n_head": 3},
    # Mixtures of experts
    "mixtral": {**LLAMA, **EXPERTS, "num_local_experts": 4},
    "qwen2_moe": {
        **LLAMA,
        **EXPERTS,
        "num_experts": 4,
        "moe_intermediate_size": 28,
        "shared_expert_intermediate_size": 44,
        "decoder_sparse_step": 1,
    },
    "qwen3_moe": {**LLAMA, **EXPERTS, "num_experts": 4, "moe_intermediate_size": 28, "head_dim": 10},
    "olmoe": {**LLAMA, **EXPERTS, "num_experts": 4},
    "phimoe": {**LLAMA, **EXPERTS, "num_local_experts": 4},
    "gpt_oss": {**LLAMA, **EXPERTS, "num_local_experts": 4, "head_dim": 10},
    "granitemoe": {**LLAMA, **EXPERTS, "num_local_experts": 4},
    "deepseek_v2": {
        **LLAMA,
        **EXPERTS,
        "num_key_value_heads": 6,
        "n_routed_experts": 4,
        "n_shared_experts": 1,
        "moe_intermediate_size": 28,
        "first_k_dense_replace": 1,
        "q_lora_rank": 20,
        "kv_lora_rank": 14,
        "qk_nope_head_dim": 10,
        "qk_rope_head_dim": 6,
        "v_head_dim": 8,
        "n_group": 1,
        "topk_group": 1,
    },
    "deepseek_v3": {
        **LLAMA,
        **EXPERTS,
        "num_key_value_heads": 6,
        "n_routed_experts": 4,
        "n_shared_experts": 1,
        "moe_intermediate_size": 28,
        "first_k_dense_replace": 1,
        "q_lora_rank": 20,
        "kv_lora_rank": 14,
        "qk_nope_head_dim": 10,
        "qk_rope_head_dim": 6,
        "v_head_dim": 8,
        "n_group": 1,
        "topk_group": 1,
    },
    "dbrx": {
        "vocab_size": 101,
        "d_model": 48,
        "n_heads": 6,
        "n_layers": 2,
        "max_seq_len": 40,
        "attn_config": {"kv_n_heads": 2, "clip_qkv": 8.0},
        "ffn_config": {"ffn_hidden_size": 56, "moe_num_experts": 4, "moe_top_k": 2, "hidden_size": 48},
    },
    "jamba": {
        **LLAMA,
        **EXPERTS,
        "num_experts": 4,
        "num_hidden_layers": 4,
        "attn_layer_period": 2,
        "attn_layer_offset": 1,
        "expert_layer_period": 2,
        "expert_layer_offset": 1,
        "mamba_d_state": 7,
        "mamba_dt_rank": 5,
        "use_mamba_kernels": False,
    },
    "switch_transformers": {**T5, "num_experts": 4, "num_sparse_encoder_layers": 1, "num_sparse_decoder_layers": 1},
    # State spaces
    "mamba": {"vocab_size": 101, "hidden_size": 36, "state_size": 7, "num_hidden_layers": 2, "time_step_rank": 5},
    "mamba2": {
        "vocab_size": 101,
        "hidden_size": 36,
        "state_size": 7,
        "num_hidden_layers": 2,
        "head_dim": 12,
        "num_heads": 6,
        "n_groups": 1,
    },
    "rwkv": {
        "vocab_size": 101,
        "hidden_size": 36,
        "num_hidden_layers": 2,
        "intermediate_size": 56,
        "attention_hidden_size": 36,
    },
    # Encoder and decoder
    "t5": T5,
    "mt5": {**T5, "feed_forward_proj": "gated-gelu"},
    "bart": SEQ2SEQ,
    "mbart": SEQ2SEQ,
    "pegasus": SEQ2SEQ,
    "marian": SEQ2SEQ,
    "m2m_100": SEQ2SEQ,
    "whisper": {**SEQ2SEQ, "num_mel_bins": 12, "max_source_positions": 20, "max_target_positions": 20},
    "prophetnet": {
        "vocab_size": 101,
        "hidden_size": 36,
        "encoder_ffn_dim": 56,
        "decoder_ffn_dim": 52,
        "ngram": 2,
        "num_encoder_layers": 2,
        "num_decoder_layers": 2,
        "max_position_embeddings": 40,
        "num_encoder_attention_heads": 3,
        "num_decoder_attention_heads": 3,
    },
    # Speech
    "wav2vec2": SPEECH,
    "hubert": SPEECH,
    "audio-spectrogram-transformer": {**VIT, "max_length": 20, "num_mel_bins": 12},
    # Images
    "vit": VIT,
    "deit": VIT,
    "beit": VIT,
    "dinov2": {**VIT, "mlp_ratio": 2},
    "swin": SWIN,
    "swinv2": SWIN,
    "segformer": {
        "depths": [1, 1],
        "hidden_sizes": [12, 20],
        "num_attention_heads": [2, 4],
        "num_encoder_blocks": 2,
        "sr_ratios": [2, 1],
        "patch_sizes": [3, 3],
        "strides": [2, 2],
        "mlp_ratios": [2, 2],
        "decoder_hidden_size": 24,
    },
    "convnext": {"depths": [1, 1], "hidden_sizes": [12, 20], "num_stages": 2},
    "resnet": {"embedding_size": 12, "depths": [1, 1], "hidden_sizes": [16, 24]},
    "mobilenet_v2": {"depth_multiplier": 0.35},
    "detr": {
        "d_model": 36,
        "encoder_layers": 1,
        "decoder_layers": 1,
        "encoder_attention_heads": 3,
        "num_queries": 7,
        "decoder_attention_heads": 3,
        "encoder_ffn_dim": 56,
        "decoder_ffn_dim": 52,
        "backbone_config": {"model_type": "resnet", "embedding_size": 12, "depths": [1, 1], "hidden_sizes": [16, 24]},
    },
    # Images and text
    "clip": {
        "text_config": {**BERT, "projection_dim": 20},
        "vision_config": {**VIT, "projection_dim": 20},
        "projection_dim": 20,
    },
    "siglip": {"text_config": BERT, "vision_config": VIT},
    "blip": {
        "text_config": {**BERT, "encoder_hidden_size": 36},
        "vision_config": VIT,
        "projection_dim": 20,
    },
    "sam": {
        "vision_config": {**VIT, "output_channels": 24, "window_size": 2, "global_attn_indexes": [1], "mlp_dim": 56},
        "prompt_encoder_config": {"hidden_size": 24, "image_size": 16, "patch_size": 4, "mask_input_channels": 8},
        "mask_decoder_config": {"hidden_size": 24, "mlp_dim": 40, "num_attention_heads": 2, "iou_head_hidden_dim": 28},
    },
    "vilt": {**BERT, **VIT},
}


def build(model_type: str, device: str = "meta", **overrides: Any) -> nn.Module:
    """A small model of an architecture, in evaluation mode.

    Parameters
    ----------
    model_type
        A key of `CONFIGS`.
    device
        ``"meta"`` builds it without values.
    overrides
        Of the configuration.
    """
    from transformers import AutoConfig, AutoModel

    with warnings.catch_warnings(), torch.random.fork_rng():
        warnings.simplefilter("ignore")
        torch.manual_seed(0)
        config = AutoConfig.for_model(model_type, **{**CONFIGS[model_type], **overrides})
        config._attn_implementation = "eager"
        if model_type == "funnel":
            config.architectures = ["FunnelModel"]  # there are two that could be meant
        if model_type == "dbrx":
            config.attn_config.rope_theta = 10000.0  # which its own modelling code looks for
        with torch.device(device):
            model: nn.Module = AutoModel.from_config(config)
    return model.eval()


class Residual(nn.Module):
    """A block of a residual network."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.downsample = nn.Sequential(nn.Conv2d(inputs, outputs, 1, bias=False), nn.BatchNorm2d(outputs))


def residual_network() -> nn.Module:
    """A small residual network."""
    return nn.Sequential(nn.Conv2d(3, 8, 7), nn.BatchNorm2d(8), Residual(8, 12), Residual(12, 20), nn.Linear(20, 5))


def convolutions() -> nn.Module:
    """Convolutions of all kinds."""
    return nn.Sequential(
        nn.Conv1d(3, 8, 5),
        nn.Conv2d(8, 8, 3, groups=8),
        nn.Conv3d(8, 6, (3, 4, 5)),
        nn.ConvTranspose2d(6, 4, 4),
        nn.Conv2d(4, 10, 1),
        nn.GroupNorm(2, 10),
        nn.PReLU(10),
    )


def recurrent_networks() -> nn.Module:
    """Recurrent layers of all kinds."""
    return nn.ModuleDict(
        {
            "embedding": nn.Embedding(20, 7, padding_idx=0),
            "lstm": nn.LSTM(7, 5, num_layers=2, bidirectional=True),
            "projected": nn.LSTM(10, 6, proj_size=4),
            "gru": nn.GRU(7, 5, bidirectional=True),
            "rnn": nn.RNN(7, 5),
            "cell": nn.LSTMCell(7, 5),
            "head": nn.Linear(10, 3),
        }
    )


class Expert(nn.Module):
    """A gated expert."""

    def __init__(self) -> None:
        super().__init__()
        self.gate_proj = nn.Linear(12, 20, bias=False)
        self.up_proj = nn.Linear(12, 20, bias=False)
        self.down_proj = nn.Linear(20, 12, bias=False)


class MixtureOfModules(nn.Module):
    """A mixture of experts that are modules of their own."""

    def __init__(self, experts: int = 4) -> None:
        super().__init__()
        self.gate = nn.Linear(12, experts, bias=False)
        self.experts = nn.ModuleList(Expert() for _ in range(experts))


class StackedExperts(nn.Module):
    """A mixture of experts whose weights are raw parameters."""

    def __init__(self) -> None:
        super().__init__()
        self.router = nn.Linear(12, 4, bias=False)
        self.w1 = nn.Parameter(torch.zeros(4, 12, 20))
        self.w2 = nn.Parameter(torch.zeros(4, 20, 6))


PLAIN: dict[str, Callable[[], nn.Module]] = {
    "residual network": residual_network,
    "convolutions": convolutions,
    "recurrent networks": recurrent_networks,
    "mixture of modules": MixtureOfModules,
    "stacked experts": StackedExperts,
    "transformer layers of torch": lambda: nn.Transformer(36, 3, 2, 2, 56),
}
"""Architectures without transformers."""
