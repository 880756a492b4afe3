"""Blocks of attention layers, checked by computing what the layers compute from the blocks alone."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from tests.anatomy.architectures import build
from tests.anatomy.test_heads_run import sharpen
from weightwidget import Anatomy, axes, open_weights
from weightwidget.anatomy.layers import AttentionLayer, HeadBlocks
from weightwidget.sources.base import ModuleInfo, TensorRef
from weightwidget.sources.source import ListedSource


def matrix(anatomy: Anatomy, blocks: HeadBlocks, head: int) -> torch.Tensor:
    """A head's block in float64 as (outputs, inputs), of whatever layout it is read from."""
    ref = anatomy.source.tensors[blocks.tensor]
    block = ref.read(blocks.slices(head, len(ref.shape))).double()
    if block.ndim == 3:
        block = block.squeeze(blocks.axis)
    return block.T if blocks.transposed else block


def attend(
    anatomy: Anatomy,
    layer: AttentionLayer,
    read: tuple[torch.Tensor, torch.Tensor, torch.Tensor],
    mask: torch.Tensor | None = None,
    scale: float | None = None,
) -> torch.Tensor:
    """softmax(q k') v for each head, times its output block, summed; without biases. Inputs are (tokens, width)."""
    assert layer.query
    assert layer.key
    assert layer.value
    assert layer.output
    whole = torch.zeros((), dtype=torch.float64)
    for head in range(layer.heads):
        kv = layer.kv_head(head)
        q = read[0] @ matrix(anatomy, layer.query, head).T
        k = read[1] @ matrix(anatomy, layer.key, kv).T
        v = read[2] @ matrix(anatomy, layer.value, kv).T
        scores = q @ k.T * (scale or layer.head_dim**-0.5)
        if mask is not None:
            scores = scores.masked_fill(mask, -torch.inf)
        whole = whole + scores.softmax(-1) @ v @ matrix(anatomy, layer.output, head).T
    return whole


CAUSAL = torch.ones(6, 6, dtype=torch.bool).triu(1)


@pytest.mark.parametrize("sizes", [{}, {"kdim": 7, "vdim": 5}])
def test_multihead_attention_of_torch(sizes: dict[str, int]) -> None:
    generator = torch.Generator().manual_seed(3)
    layer = nn.MultiheadAttention(12, 3, bias=False, batch_first=True, **sizes)
    read = tuple(
        torch.randn(6, width, generator=generator) for width in (12, sizes.get("kdim", 12), sizes.get("vdim", 12))
    )
    with torch.no_grad():
        expected = layer(*(one[None] for one in read), need_weights=False)[0][0]
    anatomy = Anatomy(open_weights(nn.ModuleDict({"attn": layer})))
    (found,) = anatomy.attention
    assert found.certain
    result = attend(anatomy, found, tuple(one.double() for one in read))  # type: ignore[arg-type]
    torch.testing.assert_close(result, expected.double(), rtol=1e-5, atol=1e-6)


PRODUCTS: dict[str, tuple[dict[str, Any], float | None, str]] = {
    "gpt2": ({}, None, "input_ids"),
    "gpt_neo": ({}, 1.0, "input_ids"),
    "opt": ({}, None, "input_ids"),
    "gpt_bigcode": ({}, None, "input_ids"),
    "gpt_neox": ({}, None, "zero"),
    "phi3": ({}, None, "zero"),
    "falcon": ({"new_decoder_architecture": True, "num_attention_heads": 6, "num_kv_heads": 2}, None, "zero"),
    "codegen": ({}, None, "zero"),
    "llama": ({}, None, "zero"),
    "dbrx": ({"attn_config": {"kv_n_heads": 2, "clip_qkv": 100.0}}, None, "zero"),
}
"""Model: changes to its configuration, factor of the scores, whether positions rotate: then all are zero."""


@pytest.mark.parametrize("name", PRODUCTS)
def test_explicit_products(name: str) -> None:
    overrides, scale, positions = PRODUCTS[name]
    model = build(name, "cpu", **overrides)
    sharpen(model)
    with torch.no_grad():
        for key, parameter in model.named_parameters():
            if key.endswith("bias"):
                parameter.zero_()
    anatomy = Anatomy(open_weights(model))
    layer = anatomy.attention[0]
    assert layer.query
    assert layer.output
    seen: dict[str, torch.Tensor] = {}
    first = model.get_submodule(layer.query.tensor.rpartition(".")[0])
    last = model.get_submodule(layer.output.tensor.rpartition(".")[0])
    first.register_forward_hook(lambda _m, args, _out: seen.update(read=args[0]))
    last.register_forward_hook(lambda _m, _args, out: seen.update(written=out))
    tokens = torch.randint(3, 90, (1, 6), generator=torch.Generator().manual_seed(2))
    more = {"position_ids": torch.zeros(1, 6, dtype=torch.long)} if positions == "zero" else {}
    with torch.no_grad():
        model(input_ids=tokens, **more)
    read = seen["read"].reshape(6, -1).double()
    result = attend(anatomy, layer, (read, read, read), CAUSAL, scale)
    expected = seen["written"].reshape(6, -1).double()
    torch.testing.assert_close(result, expected, rtol=1e-4, atol=1e-5 * float(expected.abs().max()))


def test_attention_of_xlnet() -> None:
    """Its projections are tensors of rank 3; the output's is the other way round than Keras's."""
    model = build("xlnet", "cpu")
    sharpen(model)
    anatomy = Anatomy(open_weights(model))
    layer = anatomy.attention[0]
    hidden = torch.randn(6, 36, generator=torch.Generator().manual_seed(4), dtype=torch.float64)
    inner = model.get_submodule("layer.0.rel_attn")
    heads = torch.einsum("ih,hnd->ind", hidden, inner.v.double())
    expected = torch.einsum("ind,hnd->ih", heads, inner.o.double())
    assert layer.value
    assert layer.output
    parts = [
        hidden @ matrix(anatomy, layer.value, head).T @ matrix(anatomy, layer.output, head).T
        for head in range(layer.heads)
    ]
    torch.testing.assert_close(torch.stack(parts).sum(0), expected)


def gated(model: nn.Module, path: str, tensor: str, names: tuple[str, str]) -> None:
    """The halves of a gated layer's first product: what comes out is act(first half) * second half."""
    anatomy = Anatomy(open_weights(model))
    inner = model.get_submodule(path)
    seen: dict[str, torch.Tensor] = {}
    last = [child for child in inner.children() if isinstance(child, nn.Linear)][-1]
    last.register_forward_hook(lambda _m, args, _out: seen.update(read=args[0]))
    inner.register_forward_hook(lambda _m, args, _out: seen.update(hidden=args[0]))
    tokens = torch.randint(3, 90, (1, 6), generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        model(input_ids=tokens)
    blocks = anatomy[tensor].blocks
    weight = anatomy.source.tensors[tensor].read()
    first, second = (seen["hidden"] @ weight[blocks[name]].T for name in names)
    act = nn.functional.silu if "phi" in type(model).__name__.lower() else nn.functional.gelu
    torch.testing.assert_close(seen["read"], act(first) * second, rtol=1e-4, atol=1e-5)


def test_halves_of_gated_layers() -> None:
    for name, path, leaf, names in (
        ("phi3", "layers.0.mlp", "gate_up_proj", ("gate", "up")),
        ("modernbert", "layers.0.mlp", "Wi", ("input", "gate")),
    ):
        model = build(name, "cpu")
        sharpen(model)
        gated(model, path, f"{path}.{leaf}.weight", names)


def test_parts_of_a_state_space() -> None:
    """x is what the convolution reads, z opens the gate; dt, B and C follow in this order."""
    model = build("mamba", "cpu")
    anatomy = Anatomy(open_weights(model))
    assert list(anatomy["layers.0.mixer.in_proj.weight"].blocks) == ["x", "z"]
    blocks = anatomy["layers.0.mixer.x_proj.weight"].blocks
    assert {name: (place.start, place.stop) for name, place in blocks.items() if isinstance(place, slice)} == {
        "dt": (0, 5),
        "B": (5, 12),
        "C": (12, 19),
    }
    seen: dict[str, torch.Tensor] = {}
    mixer = model.get_submodule("layers.0.mixer")
    mixer.in_proj.register_forward_hook(lambda _m, args, _out: seen.update(hidden=args[0]))
    mixer.x_proj.register_forward_hook(lambda _m, args, _out: seen.update(read=args[0]))
    with torch.no_grad():
        model(input_ids=torch.arange(3, 9)[None])
    weight = anatomy.source.tensors["layers.0.mixer.in_proj.weight"].read()
    x = seen["hidden"] @ weight[anatomy["layers.0.mixer.in_proj.weight"].blocks["x"]].T
    with torch.no_grad():
        convolved = nn.functional.silu(mixer.conv1d(x.transpose(1, 2))[..., : x.shape[1]]).transpose(1, 2)
    torch.testing.assert_close(seen["read"], convolved, rtol=1e-4, atol=1e-6)
    second = axes(build("mamba2"))["layers.0.mixer.in_proj.weight"]
    assert list(second.blocks) == ["z", "x", "B", "C", "dt"]
    assert second.blocks["dt"] == slice(158, 164)


@pytest.fixture(scope="module")
def keras_cases(tmp_path_factory: pytest.TempPathFactory) -> dict[str, np.ndarray]:
    if importlib.util.find_spec("keras") is None:
        pytest.skip("Keras is not installed")
    out = tmp_path_factory.mktemp("keras") / "out.npz"
    script = Path(__file__).parent / "keras_attention.py"
    environment = {**os.environ, "KERAS_BACKEND": "torch"}
    subprocess.run([sys.executable, str(script), str(out)], check=True, env=environment, timeout=120)
    with np.load(out) as stored:
        return dict(stored)


def keras_source(cases: dict[str, np.ndarray], case: str, classes: bool = True) -> ListedSource:
    prefix = f"{case}/weight:"
    refs = []
    for key, array in cases.items():
        if key.startswith(prefix):
            name, tensor = key.removeprefix(prefix), torch.from_numpy(array)
            refs.append(TensorRef(name, tuple(array.shape), "float32", "weight", lambda at, tensor=tensor: tensor[at]))
    kinds = json.loads(str(cases[f"{case}/modules"]))
    modules = {path: ModuleInfo(path, kind, hyper, library="keras") for path, (kind, hyper) in kinds.items()}
    return ListedSource(case, refs, modules if classes else {})


@pytest.mark.parametrize("case", ["attention", "grouped"])
def test_attention_of_keras(keras_cases: dict[str, np.ndarray], case: str) -> None:
    anatomy = Anatomy(keras_source(keras_cases, case))
    (layer,) = anatomy.attention
    assert (layer.path, layer.certain) == ("mha", True)
    assert (layer.heads, layer.kv_heads, layer.head_dim) == ((3, 3, 4) if case == "attention" else (6, 2, 4))
    read = torch.from_numpy(keras_cases[f"{case}/inputs"][0]).double()
    expected = torch.from_numpy(keras_cases[f"{case}/outputs"][0]).double()
    tensors = anatomy.source.tensors
    bias = {part: tensors[f"mha.{part}.bias"].read().double() for part in ("query", "key", "value", "attention_output")}
    assert layer.query
    assert layer.key
    assert layer.value
    assert layer.output
    result = bias["attention_output"]
    for head in range(layer.heads):
        kv = layer.kv_head(head)
        q = read @ matrix(anatomy, layer.query, head).T + bias["query"][head]
        k = read @ matrix(anatomy, layer.key, kv).T + bias["key"][kv]
        v = read @ matrix(anatomy, layer.value, kv).T + bias["value"][kv]
        weights = (q @ k.T * layer.head_dim**-0.5).softmax(-1)
        result = result + weights @ v @ matrix(anatomy, layer.output, head).T
    torch.testing.assert_close(result, expected, rtol=1e-4, atol=1e-4)
    assert anatomy["mha.query.kernel"].names == ("in", "head", "head_dim")
    assert anatomy["mha.query.bias"].names == ("head", "head_dim")
    assert anatomy["mha.attention_output.kernel"].names == ("head", "head_dim", "out")
    assert anatomy["mha.attention_output.kernel"].certain
    bare = Anatomy(keras_source(keras_cases, case, classes=False))
    assert bare.attention[0].heads == layer.heads
    assert not bare.attention[0].certain


@pytest.mark.parametrize("case", ["dense", "einsum"])
def test_dense_of_keras(keras_cases: dict[str, np.ndarray], case: str) -> None:
    anatomy = Anatomy(keras_source(keras_cases, case))
    kernel = anatomy[f"{case}.kernel"]
    assert (kernel.output, kernel.input, kernel.certain) == (1, 0, True)
    weight = anatomy.source.tensors[f"{case}.kernel"].read()
    result = torch.from_numpy(keras_cases[f"{case}/inputs"]) @ weight + anatomy.source.tensors[f"{case}.bias"].read()
    torch.testing.assert_close(result, torch.from_numpy(keras_cases[f"{case}/outputs"]), rtol=1e-4, atol=1e-4)
    assert anatomy[f"{case}.bias"].what == "bias"
    guess = Anatomy(keras_source(keras_cases, case, classes=False))[f"{case}.kernel"]
    assert (guess.output, guess.certain) == (1, False)


@pytest.mark.parametrize("case", ["norm", "batch"])
def test_norms_of_keras(keras_cases: dict[str, np.ndarray], case: str) -> None:
    for classes in (True, False):
        anatomy = Anatomy(keras_source(keras_cases, case, classes))
        assert len(anatomy) == (2 if case == "norm" else 4)
        for name in anatomy:
            assert (anatomy[name].names, anatomy[name].what) == (("channel",), "norm"), name
            assert anatomy[name].certain == classes
