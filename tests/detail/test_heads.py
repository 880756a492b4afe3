"""Heads of attention layers of every layout, against explicit products of the stored weights; and the answers."""

from __future__ import annotations

import types
from collections.abc import Mapping
from contextlib import closing
from typing import Any

import numpy as np
import pytest
import torch

from tests.summary.stub import StubSource, ref_of
from weightwidget import WeightExplorer
from weightwidget.anatomy.anatomy import Anatomy
from weightwidget.anatomy.blocks import Blocks
from weightwidget.anatomy.layers import PROJECTIONS, AttentionLayer, HeadBlocks
from weightwidget.detail import heads as detail
from weightwidget.detail.heads import CIRCUITS, NORMS, Head, HeadReader, Projection, circuits_of, similarities, strip
from weightwidget.summary.cancel import Cancelled
from weightwidget.wire.answers.base import Job
from weightwidget.wire.handlers import answer

HEADS, KV, SIZE, WIDTH = 6, 2, 4, 20


def randn(*shape: int, seed: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def explicit_heads(kv_heads: int) -> dict[str, np.ndarray]:
    """Weights as (heads, head size, width); of the output (heads, width, head size)."""
    return {
        "query": randn(HEADS, SIZE, WIDTH, seed=1).double().numpy(),
        "key": randn(kv_heads, SIZE, WIDTH, seed=2).double().numpy(),
        "value": randn(kv_heads, SIZE, WIDTH, seed=3).double().numpy(),
        "output": randn(HEADS, WIDTH, SIZE, seed=4).double().numpy(),
    }


def stored(layout: str, kv_heads: int) -> tuple[dict[str, torch.Tensor], AttentionLayer]:
    """The same heads in one of the layouts that models have."""
    parts = {name: torch.from_numpy(part).float() for name, part in explicit_heads(kv_heads).items()}
    rows = {name: parts[name].reshape(-1, WIDTH) for name in ("query", "key", "value")}
    out = torch.cat(list(parts["output"]), 1)
    counts = {"query": HEADS, "key": kv_heads, "value": kv_heads}
    blocks: dict[str, HeadBlocks] = {}
    if layout == "separate":
        tensors = {f"attn.{name}": matrix for name, matrix in rows.items()} | {"attn.out": out}
        blocks = {name: HeadBlocks(f"attn.{name}", 0, 0, SIZE, SIZE, count) for name, count in counts.items()}
        blocks["output"] = HeadBlocks("attn.out", 1, 0, SIZE, SIZE, HEADS)
    elif layout in ("fused", "conv1d"):
        fused, turned = torch.cat(list(rows.values())), layout == "conv1d"
        tensors = {"attn.qkv": fused.T.contiguous() if turned else fused, "attn.out": out.T if turned else out}
        first = 0
        for name, count in counts.items():
            blocks[name] = HeadBlocks("attn.qkv", int(turned), first, SIZE, SIZE, count, turned)
            first += count * SIZE
        blocks["output"] = HeadBlocks("attn.out", int(not turned), 0, SIZE, SIZE, HEADS, turned)
    elif layout == "interleaved":
        fused = torch.stack([parts[name] for name in counts], 1).reshape(-1, WIDTH)
        tensors = {"attn.qkv": fused, "attn.out": out}
        blocks = {
            name: HeadBlocks("attn.qkv", 0, number * SIZE, 3 * SIZE, SIZE, HEADS) for number, name in enumerate(counts)
        }
        blocks["output"] = HeadBlocks("attn.out", 1, 0, SIZE, SIZE, HEADS)
    else:
        raise ValueError(layout)
    return tensors, AttentionLayer("attn", HEADS, kv_heads, SIZE, **blocks)


LAYOUTS = [
    pytest.param("separate", HEADS, id="separate"),
    pytest.param("separate", KV, id="grouped-query"),
    pytest.param("separate", 1, id="multi-query"),
    pytest.param("fused", HEADS, id="fused"),
    pytest.param("fused", KV, id="fused grouped-query"),
    pytest.param("conv1d", HEADS, id="GPT-2's Conv1D"),
    pytest.param("interleaved", HEADS, id="GPT-NeoX"),
]


class Weights:
    """What the answers need of an explorer, with layers made by hand."""

    def __init__(self, tensors: Mapping[str, torch.Tensor], *layers: AttentionLayer, before_read: Any = None) -> None:
        told = {"before_read": before_read} if before_read else {}
        source = StubSource([ref_of(tensor, name, **told) for name, tensor in tensors.items()])
        self.anatomy = Anatomy(source)
        self.anatomy.attention[:] = layers
        self._blocks = Blocks(source, self.anatomy)
        self.source = source

    def ref(self, path: str) -> Any:
        return self.source.tensors.get(path) or self._blocks.ref(path)

    def record(self, path: str) -> Any:
        return self._blocks.record(path)


def ask(weights: Weights, job: Job | None = None, **request: Any) -> tuple[dict[str, Any], list[np.ndarray]]:
    reply, buffers = answer(weights, {"id": "1", **request}, job)
    return reply, [np.frombuffer(buffer) if len(buffer) % 8 == 0 else buffer for buffer in buffers]


@pytest.mark.parametrize(("layout", "kv_heads"), LAYOUTS)
def test_measures_of_every_layout_against_explicit_products(layout, kv_heads):
    tensors, layer = stored(layout, kv_heads)
    weights, parts = Weights(tensors, layer), explicit_heads(kv_heads)
    norms, (norm_values,) = ask(weights, kind="heads", layer="attn", what="norms")
    circuits, (values,) = ask(weights, kind="heads", layer="attn", what="circuits")
    assert norms["measures"] == list(NORMS)
    assert circuits["measures"] == list(CIRCUITS)
    told = dict(zip(NORMS, norm_values.reshape(-1, HEADS), strict=True))
    told |= dict(zip(CIRCUITS, values.reshape(-1, HEADS), strict=True))
    for head in range(HEADS):
        kv = head * kv_heads // HEADS
        q, k, v, o = parts["query"][head], parts["key"][kv], parts["value"][kv], parts["output"][head]
        for name, part in zip(PROJECTIONS, (q, k, v, o), strict=True):
            assert told[f"{name}_norm"][head] == pytest.approx(np.linalg.norm(part))
        for name, product in (("qk", q.T @ k), ("ov", o @ v)):
            fro, spectral = np.linalg.norm(product), np.linalg.norm(product, 2)
            assert told[f"{name}_frobenius"][head] == pytest.approx(fro)
            assert told[f"{name}_spectral"][head] == pytest.approx(spectral)
            assert told[f"{name}_stable_rank"][head] == pytest.approx(fro**2 / spectral**2)
        eigenvalues = np.linalg.eigvals(o @ v)
        score = eigenvalues.sum().real / np.abs(eigenvalues).sum()
        assert told["copying"][head] == pytest.approx(score, rel=1e-6)


@pytest.mark.parametrize(("layout", "kv_heads"), LAYOUTS)
@pytest.mark.parametrize("part", ["query", "key", "value", "output", "qk", "ov"])
def test_similarities_against_flattened_matrices(monkeypatch, layout, kv_heads, part):
    monkeypatch.setattr(detail, "HELD", 2 * 2 * SIZE * WIDTH)  # some heads at a time: all kinds of pairs of groups
    tensors, layer = stored(layout, kv_heads)
    reply, (found,) = ask(Weights(tensors, layer), kind="head_similarity", layer="attn", part=part)
    parts = explicit_heads(kv_heads)
    if part in parts:
        every = list(parts[part])
    else:
        kv = [head * kv_heads // HEADS for head in range(HEADS)]
        every = [
            parts["query"][head].T @ parts["key"][kv[head]]
            if part == "qk"
            else parts["output"][head] @ parts["value"][kv[head]]
            for head in range(HEADS)
        ]
    flat = np.stack([one.ravel() / np.linalg.norm(one) for one in every])
    assert reply["heads"] == len(every)
    np.testing.assert_allclose(found.reshape(len(every), -1), flat @ flat.T, atol=1e-9)


@pytest.mark.parametrize(("layout", "kv_heads"), LAYOUTS)
def test_a_head_in_detail(layout, kv_heads):
    tensors, layer = stored(layout, kv_heads)
    parts, head = explicit_heads(kv_heads), 4
    kv = head * kv_heads // HEADS
    reply, buffers = answer(
        Weights(tensors, layer), {"kind": "head", "layer": "attn", "head": head, "width": 7, "height": 64}
    )
    assert reply["shapes"] == [[SIZE, WIDTH]] * 4
    assert reply["pictures"] == [[SIZE, 7]] * 4
    across = [parts["query"][head], parts["key"][kv], parts["value"][kv], parts["output"][head].T]
    for buffer, matrix in zip(buffers[:4], across, strict=True):
        picture = np.frombuffer(buffer, np.float32).reshape(SIZE, 7)
        cells = np.split(matrix, [k * WIDTH // 7 for k in range(1, 7)], axis=1)
        expected = np.stack([cell[range(SIZE), np.abs(cell).argmax(1)] for cell in cells], 1)
        np.testing.assert_array_equal(picture, expected.astype(np.float32))
    qk, ov, eigenvalues, measures = (np.frombuffer(buffer) for buffer in buffers[4:])
    np.testing.assert_allclose(qk, np.linalg.svd(across[0].T @ across[1], compute_uv=False)[:SIZE], rtol=1e-7)
    product = across[3].T @ across[2]
    np.testing.assert_allclose(ov, np.linalg.svd(product, compute_uv=False)[:SIZE], rtol=1e-7)
    told = eigenvalues[:SIZE] + 1j * eigenvalues[SIZE:]
    assert told.sum() == pytest.approx(np.trace(product))
    assert dict(zip(reply["measures"], measures, strict=True))["ov_spectral"] == pytest.approx(ov[0])
    assert reply["square"]
    assert reply["finite"]


def test_shared_keys_are_read_once_and_one_head_at_a_time():
    tensors, layer = stored("separate", KV)
    read: list[Any] = []
    ask(Weights(tensors, layer, before_read=read.append), kind="heads", layer="attn", what="circuits")
    assert len(read) == 2 * HEADS + 2 * KV
    sizes = [np.empty((HEADS * SIZE, HEADS * SIZE))[tuple(index)].size for index in read]
    assert max(sizes) <= HEADS * SIZE * SIZE


def test_weights_that_are_not_finite_leave_norms_but_no_circuits():
    tensors, layer = stored("separate", HEADS)
    tensors["attn.key"][1, 2], tensors["attn.key"][SIZE + 1, 3] = torch.inf, torch.nan
    weights = Weights(tensors, layer)
    _, (norms,) = ask(weights, kind="heads", layer="attn", what="norms")
    _, (values,) = ask(weights, kind="heads", layer="attn", what="circuits")
    key = tensors["attn.key"][:SIZE].double()
    assert norms.reshape(-1, HEADS)[1, 0] == pytest.approx(key[key.isfinite()].norm().item())
    told = dict(zip(CIRCUITS, values.reshape(-1, HEADS), strict=True))
    assert np.isnan(told["qk_spectral"]).tolist() == [True, True, False, False, False, False]
    assert np.isfinite(told["copying"]).all()
    reply, _ = answer(weights, {"kind": "head", "layer": "attn", "head": 0, "width": 9, "height": 9})
    assert reply["finite"] is False
    reply, (cosines,) = ask(weights, kind="head_similarity", layer="attn", part="qk")
    assert np.isnan(cosines.reshape(HEADS, HEADS)[:2]).all()
    assert np.isfinite(cosines.reshape(HEADS, HEADS)[2:, 2:]).all()


def test_a_layer_without_output_has_no_ov():
    tensors, whole = stored("separate", HEADS)
    layer = AttentionLayer("attn", HEADS, HEADS, SIZE, whole.query, whole.key, whole.value, None)
    weights = Weights(tensors, layer)
    reply, buffers = answer(weights, {"kind": "head", "layer": "attn", "head": 0, "width": 9, "height": 9})
    assert reply["pictures"][3] == [0, 0]
    assert buffers[3] == buffers[5] == buffers[6] == b""
    assert reply["square"]
    with pytest.raises(ValueError, match="'attn' has no output projection"):
        ask(weights, kind="head_similarity", layer="attn", part="ov")


def test_cross_attention_of_two_widths_has_no_eigenvalues():
    parts = {"query": randn(8, 12, seed=1), "key": randn(8, 9, seed=2), "value": randn(8, 9, seed=3)}
    tensors = {f"attn.{name}": part for name, part in parts.items()} | {"attn.out": randn(12, 8, seed=4)}
    blocks = {name: HeadBlocks(f"attn.{name}", 0, 0, 4, 4, 2) for name in parts}
    layer = AttentionLayer("attn", 2, 2, 4, **blocks, output=HeadBlocks("attn.out", 1, 0, 4, 4, 2))
    weights = Weights(tensors, layer)
    reply, buffers = answer(weights, {"kind": "head", "layer": "attn", "head": 1, "width": 99, "height": 9})
    assert reply["square"] is False
    assert buffers[6] == b""
    explicit = np.linalg.svd(
        (tensors["attn.out"][:, 4:] @ tensors["attn.value"][4:]).double().numpy(), compute_uv=False
    )
    np.testing.assert_allclose(np.frombuffer(buffers[5]), explicit[:4], rtol=1e-5)
    assert np.isnan(ask(weights, kind="heads", layer="attn", what="circuits")[1][0].reshape(-1, 2)[-1]).all()


def test_half_precision_and_other_types_are_read_as_numbers():
    matrix = randn(4, 10, seed=1)
    for dtype in (torch.bfloat16, torch.float16, torch.float64, torch.float8_e4m3fn):
        ref = ref_of(matrix.to(dtype), "w")
        np.testing.assert_array_equal(Projection(ref).read(), matrix.to(dtype).double().numpy())
        np.testing.assert_array_equal(Projection(ref, transposed=True).read(), matrix.to(dtype).double().numpy().T)
    with pytest.raises(TypeError, match="complex64"):
        Projection(ref_of(torch.zeros(2, 3, dtype=torch.complex64), "w")).read()
    with pytest.raises(ValueError, match="matrices of two axes"):
        Projection(ref_of(torch.zeros(2, 3, 4), "w")).read()


def test_reading_changes_nothing():
    matrix = randn(4, 10, seed=1).double()
    before = matrix.clone()
    matrices = HeadReader().matrices(Head(*(Projection(ref_of(one, "w")) for one in (matrix,) * 3)))
    circuits_of(matrices)
    similarities([[Projection(ref_of(matrix, "w"))]] * 2)
    strip(matrix.numpy(), 2, 3)
    assert torch.equal(matrix, before)


def test_what_is_asked_wrongly_is_told():
    tensors, layer = stored("separate", HEADS)
    weights = Weights(tensors, layer)
    with pytest.raises(KeyError, match="no attention layer 'mlp'"):
        ask(weights, kind="heads", layer="mlp", what="norms")
    with pytest.raises(ValueError, match="'norms' and 'circuits'"):
        ask(weights, kind="heads", layer="attn", what="all")
    with pytest.raises(IndexError, match="heads 0 to 5"):
        ask(weights, kind="head", layer="attn", head=6, width=9, height=9)
    with pytest.raises(ValueError, match="compared by query, key"):
        ask(weights, kind="head_similarity", layer="attn", part="gate")


@pytest.mark.parametrize("request_", [{"kind": "heads", "what": "circuits"}, {"kind": "head_similarity", "part": "qk"}])
def test_work_ends_when_nobody_waits(monkeypatch, request_):
    monkeypatch.setattr(detail, "HELD", 1)
    tensors, layer = stored("separate", HEADS)
    told: list[float] = []
    ask(Weights(tensors, layer), Job(report=told.append), layer="attn", **request_)
    assert told == sorted(told)
    assert 0 < told[-1] <= 1
    seen = types.SimpleNamespace(times=0)

    def cancelled() -> bool:
        seen.times += 1
        return seen.times > 3

    with pytest.raises(Cancelled):
        ask(Weights(tensors, layer), Job(cancelled), layer="attn", **request_)
    assert seen.times == 4


def test_the_number_of_heads_can_be_set():
    tensors = {f"attn.{name}_proj.weight": randn(40, 40, seed=seed) for seed, name in enumerate("qkvo")}
    with closing(WeightExplorer(tensors).wait()) as explorer:
        assert explorer.anatomy.attention == []
        with pytest.raises(ValueError, match="divided into 7 heads"):
            answer(explorer, {"kind": "set_heads", "path": "", "heads": 7, "kv_heads": None})
        reply, _ = answer(explorer, {"kind": "set_heads", "path": "", "heads": 5, "kv_heads": None})
        assert reply["layers"] == 1
        _, (norms,) = ask(explorer, kind="heads", layer="attn", what="norms")
        expected = tensors["attn.o_proj.weight"].double().reshape(40, 5, 8).norm(dim=(0, 2)).numpy()
        np.testing.assert_allclose(norms.reshape(-1, 5)[3], expected)


def llama_heads(attn: Any) -> list[dict[str, torch.Tensor]]:
    q, k, v = (getattr(attn, f"{name}_proj").weight.split(8) for name in "qkv")
    shared = len(q) // len(k)
    outs = attn.o_proj.weight.split(8, 1)
    return [{"query": q[h], "key": k[h // shared], "value": v[h // shared], "output": outs[h]} for h in range(len(q))]


def gpt2_heads(attn: Any) -> list[dict[str, torch.Tensor]]:
    q, k, v = (part.T.split(8) for part in attn.c_attn.weight.split(32, 1))
    outs = attn.c_proj.weight.split(8)
    return [{"query": q[h], "key": k[h], "value": v[h], "output": outs[h].T} for h in range(4)]


def neox_heads(attn: Any) -> list[dict[str, torch.Tensor]]:
    fused, outs = attn.query_key_value.weight.reshape(4, 3, 8, 32), attn.dense.weight.split(8, 1)
    return [
        {"query": one[0], "key": one[1], "value": one[2], "output": out} for one, out in zip(fused, outs, strict=True)
    ]


def transformers_models() -> list[Any]:
    from transformers import GPT2Config, GPT2Model, GPTNeoXConfig, GPTNeoXModel, LlamaConfig, LlamaModel

    llama = {"hidden_size": 32, "num_attention_heads": 4, "num_hidden_layers": 2, "intermediate_size": 8}
    neox = GPTNeoXConfig(vocab_size=9, **llama)
    gpt2 = GPT2Config(n_embd=32, n_head=4, n_layer=2, vocab_size=9, n_positions=7)
    made = []
    with torch.random.fork_rng():
        torch.manual_seed(0)
        for kv_heads in (4, 2, 1):
            model = LlamaModel(LlamaConfig(vocab_size=9, num_key_value_heads=kv_heads, **llama))
            made.append((model, "layers.1.self_attn", llama_heads))
        made.append((GPT2Model(gpt2), "h.1.attn", gpt2_heads))
        made.append((GPTNeoXModel(neox), "layers.1.attention", neox_heads))
    return made


def test_heads_of_transformers_models_against_their_weights():
    for model, path, heads_of in transformers_models():
        with closing(WeightExplorer(model).wait()) as explorer, torch.no_grad():
            found: dict[str, np.ndarray] = {}
            for what, names in (("norms", NORMS), ("circuits", CIRCUITS)):
                _, (values,) = ask(explorer, kind="heads", layer=path, what=what)
                found |= dict(zip(names, values.reshape(len(names), -1), strict=True))
            expected = heads_of(model.get_submodule(path))
            assert len(found["copying"]) == len(expected) == 4
            for number, head in enumerate(expected):
                parts = {name: part.double().numpy() for name, part in head.items()}
                for name, part in parts.items():
                    assert found[f"{name}_norm"][number] == pytest.approx(np.linalg.norm(part)), (path, name)
                for name, product in (
                    ("qk", parts["query"].T @ parts["key"]),
                    ("ov", parts["output"] @ parts["value"]),
                ):
                    assert found[f"{name}_spectral"][number] == pytest.approx(np.linalg.norm(product, 2)), (path, name)


def test_the_table_of_two_groups_of_large_heads_is_bounded(monkeypatch):
    monkeypatch.setattr(detail, "HELD", 400)
    rng = np.random.default_rng(0)
    weights = torch.from_numpy(rng.normal(size=(2, 9, 10, 2)))  # heads larger than the stream is wide
    parts = [[Projection(ref_of(weights[side, head])) for side in (0, 1)] for head in range(9)]
    tables = []
    products = detail._products

    def noted(left, right):
        tables.append(len(left) * len(right) * 100)
        return products(left, right)

    monkeypatch.setattr(detail, "_products", noted)
    found = similarities(parts)
    explicit = np.stack([(a.T @ b).ravel() for a, b in zip(*weights.numpy(), strict=True)])
    unit = explicit / np.linalg.norm(explicit, axis=1, keepdims=True)
    np.testing.assert_allclose(found, unit @ unit.T, atol=1e-12)
    assert max(tables) <= 400
