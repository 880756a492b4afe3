"""The heads of attention layers are where the models themselves have them: found out by running the models."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from torch import nn

from tests.anatomy.architectures import CONFIGS, build
from weightwidget import axes
from weightwidget.anatomy.layers import AttentionLayer

LENGTH = 6
POSITION = 2
"""Position that is disturbed: there are some before it and, for causal models, some after it."""

TEXT = [
    *("bert", "roberta", "distilbert", "albert", "electra", "deberta", "deberta-v2", "big_bird", "mpnet", "esm"),
    *("xlm", "modernbert", "openai-gpt", "gpt2", "gpt_neo", "gpt_neox", "gptj", "gpt_bigcode", "codegen", "opt"),
    *("bloom", "falcon", "mpt", "llama", "mistral", "qwen2", "qwen3", "gemma", "gemma2", "gemma3_text", "phi", "phi3"),
    *("stablelm", "olmo", "cohere", "starcoder2", "granite", "glm4", "persimmon", "nemotron", "smollm3", "biogpt"),
    *("xglm", "ctrl", "mixtral", "qwen2_moe", "qwen3_moe", "phimoe", "gpt_oss", "granitemoe", "deepseek_v2"),
    *("deepseek_v3", "dbrx", "jamba"),
]
BOTH = ["t5", "mt5", "bart", "mbart", "pegasus", "marian", "m2m_100", "switch_transformers"]
IMAGES = ["vit", "deit", "beit", "dinov2", "swin", "swinv2"]

VARIANTS: dict[str, tuple[str, dict[str, Any]]] = {
    "falcon, no groups": ("falcon", {"multi_query": False, "num_kv_heads": 3}),
    "falcon, new": (
        "falcon",
        {"new_decoder_architecture": True, "num_attention_heads": 6, "num_kv_heads": 2, "alibi": False},
    ),
    "gpt_bigcode, no groups": ("gpt_bigcode", {"multi_query": False}),
    "deepseek_v2, no query latent": ("deepseek_v2", {"q_lora_rank": None}),
}


def inputs_of(name: str) -> dict[str, Any]:
    generator = torch.Generator().manual_seed(1)
    if name in IMAGES:
        return {"pixel_values": torch.randn(1, 3, 16, 16, generator=generator)}
    tokens = torch.randint(3, 90, (1, LENGTH), generator=generator)
    found: dict[str, Any] = {"input_ids": tokens}
    if name in BOTH:
        found["decoder_input_ids"] = torch.randint(3, 90, (1, LENGTH), generator=generator)
    return found


@contextmanager
def disturbed(module: nn.Module, change: torch.Tensor | None, where: slice) -> Iterator[None]:
    """Add something to some outputs of a layer, at one position."""

    def hook(_module: nn.Module, _args: Any, output: torch.Tensor) -> torch.Tensor:
        if change is None:
            return output
        output = output.clone()
        output[..., POSITION, where] += change
        return output

    handle = module.register_forward_hook(hook)
    try:
        yield
    finally:
        handle.remove()


def owner(model: nn.Module, tensor: str) -> nn.Module:
    return model.get_submodule(tensor.rpartition(".")[0])


def run_layer(model: nn.Module, layer: AttentionLayer, inputs: dict[str, Any]) -> Callable[..., torch.Tensor]:
    """A function that gives what the output projection reads, (..., positions, inputs), when a head is disturbed."""
    assert layer.output is not None

    def run(part: str = "query", head: int = 0, scale: float = 0.0) -> torch.Tensor:
        blocks = layer.projection(part)
        assert blocks is not None
        seen: list[torch.Tensor] = []
        handle = owner(model, layer.output.tensor).register_forward_pre_hook(lambda _m, args: seen.append(args[0]))
        noise = scale * torch.linspace(-1.0, 2.0, blocks.size) if scale else None
        start = blocks.start(head)
        try:
            with torch.no_grad(), disturbed(owner(model, blocks.tensor), noise, slice(start, start + blocks.size)):
                model(**inputs)
        finally:
            handle.remove()
        return seen[0]

    return run


def check(model: nn.Module, layer: AttentionLayer, inputs: dict[str, Any]) -> None:
    """Disturb a head at one position and see which inputs of the output projection change, and where.

    A query changes its own head at its own position. A key or value changes the heads that read it, at other
    positions too; and the value's change is proportional.
    """
    assert layer.output is not None
    run = run_layer(model, layer, inputs)
    plain = run()
    columns = torch.zeros(layer.heads, plain.shape[-1], dtype=torch.bool)
    for head in range(layer.heads):
        columns[head, layer.output.slices(head, 2)[layer.output.axis]] = True
    assert bool((columns.sum(0) == 1).all()), "the heads of the output projection are all that it reads"
    for part in ("query", "key", "value"):
        blocks = layer.projection(part)
        assert blocks is not None
        for head in {0, blocks.count // 2, blocks.count - 1}:
            reading = [one for one in range(layer.heads) if (one if part == "query" else layer.kv_head(one)) == head]
            difference = run(part, head, 1.0) - plain
            changed = difference.abs() > 1e-6 * plain.abs().max()
            where = f"{part} {head} of {layer.path}"
            assert bool(changed.any()), f"{where} has an effect"
            assert not bool(changed[..., ~columns[reading].any(0)].any()), f"{where} changes its own head only"
            for one in reading:
                assert bool(changed[..., columns[one]].any()), f"{where} changes head {one}"
            elsewhere = [position for position in range(plain.shape[-2]) if position != POSITION]
            assert bool(changed[..., elsewhere, :].any()) == (part != "query"), f"{where}: positions"
            if part == "value":
                twice = run(part, head, 2.0) - plain
                torch.testing.assert_close(twice, 2 * difference, rtol=1e-3, atol=1e-5 * float(twice.abs().max()))


def sharpen(model: nn.Module) -> None:
    """Make a fresh model's weights so large that attention differs from place to place, but picks no single one."""
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.ndim > 1 and "embed" not in name and "emb" not in name:
                parameter.normal_(std=0.4 / parameter.shape[-1] ** 0.5, generator=torch.Generator().manual_seed(7))


def check_model(name: str, **overrides: Any) -> None:
    model = build(name, "cpu", **overrides)
    sharpen(model)
    layers = axes(model).attention
    assert layers
    assert all(layer.certain for layer in layers)
    for layer in {id(layer): layer for layer in (layers[0], layers[len(layers) // 2], layers[-1])}.values():
        check(model, layer, inputs_of(name))


@pytest.mark.parametrize("name", [*TEXT, *BOTH, *IMAGES])
def test_heads_are_where_the_model_has_them(name: str) -> None:
    assert name in CONFIGS
    check_model(name)


@pytest.mark.parametrize("variant", VARIANTS)
def test_heads_of_other_layouts(variant: str) -> None:
    name, overrides = VARIANTS[variant]
    check_model(name, **overrides)
